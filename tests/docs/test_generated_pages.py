"""Generated pages are those that the code gives; the page of refusals knows every rule, and no rule that is gone."""

import ast

import pytest

from protocols.secagg.transitions import AGGREGATOR, HOLDER, PARTICIPANT
from tests.docs import refusals
from tests.docs.generate import ROOT, pages, state_table, with_parts
from tests.docs.pages import rows

PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name):
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name], "run `make docs`"


@pytest.mark.parametrize("table", [PARTICIPANT, AGGREGATOR, HOLDER])
def test_a_state_table_shows_every_step(table):
    shown = set(rows(state_table(table, "at")))
    for (state, event), after in table.items():
        words = "stays" if after is state else after.value
        assert (state.value, event.value, words) in shown or ("any", event.value, after.value) in shown


def test_a_step_changed_in_the_table_changes_the_page():
    step = next(iter(PARTICIPANT))
    (other,) = {after for after in PARTICIPANT.values() if after.value == "unmasked"}
    assert state_table({**PARTICIPANT, step: other}, "at") != state_table(PARTICIPANT, "at")


def test_a_page_without_its_marks_is_refused():
    with pytest.raises(ValueError, match="has no part"):
        with_parts("# Architecture", {"participant": "x"})


def described():
    return [rule for rules in refusals.RULES.values() for rule in rules]


def test_every_rule_in_the_code_is_explained_and_no_other():
    assert sorted(refusals.rules_in_code() - set(described())) == []
    assert sorted(set(described()) - refusals.rules_in_code()) == []
    assert len(described()) == len(set(described()))


@pytest.mark.parametrize(
    "code",
    [
        'raise PolicyRefusal("new_rule", "No.")',
        'RULE: Final = "new_rule"\nraise PolicyRefusal(RULE, "No.")',
        'raise CohortTooSmall("No.", rule="new_rule")',
        '_refuse("new_rule", "No.")',
        'self._statement(kind, sid, "new_rule", "No.")',
        'report(rule=getattr(problem, "rule", "new_rule"))',
        'A = "new_rule"\ndef f(x):\n    rule = A if x else A',
        'def f(*, rule: str = "new_rule"): ...',
    ],
)
def test_a_new_rule_is_found(code):
    assert "new_rule" in set(refusals.rules_of(ast.parse(code)))
