"""Step 1 of 8: the question."""

from federated.query.conditions import And, Between, Condition, Equals, In, Named, Not, Or, Unknown
from federated.query.files import load_query
from federated.query.measures import Days, Measure, Measured, Points, Value, measured
from federated.query.model import DatePart, Dimension, Level, Period, Query, Table
from federated.query.yaml_form import parse_query, question_document, write_query

__all__ = [
    "And",
    "Between",
    "Condition",
    "DatePart",
    "Days",
    "Dimension",
    "Equals",
    "In",
    "Level",
    "Measure",
    "Measured",
    "Named",
    "Not",
    "Or",
    "Period",
    "Points",
    "Query",
    "Table",
    "Unknown",
    "Value",
    "load_query",
    "measured",
    "parse_query",
    "question_document",
    "write_query",
]
