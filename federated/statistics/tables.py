"""What all statistics share: the cells of a table, and the checks on what it asks for."""

from collections.abc import Sequence
from typing import Final

from federated.errors import QueryError
from federated.query.model import Dimension, Level, Period, Table
from federated.schema import Dataset
from federated.statistics.base import Axis, Layout
from federated.statistics.date_bins import date_bins

__all__ = [
    "LARGEST_BOUND",
    "REGION_AXIS",
    "axis_name",
    "check_breakdowns",
    "check_measure",
    "check_no_measure",
    "clip_bounds",
    "table_layout",
]

REGION_AXIS: Final = "region"
LARGEST_BOUND: Final = 1_000_000
"""Largest clip bound, so that a sum over all councils fits a 64-bit word with room for its noise."""


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


def check_no_measure(table: Table) -> None:
    """Refuse a column or clip bounds on a count."""
    if table.column is not None or table.clip is not None:
        raise QueryError(
            f"Table '{table.name}' is a count, which has no column and no clip bounds.",
            remedy="Leave 'column' and 'clip' out, or ask for a sum or mean.",
        )


def check_measure(table: Table, dataset: Dataset) -> None:
    """Refuse a sum or mean without a whole-number column and proper bounds."""
    if table.column is None:
        raise QueryError(f"Table '{table.name}' needs 'column': the whole-number column to add up.")
    column = dataset.column(table.column)
    if column.type != "integer":
        raise QueryError(
            f"Table '{table.name}' adds up '{column.name}', which is a {column.type}, not a whole number.",
            remedy=f"Columns that can be added up: {', '.join(_integer_columns(dataset)) or 'none in this data set'}.",
        )
    low, high = clip_bounds(table)
    if not -LARGEST_BOUND <= low < high <= LARGEST_BOUND:
        raise QueryError(
            f"Table '{table.name}' is clipped to {low} to {high}; "
            f"the bounds must rise, and lie within {LARGEST_BOUND:,} of zero."
        )


def clip_bounds(table: Table) -> tuple[int, int]:
    """The clip bounds of a sum or mean.

    Raises:
        QueryError: There are none.
    """
    if table.clip is None:
        raise QueryError(
            f"Table '{table.name}' needs 'clip': the smallest and largest total a household may count for.",
            remedy="Choose bounds from public knowledge, for example clip: [0, 6].",
        )
    return table.clip


def _integer_columns(dataset: Dataset) -> list[str]:
    return [column.name for column in dataset.columns.values() if column.type == "integer"]
