"""The law of the noise that some councils' shares make together, from the very tables that they are drawn from.

Nothing here is the planner's: chances are those of the sampler's tables, and shares are added by convolution. All terms
of it are positive, so each chance is right to about 1e-12 of itself, however small it is. An FFT would lose the tails.
"""

from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from math import log

import numpy as np
import pytest
from numpy.typing import NDArray

from federated.privacy import Mechanism, NoiseSpec, noise_share, sample_noise_share
from federated.privacy.sampler import InversionTable

CUT = 2.0**-100
"""What may fall outside the values that are looked at, under each of two laws. It is no loss that is bounded, and counts
towards delta, as the end of the tables does (`protocol.md` 2.4): wide enough that the end of no table shows inside."""

_BITS = 192
_NOTHING = 1e-150
"""Chances below it are left out of a sum of shares, so that no product of two is rounded to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """Chances of consecutive integers.

    Attributes:
        lowest: The first integer.
        chances: Of it and those after it.
    """

    lowest: int
    chances: NDArray[np.float64]

    def plus(self, other: "Law") -> "Law":
        """Of the sum of two independent ones."""
        chances = np.convolve(self.chances, other.chances)
        kept = np.flatnonzero(chances > _NOTHING)
        first, last = kept[0], kept[-1]
        return Law(lowest=self.lowest + other.lowest + int(first), chances=chances[first : last + 1])

    def mirrored(self) -> "Law":
        return Law(lowest=1 - self.lowest - len(self.chances), chances=self.chances[::-1])


def tables_of_a_share(spec: NoiseSpec, honest: int, monkeypatch: pytest.MonkeyPatch) -> list[InversionTable]:
    """The tables that a node's own sampler draws one share from; of two, the second draw is taken from the first."""
    drawn: list[InversionTable] = []

    def draw(table: InversionTable, cells: int, _stream: object) -> NDArray[np.int64]:
        drawn.append(table)
        return np.full(cells, 10 ** len(drawn))

    with monkeypatch.context() as patch:
        patch.setattr(noise_share, "draw", draw)
        share = sample_noise_share(spec, honest=honest, rng=bytes)
    assert set(share) == {10 if spec.mechanism is Mechanism.DISCRETE_GAUSSIAN else 10 - 100}
    return drawn


def chances_of(table: InversionTable) -> list[int]:
    """In parts of 2^192, exact as the sampler has them."""
    cumulative = [0, *(table.cumulative(index) for index in range(table.atoms - 1)), 1 << _BITS]
    return [after - before for before, after in pairwise(cumulative)]


def law_of_shares(tables: list[InversionTable], shares: int) -> Law:
    """Of the sum of so many independent shares, in integer steps."""
    laws = [
        Law(lowest=table.lowest, chances=np.array([chance / (1 << _BITS) for chance in chances_of(table)]))
        for table in tables
    ]
    # All first draws are added up, then all second ones: so the end of a table touches only the far end of each sum.
    first, *second = (reduce(Law.plus, [law] * shares) for law in laws)
    return first.plus(second[0].mirrored()) if second else first


def loss_ratios(law: Law, shift: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each value: its chance, and the logarithm of how much likelier it is than where one household moves the sum.

    Args:
        law: Of the noise, in integer steps.
        shift: Steps that the household moves the sum by, at least 0. The noise is symmetric, so its sign says nothing.
    """
    chances = law.chances
    first = int(np.searchsorted(np.cumsum(chances), CUT / 2))
    # What is left under the law that is moved reaches as much further up.
    end = len(chances) - int(np.searchsorted(np.cumsum(chances[::-1]), CUT / 2)) + shift
    assert shift <= first < end <= len(chances)
    here, moved = chances[first:end], chances[first - shift : end - shift]
    return here, np.log(here) - np.log(moved)


def renyi(law: Law, shift: int, order: float) -> float:
    """Renyi divergence of this order between the noise and the noise moved by so many steps."""
    chances, ratios = loss_ratios(law, shift)
    return log(float(chances @ np.exp((order - 1) * ratios))) / (order - 1)


def largest_ratio(law: Law, shift: int) -> float:
    """The pure epsilon of a household that moves the sum by so many steps."""
    return float(np.max(np.abs(loss_ratios(law, shift)[1])))
