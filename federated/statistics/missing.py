"""How complete fields are: for each named condition that says "this is missing", how many rows meet it and what share.

Two numbers are kept for each cell and field: rows where it is missing, and rows where it is not. The share is the first
of both together. A row for which a condition is neither true nor false counts as not missing; the conditions that ask
whether something is known (`Unknown`, and the code not_known) are always one of the two.

Sensitivity. With k fields, a row adds 1 to one of two numbers for each field, so k in all, and a household adds at most
kappa = `max_cells` rows, which may all be alike and in one cell: the l1 distance is kappa k and the squared l2 distance
is kappa squared times k. A count of all rows beside the k missing counts would have an l1 distance of kappa (k + 1),
and shares of two numbers whose intervals are wider.

The interval of a share is exact for the law of the noise (`federated.statistics.share_interval`), that of a count
too. Both are about the noise alone: what a perfect reading of the records would give. Standard errors are those of the
noise, that of a share to first order.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.privacy.laws import ReleasedNoise
from federated.query.measures import marked
from federated.query.model import MAX_CONDITIONS, Period, Table
from federated.query.words import condition_words
from federated.schema import Dataset
from federated.statistics.base import CellEstimate, Contribution, Figures, Layout, Sensitivity, Term
from federated.statistics.figure_columns import FigureColumn, estimates_of
from federated.statistics.tables import check_breakdowns, check_takes, printed, table_layout

code: Final = "missing"
title: Final = "Missing values"
figures: Final = Figures.FRACTION
FIGURES: Final = (("missing", "Rows where it is missing"), ("share", "Share of rows where it is missing"))


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse a table without a field."""
    check_takes(table, conditions=range(1, MAX_CONDITIONS + 1))
    check_breakdowns(table, one_cell_each=False)


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """Two numbers per cell and field; printed for each field, a count and a share."""
    blocks = tuple(f"{item.name}_{kind}" for item in table.conditions for kind in ("missing", "found"))
    fields = [(item.name, condition_words(item.where)) for item in table.conditions]
    cells = table_layout(table, dataset, period, regions, blocks=blocks)
    return printed(cells, ("field", fields), ("figure", FIGURES))


def contribution(table: Table) -> Contribution:
    """For each of at most `max_cells` rows of a household and each field, (1, 0) or (0, 1)."""
    return Contribution(
        per="row",
        measures=tuple(marked(item.where) for item in table.conditions),
        max_cells=table.max_cells,
        blocks=tuple(
            block
            for place in range(len(table.conditions))
            for block in (
                (Term(coefficient=1, factors=(place,)),),
                (Term(coefficient=1), Term(coefficient=-1, factors=(place,))),
            )
        ),
    )


def sensitivity(table: Table) -> Sensitivity:
    """Kappa rows, at worst all in one cell and alike: one number of each field changes by kappa."""
    fields = len(table.conditions)
    return Sensitivity(l1=table.max_cells * fields, l2_squared=table.max_cells**2 * fields)


def decode(table: Table, layout: Layout, totals: NDArray[np.float64], noise: ReleasedNoise) -> tuple[CellEstimate, ...]:
    """Count and share of each field.

    Where the two counts of a field do not clearly exceed their noise nothing is said of its share: the interval is from
    0 to 1, and the coverage declared is 1. The share is not a number where the noisy count of rows is not positive.

    Shapes:
        `totals` is `(2 * fields * layout.categories,)`.
    """
    by_field = totals.reshape(len(table.conditions), 2, layout.categories)
    columns = []
    for absent, found in by_field:
        columns += [FigureColumn.of_number(absent, noise), FigureColumn.of_share(absent, found, noise)]
    return estimates_of(layout, columns)
