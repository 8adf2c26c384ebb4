"""Streams that break at the worst moment, played by a script."""

import asyncio

import grpc
import pytest

from coordinator.asks import AskBook
from coordinator.grpc_link import GrpcLink
from coordinator.intake import Intake
from coordinator.link_connection import Connection
from coordinator.link_handshake import ProvenCouncil
from coordinator.outlet import LONG_BYTES, Outlet
from protocols.wire.council_link_pb2 import NodeFrame
from tests.integration.link_harness import async_test, councils

(COUNCIL,) = councils(1)
HELLO = NodeFrame(hello={"versions": [1], "council_id": COUNCIL})
BROKEN = grpc.aio.InternalError("the write came after the stream had broken")


class Stream:
    """Gives its frames, then waits; every write fails."""

    def __init__(self, *frames: NodeFrame) -> None:
        self.frames = list(frames)
        self.aborted = False

    async def read(self) -> NodeFrame:
        if not self.frames:
            await asyncio.sleep(60)
        return self.frames.pop(0)

    async def write(self, _frame: object) -> None:
        raise BROKEN

    async def abort(self, _status: object, _sentence: str) -> None:
        self.aborted = True


@async_test
async def test_a_stream_that_breaks_in_the_handshake_is_let_go() -> None:
    link = GrpcLink(
        coordinator_id="c",
        server_names=frozenset(),
        identities=lambda: {COUNCIL: bytes(32)},
        rng=bytes,
    )
    stream = Stream(HELLO)
    await link.Connect(None, stream)
    assert not stream.aborted
    assert link.connected() == frozenset()


def connection(stream: Stream, book: AskBook, record=None, outlet=None) -> Connection:
    proven = ProvenCouncil(council=COUNCIL, public_key=bytes(32))
    return Connection(
        proven=proven,
        stream=stream,
        book=book,
        intake=Intake(),
        outlet=outlet or Outlet(),
        limit=1000,
        record=record,
    )


@async_test
async def test_a_stream_that_breaks_under_a_request_ends_the_connection_alone() -> None:
    book = AskBook()
    running = connection(Stream(), book)
    exchange = book.exchange({COUNCIL: b"a"}, timeout_s=0.2, send=running.submit)
    waiting = asyncio.ensure_future(anext(exchange, None))
    assert await running.run() is None
    assert await waiting is None


@async_test
async def test_a_fault_of_our_own_does_not_pass_for_a_council_that_left() -> None:
    def record(*_: object) -> None:
        raise ZeroDivisionError

    running = connection(Stream(HELLO), AskBook(), record)
    with pytest.raises(ZeroDivisionError):
        await running.run()


class Taking(Stream):
    """Takes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[object] = []

    async def write(self, frame: object) -> None:
        self.written.append(frame)


@async_test
async def test_a_long_request_that_is_given_up_while_it_waits_for_its_turn_is_never_sent() -> None:
    """It may be what makes a node spend its budget."""
    book, stream, outlet = AskBook(), Taking(), Outlet(at_once=1)
    running = connection(stream, book, outlet=outlet)
    at_work = asyncio.create_task(running.run())
    exchange = book.exchange({COUNCIL: bytes(LONG_BYTES)}, timeout_s=30, send=running.submit)
    async with outlet.room(LONG_BYTES):
        waiting = asyncio.ensure_future(anext(exchange))
        await asyncio.sleep(0.05)
        assert stream.written == []
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await exchange.aclose()
    await asyncio.sleep(0.05)
    assert stream.written == []
    at_work.cancel()
    await asyncio.gather(at_work, return_exceptions=True)
