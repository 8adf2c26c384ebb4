"""X25519 and HKDF at our seam."""

import pytest

from protocols.errors import LocalProtocolError, MalformedMessage, RemoteProtocolError
from protocols.key_agreement import SMALL_ORDER, check_public_key, derive_key, private_key, public_bytes, shared_secret
from protocols.shamir import PRIME


def test_both_ends_agree_and_a_third_does_not():
    one, other, third = (private_key(bytes((n,)) * 32) for n in (1, 2, 3))
    assert shared_secret(one, public_bytes(other)) == shared_secret(other, public_bytes(one))
    assert shared_secret(one, public_bytes(other)) != shared_secret(one, public_bytes(third))


@pytest.mark.parametrize("point", sorted(SMALL_ORDER))
def test_points_of_small_order_give_zero_and_are_refused_either_way(point):
    content = point.to_bytes(32, "little")
    with pytest.raises(MalformedMessage):
        check_public_key(content)
    with pytest.raises(RemoteProtocolError, match="gave zero"):
        shared_secret(private_key(b"k" * 32), content)


@pytest.mark.parametrize(
    "content",
    [
        (PRIME + 9).to_bytes(32, "little"),
        (9 | 1 << 255).to_bytes(32, "little"),
        b"\x09" + bytes(30),
        b"\x09" + bytes(32),
    ],
)
def test_a_key_has_one_encoding(content):
    with pytest.raises(MalformedMessage):
        check_public_key(content)


def test_a_genuine_key_passes():
    check_public_key(public_bytes(private_key(b"k" * 32)))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_private_key_has_32_bytes(size):
    with pytest.raises(LocalProtocolError):
        private_key(bytes(size))


def test_a_public_key_of_another_length_is_the_peers_fault():
    with pytest.raises(RemoteProtocolError):
        shared_secret(private_key(b"k" * 32), bytes(31))


def test_a_derived_key_depends_on_secret_and_info():
    assert len({derive_key(b"a", b"x"), derive_key(b"a", b"y"), derive_key(b"b", b"x")}) == 3
