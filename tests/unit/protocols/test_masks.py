"""Masks against a plain, slow reading of the same key stream."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from protocols import masks
from protocols.errors import LocalProtocolError
from protocols.masks import BLOCK_BYTES, Cores, MaskKey, add_masks, in_turn
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


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_cores_work_on_cells_of_their_own_and_give_the_same(bits, count):
    ring, keys = Ring(bits=bits), [MaskKey(key=bytes([at]) * 32, sign=1 - 2 * (at % 2)) for at in range(5)]
    alone, together, tasks_seen = ring.zeros(300_001), ring.zeros(300_001), []

    def backwards(tasks):
        tasks_seen.extend(tasks)
        in_turn(reversed(tasks_seen))

    add_masks(alone, keys, ring)
    add_masks(together, keys, ring, Cores(count=count, run=backwards))
    assert np.array_equal(alone, together)
    assert 2 <= len(tasks_seen) <= count


def test_a_short_vector_stays_on_one_core():
    tasks_seen = []
    add_masks(
        np.zeros(1000, "<u8"), [MaskKey(key=b"k" * 32, sign=1)], Ring(bits=64), Cores(count=2, run=tasks_seen.extend)
    )
    assert len(tasks_seen) == 1


def test_more_keys_than_are_open_at_a_time(monkeypatch):
    ring, keys = Ring(bits=64), [MaskKey(key=bytes([at]) * 32, sign=1) for at in range(7)]
    expected, total = ring.zeros(10), ring.zeros(10)
    add_masks(expected, keys, ring)
    monkeypatch.setattr("protocols.masks.KEYS_AT_ONCE", 3)
    add_masks(total, iter(keys), ring)
    assert np.array_equal(total, expected)


def test_a_vector_of_another_ring_is_refused():
    with pytest.raises(LocalProtocolError):
        add_masks(np.zeros(4, np.uint64), [], Ring(bits=32))


def test_a_mask_key_does_not_show():
    assert "6b" not in repr(MaskKey(key=b"k" * 32, sign=1))
    assert "kkk" not in repr(MaskKey(key=b"k" * 32, sign=1))


def test_nothing_of_a_mask_is_left_in_the_buffer_that_it_was_made_in(monkeypatch):
    buffers = []

    def noted(size):
        buffers.append(bytearray(size))
        return buffers[-1]

    monkeypatch.setattr(masks, "bytearray", noted, raising=False)
    total = Ring(bits=64).zeros(1000)
    add_masks(total, [MaskKey(key=b"a" * 32, sign=1)], Ring(bits=64))
    assert total.any()
    assert buffers
    assert not any(map(any, buffers))
