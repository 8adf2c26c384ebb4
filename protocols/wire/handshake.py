"""What a council signs to show that it holds its identity key: on the link, and when it enrols.

What the link statement binds: a fresh nonce (no replay), the coordinator's id and the council's (no use with another
pair), the version and everything offered (no downgrade), and the TLS name the node verified (no relay). A relay that
reaches a node under another host name, with a certificate the council's bundle trusts for that name, obtains a
statement naming the wrong host, which the real coordinator refuses.

What it does not cover: gRPC for Python shows the client neither the server's certificate nor a TLS exporter, so the
statement is not bound to the TLS session itself. Whoever holds a certificate the council's bundle trusts *for the
coordinator's own name* – a stolen key, or a council's own TLS inspection – can pass the handshake through and then read
and alter what the link carries. It learns no case data (inputs are masked, shares encrypted end to end) and cannot
change a message unnoticed (each is signed inside the link); it can see who is asked what, and delay or drop.
"""

from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocols.encoding import length_prefixed
from protocols.errors import MalformedMessage, RemoteProtocolError
from protocols.identifiers import CouncilId

__all__ = [
    "LINK_VERSION",
    "NONCE_SIZE",
    "PUBLIC_KEY_SIZE",
    "check_enrol_proof",
    "check_link_proof",
    "check_software",
    "choose_version",
    "enrol_statement",
    "link_statement",
]

LINK_VERSION: Final = 1
NONCE_SIZE: Final = 32
PUBLIC_KEY_SIZE: Final = 32
_OFFERS_MAX: Final = 16
_SOFTWARE_MAX: Final = 40


def choose_version(offered: Sequence[int]) -> int:
    """The version both sides speak.

    Raises:
        MalformedMessage: The offer is empty, over long or not ascending, or holds no version spoken here.
    """
    if not 1 <= len(offered) <= _OFFERS_MAX or list(offered) != sorted(set(offered)):
        raise MalformedMessage(f"link versions are offered as 1 to {_OFFERS_MAX} ascending numbers")
    if LINK_VERSION not in offered:
        raise MalformedMessage(f"the other side speaks link versions {list(offered)}; this one speaks {LINK_VERSION}")
    return LINK_VERSION


def link_statement(
    *, nonce: bytes, coordinator_id: str, council: CouncilId, server_name: str, version: int, offered: Sequence[int]
) -> bytes:
    """The bytes a node signs to open the link; see this module's head for what they bind.

    Args:
        nonce: The coordinator's, 32 bytes, used once.
        coordinator_id: As in the node's own roster, never as the peer claims it.
        council: The council that connects.
        server_name: The name the node verified the TLS certificate against.
        version: The link version in use.
        offered: Every version the node offered.
    """
    versions = b"".join(number.to_bytes(4, "big") for number in (version, *offered))
    return length_prefixed(
        "link/v1", nonce, coordinator_id.encode(), council.encode(), server_name.lower().encode(), versions
    )


def enrol_statement(council: CouncilId, public_key: bytes) -> bytes:
    """The bytes a node signs to show that it holds the key it enrols.

    A copy of this signature is worth nothing: it enrols the same key again, and only a person's comparison of
    fingerprints and two roster signatures make that key count.
    """
    return length_prefixed("enrol/v1", council.encode(), public_key)


def check_link_proof(public_key: bytes, signature: bytes, statement: bytes, council: CouncilId) -> None:
    """Verify a node's signature over :func:`link_statement`.

    Raises:
        RemoteProtocolError: The signature is not by that key over that statement.
    """
    _verify(public_key, signature, statement, f"{council} did not prove that it holds its key in the roster")


def check_enrol_proof(council: CouncilId, public_key: bytes, signature: bytes) -> None:
    """Verify a node's signature over :func:`enrol_statement`.

    Raises:
        RemoteProtocolError: The key is not an Ed25519 key, or the signature is not by it.
    """
    if len(public_key) != PUBLIC_KEY_SIZE:
        raise MalformedMessage(f"an identity key has {PUBLIC_KEY_SIZE} bytes, not {len(public_key)}")
    statement = enrol_statement(council, public_key)
    _verify(public_key, signature, statement, f"{council} did not prove that it holds the key it enrols")


def check_software(said: str) -> str:
    """A version as a node says it, which people then read.

    Raises:
        MalformedMessage: It is longer than a version, or has other characters.
    """
    plain = said.translate({ord(mark): None for mark in ".+-"})
    if said and not (len(said) <= _SOFTWARE_MAX and plain.isascii() and plain.isalnum()):
        raise MalformedMessage("the version of a node's software has at most 40 letters, digits, '.', '+' and '-'")
    return said


def _verify(public_key: bytes, signature: bytes, statement: bytes, complaint: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, statement)
    except (InvalidSignature, ValueError):
        raise RemoteProtocolError(complaint) from None
