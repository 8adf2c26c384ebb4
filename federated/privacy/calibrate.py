"""Step 2 of 8: from the budget asked for to a plan's noise, by the planner and again by every node."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, isqrt
from typing import Final

from federated.errors import QueryError
from federated.privacy.charge import tau_bound
from federated.privacy.mechanism import (
    LEAST_SHARE_VARIANCE,
    PLANNED_SHARE_VARIANCE_MAX,
    Mechanism,
    NoiseBlock,
    NoiseSpec,
    require_samplable,
    share_variance,
)
from federated.privacy.rounding import GRID, grid_floor, positive, whole

_PART_BITS: Final = 24
_ROOT_BITS: Final = 96
_VARIANCE_STEPS: Final = 1 << 32
_MOST_HONEST: Final = 1 << 12

Tables = Sequence[tuple[int, int]]
"""For each table: its cells, and its sensitivity (Laplace: l1; Gaussian: l2 squared)."""


def split_laplace(epsilon: Fraction, blocks: Tables, units: Sequence[int] = ()) -> tuple[Fraction, ...]:
    """Divide a pure budget over tables so that the total variance is least: epsilon_w in proportion to (n l1^2)^(1/3).

    The variance of each table counts in squared units of its own (ADR 0009), here u: (n l1^2 / u^2)^(1/3).

    The cube roots are rounded to 24 bits of the largest, so that the parts are rationals of moderate length; they
    still sum to epsilon exactly, and the total variance moves only in the second order.

    Args:
        epsilon: The whole budget asked for.
        blocks: (cells, l1) of each table.
        units: What one household can add to one number of each table; 1 for each when none are given.

    Raises:
        QueryError: Less than 2^-64 is asked for.
    """
    positive(epsilon, "epsilon")
    squares = _squared(units, blocks)
    roots = [
        _cube_root((_cells(cells) * _bound(l1) ** 2 << _ROOT_BITS) // square)
        for (cells, l1), square in zip(blocks, squares, strict=True)
    ]
    spendable = epsilon if epsilon.denominator <= GRID else grid_floor(epsilon)
    if spendable == 0:
        raise _too_small(blocks)
    return _parts(spendable, roots)


def split_gaussian(rho: Fraction, blocks: Tables, units: Sequence[int] = ()) -> tuple[Fraction, ...]:
    """Divide a zCDP budget over tables so that the total variance is least, and give each table's variance.

    sigma_w^2 = sqrt(k_w/n_w) * (sum of sqrt(k_v n_v)) / (2 rho) with k the squared l2 sensitivity (`protocol.md` 3):
    table w spends the part of rho in proportion to sqrt(k_w n_w), divided by its own unit (ADR 0009). The largest tau
    that a plan can be charged for (a share variance of 4) is set aside first, so that the charge never exceeds what was
    asked.

    Args:
        rho: The whole budget asked for.
        blocks: (cells, squared l2) of each table.
        units: As for :func:`split_laplace`.

    Returns:
        The variance of each table's whole noise, in squared units of the query, rounded up to a multiple of 2^-32.

    Raises:
        QueryError: Too little is asked for to pay for tau.
    """
    positive(rho, "rho")
    cells = sum(_cells(count) for count, _ in blocks)
    reserve = cells * tau_bound(LEAST_SHARE_VARIANCE, _MOST_HONEST)
    spendable = grid_floor(grid_floor(rho) - reserve)
    if spendable <= 0:
        raise _too_small(blocks)
    squares = _squared(units, blocks)
    roots = [
        isqrt((_cells(count) * _bound(l2_squared) << _ROOT_BITS) // square)
        for (count, l2_squared), square in zip(blocks, squares, strict=True)
    ]
    parts = _parts(spendable, roots)
    variances = (l2_squared / (2 * part) for (_, l2_squared), part in zip(blocks, parts, strict=True))
    return tuple(Fraction(ceil(variance * _VARIANCE_STEPS), _VARIANCE_STEPS) for variance in variances)


def _squared(units: Sequence[int], blocks: Tables) -> list[int]:
    return [_bound(unit) ** 2 for unit in units] if units else [1] * len(blocks)


def gaussian_scale(variances: Sequence[Fraction], honest: int) -> int:
    """The smallest power of two for which one council's smallest share has variance 4 in squared steps.

    Args:
        variances: Of each table's whole noise, in squared units of the query.
        honest: `h` with every eligible council present.

    Raises:
        QueryError: At that scale the largest share would not fit the exact sampler's table.
    """
    scale = 1
    while share_variance(min(variances), scale=scale, honest=honest) < LEAST_SHARE_VARIANCE:
        scale *= 2
    if share_variance(max(variances), scale=scale, honest=honest) > PLANNED_SHARE_VARIANCE_MAX:
        raise QueryError(
            "The tables of this question need Gaussian noise that is too large, or too different in size, for "
            "the exact sampler (more than 4,096 integer steps for one council's share).",
            remedy="Ask the tables in separate questions, use tighter clipping bounds, or a larger epsilon.",
        )
    return scale


def laplace_noise(epsilon: Fraction, blocks: Tables, units: Sequence[int] = ()) -> NoiseSpec:
    """The Laplace noise of a plan: :func:`split_laplace`, each part divided by its sensitivity.

    Raises:
        QueryError: A table's noise is too large for the exact sampler.
    """
    parts = split_laplace(epsilon, blocks, units)
    spec = NoiseSpec(
        mechanism=Mechanism.DISCRETE_LAPLACE,
        blocks=tuple(
            NoiseBlock(cells=cells, parameter=part / l1) for (cells, l1), part in zip(blocks, parts, strict=True)
        ),
        scale=1,
    )
    for block in spec.blocks:
        require_samplable(spec.mechanism, block.parameter, scale=1, honest=1)
    return spec


def gaussian_noise(rho: Fraction, blocks: Tables, units: Sequence[int] = (), *, honest: int) -> NoiseSpec:
    """The Gaussian noise of a plan: :func:`split_gaussian` at the scale of :func:`gaussian_scale`.

    Args:
        rho: The whole budget asked for.
        blocks: (cells, squared l2) of each table.
        units: As for :func:`split_laplace`.
        honest: `h` with every eligible council present.

    Raises:
        QueryError: As those two.
    """
    variances = split_gaussian(rho, blocks, units)
    return NoiseSpec(
        mechanism=Mechanism.DISCRETE_GAUSSIAN,
        blocks=tuple(
            NoiseBlock(cells=cells, parameter=variance) for (cells, _), variance in zip(blocks, variances, strict=True)
        ),
        scale=gaussian_scale(variances, honest),
    )


def _too_small(blocks: Tables) -> QueryError:
    return QueryError(
        f"The privacy cost asked for is too small to share between {sum(count for count, _ in blocks):,} cells.",
        remedy="Ask with a larger epsilon or for fewer cells.",
    )


def _cells(count: int) -> int:
    return whole(count, "cells of a table", least=1)


def _bound(sensitivity: int) -> int:
    return whole(sensitivity, "sensitivity", least=1)


def _parts(total: Fraction, roots: Sequence[int]) -> tuple[Fraction, ...]:
    """Parts in proportion to the roots, rounded to 24 bits of the largest; they sum to the total exactly."""
    largest = max(roots)
    weights = [max(1, (root << _PART_BITS) // largest) for root in roots]
    return tuple(total * weight / sum(weights) for weight in weights)


def _cube_root(value: int) -> int:
    """Floor of the cube root, by bisection: the same integers on every machine."""
    low, high = 0, 1 << -(-value.bit_length() // 3)
    while high - low > 1:
        middle = (low + high) // 2
        if middle**3 <= value:
            low = middle
        else:
            high = middle
    return low
