"""The exponential function as a public table of whole numbers, from -8 to where it reaches the largest mean.

At each point the table has the mean e^t (`exponential`); of a Poisson number the weight is the mean. The last point is
the first one at which e^t is the largest mean or more, and stands for exactly that mean.
"""

from functools import lru_cache
from itertools import takewhile

from federated.statistics.exponential import FALLING_ONE, ONE, falling

__all__ = ["poisson_means"]


@lru_cache(maxsize=16)
def poisson_means(largest: int) -> tuple[int, ...]:
    """Means from the point of -8 to the first one that reaches the largest.

    Args:
        largest: The largest mean in units of 1/`ONE`, from e^-8 to e^8.

    Shapes:
        `(points,)`, at most 16,385.
    """
    one, powers = FALLING_ONE, falling()
    below = [(2 * ONE * item + one) // (2 * one) for item in reversed(powers)]
    # e^t is 1 / e^-t; the point 0 is there already.
    above = ((2 * ONE * one + item) // (2 * item) for item in powers[1:])
    return (*takewhile(lambda mean: mean < largest, (*below, *above)), largest)
