"""Messages cut into chunks, and chunks put together again under a limit. Pure: no stream, no clock."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from protocols.errors import LocalProtocolError, MalformedMessage
from protocols.wire.council_link_pb2 import Chunk
from protocols.wire.link_message import MESSAGE_LIMIT

__all__ = ["CHUNK_BYTES", "REQUEST_ID_MAX", "Assembler", "Message", "abandonment", "chunks_of", "chunks_of_pieces"]

CHUNK_BYTES: Final = 256 * 1024
"""Content of a full chunk. A message longer than this is announced by a chunk of no content first."""

REQUEST_ID_MAX: Final = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A complete message.

    Attributes:
        request_id: The number the coordinator gave the request.
        content: The request or reply; None where it was discarded on the way.
    """

    request_id: int
    content: bytes | None = field(repr=False)


def chunks_of(request_id: int, content: bytes) -> Iterator[Chunk]:
    """Cut a message; see :func:`chunks_of_pieces`."""
    return chunks_of_pieces(request_id, (content,))


def chunks_of_pieces(request_id: int, pieces: Sequence[bytes]) -> Iterator[Chunk]:
    """Cut a message that is made of pieces, without ever holding the whole of it; an empty one is one empty chunk.

    A long message begins with an announcement, so that 300 councils that wait for the coordinator to have room have
    sent nothing yet but their announcements.

    Raises:
        LocalProtocolError: ``request_id`` is outside ``[1, 2^64)``.
    """
    if not 1 <= request_id <= REQUEST_ID_MAX:
        raise LocalProtocolError(f"a request id lies in 1 to {REQUEST_ID_MAX}, not {request_id}")
    total = sum(len(piece) for piece in pieces)
    if total <= CHUNK_BYTES:
        yield Chunk(request_id=request_id, total_bytes=total, content=b"".join(pieces), last=True)
        return
    yield Chunk(request_id=request_id, total_bytes=total)
    done = 0
    for content in _full_chunks(pieces):
        done += len(content)
        yield Chunk(request_id=request_id, total_bytes=total, content=content, last=done == total)


def _full_chunks(pieces: Sequence[bytes]) -> Iterator[bytes]:
    """The same bytes, `CHUNK_BYTES` at a time and then the rest."""
    gathered = bytearray()
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            taken = min(CHUNK_BYTES - len(gathered), len(rest))
            gathered += rest[:taken]
            rest = rest[taken:]
            if len(gathered) == CHUNK_BYTES:
                full = bytes(gathered)
                gathered.clear()  # before the pause: whoever is cut off waits with one copy, not with two
                yield full
    if gathered:
        yield bytes(gathered)


def abandonment(request_id: int, total_bytes: int) -> Chunk:
    """The chunk that says the rest of a message will not come."""
    return Chunk(request_id=request_id, total_bytes=total_bytes, abandoned=True)


class Assembler:
    """Puts one direction's chunks together; messages come one after another.

    A peer decides every byte of a chunk, so each is held to the one way of cutting: long messages announced, full
    chunks up to the last, the announced length exactly, no message begun inside another. Many tiny chunks, endless
    ones, or an announced length beyond the limit are refused at the first chunk that shows it.

    Args:
        limit: Most bytes of a whole message.
    """

    __slots__ = ("_expected", "_keep", "_limit", "_parts", "_received", "_request_id", "_total")

    def __init__(self, limit: int = MESSAGE_LIMIT) -> None:
        self._limit = limit
        self._request_id = 0  # 0: between messages
        self._total = 0
        self._received = 0
        self._expected = 0  # bytes of content the next chunk must have
        self._keep = True
        self._parts: list[bytes] = []

    @property
    def request_id(self) -> int:
        """The message under way, or 0 between messages."""
        return self._request_id

    def discard(self) -> None:
        """Keep nothing of the message under way; its remaining chunks are still checked."""
        self._keep = False
        self._parts.clear()

    def add(self, chunk: Chunk) -> Message | None:
        """Take the next chunk.

        Returns:
            The message, when this chunk completes it.

        Raises:
            MalformedMessage: The chunk does not continue the message under way, or cannot begin one.
        """
        if self._request_id == 0:
            self._begin(chunk)
        elif (chunk.request_id, chunk.total_bytes) != (self._request_id, self._total):
            raise MalformedMessage("a chunk of another message came before the message under way was complete")
        if chunk.abandoned:
            self._abandon(chunk)
            return None
        self._take(chunk)
        return self._finish() if chunk.last else None

    def _begin(self, chunk: Chunk) -> None:
        if chunk.request_id == 0:
            raise MalformedMessage("a chunk has request id 0; ids start at 1")
        if chunk.total_bytes > self._limit:
            raise MalformedMessage(
                f"a message of {chunk.total_bytes} bytes was announced; at most {self._limit} are allowed"
            )
        self._request_id = chunk.request_id
        self._total = chunk.total_bytes
        self._expected = 0 if self._total > CHUNK_BYTES else self._total

    def _take(self, chunk: Chunk) -> None:
        if len(chunk.content) != self._expected:
            raise MalformedMessage(f"a chunk has {len(chunk.content)} bytes; {self._expected} were expected")
        self._received += self._expected
        self._expected = min(CHUNK_BYTES, self._total - self._received)
        if chunk.last != (self._received == self._total):
            raise MalformedMessage("the last chunk of a message is not where its announced length ends")
        if self._keep:
            self._parts.append(chunk.content)

    def _abandon(self, chunk: Chunk) -> None:
        if chunk.content or chunk.last:
            raise MalformedMessage("a chunk that abandons its message carries content or the end mark")
        self._reset()

    def _finish(self) -> Message:
        content = b"".join(self._parts) if self._keep else None
        message = Message(request_id=self._request_id, content=content)
        self._reset()
        return message

    def _reset(self) -> None:
        self._request_id = self._total = self._received = 0
        self._keep = True
        self._parts = []
