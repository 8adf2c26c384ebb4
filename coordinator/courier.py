"""Asking councils something, whatever it is: encode, exchange, decode, and hold the reply against the request."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import Final, TypeAlias, cast

from coordinator.council_link import CouncilLink
from coordinator.replies import Objection, read_fault
from protocols.errors import MalformedMessage
from protocols.identifiers import CouncilId
from protocols.wire.link_message import Kind, LinkMessage, link_head
from protocols.wire.pieces import InPieces, pieces_of

__all__ = ["Answer", "Courier"]

Answer: TypeAlias = LinkMessage | Objection
"""A reply of a kind that may answer the request, or why there is none: a fault, or bytes that are no reply."""

LONG_WORK: Final = frozenset({Kind.SHARES})
"""To answer these, a council reads its extract and counts. Sent all at once, the counts of twenty questions would hold
up every short message of the others, whose rounds would miss their deadlines after their charges were spent."""


class _Requests(InPieces[CouncilId]):
    """One request for each council, encoded when it is looked up, as its payload may be made only then too."""

    def __init__(self, kind: Kind, reference: bytes, payloads: Mapping[CouncilId, bytes]) -> None:
        self._kind = kind
        self._reference = reference
        self._payloads = payloads
        self.bytes_looked_up = 0

    def pieces(self, key: CouncilId) -> tuple[bytes, ...]:
        payload = pieces_of(self._payloads, key)
        size = sum(len(piece) for piece in payload)
        self.bytes_looked_up += size
        return (link_head(self._kind, self._reference, size), *payload)

    def __iter__(self) -> Iterator[CouncilId]:
        return iter(self._payloads)

    def __len__(self) -> int:
        return len(self._payloads)


class Courier:
    """Carries one kind of request at a time over a link.

    Args:
        link: To the councils.

    Attributes:
        bytes_sent: Of all requests so far, without what the link adds.
        bytes_received: Of all replies.
    """

    def __init__(self, link: CouncilLink) -> None:
        self._link = link
        self.bytes_sent = 0
        self.bytes_received = 0

    @property
    def reaches_holders(self) -> bool:
        """Whether a mask holder can be asked over this link at all."""
        return self._link.reaches_holders

    def connected(self) -> frozenset[CouncilId]:
        """The councils and mask holders that could be asked at this moment."""
        return self._link.connected()

    async def ask(
        self, kind: Kind, reference: bytes, payloads: Mapping[CouncilId, bytes], *, timeout_s: float
    ) -> AsyncGenerator[tuple[CouncilId, Answer], None]:
        """Ask councils and give their answers as they come; close the iterator when leaving early.

        Args:
            kind: Of the request.
            reference: Of the request: a plan digest, a round id, or zeros.
            payloads: What each council is sent.
            timeout_s: Seconds; see `CouncilLink.exchange`.
        """
        requests = _Requests(kind, reference, payloads)
        request = LinkMessage(kind=kind, reference=reference, payload=b"")
        replies: AsyncIterator[tuple[CouncilId, bytes]] = self._link.exchange(
            requests, timeout_s=timeout_s, in_turn=kind in LONG_WORK
        )
        # Every link's `exchange` is an async generator, as its interface asks: it can be closed before its end.
        generator = cast("AsyncGenerator[tuple[CouncilId, bytes], None]", replies)
        try:
            async with aclosing(generator) as incoming:
                async for council, reply in incoming:
                    self.bytes_received += len(reply)
                    yield council, _read(request, reply)
        finally:
            self.bytes_sent += requests.bytes_looked_up


def _read(request: LinkMessage, reply: bytes) -> Answer:
    try:
        message = LinkMessage.decode(reply)
        request.check_reply(message)
    except MalformedMessage as problem:
        return Objection(rule="protocol", reason=f"Its reply could not be used: {problem}.")
    return read_fault(message.payload) if message.kind is Kind.FAULT else message
