"""Two coordinator processes on one PostgreSQL: one acts, the other stands by and takes over, and no round runs twice."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from coordinator.progress import RunStage
from federated.errors import ExitStatus, FederatedError
from protocols.wire.link_message import Kind
from tests.integration.served_coordinator import connected, served

LONGEST_S = 60


@pytest.fixture
def pair(tmp_path, postgresql):
    with postgresql.database() as url, served(tmp_path, url, number=2) as made, connected(made, made.coordinators):
        yield made


def until(condition, what):
    end = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def noted(store, sid):
    """The stage of a round under way that was noted last; none before the first."""
    return next((row.stage for row in store.rounds.progress(sid)), None)


def ask(served, coordinator, plan):
    with served.client(coordinator) as client:
        return list(client.submit(plan, served.federation.manifest))


def start_both(pair):
    acting, standing_by = pair.coordinators
    acting.start()
    until(acting.is_ready, "the first is ready")
    standing_by.start()
    until(lambda: "standing_by" in standing_by.log, "the second stands by")
    return acting, standing_by


def test_one_that_is_stopped_beyond_its_lease_and_goes_on_releases_nothing(pair):
    acting, standing_by = start_both(pair)
    federation, plan = pair.federation, pair.federation.plan()
    sids, unmasking, go_on = [], threading.Event(), threading.Event()

    def hold(message):
        """The first round stops where only the last messages are missing for the sum."""
        if message.kind is Kind.INVITE and message.reference not in sids:
            sids.append(message.reference)
        if message.kind is Kind.STATEMENTS and message.reference == sids[0]:
            unmasking.set()
            assert go_on.wait(LONGEST_S)

    for node in federation.nodes.values():
        node.before = hold
    with ThreadPoolExecutor(1) as asker:
        first = asker.submit(ask, pair, acting, plan)
        assert unmasking.wait(LONGEST_S)
        assert not standing_by.is_ready()  # nothing is open at the one that stands by
        # Stopped while it notes how the round goes, it keeps its lock on the desk for some seconds: tested below.
        until(lambda: noted(federation.store, sids[0]) == RunStage.CONSISTENCY_CHECK.label, "the stage before is noted")
        acting.send(signal.SIGSTOP)
        until(standing_by.is_ready, "the second has taken over")
        (ended,) = federation.store.rounds.of_plan(plan.digest)
        assert ended.outcome == "aborted"
        acting.send(signal.SIGCONT)
        go_on.set()
        assert acting.ended() == ExitStatus.INPUT
        assert "Another coordinator has taken over" in acting.log
        assert federation.store.releases.of_plan(plan.digest) is None
        try:
            steps = first.result(timeout=LONGEST_S)
        except FederatedError:  # its connection may end before the last step
            steps = []
        assert not any(step.release_digest for step in steps)
    steps = ask(pair, standing_by, plan)
    assert steps[-1].release_digest, steps[-1]
    rounds = federation.store.rounds.of_plan(plan.digest)
    assert [(found.attempt, found.outcome) for found in rounds] == [(1, "aborted"), (2, "released")]
    assert [found.sid for found in rounds] == sids
    assert federation.store.releases.of_plan(plan.digest).sid == sids[1]


def waiting_for_locks(connection):
    """How many sessions of the database wait for a lock."""
    found = connection.execute(text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).scalar()
    connection.rollback()
    return found


def test_one_that_is_stopped_with_the_desk_locked_is_replaced_all_the_same(pair):
    acting, standing_by = pair.coordinators
    acting.start()
    until(acting.is_ready, "the first is ready")
    engine = pair.federation.store.engine
    with engine.connect() as ours, engine.connect() as looking:
        ours.execute(text("SELECT turn FROM desk FOR UPDATE"))
        until(lambda: waiting_for_locks(looking) == 1, "the first renews its lease, and waits for us")
        acting.send(signal.SIGSTOP)
        ours.rollback()  # now its session has the lock, and nobody goes on with it
        until(lambda: waiting_for_locks(looking) == 0, "its session has the lock")
    standing_by.start()
    until(standing_by.is_ready, "the second has taken over")
    acting.send(signal.SIGCONT)
    assert acting.ended() == ExitStatus.INPUT  # its session is gone, and its turn


def test_one_that_stands_by_goes_on_with_what_was_waiting_when_the_other_leaves(pair):
    acting, standing_by = start_both(pair)
    federation, plan = pair.federation, pair.federation.plan()
    for node in federation.nodes.values():
        node.decision = "pending"
    with ThreadPoolExecutor(1) as asker:
        asker.submit(ask, pair, acting, plan)
        until(lambda: len(federation.store.proposals.decisions(plan.digest)) == 8, "every council has answered")
        acting.send(signal.SIGTERM)
        left = time.monotonic()
        assert acting.ended() == ExitStatus.OK
        for node in federation.nodes.values():
            node.decision = "approved"
        until(standing_by.is_ready, "the second has taken over")
    assert time.monotonic() - left < LONGEST_S / 2
    with pair.client(standing_by) as client:
        steps = list(client.watch(plan.digest))
    assert steps[-1].release_digest, steps[-1]
    assert [found.outcome for found in federation.store.rounds.of_plan(plan.digest)] == ["released"]


def test_of_two_started_at_once_on_copies_of_one_state_folder_one_acts(pair):
    for one in pair.coordinators:
        (one.folder / "state").mkdir(exist_ok=True)
        (one.folder / "state" / "owner").write_text("0" * 32)
    for one in pair.coordinators:
        one.start()
    until(lambda: any(one.is_ready() for one in pair.coordinators), "one is ready")
    until(lambda: any("standing_by" in one.log for one in pair.coordinators), "one stands by")
    assert sorted(one.is_ready() for one in pair.coordinators) == [False, True]
    (waiting,) = [one for one in pair.coordinators if not one.is_ready()]
    waiting.send(signal.SIGTERM)
    assert waiting.ended() == ExitStatus.OK
