"""A budget statement that goes back on an earlier one is found out, whoever served it."""

import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import planning as given

from federated.budget_statement import BudgetStatement, PeriodStatement
from federated.errors import FileProblem
from federated.privacy import Budget, Totals
from federated.statement_memory import StatementMemory
from protocols.identifiers import Digest

ROSTER = given.roster()
COUNCIL = next(iter(ROSTER.councils))


def statement(counter, spent):
    period = PeriodStatement(
        agreement="a",
        period="2026",
        budget=Budget(epsilon=Fraction(8), delta=Fraction(1, 10**6)),
        spent=Totals(epsilon=Fraction(spent), rho=Fraction(spent) ** 2 / 2, draws=spent),
        reserved=Totals(),
        rounds=spent,
    )
    return BudgetStatement(
        council=COUNCIL,
        counter=counter,
        head=Digest(bytes([counter]) * 32),
        time="2026-11-22T12:00:00Z",
        exhausted=False,
        periods=(period,),
    )


@pytest.fixture
def memory(tmp_path):
    return StatementMemory(tmp_path / "kept.json")


def test_statements_that_go_forward_are_kept_without_a_word(memory):
    assert memory.take({COUNCIL: statement(3, 1)}, ROSTER) == ()
    assert memory.take({COUNCIL: statement(3, 1)}, ROSTER) == ()
    assert memory.take({COUNCIL: statement(5, 2)}, ROSTER) == ()


@pytest.mark.parametrize(
    "later",
    [statement(3, 1), statement(9, 1), replace(statement(5, 2), head=Digest(bytes(32)))],
    ids=["older", "less spent", "another past"],
)
def test_one_that_goes_back_is_told_and_not_kept(memory, later):
    memory.take({COUNCIL: statement(5, 2)}, ROSTER)
    (warning,) = memory.take({COUNCIL: later}, ROSTER)
    assert ROSTER.councils[COUNCIL].name in warning
    assert memory.take({COUNCIL: statement(5, 2)}, ROSTER) == ()
    assert len(memory.take({COUNCIL: later}, ROSTER)) == 1


def test_silence_after_a_statement_is_told(memory):
    assert memory.take({COUNCIL: None}, ROSTER) == ()
    memory.take({COUNCIL: statement(5, 2)}, ROSTER)
    (warning,) = memory.take({COUNCIL: None}, ROSTER)
    assert "gave no statement" in warning


def test_a_damaged_memory_says_so(tmp_path):
    path = tmp_path / "kept.json"
    path.write_text('{"version": 1, "statements": {"x": 1}}', encoding="utf-8")
    with pytest.raises(FileProblem, match="cannot be read"):
        StatementMemory(path).take({}, ROSTER)
