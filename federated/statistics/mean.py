"""Mean of a whole-number column over households: their clipped totals in a cell, averaged.

Two numbers are kept per cell. With clip bounds low and high and v a household's clipped total, each household adds
(v - low, high - v): how far it lies above the lower bound and below the upper. Their sums A and C give the count,
N = (A + C) / (high - low), and the mean, low + (high - low) A / (A + C).

Sensitivity. With B = high - low, the two numbers of a household are at least 0 and add up to B, so that in each of at
most kappa = `max_cells` different cells the l1 distance is exactly B and the squared l2 distance at most B squared
(at a bound): kappa B and kappa B squared.

Why these two, and not a count and a sum. Every pair of whole-number combinations w + u v of the count and the sum would
do (`protocol.md` 3: weights chosen for the interval). A count with weight w beside the sum measured from the middle,
2v - (low + high), has l1 distance w + B and squared l2 distance w^2 + B^2; the widest interval over all possible means
is narrowest at w = B, for both mechanisms. The pair used here is that best pair turned by 45 degrees. For Gaussian
noise it is exactly as good. For Laplace noise, whose cost is the l1 distance, its intervals are narrower by the square
root of 2: the two extreme households, (0, B) and (B, 0), are corners of the l1 ball, as long as that cost allows.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.privacy.laws import ReleasedNoise
from federated.query.model import Period, Table
from federated.schema import Dataset
from federated.statistics.base import CellEstimate, Contribution, Figures, Layout, Sensitivity, Term
from federated.statistics.figure_columns import FigureColumn, estimates_of
from federated.statistics.tables import check_breakdowns, check_takes, table_layout

code: Final = "mean"
title: Final = "Mean"
figures: Final = Figures.FRACTION
BLOCKS: Final = ("above_low", "below_high")


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse a mean of anything but one measure."""
    check_takes(table, measures=1)
    check_breakdowns(table, one_cell_each=True)


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """Two numbers per cell: the block of totals above the lower bound, then that of totals below the upper."""
    return table_layout(table, dataset, period, regions, blocks=BLOCKS)


def contribution(table: Table) -> Contribution:
    """(v - low, high - v) in each of at most `max_cells` different cells."""
    (measured,) = table.measures
    return Contribution(
        per="household",
        measures=table.measures,
        max_cells=table.max_cells,
        blocks=(
            (Term(coefficient=-measured.low), Term(coefficient=1, factors=(0,))),
            (Term(coefficient=measured.high), Term(coefficient=-1, factors=(0,))),
        ),
    )


def sensitivity(table: Table) -> Sensitivity:
    """At most `max_cells` cells; in each, two numbers of one sign that add up to B change."""
    low, high = _bounds(table)
    reach = high - low
    return Sensitivity(l1=table.max_cells * reach, l2_squared=table.max_cells * reach**2)


def decode(table: Table, layout: Layout, totals: NDArray[np.float64], noise: ReleasedNoise) -> tuple[CellEstimate, ...]:
    """The mean from the two noisy sums, with its confidence interval (`share_interval`), within the clip bounds.

    Where the sums do not clearly exceed their noise nothing is said: the interval is the clip range, which holds the
    mean with certainty, and the coverage declared is 1. The estimate is not a number where the noisy count is not
    positive.

    Shapes:
        `totals` is `(2 * layout.categories,)`.
    """
    low, high = _bounds(table)
    above, below = totals.reshape(2, layout.categories)
    return estimates_of(layout, (FigureColumn.of_share(above, below, noise).scaled(high - low, low),))


def _bounds(table: Table) -> tuple[int, int]:
    (measured,) = table.measures
    return measured.low, measured.high
