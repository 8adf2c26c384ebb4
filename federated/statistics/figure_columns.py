"""Figures that are printed beside each other for every cell: a mean and its variance, a count and its share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from federated.privacy.laws import ReleasedNoise
from federated.statistics.base import CellEstimate, Layout
from federated.statistics.noise_sums import NoiseSums
from federated.statistics.offsets import TARGET_COVERAGE, cell_codes
from federated.statistics.ratio_interval import Ratio, ratio_intervals
from federated.statistics.share_interval import PairLaw, share_intervals

__all__ = ["FigureColumn", "estimates_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureColumn:
    """One figure of every cell; see `CellEstimate`.

    Shapes:
        All `(cells,)`.
    """

    estimate: Floats
    standard_error: Floats
    low: Floats
    high: Floats
    coverage: Floats

    @classmethod
    def of_ratio(cls, ratio: Ratio, sums: NoiseSums, *, possible: tuple[float, float]) -> Self:
        """A ratio within its possible values, with its interval (`ratio_interval`).

        Args:
            ratio: Tops and bottoms.
            sums: Law of the noise in the numbers.
            possible: The smallest and the largest ratio that there can be.
        """
        found = ratio_intervals(sums, ratio, possible=possible, coverage=float(TARGET_COVERAGE))
        return cls(
            estimate=np.clip(ratio.estimate(), *possible),
            standard_error=ratio.standard_error(sums),
            low=found.low,
            high=found.high,
            coverage=found.coverage,
        )

    @classmethod
    def of_share(cls, part: Floats, rest: Floats, noise: ReleasedNoise, *, others: int = 1) -> Self:
        """A share, part / (part + rest), of noisy numbers, with its exact interval (`share_interval`).

        Args:
            part: One noisy number.
            rest: The sum of `others` more.
            noise: The law of the noise in each.
            others: How many numbers are in the rest.
        """
        law = PairLaw.of(*noise.pmf(), rest=others)
        found = share_intervals(law, part * noise.scale, rest * noise.scale, coverage=float(TARGET_COVERAGE))
        both = np.where(part + rest > 0, part + rest, np.nan)
        share = np.clip(part / both, 0, 1)
        return cls(
            estimate=share,
            standard_error=noise.sd * np.sqrt((1 - share) ** 2 + others * share**2) / both,
            low=found.low,
            high=found.high,
            coverage=found.coverage,
        )

    @classmethod
    def of_number(cls, number: Floats, noise: ReleasedNoise) -> Self:
        """A noisy number as it is, with the exact law of its noise (as `offsets.offset_estimates`)."""
        half_width, coverage = noise.half_width(TARGET_COVERAGE)
        return cls(
            estimate=number,
            standard_error=np.full_like(number, noise.sd),
            low=number - float(half_width),
            high=number + float(half_width),
            coverage=np.full_like(number, coverage),
        )

    @classmethod
    def of_sum(cls, sum_: Floats, weights: Sequence[float], sums: NoiseSums) -> Self:
        """A weighted sum of noisy numbers, plus or minus what its noise reaches.

        Args:
            sum_: The weighted sum in every cell.
            weights: Of the numbers; the same in every cell.
            sums: Law of the noise in the numbers.
        """
        row = np.array([weights], dtype=np.float64)
        (reach,), (spread,) = sums.reach(row, float(TARGET_COVERAGE)), sums.spread(row)
        return cls(
            estimate=sum_,
            standard_error=np.full_like(sum_, spread),
            low=sum_ - reach,
            high=sum_ + reach,
            coverage=np.full_like(sum_, float(TARGET_COVERAGE)),
        )

    def scaled(self, factor: float, offset: float = 0.0) -> Self:
        """An offset and a factor above 0 times the figure."""
        return type(self)(
            estimate=offset + factor * self.estimate,
            standard_error=factor * self.standard_error,
            low=offset + factor * self.low,
            high=offset + factor * self.high,
            coverage=self.coverage,
        )

    def square_root(self) -> Self:
        """The square root, which is in the roots' interval as often; without a standard error where it is 0."""
        root = np.sqrt(self.estimate)
        return type(self)(
            estimate=root,
            standard_error=self.standard_error / np.where(root > 0, 2 * root, np.nan),
            low=np.sqrt(self.low),
            high=np.sqrt(self.high),
            coverage=self.coverage,
        )


def estimates_of(layout: Layout, columns: Sequence[FigureColumn]) -> tuple[CellEstimate, ...]:
    """The printed cells, row-major: the figures of the first cell, then those of the second.

    Args:
        layout: Whose printed axes are its own and then some that have a category for each column.
        columns: The figures, in the order of those axes.
    """
    names = ("estimate", "standard_error", "low", "high", "coverage")
    by_cell = (np.stack([getattr(column, name) for column in columns], axis=1).reshape(-1) for name in names)
    return tuple(
        CellEstimate(
            codes=codes,
            estimate=float(estimate),
            standard_error=float(standard_error),
            low=float(low),
            high=float(high),
            coverage=float(coverage),
        )
        for codes, estimate, standard_error, low, high, coverage in zip(
            cell_codes(layout.printed), *by_cell, strict=True
        )
    )
