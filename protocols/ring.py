"""Arithmetic modulo 2^32 or 2^64, where masked vectors live.

NumPy's unsigned integers wrap at exactly these moduli, so adding is the ring's addition. Values are
encoded by reduction and decoded to the signed half-range; the plan's headroom check makes that exact.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from protocols.errors import LocalProtocolError

RingVector: TypeAlias = NDArray[np.uint32] | NDArray[np.uint64]
"""Ring elements, shape `(cells,)`, little endian."""

IntegerVector: TypeAlias = NDArray[np.int64] | NDArray[np.uint64]
"""Integers to encode, shape `(cells,)`, not reduced."""

RING_BITS: Final = (32, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """The integers modulo 2^bits.

    Attributes:
        bits: 32 or 64, chosen by the plan with :func:`headroom_ok`.
    """

    bits: Literal[32, 64]

    def __post_init__(self) -> None:
        """Refuse widths that NumPy does not wrap at."""
        if self.bits not in RING_BITS:
            raise LocalProtocolError(f"a ring has 32 or 64 bits, not {self.bits}")

    @property
    def modulus(self) -> int:
        """Number of elements."""
        return 1 << self.bits

    @property
    def width(self) -> int:
        """Bytes of one element on the wire."""
        return self.bits // 8

    @property
    def dtype(self) -> np.dtype[np.uint32] | np.dtype[np.uint64]:
        """Little-endian unsigned words: what the PRG makes and what is sent."""
        return np.dtype("<u4") if self.bits == RING_BITS[0] else np.dtype("<u8")

    def zeros(self, cells: int) -> RingVector:
        """The neutral vector, to be added to in place."""
        return np.zeros(cells, dtype=self.dtype)

    def read(self, content: bytes | bytearray | memoryview) -> RingVector:
        """View bytes as ring elements, without copying.

        Raises:
            LocalProtocolError: Not a whole number of elements.
        """
        if len(content) % self.width:
            raise LocalProtocolError(f"{len(content)} bytes are not a whole number of {self.bits}-bit elements")
        if self.bits == RING_BITS[0]:
            return np.frombuffer(content, dtype="<u4")
        return np.frombuffer(content, dtype="<u8")

    def encode(self, vector: IntegerVector) -> RingVector:
        """Reduce integers into the ring.

        Args:
            vector: Shape `(cells,)`, 64-bit integers, signed or not.

        Returns:
            A new array; `vector` is left alone.

        Raises:
            LocalProtocolError: Not one-dimensional 64-bit integers.
        """
        if vector.ndim != 1 or vector.dtype not in (np.dtype(np.int64), np.dtype(np.uint64)):
            raise LocalProtocolError(
                f"a vector to encode is one-dimensional int64 or uint64, not {vector.ndim}-dimensional {vector.dtype}"
            )
        # NumPy's conversion between integers is C's: exactly modulo 2^bits.
        return vector.astype("<u4") if self.bits == RING_BITS[0] else vector.astype("<u8")

    def decode_signed(self, vector: RingVector) -> NDArray[np.int64]:
        """Ring elements as the integers from -2^(bits-1) to 2^(bits-1) - 1.

        Noise makes small sums negative; read as unsigned they would come out near the modulus.
        """
        self.check(vector)
        signed = vector.view(np.dtype("<i4") if self.bits == RING_BITS[0] else np.dtype("<i8"))
        return signed.astype(np.int64)

    def check(self, vector: RingVector) -> None:
        """Refuse an array that is not of this ring."""
        if vector.dtype != self.dtype or vector.ndim != 1:
            raise LocalProtocolError(f"a vector of the {self.bits}-bit ring has dtype {self.dtype}, not {vector.dtype}")


def headroom_ok(ring: Ring, *, scale: int, max_abs_sum: int, noise_bound: int) -> bool:
    """Whether sums always decode to themselves: 2 (s max|Σx| + B_η) < 2^k (`protocol.md` 1.4).

    Args:
        ring: The ring asked about.
        scale: Factor s of the plan that statistics are multiplied by, at least 1.
        max_abs_sum: Largest absolute sum of any cell over all councils, before scaling.
        noise_bound: Bound B_η on the absolute noise of the sum, in scaled steps.

    Raises:
        LocalProtocolError: A bound is negative, or the scale is below 1.
    """
    if scale < 1 or max_abs_sum < 0 or noise_bound < 0:
        raise LocalProtocolError("headroom needs a scale of at least 1 and bounds that are not negative")
    return 2 * (scale * max_abs_sum + noise_bound) < ring.modulus


def narrowest_ring(*, scale: int, max_abs_sum: int, noise_bound: int) -> Ring:
    """The 32-bit ring when it has headroom, else the 64-bit one.

    Raises:
        LocalProtocolError: Not even 64 bits have headroom; the plan must coarsen its grid or its bounds.
    """
    for ring in (Ring(bits=32), Ring(bits=64)):
        if headroom_ok(ring, scale=scale, max_abs_sum=max_abs_sum, noise_bound=noise_bound):
            return ring
    raise LocalProtocolError("the sums of this plan do not fit 64 bits; use a smaller scale or tighter clip bounds")
