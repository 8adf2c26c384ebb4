"""The three noises that one table is answered with, at one epsilon and under one mechanism."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import sqrt
from typing import Any, Final, Literal

import numpy as np
import opendp.prelude as dp
from numpy.typing import NDArray

from federated.privacy import (
    FILTER_SHARE_OF_DELTA,
    Mechanism,
    NoiseSpec,
    ReleasedNoise,
    gaussian_noise,
    laplace_noise,
    released_noise,
    sample_noise_share,
    zcdp_rho,
)
from federated.statistics import Sensitivity
from protocols.secagg import CohortRules, Profile, Thresholds

__all__ = ["WAYS", "Noises", "Way", "noises"]

DELTA: Final = Fraction(1, 1_000_000)
AT_ONCE: Final = 500_000
"""Most cells drawn in one go."""
Way = Literal["ours", "central", "each council"]
WAYS: Final[tuple[Way, ...]] = ("ours", "central", "each council")

dp.enable_features("contrib")


@dataclass(frozen=True, slots=True, kw_only=True)
class Noises:
    """The noise of one table.

    Attributes:
        spec: As a plan has it.
        sensitivity: What it is calibrated to.
        epsilon: What it costs.
        thresholds: Of a full round of the councils under the standard profile.
        rounds: That share the cost; the noise is that of one.
    """

    spec: NoiseSpec
    sensitivity: Sensitivity
    epsilon: Fraction
    thresholds: Thresholds
    rounds: int = 1

    def law(self, way: Way) -> ReleasedNoise:
        """What an answer given this way carries, as its reader knows it."""
        n, parameter = self.thresholds.n, self.spec.blocks[0].parameter
        honest, contributors = {"ours": (self.thresholds.h, n), "central": (1, 1), "each council": (1, 1)}[way]
        if way == "each council":
            # n whole noises of their own have n times the variance; their law is nearly that of one such noise.
            gaussian = self.spec.mechanism is Mechanism.DISCRETE_GAUSSIAN
            parameter = parameter * n if gaussian else parameter / Fraction(sqrt(n)).limit_denominator(1000)
        scale = self.spec.scale
        return released_noise(self.spec.mechanism, parameter, scale=scale, honest=honest, contributors=contributors)

    def draws(self, way: Way, times: int) -> Iterator[NDArray[np.float64]]:
        """Noise of the whole table, in its own unit, so many times: many tables' cells are drawn at once."""
        most = max(1, AT_ONCE // self.spec.cells)
        for done in range(0, times, most):
            number = min(most, times - done)
            yield from self._drawn(way, number * self.spec.cells).reshape(number, self.spec.cells)

    def _drawn(self, way: Way, cells: int) -> NDArray[np.float64]:
        if way == "central":
            return np.asarray(self._opendp()([0] * cells), dtype=np.float64)
        [block] = self.spec.blocks
        wide = replace(self.spec, blocks=(replace(block, cells=cells),))
        honest = self.thresholds.h if way == "ours" else 1
        total = np.zeros(cells, dtype=np.int64)
        for _ in range(self.thresholds.n):
            total += sample_noise_share(wide, honest=honest, rng=os.urandom)
        found: NDArray[np.float64] = total / self.spec.scale
        return found

    def _opendp(self) -> Any:
        """OpenDP's own measurement over the whole table, whose cost by its own map is what we are charged."""
        domain = dp.vector_domain(dp.atom_domain(T="i64"))
        if self.spec.mechanism is Mechanism.DISCRETE_LAPLACE:
            scale = float(self.sensitivity.l1 / self.epsilon)
            made = dp.m.make_laplace(domain, dp.l1_distance(T="i64"), scale)
            _agree(made.map(self.sensitivity.l1), float(self.epsilon))
        else:
            rho = zcdp_rho(self.epsilon, DELTA * FILTER_SHARE_OF_DELTA) / self.rounds
            scale = sqrt(self.sensitivity.l2_squared / (2 * rho))
            made = dp.m.make_gaussian(domain, dp.l2_distance(T="f64"), scale)
            _agree(made.map(sqrt(self.sensitivity.l2_squared)), float(rho))
        return made


def _agree(found: float, charged: float) -> None:
    if abs(found - charged) > 1e-6 * charged:
        raise ValueError(f"OpenDP says that its noise costs {found}, not {charged}")


def noises(sensitivity: Sensitivity, cells: int, *, epsilon: Fraction, councils: int, rounds: int = 1) -> Noises:
    """The noise of a table, by whichever mechanism has the smaller standard deviation for a single total.

    That of one round, where the answer takes several; those are answered with Gaussian noise.
    """
    rules = CohortRules(profile=Profile.STANDARD, eligible_count=councils, min_cohort=10, min_honest=3)
    thresholds = rules.thresholds(councils)
    specs = []
    if rounds == 1 and sensitivity.l1 / epsilon < 700:
        specs.append(laplace_noise(epsilon, [(cells, sensitivity.l1)]))
    rho = zcdp_rho(epsilon, DELTA * FILTER_SHARE_OF_DELTA) / rounds
    specs.append(gaussian_noise(rho, [(cells, sensitivity.l2_squared)], honest=thresholds.h))
    made = [
        Noises(spec=spec, sensitivity=sensitivity, epsilon=epsilon, thresholds=thresholds, rounds=rounds)
        for spec in specs
    ]
    return min(made, key=lambda item: item.law("ours").sd)
