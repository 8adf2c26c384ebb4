"""Mean of a value over rows, each counted with a weight: the cost of a night over the nights of every placement.

The first measure is the value v, the second the weight w, which is never negative. Two numbers are kept for each cell:
each row adds (w (v - low), w (high - v)), how far its value lies above the lower bound and below the upper, as often as
it weighs. With A and C for their sums, the total weight is (A + C) / (high - low), and the weighted mean is
low + (high - low) A / (A + C). Each row's value and weight are held within their bounds.

Sensitivity. With B = high - low and W the largest weight, the two numbers of a row are at least 0 and add up to w B, so
the l1 distance is at most W B, and the squared l2 distance at most its square, both reached by a value at a bound with
the largest weight. At most kappa = `max_cells` rows of a household are kept, which may all be alike and in one cell:
kappa W B and (kappa W B)^2. For large bounds the numbers are counted in steps (`federated.statistics.steps`). Why these
two numbers: see `mean`; the extreme rows are corners of the l1 ball.

The interval of the mean is that of a ratio of weighted sums (`federated.statistics.ratio_interval`) where councils
round, and that of a share (`federated.statistics.share_interval`) where they do not. Both figures' intervals are about
the noise alone: what a perfect reading of the records would give. Standard errors are those of the noise.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.errors import QueryError
from federated.privacy.laws import ReleasedNoise
from federated.query.model import Period, Table
from federated.schema import Dataset
from federated.statistics.base import CellEstimate, Contribution, Figures, Layout, Sensitivity
from federated.statistics.bound_distances import above_low, below_high, product_of, value_of
from federated.statistics.figure_columns import FigureColumn, estimates_of
from federated.statistics.noise_sums import NoiseSums
from federated.statistics.ratio_interval import Ratio
from federated.statistics.steps import in_steps, step_for
from federated.statistics.tables import check_breakdowns, check_takes, printed, table_layout

code: Final = "weighted_mean"
title: Final = "Weighted mean"
figures: Final = Figures.FRACTION
BLOCKS: Final = ("weight_above_low", "weight_below_high")
FIGURES: Final = (("weighted_mean", "Weighted mean"), ("total_weight", "Total weight"))


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse anything but a value and a weight, and weights below 0."""
    check_takes(table, measures=2)
    check_breakdowns(table, one_cell_each=False)
    if table.measures[1].low < 0:
        raise QueryError(
            f"Table '{table.name}' has weights from {table.measures[1].low}; the second measure is the weight.",
            remedy="Give the weight bounds of 0 or more.",
        )


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """Two numbers per cell, and two figures printed of each."""
    return printed(table_layout(table, dataset, period, regions, blocks=BLOCKS), ("figure", FIGURES))


def contribution(table: Table) -> Contribution:
    """(w (v - low), w (high - v)) for each of at most `max_cells` rows of a household."""
    value, _ = table.measures
    return Contribution(
        per="row",
        measures=table.measures,
        max_cells=table.max_cells,
        blocks=(product_of(value_of(1), above_low(0, value)), product_of(value_of(1), below_high(0, value))),
        step=_step(table),
    )


def sensitivity(table: Table) -> Sensitivity:
    """Kappa rows, at worst all in one cell: two numbers of one sign, which add up to kappa W B at most."""
    most = _most(table)
    # Rows in different cells change two numbers each, all of which are rounded.
    return in_steps(l1=most, l2_squared=most**2, numbers=len(BLOCKS) * table.max_cells, step=_step(table))


def decode(table: Table, layout: Layout, totals: NDArray[np.float64], noise: ReleasedNoise) -> tuple[CellEstimate, ...]:
    """The weighted mean and the total weight of every cell.

    Where the numbers do not clearly exceed their noise nothing is said of the mean: its interval is the clip range, and
    the coverage declared is 1. It is not a number where the noisy total weight is not positive.

    Shapes:
        `totals` is `(2 * layout.categories,)`.
    """
    above, below = totals.reshape(2, layout.categories)
    value, _ = table.measures
    width, step = value.high - value.low, _step(table)
    sums = NoiseSums.of(noise, step=step)
    share = (
        FigureColumn.of_share(above, below, noise)
        if step == 1
        else FigureColumn.of_ratio(_share(above, below), sums, possible=(0.0, 1.0))
    )
    weight = FigureColumn.of_sum(above + below, (1.0, 1.0), sums)
    return estimates_of(layout, (share.scaled(width, value.low), weight.scaled(step / width)))


def _share(above: NDArray[np.float64], below: NDArray[np.float64]) -> Ratio:
    both = np.ones((len(above), 2))
    return Ratio(top=above, bottom=above + below, top_weights=both * (1.0, 0.0), bottom_weights=both)


def _most(table: Table) -> int:
    """The most that the rows of one household change the two numbers by together, before rounding."""
    value, weight = table.measures
    return table.max_cells * weight.high * (value.high - value.low)


def _step(table: Table) -> int:
    return step_for(_most(table))
