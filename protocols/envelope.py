"""Signed messages of a round: Ed25519 by a pinned identity over an unambiguous encoding.

The signature covers (domain, version, sid, stage, sender, SHA-256(body)), so a message cannot be taken
for one of another round, stage or council. On the wire::

    version 1 | stage 1 | sender length 1 | sender | signature 64 | body length 4 | body

References:
    RFC 8032 (Ed25519); `protocol.md` 1.2.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocols.encoding import length_prefixed, prefixed, sha256
from protocols.errors import LocalProtocolError, MalformedMessage, RemoteProtocolError
from protocols.identifiers import COUNCIL_ID_MAX, CouncilId, Digest, RoundId
from protocols.wire.codec import Reader, short_text, unsigned

DOMAIN: Final = "federated/secagg/v1"
VERSION: Final = 1
SIGNATURE_SIZE: Final = 64
IDENTITY_KEY_SIZE: Final = 32
ENVELOPE_SIZE: Final = 1 + 1 + 1 + COUNCIL_ID_MAX + SIGNATURE_SIZE + 4
"""Most bytes of a signed message besides its body."""

Sign: TypeAlias = Callable[[bytes], bytes]
"""Signs with the council's identity key, which stays wherever it is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedMessage:
    """One council's signed statement in one stage; what the body means is the stage's affair.

    Attributes:
        stage: Stage byte.
        sender: The council that signs.
        body: What it says.
        signature: Ed25519, 64 bytes.
        body_digest: SHA-256 of the body, worked out once: it is signed and enters the views.
    """

    stage: int
    sender: CouncilId
    body: bytes = field(repr=False)
    signature: bytes
    body_digest: Digest = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work out the digest."""
        object.__setattr__(self, "body_digest", sha256(self.body))

    def encode(self) -> bytes:
        """The bytes on the wire."""
        head = unsigned(VERSION, 1) + unsigned(self.stage, 1) + short_text(self.sender)
        return head + self.signature + unsigned(len(self.body), 4) + self.body


def sign_message(*, sid: RoundId, stage: int, sender: CouncilId, body: bytes, sign: Sign) -> SignedMessage:
    """Sign a body for one round and stage.

    Raises:
        LocalProtocolError: `sign` did not return an Ed25519 signature.
    """
    signature = sign(_signed_bytes(sid=sid, stage=stage, sender=sender, body_digest=sha256(body)))
    if len(signature) != SIGNATURE_SIZE:
        raise LocalProtocolError(f"an Ed25519 signature has {SIGNATURE_SIZE} bytes, not {len(signature)}")
    return SignedMessage(stage=stage, sender=sender, body=body, signature=signature)


def read_signed(reader: Reader, *, stage: int, body_size: int) -> SignedMessage:
    """Read a signed message of a known stage and body length; the signature is not looked at yet.

    Raises:
        MalformedMessage: Another version or stage, another length, or cut short.
    """
    reader.constant(VERSION, "version")
    reader.constant(stage, "stage")
    sender = reader.short_text("sender")
    signature = reader.take(SIGNATURE_SIZE, "signature")
    body = reader.prefixed(body_size, "body")
    if len(body) != body_size:
        raise MalformedMessage(f"the body from {sender} has {len(body)} bytes; {body_size} were expected")
    return SignedMessage(stage=stage, sender=sender, body=body, signature=signature)


def verify_message(message: SignedMessage, *, sid: RoundId, identity: bytes) -> None:
    """Check a signature against the identity that the roster pins for the sender.

    Args:
        message: As read.
        sid: The round that this party is in.
        identity: The sender's raw Ed25519 public key.

    Raises:
        RemoteProtocolError: The signature is not the sender's, or is of another round or stage.
    """
    content = _signed_bytes(sid=sid, stage=message.stage, sender=message.sender, body_digest=message.body_digest)
    try:
        _identity_key(identity).verify(message.signature, content)
    except InvalidSignature as problem:
        raise RemoteProtocolError(
            f"a message in the name of {message.sender} is not signed by its identity for this round and stage",
            culprit=message.sender,
        ) from problem


def _signed_bytes(*, sid: RoundId, stage: int, sender: CouncilId, body_digest: Digest) -> bytes:
    return _signed_head(sid, stage) + prefixed(sender.encode("ascii"), body_digest)


@lru_cache(maxsize=64)  # the same for every council
def _signed_head(sid: RoundId, stage: int) -> bytes:
    return length_prefixed(DOMAIN, unsigned(VERSION, 1), sid, unsigned(stage, 1))


@lru_cache(maxsize=1024)  # public keys only; a node checks each identity four times a round
def _identity_key(identity: bytes) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(identity)
    except ValueError as problem:
        raise LocalProtocolError(f"an identity key has {IDENTITY_KEY_SIZE} bytes, not {len(identity)}") from problem
