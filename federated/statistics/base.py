"""What every statistic says about itself: its cells, its contribution rule, its sensitivity, its decoding.

A statistic is one module with four functions (`layout`, `contribution`, `sensitivity`, `decode`). The council
never receives code: a `Contribution` is one declarative form that the node's own DuckDB step evaluates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from federated.privacy.laws import ReleasedNoise
from federated.query.model import Period, Table
from federated.schema import Dataset

TARGET_COVERAGE_PERCENT = 95


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One breakdown of a table: a public, closed list of categories, in printed order."""

    name: str
    codes: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where a table's numbers stand in its vector.

    Attributes:
        axes: Breakdowns; the region axis, when there is one, comes first.
        blocks: Names of the numbers kept per cell, for example ``("households",)``.

    Shapes:
        `(len(blocks) * categories,)`: block by block, and row-major over the axes within a block.
    """

    axes: tuple[Axis, ...]
    blocks: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of categories along each axis; `()` for a single total."""
        return tuple(len(axis.codes) for axis in self.axes)

    @property
    def categories(self) -> int:
        """Cells of the table as printed."""
        return prod(self.shape)

    @property
    def cells(self) -> int:
        """Length of the table's part of the vector."""
        return len(self.blocks) * self.categories


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """How much one privacy unit can change the table's integer vector.

    Attributes:
        l1: Largest sum of absolute changes.
        l2_squared: Largest sum of squared changes.
    """

    l1: int
    l2_squared: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """How a council turns its rows into the vector; the whole of what a node can be asked to compute.

    For ``per == "household"``: a household's rows of one cell are taken together, at most `max_cells` cells are
    kept for each household, and every kept one adds `constant + coefficient * v` to each block, where `v` is the
    household's total of `column` in that cell, clipped to `clip`. For ``per == "row"`` at most `max_cells` rows
    are kept for each household and `v` is the row's own value.

    Attributes:
        per: What is bounded and counted.
        column: The whole-number column summed; rows where it is unknown are left out. None for counts.
        clip: Inclusive bounds of `v`; given exactly when `column` is.
        max_cells: Contribution bound.
        blocks: (constant, coefficient) for each block of the layout.
    """

    per: Literal["household", "row"]
    column: str | None
    clip: tuple[int, int] | None
    max_cells: int
    blocks: tuple[tuple[int, int], ...]


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
            `totals` is `(layout.cells,)`; the result has `layout.categories` entries in row-major order.
        """
