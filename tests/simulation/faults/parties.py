"""The machines: a council's node and the coordinator, the project's own, each on a disk and a clock of its own.

A machine that dies takes with it everything but its disk. Nothing it does after that instant reaches anybody: its disk
refuses, its lines are cut, and its tasks are cancelled, whatever they still believe.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from coordinator.centre import Centre
from coordinator.office import Office
from coordinator.roster import load_membership
from coordinator.store import DatabaseProblem, Store, open_store
from council_node.abandoned import LOOK_S
from council_node.local_statistic import LocalStatistic
from council_node.node import CouncilNode
from council_node.station import Station
from federated.errors import FederatedError, FileProblem, InternalError
from federated.iteration import Iteration
from federated.plan import Plan
from federated.query import Query
from protocols.identifiers import CouncilId, RoundId
from protocols.wire.link_message import Kind, LinkMessage
from tests.integration.federation_world import SCHEMA
from tests.simulation.faults.clock import PARTY
from tests.simulation.faults.disk import Disk, Loss
from tests.simulation.faults.network import Network, SimulatedLink
from tests.simulation.faults.sqlite_files import route
from tests.simulation.faults.world import Clock, Shared

NOISE_KEY_SIZE = 32
_covered: defaultdict[CouncilId, dict[Any, tuple[frozenset[str], date | None]]] = defaultdict(dict)
"""What each council's extract covers, which no fault changes."""


class _Station(Station):
    """The node's station; only the counting is taken from what was counted before, as it takes long and cannot fail here."""

    owner: "Council"

    def coverage(self, question: Query) -> tuple[frozenset[str], date | None]:
        name = (question.columns(), self.now().date())
        if name not in self.owner.covered:
            self.owner.covered[name] = super().coverage(question)
        return self.owner.covered[name]

    def compute(self, plan: Plan, iteration: Iteration | None = None) -> LocalStatistic:
        return self.owner.counted(plan)


class Machine:
    """What the two kinds of machine share: a disk, a clock, dying and starting."""

    def __init__(self, shared: Shared, network: Network, name: str, folder: str, images: dict[str, bytes]) -> None:
        self.shared = shared
        self.network = network
        self.name = name
        self.folder = folder
        self.clock = Clock(shared)
        self.life = 0
        self.alive = False
        self.starting = False
        self._images = images
        self.disk = Disk(images)
        self.loss = Loss.KILLED
        self.slow = 0.0

    def crash(self, loss: Loss) -> None:
        """Die at this instant."""
        self.loss = loss
        self.disk.die()

    def _died(self) -> None:
        """The disk says that the machine is dead, perhaps in the middle of a request."""
        self.alive = False
        self.shared.record.count(f"crashes of {'the coordinator' if self.name == 'coordinator' else 'a council'}")
        self.shared.tell("died", self.name, self.loss)
        self.gone()
        self.network.later(self.shared.chance.uniform(0.2, 25), self.start)

    def start(self) -> None:
        """Start on what is on the disk."""
        if self.alive:
            return
        if not self.disk.alive:
            full, self._images = self.disk.full, self.disk.left(self.loss, self.shared.chance)
            self.let_go()
            self.disk = Disk(self._images, died=self._died)
            self.disk.full = full
        self.life += 1
        route(self.folder, self.disk)
        self.shared.tell("start", self.name, self.life)
        try:
            self.boot()
        except FederatedError as problem:
            self.let_go()
            if self.disk.alive:  # otherwise it died while starting, and starts again
                self.shared.require(
                    self.disk.full, f"{self.name} cannot start: {problem.code}: {type(problem).__name__}"
                )
                self.network.later(5, self.start)
            return
        if self.disk.alive:
            self.alive = True
            self.up()

    def boot(self) -> None:
        raise NotImplementedError

    def up(self) -> None:
        raise NotImplementedError

    def gone(self) -> None:
        raise NotImplementedError

    def let_go(self) -> None:
        raise NotImplementedError


class Council(Machine):
    """One council's node, which answers one request at a time."""

    def __init__(self, shared: Shared, network: Network, council: CouncilId) -> None:
        settings = shared.papers.node_settings[council]
        folder = str(settings.ledger_file.parent.resolve())
        super().__init__(shared, network, council, folder, dict(shared.papers.node_images[council]))
        self.council = council
        self.settings = settings
        self.disk = Disk(self._images, died=self._died)
        self.covered = _covered[council]
        self.station: _Station | None = None
        self.node: CouncilNode | None = None
        self._waiting: list[tuple[bytes, Callable[[bytes], None]]] = []
        self._busy = False
        self._sid = RoundId(bytes(32))
        self._noise_next = False

    def boot(self) -> None:
        rng = self.shared.rng(self.council, self.life)

        def watched(size: int) -> bytes:
            drawn = rng(size)
            if self._noise_next and size == NOISE_KEY_SIZE:
                self._noise_next = False
                self._drew_noise(drawn)
            return drawn

        self._waiting.clear()
        self._busy = False
        self._noise_next = False
        self.station = None
        station = _Station(self.settings, clock=self.clock, rng=watched, log=lambda _event, _fields: None)
        station.owner = self
        self.station, self.node = station, CouncilNode(station)

    def up(self) -> None:
        self.network.connect_in(self.council, 0.01)
        self._look_later()

    def _look_later(self) -> None:
        life = self.life
        self.network.later(LOOK_S, lambda: self._look(life))

    def _look(self, life: int) -> None:
        """End the rounds that nobody comes back to, as the thread does that looks for them."""
        if life != self.life or not self.alive or self.node is None:
            return
        try:
            self.node.end_abandoned_rounds()
        except FederatedError:
            self.shared.record.count("rounds that could not be ended yet")
        if self.disk.alive:
            self._look_later()

    def gone(self) -> None:
        self.network.cut(self.council, back_in=None)

    def let_go(self) -> None:
        if self.station is not None:
            with suppress(Exception):
                self.station.__exit__(None, None, None)
            self.station = None

    def take(self, request: bytes, answer: Callable[[bytes], None]) -> None:
        """A request arrives; it waits for those before it."""
        self._waiting.append((request, answer))
        if not self._busy:
            self._next()

    def _next(self) -> None:
        self._busy = bool(self._waiting)
        if self._waiting:
            request, answer = self._waiting.pop(0)
            life = self.life
            seconds = 0.001 + (self.shared.chance.uniform(0, 4) if self.shared.happens(self.slow) else 0)
            self.network.later(seconds, lambda: self._serve(life, request, answer))

    def _serve(self, life: int, request: bytes, answer: Callable[[bytes], None]) -> None:
        if life != self.life or not self.alive or self.node is None:
            return
        message = LinkMessage.decode(request)
        self._sid = RoundId(message.reference)
        try:
            reply = self.node.answer(request)
        except Exception as problem:  # noqa: BLE001 - a dead machine's code may do anything; a live one's may not
            self.shared.require(not self.disk.alive, f"a node answered {message.kind.name} with {problem!r}")
            reply = b""
        if not self.disk.alive:
            return
        if self.shared.happens(self.shared.menu.silent):
            self.shared.tell("silent death", self.council)
            self.crash(self.shared.chance.choice(list(Loss)))
            return
        self._leaves(reply)
        answer(reply)
        self._next()

    def _leaves(self, reply: bytes) -> None:
        message = LinkMessage.decode(reply)
        if message.kind is Kind.FAULT:
            self.shared.record.count("requests refused")
        if message.kind is Kind.MASKED_INPUT:
            name = (self.council, RoundId(message.reference))
            self.shared.require(
                self.shared.record.left.setdefault(name, message.payload) == message.payload,
                "a council sent two different masked inputs in one round",
            )

    def counted(self, plan: Plan) -> LocalStatistic:
        """Step 4, whose figures are known."""
        self._noise_next = True
        self.shared.record.counted.add((self.council, self._sid))
        return LocalStatistic(vector=self.shared.papers.truth[self.council, plan.query_digest].copy())

    def _drew_noise(self, key: bytes) -> None:
        known = self.shared.record.noise.setdefault((self.council, self._sid), key)
        self.shared.require(known == key, "a council drew noise twice in one round")


class _StoreTurns:
    """Stands where the store's thread is: one call after another, each after what the disk takes."""

    def __init__(self, machine: "CoordinatorMachine", life: int) -> None:
        self._machine = machine
        self._life = life
        self._free_at = 0.0

    @property
    def _current(self) -> bool:
        return self._machine.disk.alive and self._machine.life == self._life

    async def __call__(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        loop = self._machine.shared.loop
        future = loop.create_future()

        def act() -> None:
            if not self._current:
                future.cancel()
                return
            try:
                result = call(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - handed on, as from a thread
                if not future.cancelled():
                    future.set_exception(error)
                    future.exception()  # whoever waited may be gone
            else:
                if not future.cancelled():
                    future.set_result(result)
            if not self._current:
                with suppress(asyncio.InvalidStateError):
                    future.cancel()

        self._free_at = max(self._free_at, loop.now) + self._machine.disk_seconds()
        loop.call_at(self._free_at, act)
        found = await asyncio.shield(future)
        if not self._current:
            raise asyncio.CancelledError
        return found

    def close(self) -> None:
        """Nothing is asked for any more."""


class CoordinatorMachine(Machine):
    """The coordinator."""

    def __init__(self, shared: Shared, network: Network) -> None:
        settings = shared.papers.settings
        folder = str(Path(settings.state).resolve())
        super().__init__(shared, network, "coordinator", folder, dict(shared.papers.centre_images))
        self.settings = settings
        self.disk = Disk(self._images, died=self._died)
        self.centre: Centre | None = None
        self.office: Office | None = None
        self._store: Store | None = None

    @property
    def party(self) -> str:
        """Name of this life."""
        return f"coordinator {self.life}"

    def disk_seconds(self) -> float:
        """What the next request to the store takes."""
        return self.shared.chance.uniform(0.2, 3) if self.shared.happens(self.slow) else 0.0

    def boot(self) -> None:
        store = open_store(self.settings.database_url)
        self._store = store
        now = self.clock()
        until = now + timedelta(seconds=self.settings.proposals.lease)
        turn = store.desk.take(owner="hub", now=now, until=until)
        if turn is None:
            raise InternalError("The desk is another's.")
        link = SimulatedLink(self.network, self.shared.papers.councils)
        self.office = Office(
            settings=self.settings,
            store=store.at_desk(turn),
            link=link,
            schema=SCHEMA,
            clock=self.clock,
            rng=self.shared.rng("coordinator", self.life),
            membership=load_membership(self.settings, store, now),
            note=self._note,
        )
        self.office.thread = _StoreTurns(self, self.life)  # type: ignore[assignment]
        self.centre = Centre(self.office)
        link.on_event = self.centre.presence.on_event
        self._link = link

    def _note(self, event: str, fields: Any) -> None:
        if self.disk.alive:
            self.shared.tell("note", event)
            self.shared.record.count(f"note {event}")
            if event == "run_failed":
                self.shared.require(fields["code"] == FileProblem.code, f"a run failed unexpectedly: {dict(fields)}")
            if event == "background_failed":
                expected = fields["error"] == DatabaseProblem.__name__
                self.shared.require(expected, f"background work failed unexpectedly: {dict(fields)}")

    def up(self) -> None:
        assert self.centre is not None
        centre, life = self.centre, self.life
        self.network.link = None

        async def begin() -> None:
            try:
                await centre.start()
            except FileProblem:  # the service ends, and is started again
                if self.alive and self.life == life:
                    self.shared.tell("could not recover")
                    self.crash(Loss.KILLED)
                return
            if self.alive and self.life == life:
                self.network.listen(self._link)

        self.spawn(begin())

    def gone(self) -> None:
        self.network.coordinator_gone()
        party = self.party
        self.network.later(0, lambda: self.shared.loop.end_party(party))

    def let_go(self) -> None:
        if self._store is not None:
            with suppress(Exception):
                self._store.close()
            self._store = None

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something inside this life of the coordinator."""
        context = Context()
        context.run(PARTY.set, self.party)
        return self.shared.loop.create_task(work, context=context)
