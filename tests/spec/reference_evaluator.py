"""What step 4 must compute, in plain Python: short, slow, and written without a look at the node's own way.

A row is a mapping of column names to a code, a date, a whole number or None, and `household` to its reference.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from fractions import Fraction
from itertools import combinations_with_replacement, product
from math import floor, prod
from typing import Any

from federated.privacy import Mechanism
from federated.query import (
    And,
    Between,
    Condition,
    DatePart,
    Days,
    Dimension,
    Equals,
    In,
    Level,
    Measure,
    Not,
    Or,
    Points,
    Query,
    Table,
    Unknown,
    Value,
)
from federated.schema import Dataset, load_schema
from federated.statistics import Layout, statistic

Row = Mapping[str, Any]
Draw = Callable[[str, tuple[int, ...]], int]
"""The keyed choice: a number for an item of a household; the items with the smallest are kept."""


def reference_vector(
    rows: Iterable[Row],
    question: Query,
    table: Table,
    layout: Layout,
    dataset: Dataset,
    *,
    region: str,
    draw: Draw,
    mechanism: Mechanism = Mechanism.DISCRETE_LAPLACE,
    coefficients: Sequence[int] = (),
) -> list[int]:
    """One council's part of one table, unclamped, as it is sent under that kind of noise."""
    contribution = statistic(table.statistic).contribution(table)
    cells = [0] * layout.cells
    for household, own in by_household(rows).items():
        counted = [row for row in own if in_period(row, question) and is_true(question.where, row, dataset)]
        items = kept_items(household, counted, question=question, table=table, layout=layout, draw=draw)
        for cell, values in in_pairs(items, table, dataset) if contribution.pairs else items:
            bands = [
                str(sum(values[banding.measure] >= edge for edge in banding.edges)) for banding in contribution.bands
            ]
            place = cell_number(table, layout, region, cell, bands)
            if place is None:
                continue
            for block, terms in enumerate(contribution.blocks):
                for term in terms:
                    added = term.coefficient * prod(values[factor] for factor in term.factors)
                    added *= (
                        1 if contribution.curve is None else at_point(contribution.curve, values, coefficients, term)
                    )
                    cells[block * layout.categories + place] += added
    if contribution.prefix_bits and mechanism is Mechanism.DISCRETE_GAUSSIAN:
        return through_the_root(cells, layout.shape[-1], contribution.prefix_bits)
    return [floor(Fraction(exact, contribution.step) + Fraction(1, 2)) for exact in cells]


def at_point(curve, values, coefficients, term) -> int:
    """What the curve gives a term at the point nearest to where the row's measures stand."""
    sides = [start + (0 if place is None else slope * values[place]) for slope, start, place in curve.line]
    predictor = Fraction(sum(b * side for b, side in zip(coefficients, sides, strict=True)), curve.width)
    point = floor(predictor + Fraction(1, 2)) - curve.first
    return curve.table(term.times)[max(0, min(len(curve.means) - 1, point))]


def through_the_root(cells: Sequence[int], bands: int, bits: int) -> list[int]:
    """Each run of bands: every number takes in the bands up to it, weighted by how far back they are."""
    weights = [Fraction(1)]
    for back in range(1, bands):
        weights.append(weights[-1] * Fraction(2 * back - 1, 2 * back))
    steps = [floor(weight * 2**bits + Fraction(1, 2)) for weight in weights]
    return [
        sum(steps[here - band] * cells[start + band] for band in range(here + 1))
        for start in range(0, len(cells), bands)
        for here in range(bands)
    ]


def by_household(rows: Iterable[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row["household"]].append(row)
    return grouped


def in_period(row: Row, question: Query) -> bool:
    day = row[question.period.column]
    return day is not None and question.period.start <= day <= question.period.end


def kept_items(household, rows, *, question, table, layout, draw) -> list[tuple[tuple[str, ...], tuple[int, ...]]]:
    """(cell, clipped values of the measures) of everything of a household that is counted."""
    contribution = statistic(table.statistic).contribution(table)
    dataset = load_schema().dataset(question.dataset)
    items = []
    for row in rows:
        values = tuple(value_of(item.measure, row, dataset) for item in contribution.measures)
        if None not in values:
            items.append((cell_of(row, question, table), values))
    if contribution.per == "household":
        totals = {}
        for cell, values in items:
            so_far = totals.get(cell, (0,) * len(values))
            totals[cell] = tuple(a + b for a, b in zip(so_far, values, strict=True))
        identities = {(number_of(table, layout, cell, dataset),): (cell, total) for cell, total in totals.items()}
    else:
        identities, seen = {}, Counter()
        for cell, values in items:
            seen[cell, values] += 1
            number = number_of(table, layout, cell, dataset)
            identities[number, *values, seen[cell, values]] = (cell, values)
    chosen = sorted(identities, key=lambda identity: (draw(household, identity), identity))[: contribution.max_cells]
    return [(cell, clipped(values, contribution)) for cell, values in (identities[key] for key in chosen)]


def in_pairs(items, table, dataset) -> list[tuple[tuple[str, ...], tuple[int, ...]]]:
    """Every two of a household's kept cells, and each with itself, in the order of the schema."""
    codes = dataset.column(table.by[0].column).code_list
    own = sorted((cell[0] for cell, _ in items), key=codes.index)
    return [((f"{first}+{second}",), ()) for first, second in combinations_with_replacement(own, 2)]


def clipped(values, contribution):
    return tuple(
        max(item.low, min(item.high, value)) for value, item in zip(values, contribution.measures, strict=True)
    )


def value_of(measure: Measure, row: Row, dataset: Dataset) -> int | None:
    match measure:
        case Value(column=column):
            return row[column]
        case Days(start=start, end=end, until=until):
            last = row[end]
            if until is not None:
                last = until if last is None or last > until else last
            return None if row[start] is None or last is None else (last - row[start]).days
        case Points(base=base, terms=terms):
            return base + sum(points for condition, points in terms if is_true(condition, row, dataset))


def cell_of(row: Row, question: Query, table: Table) -> tuple[str, ...]:
    return tuple(category(row, dimension, question) for dimension in table.by)


def category(row: Row, dimension: Dimension, question: Query) -> str:
    value = row[dimension.column]
    if dimension.part is None:
        return "not_known" if value is None else value
    if value is None or bin_code(value, dimension.part) not in bins(
        question.period.start, question.period.end, dimension.part
    ):
        return "not_known"
    return bin_code(value, dimension.part)


def bin_code(day: date, part: DatePart) -> str:
    match part:
        case DatePart.MONTH:
            return f"{day.year:04d}-{day.month:02d}"
        case DatePart.QUARTER:
            return f"{day.year:04d}-Q{(day.month - 1) // 3 + 1}"
        case DatePart.YEAR:
            return f"{day.year:04d}"


def bins(start: date, end: date, part: DatePart) -> list[str]:
    days = (date.fromordinal(number) for number in range(start.toordinal(), end.toordinal() + 1))
    return list(dict.fromkeys(bin_code(day, part) for day in days))


def number_of(table: Table, layout: Layout, cell: Sequence[str], dataset: Dataset) -> int:
    """A cell's number among those of its region; where pairs are counted, among the categories they are made of."""
    if statistic(table.statistic).contribution(table).pairs:
        return dataset.column(table.by[0].column).code_list.index(cell[0])
    return inner_number(table, layout, cell)


def inner_number(table: Table, layout: Layout, cell: Sequence[str]) -> int:
    first = 1 if table.level is Level.REGION else 0
    axes = layout.axes[first : first + len(table.by)]
    return list(product(*(axis.codes for axis in axes))).index(tuple(cell))


def cell_number(
    table: Table, layout: Layout, region: str, cell: Sequence[str], bands: Sequence[str] = ()
) -> int | None:
    """Place of a cell with its bands, whose axes come last; a band is named by its number here."""
    place = (region, *cell) if table.level is Level.REGION else tuple(cell)
    named = layout.axes[: len(place)]
    if table.level is Level.REGION and region not in layout.axes[0].codes:
        return None
    numbered = [[str(number) for number in range(len(axis.codes))] for axis in layout.axes[len(place) :]]
    return list(product(*(axis.codes for axis in named), *numbered)).index((*place, *bands))


def is_true(condition: Condition | None, row: Row, dataset: Dataset) -> bool:
    return condition is None or truth(condition, row, dataset) is True


def truth(condition: Condition, row: Row, dataset: Dataset) -> bool | None:
    """True, false, or None for unknown (Kleene)."""
    match condition:
        case Equals(column=name) | In(column=name):
            values = (condition.value,) if isinstance(condition, Equals) else condition.values
            return one_of(row[name], values, dataset.column(name).type.value)
        case Between(column=name, low=low, high=high):
            kind = dataset.column(name).type.value
            return None if row[name] is None else typed(low, kind) <= row[name] <= typed(high, kind)
        case Unknown(column=name):
            return row[name] is None
        case And(conditions=conditions):
            return combined([truth(item, row, dataset) for item in conditions], decisive=False)
        case Or(conditions=conditions):
            return combined([truth(item, row, dataset) for item in conditions], decisive=True)
        case Not(condition=inner):
            found = truth(inner, row, dataset)
            return None if found is None else not found


def combined(found: list[bool | None], *, decisive: bool) -> bool | None:
    if decisive in found:
        return decisive
    return None if None in found else not decisive


def one_of(value: Any, wanted: Sequence[str], kind: str) -> bool | None:
    if kind == "category":
        known = None if value == "not_known" else value
        if known is None and "not_known" in wanted:
            return True
        if known is None:
            return False if not [code for code in wanted if code != "not_known"] else None
        return known in wanted
    return None if value is None else value in [typed(text, kind) for text in wanted]


def typed(text: str, kind: str) -> Any:
    return date.fromisoformat(text) if kind == "date" else int(text)
