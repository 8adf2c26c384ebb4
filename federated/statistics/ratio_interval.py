"""Confidence intervals for a ratio of two figures made of the same noisy numbers.

For a possible ratio r, the figure top - r bottom is noise alone when r is the true one; its reach follows from the law
of the noise (`noise_sums`). The interval is the set of all r whose figure is within that reach (Fieller 1954): for
figures that are weighted sums of the numbers it holds the truth as often as it says, whatever the truth is. For figures
that are products of sums, their derivatives take the place of weights, and the interval is right to first order: it is
shown only where the bottom exceeds its noise so far that the second order is small.

Where the bottom does not, the set may be all numbers: the interval is then the widest that is possible at all, which
is certain to hold the truth, and the coverage declared is 1.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federated.statistics.noise_sums import NoiseSums

__all__ = ["Ratio", "RatioIntervals", "ratio_intervals"]

CLEAR: Final = 2.0
"""An interval is given where the bottom exceeds this many times what its noise alone reaches."""
ROUNDS: Final = 2

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Top and bottom of each cell's ratio, with what one unit of noise in each of the cell's numbers does to them.

    Shapes:
        `top`, `bottom`: `(cells,)`; their weights: `(cells, numbers)`. Not a number where nothing can be said.
    """

    top: Floats
    bottom: Floats
    top_weights: Floats
    bottom_weights: Floats

    def estimate(self) -> Floats:
        """The ratio; not a number where the bottom is not positive."""
        return self.top / np.where(self.bottom > 0, self.bottom, np.nan)

    def figure_weights(self, ratio: Floats) -> Floats:
        """Weights of the noise in top - ratio * bottom."""
        return self.top_weights - ratio[:, None] * self.bottom_weights

    def standard_error(self, sums: NoiseSums) -> Floats:
        """Of the estimate, to first order."""
        estimate = self.estimate()
        return sums.spread(self.figure_weights(estimate)) / np.where(self.bottom > 0, self.bottom, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioIntervals:
    """Intervals for the ratios of many cells.

    Attributes:
        low: Lower ends, within the possible ratios.
        high: Upper ends.
        coverage: 1 where nothing is said; elsewhere as asked.

    Shapes:
        All `(cells,)`.
    """

    low: Floats
    high: Floats
    coverage: Floats


def ratio_intervals(sums: NoiseSums, ratio: Ratio, *, possible: tuple[float, float], coverage: float) -> RatioIntervals:
    """Confidence intervals for top / bottom in every cell.

    Args:
        sums: Law of the noise in the numbers.
        ratio: Tops and bottoms.
        possible: The smallest and the largest ratio that there can be.
        coverage: Probability asked for.
    """
    lowest, highest = possible
    positive = np.flatnonzero(ratio.bottom > 0)
    shown = positive[ratio.bottom[positive] > CLEAR * sums.reach(ratio.bottom_weights[positive], coverage)]
    low, high, covers = (np.full_like(ratio.top, value) for value in (lowest, highest, 1.0))
    part = Ratio(
        top=ratio.top[shown],
        bottom=ratio.bottom[shown],
        top_weights=ratio.top_weights[shown],
        bottom_weights=ratio.bottom_weights[shown],
    )
    # The possible ratios hold the truth, so an interval cut to them holds it as often.
    low[shown] = np.clip(_end(sums, part, coverage, side=-1), lowest, highest)
    high[shown] = np.clip(_end(sums, part, coverage, side=1), lowest, highest)
    covers[shown] = coverage
    return RatioIntervals(low=low, high=high, coverage=covers)


def _end(sums: NoiseSums, ratio: Ratio, coverage: float, *, side: int) -> Floats:
    """Where the figure leaves its reach: a root of a quadratic, whose factor depends on the root itself a little."""
    found = ratio.estimate()
    for _ in range(ROUNDS):
        weights = ratio.figure_weights(found)
        length = np.linalg.norm(weights, axis=1)
        # A figure without noise (no weight at all) has no reach.
        factor = sums.reach(weights, coverage) / np.where(length > 0, length, 1.0)
        found = _root(ratio, factor, side)
    return found


def _root(ratio: Ratio, factor: Floats, side: int) -> Floats:
    """The smaller or larger r with |top - r bottom| = factor |top_weights - r bottom_weights|."""
    square = factor**2
    a = ratio.bottom**2 - square * (ratio.bottom_weights**2).sum(axis=1)
    b = ratio.top * ratio.bottom - square * (ratio.top_weights * ratio.bottom_weights).sum(axis=1)
    c = ratio.top**2 - square * (ratio.top_weights**2).sum(axis=1)
    # The estimate itself is within reach, so there are two roots; rounding errors must not lose them.
    found: Floats = (b + side * np.sqrt(np.maximum(b**2 - a * c, 0.0))) / a
    return found
