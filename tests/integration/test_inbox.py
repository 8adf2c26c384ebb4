"""Plans that come over the web: who may hand in, what becomes of them, and that no crash makes councils pay twice."""

import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from coordinator import inbox as inbox_module
from coordinator.backup import backup, restore
from coordinator.console.visitor import NOBODY
from coordinator.inbox import LARGEST, MOST_A_DAY, MOST_OF_ALL, MOST_WAITING, HandedIn, Inbox, hand_in
from coordinator.progress import RunStage
from coordinator.proposal_states import ProposalState
from coordinator.roster import load_membership
from coordinator.sign_in.operations import visitor
from coordinator.store import AccountRow, DatabaseProblem, DeskLost, open_store
from coordinator.store.inbox import InboxBook
from federated.errors import FederatedError, PolicyRefusal, SignatureProblem
from protocols.wire.link_message import Kind
from tests.integration.coordinator_federation import REVIEWER, SCHEMA, Federation
from tests.integration.link_harness import async_test
from tests.integration.served_coordinator import connected, served

AGREEMENT = "north-east-2026"


@pytest.fixture
def federation(tmp_path):
    yield from with_account(tmp_path, None)


@pytest.fixture
def on_both(tmp_path, store_url):
    """The same on each of the databases, where what is tested depends on them."""
    yield from with_account(tmp_path, store_url)


def with_account(folder, url):
    made = Federation(folder, database=url)
    add_account(made, "ann")
    yield made
    made.store.close()


def add_account(federation, name, *, roles="analyst", agreements=AGREEMENT):
    now = federation.now()
    row = AccountRow(name=name, kind="local", roles=roles, agreements=agreements, created_at=now, changed_at=now)
    assert federation.store.accounts.add(row, by="command line")


def give(federation, plan, *, who="ann", key=None, refresh=False, signed=None):
    """Hand a plan in, as the pages do."""
    account = federation.store.accounts.get(who)
    plan_envelope, manifest_envelope = federation.signed(plan) if signed is None else signed
    return hand_in(
        federation.store,
        HandedIn(plan_envelope=plan_envelope, manifest_envelope=manifest_envelope, refresh=refresh, key=key),
        visitor=NOBODY if account is None else visitor(account),
        membership=load_membership(federation.settings, federation.store, federation.now()),
        schema=SCHEMA,
        now=federation.now(),
    )


def audited(federation):
    return [(row.who, row.operation, row.outcome) for _, row in reversed(federation.store.audit.latest(size=50))]


def rounds_of(federation, plan):
    return [found.outcome for found in federation.store.rounds.of_plan(plan.digest)]


# --- what becomes of a plan ---


@async_test
async def test_a_plan_that_is_handed_in_is_taken_run_and_answered(federation):
    plan = federation.plan()
    row = give(federation, plan)
    assert (row.state, row.plan_digest, row.account, row.agreement_id) == ("waiting", plan.digest, "ann", AGREEMENT)
    async with federation.running() as running:
        assert await running.centre.inbox.take() == 1
        steps = await running.follow(plan.digest)
        assert await running.centre.inbox.take() == 0
    assert steps[-1].stage is RunStage.PUBLISHED
    settled = federation.store.inbox.latest_of(plan.digest)
    assert (settled.state, settled.watch_digest, settled.rule, settled.message) == ("settled", plan.digest, "", "")
    assert (settled.plan_envelope, settled.manifest_envelope) == (b"", b"")
    assert settled.received_at <= settled.taken_at <= settled.settled_at
    assert ("ann", "hand in question", "done") in audited(federation)


@async_test
async def test_the_identical_question_says_which_run_to_watch(federation):
    first, second = federation.plan(nonce=1), federation.plan(nonce=2)
    give(federation, first)
    give(federation, second)
    async with federation.running() as running:
        assert await running.centre.inbox.take() == 2
        await running.follow(first.digest)
    assert federation.store.inbox.latest_of(second.digest).watch_digest == first.digest
    assert federation.store.proposals.get(second.digest) is None


@async_test
async def test_plans_that_were_withdrawn_or_whose_time_is_over_say_so(federation):
    late, taken_back = federation.plan(nonce=1, days=1), federation.plan(nonce=2)
    give(federation, late)
    for node in federation.nodes.values():
        node.decision = "pending"
    async with federation.running() as running:
        await running.centre.desk.submit(*federation.signed(taken_back))
        await running.until(taken_back.digest, RunStage.PROPOSED)
    row = federation.store.proposals.get(taken_back.digest)
    ended = replace(row, state=ProposalState.WITHDRAWN.value, rule="withdrawn", reason="Withdrawn: by the analyst.")
    assert federation.store.outcomes.moved(ended, before=row.state)
    give(federation, taken_back)
    federation.offset = timedelta(days=2)
    async with federation.running() as running:
        await running.centre.inbox.take()
    expired, withdrawn = (federation.store.inbox.latest_of(plan.digest) for plan in (late, taken_back))
    assert (expired.rule, expired.watch_digest) == ("plan_dates", None)
    assert "it is now 03 February" in expired.message
    assert withdrawn.rule == "plan_used"
    assert "is withdrawn: Withdrawn: by the analyst." in withdrawn.message


def test_a_coordinator_that_serves_takes_what_waits_by_itself(tmp_path):
    with served(tmp_path, f"sqlite:///{tmp_path / 'store.db'}") as made, connected(made, made.coordinators):
        federation, plan = made.federation, made.federation.plan()
        add_account(federation, "ann")
        made.first.start()
        give(federation, plan)
        end = time.monotonic() + 60
        while federation.store.releases.of_plan(plan.digest) is None:
            assert time.monotonic() < end, federation.store.inbox.latest_of(plan.digest)
            time.sleep(0.1)
        assert federation.store.inbox.latest_of(plan.digest).watch_digest == plan.digest


# --- who may hand in, and how much ---


@pytest.mark.parametrize("who", ["nobody", "reviewer", "operator", "stranger"])
def test_only_an_analyst_of_the_agreement_hands_in(federation, who):
    add_account(federation, "reviewer", roles="reviewer")
    add_account(federation, "operator", roles="operator", agreements="")
    add_account(federation, "stranger", agreements="another")
    with pytest.raises(PolicyRefusal) as refused:
        give(federation, federation.plan(), who=who)
    assert refused.value.rule == "not_allowed"
    assert federation.store.inbox.unsettled(size=9) == ()
    assert ((who, "propose", "refused") in audited(federation)) is (who != "nobody")


def test_what_the_coordinator_would_refuse_is_refused_at_once(federation):
    plan, other = federation.plan(nonce=1), federation.plan(nonce=2)
    envelope, manifest = federation.signed(plan)
    for signed in [
        federation.signed(plan, key=REVIEWER),
        (envelope.replace(b'"payload":"', b'"payload":"A'), manifest),
        (envelope, federation.signed(other, key=REVIEWER)[1]),
        (b"{}", manifest),
        (b"", b""),
    ]:
        with pytest.raises((SignatureProblem, FederatedError)):
            give(federation, plan, signed=signed)
    federation.offset = timedelta(days=60)
    with pytest.raises(PolicyRefusal, match="may be handed in"):
        give(federation, plan)
    assert federation.store.inbox.unsettled(size=9) == ()


def test_nothing_larger_than_grpc_takes_is_kept(federation):
    envelope, manifest = federation.signed(federation.plan())
    for signed, key in [((envelope + b" " * LARGEST, manifest), None), ((envelope, manifest), "k" * 201)]:
        with pytest.raises(PolicyRefusal) as refused:
            give(federation, federation.plan(), signed=signed, key=key)
        assert refused.value.rule == "inbox_size"


def test_the_same_key_is_the_same_request_and_another_question_under_it_is_refused(on_both):
    federation = on_both
    plan, other = federation.plan(nonce=1), federation.plan(nonce=2)
    first = give(federation, plan, key="today")
    assert give(federation, plan, key="today").number == first.number
    federation.store.inbox.settle(first.number, now=federation.now(), watch=plan.digest)
    again = give(federation, plan, key="today")
    assert (again.number, again.state) == (first.number, "settled")
    for changes in [{"plan": other}, {"plan": plan, "refresh": True}]:
        with pytest.raises(PolicyRefusal) as refused:
            give(federation, key="today", **changes)
        assert refused.value.rule == "key_reused"
    add_account(federation, "bob")
    assert give(federation, plan, who="bob", key="today").number != first.number
    assert give(federation, plan, key="tomorrow").number != first.number


def test_without_a_key_what_waits_already_is_not_kept_twice(federation):
    plan = federation.plan()
    first = give(federation, plan)
    assert give(federation, plan).number == first.number
    federation.store.inbox.settle(first.number, now=federation.now(), watch=plan.digest)
    assert give(federation, plan).number != first.number


def test_what_waits_and_what_comes_in_a_day_is_bounded(on_both, monkeypatch):
    federation = on_both
    monkeypatch.setattr(inbox_module, "MOST_WAITING", 2)
    monkeypatch.setattr(inbox_module, "MOST_A_DAY", 3)
    monkeypatch.setattr(inbox_module, "MOST_OF_ALL", 4)
    for name in ("bob", "cem"):
        add_account(federation, name)
    plans = iter([federation.plan(nonce=number) for number in range(1, 12)])

    def full(who):
        before = len(federation.store.inbox.unsettled(size=99))
        with pytest.raises(PolicyRefusal) as refused:
            give(federation, next(plans), who=who)
        assert len(federation.store.inbox.unsettled(size=99)) == before
        return refused.value.rule == "inbox_full"

    rows = [give(federation, next(plans), who="ann") for _ in range(2)]
    assert full("ann")
    for row in rows:
        federation.store.inbox.settle(row.number, now=federation.now(), watch=row.plan_digest)
    give(federation, next(plans), who="ann")
    assert full("ann")  # the third was the last of the day
    for who in ("bob", "bob", "cem"):
        give(federation, next(plans), who=who)
    assert full("cem")  # four wait in all
    assert (MOST_WAITING, MOST_A_DAY, MOST_OF_ALL) == (20, 200, 100)


@async_test
async def test_a_right_taken_away_counts_for_what_waits(federation):
    plan = federation.plan()
    give(federation, plan)
    federation.store.accounts.set_state("ann", "locked", by="command line", now=federation.now())
    async with federation.running() as running:
        await running.centre.inbox.take()
    assert federation.store.inbox.latest_of(plan.digest).rule == "not_allowed"
    assert federation.store.proposals.get(plan.digest) is None


# --- crashes and bad rows ---


def break_settling(federation, monkeypatch):
    """The database goes away between the desk's taking of a plan and the writing of its outcome."""
    settle = InboxBook.settle

    def broken(*_arguments, **_named):
        monkeypatch.setattr(InboxBook, "settle", settle)
        raise DatabaseProblem("gone")

    monkeypatch.setattr(InboxBook, "settle", broken)


@async_test
async def test_a_crash_before_the_outcome_is_written_begins_no_second_round(on_both, monkeypatch):
    federation = on_both
    plan = federation.plan()
    give(federation, plan)
    break_settling(federation, monkeypatch)
    async with federation.running() as running:
        for council in federation.councils:
            running.cut(council, Kind.STATEMENTS)
        with pytest.raises(DatabaseProblem):
            await running.centre.inbox.take()
        steps = await running.follow(plan.digest)
    assert steps[-1].stage is RunStage.ABORTED
    assert federation.store.inbox.latest_of(plan.digest).state == "taken"
    for node in federation.nodes.values():
        node.before = lambda _message: None
    async with federation.running() as running:
        await running.centre.inbox.take()
        assert federation.store.inbox.latest_of(plan.digest).watch_digest == plan.digest
        assert federation.store.proposals.get(plan.digest).state == "failed"
        assert rounds_of(federation, plan) == ["aborted"]
        # Councils are asked once more only because the analyst hands the plan in once more.
        give(federation, plan)
        await running.centre.inbox.take()
        await running.follow(plan.digest)
    assert rounds_of(federation, plan) == ["aborted", "released"]


@async_test
async def test_a_crash_before_the_plan_was_submitted_loses_nothing(federation):
    plan = federation.plan()
    row = give(federation, plan)
    assert federation.store.inbox.take(row.number, now=federation.now())
    async with federation.running() as running:
        await running.centre.inbox.take()
        await running.follow(plan.digest)
    assert rounds_of(federation, plan) == ["released"]


@async_test
async def test_a_bad_row_keeps_no_other_waiting(federation):
    first, second = federation.plan(nonce=1), federation.plan(nonce=2)
    rows = [give(federation, plan) for plan in (first, second)]
    async with federation.running() as running:
        submit = running.centre.desk.submit

        async def bad(plan_envelope, manifest_envelope, *, refresh):
            if plan_envelope == rows[0].plan_envelope:
                raise ZeroDivisionError("1234 households of it")
            return await submit(plan_envelope, manifest_envelope, refresh=refresh)

        assert await Inbox(running.office, bad).take() == 2
        await running.follow(second.digest)
    failed = federation.store.inbox.latest_of(first.digest)
    assert (failed.rule, failed.watch_digest) == ("internal", None)
    assert "ZeroDivisionError at tests.integration.test_inbox" in failed.message
    assert "1234 households" not in failed.message + str(federation.events)
    assert rounds_of(federation, second) == ["released"]


def test_a_coordinator_that_was_replaced_takes_and_settles_nothing(on_both):
    federation = on_both
    row = give(federation, federation.plan())
    old = federation._at_desk("old")
    federation.store.desk.leave(federation.store.desk.holder().turn)
    new = federation._at_desk("new")
    for call in (old.inbox.take, old.inbox.settle):
        with pytest.raises(DeskLost):
            call(row.number, now=federation.now())
    assert [found.state for found in federation.store.inbox.unsettled(size=9)] == ["waiting"]
    assert new.inbox.take(row.number, now=federation.now())
    assert not new.inbox.take(row.number, now=federation.now())


def test_what_waited_when_a_backup_was_made_does_not_begin_by_itself(federation, tmp_path):
    plan = federation.plan()
    give(federation, plan)
    now = federation.now()
    backup(federation.store.engine, tmp_path / "copy", coordinator="hub", now=now)
    with closing(open_store(f"sqlite:///{tmp_path / 'restored.db'}")) as store:
        restore(store.engine, tmp_path / "copy", coordinator="hub", now=now)
        assert store.inbox.unsettled(size=9) == ()
        row = store.inbox.latest_of(plan.digest)
        assert (row.rule, row.plan_envelope) == ("coordinator_stopped", b"")


def test_what_became_of_a_question_is_forgotten_in_time_and_what_waits_is_not(federation):
    now, plans = federation.now(), [federation.plan(nonce=number) for number in (1, 2)]
    row, _ = [give(federation, plan) for plan in plans]
    federation.store.inbox.settle(row.number, now=now, watch=row.plan_digest)
    assert federation.store.inbox.forget(before=now) == 0
    assert federation.store.inbox.forget(before=now + timedelta(days=1)) == 1
    assert [federation.store.inbox.latest_of(plan.digest) is None for plan in plans] == [True, False]
