"""How two councils agree on a key: X25519, alone or together with ML-KEM-768 against a future quantum computer.

A public key of a suite is its parts, one after another. The second part is a key-encapsulation mechanism: whoever has
it makes a secret and a ciphertext, and only the holder of the private key finds the secret in the ciphertext. Both
parts' secrets go into one key, so that it is safe as long as either part is.

References:
    RFC 7748 (X25519), FIPS 203 (ML-KEM); why both: `docs/adr/0014-masks-against-quantum-computers.md`.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from protocols.errors import LocalProtocolError, MalformedMessage
from protocols.key_agreement import KEY_SIZE, check_public_key, private_key, public_bytes, shared_secret

KEM_SEED_SIZE: Final = 64
KEM_KEY_SIZE: Final = 1184
KEM_CIPHERTEXT_SIZE: Final = 1088


class Suite(StrEnum):
    """What a round's keys are agreed with; the agreement says which."""

    X25519 = "x25519"
    HYBRID = "x25519+mlkem768"

    @property
    def private_size(self) -> int:
        """Secret bytes that a private key is made from."""
        return KEY_SIZE + (KEM_SEED_SIZE if self is Suite.HYBRID else 0)

    @property
    def public_size(self) -> int:
        """Bytes of a public key."""
        return KEY_SIZE + (KEM_KEY_SIZE if self is Suite.HYBRID else 0)

    @property
    def ciphertext_size(self) -> int:
        """Bytes that must reach the other side besides the public keys."""
        return KEM_CIPHERTEXT_SIZE if self is Suite.HYBRID else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKey:
    """A private key of either suite.

    Attributes:
        x25519: Its first part.
        kem: Its second; None where the suite has none.
    """

    x25519: X25519PrivateKey = field(repr=False)
    kem: MLKEM768PrivateKey | None = field(repr=False)

    @classmethod
    def read(cls, content: bytes, suite: Suite) -> "PrivateKey":
        """A private key from secret bytes.

        Raises:
            LocalProtocolError: Another length than the suite's.
        """
        if len(content) != suite.private_size:
            raise LocalProtocolError(f"a private key of {suite} has {suite.private_size} bytes, not {len(content)}")
        seed = content[KEY_SIZE:]
        return cls(
            x25519=private_key(content[:KEY_SIZE]), kem=MLKEM768PrivateKey.from_seed_bytes(seed) if seed else None
        )

    @property
    def public(self) -> bytes:
        """The bytes to advertise."""
        return public_bytes(self.x25519) + (b"" if self.kem is None else self.kem.public_key().public_bytes_raw())

    def agree(self, public: bytes) -> bytes:
        """X25519 with the first part of another's public key.

        Raises:
            RemoteProtocolError: The output is all zero: a key of small order.
        """
        return shared_secret(self.x25519, public[:KEY_SIZE])

    def open(self, ciphertext: bytes) -> bytes:
        """The secret in a ciphertext; nothing where the suite has none. A false ciphertext gives a random secret."""
        return b"" if self.kem is None else self.kem.decapsulate(ciphertext)


def parts(public: bytes) -> tuple[bytes, ...]:
    """The parts of a public key."""
    return (public,) if len(public) == KEY_SIZE else (public[:KEY_SIZE], public[KEY_SIZE:])


def check_public(content: bytes, suite: Suite) -> None:
    """Refuse a public key that no honest party sends.

    Raises:
        MalformedMessage: Of another length, or a part that is not canonical.
    """
    if len(content) != suite.public_size:
        raise MalformedMessage(f"a public key of {suite} has {suite.public_size} bytes, not {len(content)}")
    check_public_key(content[:KEY_SIZE])
    if suite is Suite.HYBRID:
        _kem_key(content)


def encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """Make a secret for the holder of a public key, by the library's own secure randomness.

    Returns:
        (secret, ciphertext); both empty where the suite needs none.
    """
    if len(public) == KEY_SIZE:
        return b"", b""
    return _kem_key(public).encapsulate()


def _kem_key(public: bytes) -> MLKEM768PublicKey:
    try:
        return MLKEM768PublicKey.from_public_bytes(public[KEY_SIZE:])
    except ValueError as problem:  # FIPS 203, 7.2: coefficients that are not reduced
        raise MalformedMessage("an ML-KEM-768 public key is 1,184 canonical bytes") from problem
