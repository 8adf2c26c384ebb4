"""Which heading holds which column: proposals with a confidence, and which of them are sure enough to take unasked.

A heading speaks by its words, its column by what stands in it. A known heading is believed unless its content
contradicts it; a similar one only where its content agrees; content alone only where no other column could hold it.
Everything else is a question for a person. Being asked costs a minute; a wrong mapping spoils a national figure.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, assert_never

from council_node.mapping.identifiers import identifying_content
from council_node.mapping.likeness import plain_words
from council_node.mapping.readable_dates import Written, written_as
from council_node.mapping.survey import Surveyed
from council_node.mapping.vocabulary import Vocabulary
from federated.schema import Column, ColumnType

__all__ = ["Candidate", "Refused", "candidates", "refused", "settle"]

HUNDRED: Final = 100
KNOWN: Final = 100
CLOSE: Final = 75
"""Score of a heading from which it is believed where its content agrees."""
VERY_CLOSE: Final = 90
"""Score of a heading from which it is believed where there is no content."""
APART: Final = 15
"""How far the next column has to be behind."""
CONTRADICTED: Final = 50
"""Per cent of cells that must fit a known heading."""
AGREED: Final = 70
"""Per cent of cells that must fit a similar heading."""
TELLING: Final = 90
"""Per cent of cells from which the content of a category speaks for itself."""
RELATED: Final = 30
"""Score that a heading must have at least, for its content to speak for itself."""
WORTH_ASKING: Final = 40
DIFFERENT_CODES: Final = 3
SHARED_KEY: Final = 10
_PATH: Final = re.compile(r"[^\s/@]+(/@?[^\s/@]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A heading that may hold a column.

    Attributes:
        column: Name of the column.
        heading: As written.
        place: Its place in the extract, from 0.
        likeness: 0 to 100, how like the heading is to the column's words; 100 for a known one.
        fit: Per cent of the cells looked at that the column can hold; None when there were none.
        sure: Whether it is taken without asking.
    """

    column: str
    heading: str
    place: int
    likeness: int
    fit: int | None
    sure: bool

    @property
    def confidence(self) -> int:
        """0 to 100, of heading and content together."""
        return self.likeness if self.fit is None else (self.likeness + self.fit) // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A column of the extract that is never read as a value.

    Attributes:
        place: Its place in the extract, from 0.
        heading: As written.
        kind: What it holds, such as ``a name``.
        by_content: Whether its content showed it, not its heading.
    """

    place: int
    heading: str
    kind: str
    by_content: bool


def refused(found: Sequence[Surveyed], words: Vocabulary, *, today: date) -> tuple[Refused, ...]:
    """The columns of an extract that identify people, by heading or by content."""
    columns = []
    for item in found:
        kind = item.identifies or identifying_content(item.texts, today=today, known=words.knows_anywhere)
        if kind is not None:
            by_content = item.identifies is None
            columns.append(Refused(place=item.place, heading=item.heading, kind=kind, by_content=by_content))
    return tuple(columns)


def candidates(found: Sequence[Surveyed], words: Vocabulary, *, never: frozenset[int]) -> tuple[Candidate, ...]:
    """Every heading that may hold a column, the likeliest first.

    Args:
        found: The extract's columns.
        words: What headings and wordings mean.
        never: Places of columns that identify people; they may still be a reference of the case or household.
    """
    repeated = {text for text, times in Counter(_normal(item.heading) for item in found).items() if times > 1}
    leaves = Counter(_leaf(item.heading) for item in found)
    made: list[Candidate] = []
    for item in found:
        # A heading that is there twice cannot be named in a mapping.
        if _normal(item.heading) not in repeated:
            leaf = _leaf(item.heading)
            spoken = leaf if leaves[leaf] == 1 and words.column_of(item.heading) is None else item.heading
            made += _of_heading(item, spoken, words, only_keys=item.place in never)
    return tuple(sorted(made, key=lambda one: (not one.sure, -one.confidence, one.place)))


def settle(found: Sequence[Candidate]) -> tuple[dict[str, Candidate], dict[str, tuple[Candidate, ...]]]:
    """What is taken without asking, and what is asked.

    Returns:
        The sure candidate of each column that has exactly one; and, for each other column, the candidates that are
        worth a question, of headings that are still free.
    """
    sure: dict[str, Candidate] = {}
    for column in dict.fromkeys(one.column for one in found):
        claims = [one for one in found if one.column == column and one.sure]
        exact = [one for one in claims if one.likeness == KNOWN]
        best = exact or claims
        if len(best) == 1:
            sure[column] = best[0]
    places = Counter(one.place for one in sure.values())
    sure = {column: one for column, one in sure.items() if places[one.place] == 1}
    taken = {one.place for one in sure.values()}
    asked: dict[str, tuple[Candidate, ...]] = {}
    for column in dict.fromkeys(one.column for one in found):
        free = tuple(one for one in found if one.column == column and one.place not in taken)
        worth = tuple(one for one in free if one.confidence >= WORTH_ASKING)
        if column not in sure and worth:
            asked[column] = worth
    return sure, asked


def _normal(heading: str) -> str:
    return " ".join(heading.split()).casefold()


def _leaf(heading: str) -> str:
    """The last name of a path in XML; any other heading as it is."""
    return heading.rpartition("/")[2].lstrip("@") if _PATH.fullmatch(heading) else heading


def _of_heading(item: Surveyed, spoken: str, words: Vocabulary, *, only_keys: bool) -> Iterator[Candidate]:
    plain = plain_words(spoken, words.expand)
    known = words.column_of(spoken)
    ranked = {one.name: one.score for one in words.headings.rank(spoken)}
    if known is not None:
        ranked[known] = KNOWN
    fits = {name: _fit(item, column, words) for name, column in words.columns.items()}
    for name, column in words.columns.items():
        if only_keys and column.type is not ColumnType.KEY:
            continue
        fit, likeness = fits[name], ranked.get(name, 0)
        speaks = _speaks(name, item, words, fits)
        if likeness < RELATED and not speaks:
            continue
        behind = max((score for other, score in ranked.items() if other != name), default=0)
        believed = likeness == KNOWN or not words.about_others(name, plain)
        sure = believed and _sure(likeness, behind, fit, speaks=speaks)
        yield Candidate(column=name, heading=item.heading, place=item.place, likeness=likeness, fit=fit, sure=sure)


def _sure(likeness: int, behind: int, fit: int | None, *, speaks: bool) -> bool:
    if likeness == KNOWN:
        return fit is None or fit >= CONTRADICTED
    if likeness - behind < APART:
        return False
    if fit is None:
        return likeness >= VERY_CLOSE
    return (likeness >= CLOSE and fit >= AGREED) or (likeness >= RELATED and speaks)


def _speaks(name: str, item: Surveyed, words: Vocabulary, fits: Mapping[str, int | None]) -> bool:
    """Whether the content of a category can be nothing else: nearly all of it fits, and no other column comes near."""
    fit = fits[name]
    if fit is None or fit < TELLING or words.columns[name].type is not ColumnType.CATEGORY:
        return False
    others = (fits[other] for other, column in words.columns.items() if other != name and column.codes)
    codes = {words.meaning(name, text).codes[:1] for text in set(item.texts) if words.knows(name, text)}
    return len(codes) >= DIFFERENT_CODES and all(other is None or other < AGREED for other in others)


def _fit(item: Surveyed, column: Column, words: Vocabulary) -> int | None:
    """Per cent of a column's cells that a column of the schema can hold."""
    if not item.texts:
        return None
    texts = Counter(item.texts)
    match column.type:
        case ColumnType.CATEGORY:
            fitting = [text for text in texts if words.knows(column.name, text)]
        case ColumnType.DATE:
            fitting = [text for text in texts if written_as(text) not in {None, Written.MONTH_FIRST}]
        case ColumnType.INTEGER:
            fitting = [text for text in texts if _is_number(text)]
        case ColumnType.KEY:
            return HUNDRED if SHARED_KEY * len(texts) >= len(item.texts) else 0
        case _:
            assert_never(column.type)
    return HUNDRED * sum(texts[text] for text in fitting) // len(item.texts)


def _is_number(text: str) -> bool:
    whole, _, part = text.lstrip("£").replace(",", "").partition(".")
    return whole.isdigit() and len(whole) <= 4 and (not part or part.isdigit())  # noqa: PLR2004 - no bound of the schema is longer
