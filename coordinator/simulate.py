"""The whole federation in one process: read this after `protocols/secagg/run.py` to see every part at work.

Nothing here stands in for anything: the councils are `CouncilNode` objects with real ledgers, policies and extracts,
the coordinator is its own `Centre` over the in-process link, and noise and masks are from the system's entropy. Only
the cases are made up. It is the one coordinator module that may import the node (see the import contract), and is
used for planning capacity and by the tests that hold releases against the exact truth.
"""

import asyncio
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from coordinator.link_connection import Record
from coordinator.office import Note
from coordinator.simulation_figures import Integers, SimulatedRound, Simulation, Traffic, exact_vector
from coordinator.simulation_files import COORDINATOR, Answer, CentreFiles, World, open_centre_files, plan_of, terms_of
from coordinator.simulation_hub import Hub, Lines, LossyLink
from coordinator.simulation_papers import Scenario, signed_agreement
from council_node.agreements import accept_agreement
from council_node.node import CouncilNode, resting_node
from council_node.policy_file import Class2
from council_node.settings import Settings
from council_node.setup import NewNode, make_node
from council_node.station import Station
from council_node.willing_people import unsafe_with_willing_people
from federated.demo.people import People
from federated.demo.world import choose_councils
from federated.errors import FileProblem
from federated.plan import Plan
from federated.privacy import Totals
from federated.query import Query
from federated.schema import Council
from federated.shell import now_utc
from federated.synthetic import TIDY, Cases, style_of, synthesise, write_extract, write_mapping
from protocols.identifiers import CouncilId

__all__ = [
    "ENGINES_KEPT",
    "NodeFiles",
    "OpenNodes",
    "Scenario",
    "Simulation",
    "allow_files",
    "ask_all",
    "build_world",
    "most_memory_mib",
    "open_station",
    "simulate",
]

FILES_PER_COUNCIL: Final = 12
FILES_BESIDE: Final = 200
KIB_PER_MIB: Final = 1024
ENGINES_KEPT: Final = 40
"""Councils whose empty database stays open between questions, as it does in a real node; each takes some MiB."""

Tell = Callable[[str], None]
NodeLog = Callable[[CouncilId], Note]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFiles:
    """A council's node as `council-node init` leaves it, and what its people are handed.

    Attributes:
        settings: Of the node.
        agreement: The signed agreement.
        roster: The signed list of councils.
    """

    settings: Settings = field(repr=False)
    agreement: Path
    roster: bytes = field(repr=False)


OpenNodes = Callable[[Mapping[CouncilId, NodeFiles]], AbstractContextManager[Mapping[CouncilId, Answer]]]
"""Opens every council's node for the length of a block; gives those that are in this process."""


def _quiet(_event: str, _fields: Mapping[str, str | int]) -> None:
    """Tell nobody."""


def simulate(
    scenario: Scenario,
    *,
    folder: Path | None = None,
    record: Record = lambda _way, _council, _content: None,
    note: Note = _quiet,
    node_log: NodeLog = lambda _council: _quiet,
    tell: Tell = lambda _line: None,
) -> Simulation:
    """Set a federation up in this process, ask it every question, and hold the answers against the truth.

    Args:
        scenario: What to simulate.
        folder: An empty folder to keep everything in; a temporary one when None.
        record: Shown every request to a council and every reply.
        note: Where the coordinator's events go.
        node_log: Gives each council's node where its events go.
        tell: Takes progress, one line at a time.

    Raises:
        FederatedError: The questions cannot be asked, or a round ended without an answer.
    """
    with ExitStack() as opened:
        place = folder or Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="simulation-")))
        began = time.perf_counter()
        world = opened.enter_context(build_world(scenario, place, node_log=node_log))
        setup_s = time.perf_counter() - began
        tell(f"{len(world.councils)} councils are set up after {setup_s:.1f} seconds.")
        rounds, traffic = asyncio.run(_ask_here(world, record, note, tell))
    return Simulation(
        scenario=scenario,
        councils=world.councils,
        setup_s=setup_s,
        rounds=rounds,
        traffic=traffic,
        memory_mib=most_memory_mib(),
    )


def most_memory_mib(pid: int | None = None) -> int:
    """The most memory a process has had, this one when None.

    `getrusage` may tell that of the process it was forked from.
    """
    status = Path(f"/proc/{pid or 'self'}/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // KIB_PER_MIB
    lines = dict(line.split(":", maxsplit=1) for line in status.read_text(encoding="utf-8").splitlines())
    return int(lines["VmHWM"].split()[0]) // KIB_PER_MIB


async def _ask_here(
    world: World, record: Record, note: Note, tell: Tell
) -> tuple[tuple[SimulatedRound, ...], Mapping[CouncilId, Traffic]]:
    lines = Lines(world.nodes, threads=os.cpu_count() or 1, record=record)
    try:
        return await ask_all(world, lines, note, tell), lines.traffic
    finally:
        await lines.link.close()


async def ask_all(world: World, lines: LossyLink, note: Note, tell: Tell) -> tuple[SimulatedRound, ...]:
    """Ask every question of the scenario in every turn.

    Raises:
        RoundAborted: A round ended without an answer.
    """
    scenario = world.scenario
    answered: list[SimulatedRound] = []
    async with Hub(world, lines.link, note=note) as hub:
        for turn in range(scenario.rounds):
            for question in scenario.questions:
                lines.lose(_lost(world, len(answered)))
                answered.append(await hub.ask(question))
                lines.find_again()
                await hub.settle()
                tell(f"Turn {turn + 1}: {question.title} – {sum(answered[-1].seconds.values()):.1f} seconds.")
    return tuple(answered)


def _lost(world: World, number: int) -> tuple[CouncilId, ...]:
    """The councils lost in a round: others each time, the same for the same seed."""
    councils = tuple(world.councils)
    first = (world.scenario.seed + number) * world.scenario.lost
    return tuple({councils[(first + place) % len(councils)] for place in range(world.scenario.lost)})


@contextmanager
def build_world(
    scenario: Scenario,
    folder: Path,
    *,
    node_log: NodeLog = lambda _council: _quiet,
    open_nodes: OpenNodes | None = None,
    cases: Mapping[CouncilId, Cases] | None = None,
) -> Iterator[World]:
    """Set a federation up through the steps its people take, and keep it open for the length of the block.

    Args:
        scenario: What it is for.
        folder: An empty folder.
        node_log: Gives each council's node where its events go.
        open_nodes: Opens the nodes elsewhere; in this process when None.
        cases: Each council's records, kept without faults; synthetic ones with the usual faults when None.
    """
    councils = choose_councils(scenario.councils)
    allow_files(len(councils))
    people = People.make(os.urandom)
    people.write_trust(folder / "trust.yaml")
    agreement = folder / "agreement.dsse"
    agreement.write_bytes(signed_agreement(scenario, councils, people, today=now_utc().date()))
    made = {council: _make_node(folder, council) for council in councils}
    keys = {council: item.public_key for council, item in made.items()}
    with ExitStack() as opened:
        centre = opened.enter_context(
            open_centre_files(folder / "coordinator", people, agreement, keys, clock=now_utc, rng=os.urandom)
        )
        files = {
            council: NodeFiles(settings=item.settings, agreement=agreement, roster=centre.roster_envelope)
            for council, item in made.items()
        }
        nodes = opened.enter_context(_open_here(files, node_log) if open_nodes is None else open_nodes(files))
        exact, kept = _write_extracts(scenario, folder, councils, centre, cases)
        yield World(
            scenario=scenario,
            folder=folder,
            councils=councils,
            people=people,
            centre_files=centre,
            nodes=nodes,
            exact=exact,
            cases=kept,
            clock=now_utc,
            rng=os.urandom,
        )


@contextmanager
def _open_here(files: Mapping[CouncilId, NodeFiles], log: NodeLog) -> Iterator[Mapping[CouncilId, Answer]]:
    with ExitStack() as opened:
        stations = {
            council: opened.enter_context(open_station(of_one, log(council))) for council, of_one in files.items()
        }
        yield {
            council: unsafe_with_willing_people(
                station, CouncilNode(station).answer if place < ENGINES_KEPT else resting_node(station), now_utc
            )
            for place, (council, station) in enumerate(stations.items())
        }


def allow_files(councils: int) -> None:
    """Every council's ledger and store are open at once; ask the system for as many files.

    Raises:
        FileProblem: The system does not allow it.
    """
    needed = FILES_BESIDE + FILES_PER_COUNCIL * councils
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise FileProblem(
            f"{councils} councils in one process need {needed} open files; this system allows {hard}.",
            remedy="Simulate fewer councils, or raise the limit (`ulimit -n`).",
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A council's node as `council-node init` leaves it."""

    settings: Settings = field(repr=False)
    public_key: bytes


def _make_node(folder: Path, council: CouncilId) -> _Made:
    place = folder / "councils" / council
    place.mkdir(parents=True)
    write_mapping(place / "mapping.yaml", style_of(council), file="extract.csv")
    settings, key = make_node(
        NewNode(
            folder=place / "node",
            council=council,
            coordinator=COORDINATOR,
            address="localhost:1",  # nothing connects: the link is in this process
            trust=folder / "trust.yaml",
            mapping=place / "mapping.yaml",
            automatic=True,
            class_2=Class2.AS_AGREED,
        )
    )
    return _Made(settings=settings, public_key=key.public)


def open_station(files: NodeFiles, log: Note) -> Station:
    """Open a council's node as its people do: accept the agreement, start, take the list of councils."""
    accept_agreement(files.agreement, files.settings, confirm=lambda _agreement: True, now=now_utc())
    with ExitStack() as unless_kept:
        station = unless_kept.enter_context(Station(files.settings, clock=now_utc, rng=os.urandom, log=log))
        station.papers.accept_roster(files.roster)
        unless_kept.pop_all()
    return station


def _write_extracts(
    scenario: Scenario,
    folder: Path,
    councils: Mapping[CouncilId, Council],
    centre: CentreFiles,
    given: Mapping[CouncilId, Cases] | None,
) -> tuple[dict[Query, dict[CouncilId, Integers]], dict[CouncilId, Cases]]:
    """Write each council's extract and count it by hand.

    The records themselves are kept in memory only for questions of several rounds, which are counted where no one can
    know beforehand.
    """
    plans = {question: _any_plan(question, scenario, centre) for question in scenario.questions}
    exact: dict[Query, dict[CouncilId, Integers]] = {question: {} for question in plans}
    again = any(question.rounds > 1 for question in plans)
    kept: dict[CouncilId, Cases] = {}
    for council in councils:
        path = folder / "councils" / council / "extract.csv"
        cases = write_extract(
            synthesise(council, scenario.seed) if given is None else given[council],
            path,
            seed=scenario.seed,
            mess=None if given is None else TIDY,
            canary=scenario.marker,
        )
        for question, plan in plans.items():
            exact[question][council] = exact_vector(cases, question, plan.tables_at(plan.first_iteration()))
        if again:
            kept[council] = cases
    return exact, kept


def _any_plan(question: Query, scenario: Scenario, centre: CentreFiles) -> Plan:
    """A plan of the question, for the layout of its tables, which every plan of it shares."""
    agreement = centre.agreement
    return plan_of(
        question,
        agreement=agreement,
        roster=centre.roster,
        terms=terms_of(agreement, b"", now=now_utc(), rng=os.urandom),
        mechanism=scenario.mechanism,
        worst=Totals(),
    )
