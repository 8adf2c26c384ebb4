"""How many households have a total in each band of public edges: nights placed, approaches made, children.

A household's values in a cell are added up, held within the bounds, and the household counts in the one band that its
total lies in. Counting the rows of a household is the sum of `Points` with base 1 and no terms.

Sensitivity. Adding or removing a household changes at most kappa = `max_cells` cells of the breakdowns; in each, one
band by 1: the l1 distance is kappa and the squared l2 distance is kappa (`protocol.md` 3, row "tables").
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

code: Final = "distribution"
title: Final = "Number of households by band"
figures: Final = Figures.COUNT
BLOCKS: Final = ("households",)
BAND_AXIS: Final = "band"


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse bands without a measure or without edges."""
    check_takes(table, measures=1, edges=range(1, MAX_EDGES + 1))
    check_breakdowns(table, one_cell_each=True)


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """One number per cell and band, the bands last."""
    cells = table_layout(table, dataset, period, regions, blocks=BLOCKS)
    return banded(cells, BAND_AXIS, band_labels(table.edges))


def contribution(table: Table) -> Contribution:
    """1 in the band of the household's total, for each of at most `max_cells` different cells."""
    return Contribution(
        per="household",
        measures=table.measures,
        max_cells=table.max_cells,
        bands=(Banding(measure=0, edges=table.edges),),
        blocks=((Term(coefficient=1),),),
    )


def sensitivity(table: Table) -> Sensitivity:
    """Kappa cells; in each, one band changed by 1."""
    return Sensitivity(l1=table.max_cells, l2_squared=table.max_cells)


def decode(
    table: Table,  # noqa: ARG001 - the interface of every statistic
    layout: Layout,
    totals: NDArray[np.float64],
    noise: ReleasedNoise,
) -> tuple[CellEstimate, ...]:
    """The noisy counts as they are; a count near zero may be negative."""
    return offset_estimates(layout, totals, noise)
