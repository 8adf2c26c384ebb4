"""Numbers too large for the exact sampler are counted in coarse public steps, rounded once for a whole council.

Squares and products of measures change by thousands for one household, and noise of that size would not fit the
sampler's table (`protocol.md` 2.4: the grid is coarsened, never the bound). So each council adds its numbers up
exactly and then gives each as the nearest multiple of a step that follows from the public bounds alone.

Sensitivity. If a number changes by k, its nearest multiple changes by at most ceil(k / step) <= (k + step - 1) / step
steps. Over m numbers with changes k_j, the l1 distance in steps is therefore at most (sum k_j + m (step - 1)) / step,
and the squared l2 distance at most (sum k_j^2 + 2 (step - 1) sum k_j + m (step - 1)^2) / step^2, both rounded down
because distances in steps are whole. With a step of 1 nothing is added.

Error. Rounding moves each council's number by at most half a step. Where one household's bound is 128 steps or more,
the noise at epsilon = 1 has a standard deviation of at least 128 steps, and the rounding of 300 councils together one
of 5. Intervals count it in (`federated.statistics.noise_sums`).
"""

from typing import Final

from federated.statistics.base import Sensitivity

__all__ = ["in_steps", "step_for"]

LEAST_STEPS: Final = 128
"""A bound is cut into at least this many steps, so that rounding adds little, and fewer than twice as many."""


def step_for(l1: int) -> int:
    """The step for a table whose numbers one household changes by at most `l1` together."""
    return max(1, l1 // LEAST_STEPS)


def in_steps(*, l1: int, l2_squared: int, numbers: int, step: int) -> Sensitivity:
    """What one kept item changes in steps.

    Args:
        l1: The most it changes in all, before rounding.
        l2_squared: The most that the squares of its changes add up to, before rounding.
        numbers: How many numbers it changes.
        step: As in `Contribution`.
    """
    slack = step - 1
    return Sensitivity(
        l1=(l1 + numbers * slack) // step,
        l2_squared=(l2_squared + 2 * slack * l1 + numbers * slack**2) // step**2,
    )
