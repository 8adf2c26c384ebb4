"""How many households have two categories of one column at once: which support needs occur together.

A household's different categories are taken from all its rows; at most kappa = `max_cells` are kept, by a keyed choice,
and the household counts once for every unordered pair of those, a category with itself among them. The printed table is
a square: each pair stands in it twice, and on the diagonal the households that have the category.

Sensitivity. A household with k <= kappa kept categories adds 1 to k (k + 1) / 2 different numbers: the l1 distance and
the squared l2 distance are kappa (kappa + 1) / 2.

Households with more than kappa categories count for fewer pairs than they have: the figures are of what is kept.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations_with_replacement, product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.errors import QueryError
from federated.privacy.laws import ReleasedNoise
from federated.query.model import Period, Table
from federated.schema import Dataset
from federated.statistics.base import Axis, CellEstimate, Contribution, Figures, Layout, Sensitivity, Term
from federated.statistics.offsets import offset_estimates
from federated.statistics.tables import check_breakdowns, check_takes, table_layout

code: Final = "co_occurrence"
title: Final = "Number of households with two categories at once"
figures: Final = Figures.COUNT
BLOCKS: Final = ("households",)


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse anything but one categorical breakdown, and a bound under which there are no pairs."""
    check_takes(table)
    check_breakdowns(table, one_cell_each=True)
    if len(table.by) != 1 or table.by[0].part is not None:
        raise QueryError(
            f"Table '{table.name}' must be broken down by one column with a list of categories.",
            remedy="Write for example by: [need].",
        )
    if table.max_cells == 1:
        raise QueryError(
            f"Table '{table.name}' keeps one category of each household, which makes no pairs.",
            remedy="Write max_cells: 2 or more, or count households.",
        )


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """One number for each unordered pair; printed as a square."""
    cells = table_layout(table, dataset, period, regions, blocks=BLOCKS)
    *outer, own = cells.axes
    return Layout(
        axes=(*outer, _cell_pairs(own)),
        blocks=BLOCKS,
        figures=(*outer, own, replace(own, name=f"with_{own.name}")),
    )


def contribution(table: Table) -> Contribution:
    """1 for each pair of at most `max_cells` different categories of a household."""
    return Contribution(per="household", max_cells=table.max_cells, blocks=((Term(coefficient=1),),), pairs=True)


def sensitivity(table: Table) -> Sensitivity:
    """All pairs of kappa categories, each changed by 1."""
    pairs = table.max_cells * (table.max_cells + 1) // 2
    return Sensitivity(l1=pairs, l2_squared=pairs)


def decode(
    table: Table,  # noqa: ARG001 - the interface of every statistic
    layout: Layout,
    totals: NDArray[np.float64],
    noise: ReleasedNoise,
) -> tuple[CellEstimate, ...]:
    """The noisy counts as they are, each pair under both orders; a count near zero may be negative."""
    found = {cell.codes: cell for cell in offset_estimates(replace(layout, figures=None), totals, noise)}
    *outer, own, _ = layout.printed
    places = {category: place for place, category in enumerate(own.codes)}
    return tuple(
        replace(found[*region, _pair(*sorted(both, key=places.__getitem__))], codes=(*region, *both))
        for region in product(*(axis.codes for axis in outer))
        for both in product(own.codes, repeat=2)
    )


def _cell_pairs(axis: Axis) -> Axis:
    """Every unordered pair of categories, in the order of the list."""
    named = list(zip(axis.codes, axis.labels, strict=True))
    pairs = list(combinations_with_replacement(named, 2))
    return Axis(
        name=f"{axis.name}_pair",
        codes=tuple(_pair(first, second) for (first, _), (second, _) in pairs),
        labels=tuple(one if one == two else f"{one}; {two}" for (_, one), (_, two) in pairs),
    )


def _pair(first: str, second: str) -> str:
    return f"{first}+{second}"
