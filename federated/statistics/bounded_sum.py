"""Sum of a whole-number column: a household's total in a cell, clipped to public bounds, then added up.

Sensitivity. With B = max(|low|, |high|), a household changes at most kappa = `max_cells` different cells, each by at
most B: the l1 distance is kappa B and the squared l2 distance is kappa B squared (`protocol.md` 2.1).
Clipping makes the figure a sum of *clipped* totals: households beyond the bounds count as the bound.
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

code: Final = "sum"
title: Final = "Sum"
figures: Final = Figures.TOTAL
BLOCKS: Final = ("sum",)


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse a sum of anything but one measure."""
    check_takes(table, measures=1)
    check_breakdowns(table, one_cell_each=True)


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """One number per cell."""
    return table_layout(table, dataset, period, regions, blocks=BLOCKS)


def contribution(table: Table) -> Contribution:
    """The household's clipped total in each of at most `max_cells` different cells."""
    return Contribution(
        per="household",
        measures=table.measures,
        max_cells=table.max_cells,
        blocks=((Term(coefficient=1, factors=(0,)),),),
    )


def sensitivity(table: Table) -> Sensitivity:
    """Kappa cells, each changed by at most the larger of the two bounds."""
    largest = contribution(table).largest()
    return Sensitivity(l1=table.max_cells * largest, l2_squared=table.max_cells * largest**2)


def decode(
    table: Table,  # noqa: ARG001 - the interface of every statistic
    layout: Layout,
    totals: NDArray[np.float64],
    noise: ReleasedNoise,
) -> tuple[CellEstimate, ...]:
    """The noisy sums as they are, in the column's own unit."""
    return offset_estimates(layout, totals, noise)
