"""A release at a terminal, and any table of figures with their intervals."""

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Protocol

from rich.table import Table as Grid

from federated.presentation import Interval, councils_words, margin
from federated.release import AxisRecord, Release, labels_of
from federated.revisions import provisional_words
from federated.shell import output

__all__ = ["PrintedCell", "cells_grid", "interval_words", "print_release"]


class PrintedCell(Interval, Protocol):
    """What a line is printed of: a cell of a release or of an analysis."""

    @property
    def codes(self) -> tuple[str, ...]:
        """Its category along each axis."""

    @property
    def estimate(self) -> float | None:
        """The figure; None where nothing can be said."""

    @property
    def coverage(self) -> float:
        """Chance that such an interval holds the figure without noise."""


def print_release(release: Release) -> None:
    """A release as tables, with what to know about it."""
    output.print(f"\n{release.title}", style="bold", markup=False)
    output.print(f"{release.level_label}, {release.period}. {release.note}", markup=False)
    output.print(councils_words(release), markup=False)
    if release.data_cut_off:
        output.print(f"Data cut-off: {release.data_cut_off}.")
        if provisional := provisional_words(release):
            output.print(provisional)
    for table in release.tables:
        if table.caveat:
            output.print(table.caveat, markup=False)
        output.print(cells_grid(table.name, table.axes, table.cells))


def cells_grid(name: str, axes: Sequence[AxisRecord], cells: Iterable[PrintedCell], *, digits: int = 2) -> Grid:
    """The cells of a release, or of an analysis, with their intervals."""
    grid = Grid(*(axis.name for axis in axes), "Estimate", "Margin ±", "95% interval", "Coverage", title=name)
    for cell in cells:
        grid.add_row(
            *labels_of(axes, cell.codes),
            "not available" if cell.estimate is None else f"{cell.estimate:,.{digits}f}",
            f"{margin(cell):.{digits}f}" if isfinite(margin(cell)) else "open",
            interval_words(cell, digits),
            f"{100 * cell.coverage:.1f}%",
        )
    return grid


def interval_words(cell: PrintedCell, digits: int) -> str:
    """An interval as it is printed, open ends in words."""
    low, high = (f"{end:,.{digits}f}" if isfinite(end) else "" for end in (cell.low, cell.high))
    match low, high:
        case "", "":
            return "not judged"
        case _, "":
            return f"{low} or more"
        case "", _:
            return f"{high} or less"
        case _:
            return f"{low} to {high}"
