"""Masks against a plain, slow reading of the same key stream."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from protocols.errors import LocalProtocolError
from protocols.masks import BLOCK_BYTES, MaskKey, add_masks
from protocols.ring import Ring


def words(key, cells, width):
    """AES of the counters 0, 1, 2, …, read as little-endian words."""
    blocks = -(-cells * width // 16)
    encryptor = Cipher(AES(key), ECB()).encryptor()
    stream = encryptor.update(b"".join(count.to_bytes(16, "big") for count in range(blocks)))
    return [int.from_bytes(stream[at * width : (at + 1) * width], "little") for at in range(cells)]


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("blocks", ["one", "edge", "beyond"])
def test_masks_are_the_key_stream_added_in_the_ring(bits, blocks):
    ring = Ring(bits=bits)
    cells = {"one": 5, "edge": BLOCK_BYTES // ring.width, "beyond": BLOCK_BYTES // ring.width + 3}[blocks]
    start = ring.encode(np.arange(cells) - 7)
    total = start.copy()
    add_masks(total, [MaskKey(key=b"a" * 32, sign=1), MaskKey(key=b"b" * 32, sign=-1)], ring)
    plus, minus = words(b"a" * 32, cells, ring.width), words(b"b" * 32, cells, ring.width)
    expected = [(at - 7 + plus[at] - minus[at]) % ring.modulus for at in range(cells)]
    assert total.tolist() == expected


@pytest.mark.parametrize("bits", [32, 64])
def test_a_mask_and_its_opposite_cancel(bits):
    ring, mask = Ring(bits=bits), MaskKey(key=b"k" * 32, sign=1)
    total = ring.zeros(40_000)
    add_masks(total, [mask], ring)
    assert np.count_nonzero(total) > 39_990
    add_masks(total, [mask.opposite()], ring)
    assert not total.any()
    add_masks(total, [mask.opposite(), mask.opposite().opposite()], ring)
    assert not total.any()


def test_a_vector_of_another_ring_is_refused():
    with pytest.raises(LocalProtocolError):
        add_masks(np.zeros(4, np.uint64), [], Ring(bits=32))


def test_a_mask_key_does_not_show():
    assert "6b" not in repr(MaskKey(key=b"k" * 32, sign=1))
    assert "kkk" not in repr(MaskKey(key=b"k" * 32, sign=1))
