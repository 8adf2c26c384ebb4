"""What the simulated histories of faults found in the coordinator, each as a test of its own; see docs/faults.md."""

import asyncio
from datetime import timedelta

import pytest

from coordinator.progress import RunStage
from coordinator.store import DatabaseProblem
from coordinator.store.outcomes import OutcomeBook
from coordinator.store.proposals import ProposalBook
from protocols.wire.link_message import Kind, fault
from tests.integration.coordinator_federation import Federation
from tests.integration.link_harness import async_test, until


@pytest.fixture
def federation(tmp_path):
    made = Federation(tmp_path)
    yield made
    made.store.close()


@async_test
async def test_a_clock_that_is_set_back_does_not_put_off_asking_a_silent_council(federation):
    federation.set_timing(ask_again=1.0)
    council = federation.councils[0]
    node = federation.nodes[council]
    federation.offset = timedelta(days=1)
    async with federation.running() as running, asyncio.timeout(20):

        def set_back():
            federation.offset = timedelta(0)

        def silent_at_first(message):
            if message.kind is Kind.PROPOSAL and node.seen.count(Kind.PROPOSAL) == 1:
                # Between being asked and being due again.
                running.loop.call_soon_threadsafe(running.loop.call_later, 0.3, set_back)
                return fault(message.reference, "file", "The disk is full.").encode()
            return None

        node.before = silent_at_first
        steps = await running.ask(federation.plan())
    assert federation.offset == timedelta(0)
    assert steps[-1].stage is RunStage.PUBLISHED
    assert node.seen.count(Kind.PROPOSAL) == 2


@async_test
async def test_a_plan_handed_in_while_the_coordinator_starts_is_run_once(federation):
    plan = federation.plan()
    council = federation.councils[0]
    async with federation.running() as running:
        federation.nodes[council].decision = "pending"
        digest = await running.centre.desk.submit(*federation.signed(plan))
        await until(lambda: len(federation.store.proposals.decisions(digest)) == len(federation.councils))
    federation.nodes[council].decision = "approved"
    starting = federation.running()
    starting.loop = asyncio.get_running_loop()
    recovering = asyncio.create_task(starting.centre.start())
    submitting = asyncio.create_task(starting.centre.desk.submit(*federation.signed(plan)))
    await asyncio.gather(recovering, submitting)
    steps = await starting.follow(digest)
    await starting.__aexit__(None, None, None)
    assert [step.stage for step in steps if step.stage is RunStage.ACCEPTED] == [RunStage.ACCEPTED]
    assert steps[-1].stage is RunStage.PUBLISHED
    assert len(federation.store.rounds.of_plan(digest)) == 1


class Refusing:
    """A database that cannot be written for a while."""

    def __init__(self, monkeypatch, book, method, times):
        self.left = times
        write = getattr(book, method)

        def refusing(*args, **more):
            if self.left:
                self.left -= 1
                raise DatabaseProblem("The database cannot be used: database or disk is full.")
            return write(*args, **more)

        monkeypatch.setattr(book, method, refusing)


@async_test
async def test_a_question_goes_on_once_the_database_can_be_written_again(federation, monkeypatch):
    monkeypatch.setattr("coordinator.proposals._TRY_AGAIN_S", 0.05)
    refusing = Refusing(monkeypatch, OutcomeBook, "moved", 2)
    async with federation.running() as running, asyncio.timeout(20):
        steps = await running.ask(federation.plan())
    assert refusing.left == 0
    assert [step.rule for step in steps].count("database") == 2
    assert steps[-1].stage is RunStage.PUBLISHED


@async_test
async def test_a_round_whose_end_could_not_be_written_is_ended_once_it_can(federation, monkeypatch):
    monkeypatch.setattr("coordinator.proposals._TRY_AGAIN_S", 0.05)
    Refusing(monkeypatch, OutcomeBook, "released", 1)
    ending = Refusing(monkeypatch, OutcomeBook, "aborted", 2)
    plan = federation.plan()
    async with federation.running() as running, asyncio.timeout(20):
        steps = await running.ask(plan)
    assert ending.left == 0
    assert (steps[-1].stage, steps[-1].rule) == (RunStage.ABORTED, "database")
    assert "What was spent stays spent" in steps[-1].message
    row = federation.store.proposals.get(plan.digest)
    assert (row.state, row.rule) == ("failed", "database")
    assert federation.store.rounds.running() == ()


@async_test
async def test_decisions_that_could_not_be_kept_are_kept_with_the_next_move(federation, monkeypatch):
    Refusing(monkeypatch, ProposalBook, "keep_decisions", 1)
    plan = federation.plan()
    async with federation.running() as running, asyncio.timeout(20):
        steps = await running.ask(plan)
    assert steps[-1].stage is RunStage.PUBLISHED
    assert len(federation.store.proposals.decisions(plan.digest)) == len(federation.councils)
