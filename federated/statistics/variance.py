"""Mean, variance and standard deviation over households of their clipped totals in a cell.

Three numbers are kept for each cell. With clip bounds low and high, B = high - low and v a household's clipped total,
let a = v - low and c = high - v, so that a + c = B. Each household adds (a^2, 2 a c, c^2). With P, Q and R for their
sums and T = P + Q + R, the number of households is T / B^2, the mean is low + B (P + Q/2) / T, and the variance (over
the households there are, so divided by their number) is B^2 (P R - Q^2 / 4) / T^2.

Sensitivity. The three numbers of a household are at least 0 and add up to (a + c)^2 = B^2, so the l1 distance is B^2 in
each of at most kappa = `max_cells` different cells. With x = a c, their squares add up to B^4 - 4 B^2 x + 6 x^2; as
x <= B^2 / 4, that is at most B^4 - 5/2 B^2 x, so the squared l2 distance is at most B^4, reached at both bounds:
kappa B^2 and kappa B^4. For large B they are counted in steps (`federated.statistics.steps`).

Why these three. Noise of one size on m numbers moves the variance by |w| / N times that size, where the weights w give
(v - mean)^2 - variance as a combination of what a household adds. By Cauchy-Schwarz |w| times the l2 distance, and so
|w| times the l1 distance, is at least the largest |(v - mean)^2 - variance| there can be, which is B^2 (everyone at one
bound). These three numbers reach that for both mechanisms, so no choice has a smaller worst error. A count, a sum and a
sum of squares about the middle, as weighted best, are as good for Gaussian noise and 1.7 times worse for Laplace noise.

Intervals are about the noise alone: what a perfect reading of the records would give. The mean's is that of a ratio of
weighted sums; the variance's goes by derivatives, and is given where T exceeds four times what noise alone reaches
(`federated.statistics.ratio_interval`). The standard deviation is the square root of the variance, with the roots of
its ends. A variance cannot be below 0: one near 0 is held up to 97.5 times in 100. Standard errors are those of the
noise, to first order.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.privacy.laws import ReleasedNoise
from federated.query.model import Period, Table
from federated.schema import Dataset
from federated.statistics.base import CellEstimate, Contribution, Figures, Layout, Sensitivity
from federated.statistics.bound_distances import above_low, below_high, product_of
from federated.statistics.figure_columns import FigureColumn, estimates_of
from federated.statistics.noise_sums import NoiseSums
from federated.statistics.ratio_interval import Ratio
from federated.statistics.steps import in_steps, step_for
from federated.statistics.tables import check_breakdowns, check_takes, printed, table_layout

code: Final = "variance"
title: Final = "Mean and spread"
figures: Final = Figures.FRACTION
BLOCKS: Final = ("above_squared", "above_times_below", "below_squared")
FIGURES: Final = (("mean", "Mean"), ("variance", "Variance"), ("standard_deviation", "Standard deviation"))


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse a variance of anything but one measure."""
    check_takes(table, measures=1)
    check_breakdowns(table, one_cell_each=True)


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """Three numbers per cell, and three figures printed of each."""
    return printed(table_layout(table, dataset, period, regions, blocks=BLOCKS), ("figure", FIGURES))


def contribution(table: Table) -> Contribution:
    """(a^2, 2 a c, c^2) in each of at most `max_cells` different cells."""
    (measured,) = table.measures
    above, below = above_low(0, measured), below_high(0, measured)
    return Contribution(
        per="household",
        measures=table.measures,
        max_cells=table.max_cells,
        blocks=(product_of(above, above), product_of(above, below, times=2), product_of(below, below)),
        step=_step(table),
    )


def sensitivity(table: Table) -> Sensitivity:
    """At most `max_cells` cells; in each, three numbers of one sign that add up to B^2 change."""
    square = _width(table) ** 2
    one = in_steps(l1=square, l2_squared=square**2, numbers=len(BLOCKS), step=_step(table))
    return Sensitivity(l1=table.max_cells * one.l1, l2_squared=table.max_cells * one.l2_squared)


def decode(table: Table, layout: Layout, totals: NDArray[np.float64], noise: ReleasedNoise) -> tuple[CellEstimate, ...]:
    """The three figures of every cell, each with its interval.

    Where the numbers do not clearly exceed their noise nothing is said: the interval is the widest that the clip bounds
    allow, and the coverage declared is 1. An estimate is not a number where the noisy count is not positive.

    Shapes:
        `totals` is `(3 * layout.categories,)`.
    """
    numbers = totals.reshape(3, layout.categories)
    sums = NoiseSums.of(noise, step=_step(table))
    low, width = table.measures[0].low, _width(table)
    mean = FigureColumn.of_ratio(_mean(numbers), sums, possible=(0.0, 1.0)).scaled(width, low)
    # Nobody can be further than half the width from the middle: no variance is above a quarter of its square.
    variance = FigureColumn.of_ratio(_variance(numbers), sums, possible=(0.0, 0.25)).scaled(width**2)
    return estimates_of(layout, (mean, variance, variance.square_root()))


def _mean(numbers: NDArray[np.float64]) -> Ratio:
    """(P + Q/2) / T, the mean's place between the bounds."""
    p, q, r = numbers
    weights = np.ones((len(p), 3))
    return Ratio(top=p + q / 2, bottom=p + q + r, top_weights=weights * (1.0, 0.5, 0.0), bottom_weights=weights)


def _variance(numbers: NDArray[np.float64]) -> Ratio:
    """(P R - Q^2 / 4) / T over T, with derivatives of P R - Q^2 / 4 and T^2, both divided by T, in place of weights."""
    p, q, r = numbers
    total = p + q + r
    divisor = np.where(total > 0, total, np.nan)
    return Ratio(
        top=(p * r - q**2 / 4) / divisor,
        bottom=total,
        top_weights=np.stack([r, -q / 2, p], axis=1) / divisor[:, None],
        bottom_weights=np.full((len(p), 3), 2.0),
    )


def _width(table: Table) -> int:
    (measured,) = table.measures
    return measured.high - measured.low


def _step(table: Table) -> int:
    return step_for(table.max_cells * _width(table) ** 2)
