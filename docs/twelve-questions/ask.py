"""Asks the twelve questions of live council nodes, and reads every answer aloud.

    python docs/twelve-questions/ask.py

It starts a coordinator and twelve councils as processes of their own, with made-up records (federated/synthetic), and
puts the questions of questions.py to them through the analyst's own client. Everything but the records is real: keys,
agreement, gRPC, masks, noise and budget. What each answer means is worked out in reading.py, from the answer alone.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from pathlib import Path

from questions import COUNTED_UNTIL, YEAR, questions
from reading import READINGS, Figure, Reading, published_csv, twelfth

from federated.analysis.derived import write_derived
from federated.client import Client, Trusted
from federated.demo.papers import GROUP, manifest_payload
from federated.demo.world import World, build_world, demo_folder
from federated.errors import FederatedError, RoundAborted
from federated.outputs.chart import chart
from federated.outputs.writing import export_release
from federated.plan import Plan
from federated.plan_summary import summarise
from federated.presentation import margin
from federated.privacy import FILTER_SHARE_OF_DELTA, Mechanism, zcdp_epsilon
from federated.query import Period, Query
from federated.query.model import parse_epsilon
from federated.release import Release
from federated.shell import now_utc
from federated.synthetic import Cases, cases_of_a_year, events, placements, published_marginal, support_needs
from federated.synthetic.exact import Recorded, held, true_figures
from protocols.identifiers import CouncilId
from protocols.wire import analyst_pb2 as pb

Tell = Callable[[str], None]
LATER = {"q02_first": (date(2025, 1, 1), date(2025, 3, 31)), "q02_last": (date(2025, 10, 1), date(2025, 12, 31))}
"""Question 2 again, for two quarters, so that a change between two releases can be shown."""
FIGURES_SHOWN = 12
FIGURES_DRAWN = 60
PEOPLE_AT_ONCE = 2
FEWEST = 8
"""Question 7 crosses protected characteristics, which needs twice the smallest cohort there can be."""


# What is asked


def asked_questions(epsilon: Fraction) -> dict[str, Query]:
    """The twelve questions, put to the councils of this federation; the second is asked of two quarters as well."""
    asked = {name: replace(query, group=GROUP, epsilon=epsilon) for name, query in questions().items()}
    whole = asked["q02"]
    plain = replace(whole.tables[0], by=whole.tables[0].by[:2])
    for name, (start, end) in LATER.items():
        period = Period(column=whole.period.column, start=start, end=end)
        asked[name] = replace(whole, title=f"{whole.title}: {start} to {end}", period=period, tables=(plain,))
    return dict(sorted(asked.items()))


# What the councils hold


def a_year(council: CouncilId, seed: int) -> tuple[Cases, ...]:
    """A council's made-up year: cases with their journeys, support needs, placements and events."""
    cases = cases_of_a_year(council, seed, YEAR[0].year, known_until=COUNTED_UNTIL)
    return (
        cases,
        support_needs(cases, seed),
        placements(cases, seed, known_until=COUNTED_UNTIL),
        events(cases, seed),
    )


# Asking: plan, see the margin, submit, fetch


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One question with its plan and its release."""

    name: str
    plan: Plan
    release: Release


def ask(world: World, client: Client, trusted: Trusted, name: str, query: Query, *, tell: Tell) -> Answer:
    """Ask one question. Its margins are known, and told, before anything is spent."""
    manifest = manifest_payload(
        name.replace("_", "-"), query, today=now_utc().date(), question=f"{query.title}: {_period(query)}?"
    )
    plan = client.plan(query, agreement=None, manifest=manifest, trusted=trusted)
    for table in summarise(plan).tables:
        of = "figure" if table.is_total else "count behind a figure"
        tell(f"  Before asking: each {of} of '{table.name}' will be within about ± {table.margin_all:,.0f}.")
    steps, deciding = [], set[str]()
    with ThreadPoolExecutor(max_workers=PEOPLE_AT_ONCE) as people:
        for step in client.submit(plan, manifest):
            steps.append(step)
            if step.council_state == pb.COUNCIL_STATE_PENDING and step.council_id not in deciding:
                deciding.add(step.council_id)
                people.submit(world.approve, CouncilId(step.council_id), plan.digest)
    if deciding:
        tell(f"  No policy may approve this one: a person at each of {len(deciding)} councils did.")
    if not steps[-1].release_digest:
        raise RoundAborted(f"'{query.title}' got no answer: {steps[-1].message}")
    return Answer(name=name, plan=plan, release=client.release(release_digest=steps[-1].release_digest))


def _period(query: Query) -> str:
    return " to ".join(f"{day.day} {day:%B %Y}" for day in (query.period.start, query.period.end))


def in_order(client: Client, trusted: Trusted, asked: Mapping[str, Query]) -> dict[str, Query]:
    """The questions, those that want Gaussian noise last: once one has it, every later one of the year gets it too.

    Planning costs nothing. Under Gaussian noise a small table is a good deal less exact for the same epsilon.
    """
    planner = client.planner(agreement=None, manifest=b"", trusted=trusted)
    wanted = {name: planner.plan(query).mechanism for name, query in asked.items()}
    return dict(sorted(asked.items(), key=lambda item: wanted[item[0]] is Mechanism.DISCRETE_GAUSSIAN))


# Holding the answer against the truth, which only a made-up world has

Truths = Mapping[str, Mapping[tuple[str, ...], float | None]]


def coverage(answer: Answer, truths: Truths) -> tuple[int, int]:
    """How many intervals of an answer hold the truth, and of how many something is said and the truth is known."""
    verdicts = [
        held(cell.low, cell.high, truths[table.name][cell.codes])
        for table in answer.release.tables
        for cell in table.cells
        if cell.estimate is not None and cell.coverage < 1
    ]
    known = [verdict for verdict in verdicts if verdict is not None]
    return sum(known), len(known)


def published_totals(release: Release) -> dict[str, int]:
    """Published households by outcome, over the councils in the release; codes with a missing figure are left out."""
    inside = [record.council for record in release.councils if record.outcome == "contributed"]
    marginals = [published_marginal("assessment_outcome", CouncilId(council)) for council in inside]
    return {
        code: sum(marginal[code] or 0 for marginal in marginals)
        for code in marginals[0]
        if all(marginal[code] is not None for marginal in marginals)
    }


def spent(releases: Sequence[Release]) -> str:
    """What all answers together may have cost one household, as the councils' ledgers add it up."""
    costs = [release.cost for release in releases]
    delta = Fraction(costs[0].delta)
    rho = sum((Fraction(cost.rho) for cost in costs), Fraction(0))
    pure = [Fraction(cost.epsilon) for cost in costs if cost.epsilon is not None]
    sums = [zcdp_epsilon(rho, FILTER_SHARE_OF_DELTA * delta), *([sum(pure)] if len(pure) == len(costs) else [])]
    return f"Spent by each council on {len(costs)} questions: epsilon {float(min(sums)):.2f} at delta {float(delta):g}."


# Telling what it says


def read(name: str, releases: Mapping[str, Release]) -> Reading:
    """The reading of one question."""
    if name == "q12":
        return twelfth(releases, published_csv(published_totals(releases[name])))
    return READINGS[name](releases)


def tell_reading(answer: Answer, reading: Reading, truths: Truths, tell: Tell) -> None:
    """Print the figures that matter with their margins, then the sentences."""
    for figure in reading.figures[:FIGURES_SHOWN]:
        cell = next(item for item in answer.release.table(figure.table).cells if item.codes == figure.codes)
        exact = truths[figure.table][figure.codes]
        says_nothing = cell.estimate is None or cell.coverage >= 1
        told = "nothing can be said" if says_nothing else f"{_number(cell.estimate)} ± {_number(margin(cell))}"
        tell(f"    {figure.words}: {told}" + ("" if exact is None else f" [truth {_number(exact)}]"))
    if len(reading.figures) > FIGURES_SHOWN:
        tell(f"    … and {len(reading.figures) - FIGURES_SHOWN} more in the files")
    for sentence in reading.sentences:
        tell(f"  → {sentence}")
    for caveat in dict.fromkeys(table.caveat for table in answer.release.tables if table.caveat):
        tell(f"  ! {caveat}")


def _number(value: float | None) -> str:
    """Whole numbers from 100 on; three decimals below 10."""
    if value is None:
        return "nothing"
    size = abs(value)
    return f"{value:,.{0 if size >= 100 or value == int(value) else 1 if size >= 10 else 3}f}"  # noqa: PLR2004


def draw(answer: Answer, figures: Sequence[Figure], folder: Path) -> Path:
    """One chart of the figures that matter: those of the first table that has any."""
    table = answer.release.table(figures[0].table)
    drawn = [figure.codes for figure in figures if figure.table == table.name][:FIGURES_DRAWN]
    shown = table.model_copy(update={"cells": tuple(item for item in table.cells if item.codes in set(drawn))})
    path = folder / f"{answer.name}.svg"
    path.write_text(chart(answer.release, shown), encoding="utf-8")
    return path


# The whole of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Everything that was found out.

    Attributes:
        recorded: What the councils' extracts hold.
        answers: By name of the question.
        readings: Of the twelve.
        covered: Intervals that hold the truth, and of how many, by name of the question.
    """

    recorded: tuple[Recorded, ...]
    answers: Mapping[str, Answer]
    readings: Mapping[str, Reading]
    covered: Mapping[str, tuple[int, int]]


def ask_all(folder: Path, *, councils: int, epsilon: Fraction, seed: int, tell: Tell) -> Asked:
    """Start the federation, ask everything, read everything, and stop it."""
    asked = asked_questions(epsilon)
    tell(f"Starting a coordinator and {councils} councils …")
    with build_world(
        folder, count=councils, epsilon=epsilon, seed=seed, records=a_year, questions=tuple(asked.values())
    ) as world:
        answers, covered, truths = _answers(world, asked, tell)
    releases = {name: answer.release for name, answer in answers.items()}
    readings = {}
    for name in questions():
        answer = answers[name]
        reading = readings[name] = read(name, releases)
        place = folder / "answers" / name
        tell(f"\n{answer.name.upper()}. {answer.release.title}")
        tell_reading(answer, reading, truths[name], tell)
        draw(answer, reading.figures, place)
        for table in reading.analyses:
            write_derived(table, place / "analyses")
        tell("  {} of {} intervals hold the truth.".format(*covered[name]))
    tell(f"\n{spent(list(releases.values()))}")
    return Asked(recorded=tuple(world.recorded), answers=answers, readings=readings, covered=covered)


def _answers(
    world: World, asked: Mapping[str, Query], tell: Tell
) -> tuple[dict[str, Answer], dict[str, tuple[int, int]], dict[str, Truths]]:
    answers, covered = {}, {}
    truths: dict[str, Truths] = {}
    with world.client() as client:
        trusted = client.trusted()
        for name, query in in_order(client, trusted, asked).items():
            tell(f"{name}: {query.title}")
            answer = answers[name] = ask(world, client, trusted, name, query, tell=tell)
            truths[name] = true_figures(world.recorded, answer.plan, answer.release)
            covered[name] = coverage(answer, truths[name])
            export_release(answer.release, world.folder / "answers" / name)
    return answers, covered, truths


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Ask the twelve questions of live council nodes with made-up records.")
    parser.add_argument("--councils", type=int, default=12, help="how many; twelve are all of the North East")
    parser.add_argument("--epsilon", default="1/2", help="privacy cost of each question, such as 1 or 1/2")
    parser.add_argument("--seed", type=int, default=1, help="fixes the made-up records; noise is never fixed")
    parser.add_argument("--keep", type=Path, help="keep all files in this new folder")
    options = parser.parse_args(arguments)
    if options.councils < FEWEST:
        parser.error(f"--councils must be {FEWEST} or more: question 7 needs that many")
    begun = time.perf_counter()
    try:
        with demo_folder(options.keep) as folder:
            found = ask_all(
                folder,
                councils=options.councils,
                epsilon=parse_epsilon(options.epsilon),
                seed=options.seed,
                tell=_tell,
            )
    except FederatedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    covered, figures = (sum(column) for column in zip(*found.covered.values(), strict=True))
    _tell(
        f"\nAll together {covered} of {figures} intervals hold the truth ({100 * covered / figures:.1f}%; each is made "
        f"to hold it at least 95 times in 100). Done in {time.perf_counter() - begun:.0f} seconds."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
