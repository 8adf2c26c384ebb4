"""Figures as they would be without noise: a law of next to none for exact numbers, and fits in rounds to their end."""

from collections.abc import Callable
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.privacy import Mechanism, released_noise
from federated.query import Table
from federated.statistics import CellEstimate, Layout, RoundFigures, in_rounds

__all__ = ["NEXT_TO_NONE", "fit_without_noise"]

NEXT_TO_NONE: Final = released_noise(Mechanism.DISCRETE_LAPLACE, Fraction(40), scale=1, honest=1, contributors=1)
"""A law with a standard deviation of 3e-9: comparisons and fits allow for the noise they are told of, and exact counts
have none."""
_ROUNDS: Final = 8
"""Newton's method without noise has long settled by then."""


def fit_without_noise(
    table: Table, layout: Layout, count: Callable[[tuple[int, ...]], NDArray[np.float64]]
) -> tuple[CellEstimate, ...]:
    """What a table of several rounds says of exact numbers, in as many rounds as settle it.

    Args:
        table: The table.
        layout: Of the table.
        count: Gives its exact numbers at any coefficients, in steps.
    """
    rule = in_rounds(table.statistic)

    def counted(at: tuple[int, ...]) -> RoundFigures:
        return RoundFigures(coefficients=at, totals=count(at), noise=NEXT_TO_NONE, councils=frozenset())

    first = last = counted(rule.start(table))
    for _ in range(_ROUNDS - 1):
        last = counted(rule.advance(table, last))
    # The first counts the rows; only the last is near enough to the end for an exact figure.
    return rule.conclude(table, layout, (first, last, last))
