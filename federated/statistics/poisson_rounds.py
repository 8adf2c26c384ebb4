"""Poisson regression of a whole number on numbers, by several rounds under one declared budget.

The first measure is the outcome, from 0 to B; the others are the features, row by row; a constant is always there. Rows
where one of them is not known are left out. `poisson` fits closed categories from one small table. Every round sums the
gradient and the Hessian of the log likelihood, and `fit_in_rounds` says how. The mean is the exponential of the
predictor, held within e^-8 and half of B (`poisson_curve`), and the weight is the mean.

Sensitivity. It is that of `fit_in_rounds`. With means up to B the Hessian would not be free: at the mean B a row
without the outcome adds B to both. So means end at B/2. There a row adds at most B/2 to both, and where it can add
nearly B to the gradient the weight is next to 0. And the gradient is multiplied by F, the least whole number with
6 F^2 >= d + 1 for d coordinates: 1 up to 5 coordinates, and 2 up to 12. Then the squared l2 distance at the last point,

    (B/2)^2 F^2 U^4 (d + d (d + 1) / (2 F^2)) <= (B/2)^2 F^2 U^4 (d + 3 d) = B^2 F^2 U^4 d,

is no more than that of the gradient alone. Outcomes above twice their mean are few, so that a bound B that cuts off
little is twice the mean anyway.

How it was chosen: 20,000 made-up rows with outcomes up to 10, a mean of 0.9 and three features, epsilon = 3, 40 runs
of six rounds. The standard error of the constant was 0.024, 0.017 and 0.015 with means up to B and F of 1, 2 and 3, and
0.013 with means up to B/2 and any of these. A larger F hurts elsewhere, because the noise in the Hessian is F times
that in the gradient: with F = 3 and means up to B a sixth of the runs could say nothing, with F = 5 no run could.

Means at the end. A row beyond the table's last point stands at it. Its mean is no exponential any more, and the weight
there is no derivative. So nothing is said of a fit under which any row within the bounds could stand beyond the table.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import isqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.errors import QueryError
from federated.privacy.laws import ReleasedNoise
from federated.query.model import Period, Table
from federated.schema import Dataset
from federated.statistics.base import CellEstimate, Contribution, Figures, Layout, RoundFigures, Sensitivity
from federated.statistics.exponential import ONE
from federated.statistics.fit_in_rounds import MOST_FEATURES, Family, Fit, check_in_rounds
from federated.statistics.poisson_curve import poisson_means
from federated.statistics.tables import check_takes

code: Final = "poisson_rounds"
title: Final = "Poisson regression on numbers"
figures: Final = Figures.FRACTION
LARGEST_OUTCOME: Final = 1000
"""Half of it lies below e^8, where the public table could end."""
LONGEST_STEP: Final = 1 << 62
"""Nodes and coordinator hold a step in 64 bits."""


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse a fit of anything but a number from 0 to a small bound, without features, or as `check_in_rounds` says."""
    check_takes(table, measures=range(2, MOST_FEATURES + 2))
    check_in_rounds(table, instead="poisson")
    outcome = table.measures[0]
    if outcome.low != 0 or outcome.high > LARGEST_OUTCOME:
        raise QueryError(
            f"Table '{table.name}' fits how often something happens, from 0 to at most {LARGEST_OUTCOME:,}, "
            f"but its first measure is clipped to {outcome.low} to {outcome.high}.",
            remedy="Use a clip that starts at 0 and ends near the largest number that is common, such as [0, 10].",
        )
    if fit(table).step > LONGEST_STEP:
        raise QueryError(
            f"Table '{table.name}' has a feature whose bounds are too wide for outcomes up to {outcome.high:,}.",
            remedy="Use a narrower clip for the feature that has the widest one.",
        )


@lru_cache(maxsize=16)
def family(largest: int, coordinates: int) -> Family:
    """Outcomes from 0 to `largest`, with the exponential function, up to half of that, for their mean."""
    means = poisson_means(largest * ONE // 2)
    return Family(
        says="Logarithm of the ratio of means",
        largest=largest,
        means=means,
        weights=means,
        lift=isqrt(coordinates // 6) + 1,
        rises=True,
    )


def fit(table: Table) -> Fit:
    """The outcome and the features."""
    outcome, *features = table.measures
    return Fit(outcome=outcome, features=tuple(features), family=family(outcome.high, len(features) + 1))


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """Gradient, then the lower triangle of the Hessian; printed is one column of figures."""
    return fit(table).layout(table, dataset, period, regions)


def contribution(table: Table) -> Contribution:
    """Gradient and Hessian of each of at most `max_cells` rows; the outcome is the first measure."""
    return fit(table).contribution(table.max_cells)


def sensitivity(table: Table) -> Sensitivity:
    """Kappa rows, at worst all at one corner of the bounds and at the worst point of the curve."""
    return fit(table).sensitivity(table.max_cells)


def start(table: Table) -> tuple[int, ...]:
    """All zero: a mean of 1 for every row."""
    return fit(table).start()


def advance(table: Table, found: RoundFigures) -> tuple[int, ...]:
    """The nearest allowed coefficients to where a noisy step leads."""
    return fit(table).advance(found)


def decode(table: Table, layout: Layout, totals: NDArray[np.float64], noise: ReleasedNoise) -> tuple[CellEstimate, ...]:
    """What a first round alone would say."""
    found = RoundFigures(coefficients=start(table), totals=totals, noise=noise, councils=frozenset())
    return conclude(table, layout, (found,))


def conclude(
    table: Table,
    layout: Layout,  # noqa: ARG001 - the interface of every statistic in rounds
    rounds: Sequence[RoundFigures],
) -> tuple[CellEstimate, ...]:
    """The fit from all rounds; see `newton`."""
    return fit(table).conclude(rounds)
