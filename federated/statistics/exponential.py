"""Powers of e as whole numbers on a grid of 1/1024: what the public tables of means are made of.

The same on every machine, because no float makes them. A row's predictor is held within a table and taken to the
nearest point of the grid. Coefficients are whole multiples of 1/1024 too, so that the rows of features at their bounds
stand on a point exactly. Tables have means and weights as the nearest multiple of 2^-20.

e^(-1/1024) is summed as a series of whole numbers at 2^-160, and raised by multiplying: after 8,192 steps the error is
below 2^-140, so that nothing is rounded to the wrong side but by an accident that no point of these tables has.
"""

from functools import lru_cache
from typing import Final

__all__ = ["FALLING_ONE", "FIRST", "GRID", "ONE", "REACH", "falling"]

GRID: Final = 1024
"""Points for each unit of the predictor, and steps for each unit of a coefficient."""
REACH: Final = 8
"""Smallest predictor of every table, less its sign."""
FIRST: Final = -REACH * GRID
"""Number of the first point; 0 is the predictor 0."""
ONE: Final = 1 << 20
"""A mean of 1."""
_BITS: Final = 160
FALLING_ONE: Final = 1 << _BITS
_TERMS: Final = 40


@lru_cache(maxsize=1)
def falling() -> tuple[int, ...]:
    """e^(-k/1024) from k = 0 to 8 * 1024, in units of 1 / `FALLING_ONE`.

    Shapes:
        `(8193,)`.
    """
    ratio, term = FALLING_ONE, FALLING_ONE
    for power in range(1, _TERMS):
        term = -term // (power * GRID)
        ratio += term
    found = [FALLING_ONE]
    for _ in range(REACH * GRID):
        found.append(found[-1] * ratio >> _BITS)
    return tuple(found)
