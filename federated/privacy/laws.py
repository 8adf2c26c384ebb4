"""The law of the noise that a release carries: for margins of error, not for the privacy account.

Shares are calibrated to `honest` councils; when more contribute, the release carries more noise than planned, with a
law of its own. It is computed here as it is, to about 1e-13, in place of a multiple of a standard deviation.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, exp, expm1, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.privacy.mechanism import Mechanism, require_samplable, share_variance
from federated.privacy.rounding import exact, positive, whole
from protocols.errors import LocalProtocolError

_SAFETY: Final = 1e-11
"""Coverage found must exceed coverage asked by this much: more than the computation can be off by."""

_MOST_EXCESS: Final = 64
_SHARE_SIGMAS: Final = 9.6
_SUM_SIGMAS: Final = 9.6


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedNoise:
    """The noise in one cell of a release: the sum of `contributors` shares calibrated to `honest`.

    It is an upper bound if colluding councils withheld their shares. Built by :func:`released_noise`.

    Attributes:
        mechanism: Kind of noise.
        parameter: As in `NoiseBlock`.
        scale: Integer steps per unit of the query.
        honest: Shares that already make the planned noise.
        contributors: Councils in the sum, |U3|.
    """

    mechanism: Mechanism
    parameter: Fraction
    scale: int
    honest: int
    contributors: int

    @property
    def sd(self) -> float:
        """Standard deviation in units of the query."""
        excess = self.contributors / self.honest
        if self.mechanism is Mechanism.DISCRETE_LAPLACE:
            a = float(self.parameter)
            return sqrt(2 * excess * exp(-a)) / -expm1(-a)
        return sqrt(float(self.parameter) * excess)

    def pmf(self) -> tuple[int, NDArray[np.float64]]:
        """Probability of each value, for convolutions.

        Returns:
            The lowest value in integer steps of 1/scale, and the probabilities from it upwards (read-only). They are
            right to about 1e-13 each; less than 1e-17 lies outside.
        """
        return _pmf(self)

    @property
    def excess_kurtosis(self) -> float:
        """Fourth moment over the squared variance, less 3: about 3 for one Laplace draw, 0 for Gaussian noise."""
        return _excess_kurtosis(self)

    def half_width(self, coverage: Fraction) -> tuple[Fraction, float]:
        """The narrowest interval around an estimate that holds the true total often enough.

        Args:
            coverage: Probability asked for, in (0, 1).

        Returns:
            Half the width in units of the query, and the exact probability that |noise| is at most that: at least
            the one asked for.

        Raises:
            LocalProtocolError: `coverage` is not an exact rational in (0, 1), or too near 1 to be told from it.
        """
        if not 0 < exact(coverage, "coverage") < 1:
            raise LocalProtocolError(f"coverage must lie between 0 and 1, not {coverage}")
        steps, within = steps_holding(*self.pmf(), coverage)
        return Fraction(steps, self.scale), within


def steps_holding(first: int, probabilities: NDArray[np.float64], coverage: Fraction) -> tuple[int, float]:
    """The fewest steps either side of 0 that hold a symmetric law often enough.

    Args:
        first: The lowest value, -n.
        probabilities: Of the values from -n to n.
        coverage: Probability asked for, in (0, 1).

    Returns:
        The steps, and the probability that they hold: at least the one asked for.

    Raises:
        LocalProtocolError: `coverage` is too near 1 to be told from it.
    """
    within = 2 * np.cumsum(probabilities[-first:]) - probabilities[-first]
    steps = int(np.searchsorted(within, float(coverage) + _SAFETY))
    if steps == len(within):
        raise LocalProtocolError(f"coverage {coverage} is too near 1 to be told from it")
    return steps, float(within[steps])


def released_noise(
    mechanism: Mechanism, parameter: Fraction, *, scale: int, honest: int, contributors: int
) -> ReleasedNoise:
    """The law of one released cell's noise.

    Args:
        mechanism: Kind of noise.
        parameter: As in `NoiseBlock`.
        scale: Integer steps per unit of the query.
        honest: `h` of the round, which each share was calibrated to.
        contributors: Shares added, |U3|; before a round, the number expected.

    Raises:
        QueryError: The exact sampler has no table for such noise.
        LocalProtocolError: A count below 1, or more than 64 times as many contributors as honest ones.
    """
    positive(parameter, "noise parameter")
    whole(scale, "scale", least=1)
    whole(contributors, "contributors", least=1)
    require_samplable(mechanism, parameter, scale=scale, honest=honest)
    if contributors > _MOST_EXCESS * honest:
        raise LocalProtocolError(
            f"{contributors} contributors are more than {_MOST_EXCESS} times the {honest} honest ones"
        )
    return ReleasedNoise(
        mechanism=mechanism, parameter=parameter, scale=scale, honest=honest, contributors=contributors
    )


@lru_cache(maxsize=8)
def _excess_kurtosis(noise: ReleasedNoise) -> float:
    first, probabilities = noise.pmf()
    squares = (first + np.arange(len(probabilities), dtype=np.float64)) ** 2
    variance = float(probabilities @ squares)
    # Of a law that is next to none, all but the zero is rounded off; and rounding leaves a little below 3.
    return max(0.0, float(probabilities @ squares**2) / variance**2 - 3) if variance > 0 else 0.0


@lru_cache(maxsize=8)
def _pmf(noise: ReleasedNoise) -> tuple[int, NDArray[np.float64]]:
    if noise.mechanism is Mechanism.DISCRETE_LAPLACE:
        return _difference_pmf(float(noise.parameter), noise.contributors / noise.honest)
    variance = share_variance(noise.parameter, scale=noise.scale, honest=noise.honest)
    return _gaussian_sum_pmf(float(variance), noise.contributors)


def _difference_pmf(a: float, shape: float) -> tuple[int, NDArray[np.float64]]:
    """X - X' for independent X, X' ~ NB(shape, e^-a): contributors' NB(1/h) shares add up to these."""
    # Chernoff at 15/16 of the rate: P(X >= k) <= 16^shape e^(-15/16 a k), below e^-44 from here on.
    size = ceil((48 + 3 * shape) / a) + 2
    k = np.arange(size - 1)
    one_side = np.cumprod(np.concatenate([[1.0], exp(-a) * (shape + k) / (k + 1)]))
    one_side /= one_side.sum()
    length = _fast_length(2 * size)
    spectrum = np.abs(np.fft.rfft(one_side, length)) ** 2
    return _centred(np.fft.irfft(spectrum, length), size - 1)


def _gaussian_sum_pmf(variance: float, count: int) -> tuple[int, NDArray[np.float64]]:
    """The `count`-fold convolution of the discrete Gaussian, as a power of its characteristic function."""
    reach = ceil(_SUM_SIGMAS * sqrt(variance * count))
    length = _fast_length(2 * reach + 2 * ceil(_SHARE_SIGMAS * sqrt(variance)) + 2)
    share_reach = ceil(_SHARE_SIGMAS * sqrt(variance))
    k = np.arange(share_reach + 1)
    weights = np.exp(-(k**2) / (2 * variance))
    wrapped = np.zeros(length)
    wrapped[: share_reach + 1] = weights
    wrapped[-share_reach:] = weights[:0:-1]
    spectrum = np.fft.rfft(wrapped / wrapped.sum()).real ** count
    return _centred(np.fft.irfft(spectrum, length), reach)


def _centred(circular: NDArray[np.float64], reach: int) -> tuple[int, NDArray[np.float64]]:
    """From a circular array with 0 first to the values from -reach to reach, made symmetric and read-only."""
    upper = np.maximum(circular[: reach + 1], 0.0)
    probabilities = np.concatenate([upper[:0:-1], upper])
    probabilities.setflags(write=False)
    return -reach, probabilities


def _fast_length(least: int) -> int:
    return 1 << (least - 1).bit_length()
