"""Conditions and measures in plain words, for the people who approve a question and for its release."""

from typing import assert_never

from federated.query.conditions import And, Between, Condition, Equals, In, Not, Or, Unknown
from federated.query.measures import Days, Measure, Points, Value

__all__ = ["condition_words", "measure_words"]


def condition_words(condition: Condition) -> str:  # noqa: PLR0911 - one for each kind
    """A condition in words, whole: what is approved is what is read here."""
    match condition:
        case Equals(column=column, value=value):
            return f"{column} is {value}"
        case In(column=column, values=values):
            return f"{column} is one of {', '.join(values)}"
        case Between(column=column, low=low, high=high):
            return f"{column} is from {low} to {high}"
        case Unknown(column=column):
            return f"{column} is not known"
        case And(conditions=conditions):
            return f"({' and '.join(condition_words(item) for item in conditions)})"
        case Or(conditions=conditions):
            return f"({' or '.join(condition_words(item) for item in conditions)})"
        case Not(condition=inner):
            return f"not ({condition_words(inner)})"
        case _:
            assert_never(condition)


def measure_words(measure: Measure) -> str:
    """What is read off a row, in words, whole."""
    match measure:
        case Value(column=column):
            return column
        case Days(start=start, end=end, until=until):
            stop = "" if until is None else f", or to {until} where that is earlier or the end is not known"
            return f"days from {start} to {end}{stop}"
        case Points(base=base, terms=terms):
            added = [f"{points} where {condition_words(condition)}" for condition, points in terms]
            return f"points: {'; '.join([str(base), *added])}"
        case _:
            assert_never(measure)
