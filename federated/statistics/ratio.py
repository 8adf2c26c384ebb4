"""Ratio of two sums over households: all nights by all placements, all cost by all nights.

A household's totals a and b of the two measures in a cell are held within their bounds. With A and B for the largest
absolute totals that the bounds allow, and u = B / gcd(A, B) and w = A / gcd(A, B), two numbers are kept for each cell:
each household adds (u a + w b, u a - w b). Half their sum is u times the sum of a, half their difference w times that
of b. The second measure's lower bound is at least 1, so that the ratio has bounds of its own.

Sensitivity. |u a + w b| + |u a - w b| = 2 max(|u a|, |w b|), and u A = w B = A B / gcd(A, B), so that the l1 distance
is 2 u A in each of at most kappa = `max_cells` different cells. The squares add up to 2 (u a)^2 + 2 (w b)^2, at most
4 (u A)^2. Both are reached by the household with the largest totals: 2 kappa u A and 4 kappa (u A)^2. For large bounds
the numbers are counted in steps (`federated.statistics.steps`).

Why these two. Any multiples of the two sums would do; u and w let both parts weigh alike. The two sums themselves, so
multiplied, have the same l1 distance 2 u A. Turned by 45 degrees as here they have it, too, while half of each noise is
left when they are put together again: for Laplace noise the error is smaller by the square root of 2, for Gaussian
noise it is the same.

The interval is that of a ratio of weighted sums (`federated.statistics.ratio_interval`; Fieller 1954), and it is about
the noise alone: what a perfect reading of the records would give. The standard error is that of the noise, to first
order.
"""

from collections.abc import Sequence
from math import gcd
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.errors import QueryError
from federated.privacy.laws import ReleasedNoise
from federated.query.measures import Measured
from federated.query.model import Period, Table
from federated.schema import Dataset
from federated.statistics.base import CellEstimate, Contribution, Figures, Layout, Sensitivity, Term
from federated.statistics.figure_columns import FigureColumn, estimates_of
from federated.statistics.noise_sums import NoiseSums
from federated.statistics.ratio_interval import Ratio
from federated.statistics.steps import in_steps, step_for
from federated.statistics.tables import check_breakdowns, check_takes, table_layout

code: Final = "ratio"
title: Final = "Ratio of sums"
figures: Final = Figures.FRACTION
BLOCKS: Final = ("together", "apart")


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse anything but two measures, and a bottom that can be 0."""
    check_takes(table, measures=2)
    check_breakdowns(table, one_cell_each=True)
    if table.measures[1].low < 1:
        raise QueryError(
            f"Table '{table.name}' divides by a measure from {table.measures[1].low}: the ratio could be anything.",
            remedy="Give the second measure a lower bound of 1 or more; a smaller total then counts as that.",
        )


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """Two numbers per cell."""
    return table_layout(table, dataset, period, regions, blocks=BLOCKS)


def contribution(table: Table) -> Contribution:
    """(u a + w b, u a - w b) in each of at most `max_cells` different cells."""
    top, bottom = _multiples(table)
    return Contribution(
        per="household",
        measures=table.measures,
        max_cells=table.max_cells,
        blocks=tuple(
            (Term(coefficient=top, factors=(0,)), Term(coefficient=sign * bottom, factors=(1,))) for sign in (1, -1)
        ),
        step=_step(table),
    )


def sensitivity(table: Table) -> Sensitivity:
    """At most `max_cells` cells; in each, two numbers change by 2 u A together."""
    most = _most(table)
    one = in_steps(l1=2 * most, l2_squared=4 * most**2, numbers=len(BLOCKS), step=_step(table))
    return Sensitivity(l1=table.max_cells * one.l1, l2_squared=table.max_cells * one.l2_squared)


def decode(table: Table, layout: Layout, totals: NDArray[np.float64], noise: ReleasedNoise) -> tuple[CellEstimate, ...]:
    """The ratio, with its interval.

    Where the bottom does not clearly exceed its noise, the ratios that are possible may be without end. Nothing is said
    then: the interval is the widest that the clip bounds allow, and the coverage declared is 1. The estimate is not a
    number where the noisy bottom is not positive.

    Shapes:
        `totals` is `(2 * layout.categories,)`.
    """
    together, apart = totals.reshape(2, layout.categories)
    top, bottom = _multiples(table)
    each = np.ones((layout.categories, 2))
    ratio = Ratio(
        top=(together + apart) / (2 * top),
        bottom=(together - apart) / (2 * bottom),
        top_weights=each / (2 * top),
        bottom_weights=each * (1.0, -1.0) / (2 * bottom),
    )
    sums = NoiseSums.of(noise, step=_step(table))
    return estimates_of(layout, (FigureColumn.of_ratio(ratio, sums, possible=_possible(table)),))


def _possible(table: Table) -> tuple[float, float]:
    """The smallest and the largest ratio of sums of totals within their bounds; the bottom's are above 0."""
    top, bottom = table.measures
    ends = [a / b for a in (top.low, top.high) for b in (bottom.low, bottom.high)]
    return min(ends), max(ends)


def _multiples(table: Table) -> tuple[int, int]:
    """The multiples u and w."""
    top, bottom = (_largest(item) for item in table.measures)
    shared = gcd(top, bottom)
    return bottom // shared, top // shared


def _largest(measured: Measured) -> int:
    return max(abs(measured.low), abs(measured.high))


def _most(table: Table) -> int:
    """The most that u a or w b can be: u A."""
    return _multiples(table)[0] * _largest(table.measures[0])


def _step(table: Table) -> int:
    return step_for(2 * table.max_cells * _most(table))
