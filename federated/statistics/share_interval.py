"""Confidence intervals for a share A / (A + C) of two noisy sums, from the exact law of their noise.

What is known is A + X and C + Y, with X and Y independent draws of symmetric laws on the integers: of one law for a
mean, of two where C is a sum of several cells (`federated.analysis.share`). For every share p, the figure
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

__all__ = ["OneLaw", "PairLaw", "ShareIntervals", "share_intervals"]

MAX_NODES: Final = 256
NEGLIGIBLE: Final = 1e-10
BISECTIONS: Final = 24
CELLS_AT_ONCE: Final = 48
"""Blocks of 48 x 256 numbers stay in the processor's cache and below what the allocator returns to the system."""
SLACK: Final = 1e-9
"""Distances this close are equal: sums of floats stand for exact lattice points here."""
EVEN: Final = 0.5

Floats: TypeAlias = NDArray[np.float64]
Kept: TypeAlias = Callable[[Floats], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OneLaw:
    """A symmetric law on the integers, as both parts of a pair need it.

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

        A long law is cut into at most 256 groups, each at its mean: below a fifth of a standard deviation wide,
        which moves a probability by less than 1e-4. Tails below 1e-10 are left out.
        """
        cumulative = np.concatenate(([0.0], np.cumsum(probabilities)))
        kept = np.flatnonzero((cumulative[1:] > NEGLIGIBLE) & (cumulative[:-1] < 1 - NEGLIGIBLE))
        part = probabilities[kept[0] : kept[-1] + 1]
        values = first + np.arange(kept[0], kept[-1] + 1, dtype=np.float64)
        starts = np.arange(0, len(part), -(-len(part) // MAX_NODES))
        weights = np.add.reduceat(part, starts)
        # A group in which nothing can fall, between the steps of a coarser grid, weighs nothing wherever it stands.
        means = np.add.reduceat(part * values, starts) / np.where(weights > 0, weights, 1.0)
        nodes = values if len(starts) == len(part) else means
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
        """The smallest reachable probability of one side that is at least `coverage`."""
        return float(self.cumulative[np.searchsorted(self.cumulative, coverage)])


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLaw:
    """The law of (1 - p) X - p Y for independent X, Y of symmetric laws on the integers.

    Attributes:
        part: Law of X.
        rest: Law of Y.
    """

    part: OneLaw
    rest: OneLaw

    @classmethod
    def of(cls, first: int, probabilities: Floats, *, rest: int = 1) -> Self:
        """Prepare the law of a pair whose noise is made of draws of one law.

        Args:
            first: Smallest value of one draw of noise.
            probabilities: Its probabilities at first, first + 1, ...
            rest: How many draws are in the noise of C; there is one in that of A.
        """
        part = OneLaw.of(first, probabilities)
        if rest == 1:
            return cls(part=part, rest=part)
        length = rest * (len(probabilities) - 1) + 1
        several = np.fft.irfft(np.fft.rfft(probabilities, 1 << length.bit_length()) ** rest)[:length]
        return cls(part=part, rest=OneLaw.of(rest * first, np.maximum(several, 0.0)))

    def within(self, share: Floats, distance: Floats, *, closed: bool) -> Floats:
        """P(|(1 - p) X - p Y| < distance), or <= distance when `closed`, for every p in `share`.

        Shapes:
            `share`, `distance` and the result are all `(cells,)`.
        """
        if self.part is self.rest:
            # One symmetric law: p and 1 - p give the same, and one pass does for both halves.
            return _within(self.part, self.rest, np.minimum(share, 1 - share), distance, closed=closed)
        small = share <= EVEN
        inside = np.empty_like(share)
        inside[small] = _within(self.part, self.rest, share[small], distance[small], closed=closed)
        inside[~small] = _within(self.rest, self.part, 1 - share[~small], distance[~small], closed=closed)
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


def _within(exact: OneLaw, grouped: OneLaw, small: Floats, distance: Floats, *, closed: bool) -> Floats:
    """The same for shares of at most a half: the larger factor goes to the law that is not cut into groups."""
    larger = 1 - small
    centre = (small / larger)[:, None] * grouped.nodes[None, :]
    reach = (distance / larger)[:, None] + (SLACK if closed else -SLACK)
    upper, lower = (exact.at_most, exact.less_than) if closed else (exact.less_than, exact.at_most)
    inside = upper(centre + reach) - lower(centre - reach)
    return np.maximum(inside, 0.0) @ grouped.weights


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

    An interval is given where either sum exceeds twice what its noise alone reaches, and [0, 1] elsewhere. Judging by
    the larger sum keeps the choice apart from the error of the interval it lets through: where a share is near 0 or 1,
    that error is all in the other sum. Over cells well above and well below the limit the share of intervals that hold
    the truth is the coverage declared. For cells near it that is so for shares near 0 and 1; for shares near a half, up
    to 2.5 percentage points fewer hold it than declared (at least `coverage` in all), because there the noise that
    lifts a cell over the limit is partly the noise that moves its share.

    Args:
        law: Law of the noise, in the steps in which the sums are given.
        part: A + X.
        rest: C + Y.
        coverage: Probability asked for.

    Shapes:
        `part` and `rest` are `(cells,)`.
    """
    alone_in_part, alone_in_rest = law.distance(np.array([0.0, 1.0]), coverage)
    clear = (part > 2 * alone_in_part) | (rest > 2 * alone_in_rest)
    # Below this sum the set of shares need not be an interval; above it both its ends are single crossings.
    clear &= part + rest > max(alone_in_part, alone_in_rest)
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
    at_none = np.where(share == 0.0, law.part.one_sided(coverage), two_sided)
    return np.where(share == 1.0, law.rest.one_sided(coverage), at_none)
