"""One council's open stream: requests out, replies in, each direction at its own pace."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Literal

import grpc

from coordinator.asks import Ask, AskBook, nothing
from coordinator.intake import Hold, Intake
from coordinator.link_handshake import LinkRefused, LinkStream, ProvenCouncil, read_frame
from coordinator.outlet import Outlet
from protocols.errors import MalformedMessage
from protocols.identifiers import CouncilId
from protocols.wire.chunks import CHUNK_BYTES, Assembler, abandonment, chunks_of_pieces
from protocols.wire.council_link_pb2 import Chunk, CoordinatorFrame, NodeFrame

__all__ = ["Connection", "Direction", "Record"]

Direction = Literal["sent", "received", "frame"]

Record = Callable[[Direction, CouncilId, bytes], None]
"""Shown every request sent, every reply received in time, and every frame received, as its bytes."""


class Connection:
    """Moves asks and replies over the stream of one proven council.

    A slow council delays nobody: its stream has its own reader and writer, and flow control holds each back.

    Args:
        proven: Who is at the other end.
        stream: The open stream, after the handshake.
        book: Where replies go.
        intake: Room for long replies.
        outlet: Room for long requests on their way out.
        limit: Most bytes of one message.
        record: See :data:`Record`.
    """

    def __init__(
        self,
        *,
        proven: ProvenCouncil,
        stream: LinkStream,
        book: AskBook,
        intake: Intake,
        outlet: Outlet,
        limit: int,
        record: Record | None,
    ) -> None:
        self.proven = proven
        self._stream = stream
        self._book = book
        self._intake = intake
        self._outlet = outlet
        self._record = record
        self._assembler = Assembler(limit)
        self._hold: Hold | None = None
        self._outbox: asyncio.Queue[Ask] = asyncio.Queue()
        self._ended: asyncio.Future[LinkRefused] = asyncio.get_running_loop().create_future()

    def submit(self, ask: Ask) -> None:
        """Queue an ask for sending."""
        self._outbox.put_nowait(ask)

    def end(self, reason: LinkRefused) -> None:
        """End the stream with this reason; the first reason given stands."""
        if not self._ended.done():
            self._ended.set_result(reason)

    async def run(self) -> LinkRefused | None:
        """Carry messages until either side ends the stream.

        Returns:
            Why this side ended it, or None when the council did.
        """
        reader = asyncio.create_task(self._read(), name=f"link reader {self.proven.council}")
        writer = asyncio.create_task(self._write(), name=f"link writer {self.proven.council}")
        ends: set[asyncio.Future[Any]] = {reader, writer, self._ended}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reader.cancel()
            writer.cancel()
            await asyncio.wait({reader, writer})
            self._release()
        for task in (reader, writer):
            if not task.cancelled():
                task.result()  # a fault of our own is not to pass as a council that left
        return self._ended.result() if self._ended.done() else None

    async def _write(self) -> None:
        with contextlib.suppress(grpc.aio.InternalError):  # the stream broke
            while True:
                await self._send(await self._outbox.get())

    async def _send(self, ask: Ask) -> None:
        pieces = ask.pieces
        size = sum(len(piece) for piece in pieces)
        async with self._outlet.room(size):
            if not ask.open:
                return
            if self._record is not None:
                self._record("sent", ask.council, b"".join(pieces))
            for chunk in chunks_of_pieces(ask.request_id, pieces):
                await self._stream.write(CoordinatorFrame(request=chunk))
                if not chunk.last and self._book.find(ask.council, ask.request_id) is None:
                    await self._stream.write(CoordinatorFrame(request=abandonment(ask.request_id, size)))
                    return

    async def _read(self) -> None:
        try:
            while (frame := await read_frame(self._stream)) is not None:
                if self._record is not None:
                    self._record("frame", self.proven.council, frame.SerializeToString())
                await self._take(_reply_chunk(frame))
        except MalformedMessage as problem:
            self.end(LinkRefused(grpc.StatusCode.INVALID_ARGUMENT, str(problem)))

    async def _take(self, chunk: Chunk) -> None:
        if chunk.request_id > self._book.last_id:
            raise MalformedMessage("a reply came to a request that was never made")
        message = self._assembler.add(chunk)
        ask = self._book.find(self.proven.council, chunk.request_id)
        if ask is None or chunk.abandoned:
            self._drop()  # late: the exchange is over, or the reply had come before the connection broke
        elif message is None:
            await self._make_room(chunk.total_bytes)
        elif message.content is not None:
            self._deliver(ask, message.content)

    async def _make_room(self, total_bytes: int) -> None:
        if self._hold is None and total_bytes > CHUNK_BYTES:
            self._hold = await self._intake.reserve(total_bytes, self._stalled)

    def _deliver(self, ask: Ask, content: bytes) -> None:
        if self._record is not None:
            self._record("received", ask.council, content)
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.complete()
        self._book.settle(ask, content, nothing if hold is None else hold.release)

    def _drop(self) -> None:
        if self._assembler.request_id:
            self._assembler.discard()
        self._release()

    def _release(self) -> None:
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.release()

    def _stalled(self) -> None:
        sentence = "the reply came too slowly while other councils waited; connect again and it will be asked for again"
        self.end(LinkRefused(grpc.StatusCode.RESOURCE_EXHAUSTED, sentence))


def _reply_chunk(frame: NodeFrame) -> Chunk:
    if frame.WhichOneof("body") != "reply":
        raise MalformedMessage("after the handshake a node sends replies; something else came")
    return frame.reply
