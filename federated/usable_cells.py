"""How exact the printed figures of a plan would be, judged on expected figures: margins, and the share usable.

A cell is usable when its margin is within a fifth of its figure, as `federated.presentation` marks it. Figures that are
not totals, such as means, have no one margin: theirs comes from decoding the expected totals as a release would.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from federated.errors import FederatedError
from federated.expected_figures import ExpectedFigures
from federated.plan import Plan
from federated.planner import Planner
from federated.privacy import ReleasedNoise
from federated.query import Level, Query
from federated.release import level_label
from federated.statistics import TOTALS, statistic
from federated.statistics.offsets import TARGET_COVERAGE

__all__ = ["CellMargins", "TableUse", "cell_margins", "total_margin", "uses_at_other_levels", "uses_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellMargins:
    """Margins of the printed figures of one table at expected totals.

    Attributes:
        figures: The figure expected in each cell; not a number where nothing could be said.
        margins: Half the width of its interval.

    Shapes:
        Both `(layout.printed_cells,)`.
    """

    figures: NDArray[np.float64]
    margins: NDArray[np.float64]

    @property
    def said(self) -> NDArray[np.float64]:
        """Margins of the cells in which something is expected."""
        return self.margins[np.isfinite(self.figures)]

    @property
    def typical(self) -> float:
        """The median margin of those; infinite when there are none."""
        return float(np.median(self.said)) if self.said.size else float("inf")

    @property
    def widest(self) -> float:
        """The widest margin of those; infinite when there are none."""
        return float(self.said.max(initial=0.0)) if self.said.size else float("inf")

    def usable(self, within: Fraction) -> Fraction:
        """The share of all cells whose margin is at most `within` times the figure; a figure of 0 is never usable."""
        good = (np.abs(self.figures) > 0) & (self.margins <= float(within) * np.abs(self.figures))
        return Fraction(int(good.sum()), len(self.figures))


@dataclass(frozen=True, slots=True, kw_only=True)
class TableUse:
    """How much of a table could be used, at one level.

    Attributes:
        level: The level in words.
        table: Name of the table.
        cells: Cells as printed.
        usable: Share of them within the margin asked about.
        typical: The median margin of the printed figures.
        widest: The widest.
        scaled: Whether the expected figures were scaled to these councils.
        problem: Why the question cannot be asked at this level; the figures are then none.
    """

    level: str
    table: str
    cells: int = 0
    usable: Fraction = Fraction(0)
    typical: float = float("inf")
    widest: float = float("inf")
    scaled: bool = False
    problem: str = ""


def cell_margins(plan: Plan, index: int, totals: NDArray[np.float64]) -> CellMargins:
    """Decode expected totals as a release of every council asked would be.

    Shapes:
        `totals` is `(layout.cells,)`.
    """
    planned = plan.tables[index]
    everyone = len(plan.eligible)
    noise = plan.released_noise(index, joined=everyone, contributors=everyone)
    if planned.table.statistic in TOTALS:
        return CellMargins(figures=totals, margins=np.full(len(totals), total_margin(noise)))
    cells = statistic(planned.table.statistic).decode(planned.table, planned.layout, totals, noise)
    return CellMargins(
        figures=np.array([cell.estimate for cell in cells]),
        margins=np.array([(cell.high - cell.low) / 2 for cell in cells]),
    )


def total_margin(noise: ReleasedNoise) -> float:
    """Half the width of the interval of a total, in its own unit."""
    return float(noise.half_width(TARGET_COVERAGE)[0])


def uses_of(
    plan: Plan, expected: ExpectedFigures, planner: Planner, *, within: Fraction, level: str
) -> Iterator[TableUse]:
    """How much of each table of a plan could be used."""
    for index, planned in enumerate(plan.tables):
        found = expected.totals(plan, index, planner.schema)
        margins = cell_margins(plan, index, found.totals)
        yield TableUse(
            level=level,
            table=planned.table.name,
            cells=planned.layout.printed_cells,
            usable=margins.usable(within),
            typical=margins.typical,
            widest=margins.widest,
            scaled=found.scaled,
        )


def uses_at_other_levels(
    plan: Plan, expected: ExpectedFigures, planner: Planner, *, within: Fraction
) -> Iterator[TableUse]:
    """The same tables at the same cost, asked of all councils, by region, and of every other group of the agreement.

    A level that this agreement or its councils do not allow is named with the reason.
    """
    for words, question in _elsewhere(plan, planner):
        try:
            other = planner.plan(question)
            yield from uses_of(other, expected, planner, within=within, level=words)
        except FederatedError as refusal:
            yield TableUse(level=words, table="", problem=str(refusal))


def _elsewhere(plan: Plan, planner: Planner) -> Iterator[tuple[str, Query]]:
    asked = plan.question
    for level, words in ((Level.ALL, level_label(plan, planner.schema)), (Level.REGION, "By region")):
        question = replace(asked, tables=tuple(replace(table, level=level) for table in asked.tables))
        if question != asked:
            yield words, question
    for group in planner.agreement.groups:
        if group.name != asked.group:
            tables = tuple(replace(table, level=Level.ALL) for table in asked.tables)
            yield f"All of {group.label}", replace(asked, group=group.name, tables=tables)
