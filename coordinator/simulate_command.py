"""`coordinator simulate`: the whole federation on one computer, for planning capacity before councils are asked."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table as Grid

from coordinator.simulation_growth import MEASURES, Growth, measure_growth
from federated.errors import FileProblem
from federated.query import Dimension, Period, Query, Table, load_query
from federated.query.model import parse_epsilon
from federated.shell import output
from protocols.secagg import Profile

if TYPE_CHECKING:
    from coordinator.simulation_figures import Simulation
    from coordinator.simulation_papers import Scenario

__all__ = ["needs_node", "simulate"]

NODE_PARTS = frozenset({"duckdb", "council_node"})


class Engine(StrEnum):
    """Where coordinator and councils run."""

    PROCESS = "process"
    FLOWER = "flower"


def simulate(
    *,
    councils: Annotated[int, typer.Option(help="How many councils; twelve are all of the North East.")] = 12,
    epsilon: Annotated[
        str | None,
        typer.Option(help="Privacy cost of each question, such as 1 or 1/2; the question's own if left out."),
    ] = None,
    question: Annotated[
        Path | None, typer.Option(help="The question, a YAML file; households by three columns if left out.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Fixes the synthetic cases and which councils are lost.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="How often the question is asked.")] = 1,
    profile: Annotated[
        Profile | None, typer.Option(help="How many councils may collude; standard from ten councils on if left out.")
    ] = None,
    lost: Annotated[int, typer.Option(min=0, help="Councils lost in each round after they have dealt keys.")] = 0,
    engine: Annotated[
        Engine,
        typer.Option(help="All in one process, or spread over several by Flower's simulation engine and Ray."),
    ] = Engine.PROCESS,
    growth: Annotated[
        bool,
        typer.Option(
            "--growth",
            help="Run at more and more councils up to --councils, and at more and more cells, and say how costs grow.",
        ),
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Run coordinator and councils on this computer, with synthetic cases, and say what a question takes.

    Every part is the real one but the network. Needs the council node's packages beside the coordinator's.

    Example: coordinator simulate --councils 296 --question question.yaml
    """
    with needs_node():
        from coordinator.simulate import Scenario  # noqa: PLC0415 - no other command waits for the node's packages
        from coordinator.simulate import simulate as in_this_process  # noqa: PLC0415 - as above
        from coordinator.simulate_flower import simulate_on_flower  # noqa: PLC0415 - as above
    asked = default_question() if question is None else load_query(question)
    scenario = Scenario(questions=(asked,), councils=councils, seed=seed, rounds=rounds, profile=profile, lost=lost)
    if epsilon is not None:
        scenario = scenario.with_epsilon(parse_epsilon(epsilon))

    def tell(line: str) -> None:
        if not json_:
            output.print(line, markup=False)

    if growth:
        _tell_growth(scenario, engine, tell, as_json=json_)
        return
    run = simulate_on_flower if engine is Engine.FLOWER else in_this_process
    found = run(scenario, tell=tell)
    if json_:
        output.print_json(json.dumps(found.as_json()))
    else:
        print_simulation(found)


@contextmanager
def needs_node() -> Iterator[None]:
    """Say what to install where the packages of the council node are missing.

    Raises:
        FileProblem: They are.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in NODE_PARTS:
            raise
        raise FileProblem(
            f"The package '{error.name}' of the council node is not installed.",
            remedy="Install council-federation with its extras node and coordinator.",
        ) from error


def _tell_growth(scenario: "Scenario", engine: Engine, tell: Callable[[str], None], *, as_json: bool) -> None:
    options = ["--seed", str(scenario.seed), "--rounds", str(scenario.rounds), "--lost", str(scenario.lost)]
    options += ["--engine", engine.value]
    if scenario.profile is not None:
        options += ["--profile", scenario.profile.value]
    growths = measure_growth(scenario.questions[0], scenario.councils, options=options, tell=tell)
    if as_json:
        output.print_json(json.dumps({"version": 1, "growth": [item.as_json() for item in growths]}))
        return
    for item in growths:
        output.print(_growth_grid(item))
    output.print("An exponent p says that twice the size costs 2 to the power p times as much: 1 is in proportion.")


def _growth_grid(found: Growth) -> Grid:
    grid = Grid("Councils", "Cells", *MEASURES.values(), title=f"Growth with {found.by}")
    for rung in found.rungs:
        figures = f"{rung.seconds:.2f}", f"{rung.sent:,}", f"{rung.received:,}", f"{rung.memory_mib:,}"
        grid.add_row(f"{rung.councils:,}", f"{rung.cells:,}", *figures)
    grid.add_section()
    for name, fit in (("exponent, all", found.exponents), ("exponent, last two", found.at_the_top)):
        grid.add_row(name, "", *(f"{fit[measure]:.2f}" for measure in MEASURES))
    return grid


def default_question() -> Query:
    """Households by reason, age and outcome in the quarter of the published figures: many cells, most of them small."""
    by = tuple(Dimension(column=name) for name in ("reason_loss", "main_age_band", "assessment_outcome"))
    return Query(
        title="Households by reason for loss of home, age and outcome",
        dataset="case",
        unit="household",
        group="everyone",
        period=Period(column="assessment_date", start=date(2025, 1, 1), end=date(2025, 3, 31)),
        epsilon=Fraction(1),
        tables=(Table(name="reasons", statistic="households", by=by),),
    )


def print_simulation(found: "Simulation") -> None:
    """Print what a simulation found out, as tables."""
    output.print(_seconds(found))
    output.print(_noise(found))
    sent, received = found.bytes_per_council()
    output.print(f"Each council sent {sent:,} bytes for a question and received {received:,}, before TLS.")
    held = [cell for item in found.rounds for cell in item.cells()]
    known = [cell for cell in held if cell.truth is not None]
    declared = sum(cell.cell.coverage for cell in known)
    output.print(
        f"{sum(bool(cell.held) for cell in known):,} of {len(known):,} intervals hold the exact value; their declared "
        f"coverage adds up to {declared:,.0f}."
    )
    if len(known) < len(held):
        output.print(f"{len(held) - len(known)} means are over no one and have no exact value.")
    output.print(
        f"Set up in {found.setup_s:.1f} seconds. At most {found.memory_mib:,} MiB of memory, all parties together."
    )


def _seconds(found: "Simulation") -> Grid:
    grid = Grid("Step", "Mean", "Longest", title="Seconds of a round, all parties on this computer")
    for step in found.rounds[0].seconds:
        spent = [item.seconds[step] for item in found.rounds]
        grid.add_row(step, f"{sum(spent) / len(spent):.2f}", f"{max(spent):.2f}")
    spent = [sum(item.seconds.values()) for item in found.rounds]
    grid.add_row("all", f"{sum(spent) / len(spent):.2f}", f"{max(spent):.2f}")
    return grid


def _noise(found: "Simulation") -> Grid:
    grid = Grid(
        "Round", "Councils in", "Table", "Noise", "Numbers", "Planned sd", "Found sd", title="Noise in the totals"
    )
    for number, item in enumerate(found.rounds, start=1):
        law = item.release.mechanism.replace("_", " ")
        inside = f"{item.release.contributed} of {len(item.release.councils)}"
        for table in item.noise():
            figures = f"{table.planned_sd:.4g}", f"{table.found_sd:.4g}"
            grid.add_row(str(number), inside, table.name, law, f"{table.numbers:,}", *figures)
    return grid
