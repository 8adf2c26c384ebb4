"""A question's conditions over canonical rows, as DuckDB expressions.

The logic is three-valued: a condition on a value that is not known is neither true nor false, and only rows for which
the whole condition is true are counted. So `not` never picks up rows with unknown values. Asking for `not_known`
itself, or whether a date or number is unknown, is always answered yes or no.
"""

from typing import assert_never

from duckdb import Expression, col, fn, lit

from federated.errors import QueryError
from federated.query import And, Between, Condition, Equals, In, Not, Or, Unknown
from federated.schema import NOT_KNOWN, Column, ColumnType, Dataset
from federated.timestamps import parse_day

__all__ = ["matches"]


def matches(condition: Condition, dataset: Dataset) -> Expression:  # noqa: PLR0911 - one for each kind
    """True, false or unknown for every canonical row.

    Args:
        condition: The question's condition, checked against the schema.
        dataset: Where its columns are defined.

    Raises:
        QueryError: A column or code does not exist or cannot be compared so.
    """
    match condition:
        case Equals(column=name, value=value):
            return _equals(dataset.column(name), value)
        case In(column=name, values=values):
            return _in(dataset.column(name), values)
        case Between(column=name, low=low, high=high):
            column = dataset.column(name)
            return col(name).between(_constant(column, low), _constant(column, high))
        case Unknown(column=name):
            return _unknown(dataset.column(name))
        case And(conditions=conditions):
            result = lit(value=True)
            for item in conditions:
                result &= matches(item, dataset)
            return result
        case Or(conditions=conditions):
            result = lit(value=False)
            for item in conditions:
                result |= matches(item, dataset)
            return result
        case Not(condition=inner):
            return ~matches(inner, dataset)
        case _:
            assert_never(condition)


def _equals(column: Column, value: str) -> Expression:
    if column.type is ColumnType.CATEGORY:
        return _in(column, (value,))
    return col(column.name) == _constant(column, value)


def _in(column: Column, values: tuple[str, ...]) -> Expression:
    if column.type is not ColumnType.CATEGORY:
        raise QueryError(f"Column '{column.name}' is a {column.type.value}, which has no list of codes to be in.")
    positions = {column.code(value).code: column.code_list.index(value) for value in values}
    unknown = lit(column.code_list.index(NOT_KNOWN))
    known = sorted(position for code, position in positions.items() if code != NOT_KNOWN)
    result = lit(value=False)
    if known:
        result |= fn("nullif", col(column.name), unknown).isin(*(lit(position) for position in known))
    return result | (col(column.name) == unknown) if NOT_KNOWN in positions else result


def _unknown(column: Column) -> Expression:
    if column.type not in {ColumnType.DATE, ColumnType.INTEGER}:
        raise QueryError(f"Column '{column.name}' is a {column.type.value}; it is asked about by its codes.")
    return col(column.name).is_null()


def _constant(column: Column, value: str) -> Expression:
    match column.type:
        case ColumnType.DATE:
            return lit(parse_day(value))
        case ColumnType.INTEGER:
            return lit(int(value))
        case ColumnType.CATEGORY | ColumnType.KEY:
            raise QueryError(f"Column '{column.name}' is a {column.type.value} and cannot be compared so.")
        case _:
            assert_never(column.type)
