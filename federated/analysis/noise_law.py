"""Laws of sums and differences of released noise, by convolution on the grid the noise is on.

Every released noise is symmetric and independent of every other cell's, so a difference has the law of the sum. The
probabilities come from fast Fourier transforms: right to about 1e-13 each, like those they are made from.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, lcm, sqrt
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from federated.privacy import ReleasedNoise, steps_holding

__all__ = ["NoiseLaw"]

_REACH_SIGMAS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseLaw:
    """A symmetric law on whole steps of 1/scale.

    Attributes:
        scale: Steps per unit of the question.
        probabilities: Of the values from -n to n, in steps.

    Shapes:
        `probabilities` is `(2n + 1,)`.
    """

    scale: int
    probabilities: NDArray[np.float64] = field(repr=False)

    @classmethod
    def of(cls, noise: ReleasedNoise) -> Self:
        """The noise of one released cell."""
        return cls(scale=noise.scale, probabilities=noise.pmf()[1])

    @property
    def first(self) -> int:
        """The lowest value, in steps."""
        return -(len(self.probabilities) // 2)

    @property
    def sd(self) -> float:
        """Standard deviation in units of the question."""
        steps = np.arange(self.first, -self.first + 1, dtype=np.float64)
        return sqrt(float(steps**2 @ self.probabilities)) / self.scale

    def of_cells(self, count: int) -> "NoiseLaw":
        """The noise in a sum of so many cells, each with noise of this law."""
        if count == 1:
            return self
        # Beyond its own reach and 12 standard deviations of the sum nothing is left: below 1e-17.
        reach = min(-self.first * count, -self.first + ceil(_REACH_SIGMAS * self.sd * self.scale * sqrt(count)))
        return NoiseLaw(scale=self.scale, probabilities=_symmetric([(self, count)], reach))

    def combined(self, other: "NoiseLaw") -> "NoiseLaw":
        """The noise in a sum, and so in a difference, of two figures with independent noise."""
        scale = lcm(self.scale, other.scale)
        one, two = self.on_scale(scale), other.on_scale(scale)
        return NoiseLaw(scale=scale, probabilities=_symmetric([(one, 1), (two, 1)], -one.first - two.first))

    def on_scale(self, scale: int) -> "NoiseLaw":
        """The same law in finer steps."""
        factor = scale // self.scale
        if factor == 1:
            return self
        finer = np.zeros((len(self.probabilities) - 1) * factor + 1)
        finer[::factor] = self.probabilities
        return NoiseLaw(scale=scale, probabilities=finer)

    def half_width(self, coverage: Fraction) -> tuple[float, float]:
        """As `ReleasedNoise.half_width`: half the narrowest interval in units, and its exact coverage."""
        steps, within = steps_holding(self.first, self.probabilities, coverage)
        return steps / self.scale, within


def _symmetric(parts: list[tuple[NoiseLaw, int]], reach: int) -> NDArray[np.float64]:
    """The law of a sum of independent symmetric draws, so many of each, cut at `reach` steps."""
    longest = max(-law.first for law, _ in parts)
    length = 1 << (2 * (reach + longest) + 1).bit_length()
    spectrum = np.ones(length // 2 + 1)
    for law, count in parts:
        wrapped = np.zeros(length)
        wrapped[: -law.first + 1] = law.probabilities[-law.first :]
        wrapped[law.first :] = law.probabilities[: -law.first]
        # The transform of a symmetric law is real: what is left in the imaginary part is rounding.
        spectrum *= np.fft.rfft(wrapped).real ** count
    upper = np.maximum(np.fft.irfft(spectrum, length)[: reach + 1], 0.0)
    probabilities: NDArray[np.float64] = np.concatenate([upper[:0:-1], upper])
    probabilities /= probabilities.sum()
    probabilities.setflags(write=False)
    return probabilities
