"""X25519 and HKDF-SHA256, from `cryptography`, with the refusals that the protocol asks for.

Public keys are read strictly: only the canonical encoding, and none of the points of small order, whose
shared secret is zero whatever the private key.

References:
    RFC 7748 (X25519, section 6.1 on the all-zero output), RFC 5869 (HKDF).
"""

from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protocols.errors import LocalProtocolError, MalformedMessage, RemoteProtocolError
from protocols.shamir import PRIME

KEY_SIZE: Final = 32

SMALL_ORDER: Final = frozenset(
    {
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        PRIME - 1,
    }
)
"""The u-coordinates of order 1, 2, 4 and 8 on the curve and its twist."""


def private_key(content: bytes) -> X25519PrivateKey:
    """A private key from 32 secret bytes.

    Raises:
        LocalProtocolError: Not 32 bytes.
    """
    if len(content) != KEY_SIZE:
        raise LocalProtocolError(f"an X25519 private key has {KEY_SIZE} bytes, not {len(content)}")
    return X25519PrivateKey.from_private_bytes(content)


def public_bytes(private: X25519PrivateKey) -> bytes:
    """The 32 bytes to advertise."""
    return private.public_key().public_bytes_raw()


def check_public_key(content: bytes) -> None:
    """Refuse a public key that no honest party sends.

    Raises:
        MalformedMessage: Not 32 bytes, not canonical (the same key under other bytes would pass as a
            different one), or of small order.
    """
    point = int.from_bytes(content, "little")
    if len(content) != KEY_SIZE or point >= PRIME or point in SMALL_ORDER:
        raise MalformedMessage("an X25519 public key is 32 canonical bytes and not a point of small order")


def shared_secret(private: X25519PrivateKey, public: bytes) -> bytes:
    """X25519.

    Raises:
        RemoteProtocolError: The output is all zero (RFC 7748, section 6.1): a key of small order.
    """
    try:
        return private.exchange(_public_key(public))
    except ValueError as problem:
        raise RemoteProtocolError("an X25519 key agreement gave zero: the public key is not genuine") from problem


@lru_cache(maxsize=1024)  # public keys only; a coordinator agrees with each survivor once for every council lost
def _public_key(content: bytes) -> X25519PublicKey:
    return X25519PublicKey.from_public_bytes(content)


def derive_key(secret: bytes, info: bytes, size: int = KEY_SIZE) -> bytes:
    """Key bytes by HKDF-SHA256 without salt; `info` is length-prefixed and names the one use of the key."""
    return HKDF(algorithm=SHA256(), length=size, salt=None, info=info).derive(secret)
