"""What one question costs, as exact rationals rounded against us (`protocol.md` 2.2 and 2.3)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Final, Self

from federated.privacy.mechanism import Mechanism, NoiseBlock, NoiseSpec, share_variance
from federated.privacy.rounding import exact, exp_upper, positive, round_up, whole
from protocols.errors import LocalProtocolError

_PI_SQUARED_BELOW: Final = Fraction("3.14159265358979323846") ** 2
_TAU_GRID: Final = 1 << 160
_TERMS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Privacy cost of one round at one node.

    Attributes:
        epsilon: Pure epsilon, or None when the mechanism gives none.
        rho: Zero-concentrated cost; for a pure charge at least epsilon^2 / 2.
        draws: Table draws of all nodes together; each may be off by 2^-128 in total variation.
    """

    epsilon: Fraction | None
    rho: Fraction
    draws: int

    def __post_init__(self) -> None:
        """Refuse floats, negative costs, and a pure cost whose rho does not cover it."""
        positive(self.rho, "rho")
        whole(self.draws, "draws", least=0)
        if self.epsilon is not None:
            positive(self.epsilon, "epsilon")
            if self.rho < self.epsilon**2 / 2:
                raise LocalProtocolError(
                    f"a pure charge of epsilon {self.epsilon} counts rho {self.epsilon**2 / 2}, not {self.rho}"
                )

    def times(self, rounds: int) -> Self:
        """The cost of so many rounds of this charge: an exact sum.

        Raises:
            LocalProtocolError: Pure charges of several rounds, which no plan has.
        """
        whole(rounds, "rounds", least=1)
        if rounds > 1 and self.epsilon is not None:
            raise LocalProtocolError("several rounds are charged as zero-concentrated cost only")
        return replace(self, rho=self.rho * rounds, draws=self.draws * rounds)


def noise_charge(spec: NoiseSpec, sensitivities: Sequence[int], *, honest: int, councils: int) -> Charge:
    """The charge of a plan's noise in a round, whichever the mechanism.

    Args:
        spec: The plan's noise.
        sensitivities: For each block, Laplace: l1; Gaussian: l2 squared; of the unscaled integer query.
        honest: `h` of the round (only Gaussian depends on it: more of them, a little more tau).
        councils: Nodes that may draw noise in the round; the size of the cohort for a safe bound.
    """
    match spec.mechanism:
        case Mechanism.DISCRETE_LAPLACE:
            return laplace_charge(spec, sensitivities, councils=councils)
        case Mechanism.DISCRETE_GAUSSIAN:
            return gaussian_charge(spec, sensitivities, honest=honest, councils=councils)


def laplace_charge(spec: NoiseSpec, l1: Sequence[int], *, councils: int) -> Charge:
    """Pure epsilon, the sum over the blocks of `a` times l1; rho is epsilon^2 / 2; two draws a cell and node.

    Raises:
        LocalProtocolError: Wrong mechanism, or not one sensitivity per block.
    """
    pairs = _paired(spec, l1, Mechanism.DISCRETE_LAPLACE)
    epsilon = round_up(sum((block.parameter * bound for block, bound in pairs), Fraction(0)))
    draws = 2 * spec.cells * whole(councils, "councils", least=1)
    return Charge(epsilon=epsilon, rho=round_up(epsilon**2 / 2), draws=draws)


def gaussian_charge(spec: NoiseSpec, l2_squared: Sequence[int], *, honest: int, councils: int) -> Charge:
    """Rho, the sum over the blocks of l2^2 / (2 sigma^2) and cells times tau, rounded up; one draw a cell and node.

    Raises:
        LocalProtocolError: Wrong mechanism, or not one sensitivity per block.
    """
    rho = Fraction(0)
    for block, bound in _paired(spec, l2_squared, Mechanism.DISCRETE_GAUSSIAN):
        variance = share_variance(block.parameter, scale=spec.scale, honest=honest)
        rho += bound / (2 * block.parameter) + block.cells * tau_bound(variance, honest)
    draws = spec.cells * whole(councils, "councils", least=1)
    return Charge(epsilon=None, rho=round_up(rho), draws=draws)


@lru_cache(maxsize=64, typed=True)  # typed: a float equal to a cached Fraction must still be refused
def tau_bound(variance: Fraction, honest: int) -> Fraction:
    """How far a sum of discrete Gaussian shares is from a discrete Gaussian, rounded up.

    tau = 10 * sum over k from 1 to h-1 of exp(-2 pi^2 variance k / (k+1)); Kairouz, Liu, Steinke 2021, Prop. 14.

    Args:
        variance: Of one share in squared steps.
        honest: Shares in the sum, `h`.
    """
    exact(variance, "share variance")
    whole(honest, "honest", least=1)
    exponent = -2 * _PI_SQUARED_BELOW * variance
    near = min(honest, _TERMS)
    terms = sum((exp_upper(exponent * Fraction(k, k + 1)) for k in range(1, near)), Fraction(0))
    terms += (honest - near) * exp_upper(exponent * Fraction(near, near + 1))  # none of the rest is larger
    return Fraction(ceil(10 * terms * _TAU_GRID), _TAU_GRID)


def _paired(spec: NoiseSpec, sensitivities: Sequence[int], mechanism: Mechanism) -> tuple[tuple[NoiseBlock, int], ...]:
    if spec.mechanism is not mechanism:
        raise LocalProtocolError(f"a {mechanism} charge was asked for {spec.mechanism} noise")
    if len(sensitivities) != len(spec.blocks):
        raise LocalProtocolError(
            f"{len(spec.blocks)} noise blocks need as many sensitivities, not {len(sensitivities)}"
        )
    return tuple(
        (block, whole(bound, "sensitivity", least=1)) for block, bound in zip(spec.blocks, sensitivities, strict=True)
    )
