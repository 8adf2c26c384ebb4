"""Confidence intervals for a share A / (A + C) of two noisy sums, from the exact law of their noise.

What is known is A + X and C + Y, with X and Y independent draws of symmetric laws on the integers: both of one law, or
Y the sum of several such draws, where C is a sum of several noisy numbers. For every share p, the figure
(1 - p)(A + X) - p (C + Y) is noise alone, (1 - p) X - p Y, exactly when p is the true share; and that noise's law is
known. So the set of all p whose figure is no further from zero than the noise goes with the asked probability holds the
true share with that probability, whatever A and C are (Fieller 1954, with the law on the lattice in place of the
normal). At p = 0 and p = 1 only deviations inwards count: a share cannot lie outside.

Nothing is approximated by a normal curve. What is on a grid is the law itself: where p is a simple fraction the
probability jumps over 95% instead of reaching it, and the coverage declared, taken at the estimate, says by how much.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["PairLaw", "ShareIntervals", "share_intervals"]

MAX_NODES: Final = 256
NEGLIGIBLE: Final = 1e-10
BISECTIONS: Final = 24
CELLS_AT_ONCE: Final = 48
"""Blocks of 48 x 256 numbers stay in the processor's cache and below what the allocator returns to the system."""
HALF: Final = 0.5
SLACK: Final = 1e-9
"""Distances this close are equal: sums of floats stand for exact lattice points here."""

Floats: TypeAlias = NDArray[np.float64]
Kept: TypeAlias = Callable[[Floats], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """A symmetric law on the integers.

    Attributes:
        first: Smallest integer of positive probability.
        cumulative: P(X < first + i) for i = 0 .. length; starts at 0 and ends at 1.
        nodes: Values that stand for groups of neighbouring integers.
        weights: Probability of each group.
    """

    first: int
    cumulative: Floats = field(repr=False)
    nodes: Floats = field(repr=False)
    weights: Floats = field(repr=False)

    @classmethod
    def of(cls, first: int, probabilities: Floats) -> Self:
        """Prepare a law given by its probabilities at first, first + 1, ...

        Where it stands for Y below, a long law is cut into at most 256 groups, each at its mean: below a fifth of a
        standard deviation wide, which moves a probability by less than 1e-4. Tails below 1e-10 are left out.
        """
        cumulative = np.concatenate(([0.0], np.cumsum(probabilities)))
        kept = np.flatnonzero((cumulative[1:] > NEGLIGIBLE) & (cumulative[:-1] < 1 - NEGLIGIBLE))
        part = probabilities[kept[0] : kept[-1] + 1]
        values = first + np.arange(kept[0], kept[-1] + 1, dtype=np.float64)
        starts = np.arange(0, len(part), -(-len(part) // MAX_NODES))
        weights = np.add.reduceat(part, starts)
        nodes = values if len(starts) == len(part) else np.add.reduceat(part * values, starts) / weights
        return cls(first=first, cumulative=cumulative / cumulative[-1], nodes=nodes, weights=weights / weights.sum())

    def less_than(self, value: Floats) -> Floats:
        """P(X < value)."""
        places = np.clip(np.ceil(value) - self.first, 0, len(self.cumulative) - 1).astype(np.int64)
        below: Floats = self.cumulative[places]
        return below

    def at_most(self, value: Floats) -> Floats:
        """P(X <= value)."""
        return self.less_than(np.floor(value) + 1)

    def one_sided(self, coverage: float) -> float:
        """The smallest P(X < value) that is at least `coverage`."""
        return float(self.cumulative[np.searchsorted(self.cumulative, coverage)])


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLaw:
    """The law of (1 - p) X - p Y for independent X and Y.

    Attributes:
        part: Law of X, the noise in A.
        rest: Law of Y, the noise in C.
    """

    part: Lattice
    rest: Lattice

    @classmethod
    def of(cls, first: int, probabilities: Floats, *, rest: int = 1) -> Self:
        """Prepare the law of a pair.

        Args:
            first: Smallest value of one draw of noise.
            probabilities: Its probabilities at first, first + 1, ...
            rest: How many draws are in the noise of C.
        """
        part = Lattice.of(first, probabilities)
        if rest == 1:
            return cls(part=part, rest=part)
        length = rest * (len(probabilities) - 1) + 1
        several = np.fft.irfft(np.fft.rfft(probabilities, 1 << length.bit_length()) ** rest)[:length]
        return cls(part=part, rest=Lattice.of(rest * first, np.maximum(several, 0.0)))

    def within(self, share: Floats, distance: Floats, *, closed: bool) -> Floats:
        """P(|(1 - p) X - p Y| < distance), or <= distance when `closed`, for every p in `share`.

        Shapes:
            `share`, `distance` and the result are all `(cells,)`.
        """
        larger = np.maximum(share, 1 - share)
        inside = np.empty_like(share)
        # The one with the larger factor is summed exactly, over the groups of the other.
        for at, outer, inner in ((share <= HALF, self.part, self.rest), (share > HALF, self.rest, self.part)):
            centre = ((1 - larger[at]) / larger[at])[:, None] * inner.nodes[None, :]
            reach = (distance[at] / larger[at])[:, None] + (SLACK if closed else -SLACK)
            upper, lower = (outer.at_most, outer.less_than) if closed else (outer.less_than, outer.at_most)
            inside[at] = np.maximum(upper(centre + reach) - lower(centre - reach), 0.0) @ inner.weights
        return inside

    def distance(self, share: Floats, coverage: float) -> Floats:
        """The smallest distance that holds |(1 - p) X - p Y| with probability at least `coverage`."""
        short = np.zeros_like(share)
        enough = np.full_like(share, float(max(len(self.part.cumulative), len(self.rest.cumulative))))
        for _ in range(2 * BISECTIONS):
            middle = (short + enough) / 2
            reached = self.within(share, middle, closed=True) >= coverage
            short, enough = np.where(reached, short, middle), np.where(reached, middle, enough)
        return enough


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareIntervals:
    """Intervals for the shares of many cells.

    Attributes:
        low: Lower ends, in [0, 1].
        high: Upper ends.
        coverage: 1 where nothing is said and the interval is [0, 1]; elsewhere the coverage at the estimate.

    Shapes:
        All `(cells,)`.
    """

    low: Floats
    high: Floats
    coverage: Floats


def share_intervals(law: PairLaw, part: Floats, rest: Floats, *, coverage: float) -> ShareIntervals:
    """Confidence intervals for A / (A + C) in every cell.

    An interval is given where one of the sums exceeds twice what its noise alone reaches, and [0, 1] elsewhere. Judging
    by the larger sum keeps the choice apart from the error of the interval it lets through: where a share is near 0 or
    1, that error is all in the other sum. Over cells well above and well below the limit the share of intervals that
    hold the truth is the coverage declared. For cells near it that is so for shares near 0 and 1; for shares near a
    half, up to 2.5 percentage points fewer hold it than declared (at least `coverage` in all), because there the noise
    that lifts a cell over the limit is partly the noise that moves its share.

    Args:
        law: Law of the noise, in the steps in which the sums are given.
        part: A + X.
        rest: C + Y.
        coverage: Probability asked for.

    Shapes:
        `part` and `rest` are `(cells,)`.
    """
    of_part, of_rest = (float(reach) for reach in law.distance(np.array([0.0, 1.0]), coverage))
    clear = (part > 2 * of_part) | (rest > 2 * of_rest)
    # Below this sum the set of shares need not be an interval; above it both its ends are single crossings.
    clear &= part + rest > max(of_part, of_rest)
    low, high, covers = np.zeros_like(part), np.ones_like(part), np.ones_like(part)
    shown = np.flatnonzero(clear)
    for at in (shown[i : i + CELLS_AT_ONCE] for i in range(0, len(shown), CELLS_AT_ONCE)):
        low[at], high[at], covers[at] = _intervals(law, part[at], rest[at], coverage)
    return ShareIntervals(low=low, high=high, coverage=covers)


def _intervals(law: PairLaw, part: Floats, rest: Floats, coverage: float) -> tuple[Floats, Floats, Floats]:
    def kept(share: Floats) -> NDArray[np.bool_]:
        return law.within(share, np.abs((1 - share) * part - share * rest), closed=False) < coverage

    estimate = np.clip(part / (part + rest), 0.0, 1.0)
    low = np.where(law.part.less_than(part) < coverage, 0.0, _edge(kept, estimate, 0.0))
    high = np.where(law.rest.less_than(rest) < coverage, 1.0, _edge(kept, estimate, 1.0))
    return low, high, _coverage_at(law, estimate, coverage)


def _edge(kept: Kept, inside: Floats, end: float) -> Floats:
    """Where keeping stops on the way from `inside`, which is kept, to `end`, which is not, rounded outwards."""
    beyond = np.full_like(inside, end)
    for _ in range(BISECTIONS):
        middle = (inside + beyond) / 2
        keep = kept(middle)
        inside, beyond = np.where(keep, middle, inside), np.where(keep, beyond, middle)
    # Simple fractions, where the law has its jumps, are often the edge itself; but `end` has been ruled out.
    return np.where(beyond == end, inside, beyond)


def _coverage_at(law: PairLaw, share: Floats, coverage: float) -> Floats:
    """The smallest reachable probability that is at least `coverage`, one-sided where the share is 0 or 1."""
    two_sided = law.within(share, law.distance(share, coverage), closed=True)
    inwards = np.where(share == 0.0, law.part.one_sided(coverage), law.rest.one_sided(coverage))
    return np.where((share == 0.0) | (share == 1.0), inwards, two_sided)
