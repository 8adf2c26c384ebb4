"""One connection to the coordinator: prove who we are, then answer requests in order until it ends."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import grpc

from council_node.link_channel import LinkSettings
from federated.errors import TransportError
from protocols.errors import MalformedMessage
from protocols.identifiers import CouncilId
from protocols.wire.chunks import Assembler, Message, chunks_of
from protocols.wire.council_link_pb2 import Challenge, CoordinatorFrame, Hello, NodeFrame, Proof, Welcome
from protocols.wire.council_link_pb2_grpc import CouncilLinkStub
from protocols.wire.handshake import LINK_VERSION, NONCE_SIZE, link_statement
from protocols.wire.link_message import NO_REFERENCE, LinkMessage, fault

__all__ = ["LinkIdentity", "LinkSession", "NodeStream", "fitting", "open_stream", "own_fault"]

NodeStream = grpc.aio.StreamStreamCall[NodeFrame, CoordinatorFrame]

_QUEUED_MAX: Final = 2
"""Complete requests kept waiting; beyond that the stream is not read, so a coordinator cannot fill our memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkIdentity:
    """Who this node is on the link.

    Attributes:
        council: This council.
        coordinator_id: From this node's own roster; a peer that calls itself otherwise gets no signature.
        sign: Ed25519 by the council's identity key.
        software: Version of this software, for the coordinator's operators; empty to say none.
    """

    council: CouncilId
    coordinator_id: str
    sign: Callable[[bytes], bytes] = field(repr=False)
    software: str = ""


def open_stream(channel: grpc.aio.Channel) -> NodeStream:
    """Begin the stream; the channel connects in the background."""
    stub = CouncilLinkStub(channel)  # type: ignore[no-untyped-call]  # generated without types
    stream: NodeStream = stub.Connect()
    return stream


def reference_of(request: bytes) -> bytes:
    """What a request refers to, so that a fault can say it; zeros where it cannot be read."""
    try:
        return LinkMessage.decode(request).reference
    except MalformedMessage:
        return NO_REFERENCE


def own_fault(request: bytes) -> bytes:
    """The reply to a request at which this node failed: the coordinator gets an answer, not silence, and no detail."""
    sentence = "this node met a fault of its own; its operator finds it in the log"
    return fault(reference_of(request), "internal", sentence).encode()


def fitting(request: bytes, reply: bytes, limit: int) -> bytes:
    """The reply, or a fault in its place where it has more than `limit` bytes."""
    if len(reply) <= limit:
        return reply
    sentence = f"the answer has {len(reply)} bytes; the coordinator takes at most {limit}"
    return fault(reference_of(request), "transport", sentence).encode()


class LinkSession:
    """Speaks one stream.

    Args:
        stream: From :func:`open_stream`.
        settings: Name to verify and limits.
        identity: Who we are.
    """

    def __init__(self, stream: NodeStream, settings: LinkSettings, identity: LinkIdentity) -> None:
        self._stream = stream
        self._settings = settings
        self._identity = identity
        self._limit = settings.message_limit
        self._requests: asyncio.Queue[Message] = asyncio.Queue(_QUEUED_MAX)
        self._idle = asyncio.Event()
        self._idle.set()

    async def open(self) -> None:
        """Prove that we hold the council's key.

        Raises:
            TransportError: The coordinator took too long, is another one, or broke the order.
            AioRpcError: The connection failed or the coordinator refused; see ``explain``.
        """
        try:
            async with asyncio.timeout(self._settings.open_s):
                await self._prove()
        except TimeoutError as problem:
            raise TransportError(
                f"The coordinator at {self._settings.address} did not answer within {self._settings.open_s:g} s.",
                remedy="Check host, port and proxy.",
            ) from problem

    async def serve(self, answer: Callable[[bytes], Awaitable[bytes]]) -> None:
        """Answer requests, one at a time and in order, until the stream ends.

        Raises:
            TransportError: The coordinator sent what no coordinator sends, or closed the link.
            AioRpcError: The connection broke, or the coordinator ended it with a reason.
        """
        reader = asyncio.create_task(self._read(), name="link reader")
        worker = asyncio.create_task(self._work(answer), name="link worker")
        try:
            await asyncio.wait({reader, worker}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reader.cancel()
            worker.cancel()
            await asyncio.wait({reader, worker})
        failures = [task.exception() for task in (reader, worker) if not task.cancelled()]
        for failure in failures:
            if failure is not None:
                raise failure
        raise TransportError(f"The coordinator at {self._settings.address} closed the link.")

    async def finish(self) -> None:
        """Wait until the answer under way has been sent, then say that no more will come."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.grace_s):
                await self._idle.wait()
                await self._stream.done_writing()
                # The end must come from the other side: cancelling now could overtake the reply on its way out.
                await self._stream.code()

    async def _prove(self) -> None:
        offered = (LINK_VERSION,)
        hello = Hello(versions=offered, council_id=self._identity.council)
        await self._write(NodeFrame(hello=hello))
        challenge = self._check(_challenge(await self._stream.read()))
        statement = link_statement(
            nonce=challenge.nonce,
            coordinator_id=self._identity.coordinator_id,
            council=self._identity.council,
            server_name=self._settings.verified_name,
            version=challenge.version,
            offered=offered,
        )
        signature = self._identity.sign(statement)
        proof = Proof(server_name=self._settings.verified_name, signature=signature, software=self._identity.software)
        await self._write(NodeFrame(proof=proof))
        welcome = _welcome(await self._stream.read())
        self._limit = min(self._limit, welcome.message_limit)

    def _check(self, challenge: Challenge) -> Challenge:
        if challenge.coordinator_id != self._identity.coordinator_id:
            raise TransportError(
                f"The coordinator at {self._settings.address} calls itself {challenge.coordinator_id[:64]!r}; "
                f"this node's roster says {self._identity.coordinator_id!r}.",
                remedy="Check the address; if it is right, ask for the roster to be compared by telephone.",
            )
        if challenge.version != LINK_VERSION or len(challenge.nonce) != NONCE_SIZE:
            raise _not_a_coordinator("a challenge of another version or length")
        return challenge

    async def _read(self) -> None:
        assembler = Assembler(self._limit)
        while isinstance(frame := await self._stream.read(), CoordinatorFrame):
            if frame.WhichOneof("body") != "request":
                raise _not_a_coordinator("a frame that is no request")
            try:
                message = assembler.add(frame.request)
            except MalformedMessage as problem:
                raise _not_a_coordinator(str(problem)) from problem
            if message is not None:
                self._idle.clear()
                await self._requests.put(message)

    async def _work(self, answer: Callable[[bytes], Awaitable[bytes]]) -> None:
        while True:
            message = await self._requests.get()
            request = message.content or b""
            reply = fitting(request, await answer(request), self._limit)
            for chunk in chunks_of(message.request_id, reply):
                await self._write(NodeFrame(reply=chunk))
            if self._requests.empty():
                self._idle.set()

    async def _write(self, frame: NodeFrame) -> None:
        try:
            await self._stream.write(frame)
        except asyncio.InvalidStateError:
            await self._stream.read()  # raises the status the stream ended with
            raise TransportError(f"The coordinator at {self._settings.address} closed the link.") from None


def _challenge(frame: object) -> Challenge:
    if not isinstance(frame, CoordinatorFrame) or frame.WhichOneof("body") != "challenge":
        raise _not_a_coordinator("no challenge")
    return frame.challenge


def _welcome(frame: object) -> Welcome:
    if not isinstance(frame, CoordinatorFrame) or frame.WhichOneof("body") != "welcome":
        raise _not_a_coordinator("no welcome")
    return frame.welcome


def _not_a_coordinator(found: str) -> TransportError:
    return TransportError(
        f"The other end of the link broke its rules: {found}.",
        remedy="Check that the address is the coordinator's and that both run the same version.",
    )
