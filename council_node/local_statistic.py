"""Step 4 of 8: the council's own figures. In: the tables of a charged plan, an extract. Out: `LocalStatistic`.

No code comes from outside: a plan's tables say what to count in a closed form (`Contribution`), and this module is the
only thing that evaluates it. The contribution bound is enforced in the query itself: which of a household's cells or
rows are kept is a keyed, deterministic choice that looks at that household's rows and at nothing else, so that adding
or removing one household changes what is counted of no other (`protocol.md` 2.1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isqrt, prod
from operator import mul
from typing import Any, Final, Protocol

import numpy as np
from duckdb import (
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
from council_node.measures import edges_reached, measure
from council_node.selects import Select
from council_node.sources.extract import HOUSEHOLD, Extract, without_its_words
from federated.errors import InternalError
from federated.privacy import Mechanism
from federated.query import Dimension, Level, Query, Table
from federated.statistics import Contribution, Curve, Layout, Term, Times, statistic
from federated.statistics.date_bins import MONTHS_IN, bin_number
from federated.statistics.running_totals import sent

__all__ = ["LocalStatistic", "TableToCompute", "clamped", "compute_local_statistic", "exact_vector"]

_CELL: Final = "!cell"
_TOTAL: Final = "!total"
_KEPT: Final = "!kept"
_COUNT: Final = "!count"
_PLACE: Final = "!place"
_PARTNER: Final = "!partner"
_OTHER: Final = "!other"

ALL_BITS: Final = 2**64 - 1

LONGEST_IN_64_BITS: Final = 2**63 // 10**9
"""A billion contributions of this size fit: more rows than any node reads."""

_Integers = NDArray[Any]
"""Whole numbers: of 64 bits, or of any length where a statistic's products need it."""


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

    @property
    def mechanism(self) -> Mechanism:
        """Kind of noise that will be added."""

    @property
    def coefficients(self) -> tuple[int, ...]:
        """Where the round is counted, for a statistic in several rounds; empty for any other."""


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
    """Each cell in its table's steps, to the nearest, and within its clamp.

    A clamped cell moves no further than the truth moved; what rounding can add is in the sensitivity
    (`federated.statistics.steps`). Only whole councils are rounded: parts of one are added up first.
    """
    cells = [planned.layout.cells for planned in tables]
    steps = [statistic(planned.table.statistic).contribution(planned.table).step for planned in tables]
    step = np.repeat(np.array(steps, dtype=np.int64), cells)
    limit = np.repeat(np.array([planned.clamp for planned in tables], dtype=np.int64), cells)
    held = np.minimum(np.maximum((vector + step // 2) // step, -limit), limit)
    return LocalStatistic(vector=held.astype(np.int64))


def exact_vector(extract: Extract, question: Query, tables: Sequence[TableToCompute], *, region: str) -> _Integers:
    """The figures before steps and clamp. Those of several parts of the households add up to those of all.

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
    contribution = statistic(table.statistic).contribution(table).under(planned.mechanism)
    kind = _kind(contribution)
    blocks: _Integers = np.zeros((len(layout.blocks), layout.categories), dtype=kind)
    mine = _own_block(table, layout, region)
    if mine is None:
        return blocks.reshape(-1)
    sizes = _breakdown(table, layout, contribution)
    cell = _cell(table, sizes, extract, question).alias(_CELL)
    own = Work(
        extract=extract,
        contribution=contribution,
        cells=prod(sizes),
        kind=kind,
        coefficients=tuple(planned.coefficients),
    )
    cells, products = _contributions(rows, own, cell)
    if contribution.curve is not None:
        return np.array(_along(contribution.curve, contribution.blocks, cells, products), dtype=object)
    for block, terms in zip(blocks, contribution.blocks, strict=True):
        for term in terms:
            block[mine][cells] += term.coefficient * products[term.factors]
    # Linear, so the vectors of several parts still add up to that of all.
    return sent(blocks.reshape(-1), layout.shape[-1] if contribution.bands else 1, contribution.prefix_bits)


def _along(
    curve: Curve, blocks: tuple[tuple[Term, ...], ...], points: _Integers, products: Mapping[tuple[int, ...], _Integers]
) -> list[int]:
    """Each number as the sum over the curve's points of what the rows there add up to, times what stands there."""
    places = points.tolist()
    tables = {times: [curve.table(times)[place] for place in places] for times in Times}
    return [
        sum(term.coefficient * sum(map(mul, tables[term.times], map(int, products[term.factors]))) for term in terms)
        for terms in blocks
    ]


def _kind(contribution: Contribution) -> type:
    """Whole numbers of any length where the sums of a few million rows could pass those of 64 bits, before their steps.

    A sum that wrapped round would move by far more than its sensitivity, and one that is refused would tell that there
    are so many rows.
    """
    if contribution.curve is not None:
        return object
    reach = [max(abs(item.low), abs(item.high)) for item in contribution.measures]
    longest = max(
        abs(term.coefficient) * prod(reach[factor] for factor in term.factors)
        for block in contribution.blocks
        for term in block
    )
    return np.int64 if longest <= LONGEST_IN_64_BITS else object


def _own_block(table: Table, layout: Layout, region: str) -> slice | None:
    """The categories this council fills: all of them, its region's, or none where its region is not shown."""
    if table.level is not Level.REGION:
        return slice(0, layout.categories)
    inner = prod(layout.shape[1:])
    codes = layout.axes[0].codes
    if region not in codes:
        return None
    return slice(codes.index(region) * inner, (codes.index(region) + 1) * inner)


def _breakdown(table: Table, layout: Layout, contribution: Contribution) -> tuple[int, ...]:
    """Number of categories of each breakdown."""
    sizes = layout.shape[1:] if table.level is Level.REGION else layout.shape
    # The bands come after the breakdowns: they are known only when the measures are (`_banded`).
    sizes = sizes[: len(table.by)]
    # The axis is that of the pairs: k (k + 1) / 2 for k categories.
    return tuple((isqrt(8 * size + 1) - 1) // 2 for size in sizes) if contribution.pairs else sizes


def _cell(table: Table, sizes: Sequence[int], extract: Extract, question: Query) -> Expression:
    """Number of a row's cell among those of its region: row-major over the breakdowns."""
    number = lit(0).cast("UBIGINT")
    for dimension, size in zip(table.by, sizes, strict=True):
        number = number * lit(size) + _position(dimension, size, extract, question)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is counted, and over what.

    Attributes:
        extract: The rows' database and dictionary.
        contribution: The rule.
        cells: Cells of the breakdowns, without the bands and not in pairs.
        kind: Of the numbers that its sums are held in (`_kind`).
        coefficients: Of the curve's line.
    """

    extract: Extract
    contribution: Contribution
    cells: int
    kind: type
    coefficients: tuple[int, ...] = ()

    @property
    def measures(self) -> list[str]:
        """Names of the measures' columns while counting."""
        return [f"{_TOTAL}{place}" for place in range(len(self.contribution.measures))]


def _contributions(rows: Select, work: Work, cell: Expression) -> tuple[_Integers, dict[tuple[int, ...], _Integers]]:
    """Cells that anything falls in, and for each product of measures its sum over the items kept there."""
    contribution, extract = work.contribution, work.extract
    if contribution.pairs:
        return _tally(_cell_pairs(rows, cell, work), work)
    if not contribution.measures and contribution.per == "household":
        return _tally(_distinct_cells(rows, cell, contribution.max_cells, work.cells), work)
    if extract.has_case_reference:
        # The same case with the same values twice is one row exported twice (R84). Its household is the same too.
        rows = rows.distinct()
    values = [measure(item.measure, extract.dataset).cast("BIGINT") for item in contribution.measures]
    for value in values:
        rows = rows.where(value.is_not_null())
    if contribution.per == "household":
        sums = [fn("sum", value).alias(name) for value, name in zip(values, work.measures, strict=True)]
        totals = rows.group_by((col(HOUSEHOLD), cell), *sums)
        return _tally(_first_of_household(totals, (col(_CELL),), contribution.max_cells, work.measures), work)
    named = [value.alias(name) for value, name in zip(values, work.measures, strict=True)]
    return _tally(_kept_rows(rows.select(col(HOUSEHOLD), cell, *named), work), work)


def _distinct_cells(rows: Select, cell: Expression, bound: int, categories: int) -> Select:
    """At most `bound` different cells of each household."""
    if bound > 1:
        items = rows.select(col(HOUSEHOLD), cell).distinct()
        return _first_of_household(items, (col(_CELL),), bound, [])
    # One cell each: a draw with the cell's number in its low bits, so that one minimum finds both. This costs hardly
    # more than counting households does, where ranking would cost three times as much.
    low_bits = (1 << max(1, (categories - 1).bit_length())) - 1
    packed = fn("|", fn("&", _draw(col(HOUSEHOLD), col(_CELL)), lit(ALL_BITS - low_bits)), col(_CELL))
    lowest = rows.select(col(HOUSEHOLD), cell).group_by((col(HOUSEHOLD),), fn("min", packed).alias(_KEPT))
    return lowest.select(fn("&", col(_KEPT), lit(low_bits)).alias(_CELL))


def _cell_pairs(rows: Select, cell: Expression, work: Work) -> Select:
    """Every pair, by its number, of the at most `max_cells` different cells of each household; each with itself too."""
    items = rows.select(col(HOUSEHOLD), cell).distinct()
    kept = _first_of_household(items, (col(_CELL),), work.contribution.max_cells, [HOUSEHOLD])
    other = kept.select(col(HOUSEHOLD).alias(_PARTNER), col(_CELL).alias(_OTHER))
    pairs = kept.select(HOUSEHOLD, _CELL).left_join(other, HOUSEHOLD, _PARTNER).where(col(_CELL) <= col(_OTHER))
    first, second = col(_CELL).cast("BIGINT"), col(_OTHER).cast("BIGINT")
    # Row-major over the pairs (first, second) with first <= second.
    return pairs.select((first * (lit(2 * work.cells - 1) - first) // lit(2) + second).alias(_CELL))


def _kept_rows(rows: Select, work: Work) -> Select:
    """At most `max_cells` rows of each household; those of one cell and the same values are alike, and numbered."""
    values = [col(name) for name in work.measures]
    alike = [col(HOUSEHOLD), col(_CELL), *values]
    numbered = rows.select(*alike, row_number().over(alike).alias(_COUNT))
    identity = (col(_CELL), *values, col(_COUNT))
    return _first_of_household(numbered, identity, work.contribution.max_cells, work.measures)


def _first_of_household(items: Select, identity: tuple[Expression, ...], bound: int, others: list[str]) -> Select:
    """The `bound` items of each household that come first by a draw of their own identity, with other columns."""
    order = [_draw(col(HOUSEHOLD), *identity), *identity]
    placed = items.select(col(_CELL), *others, row_number().over(col(HOUSEHOLD), order).alias(_PLACE))
    return placed.where(col(_PLACE) <= lit(bound))


def _draw(household: Expression, *identity: Expression) -> Expression:
    """A number for one item of one household, as good as random to anyone without the run's key.

    The household's pseudonym holds the key. Hashed twice: one hash of several values combines them so simply that the
    order of two draws would hang on the items alone, and some cells would be preferred in every household.
    """
    return fn("hash", fn("hash", household, *identity))


def _tally(kept: Select, work: Work) -> tuple[_Integers, dict[tuple[int, ...], _Integers]]:
    contribution = work.contribution
    if contribution.measures:
        kept = _banded(kept, work)
    products = sorted({term.factors for block in contribution.blocks for term in block})
    sums = [_sum_of(factors, work).alias(f"{_COUNT}{place}") for place, factors in enumerate(products)]
    columns: dict[str, Any] = kept.group_by((col(_CELL),), *sums).run(work.extract.connection).fetchnumpy()
    cells = np.asarray(columns[_CELL], dtype=np.int64)
    found = (_whole(columns[f"{_COUNT}{place}"], work.kind) for place in range(len(products)))
    return cells, dict(zip(products, found, strict=True))


def _whole(column: Any, kind: type) -> _Integers:
    return np.asarray([int(value) for value in column] if kind is object else column, dtype=kind)


def _sum_of(factors: tuple[int, ...], work: Work) -> Expression:
    if not factors:
        return count_all()
    product = col(work.measures[factors[0]])
    for factor in factors[1:]:
        product = product * col(work.measures[factor])
    # A sum of 64-bit numbers has 128 bits; what need not fit is fetched as digits.
    return fn("sum", product).cast("BIGINT" if work.kind is np.int64 else "VARCHAR")


def _banded(kept: Select, work: Work) -> Select:
    """The kept items with every measure within its bounds, placed in the bands that the measures lie in."""
    limits = zip(work.measures, work.contribution.measures, strict=True)
    clipped = [
        fn("greatest", lit(item.low), fn("least", lit(item.high), col(name))).cast("BIGINT").alias(name)
        for name, item in limits
    ]
    held = kept.select(col(_CELL), *clipped)
    if work.contribution.curve is not None:
        return held.select(_point(work.contribution.curve, work).alias(_CELL), *work.measures)
    if not work.contribution.bands:
        return held
    number = col(_CELL).cast("BIGINT")
    for banding in work.contribution.bands:
        band = edges_reached(col(work.measures[banding.measure]), banding.edges)
        number = number * lit(len(banding.edges) + 1) + band
    return held.select(number.alias(_CELL), *work.measures)


def _point(curve: Curve, work: Work) -> Expression:
    """The number, from 0, of the curve's point that a row stands at: whole numbers only, on every machine the same."""
    coefficients, width = work.coefficients, curve.width
    if len(coefficients) != len(curve.line) or any(abs(item) > curve.limit for item in coefficients):
        # Refused with the invitation, before the charge; the sensitivity does not hang on it, but a database's
        # arithmetic could run over.
        raise InternalError("A round was about to be counted at coefficients that its question does not allow.")
    # Halves go up, and a division of numbers that are never negative cuts off what is left.
    lift = curve.limit * len(curve.line)
    doubled = lit(width + 2 * width * lift).cast("BIGINT")
    for coefficient, (slope, start, place) in zip(coefficients, curve.line, strict=True):
        value = lit(start).cast("BIGINT")
        if place is not None:
            value = value + col(work.measures[place]) * lit(slope).cast("BIGINT")
        doubled = doubled + lit(2 * coefficient).cast("BIGINT") * value
    number = doubled // lit(2 * width).cast("BIGINT") - lit(lift + curve.first)
    last = len(curve.means) - 1
    return fn("greatest", lit(0), fn("least", lit(last), number)).cast("BIGINT")
