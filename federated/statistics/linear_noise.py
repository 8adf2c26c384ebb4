"""Intervals for smooth figures of many noisy cells, from the noise that a first-order change of the cells carries.

A figure f of a table x + noise errs, to first order, by a weighted sum of independent noises, the weights being the
figure's derivatives (the delta method; van der Vaart 1998, section 3.1). Its standard deviation is exact for linear
figures. Its 95% point is not 1.96 of them: Laplace noise has a heavier tail, and a figure that hangs on few cells keeps
it. The Cornish-Fisher expansion (Cornish and Fisher 1938) moves the point by the excess kurtosis of the weighted sum,
which is known from the law of the noise. What is left on a grid, because cells of one weight outdo all others, is
rounded outwards by half a step: up to 2.5 percentage points more than declared then hold the truth.
"""

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federated.privacy.laws import ReleasedNoise
from federated.statistics.offsets import TARGET_COVERAGE

__all__ = ["Reach", "reach_of"]

Floats: TypeAlias = NDArray[np.float64]

_POINT: Final = NormalDist().inv_cdf((1 + float(TARGET_COVERAGE)) / 2)
_SAME: Final = 0.999
"""Weights this close to the largest are of one step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far the noise moves some figures.

    Attributes:
        sd: Standard deviations.
        half_width: What the noise stays within with probability 0.95.

    Shapes:
        Both `(figures,)`.
    """

    sd: Floats
    half_width: Floats


def reach_of(weights: Floats, noise: ReleasedNoise) -> Reach:
    """The reach of weighted sums of independent noises.

    Args:
        weights: For each figure, the weight of each cell's noise.
        noise: The law of one cell's noise.

    Shapes:
        `weights` is `(figures, cells)`.
    """
    squares = weights**2
    power = squares.sum(axis=-1)
    sd = noise.sd * np.sqrt(power)
    largest = np.sqrt(squares.max(axis=-1))
    even = np.where(power > 0, power, 1.0)
    excess = _excess_kurtosis(noise) * (squares**2).sum(axis=-1) / even**2
    point = _POINT + (_POINT**3 - 3 * _POINT) * excess / 24
    step = largest / noise.scale
    rest = np.where(squares < (_SAME * largest[..., None]) ** 2, squares, 0.0).sum(axis=-1)
    # How much of the grid shows through the noise of the other cells: the grid's first harmonic.
    shown = np.exp(-2 * (np.pi * noise.sd / np.where(step > 0, step, 1.0)) ** 2 * rest)
    return Reach(sd=sd, half_width=point * sd + shown * step / 2)


@lru_cache(maxsize=8)
def _excess_kurtosis(noise: ReleasedNoise) -> float:
    first, probabilities = noise.pmf()
    squares = (first + np.arange(len(probabilities), dtype=np.float64)) ** 2
    variance = float(probabilities @ squares)
    return float(probabilities @ squares**2) / variance**2 - 3
