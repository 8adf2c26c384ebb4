"""Ed25519 keys as files: how every person and every council holds the key they sign with.

A private key is a PKCS8 PEM file only its owner can read. A public key is one line, ``ed25519:`` and 64
hexadecimal digits, fit for a settings file. Its `fingerprint` is what two people compare by telephone.
"""

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from federated.errors import FileProblem
from protocols.encoding import digest
from protocols.identifiers import RandomSource

__all__ = [
    "SigningKey",
    "fingerprint",
    "keyid",
    "make_key",
    "parse_public",
    "public_line",
    "read_private_key",
    "read_public_key",
    "trusted_keys",
    "write_private_key",
    "write_public_key",
]

PUBLIC_SIZE: Final = 32
SEED_SIZE: Final = 32
PREFIX: Final = "ed25519:"
FIELD: Final = 2**255 - 19
SMALL_ORDER: Final = frozenset(
    {
        0,
        1,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
        FIELD - 1,
    }
)
"""The y-coordinates of order 1, 2, 4 and 8 on the curve of Ed25519: a signature by such a key fits any message."""
KEY_FILE_LIMIT: Final = 4096
FINGERPRINT_GROUPS: Final = 8
"""Eight groups of five digits: 132 bits, so that a second key with the same fingerprint is out of reach."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key to sign with; `public` is its raw public half of 32 bytes."""

    public: bytes
    private: Ed25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def of(cls, private: Ed25519PrivateKey) -> Self:
        """The key with its public half worked out."""
        return cls(public=private.public_key().public_bytes_raw(), private=private)

    @property
    def keyid(self) -> str:
        """Name of the key in envelopes; see `keyid`."""
        return keyid(self.public)

    def sign(self, message: bytes) -> bytes:
        """Raw Ed25519 signature of 64 bytes. The message must already be domain separated."""
        return self.private.sign(message)


def make_key(rng: RandomSource) -> SigningKey:
    """A new key from 32 secure random bytes. Run once by its owner, on the owner's own machine."""
    return SigningKey.of(Ed25519PrivateKey.from_private_bytes(rng(SEED_SIZE)))


def keyid(public: bytes) -> str:
    """Name of a public key: SHA-256 of its raw 32 bytes, in hexadecimal."""
    return hashlib.sha256(public).hexdigest()


def fingerprint(public: bytes) -> str:
    """A public key for reading aloud: eight groups of five digits, nothing that sounds like something else."""
    number = int.from_bytes(digest("fingerprint/v1", public), "big")
    digits = f"{number % 10 ** (5 * FINGERPRINT_GROUPS):0{5 * FINGERPRINT_GROUPS}d}"
    return " ".join(digits[start : start + 5] for start in range(0, len(digits), 5))


def public_line(public: bytes) -> str:
    """A public key as the one line written in files and settings."""
    return PREFIX + public.hex()


def parse_public(line: str) -> bytes:
    """Read a public line.

    Raises:
        ValueError: Not ``ed25519:`` and 64 lower-case hexadecimal digits, or a key that nobody has: see `SMALL_ORDER`.
    """
    digits = line.removeprefix(PREFIX)
    if not line.startswith(PREFIX) or len(digits) != 2 * PUBLIC_SIZE or set(digits) - set("0123456789abcdef"):
        raise ValueError("must be a public key, written 'ed25519:' and 64 hexadecimal digits in lower case")
    public = bytes.fromhex(digits)
    # Whoever such a key is pinned for, everybody could sign in their name; the library does not look.
    y = int.from_bytes(public, "little") & (2**255 - 1)  # without the sign of x
    if y >= FIELD or y in SMALL_ORDER:
        raise ValueError("must be a public key that somebody made; for this one everybody could sign")
    return public


def trusted_keys(*public: bytes) -> dict[str, bytes]:
    """Public keys by key id, the form in which `federated.signing` is told whom to trust."""
    return {keyid(key): key for key in public}


def write_private_key(path: Path, key: SigningKey) -> None:
    """Write a private key that only its owner can read, durably; an existing file is never overwritten.

    Raises:
        FileProblem: The file exists or cannot be written.
    """
    content = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise FileProblem(
            f"{path}: there is already a file here, and a private key is never overwritten.",
            remedy="Choose another name, or move the old key away first.",
        ) from error
    except OSError as error:
        raise FileProblem(f"{path}: the private key cannot be written ({error.strerror}).") from error


def read_private_key(path: Path) -> SigningKey:
    """Read a private key, if nobody but its owner can.

    Raises:
        FileProblem: The file cannot be read, others may read it, or it holds no Ed25519 key.
    """
    content = _owner_only(path)
    try:
        private = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _not_a_key(path) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _not_a_key(path)
    return SigningKey.of(private)


def _not_a_key(path: Path) -> FileProblem:
    return FileProblem(
        f"{path}: this is not an Ed25519 private key without a password, in PEM form.",
        remedy="Make one with 'federated keys' or 'council-node init', or give the right file.",
    )


def _owner_only(path: Path) -> bytes:
    # The rights are read from the open file, not from its name, so that the name cannot be swapped in between.
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(KEY_FILE_LIMIT)
    except OSError as error:
        raise FileProblem(f"{path}: the private key cannot be read ({error.strerror}).") from error
    if os.name == "posix" and mode & _OTHERS:
        raise FileProblem(
            f"{path}: other users of this machine can open this private key (its rights are {stat.S_IMODE(mode):04o}).",
            remedy=f"Run 'chmod 600 {path}'. If others may have read it, make a new key instead.",
        )
    return content


def write_public_key(path: Path, public: bytes) -> None:
    """Write a public key as its one line.

    Raises:
        FileProblem: The file cannot be written.
    """
    try:
        path.write_text(public_line(public) + "\n", encoding="ascii")
    except OSError as error:
        raise FileProblem(f"{path}: the public key cannot be written ({error.strerror}).") from error


def read_public_key(path: Path) -> bytes:
    """Read a public key file.

    Raises:
        FileProblem: The file cannot be read or is not one public line.
    """
    try:
        with path.open("rb") as file:
            content = file.read(KEY_FILE_LIMIT)
        return parse_public(content.decode("ascii").strip())
    except OSError as error:
        raise FileProblem(f"{path}: the public key cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise FileProblem(
            f"{path}: this is not a public key; it should be one line, 'ed25519:' and 64 hexadecimal digits.",
            remedy="Ask its owner for the public key file. Never send or accept a private key.",
        ) from error
