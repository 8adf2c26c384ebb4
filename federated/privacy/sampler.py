"""Exact sampling by inversion of a table (`protocol.md` 2.4): no floats, no rejection loop.

A table holds the cumulative distribution to 192 bits. A draw compares 64 random bits with the first 64 of each
entry; only on an exact tie, about once in 2^64 draws and entry, are 128 more bits drawn. Floats would leak the noise's
low bits (Mironov 2012) and rejection loops their number of turns (arXiv 2112.05307).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

from protocols.errors import LocalProtocolError
from protocols.identifiers import RandomSource

WORDS_PER_BLOCK: Final = 1 << 16
"""Random words handled at a time: 512 KiB, so that memory beyond the result does not grow with the vector."""

_TIE_BITS: Final = 128
_CDF_BITS: Final = 64 + _TIE_BITS
_CDF_BYTES: Final = _CDF_BITS // 8
_GUIDE_BITS: Final = 16
_GUIDE_SHIFT: Final = np.uint64(64 - _GUIDE_BITS)
_SEARCH: Final = np.iinfo(np.int32).min
"""Marks a guide bucket that holds a threshold, so that a word in it must be searched for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InversionTable:
    """A distribution over consecutive integers, ready to draw from.

    Attributes:
        lowest: The first atom.
        thresholds: Floor of 2^64 CDF(i) for every atom but the last, whose 2^64 would not fit.
        cdf: Floor of 2^192 CDF(i) for the same atoms, 24 bytes each, big endian.
        guide: For each value of a word's upper 16 bits, the atom it means, or `_SEARCH`.
    """

    lowest: int
    thresholds: NDArray[np.uint64]
    cdf: bytes = field(repr=False)
    guide: NDArray[np.int32] = field(repr=False)

    @property
    def atoms(self) -> int:
        """Number of values with a chance of being drawn."""
        return len(self.thresholds) + 1

    def cumulative(self, index: int) -> int:
        """Floor of 2^192 CDF of the atom at `index`, the last atom excluded."""
        return int.from_bytes(self.cdf[index * _CDF_BYTES : (index + 1) * _CDF_BYTES], "big")


def build_table(lowest: int, weights: Sequence[int]) -> InversionTable:
    """Turn exact weights of consecutive integers into a table.

    Args:
        lowest: Integer that the first weight belongs to.
        weights: Positive fixed-point weights, none below 2^-192 of their sum, which is what 1 stands for. What the
            caller cut off as tail is thereby spread over the atoms kept: its mass is the cost in total variation.
    """
    cumulative = list(accumulate(weights))
    total = cumulative.pop()
    cdf = b"".join([((value << _CDF_BITS) // total).to_bytes(_CDF_BYTES, "big") for value in cumulative])
    thresholds = np.frombuffer(cdf, ">u8").reshape(-1, _CDF_BYTES // 8)[:, 0].astype(np.uint64)
    return InversionTable(lowest=lowest, thresholds=thresholds, cdf=cdf, guide=_guide(lowest, thresholds))


def _guide(lowest: int, thresholds: NDArray[np.uint64]) -> NDArray[np.int32]:
    buckets = (thresholds >> _GUIDE_SHIFT).astype(np.int64)
    inside = np.bincount(buckets, minlength=1 << _GUIDE_BITS)
    before = np.cumsum(inside) - inside
    return np.where(inside == 0, before + lowest, _SEARCH).astype(np.int32)


def invert(table: InversionTable, words: NDArray[np.uint64], more_bits: Callable[[], int]) -> NDArray[np.int32]:
    """Map uniform 64-bit words to atoms: the first atom i whose CDF(i) is above the word.

    Args:
        table: Distribution to draw from.
        words: Independent uniform words.
        more_bits: Gives 128 fresh uniform bits as an integer, for an exact tie.

    Shapes:
        `(len(words),)`.
    """
    values: NDArray[np.int32] = table.guide[words >> _GUIDE_SHIFT]
    unsettled = np.flatnonzero(values == _SEARCH)
    if unsettled.size:
        keys = words[unsettled]
        index = np.searchsorted(table.thresholds, keys, side="right")
        # u > T_i means U >= CDF(i) and u < T_i means U < CDF(i); only u == T_i leaves it open.
        for position in np.flatnonzero(table.thresholds[np.maximum(index, 1) - 1] == keys):
            index[position] = _refine(table, int(keys[position]), int(index[position]), more_bits())
        values[unsettled] = index + table.lowest
    return values


def _refine(table: InversionTable, word: int, end: int, more: int) -> int:
    """Settle a tie: `end` is just past the last atom with this threshold; every one of them is compared."""
    uniform = word << _TIE_BITS | more
    start = int(np.searchsorted(table.thresholds, np.uint64(word), side="left"))
    return next((index for index in range(start, end) if uniform < table.cumulative(index)), end)


class WordStream:
    """Uniform 64-bit words of AES-256-CTR under a single-use key.

    Args:
        rng: Gives the key; the system's entropy at the edge. Asked once, for 32 bytes.
    """

    __slots__ = ("_buffer", "_encryptor", "_zeros")

    def __init__(self, rng: RandomSource) -> None:
        key = rng(32)
        if len(key) != 32:  # noqa: PLR2004 - AES-256, and the 32 asked for above
            raise LocalProtocolError(f"the random source gave {len(key)} bytes where 32 were asked for")
        # A single-use key makes the zero counter block safe.
        self._encryptor = Cipher(AES(key), CTR(bytes(16))).encryptor()
        self._zeros = memoryview(bytes(8 * WORDS_PER_BLOCK))
        self._buffer = bytearray(8 * WORDS_PER_BLOCK + 15)

    def words(self, count: int) -> NDArray[np.uint64]:
        """The next `count` words, at most `WORDS_PER_BLOCK`; valid until the next call."""
        self._encryptor.update_into(self._zeros[: 8 * count], self._buffer)
        return np.frombuffer(self._buffer, "<u8", count=count)

    def more_bits(self) -> int:
        """The next 128 bits, for a tie."""
        return int.from_bytes(self._encryptor.update(bytes(_TIE_BITS // 8)), "big")


def draw(table: InversionTable, count: int, stream: WordStream) -> NDArray[np.int64]:
    """Draw independent values.

    Shapes:
        `(count,)`.
    """
    values = np.empty(count, np.int64)
    for start in range(0, count, WORDS_PER_BLOCK):
        stop = min(start + WORDS_PER_BLOCK, count)
        values[start:stop] = invert(table, stream.words(stop - start), stream.more_bits)
    return values
