"""A release as an accessible spreadsheet (ODS): cover, contents, notes, councils, then one table a sheet.

The layout is that of the Analysis Function's "Releasing statistics in spreadsheets": title in A1, then how many tables
the sheet holds and where its notes are, a header row that is marked as one, and a table without merged, hidden or blank
cells. `federated.outputs.sheet_file` holds what ODS needs.
"""

from collections.abc import Iterator
from typing import Final

from federated.manifest import Manifest
from federated.outputs.facts import facts_of, notes_of, shorthand_rows, table_words
from federated.outputs.figures import Column, axis_columns, printed
from federated.outputs.quotes import where_and_when
from federated.outputs.sheet_file import Content, Kind, Link, Sheet, SheetTable, spreadsheet_bytes
from federated.release import CellRecord, CouncilRecord, Release, TableRecord, labels_of

__all__ = ["MOST_ROWS", "NOT_APPLICABLE", "release_ods", "sheets_of"]

NOT_APPLICABLE: Final = "[z]"
MOST_ROWS: Final = 10_000
"""Rows of all tables of a spreadsheet together. Later tables are in the other files alone: nobody reads as many rows in
a spreadsheet, and writing them would take minutes."""
ELSEWHERE: Final = "Too long for a spreadsheet: in its CSV and Parquet files"
FIGURES: Final = (
    Column(name="presented", title="Figure as printed"),
    Column(name="estimate", title="Estimate, not rounded"),
    Column(name="standard_error", title="Standard error"),
    Column(name="low", title="Interval, lower end"),
    Column(name="high", title="Interval, upper end"),
    Column(name="coverage", title="Chance that the interval holds"),
)


def release_ods(release: Release, manifest: Manifest | None = None) -> bytes:
    """The spreadsheet's bytes, the same for the same release.

    Args:
        release: What to write.
        manifest: Of its question, for decision, recipients and contacts.

    Raises:
        FileProblem: The manifest is not the release's.
    """
    return spreadsheet_bytes(sheets_of(release, manifest), title=release.title, created_at=release.created_at)


def sheets_of(release: Release, manifest: Manifest | None = None) -> tuple[Sheet, ...]:
    """The sheets in order.

    Raises:
        FileProblem: The manifest is not the release's.
    """
    tables = _tables(release)
    listed = (
        _cover(release, manifest),
        _contents(release, tables),
        _notes(release),
        _councils(release),
        *tables.values(),
    )
    return tuple(listed)


def _cover(release: Release, manifest: Manifest | None) -> Sheet:
    lines: list[Content] = [Content(text=release.note)]
    for fact in facts_of(release, manifest):
        lines += [Content(text=fact.heading, kind=Kind.HEADING), *(Content(text=line) for line in fact.lines)]
    return Sheet(name="Cover", title=release.title, lines=tuple(lines))


def _contents(release: Release, tables: dict[str, Sheet]) -> Sheet:
    rows: list[tuple[Content | Link, ...]] = [
        (Link(sheet=name), Content(text=words))
        for name, words in (("Notes", "Shorthand and notes"), ("Councils", "Councils asked, and what became of each"))
    ]
    for table in release.tables:
        sheet = tables.get(table.name)
        where = Content(text=ELSEWHERE) if sheet is None else Link(sheet=sheet.name)
        rows.append((where, Content(text=f"{table_words(release, table)} (table '{table.name}')")))
    return Sheet(
        name="Contents",
        title="Contents",
        lines=(Content(text="This sheet holds one table: the sheets of this file, with links to them."),),
        table=SheetTable(name="contents", heads=("Sheet", "What it holds"), rows=tuple(rows)),
    )


def _notes(release: Release) -> Sheet:
    rows = [*shorthand_rows(release), (NOT_APPLICABLE, "Not applicable.")]
    return Sheet(
        name="Notes",
        title="Notes",
        lines=(
            Content(text="This sheet holds one table: what stands in place of a figure, beside it, or in a title."),
        ),
        table=SheetTable(
            name="notes",
            heads=("Mark", "Meaning"),
            rows=tuple((Content(text=mark), Content(text=meaning)) for mark, meaning in rows),
        ),
    )


def _councils(release: Release) -> Sheet:
    return Sheet(
        name="Councils",
        title="Councils asked, and what became of each",
        lines=(
            Content(text="This sheet holds one table. Shorthand such as [z] is explained on the sheet Notes."),
            Content(text=f"{release.contributed} of {len(release.councils)} councils contributed."),
        ),
        table=SheetTable(
            name="councils",
            heads=("Code", "Council", "Outcome", "Reason", "Date of extract"),
            rows=tuple(tuple(_council(record)) for record in release.councils),
        ),
    )


def _council(record: CouncilRecord) -> Iterator[Content]:
    yield Content(text=record.council)
    yield Content(text=record.name)
    yield Content(text=record.outcome)
    yield Content(text=record.reason or NOT_APPLICABLE)
    yield Content(text=record.extract_date or "not stated")


def _tables(release: Release) -> dict[str, Sheet]:
    """A sheet for each table, by the table's name, as far as there is room."""
    made: dict[str, Sheet] = {}
    rows = 0
    for number, table in enumerate(release.tables, start=1):
        if rows + len(table.cells) <= MOST_ROWS:
            rows += len(table.cells)
            made[table.name] = _table(release, table, number)
    return made


def _table(release: Release, table: TableRecord, number: int) -> Sheet:
    marked = notes_of(release).get(table.name)
    note = "" if marked is None else f" {marked[1]}"
    return Sheet(
        name=f"Table_{number}",
        title=f"Table {number}: {release.title} – {table_words(release, table)}, {where_and_when(release)}{note}",
        lines=(
            Content(text=release.note),
            Content(text="This sheet holds one table. Shorthand and notes are explained on the sheet Notes."),
            Content(text=f"{release.contributed} of {len(release.councils)} councils contributed."),
        ),
        table=SheetTable(
            name=f"table_{number}",
            heads=(*(column.title for column in axis_columns(table)), *(column.title for column in FIGURES)),
            rows=tuple(tuple(_row(release, table, cell)) for cell in table.cells),
        ),
    )


def _row(release: Release, table: TableRecord, cell: CellRecord) -> Iterator[Content]:
    for code, label in zip(cell.codes, labels_of(table.axes, cell.codes), strict=True):
        yield Content(text=code)
        yield Content(text=label)
    yield Content.figure(printed(release, table, cell))
    for value in (cell.estimate, cell.standard_error, cell.low, cell.high):
        yield Content.number(value)
    yield Content.share(cell.coverage)
