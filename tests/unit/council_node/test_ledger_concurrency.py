"""Many questions at the edge of a budget: whatever the order, and however many at once, none goes over it."""

import random
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from council_node.ledger import Ledger
from federated.errors import BudgetExceeded, PolicyRefusal
from federated.ledger_entries import RoundState
from federated.privacy import Totals
from tests.unit.council_node.ledger_cases import (
    AGREEMENT,
    BUDGET,
    GAUSSIAN,
    ME,
    NOW,
    PURE,
    digest_of,
    reserve,
    sid_of,
)

THREADS = 8
COVERED = BUDGET.epsilon // PURE.epsilon


@pytest.fixture
def ledger(tmp_path):
    with Ledger.create(tmp_path / "ledger.db", ME, NOW) as opened:
        yield opened


def try_to_reserve(ledger, name, **changes):
    """What came of it: reserved, or the rule that refused."""
    try:
        reserve(ledger, name, **changes)
    except PolicyRefusal as refusal:
        return refusal.rule
    return "reserved"


def together(work, items):
    """What came of each, with threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(work, items))
    finally:
        sys.setswitchinterval(before)


def test_of_many_rounds_reserved_at_once_as_many_as_the_budget_covers_and_no_more(tmp_path, ledger):
    found = together(lambda number: try_to_reserve(ledger, str(number)), range(60))
    assert sorted(found) == sorted(["reserved"] * COVERED + ["budget"] * (60 - COVERED))
    spent, reserved = ledger.totals(AGREEMENT.id, "2026")
    assert (spent, reserved.epsilon) == (Totals(), BUDGET.epsilon)
    ledger.close()
    with Ledger.open(tmp_path / "ledger.db", ME) as again:  # opening verifies the whole chain
        assert len(again.open_reservations()) == COVERED


def test_the_same_round_reserved_many_times_at_once_is_reserved_once(ledger):
    found = together(lambda _: try_to_reserve(ledger, "one"), range(40))
    assert sorted(found) == ["replay"] * 39 + ["reserved"]


def test_attempts_of_one_plan_hold_however_many_ask_at_once(ledger):
    found = together(lambda number: try_to_reserve(ledger, str(number), plan="p", charge=GAUSSIAN), range(40))
    assert sorted(found) == ["attempts"] * 38 + ["reserved"] * 2


def test_a_charge_spent_many_times_at_once_is_spent_once(ledger):
    reserve(ledger, "one")

    def spend(_number):
        try:
            ledger.spend(sid_of("one"), NOW)
        except PolicyRefusal as refusal:
            return refusal.rule
        return "spent"

    assert sorted(together(spend, range(40))) == ["replay"] * 39 + ["spent"]
    assert [entry.kind.value for entry in ledger.entries()].count("spent") == 1


def test_rounds_that_come_and_go_at_once_never_stand_over_the_budget(tmp_path, ledger):
    """Reservations are given back and spent while others are made: at no entry of the chain is too much committed."""

    def life(number):
        draw = random.Random(number)
        name = str(number)
        if try_to_reserve(ledger, name) != "reserved":
            return
        if draw.random() < 0.6:
            ledger.release(sid_of(name), "the round was abandoned", NOW)
        else:
            ledger.spend(sid_of(name), NOW)

    together(life, range(200))
    ledger.close()
    with Ledger.open(tmp_path / "ledger.db", ME) as again:
        standing, most = 0, 0
        for entry in again.entries():
            standing += {"reserved": 1, "released": -1}.get(entry.kind.value, 0)
            most = max(most, standing)
        states = [found.state for found in again.rounds()]
        spent, reserved = again.totals(AGREEMENT.id, "2026")
    # How much of the budget is used hangs on who comes first: rounds given back late leave others refused.
    assert 0 < most <= COVERED
    assert (spent.epsilon, reserved) == (BUDGET.epsilon * states.count(RoundState.SPENT) / COVERED, Totals())
    assert 0 < states.count(RoundState.SPENT) <= COVERED
    assert states.count(RoundState.RELEASED) > 0


def test_a_question_refused_at_the_edge_leaves_no_trace(ledger):
    for number in range(COVERED):
        reserve(ledger, str(number))
    before = ledger.head
    with pytest.raises(BudgetExceeded):
        reserve(ledger, "one more")
    assert ledger.head == before
    assert ledger.round(sid_of("one more")) is None
    assert digest_of("one more") not in {found.plan_digest for found in ledger.rounds()}
