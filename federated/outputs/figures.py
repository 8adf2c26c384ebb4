"""The columns of a released table and its rows, typed: what the tidy file, its metadata, Parquet and sheets share."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from federated.presentation import presented
from federated.release import CellRecord, Release, TableRecord, labels_of

__all__ = ["Column", "Value", "axis_columns", "columns_of", "number_text", "printed", "rows_of"]

Value = str | float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table.

    Attributes:
        name: In the header.
        title: What stands in it.
        is_number: Whether its values are numbers, rather than text.
    """

    name: str
    title: str
    is_number: bool = False


PERIOD = Column(name="period", title="Data period, first and last day")
GEOGRAPHY = Column(name="geography", title="Councils the figures are over")
PRESENTED = Column(name="presented", title="Figure as printed: rounded, with shorthand")
CAVEAT = Column(name="caveat", title="What must be said of this table")
FIGURES = (
    Column(name="estimate", title="Estimate, not rounded; may be below zero", is_number=True),
    Column(name="standard_error", title="Standard error of the noise", is_number=True),
    Column(name="low", title="Lower end of the interval", is_number=True),
    Column(name="high", title="Upper end of the interval", is_number=True),
    Column(name="coverage", title="Chance that such an interval holds the figure without noise", is_number=True),
)


def axis_columns(table: TableRecord) -> tuple[Column, ...]:
    """Code and label along each breakdown."""
    return tuple(
        column
        for axis in table.axes
        for column in (
            Column(name=axis.name, title=f"{axis.name}, code"),
            Column(name=f"{axis.name}_label", title=f"{axis.name}, label"),
        )
    )


def columns_of(table: TableRecord) -> tuple[Column, ...]:
    """The columns of a table, in order. The caveat is one of them, as a file is copied without its metadata."""
    last = (CAVEAT,) if table.caveat else ()
    return (PERIOD, GEOGRAPHY, *axis_columns(table), *FIGURES, PRESENTED, *last)


def rows_of(release: Release, table: TableRecord) -> Iterator[tuple[Value, ...]]:
    """The rows of a table, one for each cell, under `columns_of`; None where nothing can be said."""
    last = (table.caveat,) if table.caveat else ()
    for cell in table.cells:
        keys = (text for pair in zip(cell.codes, labels_of(table.axes, cell.codes), strict=True) for text in pair)
        figures = (cell.estimate, cell.standard_error, cell.low, cell.high, cell.coverage)
        yield (release.period, release.level_label, *keys, *figures, printed(release, table, cell), *last)


def printed(release: Release, table: TableRecord, cell: CellRecord) -> str:
    """The figure of a cell as a publication prints it."""
    return presented(table, cell, national=release.level_label == "England")


def number_text(value: float | None) -> str:
    """A number as a text file holds it: the shortest that reads back exactly, ``INF`` as the W3C writes it, or nothing.

    References:
        W3C XML Schema 1.1 part 2, 3.3.5, which CSVW numbers follow.
    """
    if value is None:
        return ""
    if abs(value) == inf:
        return "INF" if value > 0 else "-INF"
    return repr(float(value)).removesuffix(".0")
