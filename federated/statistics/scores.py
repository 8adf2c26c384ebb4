"""How many households are in each band of a public score that the council works out itself.

The points and the bands are public and part of the question; the node adds the points up for one of the household's
rows, kept by a keyed choice, and counts the household in that row's band. No score of anybody leaves the council.

Sensitivity. Adding or removing a household changes the table by at most kappa = `max_cells` rows, which may all be in
one band of one cell: the l1 distance is kappa and the squared l2 distance is kappa squared (`protocol.md` 3, row
"tables").
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.privacy.laws import ReleasedNoise
from federated.query.model import MAX_EDGES, Period, Table
from federated.schema import Dataset
from federated.statistics.base import (
    Banding,
    CellEstimate,
    Contribution,
    Figures,
    Layout,
    Sensitivity,
    Term,
)
from federated.statistics.offsets import offset_estimates
from federated.statistics.tables import band_labels, banded, check_breakdowns, check_takes, table_layout

code: Final = "scores"
title: Final = "Number of rows by band of a score"
figures: Final = Figures.COUNT
BLOCKS: Final = ("rows",)
BAND_AXIS: Final = "band"


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse bands without a measure or without edges."""
    check_takes(table, measures=1, edges=range(1, MAX_EDGES + 1))
    check_breakdowns(table, one_cell_each=False)


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """One number per cell and band, the bands last."""
    cells = table_layout(table, dataset, period, regions, blocks=BLOCKS)
    return banded(cells, BAND_AXIS, band_labels(table.edges))


def contribution(table: Table) -> Contribution:
    """1 in the band of the row's score, for each of at most `max_cells` rows of a household."""
    return Contribution(
        per="row",
        measures=table.measures,
        max_cells=table.max_cells,
        bands=(Banding(measure=0, edges=table.edges),),
        blocks=((Term(coefficient=1),),),
    )


def sensitivity(table: Table) -> Sensitivity:
    """Kappa rows, at worst all in one band of one cell."""
    return Sensitivity(l1=table.max_cells, l2_squared=table.max_cells**2)


def decode(
    table: Table,  # noqa: ARG001 - the interface of every statistic
    layout: Layout,
    totals: NDArray[np.float64],
    noise: ReleasedNoise,
) -> tuple[CellEstimate, ...]:
    """The noisy counts as they are; a count near zero may be negative."""
    return offset_estimates(layout, totals, noise)
