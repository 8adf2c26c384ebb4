"""Logistic regression of a yes-or-no outcome on up to three breakdowns, from one released table.

The condition is the outcome; a household has it in a cell when one of its rows there has. For each combination of the
breakdowns two numbers are kept, households with the outcome and without; `cell_fit` makes coefficients of them, each
the logarithm of an odds ratio against the reference category. With chance as well, households are independent.

Sensitivity. A household adds (1, 0) or (0, 1) in each of at most kappa = `max_cells` different cells: the l1 distance
is kappa and the squared l2 distance is kappa (`protocol.md` 3, row "logistic, Poisson": from released tables).

One round. Newton's method with noise in every step (Ganesh and others 2023) would need several rounds of one plan, and
a plan has one; it would pay where there are many more combinations than households.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.privacy.laws import ReleasedNoise
from federated.query.measures import marked
from federated.query.model import Period, Table
from federated.schema import Dataset
from federated.statistics.base import CellEstimate, Contribution, Figures, Layout, Sensitivity, Term
from federated.statistics.cell_fit import Family, check_explained, fit_estimates, with_figures
from federated.statistics.tables import check_breakdowns, check_takes, table_layout

code: Final = "logistic"
title: Final = "Logistic regression"
figures: Final = Figures.FRACTION
BLOCKS: Final = ("with_outcome", "without")

_FAMILY: Final = Family(
    mean=lambda predictor: 1 / (1 + np.exp(-np.clip(predictor, -500, 500))),
    first=lambda mean: mean * (1 - mean),
    second=lambda mean: mean * (1 - mean) * (1 - 2 * mean),
    link=lambda mean: float(np.log(mean / (1 - mean))),
    above=lambda mean: 1 - mean,
    below=lambda mean: -mean,
    per_total=1.0,
)


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse a fit without one outcome, or with nothing to explain it by."""
    check_takes(table, conditions=range(1, 2))
    check_explained(table)
    check_breakdowns(table, one_cell_each=True)


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """Two numbers per cell; printed is one column of coefficients (for each region)."""
    cells = table_layout(table, dataset, period, regions, blocks=BLOCKS)
    return with_figures(cells, table, "Logarithm of the odds ratio")


def contribution(table: Table) -> Contribution:
    """(v, 1 - v) in each of at most `max_cells` different cells, with v 1 where a row there has the outcome."""
    (outcome,) = table.conditions
    return Contribution(
        per="household",
        measures=(marked(outcome.where),),
        max_cells=table.max_cells,
        blocks=((Term(coefficient=1, factors=(0,)),), (Term(coefficient=1), Term(coefficient=-1, factors=(0,)))),
    )


def sensitivity(table: Table) -> Sensitivity:
    """At most `max_cells` cells; in each, one of two numbers changes by 1."""
    return Sensitivity(l1=table.max_cells, l2_squared=table.max_cells)


def decode(table: Table, layout: Layout, totals: NDArray[np.float64], noise: ReleasedNoise) -> tuple[CellEstimate, ...]:
    """The coefficients, from the noisy table.

    Shapes:
        `totals` is `(2 * layout.categories,)`; see `cell_fit.fit_estimates` for the result.
    """
    return fit_estimates(table, layout, totals, noise, _FAMILY)
