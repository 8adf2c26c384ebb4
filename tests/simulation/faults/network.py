"""The network between the coordinator and the councils, and the link over it.

The link is the project's own book of asks (`coordinator.asks`) under a line for each council, as the link over gRPC
is: a line breaks and comes back, and then every ask without an answer is sent again. Beyond what TCP does, messages
are also lost without a word, late, twice and out of order: the protocol must bear a transport that is worse.
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Protocol

from coordinator.asks import Ask, AskBook, Chosen
from protocols.identifiers import CouncilId
from protocols.wire.link_message import LinkMessage
from tests.simulation.faults.world import Shared, short


class End(Protocol):
    """A council's end of its line."""

    @property
    def alive(self) -> bool:
        """Whether anybody is there."""

    def take(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """A request arrives."""


class SimulatedLink:
    """The coordinator's end of every line, in one life of the coordinator."""

    reaches_holders = True

    def __init__(self, network: "Network", councils: tuple[CouncilId, ...]) -> None:
        self._network = network
        self._councils = dict.fromkeys(councils)
        self.book = AskBook()
        self.alive = True
        self.on_event: Callable[[str, Mapping[str, str | int]], None] = lambda _event, _fields: None

    def connected(self) -> frozenset[CouncilId]:
        return frozenset(c for c in self._councils if self._network.lines[c].link is self)

    async def exchange(
        self, requests: Mapping[CouncilId, bytes], *, timeout_s: float, in_turn: bool = False
    ) -> AsyncGenerator[tuple[CouncilId, bytes], None]:
        known = Chosen(requests, self._councils)
        exchange = self.book.exchange(known, timeout_s=timeout_s, send=self._send, in_turn=in_turn)
        async with aclosing(exchange) as replies:
            async for reply in replies:
                yield reply

    def _send(self, ask: Ask) -> None:
        self._network.request(self, ask)


@dataclass(slots=True)
class Line:
    """One council's line; its epoch counts the times it was made, so that nothing crosses from one to the next."""

    council: CouncilId
    end: End
    epoch: int = 0
    link: SimulatedLink | None = None
    partitioned: bool = False
    held: list[Any] = field(default_factory=list)


class Network:
    """Every line."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._context = Context()
        self.lines: dict[CouncilId, Line] = {}
        self.link: SimulatedLink | None = None

    def add(self, council: CouncilId, end: End) -> None:
        """Lay a council's line."""
        self.lines[council] = Line(council, end)

    # Lines

    def listen(self, link: SimulatedLink) -> None:
        """The coordinator is there; the councils find out, each in its time."""
        self.link = link
        for council in self.lines:
            self.connect_in(council, 0.05 + self._shared.chance.random())

    def connect_in(self, council: CouncilId, seconds: float) -> None:
        """Have a council try to connect."""
        self.later(seconds, lambda: self._connect(council))

    def _connect(self, council: CouncilId) -> None:
        line, link = self.lines[council], self.link
        if line.link is not None or line.partitioned or not line.end.alive or link is None or not link.alive:
            return
        line.epoch += 1
        line.link = link
        self._shared.tell("connect", council)
        for ask in link.book.waiting(council):
            self.request(link, ask)
        link.on_event("connected", {"council": council})

    def cut(self, council: CouncilId, *, back_in: float | None) -> None:
        """Break a line: what is on it goes nowhere."""
        line = self.lines[council]
        if line.link is None:
            return
        self._shared.tell("cut", council)
        line.link = None
        line.epoch += 1
        if back_in is not None:
            self.connect_in(council, back_in)

    def coordinator_gone(self) -> None:
        """Every line breaks at the coordinator's end."""
        if self.link is not None:
            self.link.alive = False
            self.link = None
        for council in self.lines:
            self.cut(council, back_in=None)

    # Messages

    def request(self, link: SimulatedLink, ask: Ask) -> None:
        """Send an ask over its council's line, if there is one."""
        line = self.lines[ask.council]
        if line.link is not link:
            return
        content = ask.request
        for seconds in self._fates(line, "to", content):
            self._arrive_in(seconds, line, lambda: line.end.take(content, lambda reply: self._reply(line, ask, reply)))

    def _reply(self, line: Line, ask: Ask, content: bytes) -> None:
        if line.link is None:
            return
        link = line.link
        for seconds in self._fates(line, "from", content):
            self._arrive_in(seconds, line, lambda: self._settle(link, ask, content))

    def _settle(self, link: SimulatedLink, ask: Ask, content: bytes) -> None:
        if link.alive and link.book.find(ask.council, ask.request_id) is ask:
            link.book.settle(ask, content)

    def _arrive_in(self, seconds: float, line: Line, arrive: Callable[[], None]) -> None:
        epoch = line.epoch

        def now() -> None:
            if line.epoch == epoch and line.link is not None and line.end.alive:
                arrive()

        self.later(seconds, now)

    def _fates(self, line: Line, way: str, content: bytes) -> Iterator[float]:
        """When a message arrives, as often as it does."""
        shared, menu = self._shared, self._shared.menu
        kind = LinkMessage.decode(content).kind.name
        if shared.happens(menu.cut):
            shared.record.count("connections broken")
            shared.tell(way, line.council, kind, "cut")
            self.cut(line.council, back_in=shared.chance.uniform(0.1, 6))
            return
        if shared.happens(menu.drop):
            shared.record.count("messages lost")
            shared.tell(way, line.council, kind, "lost")
            return
        copies = 2 if shared.happens(menu.twice) else 1
        if copies == 2:
            shared.record.count("messages doubled")
        for _ in range(copies):
            seconds = menu.pace * shared.chance.uniform(0.2, 1.8)
            if shared.happens(menu.late):
                shared.record.count("messages late")
                seconds = shared.chance.choice((0.5, 3.0, 12.0)) * (0.5 + shared.chance.random())
            shared.tell(way, line.council, kind, short(content), f"{seconds:.6f}")
            yield seconds

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something later, on nobody's behalf."""
        self._shared.loop.call_later(seconds, act, context=self._context)
