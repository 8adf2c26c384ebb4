"""What all statistics share: the cells of a table, and the checks on what it asks for."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from federated.errors import QueryError
from federated.query.model import Dimension, Level, Period, Table
from federated.schema import Dataset
from federated.statistics.base import Axis, Layout
from federated.statistics.date_bins import date_bins

__all__ = [
    "REGION_AXIS",
    "axis_name",
    "band_labels",
    "banded",
    "check_breakdowns",
    "check_takes",
    "printed",
    "table_layout",
]

REGION_AXIS: Final = "region"


def table_layout(
    table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]], *, blocks: tuple[str, ...]
) -> Layout:
    """The cells of a table: region first, then each breakdown as written, every code of every closed list.

    Args:
        table: The table asked for.
        dataset: Where its columns are defined.
        period: Fixes the bins of dates.
        regions: (code, label) of the regions a region table shows.
        blocks: Names of the numbers kept per cell.
    """
    axes = [_axis(dimension, dataset, period) for dimension in table.by]
    if table.level is Level.REGION:
        axes.insert(0, _axis_of(REGION_AXIS, regions))
    return Layout(axes=tuple(axes), blocks=blocks)


def banded(layout: Layout, name: str, labels: Sequence[str]) -> Layout:
    """The layout with one more axis inside every cell: bands, numbered from 0."""
    axis = Axis(name=name, codes=tuple(str(number) for number in range(len(labels))), labels=tuple(labels))
    return replace(layout, axes=(*layout.axes, axis))


def printed(layout: Layout, *more: tuple[str, Sequence[tuple[str, str]]]) -> Layout:
    """The layout with several figures printed of each cell: more axes, last, each a name and (code, label) pairs."""
    return replace(layout, figures=(*layout.axes, *(_axis_of(name, categories) for name, categories in more)))


def band_labels(edges: Sequence[int]) -> tuple[str, ...]:
    """Bands between public edges in words: ``under 7``, ``7 to 13``, …, ``28 and over``."""
    inner = (f"{low}" if high == low + 1 else f"{low} to {high - 1}" for low, high in pairwise(edges))
    return (f"under {edges[0]}", *inner, f"{edges[-1]} and over")


def axis_name(dimension: Dimension) -> str:
    """Name of the axis a breakdown makes: ``household_type``, or ``assessment_date_quarter`` for dates."""
    return dimension.column if dimension.part is None else f"{dimension.column}_{dimension.part.value}"


def _axis(dimension: Dimension, dataset: Dataset, period: Period) -> Axis:
    if dimension.part is None:
        column = dataset.column(dimension.column)
        return _axis_of(axis_name(dimension), [(code.code, code.label) for code in column.codes])
    bins = date_bins(period, dimension.part, of_period_column=dimension.column == period.column)
    return _axis_of(axis_name(dimension), list(bins))


def _axis_of(name: str, categories: Sequence[tuple[str, str]]) -> Axis:
    return Axis(name=name, codes=tuple(code for code, _ in categories), labels=tuple(label for _, label in categories))


def check_breakdowns(table: Table, *, one_cell_each: bool) -> None:
    """Refuse a breakdown given twice, and a contribution bound that could only waste budget.

    Args:
        table: The table asked for.
        one_cell_each: Whether `max_cells` counts different cells; without a breakdown there is only one.
    """
    names = [axis_name(dimension) for dimension in table.by]
    for name in names:
        if names.count(name) > 1:
            raise QueryError(f"Table '{table.name}' is broken down by '{name}' twice.", remedy="Leave one out.")
    if one_cell_each and not table.by and table.max_cells > 1:
        raise QueryError(
            f"Table '{table.name}' has no breakdown, so a household can be in one cell only, "
            f"but max_cells is {table.max_cells}.",
            remedy="Leave max_cells out: a larger one adds noise and nothing else.",
        )


def check_takes(
    table: Table,
    *,
    measures: int | range = 0,
    edges: range = range(1),
    conditions: range = range(1),
    probabilities: range = range(1),
) -> None:
    """Refuse a list that the statistic does not take, or one of the wrong length.

    Args:
        table: The table asked for.
        measures: How many measures it needs, or the numbers that are right.
        edges: The right numbers of edges; by default none.
        conditions: The right numbers of conditions; by default none.
        probabilities: The right numbers of probabilities; by default none.
    """
    right = {
        "measures": range(measures, measures + 1) if isinstance(measures, int) else measures,
        "edges": edges,
        "conditions": conditions,
        "probabilities": probabilities,
    }
    for name, allowed in right.items():
        given = len(getattr(table, name))
        if given in allowed:
            continue
        least, most = allowed[0], allowed[-1]
        wanted = f"{least}" if least == most else f"from {least} to {most}"
        raise QueryError(
            f"Table '{table.name}' asks for '{table.statistic}', which takes {wanted if most else 'no'} {name}; "
            f"it has {given}.",
            remedy=f"See docs/statistics/{table.statistic}.md.",
        )
