"""The link over Flower: requests and replies travel as messages of a Flower run, through the public `Grid` alone.

Flower's word is taken for nothing but addresses. A node counts as a council's once it has signed a challenge with the
council's key in the roster, and every reply is signed too (:mod:`protocols.wire.relayed`). Flower keeps messages and
hands them on when its nodes ask, every three seconds when they are idle; so each exchange takes seconds.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from typing import Final, TypeVar

import grpc
from flwr.app import Message
from flwr.serverapp import Grid

from coordinator.asks import Ask, AskBook, Chosen
from coordinator.flower_nodes import Flight, FlowerNodeState
from coordinator.grpc_link import OnEvent
from coordinator.link_connection import Record
from coordinator.link_handshake import ProvenCouncil
from federated.flower_record import MESSAGE_TYPE, place_in_flower, unwrapped, wrapped
from protocols.errors import MalformedMessage, RemoteProtocolError
from protocols.identifiers import CouncilId, RandomSource
from protocols.wire.handshake import NONCE_SIZE, check_link_proof, check_software
from protocols.wire.link_message import MESSAGE_LIMIT
from protocols.wire.relayed import NO_TICKET, TICKET_SIZE, RelayedKind, RelayedReply, RelayedRequest, relayed_statement

__all__ = ["FlowerLink"]

CHALLENGE_S: Final = 600.0
"""How long Flower keeps a challenge for a node."""
LEEWAY_S: Final = 120.0
"""How much longer than its deadline Flower keeps a request, so that a council's clock may be off by that much."""
NODES_AT_ONCE: Final = 8
"""Nodes whose replies are fetched at once, and so are in memory together; slow ones come on top."""
PATIENCE_S: Final = 2.0
"""Seconds after which a node whose reply is still coming no longer counts among them."""
READERS: Final = 1024
"""Most threads that fetch: one for each node, as each may be slow, or feign it."""
DOUBLINGS_MAX: Final = 6
DISPLACED: Final = float("inf")
"""When to challenge a node whose council has a newer one: not before that one has gone."""

_T = TypeVar("_T")


def _silence(_event: str, _fields: Mapping[str, str | int]) -> None:
    """Tell nobody."""


class FlowerLink:
    """Every council of a Flower run; see :class:`coordinator.council_link.CouncilLink`.

    Args:
        grid: Flower's, of this run; replies are fetched from several threads, all else from one.
        coordinator_id: As the roster has it; part of what nodes sign.
        identities: The current roster: raw Ed25519 keys by council. Asked anew at each proof and each reply.
        rng: For nonces.
        message_limit: Most bytes of one request or reply.
        look_s: Seconds between looks at which nodes are there.
        fetch_s: Seconds between fetches of replies.
        probe_s: Seconds without an answer after which a node is challenged again, which shows whether what it was
            asked is lost.
        again_s: Seconds before a node that failed is asked again.
        record: Shown everything that passes; for tests that look for what must not be there.
        on_event: Told of connections and refusals.
    """

    reaches_holders: Final = False
    """The mask holder speaks the link over gRPC alone: it is no node of anybody's Flower federation."""

    def __init__(
        self,
        grid: Grid,
        *,
        coordinator_id: str,
        identities: Callable[[], Mapping[CouncilId, bytes]],
        rng: RandomSource,
        message_limit: int = MESSAGE_LIMIT,
        look_s: float = 1.0,
        fetch_s: float = 0.2,
        probe_s: float = 30.0,
        again_s: float = 5.0,
        record: Record | None = None,
        on_event: OnEvent = _silence,
    ) -> None:
        self._grid = grid
        self._coordinator_id = coordinator_id
        self._identities = identities
        self._rng = rng
        self._message_limit = message_limit
        self._look_s = look_s
        self._fetch_s = fetch_s
        self._probe_s = probe_s
        self._again_s = again_s
        self._record = record
        self._on_event = on_event
        self._book = AskBook()
        self._nodes: dict[int, FlowerNodeState] = {}
        self._seats: dict[CouncilId, FlowerNodeState] = {}
        self._deadlines: dict[int, float] = {}
        self._last_number = 0
        self._looked_at = float("-inf")
        self._wake = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="flower")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="flower reader")
        self._room = asyncio.Semaphore(NODES_AT_ONCE)
        self._fetches: dict[int, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Begin to move messages, in the running event loop."""
        self._pump = asyncio.create_task(self._run(), name="flower link")

    def attach(self, _server: grpc.aio.Server) -> None:
        """Begin with the coordinator's server; nothing of this link is served there."""
        self.start()

    def connected(self) -> frozenset[CouncilId]:
        """The councils of the current roster that have proved themselves from a node that is there."""
        identities = self._identities()
        return frozenset(
            council
            for council, node in self._seats.items()
            if node.proven is not None and identities.get(council) == node.proven.public_key
        )

    async def exchange(
        self, requests: Mapping[CouncilId, bytes], *, timeout_s: float, in_turn: bool = False
    ) -> AsyncGenerator[tuple[CouncilId, bytes], None]:
        """See :meth:`coordinator.council_link.CouncilLink.exchange`."""
        known = Chosen(requests, self._identities())
        for council in requests.keys() - known.keys():
            self._on_event("council_not_in_roster", {"council": council})
        deadline = self._now() + timeout_s
        asked: list[int] = []

        def send(ask: Ask) -> None:
            asked.append(ask.request_id)
            self._deadlines[ask.request_id] = deadline
            self._send(ask)

        try:
            exchange = self._book.exchange(known, timeout_s=timeout_s, send=send, in_turn=in_turn)
            async with aclosing(exchange) as replies:
                async for reply in replies:
                    yield reply
        finally:
            for request_id in asked:
                del self._deadlines[request_id]

    async def close(self) -> None:
        """Stop moving messages; what Flower holds it forgets by itself."""
        moving = [task for task in (self._pump, *self._fetches.values()) if task is not None]
        for task in moving:
            task.cancel()
        await asyncio.gather(*moving, return_exceptions=True)
        for threads in (self._thread, self._readers):
            threads.shutdown(wait=False, cancel_futures=True)

    # Moving messages

    async def _run(self) -> None:
        while True:
            try:
                await self._look()
                await self._push()
                self._fetch()
            except Exception as problem:  # noqa: BLE001 - Flower's own exceptions are not part of its public API
                self._on_event("flower_down", {"error": type(problem).__name__})
                await asyncio.sleep(self._again_s)
            await self._pause()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._fetch_s):
                await self._wake.wait()
        self._wake.clear()

    async def _in_thread(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def _look(self) -> None:
        now = self._now()
        if now - self._looked_at >= self._look_s:
            self._looked_at = now
            there = frozenset(await self._in_thread(lambda: tuple(self._grid.get_node_ids())))
            for node_id in self._nodes.keys() - there:
                self._part(self._nodes.pop(node_id), "Flower says that its node is away")
            for node_id in there - self._nodes.keys():
                self._nodes[node_id] = FlowerNodeState(node_id=node_id)
        self._part_with_strangers()
        for node in self._nodes.values():
            node.expired(now)

    async def _push(self) -> None:
        now = self._now()
        for node in tuple(self._nodes.values()):
            if node.wants_challenge(now, self._probe_s):
                await self._hand_over(node, None)
            for ask in node.due():
                try:
                    await self._hand_over(node, ask)
                except Exception:
                    node.unsent.appendleft(ask)  # Flower is away: it is sent when Flower is back
                    raise

    async def _hand_over(self, node: FlowerNodeState, ask: Ask | None) -> None:
        """Give one message to Flower: a request, or a challenge when there is no ask."""
        now = self._now()
        until = self._deadlines.get(ask.request_id, now) if ask is not None else now + CHALLENGE_S
        content = b"" if ask is None else ask.request
        request = RelayedRequest(
            kind=RelayedKind.PROVE if ask is None else RelayedKind.ASK,
            nonce=self._rng(NONCE_SIZE),
            coordinator_id=self._coordinator_id,
            ticket=NO_TICKET if ask is None else node.ticket,
            body=content,
        )
        keep_s = until - now + LEEWAY_S
        message = Message(wrapped(request.encode()), node.node_id, MESSAGE_TYPE, ttl=keep_s)
        if ask is not None and self._record is not None:
            self._record("sent", ask.council, content)
        key = await self._in_thread(lambda: next(iter(self._grid.push_messages([message])), None))
        if not key:
            self._set_back(node, "Flower took no message for its node")
            return
        self._last_number += 1
        node.flights[key] = Flight(
            number=self._last_number, asked=request.asked, ask=ask, sent_at=now, expires_at=now + keep_s
        )

    def _fetch(self) -> None:
        # Each node by itself: Flower waits for a reply whose bytes are still to come, and one that it cannot read costs
        # every reply of the same call. Both are in the hands of whoever runs a node.
        for node in self._nodes.values():
            if node.flights and node.node_id not in self._fetches:
                self._fetches[node.node_id] = asyncio.create_task(self._fetch_from(node))

    async def _fetch_from(self, node: FlowerNodeState) -> None:
        try:
            replies = await self._fetched(tuple(node.flights))
        except Exception as problem:  # noqa: BLE001 - Flower's own exceptions are not part of its public API
            self._on_event("flower_down", {"error": type(problem).__name__})
            if await self._flower_is_there():
                self._set_back(node, "its reply could not be read")
            return
        finally:
            del self._fetches[node.node_id]
        # In the order asked: a reply says that whatever was sent before it and is still unanswered is lost.
        for key in [key for key in node.flights if key in replies]:
            if key in node.flights:
                self._take(node, node.flights.pop(key), replies[key])

    async def _fetched(self, keys: Iterable[str]) -> dict[str, Message]:
        async with self._room:
            pull = asyncio.get_running_loop().run_in_executor(self._readers, self._pulled, keys)
            try:
                await asyncio.wait({pull}, timeout=PATIENCE_S)
            except asyncio.CancelledError:
                pull.cancel()
                raise
        return await pull

    def _pulled(self, keys: Iterable[str]) -> dict[str, Message]:
        return {reply.metadata.reply_to_message_id: reply for reply in self._grid.pull_messages(list(keys))}

    async def _flower_is_there(self) -> bool:
        try:
            await self._in_thread(self._grid.get_node_ids)
        except Exception:  # noqa: BLE001 - as above
            return False
        return True

    # What came back

    def _take(self, node: FlowerNodeState, flight: Flight, message: Message) -> None:
        lost = node.overtaken(flight.number)
        try:
            if message.has_error():
                self._failed(node, message.error.code, message.error.reason or "")
            else:
                self._read(node, flight, unwrapped(message.content))
        except (MalformedMessage, RemoteProtocolError) as problem:
            self._on_event("link_refused", {"reason": str(problem)})
            self._set_back(node, str(problem))
        except Exception as problem:  # noqa: BLE001 - as above; so that what it was asked is asked again
            self._on_event("flower_down", {"error": type(problem).__name__})
            self._set_back(node, "its reply could not be taken")
        for ask in lost:
            self._send(ask)

    def _failed(self, node: FlowerNodeState, code: int, reason: str) -> None:
        """Flower or the node's executor says that there is no reply: on our own stream this would be a broken line."""
        self._on_event("flower_error", {"node": str(node.node_id), "code": code, "reason": reason[:200]})
        self._set_back(node, "its Flower node gave an error instead of a reply")

    def _read(self, node: FlowerNodeState, flight: Flight, content: bytes) -> None:
        reply = RelayedReply.decode(content, limit=self._message_limit)
        if self._record is not None:
            self._record("frame", reply.council, content)
        public_key = self._identities().get(reply.council)
        if public_key is None:
            raise RemoteProtocolError(f"{reply.council} is not in the coordinator's current roster")
        place = place_in_flower(self._grid.run.run_id, node.node_id)
        statement = relayed_statement(flight.asked, council=reply.council, place=place, body=reply.body)
        check_link_proof(public_key, reply.signature, statement, reply.council)
        if flight.ask is None:
            ticket, software = reply.body[:TICKET_SIZE], reply.body[TICKET_SIZE:].decode("ascii", "replace")
            if len(ticket) != TICKET_SIZE:
                raise MalformedMessage(f"the proof of {reply.council} brings no ticket")
            proven = ProvenCouncil(council=reply.council, public_key=public_key, software=check_software(software))
            node.ticket = ticket
            self._welcome(node, proven)
        else:
            self._deliver(flight.ask, reply)

    def _deliver(self, ask: Ask, reply: RelayedReply) -> None:
        if reply.council != ask.council:
            raise RemoteProtocolError(f"{reply.council} answered what {ask.council} was asked")
        if ask.open:
            if self._record is not None:
                self._record("received", ask.council, reply.body)
            self._book.settle(ask, reply.body)

    def _welcome(self, node: FlowerNodeState, proven: ProvenCouncil) -> None:
        if node.proven == proven:
            return
        self._part(node, "its Flower node now speaks for another council or with another key")
        # The newer node wins: whoever has the council's key can take its place, and nobody else can.
        older = self._seats.get(proven.council)
        if older is not None and older is not node:
            older.challenge_at = DISPLACED
            self._leave(older, "a newer node of this council took this one's place")
        node.proven, node.failures = proven, 0
        self._seats[proven.council] = node
        node.unsent.extend(self._book.waiting(proven.council))
        self._on_event("connected", {"council": proven.council, "software": proven.software})

    def _set_back(self, node: FlowerNodeState, reason: str) -> None:
        """Part with a node that went wrong, and challenge it again after a while that doubles."""
        self._part(node, reason)
        node.challenge_at = self._now() + self._again_s * 2**node.failures
        node.failures = min(node.failures + 1, DOUBLINGS_MAX)

    def _part(self, node: FlowerNodeState, reason: str) -> None:
        """Part with a node, and challenge those again that a newer one had displaced: perhaps it was this one."""
        if self._leave(node, reason):
            for other in self._nodes.values():
                if other.challenge_at == DISPLACED:
                    other.challenge_at = self._now()

    def _leave(self, node: FlowerNodeState, reason: str) -> bool:
        """Nobody is proven at this node any more; what it was asked is asked again when the council is back."""
        node.unsent.clear()
        node.flights.clear()
        proven, node.proven = node.proven, None
        if proven is None or self._seats.get(proven.council) is not node:
            return False
        del self._seats[proven.council]
        self._on_event("disconnected", {"council": proven.council, "reason": reason})
        return True

    def _part_with_strangers(self) -> None:
        identities = self._identities()
        for council, node in tuple(self._seats.items()):
            if node.proven is not None and identities.get(council) != node.proven.public_key:
                self._part(node, f"{council} or its key is no longer in the coordinator's current roster")

    def _send(self, ask: Ask) -> None:
        node = self._seats.get(ask.council)
        if node is not None:
            node.unsent.append(ask)
            self._wake.set()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
