"""Count of rows (applications, placements, contacts), at most `max_cells` of them for each household.

Sensitivity. Adding or removing a household changes the table by at most kappa = `max_cells` rows, which may all be in
one cell: the l1 distance is kappa and the squared l2 distance is kappa squared (`protocol.md` 3, row "tables").
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.privacy.laws import ReleasedNoise
from federated.query.model import Period, Table
from federated.schema import Dataset
from federated.statistics.base import CellEstimate, Contribution, Figures, Layout, Sensitivity, Term
from federated.statistics.offsets import offset_estimates
from federated.statistics.tables import check_breakdowns, check_takes, table_layout

code: Final = "rows"
title: Final = "Number of rows"
figures: Final = Figures.COUNT
BLOCKS: Final = ("rows",)


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse measures; several rows in one cell are the point, so any bound makes sense."""
    check_takes(table)
    check_breakdowns(table, one_cell_each=False)


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """One number per cell."""
    return table_layout(table, dataset, period, regions, blocks=BLOCKS)


def contribution(table: Table) -> Contribution:
    """1 for each of at most `max_cells` rows of a household."""
    return Contribution(per="row", max_cells=table.max_cells, blocks=((Term(coefficient=1),),))


def sensitivity(table: Table) -> Sensitivity:
    """Kappa rows, at worst all in one cell."""
    return Sensitivity(l1=table.max_cells, l2_squared=table.max_cells**2)


def decode(
    table: Table,  # noqa: ARG001 - the interface of every statistic
    layout: Layout,
    totals: NDArray[np.float64],
    noise: ReleasedNoise,
) -> tuple[CellEstimate, ...]:
    """The noisy counts as they are; a count near zero may be negative."""
    return offset_estimates(layout, totals, noise)
