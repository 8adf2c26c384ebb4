"""Does a masked vector look random? A count of its half-bytes, for people who want to see it rather than believe it.

It shows a gross fault, such as figures that left without a mask. That no test whatever can tell a masked vector from
random numbers follows from the protocol (`protocol.md` 1.3), not from this count.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

__all__ = ["LOOKS_RANDOM", "HalfByteCount", "count_half_bytes"]

VALUES: Final = 16
FIRST_BYTES: Final = 16
LOOKS_RANDOM: Final = (Fraction("3.108"), Fraction("39.719"))
"""Where the chi-square of 16 equally likely values (15 degrees of freedom) lies in 999 of 1,000 draws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfByteCount:
    """How often each of the 16 half-bytes occurs.

    Attributes:
        counts: For each half-byte, from 0 to 15.
        begins: The first bytes, as hexadecimal digits.
    """

    counts: tuple[int, ...]
    begins: str = ""

    @property
    def total(self) -> int:
        """Half-bytes counted."""
        return sum(self.counts)

    @property
    def expected(self) -> Fraction:
        """How often each should occur in random bytes."""
        return Fraction(self.total, VALUES)

    @property
    def chi_square(self) -> Fraction:
        """Distance from the expected counts; 15 on average for random bytes."""
        if not self.total:
            return Fraction(0)
        return sum(((count - self.expected) ** 2 / self.expected for count in self.counts), start=Fraction(0))

    @property
    def looks_random(self) -> bool:
        """Whether the chi-square is where that of random bytes lies in 999 of 1,000 cases."""
        low, high = LOOKS_RANDOM
        return low <= self.chi_square <= high


def count_half_bytes(content: bytes | memoryview) -> HalfByteCount:
    """Count the half-bytes of a message."""
    found = np.frombuffer(content, dtype=np.uint8)
    counts = np.bincount(found & 0x0F, minlength=VALUES) + np.bincount(found >> 4, minlength=VALUES)
    return HalfByteCount(counts=tuple(int(count) for count in counts), begins=bytes(content[:FIRST_BYTES]).hex(" "))
