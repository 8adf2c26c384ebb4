"""The ledger knows which charges were for questions on the most sensitive columns, and caps them apart."""

import json
import sqlite3
from fractions import Fraction

import pytest

from council_node.ledger import Ledger
from federated.errors import BudgetExceeded
from federated.ledger_chain import LedgerBroken, walk
from federated.ledger_entries import GENESIS, EntryKind, LostCharge, make_entry, stamped
from federated.privacy import Budget, Totals
from protocols.encoding import canonical_json
from tests.unit.council_node.ledger_cases import (
    AGREEMENT,
    BUDGET,
    ME,
    NEXT_YEAR,
    NOW,
    OTHER_AGREEMENT,
    PURE,
    reserve,
    sid_of,
)

CAP = Budget(epsilon=Fraction(1), delta=BUDGET.delta)
"""Room for two pure charges of one half."""


@pytest.fixture
def ledger(tmp_path):
    with Ledger.create(tmp_path / "ledger.db", ME, NOW) as opened:
        yield opened


def asked(**changes):
    return {"charge": PURE, "agreement": AGREEMENT, "budget": BUDGET, "cap": None, "now": NOW} | changes


def test_only_questions_on_class_2_columns_count_against_their_cap(ledger):
    for name in ("a", "b", "c"):
        reserve(ledger, name, class_2=False, class_2_cap=CAP)
    reserve(ledger, "d", agreement=OTHER_AGREEMENT, class_2=True, class_2_cap=CAP)
    ledger.spend(sid_of("d"), NOW)
    ledger.check(**asked(agreement=OTHER_AGREEMENT, class_2_cap=CAP))
    reserve(ledger, "e", agreement=OTHER_AGREEMENT, class_2=True, class_2_cap=CAP)
    assert ledger.committed_in("2026", class_2=True).epsilon == 1
    assert ledger.committed_in("2026").epsilon == Fraction(5, 2)
    for refused in (
        lambda: ledger.check(**asked(class_2_cap=CAP)),
        lambda: reserve(ledger, "f", class_2=True, class_2_cap=CAP),
    ):
        with pytest.raises(BudgetExceeded, match="on the most sensitive columns") as caught:
            refused()
        assert caught.value.rule == "council_policy"
    reserve(ledger, "g", class_2=False, class_2_cap=CAP)
    reserve(ledger, "h", class_2=True, class_2_cap=CAP, now=NEXT_YEAR)


def test_a_released_charge_is_given_back_to_the_cap(ledger):
    reserve(ledger, "a", class_2=True)
    reserve(ledger, "b", class_2=True)
    ledger.release(sid_of("b"), "abandoned", NOW)
    ledger.check(**asked(class_2_cap=CAP))


def test_a_reserved_round_is_checked_again_without_itself(ledger):
    reserve(ledger, "a", class_2=True)
    half = Budget(epsilon=Fraction(1, 2), delta=BUDGET.delta)
    ledger.check(**asked(budget=half, cap=half, class_2_cap=half, besides=sid_of("a")))
    for limits in ({"budget": half}, {"cap": half}, {"class_2_cap": half}):
        with pytest.raises(BudgetExceeded):
            ledger.check(**asked(**limits))
    smaller = Budget(epsilon=Fraction(1, 4), delta=BUDGET.delta)
    with pytest.raises(BudgetExceeded):
        ledger.check(**asked(cap=smaller, besides=sid_of("a")))


def test_it_is_known_after_opening_again(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger.create(path, ME, NOW) as ledger:
        reserve(ledger, "a", class_2=True)
        ledger.spend(sid_of("a"), NOW)
        reserve(ledger, "b", class_2=False)
    with Ledger.open(path, ME) as again:
        assert [item.class_2 for item in again.rounds()] == [True, False]
        assert again.committed_in("2026", class_2=True).epsilon == PURE.epsilon


def rows_of(tmp_path):
    """A good chain with one reserved charge, as rows that can be written again."""
    with Ledger.create(tmp_path / "ledger.db", ME, NOW) as ledger:
        reserve(ledger, "a", class_2=False)
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        return connection.execute("SELECT kind, body FROM entry ORDER BY counter").fetchall()


def chained(rows):
    found, previous = [], GENESIS
    for number, (kind, body) in enumerate(rows, start=1):
        entry = make_entry(number, EntryKind(kind), body, previous)
        found.append(entry.row)
        previous = entry.hash
    return found


def test_an_entry_that_does_not_say_counts_as_class_2(tmp_path):
    (first, (kind, text)) = rows_of(tmp_path)
    new = json.loads(text)
    old = {name: value for name, value in new.items() if name != "class_2"} | {"version": 1}
    opened = (first[0], json.loads(first[1]))
    assert walk(chained([opened, (kind, new)])).committed_class_2("2026") == Totals()
    assert walk(chained([opened, (kind, old)])).committed_class_2("2026").epsilon == PURE.epsilon
    without = {name: value for name, value in new.items() if name != "class_2"}
    for wrong in (new | {"version": 1}, without, old | {"version": 3}, new | {"class_2": "no"}, new | {"class_2": 0}):
        assert canonical_json(wrong)
        with pytest.raises(LedgerBroken, match="its body is not"):
            walk(chained([opened, (kind, wrong)]))


def test_lost_charges_count_as_class_2(ledger):
    ledger.mark_exhausted("restored", NOW)
    lost = Totals(epsilon=PURE.epsilon, rho=PURE.rho, draws=PURE.draws)
    charge = LostCharge(agreement=AGREEMENT.id, period="2026", totals=lost, budget=BUDGET)
    ledger.reconcile(by="A Person", reason="found out", lost=[charge], now=NOW)
    assert ledger.committed_in("2026", class_2=True) == lost
    assert stamped(NOW, {"version": 2})["version"] == 2
