"""A node's link against something that answers like a coordinator and is none."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator.grpc_server import serving
from council_node.link import LinkIdentity, NodeLink
from council_node.link_channel import LinkSettings
from protocols.wire.chunks import chunks_of
from protocols.wire.council_link_pb2 import Challenge, Chunk, CoordinatorFrame, Welcome
from protocols.wire.council_link_pb2_grpc import add_CouncilLinkServicer_to_server
from tests.integration.link_harness import COORDINATOR, async_test, ca_file, certificate, councils, until

(COUNCIL,) = councils(1)
CHALLENGE = CoordinatorFrame(challenge=Challenge(version=1, nonce=bytes(32), coordinator_id=COORDINATOR))
WELCOME = CoordinatorFrame(welcome=Welcome(message_limit=1000))

Script = Callable[[grpc.aio.ServicerContext], Awaitable[None]]


class Pretender:
    """Serves the link by a script."""

    def __init__(self, script: Script) -> None:
        self.script = script

    def attach(self, server: grpc.aio.Server) -> None:
        add_CouncilLinkServicer_to_server(self, server)

    async def close(self) -> None:
        pass

    async def Connect(self, _requests, context) -> None:
        await self.script(context)


class Victim:
    """A node connected to a pretender."""

    def __init__(self, port: int, answer: Callable[[bytes], bytes]) -> None:
        self.reasons: list[str] = []
        self.signed: list[bytes] = []
        self.stop = asyncio.Event()
        key = Ed25519PrivateKey.generate()
        settings = LinkSettings(address=f"127.0.0.1:{port}", ca_file=ca_file(), open_s=2.0, grace_s=0.1)
        identity = LinkIdentity(
            council=COUNCIL,
            coordinator_id=COORDINATOR,
            sign=lambda statement: self.signed.append(statement) or key.sign(statement),
        )
        self.link = NodeLink(settings, identity, answer, rng=os.urandom, on_event=self._note)

    def _note(self, event: str, fields: dict[str, str | int]) -> None:
        if event == "link_down":
            self.reasons.append(str(fields["reason"]))

    async def meets(self) -> str:
        """Run until the first failure; what was said about it."""
        task = asyncio.create_task(self.link.run(self.stop))
        await until(lambda: bool(self.reasons))
        self.stop.set()
        await task
        return self.reasons[0]


async def linger(context: grpc.aio.ServicerContext) -> None:
    while await context.read() is not grpc.aio.EOF:
        pass


def says(*frames: CoordinatorFrame) -> Script:
    """Sends one frame for each the node sends, then the rest."""

    async def script(context: grpc.aio.ServicerContext) -> None:
        for number, frame in enumerate(frames):
            if number < 2:
                await context.read()
            await context.write(frame)
        await linger(context)

    return script


def challenge(**changes: object) -> CoordinatorFrame:
    fields = {"version": 1, "nonce": bytes(32), "coordinator_id": COORDINATOR}
    return CoordinatorFrame(challenge=Challenge(**{**fields, **changes}))


@pytest.mark.parametrize(
    ("frames", "sentence"),
    [
        ([challenge(version=2)], "a challenge of another version or length"),
        ([challenge(nonce=bytes(31))], "a challenge of another version or length"),
        ([challenge(nonce=b"")], "a challenge of another version or length"),
        ([challenge(coordinator_id="other")], "calls itself 'other'"),
        ([WELCOME], "no challenge"),
        ([CoordinatorFrame()], "no challenge"),
        ([CHALLENGE, CHALLENGE], "no welcome"),
        ([CHALLENGE, WELCOME, WELCOME], "a frame that is no request"),
        ([CHALLENGE, WELCOME, CoordinatorFrame()], "a frame that is no request"),
        (
            [CHALLENGE, WELCOME, CoordinatorFrame(request=Chunk(request_id=1, total_bytes=1001))],
            "1001 bytes was announced; at most 1000",
        ),
        ([CHALLENGE, WELCOME, CoordinatorFrame(request=Chunk(request_id=0, last=True))], "request id 0"),
    ],
)
@async_test
async def test_whoever_breaks_the_order_is_left_with_a_plain_sentence(frames, sentence) -> None:
    asked: list[bytes] = []
    async with serving("127.0.0.1:0", certificate(), Pretender(says(*frames))) as port:
        victim = Victim(port, lambda request: asked.append(request) or b"")
        assert sentence in await victim.meets()
        assert asked == []
        assert len(victim.signed) == (len(frames) > 1)


@async_test
async def test_a_request_dripped_a_byte_at_a_time_is_refused_at_its_first_byte() -> None:
    """Otherwise the node waits, and keeps what it has, for as long as somebody likes."""
    drop = CoordinatorFrame(request=Chunk(request_id=1, total_bytes=900, content=b"a"))
    async with serving("127.0.0.1:0", certificate(), Pretender(says(CHALLENGE, WELCOME, drop))) as port:
        assert "a chunk has 1 bytes; 900 were expected" in await Victim(port, bytes).meets()


@async_test
async def test_a_link_closed_without_a_reason_is_told_so() -> None:
    async def script(context: grpc.aio.ServicerContext) -> None:
        for frame in (CHALLENGE, WELCOME):
            await context.read()
            await context.write(frame)

    async with serving("127.0.0.1:0", certificate(), Pretender(script)) as port:
        assert "closed the link" in await Victim(port, bytes).meets()


@async_test
async def test_a_flood_of_requests_stays_with_its_sender() -> None:
    """The node is at work; what it has not read must not fill its memory."""
    written = 0
    go = threading.Event()

    async def script(context: grpc.aio.ServicerContext) -> None:
        nonlocal written
        await context.read()
        await context.write(CHALLENGE)
        await context.read()
        await context.write(CoordinatorFrame(welcome=Welcome(message_limit=2**26)))
        with contextlib.suppress(grpc.aio.BaseError):
            for number in range(1, 200):
                for chunk in chunks_of(number, bytes(250_000)):
                    await context.write(CoordinatorFrame(request=chunk))
                    written += len(chunk.content)

    async with serving("127.0.0.1:0", certificate(), Pretender(script)) as port:
        victim = Victim(port, lambda request: go.wait(5) or b"")
        task = asyncio.create_task(victim.link.run(victim.stop))
        await asyncio.sleep(1.5)
        assert 250_000 <= written < 5_000_000
        victim.stop.set()
        await task
        go.set()
