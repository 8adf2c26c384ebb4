"""Holds a question against the schema: what it names must exist and be of the right kind.

Run by the analyst before planning and by every node before anything else. It says nothing about permission:
that is the agreement's and the council's policy (`council_node.policy`).
"""

import re
from typing import Final

from federated.errors import QueryError
from federated.query.conditions import And, Between, Condition, Equals, In, Not, Or, Unknown
from federated.query.measures import Days, Measure, Points, Value
from federated.query.model import Dimension, Query, Table
from federated.schema import Column, Dataset, Schema
from federated.statistics import in_rounds, statistic
from federated.timestamps import parse_day

__all__ = ["check_query"]

MOST_PARTS: Final = 400
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")
"""A whole number as every node reads it: one that a node could not read would fail only after its charge."""


def check_query(query: Query, schema: Schema) -> Dataset:
    """Check every name, kind and value of a question.

    Returns:
        The data set the question is about.

    Raises:
        QueryError: Names the table or column at fault, and what would be right.
    """
    dataset = schema.dataset(query.dataset)
    if query.unit != dataset.unit:
        raise QueryError(
            f"The data set '{query.dataset}' counts one {dataset.unit} at a time; the question says '{query.unit}'.",
            remedy=f"Write unit: {dataset.unit}.",
        )
    _require_type(dataset.column(query.period.column), "date", "the period")
    if query.where is not None:
        _check_condition(query.where, dataset)
    for table in query.tables:
        _check_table(table, dataset)
        if table.rounds > 1:
            in_rounds(table.statistic)
        statistic(table.statistic).check(table, dataset)
    return dataset


def _check_table(table: Table, dataset: Dataset) -> None:
    for dimension in table.by:
        _check_dimension(dimension, dataset)
    for measured in table.measures:
        _check_measure(measured.measure, table, dataset)
    for item in table.conditions:
        _check_condition(item.where, dataset)


def _check_measure(measure: Measure, table: Table, dataset: Dataset) -> None:
    match measure:
        case Value(column=name):
            column = dataset.column(name)
            if column.type != "integer":
                raise QueryError(
                    f"Table '{table.name}' adds up '{name}', which is a {column.type}, not a whole number.",
                    remedy=f"Columns that can be added up: {', '.join(_integer_columns(dataset)) or 'none here'}.",
                )
        case Days(start=start, end=end):
            _require_type(dataset.column(start), "date", "counting days")
            _require_type(dataset.column(end), "date", "counting days")
        case Points(terms=terms):
            for condition, _ in terms:
                _check_condition(condition, dataset)


def _integer_columns(dataset: Dataset) -> list[str]:
    return [column.name for column in dataset.columns.values() if column.type == "integer"]


def _require_type(column: Column, wanted: str, use: str) -> None:
    if column.type != wanted:
        raise QueryError(f"Column '{column.name}' is a {column.type}; {use} needs a {wanted}.")


def _check_dimension(dimension: Dimension, dataset: Dataset) -> None:
    column = dataset.column(dimension.column)
    if dimension.part is None:
        _require_type(column, "category", "a breakdown without 'part'")
    else:
        _require_type(column, "date", f"a breakdown by {dimension.part.value}")


def _check_condition(condition: Condition, dataset: Dataset) -> None:
    # A node writes a condition as one expression: one too long would fail there, after the charge.
    if _parts(condition) > MOST_PARTS:
        raise QueryError(
            f"A condition has more than {MOST_PARTS} parts.",
            remedy="Use 'in' with several codes, or ask a simpler question.",
        )
    _check_parts(condition, dataset)


def _parts(condition: Condition) -> int:
    match condition:
        case And(conditions=conditions) | Or(conditions=conditions):
            return 1 + sum(map(_parts, conditions))
        case Not(condition=inner):
            return 1 + _parts(inner)
        case _:
            return 1


def _check_parts(condition: Condition, dataset: Dataset) -> None:
    match condition:
        case Equals(column=name, value=value):
            _check_value(dataset.column(name), value)
        case In(column=name, values=values):
            _require_type(dataset.column(name), "category", "a condition 'in'")
            for value in values:
                _check_value(dataset.column(name), value)
        case Between(column=name, low=low, high=high):
            column = dataset.column(name)
            _require_date_or_integer(column, "between")
            _check_value(column, low)
            _check_value(column, high)
        case Unknown(column=name):
            _require_date_or_integer(dataset.column(name), "unknown")
        case And(conditions=conditions) | Or(conditions=conditions):
            for item in conditions:
                _check_parts(item, dataset)
        case Not(condition=inner):
            _check_parts(inner, dataset)


def _require_date_or_integer(column: Column, use: str) -> None:
    if column.type not in {"date", "integer"}:
        raise QueryError(
            f"Column '{column.name}' is a {column.type}; '{use}' needs a date or an integer.",
            remedy="For a category, write 'equals' or 'in' with its codes; one of them is not_known.",
        )


def _check_value(column: Column, value: str) -> None:
    match column.type:
        case "category":
            if value not in column.code_list:
                raise QueryError(
                    f"Column '{column.name}' has no code '{value}'.",
                    remedy=f"Its codes are: {', '.join(column.code_list)}.",
                )
        case "date":
            try:
                parse_day(value)
            except ValueError as error:
                raise QueryError(
                    f"Column '{column.name}' is compared with a value that is not a date (YYYY-MM-DD)."
                ) from error
        case "integer":
            if not _WHOLE.fullmatch(value):
                raise QueryError(f"Column '{column.name}' is compared with a value that is not a whole number.")
        case _:
            raise QueryError(
                f"Column '{column.name}' identifies people and is never read by a question.",
                remedy="Leave it out.",
            )
