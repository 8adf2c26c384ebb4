"""Whatever a council writes into its policy, it answers no question that it would not answer without one (R4)."""

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from council_node.ledger import Ledger
from council_node.policy import class_2_columns, review
from council_node.policy_file import ByClass, Cap, Class2, ClassRules, Crossed, Policy, RedLineAnswers
from federated.clauses import BodyType, ProhibitedUse, PurposeCategory
from federated.errors import BudgetExceeded, PolicyRefusal
from federated.manifest import RED_LINES
from federated.privacy import Budget
from federated.query import Level
from federated.red_lines import Standing
from federated.schema import load_schema
from tests.unit.council_node.ledger_cases import AGREEMENT as UNDER
from tests.unit.council_node.ledger_cases import BUDGET, ME, PURE, digest_of, sid_of
from tests.unit.council_node.ledger_cases import NOW as LEDGER_NOW
from tests.unit.council_node.policy_cases import AGREEMENT, NOW, facts

NONE = Policy(policy=1)
FACTS = facts()
CASE = load_schema().dataset("case")
COLUMNS = sorted({*FACTS.columns, "main_age_band", "main_ethnic_group", "application_date"})
EPSILONS = ("0.1", "1/4", "0.5", "1", "2", "10")


def some(values):
    return st.lists(st.sampled_from(sorted(values)), unique=True, max_size=3).map(tuple)


def maybe(strategy):
    return st.none() | strategy


CAPS = st.builds(Cap, epsilon=st.sampled_from(EPSILONS), delta=st.sampled_from(("0.000001", "0.001", "0.5")))
RULES = st.builds(ClassRules, columns=maybe(some(COLUMNS)), statistics=maybe(some({"households", "rows", "sum"})))
WRITTEN = st.fixed_dictionaries({name: maybe(st.just("We say so.")) for name, _ in RED_LINES}).map(
    lambda answers: RedLineAnswers(**answers)
)
SETTINGS = {
    "paused": st.booleans(),
    "automatic": st.booleans(),
    "automatic_max_epsilon": maybe(st.sampled_from(EPSILONS)),
    "standing_approval_days": maybe(st.integers(1, 366)),
    "red_lines": WRITTEN,
    "approvals_needed": some({"data protection officer", "information asset owner"}),
    "class_2": st.sampled_from(Class2),
    "crossed_characteristics": st.sampled_from(Crossed),
    "class_2_max_epsilon_per_query": maybe(st.sampled_from(EPSILONS)),
    "class_2_cap": maybe(CAPS),
    "max_epsilon_per_query": maybe(st.sampled_from(EPSILONS)),
    "cap": maybe(CAPS),
    "by_class": st.builds(ByClass, class_0=RULES, class_1=RULES, class_2=RULES),
    "refuse_columns": some(COLUMNS),
    "refuse_statistics": some({"households", "rows", "sum"}),
    "max_cells": maybe(st.integers(1, 10**6)),
    "prohibited_uses": some(ProhibitedUse),
    "refuse_purposes": some(PurposeCategory),
    "refuse_recipients": some(BodyType),
    "levels": maybe(some(Level)),
    "groups": maybe(some({"tees-valley", "others"})),
    "min_cohort": maybe(st.integers(1, 500)),
    "max_extract_age_days": maybe(st.integers(1, 3660)),
}
POLICIES = st.fixed_dictionaries({}, optional=SETTINGS).map(lambda chosen: Policy(policy=1, **chosen))


def chosen_columns(columns):
    return {"columns": columns, "class_2": class_2_columns(CASE, columns)}


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "epsilon": st.sampled_from(EPSILONS).map(Fraction),
        "attempts": st.integers(1, 4),
        "group": st.sampled_from(("tees-valley", "nowhere")),
        "statistics": some({"households", "rows", "mean"}).map(frozenset),
        "levels": some(Level).map(frozenset),
        "max_cells": st.integers(1, 4),
        "missing": st.sampled_from((frozenset(), frozenset({"household_type"}))),
        "extract_date": st.sampled_from((None, date(2026, 2, 27), date(2020, 1, 1))),
        "not_after": st.sampled_from((NOW + timedelta(days=1), NOW - timedelta(days=1))),
        "unit": st.sampled_from(("household", "person")),
    },
)
QUESTIONS = st.tuples(CHANGES, st.none() | some(COLUMNS).map(frozenset), st.sampled_from((None, *Standing)))


def built(question):
    changes, columns, standing = question
    found = replace(FACTS, **changes, **({} if columns is None else chosen_columns(columns)))
    if standing is not None:
        found = replace(found, red_lines=(replace(found.red_lines[0], standing=standing), *found.red_lines[1:]))
    return found


def accepted(found, policy):
    try:
        review(found, AGREEMENT, policy, NOW)
    except PolicyRefusal:
        return False
    return True


@settings(max_examples=400, deadline=None)
@given(POLICIES, QUESTIONS)
def test_whatever_a_policy_accepts_is_accepted_without_it(policy, question):
    found = built(question)
    assert accepted(found, NONE) or not accepted(found, policy)


def test_both_sides_of_that_law_are_met():
    """So that it does not hold only because nothing is accepted."""
    assert accepted(FACTS, NONE)
    assert accepted(FACTS, Policy(policy=1, class_2=Class2.AS_AGREED, automatic=True, min_cohort=2))
    assert not accepted(FACTS, Policy(policy=1, min_cohort=6))
    assert not accepted(replace(FACTS, attempts=4), NONE)
    assert set(SETTINGS) == set(Policy.model_fields) - {"policy"}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    with Ledger.create(tmp_path_factory.mktemp("ledger") / "ledger.db", ME, LEDGER_NOW) as opened:
        for number, class_2 in enumerate((True, False)):
            opened.reserve(
                sid=sid_of(str(number)),
                plan_digest=digest_of(str(number)),
                title="Earlier",
                charge=PURE,
                unit="household",
                agreement=UNDER,
                budget=BUDGET,
                cap=None,
                class_2=class_2,
                attempts=2,
                now=LEDGER_NOW,
            )
        yield opened


@settings(max_examples=100, deadline=None)
@given(maybe(CAPS), maybe(CAPS), st.sampled_from(EPSILONS))
def test_whatever_the_caps_cover_is_covered_without_them(ledger, cap, class_2_cap, budget):
    def covered(**caps):
        allowed = Budget(epsilon=Fraction(budget), delta=BUDGET.delta)
        try:
            ledger.check(charge=PURE, agreement=UNDER, budget=allowed, now=LEDGER_NOW, **caps)
        except BudgetExceeded:
            return False
        return True

    limits = {
        "cap": None if cap is None else cap.budget,
        "class_2_cap": None if class_2_cap is None else class_2_cap.budget,
    }
    assert covered(cap=None) or not covered(**limits)
