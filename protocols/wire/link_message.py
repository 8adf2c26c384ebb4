"""What travels inside the link: one request or one reply, with its kind and what it refers to.

A reply in words is filled up with blanks, so that whoever sees the size of what passes does not see which words they
are: one refusal, complaint or fault is as long as another. The protocol's own messages need none: their sizes follow
from the plan and from who takes part.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Final, Self

from protocols.encoding import canonical_json
from protocols.errors import LocalProtocolError, MalformedMessage
from protocols.identifiers import DIGEST_SIZE
from protocols.wire.codec import Reader, unsigned

__all__ = [
    "ASKED_OF_COUNCILS",
    "ASKED_OF_HOLDERS",
    "IN_WORDS",
    "MESSAGE_LIMIT",
    "NO_REFERENCE",
    "REPLIES",
    "WORDS_BYTES",
    "Kind",
    "LinkMessage",
    "fault",
    "link_head",
]

MESSAGE_LIMIT: Final = 64 * 1024 * 1024
"""Largest encoded message in bytes, unless the two ends agree on less."""

NO_REFERENCE: Final = bytes(DIGEST_SIZE)
"""The reference of a message that concerns neither a plan nor a round."""

WORDS_BYTES: Final = 4096
"""A reply in words has this many bytes of payload, or a multiple. Most have some hundred bytes of words."""

_BLANK: Final = b" "
_VERSION: Final = 1
_WHAT: Final = "link message"


class Kind(IntEnum):
    """What a message is; the numbers are part of the format and never reused."""

    PROPOSAL = 1
    DECISION = 2
    INVITE = 3
    ADVERT = 4
    ADVERTS = 5
    KEY_SHARES = 6
    SHARES = 7
    MASKED_INPUT = 8
    SURVIVORS = 9
    CONFIRMATION = 10
    STATEMENTS = 11
    UNMASK = 12
    RELEASE = 13
    RECEIPT = 14
    ABORT = 15
    BUDGET_REQUEST = 16
    BUDGET_STATEMENT = 17
    REFUSAL = 18
    FAULT = 19
    COMPLAINT = 20
    ROSTER = 21
    HOLD = 22
    HELD = 23
    OPEN = 24
    OPENED = 25


REPLIES: Final[Mapping[Kind, frozenset[Kind]]] = MappingProxyType(
    {
        Kind.PROPOSAL: frozenset({Kind.DECISION, Kind.FAULT}),
        Kind.INVITE: frozenset({Kind.ADVERT, Kind.REFUSAL, Kind.FAULT}),
        Kind.ADVERTS: frozenset({Kind.KEY_SHARES, Kind.COMPLAINT, Kind.FAULT}),
        Kind.SHARES: frozenset({Kind.MASKED_INPUT, Kind.COMPLAINT, Kind.FAULT}),
        Kind.SURVIVORS: frozenset({Kind.CONFIRMATION, Kind.COMPLAINT, Kind.FAULT}),
        Kind.STATEMENTS: frozenset({Kind.UNMASK, Kind.COMPLAINT, Kind.FAULT}),
        Kind.RELEASE: frozenset({Kind.RECEIPT, Kind.FAULT}),
        Kind.ABORT: frozenset({Kind.RECEIPT, Kind.FAULT}),
        Kind.BUDGET_REQUEST: frozenset({Kind.BUDGET_STATEMENT, Kind.FAULT}),
        Kind.ROSTER: frozenset({Kind.RECEIPT, Kind.FAULT}),
        Kind.HOLD: frozenset({Kind.HELD, Kind.REFUSAL, Kind.FAULT}),
        Kind.OPEN: frozenset({Kind.OPENED, Kind.COMPLAINT, Kind.FAULT}),
    }
)
"""The kinds a coordinator sends, each with the kinds that may answer."""

ASKED_OF_HOLDERS: Final = frozenset({Kind.ROSTER, Kind.HOLD, Kind.OPEN, Kind.ABORT})
"""What the mask holder of an agreement answers."""

ASKED_OF_COUNCILS: Final = REPLIES.keys() - {Kind.HOLD, Kind.OPEN}
"""What a council's node answers."""


IN_WORDS: Final = frozenset(
    {Kind.DECISION, Kind.RECEIPT, Kind.BUDGET_STATEMENT, Kind.REFUSAL, Kind.FAULT, Kind.COMPLAINT}
)
"""Replies whose payload is JSON, after which blanks mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkMessage:
    """One request or reply.

    Attributes:
        kind: What ``payload`` is.
        reference: 32 bytes: the plan digest for proposals, the round id for rounds, zeros otherwise.
        payload: The content, in the form its kind prescribes.
    """

    kind: Kind
    reference: bytes
    payload: bytes = field(repr=False)  # long, and in a log it would be content

    def encode(self) -> bytes:
        """Version byte, kind byte, reference, 32-bit length, payload; a payload in words with its blanks.

        Raises:
            LocalProtocolError: The reference is not 32 bytes, or a payload in words ends with a blank.
        """
        payload = _filled(self.payload) if self.kind in IN_WORDS else self.payload
        return link_head(self.kind, self.reference, len(payload)) + payload

    @classmethod
    def decode(cls, content: bytes, *, limit: int = MESSAGE_LIMIT) -> Self:
        """Read a message, exactly.

        Args:
            content: What the link delivered.
            limit: Most bytes the whole message may have.

        Raises:
            MalformedMessage: Over the limit, another version, an unknown kind, cut short, bytes left over, or words
                that are not filled up as they should be.
        """
        reader = Reader(content, what=_WHAT, limit=limit)
        reader.constant(_VERSION, "version")
        kind = _kind(reader.unsigned(1, "kind"))
        reference = reader.take(DIGEST_SIZE, "reference")
        payload = reader.prefixed(limit, "payload")
        reader.finish()
        return cls(kind=kind, reference=reference, payload=_words(payload) if kind in IN_WORDS else payload)

    def check_reply(self, reply: Self) -> None:
        """Check that ``reply`` may answer this request.

        Raises:
            LocalProtocolError: This message is not a request.
            MalformedMessage: The reply is of a kind this request has no place for, or refers to something else.
        """
        if self.kind not in REPLIES:
            raise LocalProtocolError(f"{self.kind.name} is not a request")
        if reply.kind not in REPLIES[self.kind]:
            allowed = ", ".join(sorted(kind.name for kind in REPLIES[self.kind]))
            raise MalformedMessage(f"{self.kind.name} was answered by {reply.kind.name}; expected one of {allowed}")
        if reply.reference != self.reference:
            raise MalformedMessage(f"{self.kind.name} was answered with a reference to another plan or round")


def link_head(kind: Kind, reference: bytes, size: int) -> bytes:
    """All of an encoded message that stands before its payload.

    Args:
        kind: Of the message.
        reference: 32 bytes.
        size: Bytes of the payload.

    Raises:
        LocalProtocolError: The reference is not 32 bytes.
    """
    if len(reference) != DIGEST_SIZE:
        raise LocalProtocolError(f"a {_WHAT} refers to {DIGEST_SIZE} bytes, not {len(reference)}")
    return unsigned(_VERSION, 1) + unsigned(kind, 1) + reference + unsigned(size, 4)


def _filled(words: bytes) -> bytes:
    if words.endswith(_BLANK):
        raise LocalProtocolError(f"the words of a {_WHAT} end with a blank, which would be lost")
    return words.ljust(max(1, -(-len(words) // WORDS_BYTES)) * WORDS_BYTES, _BLANK)


def _words(payload: bytes) -> bytes:
    words = payload.rstrip(_BLANK)
    # One encoding of each message, and no node that tells by its size what it says.
    if len(payload) != len(_filled(words)):
        raise MalformedMessage(f"the words of a {_WHAT} are not filled up to a multiple of {WORDS_BYTES} bytes")
    return words


def _kind(number: int) -> Kind:
    try:
        return Kind(number)
    except ValueError:
        raise MalformedMessage(f"a {_WHAT} has kind {number}, which does not exist") from None


def fault(reference: bytes, code: str, message: str) -> LinkMessage:
    """The reply when a request cannot be served.

    Args:
        reference: That of the request, or :data:`NO_REFERENCE` where it could not be read.
        code: One word from the error's ``code``.
        message: One plain sentence; never a case value.
    """
    payload = canonical_json({"version": 1, "code": code, "message": message})
    return LinkMessage(kind=Kind.FAULT, reference=reference, payload=payload)
