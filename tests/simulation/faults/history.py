"""One random history from its seed: faults for a while, then none; then what must hold is looked at.

The faults end after some minutes of simulated time. From then on every question must come to its end, every council
must get its answers, and a new question must be answered.
"""

import asyncio
import gc
import itertools
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from coordinator.progress import RunStage
from federated.errors import FileProblem
from protocols.identifiers import CouncilId
from tests.simulation.faults import checks
from tests.simulation.faults.clock import NothingLeft, SimulatedLoop, run
from tests.simulation.faults.disk import Cut, Loss
from tests.simulation.faults.network import Network
from tests.simulation.faults.papers import STAGES, Papers, papers
from tests.simulation.faults.parties import CoordinatorMachine, Council, Machine
from tests.simulation.faults.people import Analyst
from tests.simulation.faults.world import Menu, Shared

KINDS = ("crash", "coordinator", "partition", "full", "jump", "slow", "half")
FEDERATIONS = (*3 * ((4, "40"),), *2 * ((5, "40"),), (6, "40"), (5, "5/2"))
"""Councils, and the year's budget: some histories have little of it."""
QUESTIONS = (1, 1, 1, 1, 2, 2, 3)
ONE_MORE = 0.3
"""How often a new question is asked after the faults; always, where every question of the history has failed."""
LAST_CUT = 0.25
"""How often the power fails everywhere when all is quiet, just before everything is looked at."""
LOOK_S = 10.0
SETTLED_S = 1800.0
"""Everything must have ended so long after the last fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one history.

    Attributes:
        seed: Its seed.
        violations: What must never be, in words; empty when all is well.
        digest: Of everything that happened, in order.
        counts: How often what happened.
        seconds: Simulated.
        lines: The same in words, where asked for.
    """

    seed: int
    violations: tuple[str, ...]
    digest: str
    counts: Mapping[str, int]
    seconds: float
    lines: tuple[str, ...] = ()


def live_through(seed: int, *, trace: bool = False) -> Outcome:
    """Run the history of a seed; `simulated_disks` must be in force."""
    # Objects are thrown away between histories, not in the middle of one, where it would be now here, now there.
    gc.disable()
    try:
        return _lived(seed, trace=trace)
    finally:
        # What all histories share is looked at now and then alone, and with it what outlived its own history.
        gc.collect(1 if seed % 100 else 2)
        gc.enable()


def _lived(seed: int, *, trace: bool) -> Outcome:
    chance = random.Random(f"faults papers {seed}")
    size, epsilon = chance.choice(FEDERATIONS)
    made = papers(size, epsilon)
    histories: list[_History] = []

    async def main(loop: SimulatedLoop) -> None:
        history = _History(Shared(seed, made, loop, trace=trace))
        histories.append(history)
        await history.run()

    try:
        seconds = run(main)
    except NothingLeft:
        seconds = 0.0
        histories[0].shared.require(False, "somebody waits for what can never come")
    shared = histories[0].shared
    histories[0].let_go()
    for error in shared.loop.unhandled:
        # A dead machine's tasks may fail at its disk; nothing else may be left to nobody.
        shared.record.count(f"left to nobody: {type(error).__name__}")
        shared.require(isinstance(error, FileProblem), f"something went wrong that nobody heard of: {error!r}")
    return Outcome(
        seed=seed,
        violations=tuple(shared.broken),
        digest=shared.record.digest.hexdigest(),
        counts=dict(shared.record.counts),
        seconds=seconds,
        lines=tuple(shared.record.lines or ()),
    )


class _History:
    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.network = Network(shared)
        self.coordinator = CoordinatorMachine(shared, self.network)
        self.councils = {council: Council(shared, self.network, council) for council in shared.papers.councils}
        for council, machine in self.councils.items():
            self.network.add(council, machine)
        self._begun: dict[bytes, float] = {}
        self._since = 0.0
        self._life = 0

    @property
    def machines(self) -> tuple[Machine, ...]:
        """Every machine."""
        return (*self.councils.values(), self.coordinator)

    async def run(self) -> None:
        """The whole history."""
        shared, chance = self.shared, self.shared.chance
        for machine in self.machines:
            machine.start()
        analysts = self._analysts()
        shared.menu = _menu(chance)
        window = chance.choice((15.0, 40.0, 120.0))
        looking = asyncio.create_task(self._look())
        asking = [asyncio.create_task(self._ask(analyst, chance.uniform(0, window / 3))) for analyst in analysts]
        await self._chaos(window)
        self._heal()
        _, pending = await asyncio.wait(asking, timeout=SETTLED_S)
        shared.require(not pending, "a question has not ended long after the last fault")
        for task in asking:
            if task.done():
                task.result()
        await self._all_back()
        published = any(a.end is not None and a.end.stage is RunStage.PUBLISHED for a in analysts)
        if not published or chance.random() < ONE_MORE:
            # First the councils hear of the ends of earlier rounds, of which the new question may overtake the news here:
            # what those rounds reserved is free only then.
            await asyncio.sleep(2 * STAGES.delivery)
            await self._one_more()
        await asyncio.sleep(3 * STAGES.delivery)
        await self._deliver()
        if chance.random() < LAST_CUT:
            for machine in self.machines:
                machine.crash(Loss.POWER)
            await self._all_back()
        looking.cancel()
        self._check()

    def _analysts(self) -> list[Analyst]:
        shared, chance = self.shared, self.shared.chance
        plans = [item for of_one in shared.papers.proposals for item in of_one[:-1]]
        chosen = chance.sample(plans, chance.choice(QUESTIONS))
        if chance.random() < 0.2:
            chosen.append(chosen[0])  # two people hand in the same signed plan
        found = []
        for proposal in chosen:
            analyst = Analyst(shared, self.coordinator, proposal, refresh=chance.random() < 0.5)
            analyst.ask_again = chance.random() < 0.5
            if chance.random() < 0.1:
                analyst.withdraw_after = chance.choice((0.0, 1.0, 10.0))
            found.append(analyst)
        return found

    @staticmethod
    async def _ask(analyst: Analyst, wait: float) -> None:
        await asyncio.sleep(wait)
        await analyst.ask()

    # Faults

    async def _chaos(self, window: float) -> None:
        loop, menu, chance = self.shared.loop, self.shared.menu, self.shared.chance
        end = loop.now + window
        while menu.events:
            wait = chance.expovariate(1 / menu.events)
            if loop.now + wait >= end:
                break
            await asyncio.sleep(wait)
            self._strike(chance.choice(menu.kinds))
        await asyncio.sleep(max(0.0, end - loop.now))

    def _strike(self, kind: str) -> None:
        shared, chance = self.shared, self.shared.chance
        council = self.councils[chance.choice(shared.papers.councils)]
        anyone = chance.choice((council, council, self.coordinator))
        shared.tell("strike", kind, council.council, anyone.name)
        shared.record.count(f"strikes: {kind}")
        match kind:
            case "crash":
                self._doom(council)
            case "coordinator":
                self._doom(self.coordinator)
            case "partition":
                away = chance.sample(shared.papers.councils, chance.randrange(1, len(shared.papers.councils) + 1))
                self._part(away, chance.uniform(1, 40))
            case "full":
                anyone.disk.full = not anyone.disk.full
            case "jump":
                hours = chance.choice((-26, -1, -0.01, 0.01, 1, 7, 26))
                anyone.clock.wrong_by = timedelta(hours=hours)
            case "slow":
                anyone.slow = chance.choice((0.0, 0.3, 1.0))
            case _:  # a line that only one way is heard on: it breaks after a while, as keep-alive finds out
                self.network.cut(council.council, back_in=chance.uniform(0.1, 30))

    def _doom(self, machine: Machine) -> None:
        chance = self.shared.chance
        machine.loss = chance.choice(list(Loss))
        if not machine.alive:
            return
        if chance.random() < 0.1:
            machine.crash(machine.loss)
        else:
            machine.disk.die_in(chance.randrange(1, 60), chance.choice(list(Cut)))

    def _part(self, councils: list[CouncilId], seconds: float) -> None:
        for council in councils:
            self.network.lines[council].partitioned = True
            self.network.cut(council, back_in=None)
        self.network.later(seconds, lambda: self._join(councils))

    def _join(self, councils: list[CouncilId]) -> None:
        for council in councils:
            self.network.lines[council].partitioned = False
            self.network.connect_in(council, self.shared.chance.uniform(0, 2))

    def _heal(self) -> None:
        """From now on nothing fails. What is under way in a machine, a doomed disk included, takes its course."""
        self.shared.tell("healed")
        self.shared.menu = Menu()
        self._join(list(self.councils))
        for machine in self.machines:
            machine.disk.full = False
            machine.disk.die_in(-1, Cut.BEFORE)
            machine.slow = 0.0
            machine.clock.wrong_by = timedelta()

    # Afterwards

    async def _all_back(self) -> None:
        shared = self.shared
        # Whoever is down by the last fault is back by now, or within the longest start.
        for _ in range(60):
            if all(machine.alive for machine in self.machines) and all(
                line.link is not None for line in self.network.lines.values()
            ):
                break
            await asyncio.sleep(1)
        else:
            shared.require(False, "a party did not come back")

    async def _one_more(self) -> None:
        """A new question is answered."""
        shared = self.shared
        proposal = shared.papers.proposals[shared.chance.randrange(len(shared.papers.proposals))][-1]
        analyst = Analyst(shared, self.coordinator, proposal, refresh=True)
        asking = asyncio.create_task(analyst.ask())
        await asyncio.wait({asking}, timeout=SETTLED_S)
        end = analyst.end
        shared.require(asking.done(), "a new question has no end though nothing fails any more")
        if asking.done():
            asking.result()
        answered = end is not None and end.stage is RunStage.PUBLISHED
        out_of_budget = self._out_of_budget(proposal.plan.question.epsilon)
        said = "nothing" if end is None else f"{end.stage.name} {end.rule}"
        shared.require(answered or out_of_budget, f"a new question is not answered though nothing fails: {said}")
        shared.record.count("new questions answered" if answered else "new questions beyond the budget")

    def _out_of_budget(self, cost: object) -> bool:
        agreement = self.shared.papers.proposals[0][0].plan.agreement_id
        for machine in self.councils.values():
            if machine.station is not None:
                spent = machine.station.ledger.committed(agreement, "2026").epsilon
                if spent is None or spent + cost > self.shared.papers.budget:  # type: ignore[operator]
                    return True
        return False

    async def _deliver(self) -> None:
        """Whoever is owed an answer still connects once more, and is sent it."""
        office = self.coordinator.office
        assert office is not None
        owed = [council for council in self.councils if office.store.releases.owed(council)]
        for council in owed:
            self.network.cut(council, back_in=0.1)
        if not owed:
            return
        await asyncio.sleep(3 * STAGES.delivery)

    async def _look(self) -> None:
        for _ in itertools.count():
            await asyncio.sleep(LOOK_S)
            machine = self.coordinator
            if machine.life != self._life:
                self._life, self._since = machine.life, self.shared.loop.now
            # On a full disk a round's end cannot be written down, though the councils have been told.
            writes = not machine.slow and not machine.disk.full
            if machine.alive and machine.office is not None and writes:
                checks.check_deadline(self.shared, machine.office.store, self._since, self._begun)
            else:
                self._since = self.shared.loop.now

    def _check(self) -> None:
        shared = self.shared
        stations = {c: m.station for c, m in self.councils.items() if m.station is not None and m.alive}
        shared.require(len(stations) == len(self.councils), "a council's node is not up at the end")
        for station in stations.values():
            checks.check_ledger(shared, station)
        office = self.coordinator.office
        shared.require(self.coordinator.alive and office is not None, "the coordinator is not up at the end")
        if self.coordinator.alive and office is not None:
            checks.check_store(shared, office.store, at_rest=True)
            checks.check_published(shared, office.store)
            if len(stations) == len(self.councils):
                checks.check_receipts(shared, office.store, stations)

    def let_go(self) -> None:
        """Close what is open."""
        for machine in self.machines:
            machine.let_go()


def _menu(chance: random.Random) -> Menu:
    """What this history has of each fault: some have all of them, some one alone, and some none but crashes."""

    def some(*values: float) -> float:
        return chance.choice((0.0, *values))

    return Menu(
        pace=chance.choice((0.03, 0.3, 0.8)),
        drop=some(0.01, 0.05),
        cut=some(0.01, 0.05),
        late=some(0.02, 0.2),
        twice=some(0.1, 0.5),
        silent=some(0.0, 0.03),
        events=chance.choice((0.0, 2.0, 5.0, 15.0)),
        kinds=tuple(chance.sample(KINDS, chance.randrange(1, len(KINDS) + 1))),
    )


__all__ = ["Outcome", "Papers", "live_through"]
