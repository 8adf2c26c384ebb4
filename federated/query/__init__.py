"""Step 1 of 8: the question."""

from federated.query.model import (
    And,
    Between,
    Condition,
    DatePart,
    Dimension,
    Equals,
    In,
    Level,
    Not,
    Or,
    Period,
    Query,
    Table,
)
from federated.query.yaml_form import load_query, parse_query, question_document, write_query

__all__ = [
    "And",
    "Between",
    "Condition",
    "DatePart",
    "Dimension",
    "Equals",
    "In",
    "Level",
    "Not",
    "Or",
    "Period",
    "Query",
    "Table",
    "load_query",
    "parse_query",
    "question_document",
    "write_query",
]
