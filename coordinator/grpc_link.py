"""The link over gRPC: nodes connect outward to this server, and requests travel back along their streams."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Final

import grpc

from coordinator.asks import Ask, AskBook, Chosen
from coordinator.intake import HELD_BYTES, PATIENCE_S, Intake
from coordinator.link_connection import Connection, Record
from coordinator.link_handshake import Doorman, LinkRefused, LinkStream, ProvenCouncil
from coordinator.outlet import Outlet
from protocols.identifiers import CouncilId, RandomSource
from protocols.wire.council_link_pb2 import NodeFrame
from protocols.wire.council_link_pb2_grpc import add_CouncilLinkServicer_to_server
from protocols.wire.link_message import MESSAGE_LIMIT

__all__ = ["GrpcLink", "OnEvent"]

OnEvent = Callable[[str, Mapping[str, str | int]], None]
"""Told what happened, by an event's name and a few fields; never a payload."""

_HANDSHAKE_S: Final = 15.0


def _silence(_event: str, _fields: Mapping[str, str | int]) -> None:
    """Tell nobody."""


class GrpcLink:
    """The coordinator's end of every council's stream; see :class:`coordinator.council_link.CouncilLink`.

    Serve it with :func:`coordinator.grpc_server.serving`.

    Args:
        coordinator_id: As the roster has it; part of what nodes sign.
        server_names: Names and addresses of the coordinator's certificate; a node must have verified one of them.
        identities: Who may connect, by the current roster and the agreements in force: raw Ed25519 keys by id. Called
            at each connection and each exchange, so that a new roster needs no restart; whoever's key is no longer
            there is disconnected then.
        rng: For nonces.
        message_limit: Most bytes of one request or reply.
        held_bytes: Long replies in memory at once, in bytes.
        patience_s: Seconds a long reply may take while others wait for room.
        handshake_s: Seconds a new connection has to prove itself.
        record: Shown everything that passes; for tests that look for what must not be there.
        on_event: Told of connections and refusals.
    """

    reaches_holders: Final = True

    def __init__(
        self,
        *,
        coordinator_id: str,
        server_names: frozenset[str],
        identities: Callable[[], Mapping[CouncilId, bytes]],
        rng: RandomSource,
        message_limit: int = MESSAGE_LIMIT,
        held_bytes: int = HELD_BYTES,
        patience_s: float = PATIENCE_S,
        handshake_s: float = _HANDSHAKE_S,
        record: Record | None = None,
        on_event: OnEvent = _silence,
    ) -> None:
        self._doorman = Doorman(
            coordinator_id=coordinator_id,
            server_names=frozenset(name.lower() for name in server_names),
            identities=identities,
            message_limit=message_limit,
            rng=rng,
            seen=self._seen,
        )
        self._identities = identities
        self._message_limit = message_limit
        self._handshake_s = handshake_s
        self._record = record
        self._on_event = on_event
        self._book = AskBook()
        self._intake = Intake(held_bytes, patience_s)
        self._outlet = Outlet()
        self._connections: dict[CouncilId, Connection] = {}
        self._closing = False

    def attach(self, server: grpc.aio.Server) -> None:
        """Add the service to a server that has not started."""
        add_CouncilLinkServicer_to_server(self, server)  # type: ignore[no-untyped-call]  # generated without types

    def connected(self) -> frozenset[CouncilId]:
        """The councils of the current roster with a proven, open stream."""
        identities = self._identities()
        return frozenset(
            council
            for council, connection in self._connections.items()
            if identities.get(council) == connection.proven.public_key
        )

    async def exchange(
        self, requests: Mapping[CouncilId, bytes], *, timeout_s: float, in_turn: bool = False
    ) -> AsyncGenerator[tuple[CouncilId, bytes], None]:
        """See :meth:`coordinator.council_link.CouncilLink.exchange`."""
        identities = self._identities()
        self._part_with_strangers(identities)
        known = Chosen(requests, identities)
        for council in requests.keys() - known.keys():
            self._on_event("council_not_in_roster", {"council": council})
        exchange = self._book.exchange(known, timeout_s=timeout_s, send=self._send, in_turn=in_turn)
        async with aclosing(exchange) as replies:
            async for reply in replies:
                yield reply

    async def close(self) -> None:
        """End every stream; the nodes will try again until the coordinator is back."""
        self._closing = True
        for connection in tuple(self._connections.values()):
            connection.end(_stopping())

    async def Connect(self, _requests: object, stream: LinkStream) -> None:  # noqa: N802 - the service's own name
        """Serve one node's stream; called by gRPC."""
        try:
            proven = await asyncio.wait_for(self._doorman.admit(stream), self._handshake_s)
            reason = await self._carry(proven, stream)
        except LinkRefused as refusal:
            self._on_event("link_refused", {"reason": str(refusal)})
            reason = refusal
        except grpc.aio.InternalError:  # the node left in the middle of the handshake
            return
        except TimeoutError:
            reason = LinkRefused(grpc.StatusCode.DEADLINE_EXCEEDED, "the node took too long to prove itself")
            self._on_event("link_refused", {"reason": str(reason)})
        if reason is not None:
            await stream.abort(reason.status, str(reason))

    async def _carry(self, proven: ProvenCouncil, stream: LinkStream) -> LinkRefused | None:
        council = proven.council
        connection = Connection(
            proven=proven,
            stream=stream,
            book=self._book,
            intake=self._intake,
            outlet=self._outlet,
            limit=self._message_limit,
            record=self._record,
        )
        self._install(council, connection)
        reason: LinkRefused | None = None
        try:
            reason = await connection.run()
        finally:
            if self._connections.get(council) is connection:
                del self._connections[council]
            self._on_event(
                "disconnected", {"council": council, "reason": str(reason or "the node left, or the line broke")}
            )
        return reason

    def _install(self, council: CouncilId, connection: Connection) -> None:
        # The newer connection wins: after a cut line the older one may look alive for a while yet. Whoever has the
        # council's key can take its place, and nobody else can.
        older = self._connections.get(council)
        if older is not None:
            older.end(LinkRefused(grpc.StatusCode.ABORTED, "a newer connection of this council took this one's place"))
        self._connections[council] = connection
        if self._closing:
            connection.end(_stopping())
        for ask in self._book.waiting(council):
            connection.submit(ask)
        self._on_event("connected", {"council": council, "software": connection.proven.software})

    def _send(self, ask: Ask) -> None:
        connection = self._connections.get(ask.council)
        if connection is not None:
            connection.submit(ask)

    def _part_with_strangers(self, identities: Mapping[CouncilId, bytes]) -> None:
        for council, connection in tuple(self._connections.items()):
            if identities.get(council) != connection.proven.public_key:
                sentence = f"{council} or its key is no longer in the coordinator's current roster"
                connection.end(LinkRefused(grpc.StatusCode.PERMISSION_DENIED, sentence))
                del self._connections[council]

    def _seen(self, council: CouncilId, frame: NodeFrame) -> None:
        if self._record is not None:
            self._record("frame", council, frame.SerializeToString())


def _stopping() -> LinkRefused:
    return LinkRefused(grpc.StatusCode.UNAVAILABLE, "the coordinator is stopping")
