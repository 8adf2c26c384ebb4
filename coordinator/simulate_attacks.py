"""Attacks on a federation in this process: their questions asked through its real parts, their guesses scored.

Nodes, policies, ledgers, plans, noise and secure aggregation are those of `coordinator.simulate`. Every answer is a
release; every cost is read off the signed statement of a node's own ledger. Each trial is one planted household with a
coin of its own, in a cell of its own: one answer decides about all of them, with independent noise for each.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import numpy as np

from coordinator.simulate import Scenario, build_world
from coordinator.simulation_figures import SimulatedRound
from coordinator.simulation_files import World
from coordinator.simulation_hub import Hub, Lines
from federated.attack.attacks import ATTACKS, BUDGET, SMALLER_GROUP, Attack, View
from federated.attack.bound import largest_success
from federated.attack.crowd import BOTH_QUARTERS, Crowd, make_crowd
from federated.attack.guess import Answered, success_by_likelihood, success_by_subtraction, success_under_hiding
from federated.attack.outcome import Attacked, Outcome
from federated.demo.world import choose_councils
from federated.errors import BudgetExceeded, RoundAborted
from federated.planner import worst_totals
from federated.privacy import Budget, Mechanism, Totals, check_budget
from federated.query import Query
from federated.statistics.offsets import cell_codes
from protocols.identifiers import CouncilId

__all__ = ["simulate_attacks"]

FREE_REPEATS: Final = 3
"""How often the identical question is asked once more, without asking for a fresh answer."""
MOST_ASKED: Final = 20
"""A ledger that lets more than this pass holds nothing back."""


def simulate_attacks(
    *,
    trials: int,
    seed: int,
    councils: int = 12,
    attacks: tuple[Attack, ...] = ATTACKS,
    mechanism: Mechanism | None = None,
    tell: Callable[[str], None] = lambda _line: None,
) -> Attacked:
    """Mount every attack, each on a federation and a year of its own.

    Args:
        trials: Planted households for each attack.
        seed: Fixes the records and the coins. Noise and masks are from the system's entropy.
        councils: In each federation.
        attacks: Which.
        mechanism: Of the noise; the planner chooses when None.
        tell: Takes progress, one line at a time.
    """
    outcomes = []
    for place, attack in enumerate(attacks):
        tell(f"{attack.title} …")
        crowd = make_crowd(tuple(choose_councils(councils)), trials=trials, seed=seed * len(ATTACKS) + place)
        outcomes.append(_mount(attack, crowd, mechanism))
    return Attacked(trials=trials, seed=seed, budget=BUDGET, outcomes=tuple(outcomes))


def _mount(attack: Attack, crowd: Crowd, mechanism: Mechanism | None) -> Outcome:
    began = time.perf_counter()
    questions = {view: view.question(attack.epsilon) for view in attack.views[: _affordable(attack) + 1]}
    scenario = Scenario(
        questions=tuple(questions.values()),
        councils=len(crowd.councils),
        mechanism=mechanism,
        budget=BUDGET,
        held=BOTH_QUARTERS,
        smaller_group=SMALLER_GROUP if any(view.smaller for view in questions) else None,
    )
    with (
        tempfile.TemporaryDirectory(prefix="attack-") as folder,
        build_world(scenario, Path(folder), cases=crowd.cases()) as world,
    ):
        asked = asyncio.run(_ask_until_refused(world, questions, crowd))
        delta = world.centre_files.agreement.budget_delta
    return Outcome(
        attack=attack,
        hidden={base: success_under_hiding(attack, crowd, base) for base in (1, 5, 10)},
        success=success_by_likelihood(asked.answers, crowd),
        by_subtraction=success_by_subtraction(asked.answers, attack.pairs, crowd),
        bound=largest_success(asked.spent, delta),
        spent=asked.spent,
        mechanism=asked.mechanism,
        answers=len(asked.answers),
        free_answers=asked.free,
        refusal=asked.refusal,
        seconds=time.perf_counter() - began,
    )


def _affordable(attack: Attack) -> int:
    """Answers that the budget pays for; the question after them is there to be refused."""
    return int(BUDGET / attack.epsilon)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What came of an attack's questions.

    Attributes:
        answers: Releases, in order.
        free: Times that the identical question was answered from the store at no cost.
        refusal: Why the last question was not answered.
        spent: What the ledger of the targets' own council has charged.
        mechanism: Of the answers' noise.
    """

    answers: tuple[Answered, ...]
    free: int
    refusal: str
    spent: Totals
    mechanism: str


async def _ask_until_refused(world: World, questions: Mapping[View, Query], crowd: Crowd) -> _Asked:
    lines = Lines(world.nodes, threads=os.cpu_count() or 1)
    answers: list[SimulatedRound] = []
    views: list[View] = []
    free, refusal = 0, ""
    try:
        async with Hub(world, lines.link, note=lambda _event, _fields: None) as hub:
            for view in islice(cycle(questions), MOST_ASKED):
                try:
                    answers.append(await hub.ask(questions[view]))
                except RoundAborted as error:
                    refusal = _over_budget(error, answers, await hub.spent(), world)
                    break
                views.append(view)
                await hub.settle()
                if len(answers) == 1:
                    free = await _asked_from_store(hub, questions[view], answers[0])
            spent = (await hub.spent())[crowd.home]
    finally:
        await lines.link.close()
    return _Asked(
        answers=tuple(_at_targets(found, view, crowd) for found, view in zip(answers, views, strict=True)),
        free=free,
        refusal=refusal,
        spent=spent,
        mechanism=answers[0].release.mechanism,
    )


def _over_budget(
    error: RoundAborted, answers: Sequence[SimulatedRound], spent: Mapping[CouncilId, Totals], world: World
) -> str:
    """What the coordinator and the first council said to a question, where the ledgers had to refuse it.

    Raises:
        RoundAborted: The budget was not the reason.
    """
    if not answers:
        raise error
    agreement = world.centre_files.agreement
    budget = Budget(epsilon=agreement.budget_epsilon, delta=agreement.budget_delta)
    try:
        check_budget(worst_totals(list(spent.values())), answers[-1].plan.charge, budget)
    except BudgetExceeded:
        return str(error)
    raise error


async def _asked_from_store(hub: Hub, question: Query, first: SimulatedRound) -> int:
    """Ask the identical question again, not for a fresh answer; how often it cost nothing and told nothing."""
    before, free = await hub.spent(), 0
    for _ in range(FREE_REPEATS):
        again = await hub.ask(question, refresh=False)
        free += again.release == first.release and await hub.spent() == before
    return free


def _at_targets(found: SimulatedRound, view: View, crowd: Crowd) -> Answered:
    [planned], [table] = found.plan.tables, found.release.tables
    places = {codes: place for place, codes in enumerate(cell_codes(planned.layout.axes))}
    totals = np.array(table.totals, dtype=np.int64)[[places[codes] for codes in crowd.cells]]
    release = found.release
    noise = found.plan.released_noise(0, joined=release.joined, contributors=release.contributed)
    return Answered(view=view, totals=totals, noise=noise)
