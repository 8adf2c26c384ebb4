"""The simulation as an app of Flower's engine: the coordinator is its `ServerApp`, every virtual node a council.

Flower's engine hands the messages of one council to any of its worker processes, while a round's secrets live in the
memory of one process and never on a disk. So no worker holds a node. The nodes are open in hosts: processes of Ray's
that last as long as the simulation, each with many councils. A worker passes a message on to the host of its council,
which answers with the very app that a council's executor answers with: :func:`council_node.flower_app.client_app`.
"""

import asyncio
import os
import pickle
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import ray
from flwr.app import Context, Error, Message
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from coordinator.flower_link import FlowerLink
from coordinator.simulate import (
    ENGINES_KEPT,
    NodeFiles,
    Simulation,
    allow_files,
    ask_all,
    build_world,
    most_memory_mib,
    open_station,
)
from coordinator.simulate_flower import OUTCOME, PROGRESS, SCENARIO
from coordinator.simulation_figures import SimulatedRound, Traffic
from coordinator.simulation_files import COORDINATOR, PATIENCE_S, Answer, World
from coordinator.simulation_papers import Scenario
from council_node.flower_app import NOT_ANSWERED, client_app
from council_node.flower_service import flower_node_of
from council_node.node import CouncilNode, resting_node
from council_node.willing_people import unsafe_with_willing_people
from federated.errors import FederatedError, InternalError
from federated.flower_record import unwrapped
from federated.shell import now_utc
from protocols.identifiers import CouncilId
from protocols.wire.link_message import Kind, LinkMessage
from protocols.wire.relayed import RelayedKind, RelayedRequest

__all__ = ["Host", "client", "server"]

START_S: Final = 600.0
"""For Ray to start, and for every council to prove itself. Ray itself gives up long before, which ends all of this."""
LOOK_S: Final = 0.1
AGAIN_S: Final = 0.5

Tell = Callable[[str], None]

server = ServerApp()
client = ClientApp()


def _quiet(_event: str, _fields: Mapping[str, str | int]) -> None:
    """Tell nobody."""


# The councils' side


class Host:
    """The nodes of several councils, open for as long as this process lives.

    Args:
        councils: Each by its number among Flower's nodes.
        engines_kept: How many of them keep their empty database open between questions.
    """

    def __init__(self, councils: Mapping[int, NodeFiles], engines_kept: int) -> None:
        allow_files(len(councils))
        self._opened = ExitStack()
        self._apps: dict[int, ClientApp] = {}
        self._losing: frozenset[int] = frozenset()
        self._lost: set[int] = set()
        for place, (number, files) in enumerate(councils.items()):
            station = self._opened.enter_context(open_station(files, _quiet))
            node = flower_node_of(CouncilNode(station), station, _quiet)
            answer = resting_node(station) if place >= engines_kept else node.answer
            self._apps[number] = client_app(replace(node, answer=unsafe_with_willing_people(station, answer, now_utc)))

    def reply(self, number: int, message: Message, context: Context) -> Message:
        """Answer one message to a council, as its executor would."""
        if number in self._losing and (number in self._lost or _asks_for_masked_input(message)):
            self._lost.add(number)
            return Message(Error(NOT_ANSWERED, "this council is lost"), reply_to=message)
        return self._apps[number](message, context)

    def lose(self, numbers: Collection[int]) -> None:
        """Have those of these councils that are here be gone from when they are next asked for their masked input."""
        self._losing, self._lost = frozenset(numbers), set()

    def close(self) -> None:
        """Close every node."""
        self._opened.close()


def _asks_for_masked_input(message: Message) -> bool:
    request = RelayedRequest.decode(unwrapped(message.content))
    return request.kind is RelayedKind.ASK and LinkMessage.decode(request.body).kind is Kind.SHARES


def _name(place: int) -> str:
    return f"councils-{place}"


@client.query()
def pass_on(message: Message, context: Context) -> Message:
    """Have a council's host answer."""
    number = int(context.node_config["partition-id"])
    host = ray.get_actor(_name(number % int(context.run_config["hosts"])))
    replied: Message = ray.get(host.reply.remote(number, message, context))
    return replied


# The coordinator's side


@server.main()
def main(grid: Grid, context: Context) -> None:
    """Run the whole scenario, and leave what it found, or the reason why not, for the command that started it."""
    home = Path(str(context.run_config["folder"]))
    scenario = pickle.loads((home / SCENARIO).read_bytes())  # noqa: S301 - from the command that started this process

    def tell(line: str) -> None:
        print(f"{PROGRESS}{line}", flush=True)  # noqa: T201 - to the command that started this process

    outcome: Simulation | FederatedError
    try:
        outcome = _simulated(scenario, home.parent, grid, int(context.run_config["hosts"]), tell)
    except FederatedError as problem:
        outcome = problem
    written = home / f"{OUTCOME}.part"
    written.write_bytes(pickle.dumps(outcome))
    written.replace(home / OUTCOME)


def _wait_for_ray() -> None:
    """Flower starts Ray in the main thread at the same time as this app, and Ray gives up when others are busy."""
    until = time.monotonic() + START_S
    while not ray.is_initialized():
        if time.monotonic() > until:
            raise InternalError(f"Flower's engine did not start Ray within {START_S:g} seconds.")
        time.sleep(LOOK_S)


def _simulated(scenario: Scenario, folder: Path, grid: Grid, hosts: int, tell: Tell) -> Simulation:
    _wait_for_ray()
    began = time.perf_counter()
    running: list[Any] = []
    with build_world(scenario, folder, open_nodes=partial(_open_in_hosts, running, hosts)) as world:
        setup_s = time.perf_counter() - began
        tell(f"{len(world.councils)} councils are set up after {setup_s:.1f} seconds.")
        rounds, traffic = asyncio.run(_ask_over_flower(world, grid, running, tell))
        return Simulation(
            scenario=scenario,
            councils=world.councils,
            setup_s=setup_s,
            rounds=rounds,
            traffic=traffic,
            memory_mib=sum(most_memory_mib(pid) for pid in _with_children(os.getpid())),
        )


@contextmanager
def _open_in_hosts(
    running: list[Any], hosts: int, files: Mapping[CouncilId, NodeFiles]
) -> Iterator[Mapping[CouncilId, Answer]]:
    """Start the hosts and have them open every node; no node is in this process."""
    numbered = dict(enumerate(files.values()))
    kept = ENGINES_KEPT // hosts
    actor = ray.remote(Host)
    running += [
        # No share of a core is asked for: Flower gives all of them to its workers, who only wait for the hosts.
        actor.options(name=_name(place), num_cpus=0).remote(
            {number: given for number, given in numbered.items() if number % hosts == place}, kept
        )
        for place in range(hosts)
    ]
    try:
        _everywhere(running, "lose", ())  # answered once every node is open
        yield {}
    finally:
        _everywhere(running, "close")


def _everywhere(hosts: Sequence[Any], method: str, *arguments: object) -> None:
    ray.get([getattr(host, method).remote(*arguments) for host in hosts])


class _FlowerLines:
    """The Flower link of a simulation: it counts bytes, and has hosts lose councils."""

    def __init__(self, world: World, grid: Grid, hosts: Sequence[Any]) -> None:
        roster = world.centre_files.roster
        self.traffic = {council: Traffic() for council in world.councils}
        self.link = FlowerLink(
            grid,
            coordinator_id=COORDINATOR,
            identities=lambda: {council: entry.public_key for council, entry in roster.councils.items()},
            rng=world.rng,
            probe_s=PATIENCE_S,
            again_s=AGAIN_S,
            fetch_s=LOOK_S,
            record=self._count,
        )
        self._numbers = {council: number for number, council in enumerate(world.councils)}
        self._hosts = hosts

    async def connected(self) -> None:
        """Wait until every council has proved itself."""
        self.link.start()
        until = time.monotonic() + START_S
        while len(self.link.connected()) < len(self._numbers):
            if time.monotonic() > until:
                raise InternalError(f"Not every council has proved itself over Flower within {START_S:g} seconds.")
            await asyncio.sleep(LOOK_S)

    def lose(self, councils: Sequence[CouncilId]) -> None:
        """Have these councils' connections break when they are next asked for their masked input."""
        _everywhere(self._hosts, "lose", [self._numbers[council] for council in councils])

    def find_again(self) -> None:
        """Connect every council that was lost again."""
        _everywhere(self._hosts, "lose", ())

    def _count(self, way: str, council: CouncilId, content: bytes) -> None:
        if way == "sent":
            self.traffic[council].received += len(content)
        elif way == "received":
            self.traffic[council].sent += len(content)


async def _ask_over_flower(
    world: World, grid: Grid, hosts: Sequence[Any], tell: Tell
) -> tuple[tuple[SimulatedRound, ...], Mapping[CouncilId, Traffic]]:
    lines = _FlowerLines(world, grid, hosts)
    try:
        await lines.connected()
        return await ask_all(world, lines, _quiet, tell), lines.traffic
    finally:
        await lines.link.close()


def _with_children(pid: int) -> Iterator[int]:
    """A process and all that it started, directly or not."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text(encoding="ascii").split():
            yield from _with_children(int(child))
