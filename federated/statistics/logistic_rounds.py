"""Logistic regression of a yes-or-no outcome on numbers, by several rounds under one declared budget.

The condition is the outcome, the measures are the features, row by row; a constant is always there. Rows where a
feature is not known are left out. `logistic` fits closed categories from one small table; numbers, days and points
have no small table. So every round sums the gradient and the Hessian of the log likelihood, and `fit_in_rounds` says
how, with p the mean and p (1 - p) the weight (`logistic_curve`).

Sensitivity. It is that of `fit_in_rounds`, with outcomes of 0 and 1. The Hessian costs nothing, or little: where the
residual is large the weight is small, and up to 21 coordinates the largest l2 distance is that of the gradient alone.
So the gradient is not multiplied by more than it must be.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.privacy.laws import ReleasedNoise
from federated.query.measures import marked
from federated.query.model import Period, Table
from federated.schema import Dataset
from federated.statistics.base import CellEstimate, Contribution, Figures, Layout, RoundFigures, Sensitivity
from federated.statistics.fit_in_rounds import MOST_FEATURES, Family, Fit, check_in_rounds
from federated.statistics.logistic_curve import logistic_table
from federated.statistics.tables import check_takes

code: Final = "logistic_rounds"
title: Final = "Logistic regression on numbers"
figures: Final = Figures.FRACTION


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse a fit without one outcome, without features, by breakdowns or regions, or in one round."""
    check_takes(table, measures=range(1, MOST_FEATURES + 1), conditions=range(1, 2))
    check_in_rounds(table, instead="logistic")


@lru_cache(maxsize=1)
def family() -> Family:
    """Outcomes of 0 and 1, with the logistic function for their mean."""
    means, weights = logistic_table()
    return Family(says="Logarithm of the odds ratio", largest=1, means=means, weights=weights, lift=1, rises=False)


def fit(table: Table) -> Fit:
    """The outcome, as 0 and 1, and the features."""
    (outcome,) = table.conditions
    return Fit(outcome=marked(outcome.where), features=table.measures, family=family())


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """Gradient, then the lower triangle of the Hessian; printed is one column of figures."""
    return fit(table).layout(table, dataset, period, regions)


def contribution(table: Table) -> Contribution:
    """Gradient and Hessian of each of at most `max_cells` rows; the outcome is the first measure, as 0 and 1."""
    return fit(table).contribution(table.max_cells)


def sensitivity(table: Table) -> Sensitivity:
    """Kappa rows, at worst all at one corner of the bounds and at the worst point of the curve."""
    return fit(table).sensitivity(table.max_cells)


def start(table: Table) -> tuple[int, ...]:
    """All zero: every outcome as likely as not."""
    return fit(table).start()


def advance(table: Table, found: RoundFigures) -> tuple[int, ...]:
    """The nearest allowed coefficients to where a noisy Newton step leads."""
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
