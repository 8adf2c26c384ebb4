"""Councils and a coordinator joined by a link under test: in this process, or over gRPC on loopback TLS."""

import asyncio
import contextlib
import functools
import gc
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator.council_link import InProcessLink
from coordinator.grpc_link import GrpcLink
from coordinator.grpc_server import serving
from coordinator.tls import Authority, ServerCertificate, issue_certificate, make_authority
from council_node.link import LinkIdentity, NodeLink
from council_node.link_channel import LinkSettings, explain, open_channel
from council_node.link_session import LinkSession, open_stream
from protocols.identifiers import CouncilId
from protocols.wire.council_link_pb2 import NodeFrame
from protocols.wire.council_link_pb2_grpc import CouncilLinkStub
from protocols.wire.handshake import link_statement

COORDINATOR = "coordinator.example"
NOW = datetime.now(UTC)
LIMIT_S = 300.0
"""Longest that a test may take; over Flower's own processes some take minutes."""

Answer = Callable[[bytes], bytes]


def councils(count: int) -> tuple[CouncilId, ...]:
    return tuple(CouncilId(f"E0600{number:04d}") for number in range(1, count + 1))


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run an async test; fail on anything the event loop or gRPC complains of, and on tasks left behind."""
    complaints: list[str] = []

    class Complaints(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complaints.append(record.getMessage())

    gc.collect()  # what an earlier test of this process left behind is complained of now, not in this one
    listener = Complaints(logging.WARNING)
    for name in ("asyncio", "grpc"):
        logging.getLogger(name).addHandler(listener)

    async def body() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: complaints.append(str(context)))
        before = asyncio.all_tasks()
        await test()
        for _ in range(50):
            left = asyncio.all_tasks() - before
            if not left:
                break
            await asyncio.sleep(0.01)
        assert not left, f"tasks left behind: {left}"

    try:
        asyncio.run(asyncio.wait_for(body(), LIMIT_S))
    finally:
        for name in ("asyncio", "grpc"):
            logging.getLogger(name).removeHandler(listener)
    assert not complaints, complaints


def async_test(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def wrapper(*args: object, **kwargs: object) -> None:
        run(lambda: test(*args, **kwargs))

    return wrapper


async def until(condition: Callable[[], bool], *, within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - conditions are about parties that set no event
            await asyncio.sleep(0.005)


async def collect(link: object, requests: Mapping[CouncilId, bytes], timeout_s: float = 30.0) -> dict[CouncilId, bytes]:
    replies: dict[CouncilId, bytes] = {}
    async for council, reply in link.exchange(requests, timeout_s=timeout_s):
        assert council not in replies
        replies[council] = reply
    return replies


@functools.cache
def authority() -> Authority:
    return make_authority("Test federation", now=NOW)


@functools.cache
def certificate() -> ServerCertificate:
    return issue_certificate(authority(), ["127.0.0.1", "localhost"], now=NOW)


@functools.cache
def ca_file(pem: bytes | None = None) -> Path:
    handle, name = tempfile.mkstemp(suffix=".pem")
    with os.fdopen(handle, "wb") as file:
        file.write(pem or authority().certificate_pem)
    return Path(name)


class Relay:
    """A line between node and coordinator that can be cut, or go dead without a word."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.open = True
        self.frozen = False
        self.port = 0
        self.first_lines: list[bytes] = []
        self.bytes_onward = 0
        self.accepted = 0

    async def start(self, *, proxy: bool = False) -> None:
        self._server = await asyncio.start_server(self._proxy if proxy else self._join, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        self.open = False
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _proxy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """An HTTP proxy: CONNECT, then as the plain relay."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.first_lines.append(head.split(b"\r\n", 1)[0])
        if not self.open:
            writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            await writer.drain()
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await self._join(reader, writer)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.open:
            writer.transport.abort()
            return
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        self._writers |= {writer, onward_writer}
        with contextlib.suppress(OSError):
            onward = self._copy(reader, onward_writer, counted=True)
            await asyncio.gather(onward, self._copy(onward_reader, writer))
        self._writers -= {writer, onward_writer}
        self._tasks.discard(task)
        for end in (writer, onward_writer):
            end.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool = False) -> None:
        while content := await reader.read(65536):
            self.bytes_onward += len(content) * counted
            if not self.frozen:
                writer.write(content)
                await writer.drain()
        writer.close()


class InProcessHarness:
    """The in-process link and its councils."""

    pace = 1.0

    def __init__(self, answers: Mapping[CouncilId, Answer]) -> None:
        self.link = InProcessLink(answers)

    def disconnect(self, council: CouncilId) -> None:
        self.link.disconnect(council)

    def reconnect(self, council: CouncilId) -> None:
        self.link.reconnect(council)


@dataclass
class Node:
    """A council node's link running in this process."""

    link: NodeLink
    relay: Relay
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    events: list[tuple[str, dict[str, str | int]]] = field(default_factory=list)

    def reasons(self) -> list[str]:
        return [str(fields["reason"]) for event, fields in self.events if event == "link_down"]


class GrpcHarness:
    """The gRPC link on loopback TLS; each council has its own relay."""

    pace = 1.0

    def __init__(self, names: tuple[CouncilId, ...], **options: object) -> None:
        self.keys = {council: Ed25519PrivateKey.generate() for council in names}
        self.identities = {council: key.public_key().public_bytes_raw() for council, key in self.keys.items()}
        self.nodes: dict[CouncilId, Node] = {}
        self.events: list[tuple[str, dict[str, str | int]]] = []
        self.port = 0
        self.link = GrpcLink(
            coordinator_id=COORDINATOR,
            server_names=certificate().names,
            identities=lambda: self.identities,
            rng=os.urandom,
            on_event=lambda event, fields: self.events.append((event, dict(fields))),
            **options,
        )

    @asynccontextmanager
    async def running(self, **server: float) -> AsyncIterator["GrpcHarness"]:
        async with serving("127.0.0.1:0", certificate(), self.link, **server) as port:
            self.port = port
            try:
                yield self
            finally:
                for node in self.nodes.values():
                    await stop_node(node)

    async def add(
        self, council: CouncilId, answer: Answer, *, key: Ed25519PrivateKey | None = None, **settings: object
    ) -> Node:
        relay = Relay(self.port)
        await relay.start()
        return self._launch(council, answer, relay, key or self.keys[council], settings)

    def _launch(
        self, council: CouncilId, answer: Answer, relay: Relay, key: Ed25519PrivateKey, settings: dict[str, object]
    ) -> Node:
        identity = LinkIdentity(council=council, coordinator_id=COORDINATOR, sign=key.sign)
        defaults = {"address": f"127.0.0.1:{relay.port}", "ca_file": ca_file(), "first_wait_s": 0.05, "grace_s": 1.0}
        events: list[tuple[str, dict[str, str | int]]] = []
        link = NodeLink(
            LinkSettings(**{**defaults, "longest_wait_s": 0.2, **settings}),
            identity,
            answer,
            rng=os.urandom,
            on_event=lambda event, fields: events.append((event, dict(fields))),
        )
        node = Node(link=link, relay=relay, events=events)
        node.task = asyncio.create_task(link.run(node.stop))
        self.nodes[council] = node
        return node

    def disconnect(self, council: CouncilId) -> None:
        self.nodes[council].relay.cut()

    def reconnect(self, council: CouncilId) -> None:
        self.nodes[council].relay.open = True

    def reasons(self, event: str) -> list[str]:
        return [str(fields["reason"]) for name, fields in self.events if name == event]


async def stop_node(node: Node) -> None:
    node.stop.set()
    assert node.task is not None
    await node.task
    await node.relay.stop()


@asynccontextmanager
async def in_process(answers: Mapping[CouncilId, Answer]) -> AsyncIterator[InProcessHarness]:
    harness = InProcessHarness(answers)
    try:
        yield harness
    finally:
        await harness.link.close()


@asynccontextmanager
async def over_grpc(answers: Mapping[CouncilId, Answer], **options: object) -> AsyncIterator[GrpcHarness]:
    harness = GrpcHarness(tuple(answers), **options)
    async with harness.running():
        for council, answer in answers.items():
            await harness.add(council, answer)
        await until(lambda: harness.link.connected() == frozenset(answers))
        yield harness


@asynccontextmanager
async def raw_stream(port: int) -> AsyncIterator[grpc.aio.StreamStreamCall[object, object]]:
    """A node's stream without a node: for peers that do not behave."""
    credentials = grpc.ssl_channel_credentials(authority().certificate_pem)
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
        yield CouncilLinkStub(channel).Connect()


async def try_link(settings: LinkSettings, identity: LinkIdentity) -> None:
    """Connect as a node does, once: prove the key and leave, or raise what the node would log."""
    async with open_channel(settings) as channel:
        try:
            session = LinkSession(open_stream(channel), settings, identity)
            await session.open()
            await session.finish()
        except grpc.aio.AioRpcError as problem:
            raise explain(problem, settings) from problem


async def prove(
    stream: grpc.aio.StreamStreamCall[object, object],
    council: CouncilId,
    key: Ed25519PrivateKey,
    *,
    server_name: str = "127.0.0.1",
    signature: bytes | None = None,
) -> bytes:
    """Run a node's handshake by hand; returns the signature sent."""
    await stream.write(NodeFrame(hello={"versions": [1], "council_id": council}))
    challenge = (await stream.read()).challenge
    statement = link_statement(
        nonce=challenge.nonce,
        coordinator_id=challenge.coordinator_id,
        council=council,
        server_name=server_name,
        version=1,
        offered=(1,),
    )
    signature = signature or key.sign(statement)
    await stream.write(NodeFrame(proof={"server_name": server_name, "signature": signature}))
    assert (await stream.read()).WhichOneof("body") == "welcome"
    return signature
