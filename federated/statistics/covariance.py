"""Covariance and correlation of two household totals in a cell, over households.

For the two measures let a and c be how far a household's clipped total lies above its lower bound and below its upper,
so that a_x + c_x = B_x and a_y + c_y = B_y. Six numbers are kept for each cell: u a_x a_y, u a_x c_y, u c_x a_y and
u c_x c_y, and v_x a_x c_x and v_y a_y c_y. The first four tell the number of households, both means and the covariance;
the last two, with the means, both variances. The weights are u = n d, v_x = n^2 and v_y = d^2, where n / d is a simple
fraction near B_y / B_x: so all parts weigh alike, whatever the units are.

Sensitivity. All six are at least 0. The first four add up to u B_x B_y, and a c is a whole number from 0 to
m = floor(B^2 / 4). So the l1 distance is u B_x B_y + v_x m_x + v_y m_y in each of at most kappa = `max_cells` different
cells. With x = a_x c_x and y = a_y c_y the squares add up to
u^2 (B_x^2 - 2 x) (B_y^2 - 2 y) + v_x^2 x^2 + v_y^2 y^2, which bends upwards in x and in y: the most is at one of the
four corners of [0, m_x] x [0, m_y]. For large bounds the numbers are counted in steps (`federated.statistics.steps`).

Why these. The first four are to the covariance what the three numbers of `variance` are to the variance: alone, none
would have a smaller worst error. The last two are there for the correlation. They add half to the l1 distance and
nothing to the l2 distance. Their weight makes the worst error of a variance under Laplace noise near the least that it
can be with these six: 2.60 times what `variance` has, against 3.06 at half the weight and 3.00 at twice it.

Intervals are about the noise alone: what a perfect reading of the records would give. Both figures' go by derivatives,
so they are right to first order and are given only where their bottom clearly exceeds its noise
(`federated.statistics.ratio_interval`). Standard errors are those of the noise, to first order.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import product
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

code: Final = "covariance"
title: Final = "Covariance and correlation"
figures: Final = Figures.FRACTION
BLOCKS: Final = ("above_above", "above_below", "below_above", "below_below", "first_spread", "second_spread")
FIGURES: Final = (("covariance", "Covariance"), ("correlation", "Correlation"))
NEAR: Final = Fraction(1, 10)
"""How near n / d is to the ratio of the ranges: nearer makes larger numbers and nothing else."""

Floats = NDArray[np.float64]


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse anything but two measures."""
    check_takes(table, measures=2)
    check_breakdowns(table, one_cell_each=True)


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """Six numbers per cell, and two figures printed of each."""
    return printed(table_layout(table, dataset, period, regions, blocks=BLOCKS), ("figure", FIGURES))


def contribution(table: Table) -> Contribution:
    """The six products in each of at most `max_cells` different cells."""
    (above_x, below_x), (above_y, below_y) = (
        (above_low(place, item), below_high(place, item)) for place, item in enumerate(table.measures)
    )
    both, first, second = _weights(table)
    return Contribution(
        per="household",
        measures=table.measures,
        max_cells=table.max_cells,
        blocks=(
            *(product_of(x, y, times=both) for x, y in product((above_x, below_x), (above_y, below_y))),
            product_of(above_x, below_x, times=first),
            product_of(above_y, below_y, times=second),
        ),
        step=_step(table),
    )


def sensitivity(table: Table) -> Sensitivity:
    """At most `max_cells` cells; in each, six numbers change by the worst of the four corners together."""
    (width_x, width_y), (both, first, second) = _widths(table), _weights(table)
    corners = product((0, width_x**2 // 4), (0, width_y**2 // 4))
    squares = max(
        both**2 * (width_x**2 - 2 * x) * (width_y**2 - 2 * y) + (first * x) ** 2 + (second * y) ** 2 for x, y in corners
    )
    one = in_steps(l1=_most(table), l2_squared=squares, numbers=len(BLOCKS), step=_step(table))
    return Sensitivity(l1=table.max_cells * one.l1, l2_squared=table.max_cells * one.l2_squared)


def decode(table: Table, layout: Layout, totals: Floats, noise: ReleasedNoise) -> tuple[CellEstimate, ...]:
    """Covariance and correlation of every cell, each with its interval.

    Where the numbers do not clearly exceed their noise nothing is said: the interval is the widest that there can be,
    and the coverage declared is 1. A covariance is not a number where the noisy count is not positive, a correlation
    where one of the noisy variances is not.

    Shapes:
        `totals` is `(6 * layout.categories,)`.
    """
    sums = NoiseSums.of(noise, step=_step(table))
    (width_x, width_y), (both, first, second) = _widths(table), _weights(table)
    # In units of the first four numbers over u: a_x c_x B_y / B_x and a_y c_y B_x / B_y for the last two.
    units = np.array([1 / both] * 4 + [width_y / (width_x * first), width_x / (width_y * second)])
    numbers = totals.reshape(6, layout.categories) * units[:, None]
    covariance = FigureColumn.of_ratio(_covariance(numbers, units), sums, possible=(-0.25, 0.25))
    correlation = FigureColumn.of_ratio(_correlation(numbers, units), sums, possible=(-1.0, 1.0))
    return estimates_of(layout, (covariance.scaled(width_x * width_y), correlation))


def _covariance(numbers: Floats, units: Floats) -> Ratio:
    """(P R - Q S) / T over T, of the parts of the square that the bounds make, with derivatives in place of weights."""
    top, gradient = _cross(numbers)
    total = numbers[:4].sum(axis=0)
    divisor = np.where(total > 0, total, np.nan)
    return Ratio(
        top=top / divisor,
        bottom=total,
        top_weights=(gradient / divisor).T * units,
        bottom_weights=np.tile([2.0, 2.0, 2.0, 2.0, 0.0, 0.0], (len(total), 1)) * units,
    )


def _correlation(numbers: Floats, units: Floats) -> Ratio:
    """The same top over the root of both variances, all times T^2 and divided by T."""
    top, gradient = _cross(numbers)
    upper_upper, upper_lower, lower_upper, lower_lower, spread_x, spread_y = numbers
    total = numbers[:4].sum(axis=0)
    divisor = np.where(total > 0, total, np.nan)
    variance_x, by_x = _variance(upper_upper + upper_lower, lower_upper + lower_lower, spread_x)
    variance_y, by_y = _variance(upper_upper + lower_upper, upper_lower + lower_lower, spread_y)
    root = np.sqrt(np.where((variance_x > 0) & (variance_y > 0), variance_x * variance_y, np.nan))
    # A derivative by what lies above the bound counts for both numbers above it, and so on.
    nothing = np.zeros_like(total)
    gradient_x = np.stack([by_x[0], by_x[0], by_x[1], by_x[1], by_x[2], nothing])
    gradient_y = np.stack([by_y[0], by_y[1], by_y[0], by_y[1], nothing, by_y[2]])
    gradient_root = (variance_y * gradient_x + variance_x * gradient_y) / (2 * root)
    return Ratio(
        top=top / divisor,
        bottom=root / divisor,
        top_weights=(gradient / divisor).T * units,
        bottom_weights=(gradient_root / divisor).T * units,
    )


def _cross(numbers: Floats) -> tuple[Floats, Floats]:
    """P R - Q S, which is the covariance times T^2, and its derivatives by the six numbers."""
    upper_upper, upper_lower, lower_upper, lower_lower, *_ = numbers
    nothing = np.zeros_like(upper_upper)
    gradient = np.stack([lower_lower, -lower_upper, -upper_lower, upper_upper, nothing, nothing])
    return upper_upper * lower_lower - upper_lower * lower_upper, gradient


def _variance(above: Floats, below: Floats, spread: Floats) -> tuple[Floats, tuple[Floats, Floats, Floats]]:
    """A C - D T, which is a variance times T^2, and its derivatives by A, C and D."""
    total = above + below
    return above * below - spread * total, (below - spread, above - spread, -total)


def _widths(table: Table) -> tuple[int, int]:
    first, second = table.measures
    return first.high - first.low, second.high - second.low


def _weights(table: Table) -> tuple[int, int, int]:
    """u, v_x and v_y."""
    first, second = _widths(table)
    exact = Fraction(second, first)
    # The simplest fraction near enough: denominators grow until one is.
    near = exact
    limit = 1
    while limit < exact.denominator:
        near = exact.limit_denominator(limit)
        if abs(near - exact) <= NEAR * exact:
            break
        near, limit = exact, 2 * limit
    return near.numerator * near.denominator, near.numerator**2, near.denominator**2


def _most(table: Table) -> int:
    """The most that one household changes the six numbers of one cell by together, before rounding."""
    (width_x, width_y), (both, first, second) = _widths(table), _weights(table)
    return both * width_x * width_y + first * (width_x**2 // 4) + second * (width_y**2 // 4)


def _step(table: Table) -> int:
    return step_for(table.max_cells * _most(table))
