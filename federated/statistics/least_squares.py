"""Least squares from a noisy matrix of sums of products: coefficients, residuals, and what the noise does to them.

Let A be the matrix of the features' sums of products and v those with the outcome; what is known is A + E and v + e.
The estimate t' = (A + E)^-1 (v + e) misses the exact fit t = A^-1 v by exactly (A + E)^-1 (e - E t). To first order
this is a fixed linear form of the noise in the sums, so its spread is known; the mean of the second-order part is
worked out and taken off. The residual sum of squares at the estimate is a minimum, so to first order only the noise in
the sums themselves moves it, and to second order it is too low by the trace of A^-1 Cov(e - E t), which is added.

AdaSSP (Wang, Revisiting differentially private linear regression, UAI 2018, algorithm 2) adds a ridge where the
smallest eigenvalue of the released matrix is less than the noise matrix can be in norm, with probability 1 - r:
sd sqrt(d ln(2 d^2 / r)). A ridge bends the coefficients, and by how much only the records could tell. So here nothing
is said where it would be needed, or nearly: the eigenvalue must be `CLEAR` times that bound; from there on AdaSSP's
ridge is 0 and its fit is this one.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from federated.statistics.moments import Moments
from federated.statistics.propagation import Floats, NoiseSize

__all__ = ["CLEAR", "Fit"]

CLEAR: Final = 2.0
_TAIL: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A fit in scaled coordinates.

    Attributes:
        coefficients: Without the noise's bias.
        inverse: Of the features' matrix.
        moves: How each coefficient moves with the noise in each released sum.
        residual: Residual sum of squares, without the noise's bias.
        residual_moves: How it moves with the noise in each released sum.
        total: Sum of squares of the outcome around its mean.
        total_moves: How that moves.

    Shapes:
        For d features with the constant and s sums: `(d,)`, `(d, d)`, `(d, s)`, scalars and `(s,)`.
    """

    coefficients: Floats
    inverse: Floats
    moves: Floats
    residual: float
    residual_moves: Floats
    total: float
    total_moves: Floats

    @classmethod
    def of(cls, moments: Moments, sums: Floats, size: NoiseSize) -> Self | None:
        """Fit the last coordinate by all others; None where the matrix does not clearly exceed its noise."""
        matrix = moments.matrix(sums)
        features = matrix[:-1, :-1]
        number = len(features)
        bound = np.sqrt(size.variance * number * np.log(2 * number**2 / _TAIL))
        if float(np.linalg.eigvalsh(features)[0]) < CLEAR * bound:
            return None
        inverse: Floats = np.linalg.inv(features).astype(np.float64)
        raw = inverse @ matrix[:-1, -1]
        # unit[i, j] is how the entry (i, j) of the whole matrix moves with each sum.
        unit = moments.matrix(np.eye(len(moments.pairs)))
        form = np.append(raw, -1.0)
        misses = -np.einsum("ijs,j->is", unit[:-1], form)
        bend = size.variance * np.einsum("jk,ijs,ks->i", inverse, unit[:-1, :-1], misses, optimize=True)
        mean = np.zeros_like(form)
        mean[0], mean[-1] = matrix[0, -1] / matrix[0, 0], -1.0
        lost = size.variance * float(np.einsum("jk,js,ks->", inverse, misses, misses, optimize=True))
        return cls(
            coefficients=raw + inverse @ bend,
            inverse=inverse,
            moves=inverse @ misses,
            residual=float(form @ matrix @ form) + lost,
            residual_moves=np.einsum("i,ijs,j->s", form, unit, form, optimize=True),
            total=float(mean @ matrix @ mean),
            total_moves=np.einsum("i,ijs,j->s", mean, unit, mean, optimize=True),
        )
