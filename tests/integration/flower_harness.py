"""The Flower link and real Flower apps, joined by a `Grid` in this process that keeps Flower's promises and no others.

What stands in for Flower here: one queue and one thread for each node, as a SuperNode has them, replies kept until they
are fetched, and a list of the nodes that are there. The same link over Flower's own processes is in
`test_council_link_flower.py`.
"""

import itertools
import os
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity  # set by Flower's own processes before they call an app

from coordinator.flower_link import FlowerLink
from council_node.flower_app import FlowerNode, client_app
from council_node.link_session import LinkIdentity
from protocols.identifiers import CouncilId
from tests.integration.link_harness import COORDINATOR, Answer, until

RUN = 41
FAST = {"look_s": 0.02, "fetch_s": 0.01, "again_s": 0.05}


@dataclass
class FakeNode:
    """A SuperNode: one message at a time, in the order they came."""

    node_id: int
    app: ClientApp
    replies: dict[str, Message]
    there: bool = True
    connection: int = 1
    inbox: queue.Queue[tuple[int, Message] | None] = field(default_factory=queue.Queue)
    thread: threading.Thread | None = None
    node_config: Mapping[str, int] = field(default_factory=dict)
    run_config: Mapping[str, int] = field(default_factory=dict)
    delivered: list[Message] = field(default_factory=list)

    def start(self) -> None:
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self) -> None:
        context = Context(
            run_id=RUN,
            node_id=self.node_id,
            node_config=dict(self.node_config),
            state=RecordDict(),
            run_config=dict(self.run_config),
            series_id=RUN,
        )
        while (item := self.inbox.get()) is not None:
            connection, message = item
            if connection != self.connection:
                continue
            self.delivered.append(message)
            try:
                reply = self.app(message, context)
            except Exception as problem:  # noqa: BLE001 - as Flower does
                reply = Message(Error(2, f"{type(problem)}"), reply_to=message)
            if connection == self.connection:
                self.replies[message.metadata.message_id] = reply


class FakeGrid(Grid):
    """Flower's side of the line."""

    def __init__(self) -> None:
        self.nodes: dict[int, FakeNode] = {}
        self.replies: dict[str, Message] = {}
        self.pushed: list[Message] = []
        self.broken = False
        self.takes_nothing = False
        self.reading: Callable[[Message], None] = lambda _reply: None
        self._numbers = itertools.count(1)

    def add(self, app: ClientApp, **configured: Mapping[str, int]) -> FakeNode:
        node = FakeNode(node_id=1000 + next(self._numbers), app=app, replies=self.replies, **configured)
        self.nodes[node.node_id] = node
        node.start()
        return node

    def set_run(self, run) -> None: ...

    @property
    def run(self):
        return SimpleNamespace(run_id=RUN)

    def create_message(self, content, message_type, dst_node_id, group_id, ttl=None):
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        if self.broken:
            raise ConnectionError("the SuperLink is away")
        return [node.node_id for node in self.nodes.values() if node.there]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        keys = []
        if self.broken:
            raise ConnectionError("the SuperLink is away")
        for message in messages:
            if self.takes_nothing:
                continue
            node = self.nodes.get(message.metadata.dst_node_id)
            assert message.metadata.run_id == RUN
            assert message.metadata.ttl > 0
            if node is None or not node.there:
                keys.append(None)
                continue
            message.metadata.__dict__["_message_id"] = f"message-{next(self._numbers)}"
            self.pushed.append(message)
            node.inbox.put((node.connection, message))
            keys.append(message.metadata.message_id)
        return keys

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        pulled = []
        for key in message_ids:
            if key in self.replies:
                pulled.append(self.replies.pop(key))
                self.reading(pulled[-1])  # Flower waits for what is not all there, and raises at what it cannot read
        return pulled

    def send_and_receive(self, messages, *, timeout=None):
        raise NotImplementedError("of Flower's interface; our link never calls it, as it would wait for the slowest")


class FlowerHarness:
    """The link, and each council's node behind it."""

    pace = 1.0

    def __init__(self, names: tuple[CouncilId, ...], **options: object) -> None:
        TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = RUN, 1, 1
        self.keys = {council: Ed25519PrivateKey.generate() for council in names}
        self.identities = {council: key.public_key().public_bytes_raw() for council, key in self.keys.items()}
        self.grid = FakeGrid()
        self.nodes: dict[CouncilId, FakeNode] = {}
        self.ticket = os.urandom(32)
        self.events: list[tuple[str, dict[str, str | int]]] = []
        self.node_events: list[tuple[str, dict[str, str | int]]] = []
        self.link = FlowerLink(
            self.grid,
            coordinator_id=COORDINATOR,
            identities=lambda: self.identities,
            rng=os.urandom,
            on_event=lambda event, fields: self.events.append((event, dict(fields))),
            **FAST | options,
        )

    def app(self, council: CouncilId, answer: Answer, **changes: object) -> ClientApp:
        sign, ticket = changes.pop("sign", self.keys[council].sign), changes.pop("ticket", self.ticket)
        identity = LinkIdentity(**{"council": council, "coordinator_id": COORDINATOR, "sign": sign} | changes)
        return client_app(
            FlowerNode(
                identity=identity,
                answer=answer,
                ticket=ticket,
                on_event=lambda event, fields: self.node_events.append((event, dict(fields))),
            )
        )

    def add(self, council: CouncilId, answer: Answer, **changes: object) -> FakeNode:
        self.nodes[council] = self.grid.add(self.app(council, answer, **changes))
        return self.nodes[council]

    def disconnect(self, council: CouncilId) -> None:
        node = self.nodes[council]
        node.there = False
        node.connection += 1

    def reconnect(self, council: CouncilId) -> None:
        self.nodes[council].there = True

    def reasons(self, event: str) -> list[str]:
        return [str(fields.get("reason", "")) for name, fields in self.events if name == event]

    async def close(self) -> None:
        await self.link.close()
        for node in self.grid.nodes.values():
            node.inbox.put(None)


@asynccontextmanager
async def over_flower(answers: Mapping[CouncilId, Answer], **options: object) -> AsyncIterator[FlowerHarness]:
    harness = FlowerHarness(tuple(answers), **options)
    for council, answer in answers.items():
        harness.add(council, answer)
    harness.link.start()
    try:
        await until(lambda: harness.link.connected() == frozenset(answers))
        yield harness
    finally:
        await harness.close()
