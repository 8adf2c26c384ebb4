"""Many questions at once: turns, a silent council, and the edge of a budget, with a whole coordinator."""

import asyncio
import threading
import time
from collections import Counter
from contextlib import aclosing
from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest

from coordinator.progress import RunStage
from coordinator.simulate import Scenario, build_world
from coordinator.simulation_hub import Hub, Lines
from council_node.ledger import Ledger
from federated.demo.papers import GROUP
from federated.errors import RoundAborted
from federated.ledger_entries import RoundState
from federated.query import Dimension, Period, Query, Table
from federated.release import open_release
from protocols.wire.link_message import Kind, LinkMessage
from tests.integration.coordinator_federation import Federation
from tests.integration.link_harness import async_test

QUARTER = Period(column="assessment_date", start=date(2025, 1, 1), end=date(2025, 3, 31))
COLUMNS = (
    "assessment_outcome",
    "main_age_band",
    "reason_loss",
    "reason_loss_group",
    "household_type",
    "household_with_children",
    "main_sex",
)


@pytest.fixture
def federation(tmp_path):
    made = Federation(tmp_path)
    yield made
    made.store.close()


def set_rounds(federation: Federation, **changes: float) -> None:
    """Other limits, for the coordinators started from now on."""
    rounds = federation.settings.rounds.model_copy(update=changes)
    federation.settings = federation.settings.model_copy(update={"rounds": rounds})


class Watch:
    """Which rounds are under way at one council, by the kinds of message it is sent."""

    def __init__(self, federation: Federation) -> None:
        self.open: set[bytes] = set()
        self.most = 0
        federation.nodes[federation.councils[0]].before = self.see

    def see(self, message: LinkMessage) -> None:
        if message.kind is Kind.INVITE:
            self.open.add(message.reference)
            self.most = max(self.most, len(self.open))
        if message.kind in {Kind.RELEASE, Kind.ABORT}:
            self.open.discard(message.reference)


@async_test
async def test_questions_handed_in_together_all_get_the_right_answer(federation):
    async with federation.running() as running:
        plans = [federation.plan(nonce=number) for number in range(1, 13)]
        ends = await asyncio.gather(*(running.ask(plan, refresh=True) for plan in plans))
        await running.settle()
    assert [steps[-1].stage for steps in ends] == [RunStage.PUBLISHED] * 12
    for plan in plans:
        release = open_release(federation.store.releases.of_plan(plan.digest).content)
        assert list(release.tables[0].totals) == federation.expected()
        assert release.contributed == 8
    assert all(len(set(node.releases)) == 12 for node in federation.nodes.values())


@async_test
async def test_no_more_rounds_run_at_once_than_the_settings_say_and_the_others_are_told(federation):
    set_rounds(federation, at_once=2, at_most=2)
    watch = Watch(federation)
    async with federation.running() as running:
        plans = [federation.plan(nonce=number) for number in range(1, 7)]
        ends = await asyncio.gather(*(running.ask(plan, refresh=True) for plan in plans))
        await running.settle()
    assert [steps[-1].stage for steps in ends] == [RunStage.PUBLISHED] * 6
    # The answer to a round may reach this council after the next one's invitation.
    assert watch.most <= 4
    waited = [steps for steps in ends if any("2 rounds are under way" in step.message for step in steps)]
    assert len(waited) >= 4


@async_test
async def test_a_question_withdrawn_while_it_waits_for_its_turn_starts_no_round(federation):
    set_rounds(federation, at_once=1, at_most=1)
    async with federation.running() as running:
        plan = federation.plan()
        async with running.centre.desk._crew.turns.turn("another analyst", must_wait=lambda _running: None):
            await running.centre.desk.submit(*federation.signed(plan))
            async with aclosing(running.office.board.watch(plan.digest)) as steps:
                async for step in steps:
                    if "its turn" in step.message:
                        break
            row = federation.store.proposals.get(plan.digest)
            withdrawn = replace(row, state="withdrawn", reason="Not needed any more.")
            assert federation.store.outcomes.moved(withdrawn, before="ready")
        assert (await running.follow(plan.digest))[-1].message == "Not needed any more."
    assert not federation.store.rounds.of_plan(plan.digest)
    assert all(Kind.INVITE not in node.seen for node in federation.nodes.values())


@async_test
async def test_a_council_that_falls_silent_delays_nobody_past_the_deadline(federation):
    """It hangs in its first count for ever; every round of six goes on without it when its own deadline is over."""
    set_rounds(federation, at_once=2, long=0.1)
    deadline = 1.5
    stages = ("advert", "key_shares", "masked_input", "confirmation", "unmask")
    federation.set_timing(opening_wait=deadline, **dict.fromkeys(stages, deadline))
    go = threading.Event()
    silent = federation.councils[3]

    def hang(message: LinkMessage) -> None:
        if message.kind is Kind.SHARES:
            go.wait(30)

    federation.nodes[silent].before = hang
    try:
        async with federation.running() as running:
            plans = [federation.plan(nonce=number) for number in range(1, 7)]
            began = time.monotonic()
            ends = await asyncio.gather(*(running.ask(plan, refresh=True) for plan in plans))
            took = time.monotonic() - began
            go.set()
    finally:
        go.set()
    assert [steps[-1].stage for steps in ends] == [RunStage.PUBLISHED] * 6
    assert took < 2 * deadline + 2  # for its decision and for one stage; one by one, six times as long
    for plan in plans:
        release = open_release(federation.store.releases.of_plan(plan.digest).content)
        assert [record.council for record in release.councils if record.outcome != "contributed"] == [silent]
    # Of five rounds it was never even sent the request that makes a node spend its budget.
    assert federation.nodes[silent].seen.count(Kind.SHARES) == 1


def question(column: str) -> Query:
    return Query(
        title=f"Households by {column}",
        dataset="case",
        unit="household",
        group=GROUP,
        period=QUARTER,
        epsilon=Fraction(1),
        tables=(Table(name="by", statistic="households", by=(Dimension(column=column),)),),
    )


def test_at_the_edge_of_the_budget_no_ledger_goes_over_and_nothing_stays_reserved(tmp_path, monkeypatch):
    """Real nodes, seven questions at once, and a budget for three."""
    monkeypatch.setattr("coordinator.simulation_papers._budget", lambda _scenario, _delta: Fraction(3))
    scenario = Scenario(questions=tuple(question(column) for column in COLUMNS), councils=6)

    async def ask_all(world):
        lines = Lines(world.nodes, threads=4)
        try:
            async with Hub(world, lines.link, note=lambda _event, _fields: None) as hub:
                found = await asyncio.gather(*(hub.ask(item) for item in scenario.questions), return_exceptions=True)
                await hub.settle()
        finally:
            await lines.link.close()
        return found

    with build_world(scenario, tmp_path) as world:
        found = asyncio.run(ask_all(world))
        answered = [item for item in found if not isinstance(item, BaseException)]
        assert all(isinstance(item, RoundAborted) for item in found if item not in answered), found
        for council in world.councils:
            path = next((tmp_path / "councils" / council).rglob("ledger.db"))
            ledger = Ledger.read_only(path, council)
            states = Counter(item.state for item in ledger.rounds())
            spent, reserved = ledger.totals(world.centre_files.agreement.id, str(world.clock().year))
            ledger.close()
            assert spent.epsilon <= 3
            assert reserved.epsilon == 0
            assert states[RoundState.SPENT] == len(answered) == 3
