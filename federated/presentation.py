"""How a figure is printed: rounding and shorthand, decided by the noisy figure alone.

Differential privacy is the protection; these rules only help a reader, so they may never look at anything but the
release (`docs/privacy-promise.md`). The unrounded estimate stays in the analyst's file, so that sums stay unbiased.
"""

from fractions import Fraction
from typing import Final, Protocol

from federated.crossings import BASE_FACTOR
from federated.query import Level
from federated.release import CellRecord, Release
from federated.statistics import Figures
from federated.statistics import statistic as statistic_of

__all__ = [
    "CONFIDENTIAL",
    "NOT_AVAILABLE",
    "SHORTHAND",
    "SMALLEST_SHOWN",
    "UNRELIABLE",
    "USABLE_MARGIN",
    "councils_words",
    "fraction_text",
    "margin",
    "presented",
]

CONFIDENTIAL = "[c]"
UNRELIABLE = "[u]"
NOT_AVAILABLE = "[x]"
SHORTHAND = {
    CONFIDENTIAL: "Estimate under 10, or under 20 where protected characteristics are crossed: not shown.",
    UNRELIABLE: "Margin of error above 20% of the estimate: use with care.",
    NOT_AVAILABLE: "Not available: too few households to say anything.",
}
SMALLEST_SHOWN = 10
SMALLEST_DECIMAL: Final = 0.1
USABLE_MARGIN: Final = Fraction(1, 5)
"""A figure is usable when its margin of error is at most this part of it."""
ROUND_TO = {Level.ALL: 10, Level.REGION: 10}


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


def presented(cell: CellRecord, *, statistic: str, level: str, national: bool, caveat: str = "") -> str:
    """The figure as printed in a publication.

    Args:
        cell: The cell of the release.
        statistic: Code of the statistic; only counts have a smallest figure shown.
        level: Geography of the table.
        national: Whether the group asked is all of England; smaller groups are rounded to 5.
        caveat: The table's own; where it has one, counts are shown from twice the ordinary smallest figure.
    """
    if cell.estimate is None:
        return NOT_AVAILABLE
    mark = f" {UNRELIABLE}" if margin(cell) > USABLE_MARGIN * abs(cell.estimate) else ""
    figures = statistic_of(statistic).figures
    if figures is Figures.FRACTION:
        return f"{fraction_text(cell.estimate)}{mark}"
    if figures is Figures.COUNT and cell.estimate < SMALLEST_SHOWN * (BASE_FACTOR if caveat else 1):
        return CONFIDENTIAL
    base = ROUND_TO[Level(level)] if national or level == Level.REGION else 5
    return f"{max(0, round(cell.estimate / base) * base):,}{mark}"
