"""Which sums of the tables of one release are of the same households, and so must agree. Nothing here is estimated.

What always holds follows from how a council counts (`council_node.local_statistic`): a table of households with one
cell each counts every household of the question once, whatever it is broken down by; a table of rows with the same
bound counts the same number of rows; and a region table makes the same choices as the table of all councils with the
same breakdowns. What does **not** always hold: a household with several records in the period may be kept in different
cells of two tables with different breakdowns. Their margins agree only where nobody has two such records.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from federated.errors import QueryError
from federated.release import Release, TableRecord, is_region_table
from federated.schema import Schema
from federated.statistics import TOTALS
from federated.statistics.tables import REGION_AXIS

__all__ = ["Placed", "agreements", "placed_tables", "regions_are_complete"]

Axes = frozenset[str]
_WHOLE: Final[Axes] = frozenset()
_BY_REGION: Final[Axes] = frozenset({REGION_AXIS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A table of totals with its place in the vector of all cells.

    Attributes:
        record: As released.
        index: Its place among the tables of the release.
        start: Its first cell in the vector.
    """

    record: TableRecord
    index: int
    start: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Categories along each axis."""
        return tuple(len(axis.codes) for axis in self.record.axes)

    @property
    def cells(self) -> slice:
        """Its cells in the vector."""
        return slice(self.start, self.start + prod(self.shape))

    @property
    def axes(self) -> Axes:
        """Names of its breakdowns, the region included."""
        return frozenset(axis.name for axis in self.record.axes)

    @property
    def counts(self) -> tuple[object, ...]:
        """What is counted, and how: tables in which this is the same are comparable."""
        record = self.record
        return (record.statistic, record.measures, record.max_cells)

    @property
    def each_once(self) -> bool:
        """Whether every household, or the same number of rows of it, is in the table whatever the breakdown."""
        return self.record.statistic == "rows" or (self.record.statistic == "households" and self.record.max_cells == 1)


def placed_tables(release: Release) -> tuple[Placed, ...]:
    """The tables of totals of a release, one after another; means and the like have no totals to agree."""
    found: list[Placed] = []
    start = 0
    for index, record in enumerate(release.tables):
        if record.statistic in TOTALS:
            found.append(Placed(record=record, index=index, start=start))
            start += len(record.cells)
    return tuple(found)


def regions_are_complete(release: Release, tables: Sequence[Placed], schema: Schema) -> bool:
    """Whether every council that contributed stands in a region that the region tables show.

    Only then are the regions together the same councils as the tables of all of them. Regions are those of the public
    register; a council that it does not know leaves the answer open.
    """
    shown = {code for table in tables if is_region_table(table.record) for code in table.record.axes[0].codes}
    try:
        standing = {
            schema.council(record.council).region for record in release.councils if record.outcome == "contributed"
        }
    except QueryError:
        return False
    return standing <= shown


def agreements(tables: Sequence[Placed], *, complete: bool, same_margins: bool) -> sparse.csr_matrix:
    """One row for each pair of sums that must agree: the weights of all cells in their difference.

    Args:
        tables: The tables.
        complete: Whether regions add up to all councils.
        same_margins: Whether nobody has two records in the period, so that margins of cross-tables agree as well.

    Shapes:
        `(sums that agree, all cells)`; rows may depend on each other.
    """
    size = max((table.cells.stop for table in tables), default=0)
    rows = [
        _margin(other, axes, size) - _margin(first, axes, size)
        for axes, (first, *others) in _groups(tables, complete=complete, same_margins=same_margins)
        for other in others
    ]
    return sparse.csr_matrix(sparse.vstack(rows)) if rows else sparse.csr_matrix((0, size))


def _groups(tables: Sequence[Placed], *, complete: bool, same_margins: bool) -> Iterator[tuple[Axes, list[Placed]]]:
    """Sets of axes with the tables whose sums over all other axes must agree."""
    for counts in dict.fromkeys(table.counts for table in tables):
        alike = [table for table in tables if table.counts == counts]
        for axes in _candidates(alike):
            members = [
                table for table in alike if _can_be_summed_to(table, axes, complete=complete, same_margins=same_margins)
            ]
            if len(members) > 1:
                yield axes, members


def _candidates(alike: Sequence[Placed]) -> list[Axes]:
    shared = {one.axes & two.axes for one, two in combinations(alike, 2)}
    return sorted(shared | {axes - _BY_REGION for axes in shared} | {_WHOLE, _BY_REGION}, key=sorted)


def _can_be_summed_to(table: Placed, axes: Axes, *, complete: bool, same_margins: bool) -> bool:
    if not axes <= table.axes:
        return False
    summed_out = table.axes - axes
    if REGION_AXIS in summed_out and not complete:
        return False
    if not summed_out - _BY_REGION:
        return True
    whole = not axes - _BY_REGION
    return table.each_once and (whole or (same_margins and table.record.statistic == "households"))


def _margin(table: Placed, axes: Axes, size: int) -> sparse.csr_matrix:
    """The weights that add a table's cells up to the categories of some of its axes, in the order of their names."""
    names = [axis.name for axis in table.record.axes]
    places = [names.index(name) for name in sorted(axes)]
    shape = tuple(table.shape[place] for place in places)
    positions = np.indices(table.shape).reshape(len(table.shape), prod(table.shape))
    target: NDArray[np.intp] = (
        np.ravel_multi_index(tuple(positions[place] for place in places), shape)
        if shape
        else np.zeros(prod(table.shape), dtype=np.intp)
    )
    columns = np.arange(table.cells.start, table.cells.stop)
    return sparse.csr_matrix((np.ones(len(target)), (target, columns)), shape=(prod(shape), size))
