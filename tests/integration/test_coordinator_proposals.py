"""The life of a proposal: decisions, stored answers, withdrawal, restarts; and what the store never holds."""

import asyncio
import base64
import json
import threading
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import MetaData, select

from coordinator.progress import CouncilState, RunStage
from coordinator.proposals import STOPPED
from coordinator.store import DatabaseProblem, RosterRow
from coordinator.store.book import Book
from coordinator.store.outcomes import OutcomeBook
from coordinator.store.tables import METADATA
from federated.agreement import AGREEMENT_TYPE, parse_agreement
from federated.errors import PolicyRefusal, SignatureProblem
from federated.release import open_release
from federated.roster import ROSTER_TYPE, parse_roster
from federated.signing import unsafe_payload
from protocols.wire.link_message import Kind, LinkMessage
from tests.integration.coordinator_federation import (
    ANN,
    QUESTION,
    REVIEWER,
    Federation,
    make_agreement,
    make_roster,
    replace,
)
from tests.integration.link_harness import async_test, until


@pytest.fixture
def federation(tmp_path, store_url):
    made = Federation(tmp_path, database=store_url)
    yield made
    made.store.close()


@async_test
async def test_the_identical_question_is_answered_from_the_store_at_no_cost(federation):
    async with federation.running() as running:
        first = federation.plan(nonce=1)
        await running.ask(first)
        asked = len(federation.nodes[federation.councils[0]].seen)
        again = await running.ask(federation.plan(nonce=2))
        await running.settle()
        assert again[-1].release_digest == federation.store.releases.of_plan(first.digest).digest
        assert len(again) == 1
        assert "no cost" in again[0].message
        assert "2026-01-10" in again[0].message
        seen = federation.nodes[federation.councils[0]].seen
        assert [kind for kind in seen[asked:] if kind is not Kind.RELEASE] == []
        refreshed = await running.ask(federation.plan(nonce=3), refresh=True)
        assert refreshed[-1].release_digest not in {None, again[-1].release_digest}
    assert federation.store.proposals.counts() == {"released": 2}


@async_test
async def test_how_the_councils_stand_is_kept_while_a_round_runs_and_no_longer(federation, monkeypatch):
    seen, lost, store = [], federation.councils[-1], federation.store
    write = OutcomeBook.went_on

    def went_on(book, rows):
        write(book, rows)
        seen.append({row.council: (row.outcome, row.stage, row.joined) for row in store.rounds.progress(rows[0].sid)})
        went_on.rows = rows

    monkeypatch.setattr(OutcomeBook, "went_on", went_on)
    async with federation.running() as running:
        running.cut(lost, Kind.SHARES)
        await running.ask(federation.plan())
    there, gone = federation.councils[0], ("dropped", "masked input", True)
    stages = ["advertise keys", "share keys", "masked input", "consistency check"]
    assert [stands[there] for stands in seen] == [("answered", stage, True) for stage in stages]
    assert [stands[lost] for stands in seen] == [*(("answered", stage, True) for stage in stages[:2]), gone, gone]
    sid = went_on.rows[0].sid
    assert len(store.rounds.councils(sid)) == len(federation.councils)
    assert store.rounds.progress(sid) == ()
    write(store.outcomes, went_on.rows)  # what comes late is not kept
    assert store.rounds.progress(sid) == ()


@async_test
async def test_an_answer_does_not_depend_on_whether_anybody_can_watch(federation, monkeypatch):
    def away(_book, _rows):
        raise DatabaseProblem("It is away.")

    monkeypatch.setattr(OutcomeBook, "went_on", away)
    async with federation.running() as running:
        assert (await running.ask(federation.plan()))[-1].release_digest is not None
        await running.settle()
    assert "background_failed" not in str(federation.events)


@async_test
async def test_a_question_of_another_epsilon_is_not_the_identical_question(federation):
    async with federation.running() as running:
        first = federation.plan(nonce=1)
        await running.ask(first)
        question = QUESTION.replace('epsilon: "1"', 'epsilon: "1/2"')
        other = federation.plan(nonce=2, question=question)
        steps = await running.ask(other)
        made = federation.store.releases.of_plan(other.digest)
        assert made is not None, "the other question was given the first one's answer"
        assert steps[-1].release_digest == made.digest
        assert federation.store.releases.of_plan(first.digest).digest != made.digest


@async_test
async def test_the_same_words_put_to_other_councils_are_not_the_identical_question(federation):
    async with federation.running() as running:
        await running.ask(federation.plan(nonce=1))
        envelope = make_agreement(federation.councils[:7], version=4)
        (federation.folder / "agreements" / "newer.dsse").write_bytes(envelope)
        federation.agreement = parse_agreement(unsafe_payload(envelope, AGREEMENT_TYPE))
        await running.centre.refresh()
        plan = federation.plan(nonce=2)
        steps = await running.ask(plan)
        assert "no cost" not in steps[-1].message
        assert open_release(federation.store.releases.of_plan(plan.digest).content).contributed == 7


@async_test
async def test_a_plan_that_came_to_nothing_is_not_taken_a_second_time(federation):
    for node in federation.nodes.values():
        node.decision = "refused"
    async with federation.running() as running:
        plan = federation.plan()
        await running.ask(plan)
        with pytest.raises(PolicyRefusal) as refusal:
            await running.centre.desk.submit(*federation.signed(plan))
        assert refusal.value.rule == "plan_used"


@async_test
async def test_handing_in_a_plan_twice_watches_its_run_and_asks_nobody_again(federation):
    async with federation.running() as running:
        plan = federation.plan()
        await running.ask(plan)
        seen = len(federation.nodes[federation.councils[0]].seen)
        steps = await running.ask(plan, refresh=True)
        assert steps[-1].release_digest == federation.store.releases.of_plan(plan.digest).digest
        await running.settle()
        assert federation.nodes[federation.councils[0]].seen[seen:] in ([], [Kind.RELEASE])
        assert len(federation.store.rounds.of_plan(plan.digest)) == 1


@async_test
async def test_two_identical_questions_at_once_share_one_run(federation):
    async with federation.running() as running:
        desk = running.centre.desk
        first, second = federation.plan(nonce=1), federation.plan(nonce=2)
        digests = await asyncio.gather(desk.submit(*federation.signed(first)), desk.submit(*federation.signed(second)))
        assert len(set(digests)) == 1
        await running.follow(digests[0])
    assert sum(federation.store.proposals.counts().values()) == 1


@async_test
async def test_a_round_waits_for_people_and_opens_when_all_have_decided(federation):
    slow = federation.nodes[federation.councils[3]]
    slow.decision = "pending"
    async with federation.running() as running:
        plan = federation.plan()
        digest = await running.centre.desk.submit(*federation.signed(plan))
        await until(lambda: slow.seen.count(Kind.PROPOSAL) >= 2)
        assert federation.store.proposals.get(digest).state == "collecting"
        slow.decision = "approved"
        steps = await running.follow(digest)
    assert steps[-1].stage is RunStage.PUBLISHED
    states = [step.council_state for step in steps if step.council == slow.council]
    assert states[:2] == [CouncilState.PENDING, CouncilState.APPROVED]  # asked again quietly in between
    assert slow.seen.count(Kind.PROPOSAL) >= 2
    assert open_release(federation.store.releases.of_plan(plan.digest).content).contributed == 8


@async_test
async def test_after_the_opening_wait_the_round_goes_on_without_the_undecided(federation):
    federation.nodes[federation.councils[0]].decision = "pending"
    federation.set_timing(opening_wait=1)
    async with federation.running() as running:
        plan = federation.plan()
        await running.ask(plan)
    release = open_release(federation.store.releases.of_plan(plan.digest).content)
    assert [record.outcome for record in release.councils] == ["pending", *["contributed"] * 7]
    assert Kind.INVITE not in federation.nodes[federation.councils[0]].seen


@async_test
async def test_too_many_refusals_end_the_proposal_with_nothing_spent(federation):
    for council in federation.councils[:3]:
        federation.nodes[council].decision = "refused"
        federation.nodes[council].rule = "column"
    async with federation.running() as running:
        plan = federation.plan()
        steps = await running.ask(plan)
    assert steps[-1].rule == "too_many_refused"
    assert sum(step.rule == "column" for step in steps) == 3
    assert federation.store.proposals.get(plan.digest).state == "refused"
    assert not federation.store.rounds.of_plan(plan.digest)
    kept = federation.store.proposals.decisions(plan.digest)
    assert [row.decision for row in kept] == ["refused"] * 3 + ["approved"] * 5


@async_test
async def test_a_proposal_expires_when_its_time_to_decide_is_over(federation):
    for node in federation.nodes.values():
        node.decision = "pending"
    async with federation.running() as running:
        plan = federation.plan(days=1)
        digest = await running.centre.desk.submit(*federation.signed(plan))
        await until(lambda: all(Kind.PROPOSAL in node.seen for node in federation.nodes.values()))
        federation.offset = timedelta(days=2)
        steps = await running.follow(digest)
    assert (steps[-1].stage, steps[-1].rule) == (RunStage.ABORTED, "collect_by")
    assert federation.store.proposals.get(plan.digest).state == "expired"


@async_test
async def test_an_operator_can_withdraw_a_proposal_while_councils_decide(federation):
    for node in federation.nodes.values():
        node.decision = "pending"
    async with federation.running() as running:
        plan = federation.plan()
        digest = await running.centre.desk.submit(*federation.signed(plan))
        await until(lambda: all(Kind.PROPOSAL in node.seen for node in federation.nodes.values()))
        row = federation.store.proposals.get(digest)
        withdrawn = replace(row, state="withdrawn", rule="withdrawn", reason="Withdrawn: a mistake.")
        assert federation.store.outcomes.moved(withdrawn, before=row.state)
        steps = await running.follow(digest)
        assert steps[-1].message == "Withdrawn: a mistake."
        for node in federation.nodes.values():
            node.decision = "approved"
        await asyncio.sleep(0.3)  # time enough to ask again, which must not happen
    assert federation.store.proposals.get(digest).state == "withdrawn"
    assert Kind.INVITE not in federation.nodes[federation.councils[0]].seen


@async_test
async def test_a_withdrawal_at_the_very_moment_of_opening_stops_the_round(federation):
    last = federation.nodes[federation.councils[-1]]

    def before(message):
        if message.kind is Kind.PROPOSAL:
            row = federation.store.proposals.get(message.reference)
            assert federation.store.outcomes.moved(replace(row, state="withdrawn", reason="Stop."), before=row.state)

    last.before = before
    async with federation.running() as running:
        plan = federation.plan()
        steps = await running.ask(plan)
        assert steps[-1].message == "Stop."
    assert federation.store.proposals.get(plan.digest).state == "withdrawn"
    assert not federation.store.rounds.of_plan(plan.digest)
    assert Kind.INVITE not in last.seen


@pytest.mark.parametrize("how", ["other_council", "other_plan", "other_signer", "no_decision"])
@async_test
async def test_a_decision_counts_only_when_the_council_signed_it_for_this_plan(federation, how):
    bad = federation.nodes[federation.councils[5]]
    other = federation.nodes[federation.councils[6]]

    def before(message):
        if message.kind is not Kind.PROPOSAL:
            return None
        payload = {
            "other_council": lambda: bad.statement(message, council=other.council),
            "other_plan": lambda: bad.statement(message, plan_digest="00" * 32),
            "other_signer": lambda: other.statement(message, council=bad.council),
            "no_decision": lambda: bad.statement(message, decision="perhaps"),
        }[how]()
        return LinkMessage(kind=Kind.DECISION, reference=message.reference, payload=payload).encode()

    bad.before = before
    federation.set_timing(opening_wait=1)
    async with federation.running() as running:
        plan = federation.plan()
        steps = await running.ask(plan)
    release = open_release(federation.store.releases.of_plan(plan.digest).content)
    assert release.councils[5].outcome == "unreachable"
    assert any(step.council == bad.council and step.rule == "signature" for step in steps)
    assert bad.council not in {row.council for row in federation.store.proposals.decisions(plan.digest)}


@async_test
async def test_a_plan_must_be_signed_by_an_analyst_and_fit_its_manifest(federation):
    async with federation.running() as running:
        desk = running.centre.desk
        plan = federation.plan()
        for key in (ANN, REVIEWER):
            with pytest.raises(SignatureProblem):
                await desk.submit(*federation.signed(plan, key=key))
        signed = federation.signed(plan)
        federation.manifest += b"# another\n"
        with pytest.raises(PolicyRefusal) as refusal:
            await desk.submit(signed[0], federation.signed(plan)[1])
        assert refusal.value.rule == "manifest_other"
        federation.offset = timedelta(days=11)
        with pytest.raises(PolicyRefusal) as refusal:
            await desk.submit(*signed)
        assert refusal.value.rule == "plan_dates"
    assert federation.store.proposals.counts() == {}


@async_test
async def test_a_failed_plan_runs_again_only_when_handed_in_again_and_within_its_attempts(federation):
    async with federation.running() as running:
        for council in federation.councils[:3]:
            running.cut(council, Kind.SHARES)
        plan = federation.plan()
        assert (await running.ask(plan))[-1].stage is RunStage.ABORTED
        for council in federation.councils[:3]:
            federation.nodes[council].before = lambda _message: None
            running.link.reconnect(council)
        steps = await running.ask(plan)
        assert steps[-1].stage is RunStage.PUBLISHED, steps[-1]
        assert [found.attempt for found in federation.store.rounds.of_plan(plan.digest)] == [1, 2]
        other = federation.plan(nonce=7)
        for council in federation.councils[:3]:
            running.cut(council, Kind.SHARES)
        for _ in range(2):
            await running.ask(other, refresh=True)
            for council in federation.councils[:3]:
                running.link.reconnect(council)
        with pytest.raises(PolicyRefusal) as refusal:
            await running.centre.desk.submit(*federation.signed(other), refresh=True)
        assert refusal.value.rule == "attempts"


async def crashed_in_a_round(federation):
    """A coordinator dies in the middle of a round; returns the plan's digest."""
    federation.set_timing(reconnect=60)  # the round hangs until the coordinator dies
    running = federation.running()
    await running.__aenter__()
    for council in federation.councils:
        running.cut(council, Kind.SHARES)
    digest = await running.centre.desk.submit(*federation.signed(federation.plan()))
    await running.until(digest, RunStage.MASKED_INPUT)
    await crash(running)
    return digest


async def crashed_while_councils_decide(federation):
    """A coordinator dies before councils have decided, who have by the time it is back; returns the plan's digest."""
    for node in federation.nodes.values():
        node.decision = "pending"
    running = federation.running()
    await running.__aenter__()
    digest = await running.centre.desk.submit(*federation.signed(federation.plan()))
    await running.until(digest, RunStage.PROPOSED)
    await crash(running)
    for node in federation.nodes.values():
        node.decision = "approved"
    return digest


async def crash(running):
    """Nothing is tidied up."""
    for _plan, task in running.centre.desk._runs.values():
        task.cancel()
    await asyncio.sleep(0)
    running.office.thread.close()
    await running.link.close()


@async_test
async def test_a_restart_ends_the_round_it_interrupted_and_never_runs_it_again_by_itself(federation):
    digest = await crashed_in_a_round(federation)
    (found,) = federation.store.rounds.of_plan(digest)
    assert found.outcome == "running"
    for node in federation.nodes.values():
        node.before = lambda _message: None
        node.seen.clear()
    async with federation.running() as again:
        await again.settle()
        row = federation.store.proposals.get(digest)
        assert (row.state, row.rule) == ("failed", "coordinator_stopped")
        (found,) = federation.store.rounds.of_plan(digest)
        assert found.outcome == "aborted"
        assert "stopped during this round" in found.reason
        assert all(node.seen == [Kind.ABORT] for node in federation.nodes.values())
        await again.centre.desk.ensure_watchable(digest)
        (step,) = await again.follow(digest)
        assert "stopped during this round" in step.message


@async_test
async def test_whoever_asks_before_a_restarted_coordinator_has_looked_hears_the_end_of_an_interrupted_round(federation):
    digest = await crashed_in_a_round(federation)
    assert [step.message for step in await asked_before_it_has_looked(federation, digest)] == [STOPPED]


@async_test
async def test_whoever_asks_before_a_restarted_coordinator_has_looked_follows_what_goes_on(federation):
    digest = await crashed_while_councils_decide(federation)
    assert (await asked_before_it_has_looked(federation, digest))[-1].stage is RunStage.PUBLISHED


@async_test
async def test_whoever_asks_before_a_restarted_coordinator_has_looked_hears_that_the_question_is_overtaken(federation):
    digest = await crashed_while_councils_decide(federation)
    federation.offset = timedelta(days=11)
    (step,) = await asked_before_it_has_looked(federation, digest)
    assert (step.stage, step.rule) == (RunStage.ABORTED, "plan_dates")


async def asked_before_it_has_looked(federation, digest):
    """The steps seen by somebody who watches before a coordinator that was restarted has looked at what was open."""
    for node in federation.nodes.values():
        node.before = lambda _message: None
    again = federation.running()
    await again.centre.desk.ensure_watchable(digest)
    assert again.office.board.known(digest), "an open question is denied"
    watching = asyncio.create_task(again.follow(digest))
    async with again:
        steps = await asyncio.wait_for(watching, 60)
        await again.settle()
    assert steps[-1].final
    return steps


@async_test
async def test_a_coordinator_that_was_replaced_releases_nothing(federation):
    plan, sids, ends = await two_coordinators(federation)
    (first, second) = federation.store.rounds.of_plan(plan.digest)
    assert [first.sid, second.sid] == sids
    assert [first.outcome, second.outcome] == ["aborted", "released"]
    assert federation.store.releases.of_plan(plan.digest).sid == second.sid
    assert [step.rule for step in ends] == ["coordinator_stopped", ""]
    assert "Another coordinator has taken over" in ends[0].message
    assert all(len(node.releases) == 1 for node in federation.nodes.values())


@async_test
async def test_without_the_desk_a_replaced_coordinator_would_release_the_round_that_was_ended(federation, monkeypatch):
    monkeypatch.setattr(Book, "_require_turn", lambda _self, _connection: None)
    plan, sids, _ends = await two_coordinators(federation)
    assert federation.store.releases.of_plan(plan.digest).sid == sids[0]


async def two_coordinators(federation):
    """One is not heard of during its round, is replaced, and goes on while the other runs the plan's next round.

    Returns:
        The plan, the two session ids, and the last step that each one's watchers saw.
    """
    plan = federation.plan()
    sids, may_go_on = [], [threading.Event(), threading.Event()]

    def hold(message):
        """Each round stops where one message of each council is missing for the sum."""
        if message.kind is Kind.INVITE and message.reference not in sids:
            sids.append(message.reference)
        if message.kind is Kind.STATEMENTS:
            assert may_go_on[sids.index(message.reference)].wait(60)

    for node in federation.nodes.values():
        node.before = hold
    async with federation.running(owner="theirs") as replaced:
        digest = await replaced.centre.desk.submit(*federation.signed(plan))
        await replaced.until(digest, RunStage.UNMASK)
        with pytest.raises(AssertionError, match="another coordinator has the desk"):
            federation.running(owner="ours")
        federation.offset = timedelta(seconds=federation.settings.proposals.lease + 1)
        async with federation.running(owner="ours") as current:
            assert federation.store.rounds.of_plan(digest)[0].outcome == "aborted"
            await current.centre.desk.submit(*federation.signed(plan))
            await current.until(digest, RunStage.UNMASK)
            assert federation.store.proposals.get(digest).state == "running"
            may_go_on[0].set()
            late = await replaced.follow(digest)
            may_go_on[1].set()
            steps = await current.follow(digest)
            await current.settle()
    return plan, sids, [late[-1], steps[-1]]


@async_test
async def test_stopping_in_the_middle_of_a_round_ends_it_and_tells_the_councils(federation):
    federation.set_timing(reconnect=60)
    async with federation.running() as running:
        running.stop_s = 1
        running.cut(federation.councils[0], Kind.SHARES)
        digest = await running.centre.desk.submit(*federation.signed(federation.plan()))
        await running.until(digest, RunStage.MASKED_INPUT)
    assert federation.store.rounds.of_plan(digest)[0].outcome == "aborted"
    assert federation.store.proposals.get(digest).state == "failed"
    assert federation.nodes[federation.councils[1]].seen[-1] is Kind.ABORT


@async_test
async def test_before_stopping_rounds_under_way_may_end_and_none_begins(federation):
    rounds = federation.settings.rounds.model_copy(update={"at_once": 1})
    federation.settings = federation.settings.model_copy(update={"rounds": rounds})
    async with federation.running() as running:
        async with running.centre._turns.turn("somebody", must_wait=lambda _running: None):  # a round under way
            digest = await running.centre.desk.submit(*federation.signed(federation.plan()))
            await until(lambda: federation.store.proposals.get(digest).state == "ready")
            await running.centre.drain(timeout_s=0.05)
            assert running.centre.rounds_under_way == 1
        await running.centre.drain(timeout_s=60)
        assert running.centre.rounds_under_way == 0
    assert (federation.store.proposals.get(digest).state, federation.store.rounds.of_plan(digest)) == ("ready", ())
    async with federation.running() as again:  # and the next coordinator begins it
        steps = await again.follow(digest)
        assert steps[-1].stage is RunStage.PUBLISHED


@async_test
async def test_a_proposal_on_which_people_still_decide_survives_a_restart(federation):
    for council in federation.councils[:4]:
        federation.nodes[council].decision = "pending"
    plan = federation.plan()
    async with federation.running() as running:
        digest = await running.centre.desk.submit(*federation.signed(plan))
        await until(lambda: len(federation.store.proposals.decisions(digest)) == 8)
    assert federation.store.proposals.get(digest).state == "collecting"
    for council in federation.councils:
        federation.nodes[council].decision = "approved"
        federation.nodes[council].seen.clear()
    async with federation.running() as again:
        steps = await again.follow(digest)
        assert steps[-1].stage is RunStage.PUBLISHED
    # Those that had approved were not asked a second time.
    assert Kind.PROPOSAL not in federation.nodes[federation.councils[5]].seen


@async_test
async def test_a_new_roster_overtakes_a_proposal_that_is_still_decided(federation):
    for node in federation.nodes.values():
        node.decision = "pending"
    async with federation.running(greet=True) as running:
        for council in federation.councils:
            running.centre.presence.on_event("connected", {"council": council})
        digest = await running.centre.desk.submit(*federation.signed(federation.plan()))
        await until(lambda: all(Kind.PROPOSAL in node.seen for node in federation.nodes.values()))
        envelope = make_roster(federation.councils, epoch=2)
        roster = parse_roster(unsafe_payload(envelope, ROSTER_TYPE))
        federation.store.membership.add_roster(
            RosterRow(epoch=2, digest=roster.digest, envelope=envelope, accepted_at=federation.now())
        )
        await running.centre.refresh()
        steps = await running.follow(digest)
        await running.settle()
    assert steps[-1].rule == "roster_changed"
    assert federation.store.proposals.get(digest).state == "expired"
    assert all(node.epochs == [1, 2] for node in federation.nodes.values())


def receipts(federation, plan):
    return federation.store.releases.deliveries(federation.store.releases.of_plan(plan.digest).digest)


@async_test
async def test_a_council_gets_the_roster_first_and_then_what_it_is_owed(federation):
    absent = federation.councils[2]
    async with federation.running() as running:
        running.cut(absent, Kind.SURVIVORS)  # its input is in the sum, so the answer is owed to it
        plan = federation.plan()
        await running.ask(plan)
        others = [node for council, node in federation.nodes.items() if council != absent]
        await until(lambda: all(node.releases for node in others))
        await until(lambda: sum(bool(row.receipt) for row in receipts(federation, plan)) == 7)
    release = federation.store.releases.of_plan(plan.digest)
    owed = [item.council for item in federation.store.releases.deliveries(release.digest) if item.receipt is None]
    assert owed == [absent]
    node = federation.nodes[absent]
    node.before = lambda _message: None
    node.seen.clear()
    async with federation.running(greet=True) as again:
        assert again.centre.presence.ready() == frozenset()
        again.centre.presence.on_event("connected", {"council": absent})
        await again.settle()
        assert again.centre.presence.ready() == {absent}
    assert node.seen == [Kind.ROSTER, Kind.RELEASE]
    assert node.releases == [release.content]
    assert not federation.store.releases.owed(absent)


@async_test
async def test_a_receipt_for_something_else_does_not_settle_a_delivery(federation):
    node = federation.nodes[federation.councils[0]]

    def before(message):
        if message.kind is not Kind.RELEASE:
            return None
        payload = node.receipt(message, "00" * 32)
        return LinkMessage(kind=Kind.RECEIPT, reference=message.reference, payload=payload).encode()

    node.before = before
    async with federation.running() as running:
        plan = federation.plan()
        await running.ask(plan)
        await running.settle()
    release = federation.store.releases.of_plan(plan.digest)
    assert [row.digest for row in federation.store.releases.owed(node.council)] == [release.digest]


@async_test
async def test_the_store_holds_no_councils_figures_masked_or_not(federation):
    masked, shares = [], []
    for node in federation.nodes.values():
        node.figures = np.array([0x1B2D3F4A5C00 + index for index in range(len(node.figures))]) + 7 * len(masked)
        serve = node.answer

        def keep(request, serve=serve):
            reply = LinkMessage.decode(serve(request))
            {Kind.MASKED_INPUT: masked, Kind.KEY_SHARES: shares}.get(reply.kind, []).append(reply.payload)
            return reply.encode()

        node.answer = keep
    async with federation.running() as running:
        plan = federation.plan()
        await running.ask(plan)
        await running.settle()
    assert len(masked) == len(shares) == 8
    dump = _dump(federation.store.engine)
    assert plan.digest.hex() in dump  # the dump does see what is there
    width = plan.ring.width
    for payload in masked:
        vector = payload[-width * plan.cells :]
        for form in (vector, vector[: 4 * width]):
            assert form.hex() not in dump
            assert base64.b64encode(form).decode()[:20] not in dump
    for payload in shares:
        tail = payload[-176:]  # a ciphertext
        assert tail.hex() not in dump
    for node in federation.nodes.values():
        assert not any(str(int(figure)) in dump for figure in node.figures)


def _dump(engine):
    """Every value of every table as text, bytes both as hexadecimal and as they read."""
    found = MetaData()
    found.reflect(engine)
    parts = []
    with engine.connect() as connection:
        for table in found.tables.values():
            for row in connection.execute(select(table)):
                for value in row:
                    if isinstance(value, bytes):
                        parts += [value.hex(), value.decode("utf-8", "replace")]
                        parts += [_payload(value)]
                    else:
                        parts.append(str(value))
    assert set(found.tables) == {*METADATA.tables, "alembic_version"}
    return "\n".join(parts)


def _payload(value):
    try:
        return base64.b64decode(json.loads(value)["payload"]).decode("utf-8", "replace")
    except (ValueError, KeyError, TypeError):
        return ""
