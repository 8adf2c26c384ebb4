"""How a figure is printed: rounding and shorthand, decided by the noisy figure alone.

Differential privacy is the protection; these rules only help a reader, so they may never look at anything but the
release (`docs/privacy-promise.md`). The unrounded estimate stays in the analyst's file, so that sums stay unbiased.
"""

from fractions import Fraction
from math import ceil, floor, isfinite
from typing import Final, Protocol

from federated.crossings import BASE_FACTOR
from federated.query import Level
from federated.release import CellRecord, Release, TableRecord
from federated.statistics import Figures
from federated.statistics import statistic as statistic_of

__all__ = [
    "CONFIDENTIAL",
    "NOT_AVAILABLE",
    "NOT_SHOWN",
    "SHORTHAND",
    "SMALLEST_SHOWN",
    "UNRELIABLE",
    "USABLE_MARGIN",
    "councils_words",
    "fraction_text",
    "margin",
    "may_be_below_zero",
    "presented",
    "range_words",
]

CONFIDENTIAL = "[c]"
UNRELIABLE = "[u]"
NOT_AVAILABLE = "[x]"
SHORTHAND = {
    CONFIDENTIAL: "Estimate under 10, or under 20 where protected characteristics are crossed: not shown.",
    UNRELIABLE: "Margin of error above 20% of the estimate: use with care.",
    NOT_AVAILABLE: "Not available: too few households to say anything.",
}
NOT_SHOWN: Final = frozenset({CONFIDENTIAL, NOT_AVAILABLE})
"""Marks that stand in place of a figure; beside them a range would show what they say is not shown."""
SMALLEST_SHOWN = 10
SMALLEST_DECIMAL: Final = 0.1
USABLE_MARGIN: Final = Fraction(1, 5)
"""A figure is usable when its margin of error is at most this part of it."""
ROUND_TO = {Level.ALL: 10, Level.REGION: 10}
DECIMALS: Final = 2
DIGITS: Final = 9
"""Decimals within which a float is what it was meant to be: 0.95 is a little less."""


class Interval(Protocol):
    """What has two ends, as the cells of releases and of analyses have."""

    @property
    def low(self) -> float:
        """Lower end."""

    @property
    def high(self) -> float:
        """Upper end."""


def margin(cell: Interval) -> float:
    """Half the width of the cell's interval."""
    return (cell.high - cell.low) / 2


def councils_words(release: Release) -> str:
    """Who is in the figures and who is not, in one sentence."""
    missing = [f"{record.name} ({record.outcome})" for record in release.councils if record.outcome != "contributed"]
    return f"{release.contributed} of {len(release.councils)} councils contributed" + (
        f"; missing: {', '.join(missing)}." if missing else "."
    )


def fraction_text(value: float) -> str:
    """A figure that is not a whole number: two decimals, or two digits where these would not show it."""
    return f"{value:.2f}" if value == 0 or abs(value) >= SMALLEST_DECIMAL else f"{value:.2g}"


def presented(table: TableRecord, cell: CellRecord, *, national: bool) -> str:
    """The figure as printed in a publication.

    Args:
        table: That the cell is of; only counts have a smallest figure shown, twice the ordinary one under a caveat.
        cell: The cell.
        national: Whether the group asked is all of England; smaller groups are rounded to 5.
    """
    if cell.estimate is None:
        return NOT_AVAILABLE
    mark = f" {UNRELIABLE}" if margin(cell) > USABLE_MARGIN * abs(cell.estimate) else ""
    figures = statistic_of(table.statistic).figures
    if figures is Figures.FRACTION:
        return f"{fraction_text(cell.estimate)}{mark}"
    if figures is Figures.COUNT and cell.estimate < SMALLEST_SHOWN * (BASE_FACTOR if table.caveat else 1):
        return CONFIDENTIAL
    base = ROUND_TO[Level(table.level)] if national or table.level == Level.REGION else 5
    return f"{_held(table, round(cell.estimate / base) * base):,}{mark}"


def range_words(table: TableRecord, cell: CellRecord) -> str:
    """The cell's interval, from end to end; rounded outwards, so that it holds no less than it promises."""
    return f"{_end(table, cell, cell.low, up=False)} to {_end(table, cell, cell.high, up=True)}"


def _end(table: TableRecord, cell: CellRecord, value: float, *, up: bool) -> str:
    if not isfinite(value):
        return "open"
    outwards = ceil if up else floor
    if statistic_of(table.statistic).figures is Figures.FRACTION:
        decimals = _decimals(cell.estimate)
        steps = 10**decimals
        return f"{outwards(round(value * steps, DIGITS)) / steps:,.{decimals}f}"
    return f"{_held(table, outwards(value)):,}"


def may_be_below_zero(table: TableRecord) -> bool:
    """Whether counts or sums of a table can be below zero: no count is, whatever the noise says; some sums are."""
    return statistic_of(table.statistic).figures is Figures.TOTAL and table.may_be_negative


def _held(table: TableRecord, whole: int) -> int:
    return whole if may_be_below_zero(table) else max(0, whole)


def _decimals(estimate: float | None) -> int:
    """As many as the figure itself is printed with."""
    return max(DECIMALS, len(fraction_text(estimate or 0.0).partition(".")[2]))
