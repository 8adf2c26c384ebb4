"""What the coordinator does next: the state table in full, and the choices that move along it."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from coordinator.choices import (
    AfterRound,
    Decision,
    DecisionKind,
    Opening,
    after_round,
    approvals,
    opening,
    round_possible,
    to_ask,
)
from coordinator.proposal_states import OPEN, TERMINAL, WAITING, ProposalEvent, ProposalState, next_state
from federated.errors import InternalError
from protocols.secagg import CohortRules, Profile

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
SOON, LATER = NOW + timedelta(minutes=1), NOW + timedelta(days=14)
EIGHT = tuple(f"E{number}" for number in range(8))
RULES = CohortRules(profile=Profile.CAREFUL, eligible_count=8, min_cohort=7, min_honest=3)  # 7 or 8 can make a round

LEGAL = {
    ("received", "circulated"): "collecting",
    ("received", "withdrawn"): "withdrawn",
    ("received", "time over"): "expired",
    ("received", "overtaken"): "expired",
    ("collecting", "enough approved"): "ready",
    ("collecting", "too many refused"): "refused",
    ("collecting", "time over"): "expired",
    ("collecting", "overtaken"): "expired",
    ("collecting", "withdrawn"): "withdrawn",
    ("ready", "round opened"): "running",
    ("ready", "time over"): "expired",
    ("ready", "overtaken"): "expired",
    ("ready", "withdrawn"): "withdrawn",
    ("running", "published"): "released",
    ("running", "round abandoned before any charge"): "ready",
    ("running", "round failed"): "failed",
    ("running", "round counted"): "ready",
    ("ready", "rounds lost"): "failed",
    ("ready", "not held"): "failed",
    ("failed", "asked again"): "collecting",
}


@pytest.mark.parametrize(("state", "event"), list(product(ProposalState, ProposalEvent)))
def test_every_pair_of_state_and_event(state, event):
    if (state.value, event.value) in LEGAL:
        assert next_state(state, event).value == LEGAL[state.value, event.value]
    else:
        with pytest.raises(InternalError):
            next_state(state, event)


def test_ended_states_lead_nowhere_and_every_state_can_be_reached():
    assert not {state for state, _ in LEGAL} & {state.value for state in TERMINAL}
    assert {*LEGAL.values(), "received"} == {state.value for state in ProposalState}
    assert WAITING < OPEN
    assert not OPEN & TERMINAL


def decided(approved=0, refused=0, pending=0):
    kinds = [DecisionKind.APPROVED] * approved + [DecisionKind.REFUSED] * refused + [DecisionKind.PENDING] * pending
    return {council: Decision(council=council, kind=kind) for council, kind in zip(EIGHT, kinds, strict=False)}


def choose(decisions, *, reachable=EIGHT, now=NOW, patience_until=SOON, collect_by=LATER):
    return opening(
        eligible=EIGHT,
        decisions=decisions,
        reachable=reachable,
        rules=RULES,
        now=now,
        patience_until=patience_until,
        collect_by=collect_by,
    )


def test_seven_and_eight_of_these_councils_can_make_a_round_and_six_cannot():
    assert [round_possible(RULES, n) is None for n in range(10)] == [False] * 7 + [True, True, False]
    assert "asks for 7" in round_possible(RULES, 6)


@pytest.mark.parametrize(
    ("decisions", "choice"),
    [
        (decided(approved=8), Opening.OPEN),
        (decided(approved=7, refused=1), Opening.OPEN),
        (decided(approved=7, pending=1), Opening.WAIT),
        (decided(approved=7), Opening.WAIT),
        (decided(approved=6, pending=2), Opening.WAIT),
        (decided(approved=6, refused=2), Opening.HOPELESS),
        (decided(refused=2), Opening.HOPELESS),
        (decided(refused=1), Opening.WAIT),
        ({}, Opening.WAIT),
    ],
)
def test_the_round_opens_at_once_only_when_all_have_decided(decisions, choice):
    assert choose(decisions) is choice


def test_after_the_wait_those_who_approved_go_on_without_the_others():
    assert choose(decided(approved=7, pending=1), now=SOON) is Opening.OPEN
    assert choose(decided(approved=6, pending=2), now=SOON) is Opening.WAIT
    # The plan's own limit counts, however long the operator would wait.
    assert choose(decided(approved=7, pending=1), now=SOON, patience_until=LATER, collect_by=SOON) is Opening.OPEN


def test_a_council_that_approved_and_has_gone_is_waited_for_and_does_not_count():
    away = EIGHT[1:]
    assert choose(decided(approved=8), reachable=away) is Opening.WAIT
    assert choose(decided(approved=8), reachable=away, now=SOON) is Opening.OPEN
    assert choose(decided(approved=8), reachable=EIGHT[2:], now=SOON) is Opening.WAIT
    assert choose(decided(approved=8), reachable=EIGHT[2:], now=LATER) is Opening.EXPIRED


def test_time_is_over_without_enough_approvals():
    assert choose(decided(approved=6, pending=2), now=LATER) is Opening.EXPIRED
    assert choose(decided(approved=6, refused=2), now=LATER) is Opening.HOPELESS


def test_approvals_are_sorted():
    assert approvals(dict(reversed(decided(approved=3, refused=2).items()))) == EIGHT[:3]


def test_those_within_reach_and_undecided_are_asked():
    decisions = decided(approved=2, refused=1, pending=1)
    assert to_ask(eligible=EIGHT, decisions=decisions, reachable=EIGHT[:6]) == EIGHT[3:6]


@pytest.mark.parametrize(
    ("charged", "attempt", "now", "choice"),
    [
        (False, 1, NOW, AfterRound.INVITE_AGAIN),
        (False, 2, NOW, AfterRound.GIVE_UP),
        (True, 1, NOW, AfterRound.GIVE_UP),
        (False, 1, LATER, AfterRound.GIVE_UP),
    ],
)
def test_only_a_round_that_cost_nothing_is_tried_again(charged, attempt, now, choice):
    assert after_round(charged=charged, attempt=attempt, attempts=2, now=now, return_by=LATER) is choice


@pytest.mark.parametrize(
    ("charged", "attempt", "counted", "choice"),
    [
        (True, 1, 0, AfterRound.GIVE_UP),
        (True, 3, 2, AfterRound.INVITE_AGAIN),
        (False, 1, 0, AfterRound.INVITE_AGAIN),
        (True, 4, 2, AfterRound.GIVE_UP),
        (False, 2, 0, AfterRound.GIVE_UP),
    ],
)
def test_of_several_rounds_one_is_tried_again_while_enough_are_left(charged, attempt, counted, choice):
    # Six masked inputs are allowed, and five rounds are needed.
    found = after_round(
        charged=charged, attempt=attempt, attempts=6, now=NOW, return_by=LATER, counted=counted, rounds=5
    )
    assert found is choice
