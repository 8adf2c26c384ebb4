"""The logistic function as a public table of whole numbers, from -8 to 8 (`exponential`).

At each point the table has the mean p = 1 / (1 + e^-t) and the weight p (1 - p).
"""

from functools import lru_cache

from federated.statistics.exponential import FALLING_ONE, ONE, falling

__all__ = ["logistic_table"]


@lru_cache(maxsize=1)
def logistic_table() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Means and weights, each from the point of -8 to that of 8.

    Shapes:
        Both `(16385,)`.
    """
    one = FALLING_ONE
    below = [(2 * ONE * item + one + item) // (2 * (one + item)) for item in falling()]
    # p(-t) = 1 - p(t): from the lowest point up to 0, and then its mirror.
    means = (*reversed(below), *(ONE - mean for mean in below[1:]))
    return means, tuple((2 * mean * (ONE - mean) + ONE) // (2 * ONE) for mean in means)
