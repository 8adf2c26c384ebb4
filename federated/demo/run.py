"""Runs the demo's questions through all eight steps, and holds every answer against the synthetic truth."""

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path

from federated.budget_statement import BudgetStatement
from federated.client import Client, Trusted
from federated.commands.review import budget_rows
from federated.demo.papers import GROUP, manifest_payload
from federated.demo.questions import DemoQuestion, demo_questions
from federated.demo.world import World
from federated.errors import RoundAborted
from federated.outputs.writing import export_release
from federated.plan import Plan
from federated.query import Table
from federated.release import CellRecord, Release
from federated.synthetic import true_table
from protocols.identifiers import CouncilId
from protocols.wire import analyst_pb2 as pb

__all__ = ["Answer", "DemoResult", "StageClock", "held_against_truth", "run_questions", "truth_of", "write_report"]

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One question of the demo, answered.

    Attributes:
        question: What was asked.
        plan: Its plan.
        release: The answer.
        covered: Cells whose 95% interval holds the synthetic truth of the councils that contributed.
        seconds: From planning to the release, with everything the councils do.
        stage_seconds: Seconds by stage, as the analyst's client saw them.
    """

    question: DemoQuestion
    plan: Plan
    release: Release
    covered: int
    seconds: float
    stage_seconds: Mapping[str, float]

    @property
    def cells(self) -> int:
        """Cells printed."""
        return sum(len(table.cells) for table in self.release.tables)

    def as_json(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "id": self.question.id,
            "statistic": "+".join(sorted({table.statistic for table in self.release.tables})),
            "mechanism": self.release.mechanism,
            "cells": self.cells,
            "covered_95": self.covered,
            "declared_coverage": [cell.coverage for table in self.release.tables for cell in table.cells],
            "epsilon": self.release.cost.epsilon,
            "rho": self.release.cost.rho,
            "contributed": self.release.contributed,
            "seconds": round(self.seconds, 3),
            "stage_seconds": {stage: round(spent, 3) for stage, spent in self.stage_seconds.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """Everything the demo found out."""

    world: World
    answers: tuple[Answer, ...]
    budgets: Mapping[CouncilId, BudgetStatement | None]
    bytes_per_council: float

    def as_json(self) -> dict[str, object]:
        """The one object of ``--json``."""
        return {
            "councils": [{"code": council.id, "name": council.name} for council in self.world.councils.values()],
            "queries": [answer.as_json() for answer in self.answers],
            "budgets": [row for council, found in self.budgets.items() for row in budget_rows(council, found)],
            "bytes_per_council": round(self.bytes_per_council),
        }


def run_questions(world: World, *, epsilon: Fraction, seed: int, today: date, tell: Tell) -> DemoResult:
    """Ask every question; one council's node is killed during the last, to show what then happens.

    Args:
        world: The running federation.
        epsilon: Cost of each question.
        seed: Chooses the node that fails.
        today: For the manifests' dates.
        tell: Takes progress, one line at a time.
    """
    regions = [council.region for council in world.councils.values()]
    asked = demo_questions(GROUP, epsilon, regions=max(map(regions.count, regions)) >= 10)  # noqa: PLR2004 - min_cohort
    failing = random.Random(seed).choice(sorted(world.councils))  # noqa: S311 - which node fails is no secret
    answers = []
    with world.client() as client:
        trusted = client.trusted()
        for question in asked:
            last = question is asked[-1]
            tell(f"\n▸ {question.query.title}")
            answers.append(
                _ask(world, client, trusted, question, today=today, kills=failing if last else None, tell=tell)
            )
        budgets = client.budgets(trusted)
    rounds = len(asked)
    sent = [_bytes_sent(world, council) for council in world.councils if council != failing]
    return DemoResult(
        world=world, answers=tuple(answers), budgets=budgets, bytes_per_council=sum(sent) / len(sent) / rounds
    )


def _ask(
    world: World,
    client: Client,
    trusted: Trusted,
    question: DemoQuestion,
    *,
    today: date,
    kills: CouncilId | None,
    tell: Tell,
) -> Answer:
    folder = world.folder / "answers" / question.id
    folder.mkdir(parents=True)
    manifest = manifest_payload(question.id, question.query, today=today)
    (folder / "manifest.yaml").write_bytes(manifest)
    begun = time.perf_counter()
    stages = StageClock("plan")
    plan = client.plan(question.query, agreement=None, manifest=manifest, trusted=trusted)
    digest = b""
    for step in client.submit(plan, manifest):
        stages.at(step.stage)
        digest = step.release_digest or digest
        if (
            kills is not None
            and step.stage == pb.RUN_STAGE_SHARE_KEYS
            and world.processes.running[_name(kills)].alive()
        ):
            world.processes.kill(_name(kills))
            tell(f"  (the node of {world.councils[kills].name} is killed here, to show a council dropping out)")
    if not digest:
        raise RoundAborted(f"'{question.query.title}' got no answer: {step.message}")
    release = client.release(release_digest=digest)
    seconds = time.perf_counter() - begun
    export_release(release, folder)
    return Answer(
        question=question,
        plan=plan,
        release=release,
        covered=held_against_truth(world, question, release),
        seconds=seconds,
        stage_seconds=stages.seconds(),
    )


def _name(council: CouncilId) -> str:
    return f"councils/{council}/node"


class StageClock:
    """Seconds between the first steps of the stages, as the analyst sees them."""

    def __init__(self, first: str) -> None:
        self._marks: list[tuple[str, float]] = [(first, time.perf_counter())]

    def at(self, stage: int) -> None:
        """A step of this stage came."""
        name = pb.RunStage.Name(stage).removeprefix("RUN_STAGE_").lower()
        if name != self._marks[-1][0]:
            self._marks.append((name, time.perf_counter()))

    def seconds(self) -> dict[str, float]:
        """By stage, until now."""
        ends = [moment for _, moment in self._marks[1:]] + [time.perf_counter()]
        found: dict[str, float] = {}
        for (name, start), end in zip(self._marks, ends, strict=True):
            found[name] = found.get(name, 0.0) + end - start
        return found


def truth_of(world: World, question: DemoQuestion, table: Table, release: Release) -> dict[tuple[str, ...], Fraction]:
    """The exact table over the councils that contributed, counted by hand."""
    inside = {record.council for record in release.councils if record.outcome == "contributed"}
    recorded = [cases for cases in world.cases if cases.council in inside]
    return true_table(recorded, table, question.query.period, question.query.where)


def held_against_truth(world: World, question: DemoQuestion, release: Release) -> int:
    """How many cells' intervals hold the synthetic truth."""
    covered = 0
    for asked in question.query.tables:
        truth = truth_of(world, question, asked, release)
        covered += sum(_covers(cell, truth, asked) for cell in release.table(asked.name).cells)
    return covered


def _covers(cell: CellRecord, truth: Mapping[tuple[str, ...], Fraction], asked: Table) -> bool:
    exact = truth.get(cell.codes)
    if exact is None:
        # A mean over no one has no true value; whatever is said about it is not wrong.
        return asked.statistic == "mean" or cell.low <= 0 <= cell.high
    return cell.low <= exact <= cell.high


def _bytes_sent(world: World, council: CouncilId) -> float:
    """What a council's node sent in all its answers, from its own log."""
    total = 0
    for line in world.processes.running[_name(council)].log.read_text(encoding="utf-8").splitlines():
        if '"event": "answered"' in line:
            total += int(json.loads(line)["reply_bytes"])
    return total


def write_report(result: DemoResult, path: Path) -> None:
    """The JSON object as a file, beside the answers."""
    path.write_text(json.dumps(result.as_json(), indent=2) + "\n", encoding="utf-8")
