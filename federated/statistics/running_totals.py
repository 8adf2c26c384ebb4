"""Running totals over bands with little noise: what councils send of the bands, and what is made of the noisy sum.

A running total is the number of households below a public edge. Added up from noisy bands it gathers the noise of all
of them. Under Gaussian noise the councils therefore send R x in place of the bands x, and W = A R^-1 is applied to
the noisy sum, A being the matrix that adds up: the square-root factorisation A = R R, with
R = the lower triangle of r[i - j], r[0] = 1, r[k] = r[k-1] (2k - 1) / 2k (Fichtenberger, Henzinger, Upadhyay 2023;
Henzinger, Upadhyay, Upadhyay 2023; `protocol.md` 3). No running total then has noise of more than about
g / sqrt(2 rho), with g = 1 + r[1]^2 + ... , which grows as the logarithm of the number of bands.

What is sent must be whole numbers: R is rounded to the nearest multiple of 2^-bits and multiplied by 2^bits. The
rounding loses nothing of the truth, because the inverse of the *rounded* matrix is applied: W R x = A x whatever R is.
It only changes the noise. Six bits keep the noise of the worst running total within 1% of what unrounded numbers
would give, at every number of bands that a table can have; the bits cost no privacy, as the sensitivity is that of the
rounded matrix, to the unit.

Under Laplace noise the bands are sent as they are. Its cost is the l1 distance, which R makes larger by the sum of r,
about 1.13 times the root of the number of bands: more than it saves, whatever that number is.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from math import sqrt
from typing import Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federated.privacy.mechanism import Mechanism
from federated.statistics.base import Contribution

__all__ = [
    "PREFIX_BITS",
    "RunningTotals",
    "column_norm_squared",
    "counted",
    "root_column",
    "running_totals",
    "sent",
    "spread",
]

PREFIX_BITS: Final = 6

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]


@lru_cache(maxsize=16)
def root_column(bands: int, bits: int) -> tuple[int, ...]:
    """First column of the rounded matrix times 2^bits; with no bits, of the matrix that leaves the bands as they are.

    Worked out in whole numbers alone, so that every node has the same: r[k] is C(2k, k) / 4^k.
    """
    if bits == 0:
        return (1, *(0 for _ in range(bands - 1)))
    column = []
    binomial, power = 1, 1
    for k in range(bands):
        column.append(((binomial << (bits + 1)) + power) // (2 * power))
        binomial = binomial * 2 * (2 * k + 1) // (k + 1)
        power *= 4
    return tuple(column)


def column_norm_squared(bands: int, bits: int) -> int:
    """The largest squared norm of a column of the matrix that is sent: the first, as each other is a part of it."""
    return sum(entry * entry for entry in root_column(bands, bits))


def sent(counts: Integers, bands: int, bits: int) -> Integers:
    """The bands of every cell, the last axis, through the matrix; as they are where there are no bits.

    Shapes:
        Any whose length is a multiple of `bands`; the result has the same.
    """
    if bits == 0:
        return counts
    cells = counts.reshape(-1, bands)
    out = np.zeros_like(cells)
    for lag, entry in enumerate(root_column(bands, bits)):
        out[:, lag:] += entry * cells[:, : bands - lag]
    return out.reshape(counts.shape)


def counted(numbers: Integers, bands: int, bits: int) -> Integers:
    """The bands again, from exact numbers as :func:`sent` made them."""
    if bits == 0:
        return numbers
    cells = numbers.reshape(-1, bands).copy()
    column = np.array(root_column(bands, bits), dtype=np.int64)
    for band in range(bands):
        cells[:, band] //= column[0]
        cells[:, band + 1 :] -= cells[:, band : band + 1] * column[1 : bands - band]
    return cells.reshape(numbers.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTotals:
    """How running totals are made of the noisy numbers of one cell: those below edge 0 (none) to B (all B bands).

    Attributes:
        weights: Row k holds the weights that add up to the running total below edge k.
        squares: Squared norms of the rows.
        neighbours: Inner products of each row with the next.
        with_last: Inner products of each row with the last.

    Shapes:
        `weights` is `(B + 1, B)`, `neighbours` `(B,)`, the others `(B + 1,)`.
    """

    weights: Floats = field(repr=False)
    squares: Floats = field(repr=False)
    neighbours: Floats = field(repr=False)
    with_last: Floats = field(repr=False)

    @classmethod
    def of(cls, bands: int, bits: int) -> Self:
        """The weights for numbers sent with those bits."""
        first = np.cumsum(_inverse(np.array(root_column(bands, bits), dtype=np.float64)))
        weights = np.zeros((bands + 1, bands))
        for lag in range(bands):
            weights[np.arange(lag + 1, bands + 1), np.arange(bands - lag)] = first[lag]
        weights.setflags(write=False)
        return cls(
            weights=weights,
            squares=np.einsum("ij,ij->i", weights, weights),
            neighbours=np.einsum("ij,ij->i", weights[:-1], weights[1:]),
            with_last=weights @ weights[-1],
        )

    @property
    def bands(self) -> int:
        """How many there are."""
        return len(self.neighbours)

    def noise_squares(self, probability: float) -> tuple[Floats, Floats]:
        """What the noise of each running total less its part of all is, as multiples of the variance of one number.

        Returns:
            Variances at each edge; covariances of each edge with the next.
        """
        whole = probability**2 * self.with_last[-1]
        at_edges = self.squares - 2 * probability * self.with_last + whole
        between = self.neighbours - probability * (self.with_last[:-1] + self.with_last[1:]) + whole
        return at_edges, between


@lru_cache(maxsize=8)
def running_totals(bands: int, bits: int) -> RunningTotals:
    """:meth:`RunningTotals.of`, kept for the cells that follow."""
    return RunningTotals.of(bands, bits)


def spread(contribution: Contribution, mechanism: Mechanism) -> float:
    """How many times the noise of one number a printed figure rests on: 1 where running totals are not the figures.

    For running totals: the largest noise of one less half of all, which is what a median hangs on.
    """
    if contribution.prefix_bits == 0:
        return 1.0
    bands = len(contribution.bands[-1].edges) + 1
    at_edges, _ = running_totals(bands, contribution.under(mechanism).prefix_bits).noise_squares(0.5)
    return sqrt(float(at_edges.max()))


def _inverse(series: Floats) -> Floats:
    """Coefficients of 1 / (s[0] + s[1] z + ...): the first column of the inverse matrix."""
    inverse = np.zeros_like(series)
    inverse[0] = 1 / series[0]
    for k in range(1, len(series)):
        inverse[k] = -(series[1 : k + 1] @ inverse[:k][::-1]) / series[0]
    return inverse
