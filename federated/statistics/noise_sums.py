"""How far a weighted sum of several cells' noise reaches: from the noise's own law, not from 1.96 standard deviations.

A figure made of several noisy numbers has, to first order or exactly, an error w_1 X_1 + ... + w_m X_m with X_i
independent draws of the released noise. Its law is found by inverting the characteristic function (Gil-Pelaez 1951):
P(|sum| <= c) = 2/pi times the integral over t > 0 of sin(c t) / t times the product of the characteristic functions of
w_i X_i. One Laplace number needs 2.12 standard deviations for 95%, many together 1.96: the difference is two points of
coverage.

Two things are smoothed. Noise on a grid is taken as spread evenly between its grid points, so that the sum has a
density: at a standard deviation of five points that moves the coverage by at most one in 100. Where the noise spans
fewer points, half a point is added for each number, as much as it can have been spread: intervals then hold the truth
more often than they say. And where councils round (`federated.statistics.steps`), what each of them rounds off is taken
as evenly spread, too.
"""

from dataclasses import dataclass, field
from math import pi
from typing import Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federated.privacy.laws import ReleasedNoise

__all__ = ["NoiseSums"]

SPACING: Final = 0.2
"""Of the integral's nodes, in 1/standard deviations: sums beyond 31 standard deviations do not occur."""
NODES: Final = 300
"""Up to 60: what lies beyond changes a probability by less than 1e-5."""
FINENESS: Final = 600
"""Points of the characteristic function for each standard deviation of the noise: linear in between to 1e-5."""
START: Final = 1.9
"""Below 1.96: laws of noise are no flatter than the normal one, up to their grid."""
NEWTON_STEPS: Final = 6
CELLS_AT_ONCE: Final = 256
COARSE: Final = 5.0
"""Grid points for each standard deviation below which half a point is added."""

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseSums:
    """The law of weighted sums of independent draws of one released noise.

    Attributes:
        sd: Standard deviation of one draw, in units of the numbers.
        scale: Grid points of the noise for each unit.
        rounding: Variance of what councils round off in one number.
        transform: Characteristic function of one draw, in grid points, at evenly spaced points from 0 to pi.
    """

    sd: float
    scale: int
    rounding: float
    transform: Floats = field(repr=False)

    @classmethod
    def of(cls, noise: ReleasedNoise, *, step: int = 1) -> Self:
        """Prepare the law of a table's noise.

        Args:
            noise: As released.
            step: Of the table's `Contribution`; 1 where councils round nothing.
        """
        offset, probabilities = noise.pmf()
        grid = noise.sd * noise.scale
        length = 1 << int(max(2 * len(probabilities), FINENESS * grid)).bit_length()
        # The law is even, so with 0 in front its transform is real: the characteristic function.
        around = np.zeros(length)
        around[: len(probabilities) + offset] = probabilities[-offset:]
        around[offset:] = probabilities[:-offset]
        transform = np.fft.rfft(around).real
        rounding = noise.contributors / 12 if step > 1 else 0.0
        return cls(sd=noise.sd, scale=noise.scale, rounding=rounding, transform=transform / transform[0])

    def spread(self, weights: Floats) -> Floats:
        """Standard deviation of each weighted sum.

        Shapes:
            `weights` is `(cells, numbers)`; the result is `(cells,)`.
        """
        spread: Floats = np.sqrt(self.sd**2 + self.rounding) * np.linalg.norm(weights, axis=1)
        return spread

    def reach(self, weights: Floats, coverage: float) -> Floats:
        """How far from zero each weighted sum goes with the given probability; 0 where all weights are.

        Shapes:
            As for `spread`.
        """
        spread = self.spread(weights)
        directions = weights / np.where(spread > 0, spread, 1.0)[:, None]
        found = [
            self._quantiles(directions[start : start + CELLS_AT_ONCE], coverage)
            for start in range(0, len(directions), CELLS_AT_ONCE)
        ]
        reach = spread * np.concatenate(found) if found else spread
        return reach + self._half_points(weights)

    def _half_points(self, weights: Floats) -> Floats:
        if self.sd * self.scale >= COARSE:
            return np.zeros(len(weights))
        longest: Floats = np.abs(weights).sum(axis=1) / (2 * self.scale)
        return longest

    def _quantiles(self, directions: Floats, coverage: float) -> Floats:
        """Newton's method from below: the distribution of |sum| bends downwards, so that no step goes too far."""
        nodes = SPACING * np.arange(1, NODES + 1)
        product = np.prod(self._transformed(directions[:, :, None] * nodes), axis=1)
        quantile = np.full(len(directions), START)
        for _ in range(NEWTON_STEPS):
            angles = quantile[:, None] * nodes
            within = quantile / 2 + (np.sin(angles) / nodes * product).sum(axis=1)
            density = 0.5 + (np.cos(angles) * product).sum(axis=1)
            quantile = quantile + (coverage * pi / (2 * SPACING) - within) / density
        return quantile

    def _transformed(self, frequency: Floats) -> Floats:
        """Characteristic function of one number's error at frequencies per unit."""
        on_grid = np.abs(frequency) / self.scale
        # A law on the integers has a characteristic function that repeats every 2 pi.
        folded = np.abs((on_grid + pi) % (2 * pi) - pi) * ((len(self.transform) - 1) / pi)
        below = np.minimum(folded.astype(np.int64), len(self.transform) - 2)
        part = folded - below
        law = (1 - part) * self.transform[below] + part * self.transform[below + 1]
        # np.sinc(x) is sin(pi x) / (pi x): the spread of one grid point.
        found: Floats = law * np.sinc(on_grid / (2 * pi)) * np.exp(-self.rounding * frequency**2 / 2)
        return found
