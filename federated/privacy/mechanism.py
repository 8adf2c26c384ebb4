"""The two noise mechanisms, as plans state them (`protocol.md` 2.2)."""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import ceil, isqrt
from typing import Final

from federated.errors import QueryError
from federated.privacy.rounding import positive, whole
from protocols.errors import LocalProtocolError

LEAST_LAPLACE_PARAMETER: Final = Fraction(89, 1 << 16)
"""Smallest `a` whose table has at most 2^16 entries: e^-89 is below 2^-128."""

LEAST_SHARE_VARIANCE: Final = Fraction(4)
"""Below it, sums of discrete Gaussians are no longer close to a discrete Gaussian (`protocol.md` 2.2 b)."""

PLANNED_SHARE_VARIANCE_MAX: Final = Fraction(1 << 24)
"""What a plan may ask for, with every eligible council present: a share's sigma of 2^12."""

SHARE_VARIANCE_MAX: Final = Fraction(1 << 28)
"""What the sampler will still do: fewer councils in the round mean larger shares, and a node that has
adverted must not fail for that. A plan at its own limit has room for 16 times fewer honest councils."""


class Mechanism(StrEnum):
    """Which noise the sum carries."""

    DISCRETE_LAPLACE = "discrete_laplace"
    DISCRETE_GAUSSIAN = "discrete_gaussian"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseBlock:
    """Cells that carry noise of the same size.

    Attributes:
        cells: Length of the block, at least 1.
        parameter: Laplace: `a`, with P(k) proportional to e^(-a|k|). Gaussian: the variance of the whole noise
            in squared units of the query, before scaling.
    """

    cells: int
    parameter: Fraction

    def __post_init__(self) -> None:
        """Refuse a float: it would be a rounded privacy parameter."""
        whole(self.cells, "cells of a noise block", least=1)
        positive(self.parameter, "noise parameter")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseSpec:
    """The noise of one plan: the total that `honest` councils' shares must add up to.

    Attributes:
        mechanism: Kind of noise.
        blocks: Consecutive parts of the vector.
        scale: Integer steps per unit of the query: 1 for Laplace, a power of two for Gaussian.
    """

    mechanism: Mechanism
    blocks: tuple[NoiseBlock, ...]
    scale: int

    def __post_init__(self) -> None:
        """Refuse what no plan may state."""
        if not self.blocks:
            raise LocalProtocolError("a noise specification needs at least one block")
        whole(self.scale, "scale", least=1)
        if self.scale & (self.scale - 1):
            raise LocalProtocolError(f"scale must be a power of two, not {self.scale}")
        if self.mechanism is Mechanism.DISCRETE_LAPLACE and self.scale != 1:
            raise LocalProtocolError(f"discrete Laplace noise has scale 1, not {self.scale}")

    @property
    def cells(self) -> int:
        """Length of the whole vector."""
        return sum(block.cells for block in self.blocks)


def share_variance(parameter: Fraction, *, scale: int, honest: int) -> Fraction:
    """Variance of one council's Gaussian share in squared steps, `s^2 sigma^2 / h`."""
    return parameter * scale**2 / whole(honest, "honest", least=1)


def require_samplable(mechanism: Mechanism, parameter: Fraction, *, scale: int, honest: int) -> None:
    """Check that the exact sampler has a table for this noise.

    Raises:
        QueryError: The noise is too large for the sampler, or a Gaussian share too small to be accounted for.
    """
    if mechanism is Mechanism.DISCRETE_LAPLACE:
        if parameter < LEAST_LAPLACE_PARAMETER:
            raise QueryError(
                "The question needs more pure-epsilon noise than the exact sampler can draw (a standard deviation of "
                "about 1,000 units).",
                remedy="Use Gaussian noise, a larger epsilon, or tighter clipping bounds.",
            )
        return
    variance = share_variance(parameter, scale=scale, honest=honest)
    if variance < LEAST_SHARE_VARIANCE:
        raise QueryError(
            f"One council's Gaussian share would have variance {variance} in integer steps; it must be at least "
            f"{LEAST_SHARE_VARIANCE}.",
            remedy="Plan with a larger scale.",
        )
    if variance > SHARE_VARIANCE_MAX:
        raise QueryError(
            "The question needs more Gaussian noise than the exact sampler can draw (at most 16,384 integer steps "
            "for one council's share).",
            remedy="Use tighter clipping bounds, a coarser unit of measurement, or a larger epsilon.",
        )


def noise_bound(spec: NoiseSpec, *, honest: int, contributors: int) -> int:
    """`B_eta` of `protocol.md` 1.4: a bound on one cell of the summed noise, for the ring's headroom.

    Gaussian: 12 standard deviations of `contributors` shares. Laplace: 64/a while contributors are at most twice
    the honest ones; beyond that it grows in proportion, which keeps the chance that a cell exceeds it
    below 2^-75 (the plain 64/a would let the heavier tail of many shares through).

    Args:
        spec: The plan's noise.
        honest: Shares the noise is calibrated to.
        contributors: Shares added, at least 1; the whole cohort for a safe bound.

    Returns:
        The largest bound over the blocks, in integer steps.
    """
    whole(honest, "honest", least=1)
    whole(contributors, "contributors", least=1)
    if spec.mechanism is Mechanism.DISCRETE_LAPLACE:
        excess = max(Fraction(1), Fraction(contributors, 2 * honest))
        return max(ceil(64 * excess / block.parameter) for block in spec.blocks)
    return max(
        _ceil_sqrt(144 * contributors * share_variance(block.parameter, scale=spec.scale, honest=honest))
        for block in spec.blocks
    )


def _ceil_sqrt(value: Fraction) -> int:
    """Smallest integer whose square is at least the value."""
    target = ceil(value)
    root = isqrt(target)
    return root if root * root == target else root + 1
