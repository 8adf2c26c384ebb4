"""What every statistic says about itself: its cells, its contribution rule, its sensitivity, its decoding.

A statistic is one module with four functions (`layout`, `contribution`, `sensitivity`, `decode`). The council
never receives code: a `Contribution` is one declarative form that the node's own DuckDB step evaluates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import prod
from typing import Literal, Protocol, Self, assert_never

import numpy as np
from numpy.typing import NDArray

from federated.privacy.laws import ReleasedNoise
from federated.privacy.mechanism import Mechanism
from federated.query.measures import Measured
from federated.query.model import Period, Table
from federated.schema import Dataset

TARGET_COVERAGE_PERCENT = 95


class Figures(StrEnum):
    """What a statistic's figures are, which decides how they are rounded in print."""

    COUNT = "count"
    """How many; a small one is not shown."""
    TOTAL = "total"
    """A sum in the measure's unit."""
    FRACTION = "fraction"
    """Anything that is not a whole number: a mean, a share, a number of days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One breakdown of a table: a public, closed list of categories, in printed order."""

    name: str
    codes: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where a table's numbers stand in its vector, and what is printed of them.

    Attributes:
        axes: Breakdowns; the region axis, when there is one, comes first.
        blocks: Names of the numbers kept per cell, for example ``("households",)``.
        figures: What is printed, where that is not one figure for each cell: the axes of the printed table.

    Shapes:
        `(len(blocks) * categories,)`: block by block, and row-major over the axes within a block.
    """

    axes: tuple[Axis, ...]
    blocks: tuple[str, ...]
    figures: tuple[Axis, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of categories along each axis; `()` for a single total."""
        return tuple(len(axis.codes) for axis in self.axes)

    @property
    def categories(self) -> int:
        """Combinations of categories that are counted."""
        return prod(self.shape)

    @property
    def cells(self) -> int:
        """Length of the table's part of the vector."""
        return len(self.blocks) * self.categories

    @property
    def printed(self) -> tuple[Axis, ...]:
        """The axes of the table as printed."""
        return self.axes if self.figures is None else self.figures

    @property
    def printed_cells(self) -> int:
        """Cells of the table as printed."""
        return prod(len(axis.codes) for axis in self.printed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """How much one privacy unit can change the table's integer vector.

    Attributes:
        l1: Largest sum of absolute changes of what is sent under Laplace noise.
        l2_squared: Largest sum of squared changes of what is sent under Gaussian noise: the same numbers, unless the
            contribution has `prefix_bits`.
    """

    l1: int
    l2_squared: int


class Times(StrEnum):
    """What a term is multiplied by at the point of the curve where the row stands."""

    ONE = "one"
    MEAN = "mean"
    WEIGHT = "weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A whole-number multiple of a product of measures: one summand of what a household adds to a number.

    Attributes:
        coefficient: The multiple.
        factors: Places of the measures multiplied; one may be there twice, and none makes the product 1.
        times: What the row's curve gives, multiplied in as well.
    """

    coefficient: int
    factors: tuple[int, ...] = ()
    times: Times = Times.ONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Banding:
    """One more axis inside a cell: which band of public edges a measure lies in.

    Attributes:
        measure: Place of the measure.
        edges: Rising cut points; band i holds values from ``edges[i - 1]`` to below ``edges[i]``, so that there is
            one band more than edges.
    """

    measure: int
    edges: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A public table of whole numbers, and the public line that says at which of its points a row stands.

    The line is t = (sum of b_j (start_j + slope_j x_j)) / width for the round's coefficients b and the row's clipped
    measures x; the row stands at the point nearest to t (upwards from half way), held within the table.

    Attributes:
        line: (slope, start, place of the measure) of each coordinate; for the constant the place is None.
        width: Of one point.
        first: The number of the first point.
        limit: Largest coefficient, either way.
        means: By point.
        weights: By point.
    """

    line: tuple[tuple[int, int, int | None], ...]
    width: int
    first: int
    limit: int
    means: tuple[int, ...] = field(repr=False)
    weights: tuple[int, ...] = field(repr=False)

    def table(self, times: Times) -> tuple[int, ...]:
        """What terms of that kind are multiplied by, point by point."""
        match times:
            case Times.ONE:
                return (1,) * len(self.means)
            case Times.MEAN:
                return self.means
            case Times.WEIGHT:
                return self.weights
            case _:
                assert_never(times)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """How a council turns its rows into the vector; the whole of what a node can be asked to compute.

    For ``per == "household"``: a household's rows of one cell are taken together, each measure added up over them.
    For ``per == "row"`` every row stands for itself. At most `max_cells` cells (rows) are kept for each household, by
    a keyed choice. Then each measure is clipped to its bounds, the bands say which inner cell is meant, and every kept
    item adds to each block of that cell the block's terms.

    Attributes:
        per: What is bounded and counted.
        max_cells: Contribution bound.
        blocks: The terms of each block of the layout.
        measures: What is read off the rows; a row where one of them is unknown is left out.
        bands: The layout's last axes, in order; the axes before them are the table's breakdowns.
        step: A council gives each of its numbers as the nearest multiple of this public step, after adding up; the
            numbers of the vector count steps (`federated.statistics.steps`).
        prefix_bits: Where not 0, Gaussian noise is added not to the counts along the last axis but to these put
            through the square root of adding up, in steps of 2^-bits (`federated.statistics.running_totals`).
        pairs: Whether the items are all unordered pairs of a household's kept cells, each cell with itself among them;
            only for one breakdown, per household and without measures. The layout's axis lists the pairs.
        curve: Where terms are multiplied by a function of the row's measures at the round's coefficients.
    """

    per: Literal["household", "row"]
    max_cells: int
    blocks: tuple[tuple[Term, ...], ...]
    measures: tuple[Measured, ...] = ()
    bands: tuple[Banding, ...] = ()
    step: int = 1
    prefix_bits: int = 0

    def under(self, mechanism: Mechanism) -> Self:
        """What a node computes under that noise: under Laplace noise always the plain counts."""
        return self if mechanism is Mechanism.DISCRETE_GAUSSIAN else replace(self, prefix_bits=0)

    pairs: bool = False
    curve: Curve | None = None

    def largest(self) -> int:
        """The most steps that one kept item can add to one number, either way: a bound, exact for linear blocks."""
        # No entry of the rounded matrix is larger than its first.
        return max(-(-max(map(abs, self._range(block))) // self.step) for block in self.blocks) << self.prefix_bits

    def _range(self, block: tuple[Term, ...]) -> tuple[int, int]:
        lowest = highest = 0
        for term in block:
            ends = {term.coefficient}
            if self.curve is not None:
                along = self.curve.table(term.times)
                ends = {term.coefficient * bound for bound in (min(along), max(along))}
            for factor in term.factors:
                measured = self.measures[factor]
                ends = {end * bound for end in (min(ends), max(ends)) for bound in (measured.low, measured.high)}
            lowest, highest = lowest + min(ends), highest + max(ends)
        return lowest, highest


@dataclass(frozen=True, slots=True, kw_only=True)
class CellEstimate:
    """One printed cell: unclipped, unrounded; presentation comes later.

    Attributes:
        codes: The cell's category along each axis.
        estimate: Estimate in the statistic's unit; `nan` when nothing can be said (a mean over no one).
        standard_error: Standard deviation of the noise in the estimate.
        low: Lower end of the interval.
        high: Upper end of the interval.
        coverage: Exact probability, over the noise alone, that an interval made this way holds the true value;
            at least 0.95.
    """

    codes: tuple[str, ...]
    estimate: float
    standard_error: float
    low: float
    high: float
    coverage: float


class Statistic(Protocol):
    """The interface of one statistic."""

    @property
    def code(self) -> str:
        """Name used in questions, for example ``households``."""

    @property
    def title(self) -> str:
        """Name shown to people."""

    @property
    def figures(self) -> Figures:
        """What its figures are."""

    def check(self, table: Table, dataset: Dataset) -> None:
        """Raise `QueryError` when the table asks for something this statistic cannot give."""

    def layout(self, table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
        """Cells needed; `regions` are the (code, label) pairs a region table shows."""

    def contribution(self, table: Table) -> Contribution:
        """How a council computes its vector."""

    def sensitivity(self, table: Table) -> Sensitivity:
        """Sensitivity of that vector to one privacy unit, from the contribution bound alone."""

    def decode(
        self, table: Table, layout: Layout, totals: NDArray[np.float64], noise: ReleasedNoise
    ) -> tuple[CellEstimate, ...]:
        """Turn the noisy totals, already divided by the scale, into estimates with intervals.

        Shapes:
            `totals` is `(layout.cells,)`; the result has `layout.printed_cells` entries in row-major order.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundFigures:
    """What one round of several found.

    Attributes:
        coefficients: That it was counted at.
        totals: Noisy totals, divided by the scale.
        noise: Law of the noise in one total.
        councils: Whose figures are in it.

    Shapes:
        `totals` is `(layout.cells,)`.
    """

    coefficients: tuple[int, ...]
    totals: NDArray[np.float64]
    noise: ReleasedNoise
    councils: frozenset[str]


class StatisticInRounds(Statistic, Protocol):
    """A statistic whose answer takes several rounds, each counted at public coefficients that follow from the last.

    Its sensitivity holds for every coefficient within the limit of its curve, because a council does not trust the
    coordinator to choose them well.
    """

    def start(self, table: Table) -> tuple[int, ...]:
        """The coefficients of the first round."""

    def advance(self, table: Table, found: RoundFigures) -> tuple[int, ...]:
        """The coefficients of the round after one."""

    def conclude(self, table: Table, layout: Layout, rounds: Sequence[RoundFigures]) -> tuple[CellEstimate, ...]:
        """Estimates with intervals from all rounds, in their order."""
