"""A mapping file in the making: what is sure is taken, what is not is asked, and the rest is left out.

Only wordings that were taken for a code go into the file, so that nothing a caseworker typed into a list by hand stays
in it. Wordings that mean nothing are counted, shown on the terminal of whoever maps, and forgotten.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Protocol

from council_node.mapping.content import key_warning
from council_node.mapping.form import DateOrder
from council_node.mapping.heading_row import check_heading_row
from council_node.mapping.place import ExtractPlace
from council_node.mapping.proposals import Candidate, Refused, candidates, refused, settle
from council_node.mapping.readable_dates import Written, written_as
from council_node.mapping.survey import MOST_WORDINGS, Surveyed, count_wordings, survey
from council_node.mapping.vocabulary import AGE_BAND, Vocabulary, age_band, joined_columns
from council_node.sources.text_rows import TextSource
from federated.schema import Column, ColumnType
from federated.yaml_document import write_document

__all__ = ["Asker", "Draft", "DraftColumn", "Nobody", "Wording", "draft_mapping"]

AGES: Final = range(16, 111)
HUNDRED: Final = 100


class Asker(Protocol):
    """Whoever answers what is uncertain."""

    def heading(self, column: Column, options: Sequence[Candidate]) -> Candidate | None:
        """Which heading holds a column; None for none of them."""

    def wording(self, column: Column, text: str, rows: int, codes: Sequence[str]) -> str | None:
        """Which code a wording means; None to leave it as not known."""


class Nobody:
    """Nobody is there to ask: what is uncertain is left out."""

    def heading(self, column: Column, options: Sequence[Candidate]) -> Candidate | None:
        """None of them."""
        del column, options
        return None

    def wording(self, column: Column, text: str, rows: int, codes: Sequence[str]) -> str | None:
        """Not known."""
        del column, text, rows, codes
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """A text of a category.

    Attributes:
        text: As written, without surrounding blanks.
        rows: In how many rows it stands.
        code: What it means; None when that is not known.
        understood: Whether the node understands it without being told.
    """

    text: str = field(repr=False)
    rows: int
    code: str | None
    understood: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftColumn:
    """A column of the schema that the mapping will have.

    Attributes:
        candidate: Its heading.
        asked: Whether a person chose it.
        wordings: Its wordings, the commonest first; none unless it is a category.
    """

    candidate: Candidate
    asked: bool
    wordings: tuple[Wording, ...] = ()

    @property
    def rows_unknown(self) -> int:
        """Rows whose wording counts as not known."""
        return sum(wording.rows for wording in self.wordings if wording.code is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A mapping that is not written yet.

    Attributes:
        dates: How dates are written.
        columns: The columns it will have, in the schema's order.
        left_out: Columns that some heading may hold, which nobody confirmed.
        without: Columns that no heading seems to hold.
        unused: Headings that no column is taken from.
        never_read: Columns of the extract that identify people.
        telling_keys: Plain sentences about references that are themselves something identifying.
        month_first: Headings whose dates have the month first, which cannot be read.
        too_various: Columns taken for a category whose heading holds too many different texts to be one.
    """

    dates: DateOrder
    columns: Mapping[str, DraftColumn]
    left_out: Mapping[str, tuple[Candidate, ...]]
    without: tuple[str, ...]
    unused: tuple[str, ...]
    never_read: tuple[Refused, ...]
    telling_keys: tuple[str, ...]
    month_first: tuple[str, ...]
    too_various: tuple[str, ...]

    def document(self, *, dataset: str, system: str | None, place: ExtractPlace) -> dict[str, Any]:
        """The mapping file as plain values."""
        where = place.model_dump(mode="json", exclude_defaults=True, by_alias=True)
        columns = {name: _entry(name, column) for name, column in self.columns.items()}
        head = {"mapping": 1, "dataset": dataset, **({} if system is None else {"system": system})}
        return {**head, **where, "dates": self.dates.value, "columns": columns}

    def text(self, *, dataset: str, system: str | None, place: ExtractPlace) -> str:
        """The mapping file."""
        head = "# Made by `council-node map`. Check it with the housing team; docs/guides/council-it.md explains it.\n"
        document = self.document(dataset=dataset, system=system, place=place)
        return head + write_document(document, width=120)


def draft_mapping(source: TextSource, words: Vocabulary, *, asker: Asker, today: date) -> Draft:
    """Propose a mapping of an extract, asking about what is uncertain. Run by `council-node map`.

    Args:
        source: The extract.
        words: What headings and wordings mean.
        asker: Who answers.
        today: For telling dates of birth.

    Raises:
        FileProblem: The extract cannot be read, or has a case where its headings should be.
        InternalError: The database failed.
    """
    check_heading_row(source.headings, words)
    found = survey(source)
    never = refused(found, words, today=today)
    proposed = candidates(found, words, never=frozenset(item.place for item in never))
    sure, unsure = settle(proposed)
    # What the node joins from the cases by itself is not worth a question.
    uncertain = {name: options for name, options in unsure.items() if name not in joined_columns(words.dataset)}
    chosen, left_out = _ask_headings(sure, uncertain, words, asker)
    by_place = {item.place: item for item in found}
    various = tuple(name for name, one in chosen.items() if _too_various(words.columns[name], by_place[one.place]))
    kept = {name: one for name, one in chosen.items() if name not in various}
    counts = count_wordings(source, [one.place for name, one in kept.items() if words.columns[name].codes])
    columns = {
        name: DraftColumn(
            candidate=kept[name],
            asked=name not in sure,
            wordings=_wordings(words, name, counts.get(kept[name].place, Counter()), asker),
        )
        for name in words.columns
        if name in kept
    }
    dates = [by_place[one.place] for name, one in kept.items() if words.columns[name].type is ColumnType.DATE]
    used = {one.place for one in kept.values()}
    kinds = {item.place: item.kind for item in never}
    return Draft(
        dates=_date_order(dates),
        columns=columns,
        left_out=left_out,
        without=tuple(
            name for name in words.columns if name not in {*chosen, *left_out, *joined_columns(words.dataset)}
        ),
        unused=tuple(item.heading for item in found if item.place not in used and item.place not in kinds),
        never_read=tuple(item for item in never if item.place not in used),
        telling_keys=tuple(
            sentence
            for name, one in kept.items()
            if one.place in kinds and (sentence := key_warning(name, one.heading, kinds[one.place]))
        ),
        month_first=tuple(item.heading for item in found if _month_first(item)),
        too_various=various,
    )


def _ask_headings(
    sure: Mapping[str, Candidate], uncertain: Mapping[str, tuple[Candidate, ...]], words: Vocabulary, asker: Asker
) -> tuple[dict[str, Candidate], dict[str, tuple[Candidate, ...]]]:
    chosen, left_out = dict(sure), {}
    for name, options in uncertain.items():
        taken = {one.place for one in chosen.values()}
        free = tuple(one for one in options if one.place not in taken)
        answer = asker.heading(words.columns[name], free) if free else None
        if answer is not None:
            chosen[name] = answer
        elif free:
            left_out[name] = free
    return chosen, left_out


def _too_various(column: Column, item: Surveyed) -> bool:
    return bool(column.codes) and len(set(item.texts)) > MOST_WORDINGS


def _wordings(words: Vocabulary, name: str, counts: Counter[str], asker: Asker) -> tuple[Wording, ...]:
    """The wordings of a category, each once whatever its case."""
    merged: dict[str, tuple[str, int]] = {}
    for text, rows in counts.most_common():
        first, so_far = merged.get(text.lower(), (text, 0))
        merged[text.lower()] = (first, so_far + rows)
    return tuple(_wording(words, name, text, rows, asker) for text, rows in merged.values())


def _wording(words: Vocabulary, name: str, text: str, rows: int, asker: Asker) -> Wording:
    meaning = words.meaning(name, text)
    if meaning.sure:
        code: str | None = meaning.codes[0]
    elif meaning.codes and _can_be_written(text):
        code = asker.wording(words.columns[name], text, rows, meaning.codes)
    else:
        code = None
    if not meaning.understood and not _can_be_written(text):
        code = None
    return Wording(text=text, rows=rows, code=code, understood=meaning.understood)


def _can_be_written(text: str) -> bool:
    """A file that people check holds no characters that cannot be seen."""
    return all(unicodedata.category(mark) not in {"Cc", "Cf", "Co", "Cs"} for mark in text)


def _entry(name: str, column: DraftColumn) -> dict[str, Any]:
    told = [wording for wording in column.wordings if wording.code is not None and not wording.understood]
    codes = {wording.text: str(wording.code) for wording in told}
    if name == AGE_BAND and any(text.isdigit() for text in codes):
        # Ages that nobody has today are met tomorrow.
        codes |= {str(age): str(age_band(str(age))) for age in AGES}
    entry: dict[str, Any] = {"from": column.candidate.heading}
    return {**entry, "codes": codes} if codes else entry


def _date_order(dates: Sequence[Surveyed]) -> DateOrder:
    """ISO where every date is; day first reads both."""
    ways = Counter(written_as(text) for item in dates for text in item.texts)
    day_first = ways[Written.DAY_FIRST] + ways[Written.EITHER]
    return DateOrder.ISO if ways[Written.ISO] and not day_first else DateOrder.DAY_FIRST


def _month_first(item: Surveyed) -> bool:
    """Whether a column's dates have the month first: some can be nothing else, and none has the day first for sure."""
    ways = Counter(written_as(text) for text in item.texts)
    return HUNDRED * ways[Written.MONTH_FIRST] > len(item.texts) and not ways[Written.DAY_FIRST]
