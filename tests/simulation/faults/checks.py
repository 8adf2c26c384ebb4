"""What must hold in every history, looked at when its faults are over; raises nothing, notes each violation.

A release is worked out again from scratch: the true figures of the councils it names, and the noise of the keys that
they were seen to draw. Equality, not closeness: masks either cancel or they do not.
"""

from collections import Counter

import numpy as np

from coordinator.proposal_states import ProposalState
from coordinator.store import ReleaseRow, RoundRow, Store
from council_node.receipts import answer_of
from council_node.station import Station
from federated.errors import FederatedError
from federated.ledger_entries import RoundState
from federated.privacy import sample_noise_share
from federated.release import open_release
from protocols.identifiers import CouncilId, RoundId
from tests.simulation.faults.papers import LONGEST_ROUND_S
from tests.simulation.faults.world import Shared

SLACK_S = 30.0
"""For a slow disk before and after a round's own stages."""


def check_store(shared: Shared, store: Store, *, at_rest: bool) -> None:
    """The coordinator's store.

    Args:
        at_rest: Every fault is over and every question has ended.
    """
    plans = {item.plan.digest: item.plan for of_one in shared.papers.proposals for item in of_one}
    for digest, row in sorted(store.proposals.several(plans).items()):
        plan = plans[digest]
        rounds = store.rounds.of_plan(plan.digest)
        releases = [found for found in (store.releases.of_plan(plan.digest),) if found is not None]
        ended = row.state not in {"received", "collecting", "ready", "running"}
        shared.require(not at_rest or ended, f"a question stands at '{row.state}' when all is over")
        if ended and row.state != ProposalState.RELEASED:
            shared.require(bool(row.reason.strip()) and bool(row.rule.strip()), f"{row.state} without rule and reason")
        shared.require(
            (row.state == ProposalState.RELEASED) == bool(releases), "a question's state and its answer disagree"
        )
        shared.require(len(rounds) <= plan.most_rounds, "a plan had more rounds than it allows")
        answered = [item for item in rounds if item.outcome == "released"]
        shared.require(len(answered) <= 1, "a plan has two answers")
        for item in rounds:
            _check_round(shared, item, at_rest=at_rest)
        for release in releases:
            _check_release(shared, store, release)


def _check_round(shared: Shared, row: RoundRow, *, at_rest: bool) -> None:
    if row.outcome == "aborted":
        shared.require(bool(row.reason.strip()), "a round was aborted without a reason")
    shared.require(not at_rest or row.outcome != "running", "a round is open when all is over")
    shared.require((row.ended_at is None) == (row.outcome == "running"), "a round's end and its outcome disagree")


def check_deadline(shared: Shared, store: Store, since: float, begun: dict[bytes, float]) -> None:
    """No round is open past the deadlines of all its stages, counted while the coordinator ran without a break.

    Args:
        since: When the coordinator last started, in simulated seconds.
        begun: When each round was first seen open.
    """
    running = {row.sid for row in store.rounds.running()}
    for sid in running:
        first = begun.setdefault(sid, shared.loop.now)
        open_s = shared.loop.now - max(first, since)
        shared.require(open_s <= LONGEST_ROUND_S + SLACK_S, "a round is open long past the deadlines of all its stages")


def _check_release(shared: Shared, store: Store, row: ReleaseRow) -> None:
    release = open_release(row.content)
    plan = shared.papers.proposal(row.plan_digest).plan
    sid = RoundId(bytes.fromhex(release.sid))
    inside = [CouncilId(item.council) for item in release.councils if item.outcome == "contributed"]
    shared.record.count("answers worked out again")
    shared.require(len(inside) == release.contributed >= release.threshold, "an answer counts its councils wrongly")
    shared.require({c.council for c in release.councils} == set(plan.eligible), "an answer leaves a council out")
    total = np.zeros(plan.cells, dtype=np.int64)
    for council in inside:
        key = shared.record.noise.get((council, sid))
        left = shared.record.left.get((council, sid))
        shared.require(key is not None and left is not None, "an answer names a council that sent nothing")
        if key is None:
            return
        total += shared.papers.truth[council, plan.query_digest] * plan.scale
        total += sample_noise_share(plan.noise, honest=release.honest, rng=lambda _size, key=key: key)
    said = np.array([figure for table in release.tables for figure in table.totals], dtype=np.int64)
    shared.require(bool(np.array_equal(said, total)), "an answer is not the sum of its councils' figures and noise")
    for item in release.councils:
        if item.outcome != "contributed":
            shared.require(bool(item.reason.strip()), "an answer does not say why a council is not in it")
    joined = store.rounds.councils(sid)
    shared.require(
        {item.council for item in joined if item.outcome == "contributed"} == set(inside), "a round's table disagrees"
    )
    owed = {delivery.council for delivery in store.releases.deliveries(row.digest)}
    shared.require(owed == set(inside), "an answer is not owed to exactly the councils that are in it")


def check_published(shared: Shared, store: Store) -> None:
    """Whatever anybody was told is published is still there."""
    for digest in shared.record.published:
        shared.require(store.releases.get(digest) is not None, "an answer that was announced is gone")


def check_ledger(shared: Shared, station: Station) -> None:
    """One council's ledger: sound, within budget, and with every charge of a masked input that ever left."""
    ledger, council = station.ledger, station.council
    try:
        ledger.verify()
    except FederatedError as problem:
        shared.require(False, f"a ledger does not verify: {problem}")
        return
    shared.require(ledger.exhausted is None, f"a ledger is exhausted: {ledger.exhausted}")
    attempts: Counter[bytes] = Counter()
    for of, sid in shared.record.left:
        if of == council:
            held = ledger.round(sid)
            spent = held is not None and held.state is RoundState.SPENT
            shared.require(spent, "a masked input left, and its charge is not in the ledger")
            if held is not None:
                plan = shared.papers.proposal(held.plan_digest).plan
                attempts[held.plan_digest] += 1
                shared.require(held.charge == plan.round_charge, "a ledger was charged another price")
                shared.require(
                    attempts[held.plan_digest] <= plan.most_rounds,
                    "a council answered a plan more often than it allows",
                )
    for of, sid in shared.record.counted:
        if of == council:
            held = ledger.round(sid)
            shared.require(
                held is not None and held.state is RoundState.SPENT, "data was read before its charge was sure"
            )
    for period in {held.period for held in ledger.rounds()}:
        committed = ledger.committed_in(period).epsilon
        within = committed is not None and committed <= shared.papers.budget
        shared.require(within, "a ledger is over its budget")


def check_receipts(shared: Shared, store: Store, stations: dict[CouncilId, Station]) -> None:
    """Every council in an answer has it, and its signed receipt is kept: run when all lines have been up for a while."""
    plans = [item.plan.digest for of_one in shared.papers.proposals for item in of_one]
    for digest in sorted(store.releases.digests_of(plans).values()):
        row = store.releases.get(digest)
        assert row is not None
        for delivery in store.releases.deliveries(row.digest):
            shared.require(delivery.receipt is not None, "a council's receipt never came")
            kept = answer_of(stations[delivery.council].store, row.sid)
            shared.require(kept == row.digest.hex(), "a council's receipt is of another answer")
