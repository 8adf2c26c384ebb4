"""Decoding where the figure is the truth plus noise: counts and sums."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import product

import numpy as np
from numpy.typing import NDArray

from federated.privacy.laws import ReleasedNoise
from federated.statistics.base import TARGET_COVERAGE_PERCENT, Axis, CellEstimate, Layout

__all__ = ["TARGET_COVERAGE", "cell_codes", "offset_estimates"]

TARGET_COVERAGE = Fraction(TARGET_COVERAGE_PERCENT, 100)


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
