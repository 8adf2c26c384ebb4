"""Pages of the answers this council took part in: each table, and on request the council's own figures beside it."""

from dataclasses import dataclass
from typing import Final

from council_node.node_store import DocumentKind
from council_node.page.desk import Asked, Desk, Pages, part_of
from council_node.page.own_figures import OwnFigures, count_own, question_of
from federated.errors import FileProblem
from federated.presentation import SHORTHAND, fraction_text, presented
from federated.query import Query
from federated.release import CellRecord, Release, TableRecord, open_release
from federated.schema import Schema
from federated.statistics import Figures, statistic

__all__ = ["show_beside_own", "show_list", "show_one"]

ROWS: Final = 100
SIZE: Final = 50
SID_DIGITS: Final = 64
ELSEWHERE: Final = "–"
"""Stands where a row is about another region than the council's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a table as printed.

    Attributes:
        label: The categories.
        estimate: The group's figure, rounded, with its mark.
        low: Lower end of the range.
        high: Upper end of the range.
        own: This council's exact figure; None when it was not asked for.
    """

    label: str
    estimate: str
    low: str
    high: str
    own: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableShown:
    """A table as printed, or the part of it that the page shows."""

    name: str
    title: str
    by: str
    caveat: str
    rows: tuple[Row, ...]
    pages: Pages


def show_list(desk: Desk, asked: Asked) -> str:
    """Every answer, newest first."""
    with desk.store() as store:
        found = [open_release(document.body) for document in store.all_latest(DocumentKind.RELEASE)]
    found.sort(key=lambda release: release.created_at, reverse=True)
    shown, pages = part_of(
        len(found), SIZE, asked.wanted.get("page", ""), lambda number: f"{desk.link('answers')}?page={number}"
    )
    return desk.page("answers.html", title="Answers", current="answers", releases=found[shown], pages=pages)


def show_one(desk: Desk, asked: Asked) -> str:
    """One answer."""
    return _answer(desk, asked, _release(desk, asked), None)


def show_beside_own(desk: Desk, asked: Asked) -> str:
    """One answer with the council's own exact figures beside the group's: counted now, for this page alone."""
    release = _release(desk, asked)
    return _answer(desk, asked, release, count_own(desk, release))


def _answer(desk: Desk, asked: Asked, release: Release, own: OwnFigures | None) -> str:
    question = question_of(release)
    address = desk.link("answers", release.sid, *(() if own is None else ("own",)))
    wanted = asked.wanted.get("table", ""), asked.wanted.get("page", "")
    tables = [
        _table(release, question, table, own, desk.schema, address=address, wanted=wanted) for table in release.tables
    ]
    return desk.page(
        "answer.html",
        title=release.title,
        current="answers",
        release=release,
        own=own,
        contributed=[record for record in release.councils if record.outcome == "contributed"],
        absent=[record for record in release.councils if record.outcome != "contributed"],
        tables=tables,
        unit=question.unit,
        elsewhere=any(row.own == ELSEWHERE for table in tables for row in table.rows),
        shorthand=SHORTHAND,
    )


def _release(desk: Desk, asked: Asked) -> Release:
    sid = asked.names["sid"]
    with desk.store() as store:
        document = store.latest(DocumentKind.RELEASE, sid) if len(sid) == SID_DIGITS else None
    if document is None:
        raise FileProblem("There is no answer of that round here.", remedy="The list of answers has all that are kept.")
    return open_release(document.body)


def _table(
    release: Release,
    question: Query,
    table: TableRecord,
    own: OwnFigures | None,
    schema: Schema,
    *,
    address: str,
    wanted: tuple[str, str],
) -> TableShown:
    number = wanted[1] if wanted[0] == table.name else ""
    part, pages = part_of(
        len(table.cells), ROWS, number, lambda page: f"{address}?table={table.name}&page={page}#{table.name}"
    )
    exact = None if own is None else own.values[table.name]
    rows = []
    for cell in table.cells[part]:
        figure = None if exact is None else ELSEWHERE if cell.codes not in exact else _figure(exact[cell.codes], table)
        rows.append(_row(release, table, cell, figure))
    return TableShown(
        name=table.name,
        title=_title(table, question, schema),
        caveat=table.caveat,
        by=" and ".join(_axis(axis.name, question, schema) for axis in table.axes) or "All",
        rows=tuple(rows),
        pages=pages,
    )


def _row(release: Release, table: TableRecord, cell: CellRecord, own: str | None) -> Row:
    labels = [axis.labels[axis.codes.index(code)] for axis, code in zip(table.axes, cell.codes, strict=True)]
    whole = statistic(table.statistic).figures is not Figures.FRACTION
    return Row(
        label=", ".join(labels) or "All",
        estimate=presented(
            cell,
            statistic=table.statistic,
            level=table.level,
            national=release.level_label == "England",
            caveat=table.caveat,
        ),
        low=f"{max(0.0, cell.low):,.0f}" if whole else fraction_text(cell.low),
        high=f"{max(0.0, cell.high):,.0f}" if whole else fraction_text(cell.high),
        own=own,
    )


def _figure(exact: float | None, table: TableRecord) -> str:
    if exact is None:
        return "nobody"
    return fraction_text(exact) if statistic(table.statistic).figures is Figures.FRACTION else f"{exact:,.0f}"


def _title(table: TableRecord, question: Query, schema: Schema) -> str:
    """What the figures are, in words."""
    read = " and ".join(_axis(measure.what, question, schema) for measure in table.measures)
    of = f" of {read}" if read else ""
    by = ", ".join(_axis(axis.name, question, schema) for axis in table.axes)
    return f"{table.title}{of}" + (f" by {by}" if by else "")


def _axis(name: str, question: Query, schema: Schema) -> str:
    """A breakdown in words: its label in the schema; a date's is its column's, with the length of its steps.

    The second side of a square of pairs is ``with_`` its column.
    """
    columns = schema.dataset(question.dataset).columns
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
