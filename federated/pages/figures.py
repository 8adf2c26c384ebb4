"""The tables of a release as pages print them: rounded figures, their range, and what each row is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from federated.errors import FileProblem
from federated.pages.paging import Pages, part_of
from federated.presentation import NOT_SHOWN, presented, range_words
from federated.query import Query, parse_query
from federated.release import CellRecord, Release, TableRecord
from federated.schema import Schema
from protocols.encoding import canonical_json, sha256

__all__ = ["Row", "TableShown", "axis_words", "question_of", "show_records", "show_table"]

ROWS: Final = 100
"""Rows of a table on one page."""

Beside = Callable[[CellRecord], str]
"""What stands beside a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a table as printed.

    Attributes:
        label: The categories.
        estimate: The figure, rounded, with its mark.
        range: From its lower to its upper end; the mark again where the figure is not shown.
        beside: What the page puts beside the figure; None when it has no such column.
    """

    label: str
    estimate: str
    range: str
    beside: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableShown:
    """A table as printed, or the part of it that the page shows."""

    name: str
    title: str
    by: str
    caveat: str
    rows: tuple[Row, ...]
    pages: Pages


def question_of(release: Release) -> Query:
    """The question that a release answers.

    Raises:
        FileProblem: The release holds another plan than the one it names.
    """
    # The coordinator made the release; what was approved and charged is the plan of this digest.
    if sha256(canonical_json(release.plan)).hex() != release.plan_digest:
        raise FileProblem(
            "The answer holds another plan than the one that was approved.",
            remedy="Ask the coordinator for the answer again, and tell your privacy reviewer.",
        )
    return parse_query(canonical_json(release.plan["question"]), source="plan")


def show_table(
    release: Release,
    question: Query,
    table: TableRecord,
    schema: Schema,
    *,
    address: str,
    wanted: tuple[str, str],
    beside: Beside | None = None,
) -> TableShown:
    """One table, or the part of a long one that is asked for.

    Args:
        release: That it is from.
        question: That the release answers.
        table: The table.
        schema: For labels.
        address: Of the page.
        wanted: Name of a table, and the number of the part asked for; every other table shows its first part.
        beside: Gives the last column; none when left out.
    """
    number = wanted[1] if wanted[0] == table.name else ""
    part, pages = part_of(
        len(table.cells), ROWS, number, lambda page: f"{address}?table={table.name}&page={page}#{table.name}"
    )
    national = release.level_label == "England"
    rows = tuple(_row(table, cell, None if beside is None else beside(cell), national) for cell in table.cells[part])
    return _shown(table, question, schema, rows, pages)


def show_records(tables: Sequence[TableRecord], question: Query, schema: Schema) -> list[TableShown]:
    """Tables that are no release, of a long one only the beginning.

    Args:
        tables: The tables.
        question: That they answer.
        schema: For labels.
    """
    found = []
    for table in tables:
        rows = tuple(_row(table, cell, None, national=False) for cell in table.cells[:ROWS])
        found.append(_shown(table, question, schema, rows, Pages(number=1, last=1, before=None, after=None)))
    return found


def _shown(table: TableRecord, question: Query, schema: Schema, rows: tuple[Row, ...], pages: Pages) -> TableShown:
    return TableShown(
        name=table.name,
        title=_title(table, question, schema),
        caveat=table.caveat,
        by=" and ".join(axis_words(axis.name, question.dataset, schema) for axis in table.axes) or "All",
        rows=rows,
        pages=pages,
    )


def _row(table: TableRecord, cell: CellRecord, beside: str | None, national: bool) -> Row:  # noqa: FBT001 - private
    labels = [axis.labels[axis.codes.index(code)] for axis, code in zip(table.axes, cell.codes, strict=True)]
    estimate = presented(table, cell, national=national)
    return Row(
        label=", ".join(labels) or "All",
        estimate=estimate,
        range=estimate if estimate in NOT_SHOWN else range_words(table, cell),
        beside=beside,
    )


def _title(table: TableRecord, question: Query, schema: Schema) -> str:
    """What the figures are, in words."""
    read = " and ".join(axis_words(measure.what, question.dataset, schema) for measure in table.measures)
    of = f" of {read}" if read else ""
    by = ", ".join(axis_words(axis.name, question.dataset, schema) for axis in table.axes)
    return f"{table.title}{of}" + (f" by {by}" if by else "")


def axis_words(name: str, dataset: str, schema: Schema) -> str:
    """A breakdown in words: its label in the schema; a date's is its column's, with the length of its steps.

    The second side of a square of pairs is ``with_`` its column. What the schema does not know keeps its name.
    """
    known = schema.datasets.get(dataset)
    columns = {} if known is None else known.columns
    if name in columns:
        return _lowered(columns[name].label)
    column, _, part = name.rpartition("_")
    if column in columns:
        return f"{part} of {_lowered(columns[column].label)}"
    beside = name.removeprefix("with_")
    return f"with {_lowered(columns[beside].label)}" if beside in columns else name


def _lowered(label: str) -> str:
    """A label within a sentence; an acronym at its head keeps its capitals."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]
