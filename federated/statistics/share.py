"""The share of rows that meet one condition among those that meet another, or among all.

The first named condition says what is part, the second, where there is one, what is the whole. A row counts as part
where both are known to hold; a row of the whole for which the first is not known to hold counts as not part. Two
numbers are kept for each cell: rows of the whole that are part, and those that are not.

Rows and not households are counted, because a household with a row of each kind would be in both numbers. At most
kappa = `max_cells` rows of a household are kept, before the conditions are looked at.

Sensitivity. A kept row adds 1 to one of the two numbers or to none, and all kappa rows may be in one number of one
cell: the l1 distance is kappa and the squared l2 distance is kappa squared (`protocol.md` 3, row "tables"). A count of
the whole beside that of the part would have an l1 distance of 2 kappa for the same figures.

The interval is exact for the law of the noise (`federated.statistics.share_interval`), and it is about the noise
alone: what a perfect reading of the records would give. The standard error is that of the noise, to first order.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.privacy.laws import ReleasedNoise
from federated.query.conditions import And
from federated.query.measures import marked
from federated.query.model import Period, Table
from federated.schema import Dataset
from federated.statistics.base import CellEstimate, Contribution, Figures, Layout, Sensitivity, Term
from federated.statistics.figure_columns import FigureColumn, estimates_of
from federated.statistics.tables import check_breakdowns, check_takes, table_layout

code: Final = "share"
title: Final = "Share of rows"
figures: Final = Figures.FRACTION
BLOCKS: Final = ("part", "rest")


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse a share of nothing, or of more than one whole."""
    check_takes(table, conditions=range(1, 3))
    check_breakdowns(table, one_cell_each=False)


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """Two numbers per cell: the block of rows that are part, then that of the rest of the whole."""
    return table_layout(table, dataset, period, regions, blocks=BLOCKS)


def contribution(table: Table) -> Contribution:
    """(1, 0) or (0, 1) for each of at most `max_cells` rows of a household; (0, 0) for a row outside the whole."""
    whole = tuple(item.where for item in table.conditions[1:])
    both = And(conditions=(table.conditions[0].where, *whole))
    return Contribution(
        per="row",
        measures=(marked(both), marked(And(conditions=whole))),
        max_cells=table.max_cells,
        blocks=(
            (Term(coefficient=1, factors=(0,)),),
            (Term(coefficient=-1, factors=(0,)), Term(coefficient=1, factors=(1,))),
        ),
    )


def sensitivity(table: Table) -> Sensitivity:
    """Kappa rows, at worst all in one number of one cell."""
    return Sensitivity(l1=table.max_cells, l2_squared=table.max_cells**2)


def decode(
    table: Table,  # noqa: ARG001 - the interface of every statistic
    layout: Layout,
    totals: NDArray[np.float64],
    noise: ReleasedNoise,
) -> tuple[CellEstimate, ...]:
    """The share from the two noisy counts, with its interval.

    Where the counts do not clearly exceed their noise nothing is said: the interval is from 0 to 1, and the coverage
    declared is 1. The estimate is not a number where the noisy count of the whole is not positive.

    Shapes:
        `totals` is `(2 * layout.categories,)`.
    """
    part, rest = totals.reshape(2, layout.categories)
    return estimates_of(layout, (FigureColumn.of_share(part, rest, noise),))
