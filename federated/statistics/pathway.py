"""How many went from each stage to each later one, and which share of those who reached it: pathways within one row.

The question names the stages in order. A row has reached those whose condition is true of it. From each stage that it
reached, it goes on to the next one that it reached, or to no later stage. The rows that went from i to j are counted by
products of marks m (1 where a stage is reached, else 0) and of their complements,

    n[i, j] = sum over rows of m_i (1 - m_[i+1]) ... (1 - m_[j-1]) m_j,

and the share of i that went to j is n[i, j] / sum_j n[i, j], where the sum is the number that reached i. The order is
that of the question, not of any dates. "No later stage" holds those who left as well as those who are still at i.

Sensitivity. A row that reached r of the S stages adds r ones, in different numbers: one for each stage it goes from. At
most kappa = `max_cells` rows of a household count, each a vector of at most S ones, so that the l1 distance is at most
kappa S, and by the triangle inequality the l2 distance is at most kappa sqrt(S): squared, kappa^2 S. Both are reached
by kappa rows of one cell that reached every stage. Counting more pairs would not cost more, but more stages do.

Intervals are about the noise: what the same figures of the exact records are. Numbers carry the noise of one cell.
Shares come from the exact law of the noise in one number and in the sum of the others (`share_interval`), with what is
said there of cells near the limit; where neither stands out of its noise the interval is [0, 1] with coverage 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federated.errors import QueryError
from federated.privacy.laws import ReleasedNoise
from federated.query.measures import marked
from federated.query.model import Period, Table
from federated.schema import Dataset
from federated.statistics.base import Axis, CellEstimate, Contribution, Figures, Layout, Sensitivity, Term
from federated.statistics.figure_columns import FigureColumn, estimates_of
from federated.statistics.tables import check_breakdowns, check_takes, table_layout

code: Final = "pathway"
title: Final = "Pathways between stages"
figures: Final = Figures.FRACTION
FIGURE_AXIS: Final = "figure"
NO_LATER: Final = "no_later_stage"
STAGES: Final = range(2, 7)

Floats: TypeAlias = NDArray[np.float64]


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse anything but two to six named stages."""
    check_takes(table, conditions=range(STAGES.start, STAGES.stop))
    check_breakdowns(table, one_cell_each=False)
    if any(stage.name == NO_LATER for stage in table.conditions):
        raise QueryError(
            f"Table '{table.name}' names a stage '{NO_LATER}', which is what going to none is called.",
            remedy="Give it another name.",
        )


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """One number for each pair of stages in order, and for each stage without a later one."""
    cells = table_layout(table, dataset, period, regions, blocks=tuple(f"{a}_to_{b}" for a, b in _moves(table)))
    named = tuple(_figures(table))
    axis = Axis(name=FIGURE_AXIS, codes=tuple(name for name, _ in named), labels=tuple(label for _, label in named))
    return replace(cells, figures=(*cells.axes, axis))


def contribution(table: Table) -> Contribution:
    """For each of at most `max_cells` rows of a household, 1 for each stage reached, by where it went next."""
    stages = [stage.where for stage in table.conditions]
    last = len(stages)
    # The complement of stage k is the measure last + k.
    moves = ((i, *(last + k for k in range(i + 1, j)), *((j,) if j < last else ())) for i, j in _places(last))
    return Contribution(
        per="row",
        measures=(*(marked(stage) for stage in stages), *(marked(stage, base=1, points=-1) for stage in stages)),
        max_cells=table.max_cells,
        blocks=tuple((Term(coefficient=1, factors=factors),) for factors in moves),
    )


def sensitivity(table: Table) -> Sensitivity:
    """Kappa rows, at worst all of one cell and through every stage."""
    stages = len(table.conditions)
    return Sensitivity(l1=table.max_cells * stages, l2_squared=table.max_cells**2 * stages)


def decode(table: Table, layout: Layout, totals: Floats, noise: ReleasedNoise) -> tuple[CellEstimate, ...]:
    """Numbers as they are, and the share of each in all that went from the same stage.

    Shapes:
        `totals` is `(layout.cells,)`: for each move, the cells of the breakdowns.
    """
    last = len(table.conditions)
    numbers = totals.reshape(len(layout.blocks), layout.categories)
    columns: list[FigureColumn] = []
    places = list(_places(last))
    for (stage, _), own in zip(places, numbers, strict=True):
        columns.append(FigureColumn.of_number(own, noise))
        if stage < last - 1:
            everyone = np.sum([row for (other, _), row in zip(places, numbers, strict=True) if other == stage], axis=0)
            columns.append(FigureColumn.of_share(own, everyone - own, noise, others=last - stage - 1))
    return estimates_of(layout, columns)


def _places(stages: int) -> Iterator[tuple[int, int]]:
    """Places of the stage left and of the next; one past the last stage stands for no later one."""
    return combinations(range(stages + 1), 2)


def _moves(table: Table) -> Iterator[tuple[str, str]]:
    return combinations((*(stage.name for stage in table.conditions), NO_LATER), 2)


def _figures(table: Table) -> Iterator[tuple[str, str]]:
    """(code, label) of everything printed for one cell."""
    last = table.conditions[-1].name
    for start, end in _moves(table):
        words = f"From {start} to {end}".replace("_", " ")
        yield f"{start}_to_{end}", f"{words}: number"
        # All who reach the last stage have no later one.
        if start != last:
            yield f"{start}_to_{end}_share", f"{words}: share"
