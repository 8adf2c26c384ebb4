"""Intervals for smooth figures of many noisy cells, from the noise that a first-order change of the cells carries.

A figure f of a table x + noise errs, to first order, by a weighted sum of independent noises, the weights being the
figure's derivatives (the delta method; van der Vaart 1998, section 3.1). Its standard deviation is exact for linear
figures. Its 95% point is not 1.96 of them: Laplace noise has a heavier tail, and a figure that hangs on few cells keeps
it. The Cornish-Fisher expansion (Cornish and Fisher 1938) moves the point by the excess kurtosis of the weighted sum,
which is known from the law of the noise. What is left on a grid, because the weights that count are nearly the same, is
rounded outwards by half a step, as far as the grid shows: where the noise is coarse beside it, up to 2.5 percentage
points more than declared then hold the truth.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federated.privacy.laws import ReleasedNoise
from federated.statistics.offsets import NORMAL_POINT, longer_tail

__all__ = ["Reach", "reach_of"]

Floats: TypeAlias = NDArray[np.float64]

_FREQUENCIES: Final = (1.0, 1.02, 1.05, 1.1, 1.15, 1.2)
_POINTS: Final = 1024


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
    excess = noise.excess_kurtosis * (squares**2).sum(axis=-1) / even**2
    half_step = largest / noise.scale / 2
    smooth = (NORMAL_POINT + longer_tail(excess)) * sd
    return Reach(sd=sd, half_width=smooth + _grid_shown(weights, largest, noise) * half_step)


def _grid_shown(weights: Floats, largest: Floats, noise: ReleasedNoise) -> Floats:
    """How much of a grid with about the largest weight as its step shows in each sum: from 0, none, to 1.

    A sum that lies on a grid has a characteristic function of 1 at the frequency of the grid. Where several weights lie
    near the largest, that is highest at a frequency a little above that of the largest alone.
    """
    cycles = np.abs(weights) / np.where(largest > 0, largest, 1.0)[..., None]
    places, heights = _characteristic(noise)
    shown = np.zeros_like(largest)
    for faster in _FREQUENCIES:
        each = np.interp(cycles * faster % 1, places, heights)
        shown = np.maximum(shown, np.prod(np.abs(each), axis=-1))
    return shown


@lru_cache(maxsize=8)
def _characteristic(noise: ReleasedNoise) -> tuple[Floats, Floats]:
    """The characteristic function of the noise in steps, at frequencies from 0 to 1 in cycles for each step."""
    first, probabilities = noise.pmf()
    values = first + np.arange(len(probabilities), dtype=np.float64)
    places = np.arange(_POINTS + 1) / _POINTS
    heights = np.array([probabilities @ np.cos(2 * np.pi * place * values) for place in places])
    return places, heights
