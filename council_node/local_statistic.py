"""Step 4 of 8: the council's own figures. In: the tables of a charged plan, an extract. Out: `LocalStatistic`.

No code comes from outside: a plan's tables say what to count in a closed form (`Contribution`), and this module is the
only thing that evaluates it. The contribution bound is enforced in the query itself: which of a household's cells or
rows are kept is a keyed, deterministic choice that looks at that household's rows and at nothing else, so that adding
or removing one household changes what is counted of no other (`protocol.md` 2.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final, Protocol

import numpy as np
from duckdb import (
    DuckDBPyConnection,
    Expression,
    col,
    count_all,
    fn,
    lit,
    row_number,
    when,
)
from numpy.typing import NDArray

from council_node.conditions import matches
from council_node.selects import Select
from council_node.sources.extract import HOUSEHOLD, Extract, without_its_words
from federated.errors import InternalError
from federated.query import Dimension, Level, Query, Table
from federated.statistics import Contribution, Layout, statistic
from federated.statistics.date_bins import MONTHS_IN, bin_number

__all__ = ["LocalStatistic", "TableToCompute", "clamped", "compute_local_statistic", "exact_vector"]

_CELL: Final = "!cell"
_TOTAL: Final = "!total"
_KEPT: Final = "!kept"
_COUNT: Final = "!count"
_PLACE: Final = "!place"

ALL_BITS: Final = 2**64 - 1

_Integers = NDArray[np.int64]


class TableToCompute(Protocol):
    """What step 4 needs of a planned table (`federated.plan.PlannedTable`)."""

    @property
    def table(self) -> Table:
        """The table as asked."""

    @property
    def layout(self) -> Layout:
        """Its cells."""

    @property
    def clamp(self) -> int:
        """Largest absolute value one council may put in one of its cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStatistic:
    """One council's exact figures. They never leave the council: the next step adds noise, the one after it masks.

    Shapes:
        `vector` is `(cells of all tables,)`, table after table in the question's order.
    """

    vector: _Integers = field(repr=False)


def compute_local_statistic(
    extract: Extract, question: Query, tables: Sequence[TableToCompute], *, region: str
) -> LocalStatistic:
    """Compute one council's part of every table of a question.

    Run by a council node, step 4 of 8, after the charge.

    Args:
        extract: The approved columns, under this run's pseudonyms.
        question: The question, checked against the schema.
        tables: Its tables as planned, in order.
        region: The council's own region: in a region table only its block is filled.

    Raises:
        ExtractTooLarge: Counting takes more memory than the node may use.
        InternalError: The database failed for another reason that is not in the rows.

    Shapes:
        See `LocalStatistic`; 64-bit integers, each within its table's clamp.

    Privacy:
        Bounds what one household adds; hides nothing by itself.
    """
    return clamped(exact_vector(extract, question, tables, region=region), tables)


def clamped(vector: _Integers, tables: Sequence[TableToCompute]) -> LocalStatistic:
    """Each cell within its table's clamp: this moves it no further than the truth moved, so sensitivity holds on."""
    limits = [np.full(planned.layout.cells, planned.clamp, dtype=np.int64) for planned in tables]
    limit = np.concatenate(limits) if limits else np.zeros(0, dtype=np.int64)
    return LocalStatistic(vector=np.clip(vector, -limit, limit))


def exact_vector(extract: Extract, question: Query, tables: Sequence[TableToCompute], *, region: str) -> _Integers:
    """The figures before their clamp. Those of several parts of the households add up to those of all.

    Args:
        extract: The approved columns of the households of one part, or of all.
        question: As for `compute_local_statistic`, like `tables`, `region` and what is raised.
        tables: As above.
        region: As above.
    """
    dataset = extract.dataset
    period = question.period
    counted = col(period.column).between(lit(period.start), lit(period.end))
    if question.where is not None:
        counted &= matches(question.where, dataset)
    rows = extract.rows().where(counted)
    with without_its_words("The figures could not be computed: the local database stopped."):
        parts = [_table_vector(rows, extract, question, planned, region) for planned in tables]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _table_vector(rows: Select, extract: Extract, question: Query, planned: TableToCompute, region: str) -> _Integers:
    table, layout = planned.table, planned.layout
    blocks = np.zeros((len(layout.blocks), layout.categories), dtype=np.int64)
    mine = _own_block(table, layout, region)
    if mine is None:
        return blocks.reshape(-1)
    contribution = statistic(table.statistic).contribution(table)
    cell = _cell(table, layout, extract, question).alias(_CELL)
    cells, counts, totals = _contributions(rows, extract, contribution, cell, mine.stop - mine.start)
    for block, (constant, coefficient) in zip(blocks, contribution.blocks, strict=True):
        block[mine][cells] = constant * counts + coefficient * totals
    return blocks.reshape(-1)


def _own_block(table: Table, layout: Layout, region: str) -> slice | None:
    """The categories this council fills: all of them, its region's, or none where its region is not shown."""
    if table.level is not Level.REGION:
        return slice(0, layout.categories)
    inner = prod(layout.shape[1:])
    codes = layout.axes[0].codes
    if region not in codes:
        return None
    return slice(codes.index(region) * inner, (codes.index(region) + 1) * inner)


def _cell(table: Table, layout: Layout, extract: Extract, question: Query) -> Expression:
    """Number of a row's cell among those of its region: row-major over the breakdowns."""
    axes = layout.axes[1:] if table.level is Level.REGION else layout.axes
    number = lit(0).cast("UBIGINT")
    for dimension, axis in zip(table.by, axes, strict=True):
        number = number * lit(len(axis.codes)) + _position(dimension, len(axis.codes), extract, question)
    return number


def _position(dimension: Dimension, size: int, extract: Extract, question: Query) -> Expression:
    """Place of a row along one axis. Categories are stored as theirs; dates are placed by the period's bins."""
    if dimension.part is None:
        if size != len(extract.dataset.column(dimension.column).codes):
            raise InternalError(f"The plan's list for '{dimension.column}' is not the schema's.")
        return col(dimension.column).cast("UBIGINT")
    day, width = col(dimension.column), MONTHS_IN[dimension.part]
    first = bin_number(question.period.start, dimension.part)
    place = (fn("year", day) * lit(12) + fn("month", day) - lit(1)) // lit(width) - lit(first)
    last = size - 1
    if dimension.column == question.period.column:
        return place.cast("UBIGINT")
    # The last bin of another date is for what is not known or outside the period.
    return when(place.between(lit(0), lit(last - 1))).then(place).otherwise(lit(last)).cast("UBIGINT")


def _contributions(
    rows: Select, extract: Extract, contribution: Contribution, cell: Expression, categories: int
) -> tuple[_Integers, _Integers, _Integers]:
    """Cells that anything falls in, with the number of contributions kept and the sum of their clipped values."""
    measure = contribution.column
    if measure is None and contribution.per == "household":
        kept = _distinct_cells(rows, cell, contribution.max_cells, categories)
        return _tally(extract.connection, kept, None)
    if extract.has_case_reference:
        # The same case with the same values twice is one row exported twice (R84). Its household is the same too.
        rows = rows.distinct()
    value = lit(0) if measure is None else col(measure)
    if measure is not None:
        rows = rows.where(col(measure).is_not_null())
    if contribution.per == "household":
        totals = rows.group_by((col(HOUSEHOLD), cell), fn("sum", value).alias(_TOTAL))
        kept = _first_of_household(totals, (col(_CELL),), contribution.max_cells)
    else:
        kept = _kept_rows(rows.select(col(HOUSEHOLD), cell, value.alias(_TOTAL)), contribution.max_cells)
    return _tally(extract.connection, kept, contribution.clip)


def _distinct_cells(rows: Select, cell: Expression, bound: int, categories: int) -> Select:
    """At most `bound` different cells of each household."""
    if bound > 1:
        pairs = rows.select(col(HOUSEHOLD), cell).distinct()
        return _first_of_household(pairs, (col(_CELL),), bound)
    # One cell each: a draw with the cell's number in its low bits, so that one minimum finds both. This costs hardly
    # more than counting households does, where ranking would cost three times as much.
    low_bits = (1 << max(1, (categories - 1).bit_length())) - 1
    packed = fn("|", fn("&", _draw(col(HOUSEHOLD), col(_CELL)), lit(ALL_BITS - low_bits)), col(_CELL))
    lowest = rows.select(col(HOUSEHOLD), cell).group_by((col(HOUSEHOLD),), fn("min", packed).alias(_KEPT))
    return lowest.select(fn("&", col(_KEPT), lit(low_bits)).alias(_CELL))


def _kept_rows(rows: Select, bound: int) -> Select:
    """At most `bound` rows of each household; those of one cell and value are alike, and numbered."""
    alike = [col(HOUSEHOLD), col(_CELL), col(_TOTAL)]
    numbered = rows.select(*alike, row_number().over(alike).alias(_COUNT))
    return _first_of_household(numbered, (col(_CELL), col(_TOTAL), col(_COUNT)), bound)


def _first_of_household(items: Select, identity: tuple[Expression, ...], bound: int) -> Select:
    """The `bound` items of each household that come first by a draw of their own identity."""
    order = [_draw(col(HOUSEHOLD), *identity), *identity]
    placed = items.select(col(_CELL), *_if_there(items), row_number().over(col(HOUSEHOLD), order).alias(_PLACE))
    return placed.where(col(_PLACE) <= lit(bound))


def _if_there(items: Select) -> list[Expression]:
    return [col(_TOTAL)] if _TOTAL in items.columns else []


def _draw(household: Expression, *identity: Expression) -> Expression:
    """A number for one item of one household, as good as random to anyone without the run's key.

    The household's pseudonym holds the key. Hashed twice: one hash of several values combines them so simply that the
    order of two draws would hang on the items alone, and some cells would be preferred in every household.
    """
    return fn("hash", fn("hash", household, *identity))


def _tally(
    connection: DuckDBPyConnection, kept: Select, clip: tuple[int, int] | None
) -> tuple[_Integers, _Integers, _Integers]:
    counts = [count_all().alias(_COUNT)]
    if clip is not None:
        low, high = clip
        clipped = fn("greatest", lit(low), fn("least", lit(high), col(_TOTAL)))
        counts.append(fn("sum", clipped).cast("BIGINT").alias(_TOTAL))
    columns: dict[str, Any] = kept.group_by((col(_CELL),), *counts).run(connection).fetchnumpy()
    cells = np.asarray(columns[_CELL], dtype=np.int64)
    totals = np.asarray(columns[_TOTAL], dtype=np.int64) if clip is not None else np.zeros_like(cells)
    return cells, np.asarray(columns[_COUNT], dtype=np.int64), totals
