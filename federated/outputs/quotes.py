"""A released figure as a sentence that can be quoted: with its interval, who is in it, and what it is not."""

from math import ceil, floor, isfinite
from typing import Final

from federated.outputs.figures import printed
from federated.presentation import CONFIDENTIAL, NOT_AVAILABLE, UNRELIABLE, fraction_text
from federated.release import CellRecord, Release, TableRecord, labels_of
from federated.statistics import Figures, statistic
from federated.statistics.offsets import TARGET_COVERAGE
from federated.timestamps import days

__all__ = ["quote", "quoted_interval", "where_and_when"]

TARGET: Final = int(100 * TARGET_COVERAGE)
DECIMALS: Final = 2
DIGITS: Final = 9
"""Decimals within which a float is what it was meant to be: 0.95 is a little less."""


def quote(release: Release, table: TableRecord, cell: CellRecord) -> str | None:
    """The sentence; None for a figure that is not shown."""
    text = printed(release, table, cell)
    if text in {CONFIDENTIAL, NOT_AVAILABLE}:
        return None
    of = ", ".join(labels_of(table.axes, cell.codes))
    care = " The margin of error is above 20%: use with care." if text.endswith(UNRELIABLE) else ""
    return (
        f"{table.title}{f' ({of})' if of else ''}: an estimated {text.removesuffix(UNRELIABLE).strip()} "
        f"({quoted_interval(table, cell)}), {where_and_when(release)}, from "
        f"{release.contributed} of {len(release.councils)} councils.{care} {release.note}"
    )


def quoted_interval(table: TableRecord, cell: CellRecord) -> str:
    """An interval in words; its ends are rounded outwards, so that it holds no less than it promises."""
    # The chance is at least the aim, so the aim is what is said; a cell that falls short says its own.
    chance = min(TARGET, floor(round(100 * cell.coverage, DIGITS)))
    return f"{chance}% interval {_end(table, cell, cell.low, up=False)} to {_end(table, cell, cell.high, up=True)}"


def _end(table: TableRecord, cell: CellRecord, value: float, *, up: bool) -> str:
    if not isfinite(value):
        return "open"
    figures = statistic(table.statistic).figures
    if figures is Figures.FRACTION:
        decimals = _decimals(cell.estimate)
        steps = 10**decimals
        scaled = round(value * steps, DIGITS)
        return f"{(ceil(scaled) if up else floor(scaled)) / steps:,.{decimals}f}"
    # No count is below zero, whatever the noise says.
    whole = ceil(value) if up else floor(value)
    return f"{max(0, whole) if figures is Figures.COUNT else whole:,}"


def _decimals(estimate: float | None) -> int:
    """As many as the figure itself is printed with."""
    return max(DECIMALS, len(fraction_text(estimate or 0.0).partition(".")[2]))


def where_and_when(release: Release) -> str:
    """Whose figures they are, and of which days, as people write it."""
    return f"{release.level_label}, {days(*release.period.split('/'))}"
