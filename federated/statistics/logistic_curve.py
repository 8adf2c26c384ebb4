"""The logistic function as a public table of whole numbers: the same on every machine, because no float makes it.

A row's predictor t is held within -8 and 8 and taken to the nearest point of a grid of 1/1024. Coefficients are whole
multiples of 1/1024 too, so that the rows of features at their bounds stand on a point exactly. At each point the table
has the mean p = 1 / (1 + e^-t) and the weight p (1 - p), both as the nearest multiple of 2^-20.

e^(-1/1024) is summed as a series of whole numbers at 2^-160, and raised by multiplying: after 8,192 steps the error is
below 2^-140, so that nothing is rounded to the wrong side but by an accident that no point of this table has.
"""

from functools import lru_cache
from typing import Final

__all__ = ["FIRST", "GRID", "ONE", "logistic_table"]

GRID: Final = 1024
"""Points for each unit of the predictor, and steps for each unit of a coefficient."""
REACH: Final = 8
"""Largest predictor, either way."""
FIRST: Final = -REACH * GRID
"""Number of the first point; 0 is the predictor 0."""
ONE: Final = 1 << 20
"""A mean of 1."""
_BITS: Final = 160
_TERMS: Final = 40


@lru_cache(maxsize=1)
def logistic_table() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Means and weights, each from the point of -8 to that of 8.

    Shapes:
        Both `(16385,)`.
    """
    one = 1 << _BITS
    ratio, term = one, one
    for power in range(1, _TERMS):
        term = -term // (power * GRID)
        ratio += term
    below, falling = [], one
    for _ in range(REACH * GRID + 1):
        below.append((2 * ONE * falling + one + falling) // (2 * (one + falling)))
        falling = falling * ratio >> _BITS
    # p(-t) = 1 - p(t): from the lowest point up to 0, and then its mirror.
    means = (*reversed(below), *(ONE - mean for mean in below[1:]))
    return means, tuple((2 * mean * (ONE - mean) + ONE) // (2 * ONE) for mean in means)
