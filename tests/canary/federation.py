"""Rounds of a simulated federation with everything that could get out of a council swept up."""

import asyncio
import csv
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

from coordinator.link_connection import Record
from coordinator.office import Note
from coordinator.operations import Meter, telling
from coordinator.settings import OperationsSettings
from coordinator.simulate import Scenario, build_world
from coordinator.simulation_figures import SimulatedRound
from coordinator.simulation_files import Answer, World
from coordinator.simulation_hub import Hub, Lines
from federated.demo.papers import GROUP
from federated.demo.questions import demo_questions
from federated.errors import FederatedError
from federated.query import Dimension, Query, Table
from federated.synthetic import PUBLISHED_QUARTER
from protocols.identifiers import CouncilId
from tests.canary.harness import Sweep
from tests.integration.served_coordinator import free_port

CANARY = "Qz7mKw3vXp9t"
"""Letters of both cases and digits, long enough never to come up by chance."""
LINK = {"link, sent", "link, received"}
PLACES = {
    "node's log",
    "coordinator's folder",
    "coordinator's folder, tables",
    "nodes' folders",
    "nodes' folders, tables",
}
METRICS = {"coordinator's metrics"}
"""Health and metrics as its port tells them, after the last question."""
EXTRACT = frozenset({"extract.csv"})
"""The one file that may hold the canary."""

QUESTIONS = tuple(question.query for question in demo_questions(GROUP, Fraction(1), regions=False))


def many_cells(epsilon: int = 1) -> Query:
    """One table of 1,890 cells."""
    by = ("reason_loss", "main_age_band", "assessment_outcome")
    return Query(
        title="Households by reason, age and outcome",
        dataset="case",
        unit="household",
        group=GROUP,
        period=PUBLISHED_QUARTER,
        epsilon=Fraction(epsilon),
        tables=(Table(name="cells", statistic="households", by=tuple(Dimension(column=name) for name in by)),),
    )


def scenario(*questions: Query, councils: int = 5, **options: object) -> Scenario:
    return Scenario(questions=questions or QUESTIONS, councils=councils, seed=11, marker=CANARY, **options)


def poison(path: Path, canary: str = CANARY, *, every: int = 9) -> None:
    """Put the canary into every column of some rows: codes outside every list, unreadable dates and numbers."""
    with path.open(newline="", encoding="utf-8") as file:
        heading, *rows = csv.reader(file)
    for row in rows[::every]:
        row[:] = [f"{cell} {canary}".strip() for cell in row]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([heading, *rows])


def extracts(world: World) -> dict[CouncilId, Path]:
    return {council: world.folder / "councils" / council / "extract.csv" for council in world.councils}


Meddle = Callable[[World, Mapping[CouncilId, Answer]], Mapping[CouncilId, Answer]]


def sweep_rounds(
    folder: Path,
    sweep: Sweep,
    made: Scenario,
    *,
    meddle: Meddle = lambda _world, nodes: nodes,
    damage: Callable[[CouncilId, Path], None] = lambda _council, path: poison(path),
) -> World:
    """Ask every question of a scenario over the in-process link, and sweep up all there is to see.

    Args:
        folder: An empty one.
        sweep: Takes what is seen.
        made: What to ask.
        meddle: May put other functions in the place of nodes.
        damage: Done to each extract before anything is asked.
    """
    with build_world(made, folder, node_log=sweep.node_log) as world:
        for council, path in extracts(world).items():
            damage(council, path)
        asyncio.run(_ask(replace(world, nodes=meddle(world, world.nodes)), sweep))
    sweep_folders(folder, sweep)
    return world


def sweep_folders(folder: Path, sweep: Sweep) -> None:
    """Everything that coordinator and nodes have on their disks, the extracts themselves aside."""
    sweep.files("coordinator's folder", folder / "coordinator")
    sweep.files("nodes' folders", folder / "councils", leave_out=EXTRACT)


def run_over_lines(world: World, record: Record, note: Note = lambda _event, _fields: None) -> list[SimulatedRound]:
    """Ask every question of the world's scenario, as often as it says, with a recorder on the link."""

    async def run() -> list[SimulatedRound]:
        lines = Lines(world.nodes, threads=2, record=record)
        answered = []
        try:
            async with Hub(world, lines.link, note=note) as hub:
                for _ in range(world.scenario.rounds):
                    for question in world.scenario.questions:
                        lines.lose(tuple(world.councils)[: world.scenario.lost])
                        answered.append(await hub.ask(question))
                        lines.find_again()
                        await hub.settle()
        finally:
            await lines.link.close()
        return answered

    return asyncio.run(run())


def sweep_health(port: int, sweep: Sweep) -> None:
    """What a coordinator tells on its port for whoever watches the machine."""
    for place in ("metrics", "healthz", "readyz"):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{place}", timeout=20) as reply:
            sweep.add("coordinator's metrics", place, reply.read())


async def _well() -> None:
    """All is well, always."""


async def _ask(world: World, sweep: Sweep) -> None:
    lines, meter = Lines(world.nodes, threads=2, record=sweep.record), Meter()
    meter.plans = partial(asyncio.to_thread, world.centre_files.store.proposals.counts)

    def note(event: str, fields: Mapping[str, str | int]) -> None:
        # As `coordinator serve` has it: what is written to the log is counted.
        meter.hear(event, fields)
        sweep.note(event, fields)

    port = free_port()
    try:
        async with (
            Hub(world, lines.link, note=note) as hub,
            telling(OperationsSettings(port=port), meter, _well),
        ):
            for number, question in enumerate(world.scenario.questions):
                lost = tuple(world.councils)[: world.scenario.lost] if number == 0 else ()
                lines.lose(lost)
                try:
                    answered = await hub.ask(question)
                    sweep.add("answers", question.title, answered.release.encode())
                except FederatedError as problem:
                    sweep.add("told to the analyst", question.title, problem.diagnostics())
                lines.find_again()
                await hub.settle()
            await asyncio.to_thread(sweep_health, port, sweep)
    finally:
        await lines.link.close()
