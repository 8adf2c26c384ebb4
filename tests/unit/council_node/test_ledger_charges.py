from fractions import Fraction

import pytest

from council_node.ledger import Ledger, period_of
from federated.errors import BudgetExceeded, FileProblem, InternalError, PolicyRefusal
from federated.ledger_entries import RoundState
from federated.privacy import Budget, Totals
from protocols.errors import LocalProtocolError
from tests.unit.council_node.ledger_cases import (
    AGREEMENT,
    BUDGET,
    GAUSSIAN,
    LATER,
    ME,
    NEXT_YEAR,
    NOW,
    OTHER_AGREEMENT,
    PURE,
    digest_of,
    reserve,
    sid_of,
)

ID, YEAR = AGREEMENT.id, "2026"
NOTHING = Totals()
ONE = Totals(epsilon=PURE.epsilon, rho=PURE.rho, draws=PURE.draws)


@pytest.fixture
def ledger(tmp_path):
    with Ledger.create(tmp_path / "ledger.db", ME, NOW) as opened:
        yield opened


def refusal(rule):
    return pytest.raises(PolicyRefusal, check=lambda error: error.rule == rule)


def test_a_charge_is_reserved_then_spent(ledger):
    reserve(ledger, "a")
    assert ledger.totals(ID, YEAR) == (NOTHING, ONE)
    ledger.spend(sid_of("a"), NOW)
    assert ledger.totals(ID, YEAR) == (ONE, NOTHING)
    assert ledger.round(sid_of("a")).state is RoundState.SPENT


def test_a_released_charge_is_given_back(ledger):
    reserve(ledger, "a")
    ledger.release(sid_of("a"), "the round was abandoned", NOW)
    assert ledger.totals(ID, YEAR) == (NOTHING, NOTHING)
    assert ledger.open_reservations() == ()


def test_everything_is_there_after_opening_again(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger.create(path, ME, NOW) as ledger:
        reserve(ledger, "a", charge=GAUSSIAN)
        ledger.spend(sid_of("a"), NOW)
        reserve(ledger, "b", charge=GAUSSIAN)
        counter, head, totals = ledger.counter, ledger.head, ledger.totals(ID, YEAR)
    with Ledger.open(path, ME) as again:
        assert (again.counter, again.head, again.totals(ID, YEAR)) == (counter, head, totals)
        assert [entry.kind.value for entry in again.entries()] == ["opened", "reserved", "spent", "reserved"]


@pytest.mark.parametrize("settle", ["nothing", "spend", "release"])
def test_a_known_round_is_refused_whatever_became_of_it(ledger, settle):
    reserve(ledger, "a")
    if settle == "spend":
        ledger.spend(sid_of("a"), NOW)
    elif settle == "release":
        ledger.release(sid_of("a"), "abandoned", NOW)
    with refusal("replay"):
        reserve(ledger, "a", plan="another plan")


def test_a_known_round_is_refused_after_a_restart(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger.create(path, ME, NOW) as ledger:
        reserve(ledger, "a")
    with Ledger.open(path, ME) as ledger, refusal("replay"):
        reserve(ledger, "a")


def test_a_second_spend_or_release_is_refused(ledger):
    reserve(ledger, "a")
    ledger.spend(sid_of("a"), NOW)
    with refusal("replay"):
        ledger.spend(sid_of("a"), NOW)
    with refusal("replay"):
        ledger.release(sid_of("a"), "too late", NOW)
    assert ledger.totals(ID, YEAR) == (ONE, NOTHING)


def test_a_released_round_cannot_be_spent(ledger):
    reserve(ledger, "a")
    ledger.release(sid_of("a"), "abandoned", NOW)
    with refusal("replay"):
        ledger.spend(sid_of("a"), NOW)


def test_a_round_never_reserved_cannot_be_spent(ledger):
    with pytest.raises(InternalError):
        ledger.spend(sid_of("a"), NOW)


def test_masked_inputs_per_plan_are_limited(ledger):
    for name in ("first", "second"):
        reserve(ledger, name, plan="p")
        ledger.spend(sid_of(name), NOW)
    with refusal("attempts"):
        reserve(ledger, "third", plan="p")
    reserve(ledger, "other", plan="q")


def test_released_rounds_are_no_attempts_but_waiting_ones_are(ledger):
    for number in range(3):
        reserve(ledger, f"abandoned {number}", plan="p")
        ledger.release(sid_of(f"abandoned {number}"), "abandoned", NOW)
    reserve(ledger, "one", plan="p")
    reserve(ledger, "two", plan="p")
    # Were waiting rounds not counted, a coordinator could open many and then take the answer of each.
    with refusal("attempts"):
        reserve(ledger, "three", plan="p")


def test_rounds_that_begin_and_end_without_a_charge_have_an_end(ledger, monkeypatch):
    monkeypatch.setattr("council_node.ledger.FREE_ROUNDS", 3)
    for number in range(5):  # the two that the plan allows, and three
        reserve(ledger, f"abandoned {number}", plan="p")
        ledger.release(sid_of(f"abandoned {number}"), "abandoned", NOW)
    with refusal("attempts"):
        reserve(ledger, "one more", plan="p")
    reserve(ledger, "other", plan="q")


def test_attempts_are_counted_after_a_restart(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger.create(path, ME, NOW) as ledger:
        reserve(ledger, "a", plan="p", attempts=1)
        ledger.spend(sid_of("a"), NOW)
    with Ledger.open(path, ME) as ledger, refusal("attempts"):
        reserve(ledger, "b", plan="p", attempts=1)


def test_the_first_charge_over_the_budget_is_refused(ledger):
    for number in range(3):
        reserve(ledger, f"spent {number}")
        ledger.spend(sid_of(f"spent {number}"), NOW)
    reserve(ledger, "waiting")
    with pytest.raises(BudgetExceeded) as caught:
        reserve(ledger, "over")
    assert caught.value.rule == "budget"
    assert ledger.counter == 1 + 3 * 2 + 1
    ledger.release(sid_of("waiting"), "abandoned", NOW)
    reserve(ledger, "fits now")


def test_reserved_charges_count_against_the_budget(ledger):
    for number in range(4):
        reserve(ledger, f"waiting {number}")
    with pytest.raises(BudgetExceeded):
        reserve(ledger, "over")


def test_one_gaussian_ends_the_pure_side(ledger):
    reserve(ledger, "gaussian", charge=GAUSSIAN)
    ledger.spend(sid_of("gaussian"), NOW)
    spent, _ = ledger.totals(ID, YEAR)
    assert spent == Totals(epsilon=None, rho=GAUSSIAN.rho, draws=GAUSSIAN.draws)
    with pytest.raises(BudgetExceeded):
        reserve(ledger, "pure", charge=PURE, budget=Budget(epsilon=Fraction(1, 2), delta=BUDGET.delta))


def test_each_year_and_each_agreement_has_its_own_budget(ledger):
    for number in range(4):
        reserve(ledger, f"this year {number}")
    reserve(ledger, "next year", now=NEXT_YEAR)
    reserve(ledger, "other agreement", agreement=OTHER_AGREEMENT)
    assert ledger.totals(ID, "2027")[1] == ONE
    assert ledger.totals(OTHER_AGREEMENT.id, YEAR)[1] == ONE
    with pytest.raises(BudgetExceeded):
        reserve(ledger, "this year again", now=LATER)


def test_the_councils_cap_counts_all_agreements_of_the_year(ledger):
    cap = Budget(epsilon=Fraction(1), delta=BUDGET.delta)
    reserve(ledger, "one", cap=cap)
    ledger.spend(sid_of("one"), NOW)
    reserve(ledger, "two", agreement=OTHER_AGREEMENT, cap=cap)
    with pytest.raises(BudgetExceeded) as caught:
        reserve(ledger, "three", cap=cap)
    assert caught.value.rule == "council_policy"
    assert "own cap" in str(caught.value)
    reserve(ledger, "three", cap=None)
    reserve(ledger, "next year", cap=cap, now=NEXT_YEAR)


def test_the_period_is_the_year_in_utc():
    assert period_of(NOW) == "2026"
    with pytest.raises(LocalProtocolError):
        period_of(NOW.replace(tzinfo=None))


def test_recovery_releases_only_what_was_never_spent(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger.create(path, ME, NOW) as ledger:
        reserve(ledger, "spent")
        ledger.spend(sid_of("spent"), NOW)
        reserve(ledger, "waiting")
    with Ledger.open(path, ME) as ledger:
        assert [held.sid for held in ledger.recover(LATER)] == [sid_of("waiting")]
        assert ledger.totals(ID, YEAR) == (ONE, NOTHING)
        assert ledger.recover(LATER) == ()
        assert "the node stopped" in ledger.entries()[-1].body["reason"]


def test_an_entry_says_what_was_charged(ledger):
    body = reserve(ledger, "a", charge=GAUSSIAN).body
    assert body == {
        "version": 2,
        "class_2": False,
        "time": "2026-03-01T09:00:00Z",
        "sid": sid_of("a").hex(),
        "plan_digest": digest_of("plan a").hex(),
        "title": "Households owed a duty",
        "agreement": ID,
        "agreement_digest": AGREEMENT.digest.hex(),
        "period": "2026",
        "epsilon": "none",
        "rho": "1/200",
        "draws": 50,
        "unit": "household",
        "budget_epsilon": "2",
        "budget_delta": "1/1000000",
    }


def test_a_missing_ledger_is_not_replaced_by_an_empty_one(tmp_path):
    with pytest.raises(FileProblem, match="There is no ledger"):
        Ledger.open(tmp_path / "ledger.db", ME)
    assert not (tmp_path / "ledger.db").exists()


def test_creating_never_touches_a_ledger_that_is_there(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger.create(path, ME, NOW) as ledger:
        reserve(ledger, "a")
    with pytest.raises(FileProblem, match="already"):
        Ledger.create(path, ME, NOW)
    with Ledger.open(path, ME) as ledger:
        assert ledger.counter == 2


def test_another_councils_ledger_is_refused(tmp_path):
    Ledger.create(tmp_path / "ledger.db", ME, NOW).close()
    with pytest.raises(FileProblem, match="E06000001's, but the settings name council E06000099"):
        Ledger.open(tmp_path / "ledger.db", "E06000099")


def test_the_ledger_is_private_to_its_account(tmp_path):
    Ledger.create(tmp_path / "ledger.db", ME, NOW).close()
    assert (tmp_path / "ledger.db").stat().st_mode & 0o077 == 0


def test_checking_says_what_reserving_would_say_and_reserves_nothing(ledger):
    asked = {"charge": PURE, "agreement": AGREEMENT, "budget": BUDGET, "cap": None, "now": NOW}
    ledger.check(**asked)
    assert ledger.counter == 1
    for number in range(4):
        reserve(ledger, f"waiting {number}")
    with pytest.raises(BudgetExceeded):
        ledger.check(**asked)
    assert ledger.committed(ID, YEAR).epsilon == BUDGET.epsilon
    ledger.check(**asked | {"now": NEXT_YEAR})
    with refusal("council_policy"):
        ledger.check(**asked | {"agreement": OTHER_AGREEMENT, "cap": Budget(epsilon=Fraction(1), delta=BUDGET.delta)})
    ledger.mark_exhausted("being checked", NOW)
    with refusal("ledger_exhausted"):
        ledger.check(**asked | {"now": NEXT_YEAR})


def test_a_new_node_gets_a_ledger_and_one_in_service_never_a_second(tmp_path):
    path = tmp_path / "ledger.db"
    path.touch()
    with Ledger.open_or_create(path, ME, NOW, in_service=False) as ledger:
        reserve(ledger, "a")
    for in_service in (False, True):
        with Ledger.open_or_create(path, ME, NOW, in_service=in_service) as ledger:
            assert ledger.counter == 2
    path.unlink()
    with pytest.raises(FileProblem, match="There is no ledger"):
        Ledger.open_or_create(path, ME, NOW, in_service=True)
    path.touch()
    with pytest.raises(FileProblem, match="holds no ledger"):
        Ledger.open_or_create(path, ME, NOW, in_service=True)
