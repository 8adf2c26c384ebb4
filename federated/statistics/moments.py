"""Sums of products of bounded measures as whole numbers, and the matrix made of them: what a linear fit rests on.

Each measure x within [low, high] is centred and scaled by public whole numbers, u = m (t x - c), so that u lies within
[-U, U] for a U as near as can be to the largest one, L. The constant is L itself. Centring and scaling make the matrix
of the sums of u_i u_j well conditioned, and give every sum the same range, so that the same noise hurts none more.

Every pair i <= j is summed once, with one exception: the square of a measure of two values is the same number for every
row, U^2, and follows from the sum of L^2.

Why pairs off the diagonal have no weight of 99/70 (about the square root of 2), which `protocol.md` 3 proposes. That
weight is right for rows bounded in length: it makes the squared l2 norm of the pairs exactly the squared length,
squared. Rows here are bounded in each coordinate, in a box, whose corners are the worst case. With q coordinates the
noise of a sum off the diagonal is larger by sqrt(1 + 1/q) without the weight, and that of a square smaller by about
sqrt(2). And the grid is 70 times as coarse, without which the exact sampler could not draw the noise at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from federated.query.measures import Measured
from federated.statistics.base import Term
from federated.statistics.propagation import Floats

__all__ = ["Moments", "Scaled"]

CONSTANT: Final = 0
"""Place of the constant among the coordinates; the measures follow in the order given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """A coordinate u = slope x + start.

    Attributes:
        slope: Whole number; 0 for the constant.
        start: Whole number.
        reach: U, the largest absolute value of u.
        place: Of the measure; None for the constant.
        two_valued: Whether u is always -U or U.
    """

    slope: int
    start: int
    reach: int
    place: int | None
    two_valued: bool

    @classmethod
    def all_of(cls, measures: Sequence[Measured]) -> tuple[Self, ...]:
        """The constant and one coordinate for each measure."""
        halves = [_half(item) for item in measures]
        largest = max(reach for _, _, reach in halves)
        found = [cls(slope=0, start=largest, reach=largest, place=None, two_valued=True)]
        for place, (measured, (step, middle, reach)) in enumerate(zip(measures, halves, strict=True)):
            times = largest // reach
            found.append(
                cls(
                    slope=times * step,
                    start=-times * middle,
                    reach=times * reach,
                    place=place,
                    two_valued=measured.high - measured.low == 1,
                )
            )
        return tuple(found)


def _half(measured: Measured) -> tuple[int, int, int]:
    """t, c and the largest |t x - c|: t is 2 only where the middle of the bounds is no whole number."""
    both = measured.low + measured.high
    step = 1 if both % 2 == 0 else 2
    return step, both * step // 2, (measured.high - measured.low) * step // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Which sums are released, and how a matrix is read off them.

    Attributes:
        coordinates: The constant first.
        pairs: Places of the two factors of each sum.
    """

    coordinates: tuple[Scaled, ...]
    pairs: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, measures: Sequence[Measured]) -> Self:
        """The sums for these measures."""
        coordinates = Scaled.all_of(measures)
        size = len(coordinates)
        pairs = tuple(
            (left, right)
            for left in range(size)
            for right in range(left, size)
            if left != right or left == CONSTANT or not coordinates[left].two_valued
        )
        return cls(coordinates=coordinates, pairs=pairs)

    def terms(self) -> tuple[tuple[Term, ...], ...]:
        """u_i u_j as whole-number combinations of products of measures, for each pair."""
        return tuple(_product(self.coordinates[left], self.coordinates[right]) for left, right in self.pairs)

    def largest(self) -> tuple[int, ...]:
        """The most that one row adds to each sum, in absolute value; a row at a corner of the box adds all of them."""
        return tuple(self.coordinates[left].reach * self.coordinates[right].reach for left, right in self.pairs)

    def matrix(self, sums: Floats) -> Floats:
        """The symmetric matrix of all sums of u_i u_j.

        Shapes:
            `sums` is `(pairs, ...)`; the result `(coordinates, coordinates, ...)`.
        """
        size = len(self.coordinates)
        found = np.zeros((size, size, *sums.shape[1:]))
        for value, (left, right) in zip(sums, self.pairs, strict=True):
            found[left, right] = found[right, left] = value
        constant = self.coordinates[CONSTANT].reach
        for place, coordinate in enumerate(self.coordinates):
            if coordinate.two_valued and place != CONSTANT:
                found[place, place] = found[CONSTANT, CONSTANT] * (coordinate.reach / constant) ** 2
        return found


def _product(left: Scaled, right: Scaled) -> tuple[Term, ...]:
    added: dict[tuple[int, ...], int] = {}
    for one, first in ((left.start, None), (left.slope, left.place)):
        for other, second in ((right.start, None), (right.slope, right.place)):
            factors = tuple(sorted(place for place in (first, second) if place is not None))
            added[factors] = added.get(factors, 0) + one * other
    kept = {factors: coefficient for factors, coefficient in added.items() if coefficient}
    return tuple(Term(coefficient=coefficient, factors=factors) for factors, coefficient in sorted(kept.items()))
