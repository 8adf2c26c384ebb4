"""Masks: AES-256-CTR key streams read as ring words, added to a vector in place.

Every key is used for one mask of one round, so the counter starts at zero. The stream is made in blocks
into one reused buffer: measured at 5 to 6 GB/s with the addition, against 0.85 GB/s for making each mask
as a fresh array. No array of councils × cells exists anywhere.

References:
    NIST SP 800-38A, section 6.5 (CTR).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from protocols.ring import Ring, RingVector

BLOCK_BYTES: Final = 128 * 1024
_AES_BLOCK: Final = 16
_ZEROS: Final = memoryview(bytes(BLOCK_BYTES))
_FIRST_COUNTER: Final = bytes(_AES_BLOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskKey:
    """The key of one mask and whether the mask is added or taken away.

    Attributes:
        key: 32 secret bytes, for this mask only.
        sign: +1 or -1.
    """

    key: bytes = field(repr=False)
    sign: Literal[1, -1]

    def opposite(self) -> "MaskKey":
        """The same mask, to undo this one."""
        return MaskKey(key=self.key, sign=-1 if self.sign == 1 else 1)


def add_masks(total: RingVector, keys: Iterable[MaskKey], ring: Ring) -> None:
    """Add (or take away) the mask of each key, in place.

    Args:
        total: Shape `(cells,)`, of `ring`.
        keys: Any number of masks; each key stream has as many little-endian words as there are cells.
        ring: The ring of the plan.
    """
    ring.check(total)
    # The extra block is room that `update_into` may ask for beyond what it writes.
    buffer = bytearray(BLOCK_BYTES + _AES_BLOCK)
    words = ring.read(memoryview(buffer)[:BLOCK_BYTES])
    for key in keys:
        _add_mask(total, key, buffer, words)


def _add_mask(total: RingVector, key: MaskKey, buffer: bytearray, words: RingVector) -> None:
    stream = Cipher(AES256(key.key), CTR(_FIRST_COUNTER)).encryptor()
    accumulate = np.add if key.sign == 1 else np.subtract
    for start in range(0, len(total), len(words)):
        block = total[start : start + len(words)]
        stream.update_into(_ZEROS[: block.nbytes], buffer)
        accumulate(block, words[: len(block)], out=block)
