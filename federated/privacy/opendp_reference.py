"""OpenDP's own cost of the same noise, evaluated in the node: a plan that claims less is refused (`protocol.md` 2.4).

OpenDP takes a third of a second to import, so it is imported on first use.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from math import inf, nextafter, sqrt
from types import ModuleType
from typing import Any, Final

import numpy as np

from federated.errors import PolicyRefusal
from federated.privacy.charge import Charge, noise_charge
from federated.privacy.mechanism import Mechanism, NoiseBlock, NoiseSpec
from federated.privacy.noise_share import sample_noise_share
from protocols.errors import LocalProtocolError
from protocols.identifiers import RandomSource

RULE: Final = "reference_cost"

_FLOAT_SLACK: Final = Fraction(1, 1 << 40)
"""OpenDP computes its maps in floats, rounded up; each passes through a few roundings of 2^-53."""


def require_no_cheaper_than_opendp(
    spec: NoiseSpec, sensitivities: Sequence[int], charge: Charge, *, honest: int
) -> None:
    """Refuse a plan whose claimed charge is below what OpenDP says its noise costs.

    Run by each node on every plan, after its own derivation: two implementations must agree before data is read.

    Args:
        spec: The plan's noise.
        sensitivities: For each block, Laplace: l1; Gaussian: l2 squared.
        charge: The cost the plan claims.
        honest: `h` of the round.

    Raises:
        PolicyRefusal: `reference_cost`: OpenDP's mechanism, or our own wrapped as its measurement, costs more.
    """
    claimed = charge.epsilon if spec.mechanism is Mechanism.DISCRETE_LAPLACE else charge.rho
    if claimed is None:
        raise PolicyRefusal(RULE, "The plan claims no pure epsilon for Laplace noise, which has one.")
    required = _required(spec, tuple(sensitivities), honest)
    if claimed < required * (1 - _FLOAT_SLACK):
        raise PolicyRefusal(
            RULE,
            f"The plan claims a privacy cost of {claimed}, but OpenDP puts its noise at about {float(required):.9g}.",
            remedy="Plan the question again with this version of the software.",
        )


@lru_cache(maxsize=64)
def _required(spec: NoiseSpec, sensitivities: tuple[int, ...], honest: int) -> Fraction:
    """The larger of the two costs: a pure function, and questions at the usual epsilon share their noise."""
    own = _total(
        [
            (wrapped_measurement(spec, index, honest=honest, rng=_no_randomness), bound)
            for index, bound in enumerate(sensitivities)
        ],
        spec.mechanism,
    )
    return max(opendp_cost(spec, sensitivities), own)


def opendp_cost(spec: NoiseSpec, sensitivities: Sequence[int]) -> Fraction:
    """OpenDP's map of its own mechanism for each block, summed: epsilon for Laplace, rho for Gaussian.

    Args:
        spec: The plan's noise.
        sensitivities: For each block, Laplace: l1; Gaussian: l2 squared.
    """
    pairs = [
        (_reference_measurement(spec, block), bound) for block, bound in zip(spec.blocks, sensitivities, strict=True)
    ]
    return _total(pairs, spec.mechanism)


def opendp_epsilon(rho: Fraction, delta: Fraction) -> float:
    """OpenDP's conversion of rho-zCDP to the epsilon of (epsilon, delta)-DP, to hold ours against."""
    dp = _opendp()
    gaussian = dp.m.make_gaussian(
        dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64"), scale=sqrt(1 / (2 * rho))
    )
    return float(dp.c.make_zCDP_to_approxDP(gaussian).map(1.0).epsilon(float(delta)))


def wrapped_measurement(spec: NoiseSpec, index: int, *, honest: int, rng: RandomSource) -> Any:
    """Our sampler for one block as an OpenDP measurement: adds `honest` councils' shares to a vector of integers.

    Its map is our charge, so OpenDP's combinators can be applied to it and checked against.

    Args:
        spec: The plan's noise.
        index: Which block.
        honest: `h` of the round, and the number of shares drawn.
        rng: Source of the shares' entropy.
    """
    dp = _opendp()
    block = spec.blocks[index]
    alone = NoiseSpec(mechanism=spec.mechanism, blocks=(block,), scale=spec.scale)
    laplace = spec.mechanism is Mechanism.DISCRETE_LAPLACE

    def release(values: Sequence[int]) -> list[int]:
        shares = (sample_noise_share(alone, honest=honest, rng=rng) for _ in range(honest))
        return [int(value) for value in sum(shares, np.asarray(values, np.int64) * spec.scale)]

    def cost(distance: float) -> float:
        bound = round(distance if laplace else distance**2)
        charge = noise_charge(alone, (bound,), honest=honest, councils=honest)
        return _float_above(charge.rho if charge.epsilon is None else charge.epsilon)

    return dp.m.make_user_measurement(
        dp.vector_domain(dp.atom_domain(T="i64"), size=block.cells),
        dp.l1_distance(T="i64") if laplace else dp.l2_distance(T="f64"),
        output_measure=dp.max_divergence() if laplace else dp.zero_concentrated_divergence(),
        function=release,
        privacy_map=cost,
        TO="Vec<i64>",
    )


def _reference_measurement(spec: NoiseSpec, block: NoiseBlock) -> Any:
    """OpenDP's own mechanism with this block's noise, in units of the query."""
    dp = _opendp()
    domain = dp.vector_domain(dp.atom_domain(T="i64"))
    if spec.mechanism is Mechanism.DISCRETE_LAPLACE:
        return dp.m.make_laplace(domain, dp.l1_distance(T="i64"), scale=float(1 / block.parameter))
    return dp.m.make_gaussian(domain, dp.l2_distance(T="f64"), scale=sqrt(block.parameter))


def _total(pairs: Sequence[tuple[Any, int]], mechanism: Mechanism) -> Fraction:
    laplace = mechanism is Mechanism.DISCRETE_LAPLACE
    maps = (measurement.map(bound if laplace else sqrt(bound)) for measurement, bound in pairs)
    return sum((Fraction(cost) for cost in maps), Fraction(0))


def _float_above(value: Fraction) -> float:
    nearest = float(value)
    return nearest if Fraction(nearest) >= value else nextafter(nearest, inf)


def _no_randomness(_: int) -> bytes:
    raise LocalProtocolError("a measurement made to read its cost was asked for a release")


def _opendp() -> ModuleType:
    import opendp.prelude as dp  # noqa: PLC0415 - 0.3 s, which a node should not wait for at its start

    dp.enable_features("contrib", "honest-but-curious")
    return dp
