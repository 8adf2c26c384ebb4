"""The form of every benchmark's question: households with a case in the quarter of the published figures."""

from fractions import Fraction

from federated.demo.papers import GROUP
from federated.query import Period, Query, Table
from federated.synthetic import PUBLISHED_QUARTER

__all__ = ["DAY", "about_households"]

DAY = "assessment_date"
"""The column that the quarter is of."""


def about_households(title: str, *tables: Table, epsilon: Fraction = Fraction(1)) -> Query:
    """A question of these tables to everyone."""
    return Query(
        title=title,
        dataset="case",
        unit="household",
        group=GROUP,
        period=Period(column=DAY, start=PUBLISHED_QUARTER.start, end=PUBLISHED_QUARTER.end),
        epsilon=epsilon,
        tables=tables,
    )
