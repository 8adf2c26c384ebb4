"""What step 4 must compute, in plain Python: short, slow, and written without a look at the node's own way.

A row is a mapping of column names to a code, a date, a whole number or None, and `household` to its reference.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from itertools import product
from typing import Any

from federated.query import And, Between, Condition, DatePart, Dimension, Equals, In, Level, Not, Or, Query, Table
from federated.schema import Dataset
from federated.statistics import Layout, statistic

Row = Mapping[str, Any]
Draw = Callable[[str, tuple[int, ...]], int]
"""The keyed choice: a number for an item of a household; the items with the smallest are kept."""


def reference_vector(
    rows: Iterable[Row], question: Query, table: Table, layout: Layout, dataset: Dataset, *, region: str, draw: Draw
) -> list[int]:
    """One council's part of one table, unclamped."""
    contribution = statistic(table.statistic).contribution(table)
    cells = [0] * layout.cells
    for household, own in by_household(rows).items():
        counted = [row for row in own if in_period(row, question) and is_true(question.where, row, dataset)]
        for cell, value in kept_items(household, counted, question=question, table=table, layout=layout, draw=draw):
            place = cell_number(table, layout, region, cell)
            if place is None:
                continue
            for block, (constant, coefficient) in enumerate(contribution.blocks):
                cells[block * layout.categories + place] += constant + coefficient * value
    return cells


def by_household(rows: Iterable[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row["household"]].append(row)
    return grouped


def in_period(row: Row, question: Query) -> bool:
    day = row[question.period.column]
    return day is not None and question.period.start <= day <= question.period.end


def kept_items(household, rows, *, question, table, layout, draw) -> list[tuple[tuple[str, ...], int]]:
    """(cell, clipped value) of everything of a household that is counted."""
    contribution = statistic(table.statistic).contribution(table)
    items = []
    for row in rows:
        value = 0 if contribution.column is None else row[contribution.column]
        if value is not None:
            items.append((cell_of(row, question, table), value))
    low, high = contribution.clip or (0, 0)
    if contribution.per == "household":
        totals = Counter()
        for cell, value in items:
            totals[cell] += value
        identities = {(inner_number(table, layout, cell),): (cell, total) for cell, total in totals.items()}
    else:
        identities, seen = {}, Counter()
        for cell, value in items:
            seen[cell, value] += 1
            number = inner_number(table, layout, cell)
            identities[number, value, seen[cell, value]] = (cell, value)
    chosen = sorted(identities, key=lambda identity: (draw(household, identity), identity))[: table.max_cells]
    return [(identities[key][0], max(low, min(high, identities[key][1]))) for key in chosen]


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


def inner_number(table: Table, layout: Layout, cell: Sequence[str]) -> int:
    axes = layout.axes[1:] if table.level is Level.REGION else layout.axes
    return list(product(*(axis.codes for axis in axes))).index(tuple(cell))


def cell_number(table: Table, layout: Layout, region: str, cell: Sequence[str]) -> int | None:
    if table.level is not Level.REGION:
        return inner_number(table, layout, cell)
    if region not in layout.axes[0].codes:
        return None
    return list(product(*(axis.codes for axis in layout.axes))).index((region, *cell))


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
