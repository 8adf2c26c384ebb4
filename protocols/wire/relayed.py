"""A request and its signed reply over a relay that neither end trusts to say who is at the other.

On a stream of our own a council proves its key once, and what follows comes from it. A relay that stores messages and
hands them on (Flower's SuperLink) has no such stream: it only says which of its nodes a reply came from. Here nothing
rests on that word. A council is first asked to prove its key (:func:`protocols.wire.handshake.link_statement`, with
the place in the relay where the TLS name stands), and then signs every reply for the one request it answers.

Nor does a relay say truly who asks: Flower lets one node address another as if it were the server. But it gives replies
to the server alone. So a node's proof brings a ticket, and a node answers no request without it.

What a reply's signature binds: the request's nonce (no replay), coordinator and council (no use with another pair), the
place at which the node was asked (no passing on by another node), and the request and the reply themselves.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Self

from protocols.encoding import length_prefixed, sha256
from protocols.errors import MalformedMessage
from protocols.identifiers import CouncilId, Digest
from protocols.wire.codec import Reader, short_text, unsigned
from protocols.wire.handshake import LINK_VERSION, NONCE_SIZE, link_statement
from protocols.wire.link_message import MESSAGE_LIMIT

__all__ = ["NO_TICKET", "TICKET_SIZE", "Asked", "RelayedKind", "RelayedReply", "RelayedRequest", "relayed_statement"]

SIGNATURE_SIZE: Final = 64
TICKET_SIZE: Final = 32
NO_TICKET: Final = bytes(TICKET_SIZE)
_VERSION: Final = 1
_NAME_LIMIT: Final = 128
_HEAD_LIMIT: Final = 512
_REQUEST: Final = "relayed request"
_REPLY: Final = "relayed reply"


class RelayedKind(IntEnum):
    """What is asked; the numbers are part of the format and never reused."""

    PROVE = 1
    ASK = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a reply's signature says of its request, without the request's bytes.

    Attributes:
        kind: What was asked for.
        nonce: 32 bytes, used once.
        coordinator_id: Who asked.
        digest: Of the link message.
    """

    kind: RelayedKind
    nonce: bytes
    coordinator_id: str
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayedRequest:
    """What the coordinator hands to the relay.

    Attributes:
        kind: Whether a proof of the key is wanted, or an answer.
        nonce: 32 bytes, used once.
        coordinator_id: Who asks.
        ticket: What the node gave with its proof; zeros when that is what is asked for.
        body: The link message for the node; empty for a proof.
    """

    kind: RelayedKind
    nonce: bytes
    coordinator_id: str
    ticket: bytes = field(default=NO_TICKET, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def asked(self) -> Asked:
        """What a reply will be signed for; its body is hashed here."""
        return Asked(kind=self.kind, nonce=self.nonce, coordinator_id=self.coordinator_id, digest=sha256(self.body))

    def encode(self) -> bytes:
        """Version, kind, nonce, ticket, coordinator, body; the last two with their lengths."""
        name = self.coordinator_id.encode()
        head = unsigned(_VERSION, 1) + unsigned(self.kind, 1) + self.nonce + self.ticket
        return b"".join((head, unsigned(len(name), 4), name, unsigned(len(self.body), 4), self.body))

    @classmethod
    def decode(cls, content: bytes, *, limit: int = MESSAGE_LIMIT) -> Self:
        """Read a request, exactly.

        Raises:
            MalformedMessage: Over the limit, another version or kind, cut short, or bytes left over.
        """
        reader = Reader(content, what=_REQUEST, limit=limit + _HEAD_LIMIT)
        reader.constant(_VERSION, "version")
        kind = _kind(reader.unsigned(1, "kind"))
        nonce, ticket = reader.take(NONCE_SIZE, "nonce"), reader.take(TICKET_SIZE, "ticket")
        name = _text(reader.prefixed(_NAME_LIMIT, "coordinator"))
        body = reader.prefixed(limit, "body")
        reader.finish()
        return cls(kind=kind, nonce=nonce, coordinator_id=name, ticket=ticket, body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayedReply:
    """What a node hands back.

    Attributes:
        council: Who says it answers.
        signature: Of :func:`relayed_statement` by the council's identity key.
        body: The link message; for a proof the ticket, and behind it the version of the node's software.
    """

    council: CouncilId
    signature: bytes
    body: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """Version, council, signature, body."""
        head = unsigned(_VERSION, 1) + short_text(self.council) + self.signature
        return b"".join((head, unsigned(len(self.body), 4), self.body))

    @classmethod
    def decode(cls, content: bytes, *, limit: int = MESSAGE_LIMIT) -> Self:
        """Read a reply, exactly.

        Raises:
            MalformedMessage: Over the limit, another version, cut short, or bytes left over.
        """
        reader = Reader(content, what=_REPLY, limit=limit + _HEAD_LIMIT)
        reader.constant(_VERSION, "version")
        council = reader.short_text("council")
        signature = reader.take(SIGNATURE_SIZE, "signature")
        body = reader.prefixed(limit, "body")
        reader.finish()
        return cls(council=council, signature=signature, body=body)


def relayed_statement(asked: Asked, *, council: CouncilId, place: str, body: bytes) -> bytes:
    """The bytes a node signs with a reply; see this module's head for what they bind.

    Args:
        asked: What was asked. Its coordinator must be the one in the node's own settings before a node signs.
        council: The council that answers.
        place: Where in the relay the node was asked, as the node itself sees it.
        body: The reply, as in `RelayedReply`.
    """
    if asked.kind is RelayedKind.PROVE:
        own = link_statement(
            nonce=asked.nonce,
            coordinator_id=asked.coordinator_id,
            council=council,
            server_name=place,
            version=LINK_VERSION,
            offered=(LINK_VERSION,),
        )
        return length_prefixed("relayed-proof/v1", own, body)
    who = (asked.coordinator_id.encode(), council.encode(), place.encode())
    return length_prefixed("relayed-reply/v1", asked.nonce, *who, asked.digest, sha256(body))


def _kind(number: int) -> RelayedKind:
    try:
        return RelayedKind(number)
    except ValueError:
        raise MalformedMessage(f"a {_REQUEST} has kind {number}, which does not exist") from None


def _text(content: bytes) -> str:
    if not content.isascii():
        raise MalformedMessage("a coordinator's id is ASCII")
    return content.decode("ascii")
