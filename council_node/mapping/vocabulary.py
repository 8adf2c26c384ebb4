"""What headings and wordings mean: the schema's own words, then a system's profile, then everyday words."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final

from council_node.mapping.likeness import Likeness, plain_words
from council_node.mapping.profile import Profile, ProfileColumn
from council_node.sources.canonical import known_wordings
from federated.schema import Column, Dataset

__all__ = ["AGE_BAND", "CASES", "Meaning", "Vocabulary", "age_band", "joined_columns", "mapped_columns"]

SURE: Final = 88
"""Score from which a wording is taken for a code without asking, if no other code comes near."""
APART: Final = 12
"""How far the next code has to be behind."""
WORTH_ASKING: Final = 45
"""Score below which a candidate is not worth a person's time."""
NODE_SETS: Final = frozenset({"la_code"})
"""Columns that the node's registration sets."""
CASES: Final = "case"
CASE_KEY: Final = "case_key"
OPTED_OUT: Final = "opted_out"
AGE_BAND: Final = "main_age_band"
"""The column whose wordings may be ages in years."""
OLDEST: Final = 110
_YEARS: Final = re.compile(r"(\d{1,3})(\.0)?( years?( old)?)?", re.IGNORECASE)


def mapped_columns(dataset: Dataset) -> dict[str, Column]:
    """The columns that a council maps: not those made by the node."""
    return {
        name: column
        for name, column in dataset.columns.items()
        if column.derived_from is None and name not in NODE_SETS
    }


def joined_columns(dataset: Dataset) -> frozenset[str]:
    """The columns that the node joins from the cases, so that another table need not have them."""
    if dataset.name == CASES or CASE_KEY not in dataset.columns:
        return frozenset()
    copied = (column.name for column in dataset.columns.values() if column.copied_from is not None)
    return frozenset((dataset.unit_column, OPTED_OUT, *copied))


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a wording may mean.

    Attributes:
        codes: Codes of the column, the likeliest first; none when nothing is like it.
        score: 0 to 100 for the first.
        sure: Whether it is taken without asking.
        understood: Whether the node understands it without being told.
    """

    codes: tuple[str, ...]
    score: int
    sure: bool
    understood: bool = False


class Vocabulary:
    """Words for the columns and codes of one data set.

    Args:
        dataset: The data set.
        profiles: Whose words count, the first before the later ones.
    """

    def __init__(self, dataset: Dataset, profiles: tuple[Profile, ...]) -> None:
        self.dataset = dataset
        self.columns = mapped_columns(dataset)
        self._profiles = profiles
        self.expand: dict[str, str] = {}
        for profile in reversed(profiles):
            self.expand |= profile.abbreviations
        self._other_people = frozenset(word for profile in profiles for word in profile.other_people)
        self._meanings: dict[tuple[str, str], Meaning] = {}

    @cached_property
    def headings(self) -> Likeness:
        """The columns, by every heading known for them."""
        return Likeness(names={name: tuple(self._headings(name)) for name in self.columns}, expand=self.expand)

    @cached_property
    def known_headings(self) -> Mapping[tuple[str, ...], str]:
        """The column that each known heading means, by its words; a profile's before the schema's."""
        known: dict[tuple[str, ...], str] = {}
        for words in (*(self._of(profile) for profile in self._profiles), self._schema_headings()):
            for name, heading in words:
                known.setdefault(plain_words(heading, self.expand), name)
        return known

    def _of(self, profile: Profile) -> Iterator[tuple[str, str]]:
        for name, column in profile.columns(self.dataset.name).items():
            yield from ((name, heading) for heading in column.headings)

    def _schema_headings(self) -> Iterator[tuple[str, str]]:
        for name, column in self.columns.items():
            yield from ((name, name), (name, column.label))

    def column_of(self, heading: str) -> str | None:
        """The column that a heading is known for; None for a heading that is not known word for word."""
        return self.known_headings.get(plain_words(heading, self.expand))

    def all_headings(self) -> tuple[str, ...]:
        """Every heading known for any column, by which a sheet's row of headings is found."""
        return tuple(dict.fromkeys(heading for name in self.columns for heading in self._headings(name)))

    def _headings(self, name: str) -> Iterator[str]:
        yield from (name, self.columns[name].label)
        for profile in self._profiles:
            yield from profile.columns(self.dataset.name).get(name, ProfileColumn()).headings

    def about_others(self, name: str, heading: tuple[str, ...]) -> bool:
        """Whether a heading's words are about somebody or something else than the column is."""
        own = {word for text in self._headings(name) for word in plain_words(text, self.expand)}
        return any(not any(mine.startswith(word) for mine in own) for word in self._other_people.intersection(heading))

    # Wordings

    def meaning(self, name: str, text: str) -> Meaning:
        """What a wording of a column means."""
        key = (name, " ".join(text.split()).casefold())
        if key not in self._meanings:
            self._meanings[key] = self._meaning(name, text)
        return self._meanings[key]

    def knows(self, name: str, text: str) -> bool:
        """Whether a wording is a known one of a column, word for word."""
        return self._known(name, text) is not None

    def knows_anywhere(self, text: str) -> bool:
        """Whether a wording is a known one of any column."""
        return any(self.knows(name, text) for name, column in self.columns.items() if column.codes)

    def _meaning(self, name: str, text: str) -> Meaning:
        code = self._understood(name).get(text.strip(" ").lower())
        if code is not None:
            return Meaning(codes=(code,), score=100, sure=True, understood=True)
        code = self._known(name, text)
        if code is not None:
            return Meaning(codes=(code,), score=100, sure=True)
        ranked = [item for item in self._wordings(name).rank(text) if item.score >= WORTH_ASKING]
        if not ranked:
            return Meaning(codes=(), score=0, sure=False)
        best, behind = ranked[0].score, ranked[1].score if len(ranked) > 1 else 0
        return Meaning(
            codes=tuple(item.name for item in ranked), score=best, sure=best >= SURE and best - behind >= APART
        )

    def _known(self, name: str, text: str) -> str | None:
        code = self._understood(name).get(text.strip(" ").lower())
        code = code or (age_band(text) if name == AGE_BAND else None)
        if code is not None:
            return code
        known = self._known_wordings(name)
        readings = (plain_words(reading) for reading in self._wordings(name).readings_of(text))
        return next((known[words] for words in readings if words in known), None)

    @cache  # noqa: B019 - a vocabulary lives as long as the command that asks
    def _understood(self, name: str) -> Mapping[str, str]:
        """What the node reads without being told."""
        return known_wordings(self.columns[name])

    @cache  # noqa: B019 - as above
    def _known_wordings(self, name: str) -> Mapping[tuple[str, ...], str]:
        """The code that each known wording means, by its words; what two codes share means nothing."""
        known: dict[tuple[str, ...], str] = {}
        for level in self._wording_levels(name):
            found: dict[tuple[str, ...], set[str]] = {}
            for code, text in level:
                found.setdefault(plain_words(text), set()).add(code)
            clear = {words: codes.pop() for words, codes in found.items() if words and len(codes) == 1}
            known = clear | known
        return known

    def _wording_levels(self, name: str) -> Iterator[list[tuple[str, str]]]:
        column = self.columns[name]
        for profile in self._profiles:
            wordings = profile.columns(self.dataset.name).get(name, ProfileColumn()).wordings
            yield [(code, text) for code, texts in wordings.items() for text in texts]
        yield [(code.code, code.label) for code in column.codes]
        yield [(code.code, code.code.replace("_", " ")) for code in column.codes]

    @cache  # noqa: B019 - as above
    def _wordings(self, name: str) -> Likeness:
        texts: dict[str, list[str]] = {code: [] for code in self.columns[name].code_list}
        for level in self._wording_levels(name):
            for code, text in level:
                texts[code].append(text)
        return Likeness(names={code: tuple(found) for code, found in texts.items()}, expand={}, numbered=True)


def age_band(text: str) -> str | None:
    """The band of an age in years; None for what is no age of a main applicant."""
    found = _YEARS.fullmatch(text.strip())
    years = int(found[1]) if found else 0
    bands = ((16, 17), (18, 24), (25, 34), (35, 44), (45, 54), (55, 64), (65, 74))
    inside = next((f"age_{low}_{high}" for low, high in bands if low <= years <= high), None)
    return inside or ("age_75_over" if bands[-1][1] < years <= OLDEST else None)
