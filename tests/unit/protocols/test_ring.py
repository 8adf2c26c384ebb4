"""Rings of 2^32 and 2^64, and the headroom rule."""

import numpy as np
import pytest

from protocols.errors import LocalProtocolError
from protocols.ring import Ring, headroom_ok, narrowest_ring


@pytest.mark.parametrize("bits", [32, 64])
def test_encoding_is_reduction_and_decoding_its_inverse_on_the_half_range(bits):
    ring = Ring(bits=bits)
    half = 2 ** (bits - 1)
    values = np.array([0, 1, -1, half - 1, -half], dtype=np.int64)
    encoded = ring.encode(values)
    assert [int(word) for word in encoded] == [int(value) % ring.modulus for value in values]
    assert ring.decode_signed(encoded).tolist() == values.tolist()
    assert encoded.dtype == ring.dtype == np.dtype(f"<u{ring.width}")


def test_values_beyond_32_bits_wrap():
    assert Ring(bits=32).encode(np.array([2**32 + 5, -(2**40) - 1])).tolist() == [5, 2**32 - 1]
    assert Ring(bits=64).encode(np.array([2**64 - 1], dtype=np.uint64)).tolist() == [2**64 - 1]


def test_encoding_copies():
    values = np.array([1, 2], dtype=np.uint64)
    Ring(bits=64).encode(values)[0] = 9
    assert values[0] == 1


@pytest.mark.parametrize("wrong", [np.zeros((2, 2), np.int64), np.zeros(2), np.zeros(2, np.int32), np.zeros(2, bool)])
def test_only_vectors_of_64_bit_integers_are_encoded(wrong):
    with pytest.raises(LocalProtocolError):
        Ring(bits=64).encode(wrong)


@pytest.mark.parametrize("wrong", [np.zeros(2, np.uint64), np.zeros((2, 2), np.uint32)])
def test_only_vectors_of_the_ring_are_decoded(wrong):
    with pytest.raises(LocalProtocolError):
        Ring(bits=32).decode_signed(wrong)


def test_other_widths_are_refused():
    with pytest.raises(LocalProtocolError):
        Ring(bits=16)


def test_bytes_are_read_as_little_endian_words():
    assert Ring(bits=32).read(b"\1\0\0\0\0\1\0\0").tolist() == [1, 256]
    assert Ring(bits=64).read(b"\1\0\0\0\0\1\0\0").tolist() == [1 + (1 << 40)]
    for bits in (32, 64):
        with pytest.raises(LocalProtocolError):
            Ring(bits=bits).read(bytes(9))


def test_headroom_is_strict():
    ring = Ring(bits=32)
    assert headroom_ok(ring, scale=1, max_abs_sum=2**31 - 2, noise_bound=1)
    assert not headroom_ok(ring, scale=1, max_abs_sum=2**31 - 1, noise_bound=1)
    assert not headroom_ok(ring, scale=2, max_abs_sum=2**30, noise_bound=0)


@pytest.mark.parametrize("wrong", [{"scale": 0}, {"max_abs_sum": -1}, {"noise_bound": -1}])
def test_headroom_of_impossible_bounds_is_refused(wrong):
    with pytest.raises(LocalProtocolError):
        headroom_ok(Ring(bits=64), **{"scale": 1, "max_abs_sum": 1, "noise_bound": 1} | wrong)


def test_the_narrowest_ring_with_headroom_is_chosen():
    assert narrowest_ring(scale=1, max_abs_sum=1000, noise_bound=100) == Ring(bits=32)
    assert narrowest_ring(scale=1 << 10, max_abs_sum=1 << 22, noise_bound=0) == Ring(bits=64)
    with pytest.raises(LocalProtocolError):
        narrowest_ring(scale=1, max_abs_sum=2**63, noise_bound=0)
