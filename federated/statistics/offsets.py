"""Decoding where the figure is the truth plus noise: counts and sums."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from statistics import NormalDist
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from federated.privacy.laws import ReleasedNoise
from federated.statistics.base import TARGET_COVERAGE_PERCENT, Axis, CellEstimate, Layout

__all__ = ["NORMAL_POINT", "TARGET_COVERAGE", "cell_codes", "longer_tail", "offset_estimates"]

TARGET_COVERAGE = Fraction(TARGET_COVERAGE_PERCENT, 100)
NORMAL_POINT: Final = NormalDist().inv_cdf((1 + float(TARGET_COVERAGE)) / 2)
"""Standard deviations that a normal figure stays within with the probability that every interval asks for."""
_Number = TypeVar("_Number", float, NDArray[np.float64])
_FOURTH_CUMULANT: Final = (NORMAL_POINT**3 - 3 * NORMAL_POINT) / 24


def longer_tail(excess_kurtosis: _Number) -> _Number:
    """Standard deviations that a figure of a heavier tail goes beyond the normal point.

    The Cornish-Fisher term of the fourth cumulant (Cornish and Fisher 1938; Abramowitz and Stegun 26.2.49).
    """
    return _FOURTH_CUMULANT * excess_kurtosis


def cell_codes(axes: Sequence[Axis]) -> list[tuple[str, ...]]:
    """The category along each axis for every cell, row-major."""
    return list(product(*(axis.codes for axis in axes)))


def offset_estimates(layout: Layout, totals: NDArray[np.float64], noise: ReleasedNoise) -> tuple[CellEstimate, ...]:
    """Estimate plus or minus the half width of the released noise, whose exact coverage every cell declares.

    The half width comes from the noise's own law, not from 1.96 standard errors (`protocol.md` 2.2): the noise is
    on a grid, so the smallest half width reaching 95% usually covers a little more, and the cell says how much.

    Shapes:
        `totals` is `(layout.categories,)`.
    """
    half_width, coverage = noise.half_width(TARGET_COVERAGE)
    reach, sd = float(half_width), noise.sd
    return tuple(
        CellEstimate(
            codes=codes,
            estimate=float(total),
            standard_error=sd,
            low=float(total) - reach,
            high=float(total) + reach,
            coverage=coverage,
        )
        for codes, total in zip(cell_codes(layout.axes), totals, strict=True)
    )
