"""Poisson regression of a whole number on up to three breakdowns, from one released table.

The measure is the outcome: a household's total in a cell, held within its bounds. For each combination of the
breakdowns two numbers are kept, as for the mean: how far the totals lie above the lower bound and below the upper.
`cell_fit` makes coefficients of them, each the logarithm of a ratio of means against the reference category. With
chance as well, a household's total is taken as Poisson, its variance as large as its mean.

Sensitivity. The two numbers of a household are not negative and add up to B = high - low in each of at most
kappa = `max_cells` different cells: the l1 distance is kappa B and the squared l2 distance at most kappa B squared,
at a bound (as in `mean`; `protocol.md` 3, row "logistic, Poisson": from released tables).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.errors import QueryError
from federated.privacy.laws import ReleasedNoise
from federated.query.model import Period, Table
from federated.schema import Dataset
from federated.statistics import mean as household_mean
from federated.statistics.base import CellEstimate, Contribution, Figures, Layout, Sensitivity
from federated.statistics.cell_fit import Family, check_explained, fit_estimates, with_figures
from federated.statistics.tables import check_breakdowns, check_takes, table_layout

code: Final = "poisson"
title: Final = "Poisson regression"
figures: Final = Figures.FRACTION


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse a fit of anything but one number from 0 upwards, or with nothing to explain it by."""
    check_takes(table, measures=1)
    check_explained(table)
    check_breakdowns(table, one_cell_each=True)
    (measured,) = table.measures
    if measured.low < 0:
        raise QueryError(
            f"Table '{table.name}' fits the logarithm of a mean, but its measure may be as low as {measured.low}.",
            remedy="Use a clip that starts at 0, or 'linear'.",
        )


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """Two numbers per cell; printed is one column of coefficients (for each region)."""
    cells = table_layout(table, dataset, period, regions, blocks=household_mean.BLOCKS)
    return with_figures(cells, table, "Logarithm of the ratio of means")


def contribution(table: Table) -> Contribution:
    """(v - low, high - v) in each of at most `max_cells` different cells."""
    return household_mean.contribution(table)


def sensitivity(table: Table) -> Sensitivity:
    """At most `max_cells` cells; in each, two numbers of one sign that add up to B change."""
    return household_mean.sensitivity(table)


def decode(table: Table, layout: Layout, totals: NDArray[np.float64], noise: ReleasedNoise) -> tuple[CellEstimate, ...]:
    """The coefficients, from the noisy table.

    Shapes:
        `totals` is `(2 * layout.categories,)`; see `cell_fit.fit_estimates` for the result.
    """
    (measured,) = table.measures
    return fit_estimates(table, layout, totals, noise, _family(measured.low, measured.high))


def _family(low: int, high: int) -> Family:
    """S = A + low n and n = (A + C) / B, with A and C the two totals."""
    width = high - low
    return Family(
        mean=lambda predictor: np.exp(np.clip(predictor, -500, 500)),
        first=lambda mean: mean,
        second=lambda mean: mean,
        link=lambda mean: float(np.log(mean)),
        above=lambda mean: 1 + (low - mean) / width,
        below=lambda mean: (low - mean) / width,
        per_total=1 / width,
    )
