"""Tables that cross protected characteristics: they describe communities, so they are held to more (requirement R52).

Which columns tell of such a characteristic stands in the data dictionaries (`protected`). Everything here follows from
the question alone, so every node finds it for itself, whatever the coordinator or the manifest says. A crossed table
needs a person's yes at each council, twice as many councils, and carries its caveat wherever it is shown.
"""

from collections.abc import Iterator
from typing import Final

from federated.query import Level, Query, Table
from federated.query.conditions import And, Condition, Equals, In, Not, Or, condition_columns
from federated.query.measures import Points
from federated.schema import Column, Dataset
from federated.statistics import statistic

__all__ = ["AT_LEAST_A_REGION", "BASE_FACTOR", "caveat_of", "crossed", "crossed_tables", "in_words"]

AT_LEAST_A_REGION: Final = frozenset({Level.ALL, Level.REGION})
"""Geographies that are no small area; a new, smaller one is not on the list until somebody adds it."""
BASE_FACTOR: Final = 2
"""How many times the ordinary base a crossed table needs: of councils asked, joining and in each region shown, and of
the smallest noisy count that is printed. No true count is ever compared with it (`docs/privacy-promise.md`)."""


def crossed(table: Table, where: Condition | None, dataset: Dataset) -> tuple[str, ...]:
    """The protected characteristics that a table crosses; none for a table like any other.

    A breakdown, the question's filter, a named condition and a measure all count alike: one question for each category
    gives the same figures as one table of all.

    Args:
        table: As asked.
        where: The question's own condition.
        dataset: The data set it reads.

    Returns:
        In alphabetical order. Two or more characteristics, from two columns or from one whose codes the table tells
        apart within a household; or any at all, where the geography is smaller than a region.
    """
    columns = table.columns() | condition_columns(where)
    told = {name: dataset.column(name).characteristics for name in columns}
    marked = [name for name, found in told.items() if found]
    several = len(marked) > 1 or any(_crosses_itself(dataset.column(name), table, where) for name in marked)
    characteristics = frozenset[str]().union(*told.values())
    small_area = table.level not in AT_LEAST_A_REGION
    if small_area or (several and len(characteristics) > 1):
        return tuple(sorted(characteristics))
    return ()


def crossed_tables(question: Query, dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """The tables of a question that cross protected characteristics, by name, and which they cross."""
    found = {table.name: crossed(table, question.where, dataset) for table in question.tables}
    return {name: characteristics for name, characteristics in found.items() if characteristics}


def in_words(characteristics: tuple[str, ...]) -> str:
    """Characteristics as a reader says them: ``age, disability or health and sex``."""
    *others, last = [name.replace("_", " ") for name in characteristics]
    return f"{', '.join(others)} and {last}" if others else last


def caveat_of(characteristics: tuple[str, ...]) -> str:
    """What must be said wherever a table is shown; empty for a table that crosses nothing."""
    if not characteristics:
        return ""
    return (
        f"Caution: this table singles out groups by {in_words(characteristics)}. It shows how many, never why, and "
        "says nothing about what a community is like. Do not use it to profile a community or to decide about a person."
    )


def _crosses_itself(column: Column, table: Table, where: Condition | None) -> bool:
    """Whether the table tells codes of one column apart within a household.

    It does by pairs of them and by several conditions. Where all rows of a household count as one, it also does by one
    choice of several codes: a household whose rows add up to 2 has both, and so has one that is counted once where two
    tables of one code each count it twice. Beside a breakdown by the column itself the rows of a cell have one code.
    """
    rule = statistic(table.statistic).contribution(table)
    broken_down = any(dimension.column == column.name for dimension in table.by)
    if rule.pairs and broken_down:
        return True
    conditions = tuple(_own_conditions(table))
    if sum(name == column.name for item in conditions for name in _compared(item)) > 1:
        return True
    everywhere = conditions if where is None else (*conditions, where)
    chosen = frozenset[str]().union(*(_chosen(item, column) for item in everywhere))
    return rule.per == "household" and not broken_down and len(chosen) > 1


def _own_conditions(table: Table) -> Iterator[Condition]:
    """The conditions in the table's own groups of rows and measures."""
    for item in table.conditions:
        yield item.where
    for measured in table.measures:
        if isinstance(measured.measure, Points):
            yield from (condition for condition, _ in measured.measure.terms)


def _chosen(condition: Condition, column: Column) -> frozenset[str]:
    """Codes of the column that rows may have by the condition; turned round, whatever it names, any of them."""
    match condition:
        case And(conditions=conditions) | Or(conditions=conditions):
            return frozenset[str]().union(*(_chosen(item, column) for item in conditions))
        case Not(condition=inner):
            return frozenset(column.code_list) if _chosen(inner, column) else frozenset()
        case Equals(column=column.name, value=value):
            return frozenset({value})
        case In(column=column.name, values=values):
            return frozenset(values)
        case _:
            return frozenset()


def _compared(condition: Condition) -> Iterator[str]:
    """The column of each comparison."""
    match condition:
        case And(conditions=conditions) | Or(conditions=conditions):
            for item in conditions:
                yield from _compared(item)
        case Not(condition=inner):
            yield from _compared(inner)
        case _:
            yield condition.column
