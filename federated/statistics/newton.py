"""Newton's method with noise in every step: where the next round is counted, and what all rounds together say.

Each round releases the gradient g and the Hessian H of the log likelihood at public coefficients b, both with noise
(Ganesh, Haghifam, Steinke and Thakurta, Faster Differentially Private Convex Optimization via Second-Order Methods,
2023, whose step this is; they too keep the Hessian's eigenvalues from below). What is fitted has a small public ridge,
1/2 for each squared coefficient but the constant, in coordinates from -1 to 1: as much as a few rows would add, so that
a fit exists where a feature tells the outcome apart.

The way. b' = b + (H + ridge)^-1 (g - ridge b), with eigenvalues no smaller than the noise may have made them, and no
step that moves a predictor by more than 4.

The end. The last round alone would waste the others. After the first two rounds the steps are only as large as the
noise, so each later round gives an estimate of its own, b + H^-1 g, with noise of its own. Their mean is the answer,
with the mean of their Hessians. Only rounds over the same councils as the last one are taken in.

Error. Noise in the gradients moves the answer by H^-1 times their mean noise: exactly linear, Gaussian, and all of it
in the interval. Noise in the Hessian matters in the second order only, because g is near 0 where it counts; nothing is
said unless the smallest eigenvalue is `CLEAR` times what the noise can be. The curve is not straight: by
self-concordance (Bach, Self-concordant analysis for logistic regression, 2010) a step that moves no predictor by more
than d misses by at most about d / 2 of its own length. Nothing is said where d exceeds `NEAR`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from federated.statistics.base import RoundFigures
from federated.statistics.propagation import Floats

__all__ = ["CLEAR", "NEAR", "RIDGE", "Fitted", "Slope", "next_point"]

RIDGE: Final = 1.0
CLEAR: Final = 2.0
NEAR: Final = 0.5
LONGEST: Final = 4.0
FINDING: Final = 2
"""Rounds that find the way; those after them make the answer."""
_TAIL: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """One round's figures in coordinates from -1 to 1.

    Attributes:
        point: The coefficients that it was counted at.
        gradient: With its noise, less the ridge's part.
        hessian: With its noise, and the ridge.
        variance: Of the noise, and of what councils round off, in each number of the gradient.
        bend_variance: Likewise of the Hessian.

    Shapes:
        For d coordinates `(d,)`, `(d,)`, `(d, d)`.
    """

    point: Floats
    gradient: Floats
    hessian: Floats
    variance: float
    bend_variance: float

    @classmethod
    def of(cls, found: RoundFigures, *, grid: int, unit: float, lift: int) -> Self:
        """Read a round's totals.

        Args:
            found: The round; gradient first, then the lower triangle of the Hessian, row by row.
            grid: Steps for each unit of a coefficient.
            unit: What one step of the gradient's totals is worth in these coordinates.
            lift: How many times that one step of the Hessian's totals is worth.
        """
        point = np.array(found.coefficients, dtype=np.float64) / grid
        size = len(point)
        ridge = np.full(size, RIDGE)
        ridge[0] = 0.0
        gradient = found.totals[:size] * unit
        hessian = np.zeros((size, size))
        hessian[np.tril_indices(size)] = found.totals[size:] * unit * lift
        hessian += np.tril(hessian, -1).T
        rounding = found.noise.contributors / 12
        variance = (found.noise.sd**2 + rounding) * unit**2
        return cls(
            point=point,
            gradient=gradient - ridge * point,
            hessian=hessian + np.diag(ridge),
            variance=variance,
            bend_variance=variance * lift**2,
        )


def _noise_norm(size: int, variance: float) -> float:
    """What a symmetric matrix of such noise stays within in norm, with probability 0.95."""
    return float(np.sqrt(variance * size * np.log(2 * size**2 / _TAIL)))


def next_point(slope: Slope, *, rises: bool = False) -> Floats:
    """The coefficients that one noisy Newton step leads to.

    Args:
        slope: Of the round.
        rises: Whether the mean is the exponential of the predictor, and the step to follow that.
    """
    values, vectors = np.linalg.eigh(slope.hessian)
    floor = max(RIDGE, _noise_norm(len(slope.point), slope.bend_variance))
    step = vectors @ ((vectors.T @ slope.gradient) / np.maximum(values, floor))
    if rises:
        step = _along_the_exponential(step, slope.hessian[:, 0] / max(float(slope.hessian[0, 0]), floor))
    moved = float(np.abs(step).sum())
    found: Floats = slope.point + step * min(1.0, LONGEST / moved if moved > 0 else 1.0)
    return found


def _along_the_exponential(step: Floats, middle: Floats) -> Floats:
    """A step whose means are m (1 + z step) to first order about the middle row, as one of means m e^(z step')."""
    along = float(step @ middle)
    ratio = max(1 + along, float(np.exp(-LONGEST)))
    found = step / ratio
    found[0] += np.log(ratio) - along / ratio
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What all rounds together say, in coordinates from -1 to 1.

    Attributes:
        coefficients: Of the fit.
        by_noise: Covariance of what the noise does to them.
        by_chance: Inverse of the Hessian: what chance does to them, with independent rows.
        rounds: How many rounds they are made of.

    Shapes:
        `(d,)` and `(d, d)`.
    """

    coefficients: Floats
    by_noise: Floats
    by_chance: Floats
    rounds: int

    @classmethod
    def of(cls, slopes: Sequence[Slope], *, same: Sequence[bool]) -> Self | None:
        """Combine rounds.

        Args:
            slopes: Of every round, in order.
            same: Whether each round is over the councils of the last one.

        Returns:
            None where the Hessian does not clearly exceed its noise, or the last step was too long.
        """
        used = [slope for slope, alike in zip(slopes[FINDING:], same[FINDING:], strict=True) if alike]
        used = used or [slopes[-1]]
        size = len(used[0].point)
        hessian: Floats = np.mean([slope.hessian for slope in used], axis=0)
        variance, bend = (
            sum(each) / len(used) ** 2
            for each in zip(*((slope.variance, slope.bend_variance) for slope in used), strict=True)
        )
        if float(np.linalg.eigvalsh(hessian)[0]) < CLEAR * _noise_norm(size, bend):
            return None
        inverse: Floats = np.linalg.inv(hessian).astype(np.float64)
        point = np.mean([slope.point for slope in used], axis=0)
        found = point + inverse @ np.mean([slope.gradient for slope in used], axis=0)
        if max(float(np.abs(found - slope.point).sum()) for slope in used) > NEAR:
            return None
        return cls(coefficients=found, by_noise=variance * inverse @ inverse, by_chance=inverse, rounds=len(used))
