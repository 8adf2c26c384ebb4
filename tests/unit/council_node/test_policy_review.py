from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest

from council_node import policy as policy_module
from council_node.policy import CHECKS, persons_reasons, review
from council_node.policy_file import ByClass, Cap, Class2, ClassRules, Crossed, Policy, RedLineAnswers
from federated.clauses import BodyType, ProhibitedUse, PurposeCategory
from federated.errors import CohortTooSmall, ExitStatus, PolicyRefusal
from federated.query import Level
from federated.red_lines import Standing
from tests.unit.council_node.policy_cases import (
    AGREEMENT,
    AGREEMENT_FORM,
    GROUP,
    MANIFEST,
    ME,
    NOW,
    POLICY,
    agreement,
    facts,
    manifest,
    plan,
)

WRITTEN = RedLineAnswers(
    lawful="Our solicitor says so.",
    convincing_purpose="We chose the kinds of purpose.",
    no_threat_to_safety="They are counted over regions.",
    proportionate="They were approved by name.",
)


def policy(**settings):
    return Policy(policy=1, **settings)


def refused(rule, *, said=None, facts_=None, agreement_=AGREEMENT, policy_=POLICY, now=NOW):
    with pytest.raises(PolicyRefusal, match=said) as caught:
        review(facts_ or facts(), agreement_, policy_, now)
    assert caught.value.rule == rule
    return caught.value


def test_a_question_that_keeps_every_rule_passes():
    review(facts(), AGREEMENT, POLICY, NOW)


def test_the_facts_follow_from_the_plan():
    found = facts()
    assert found.columns == {"assessment_date", "household_type", "reason_loss_group"}
    assert found.class_2 == {"reason_loss_group"}
    assert found.statistics == {"households", "rows"}
    assert (found.max_cells, found.epsilon, found.attempts) == (2, Fraction(1, 2), 2)
    assert found.eligible == GROUP.councils
    assert found.cells == plan().cells


def test_a_paused_council_answers_nothing():
    refused("paused", policy_=policy(paused=True))


def test_another_version_of_the_agreement_is_not_accepted():
    other = agreement(version=2)
    refused("agreement_not_accepted", agreement_=other)
    refused("agreement_not_accepted", facts_=facts(agreement_id="other"))


def test_an_agreement_outside_its_days_is_refused():
    late = datetime(2031, 1, 1, tzinfo=UTC)
    refused("agreement_expired", now=late)
    refused("agreement_not_yet_valid", now=datetime(2020, 1, 1, tzinfo=UTC))


def test_a_plan_outside_its_dates_is_refused():
    refused("plan_expired", facts_=facts(not_after=NOW - timedelta(seconds=1)))
    refused("plan_not_yet_valid", facts_=facts(not_before=NOW + timedelta(seconds=1)))
    review(facts(not_before=NOW, not_after=NOW), AGREEMENT, POLICY, NOW)


def test_a_plan_cannot_give_itself_more_attempts():
    refused("attempts", facts_=facts(attempts=3))


def test_only_a_whole_named_group_is_asked():
    refused("group", said="not those of the group", facts_=facts(eligible=GROUP.councils[:-1]))
    refused("group", said="not those of the group", facts_=facts(eligible=(*GROUP.councils, "E06000099")))
    refused("group", said="has no group", facts_=facts(group="nowhere"))


def test_a_council_outside_the_group_does_not_answer():
    refused("group", said="This council is not in", facts_=facts(council="E08000037"))


def test_a_cohort_below_the_agreements_minimum_is_refused():
    # An agreement like this cannot be signed; a node that holds one all the same refuses by itself.
    small = AGREEMENT.model_copy(update={"min_cohort": 6})
    small._digest = AGREEMENT.digest
    found = refused("min_cohort", agreement_=small)
    assert isinstance(found, CohortTooSmall)
    assert found.exit_status is ExitStatus.COHORT
    lonely = AGREEMENT.model_copy(update={"min_honest": 4})
    lonely._digest = AGREEMENT.digest
    refused("min_honest", agreement_=lonely)


def test_another_manifest_than_the_plans_is_refused():
    refused("manifest_mismatch", facts_=facts(manifest=manifest(version=2)))


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("manifest_purpose", {"purpose_category": "fair_access"}),
        (
            "manifest_recipient",
            {"recipients": [{"role": "anyone", "body": "A Company", "type": "commercial"}]},
        ),
    ],
)
def test_a_manifest_keeps_to_the_agreement(rule, changes):
    if rule == "manifest_purpose":
        assert "fair_access" not in AGREEMENT_FORM["purpose_categories"]
    other = manifest(**changes)
    refused(rule, facts_=facts(manifest=other, manifest_digest=other.digest))


def test_a_column_the_manifest_does_not_explain_is_refused():
    refused("manifest_column", facts_=facts(columns=frozenset({"main_age_band"})))


def allowing(**changes):
    """The example agreement with other rules for `case`, named by the facts."""
    datasets = AGREEMENT_FORM["datasets"]
    found = agreement(datasets=datasets | {"case": datasets["case"] | changes})
    return {"agreement_": found, "facts_": facts(agreement_digest=found.digest)}


def test_only_what_the_agreement_lists_is_read():
    refused("dataset", facts_=facts(dataset="nothing", columns=frozenset()))
    refused("unit", facts_=facts(unit="person"))
    refused("max_cells", facts_=facts(max_cells=3))
    refused("statistic", said="'rows'", **allowing(statistics=["households"]))
    columns = [column for column in AGREEMENT_FORM["datasets"]["case"]["columns"] if column != "household_type"]
    refused("column", said="'household_type'", **allowing(columns=columns))


def test_the_most_sensitive_columns_need_a_named_persons_approval():
    refused("class_2", said="agreement", **allowing(class_2_approved_by={}))
    refused("class_2", said="this council's policy", policy_=policy(class_2=Class2.REFUSE))


def test_a_question_costs_no_more_than_one_may():
    refused("max_epsilon_per_query", facts_=facts(epsilon=Fraction(11, 10)))
    review(facts(epsilon=Fraction(1)), AGREEMENT, POLICY, NOW)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"refuse_columns": ("household_type",)}, "column 'household_type'"),
        ({"refuse_statistics": ("rows",)}, "statistic 'rows'"),
        ({"max_epsilon_per_query": "0.4"}, "allows epsilon 0.4 for one question; this one asks for 1/2"),
        ({"min_cohort": 6}, "6 or more councils; the group has 5"),
        ({"class_2_max_epsilon_per_query": "0.4"}, "the most sensitive columns, such as 'reason_loss_group'"),
        ({"by_class": ByClass(class_2=ClassRules(columns=("reason_loss",)))}, "'reason_loss_group', of class 2, be"),
        ({"by_class": ByClass(class_1=ClassRules(columns=("assessment_date",)))}, "'household_type', of class 1"),
        ({"by_class": ByClass(class_2=ClassRules(statistics=("households",)))}, "'rows' on the column 'reason_loss_"),
        ({"levels": (Level.REGION,)}, "at the level 'all'"),
        ({"groups": ("north-east",)}, "with the group 'tees-valley'"),
        ({"refuse_purposes": (PurposeCategory.PREVENTION,)}, "the purpose 'prevention'"),
        ({"refuse_recipients": (BodyType.PUBLIC_BODY,)}, "a council, a department or another public body, and '"),
    ],
)
def test_a_council_may_be_stricter_than_the_agreement(settings, said):
    refused("council_policy", said=said, policy_=policy(**settings))


@pytest.mark.parametrize(
    ("settings", "rule", "changes"),
    [
        ({"max_epsilon_per_query": "3"}, "max_epsilon_per_query", {"epsilon": Fraction(2)}),
        ({"class_2": Class2.AS_AGREED}, "column", {"columns": frozenset({"main_age_band", "assessment_date"})}),
        ({"min_cohort": 1}, "group", {"eligible": (ME,)}),
    ],
)
def test_a_council_cannot_be_looser_than_the_agreement(settings, rule, changes):
    wanted = facts(**changes)
    if rule == "column":
        columns = [c for c in AGREEMENT_FORM["datasets"]["case"]["columns"] if c != "household_type"]
        refused(rule, policy_=policy(**settings), **allowing(columns=columns))
        return
    refused(rule, facts_=wanted, policy_=policy(**settings))


def test_a_council_may_ask_every_manifest_to_rule_a_use_out():
    uses = tuple(use for use in MANIFEST.prohibited_uses if use != "funding_decisions")
    declared = MANIFEST.model_copy(update={"prohibited_uses": uses, "funding_use": "declared"})
    declared._digest = MANIFEST.digest
    wanted = facts(manifest=declared)
    allowing_it = AGREEMENT.model_copy(update={"funding_use": "if_declared"})
    allowing_it._digest = AGREEMENT.digest
    review(wanted, allowing_it, POLICY, NOW)
    refused(
        "council_policy",
        said="how much money any council gets",
        facts_=wanted,
        agreement_=allowing_it,
        policy_=policy(prohibited_uses=(ProhibitedUse.FUNDING_DECISIONS,)),
    )


def test_lower_limits_for_class_2_leave_other_questions_alone():
    strict = policy(
        class_2_max_epsilon_per_query="0.4", by_class=ByClass(class_2=ClassRules(columns=(), statistics=()))
    )
    columns = frozenset({"assessment_date", "household_type"})
    review(facts(class_2=frozenset(), columns=columns), AGREEMENT, strict, NOW)


def test_a_column_of_unknown_class_counts_as_the_most_sensitive():
    none = policy(by_class=ByClass(class_2=ClassRules(columns=("reason_loss_group",))))
    refused("council_policy", said="of class 2", facts_=facts(classes={}), policy_=none)


def test_a_council_may_limit_the_number_of_cells():
    cells = facts().cells
    refused("cells", policy_=policy(max_cells=cells - 1))
    review(facts(), AGREEMENT, policy(max_cells=cells), NOW)


def test_what_a_council_does_not_hold_it_does_not_answer():
    refused(
        "coverage", said="household_type, reason", facts_=facts(missing=frozenset({"reason_loss", "household_type"}))
    )
    refused("coverage", said="no extract", facts_=facts(extract_date=None))


def test_an_extract_may_be_too_old():
    at = policy(max_extract_age_days=9)
    review(facts(), AGREEMENT, at, NOW)
    refused("extract_age", said="10 days old", facts_=facts(extract_date=date(2026, 2, 19)), policy_=at)
    review(facts(extract_date=date(2020, 1, 1)), AGREEMENT, POLICY, NOW)


def test_checks_run_in_the_order_they_are_listed():
    numbers = [check.__doc__.split(")")[0] for check in CHECKS]
    assert numbers == [f"({number}" for number in range(len(CHECKS))]
    listed = [name for name in vars(policy_module) if name.startswith("check_")]
    imported = {"check_manifest", "check_columns", "check_valid"}
    assert {check.__name__ for check in CHECKS} == set(listed) - imported


def test_every_refusal_is_one_sentence_without_a_line_break():
    found = refused("paused", policy_=policy(paused=True))
    assert found.diagnostics() == "Refused (paused): This council has paused. Ask the council when it takes part again."


def test_a_person_decides_unless_the_council_says_otherwise():
    assert persons_reasons(facts(), policy()) == (
        "this council decides on every question",
        "it reads the most sensitive kind of data: reason_loss_group",
    )
    assert persons_reasons(facts(), policy(automatic=True, class_2=Class2.AS_AGREED, red_lines=WRITTEN)) == ()
    assert len(persons_reasons(facts(), policy(automatic=True, red_lines=WRITTEN))) == 1
    harmless = facts(class_2=frozenset())
    assert persons_reasons(harmless, policy(automatic=True, red_lines=WRITTEN)) == ()
    declared = MANIFEST.model_copy(update={"funding_use": "declared"})
    (reason,) = persons_reasons(
        facts(manifest=declared, class_2=frozenset()), policy(automatic=True, red_lines=WRITTEN)
    )
    assert "funding" in reason


SINGLED_OUT = {"who": ("age", "sex")}
MOST_WILLING = {"automatic": True, "class_2": Class2.AS_AGREED, "red_lines": WRITTEN}


def test_no_policy_approves_a_crossing_of_protected_characteristics_by_itself():
    assert persons_reasons(facts(), policy(**MOST_WILLING)) == ()
    (reason,) = persons_reasons(facts(crossed=SINGLED_OUT), policy(**MOST_WILLING))
    assert reason == "its table 'who' singles out groups by age and sex, which only a person may approve"
    with pytest.raises(ValueError, match="crossed_characteristics"):
        policy(crossed_characteristics="as_agreed")


def test_a_council_may_never_answer_crossings(monkeypatch):
    large = {"crossed": SINGLED_OUT}
    monkeypatch.setattr(policy_module, "BASE_FACTOR", 1)
    review(facts(**large), AGREEMENT, POLICY, NOW)
    never = policy(crossed_characteristics=Crossed.REFUSE)
    refused("council_policy", said="single out groups by age and sex", facts_=facts(**large), policy_=never)
    review(facts(), AGREEMENT, never, NOW)


def test_a_node_itself_holds_a_crossing_to_twice_the_councils(monkeypatch):
    found = refused("crossed_base", said="needs 10 councils", facts_=facts(crossed=SINGLED_OUT))
    assert isinstance(found, CohortTooSmall)
    monkeypatch.setattr(policy_module, "_check_crossed_base", lambda *_: None)
    review(facts(crossed=SINGLED_OUT), AGREEMENT, POLICY, NOW)


@pytest.mark.parametrize("missing", ["lawful", "convincing_purpose", "no_threat_to_safety", "proportionate"])
def test_a_red_line_that_nobody_answered_in_writing_waits_for_a_person(missing):
    without = WRITTEN.model_copy(update={missing: None})
    found = persons_reasons(facts(), policy(automatic=True, class_2=Class2.AS_AGREED, red_lines=without))
    assert found == (f"the policy has no written answer to the red line '{missing}'",)


def test_a_dear_question_waits_for_a_person():
    cheap = {"automatic": True, "class_2": Class2.AS_AGREED, "red_lines": WRITTEN}
    assert persons_reasons(facts(), policy(automatic_max_epsilon="0.5", **cheap)) == ()
    (reason,) = persons_reasons(facts(), policy(automatic_max_epsilon="0.49", **cheap))
    assert "0.49" in reason


def test_a_crossed_red_line_is_refused():
    lines = [replace(line, standing=Standing.CROSSED) for line in facts().red_lines]
    for number, line in enumerate(lines):
        crossing = (*facts().red_lines[:number], line, *facts().red_lines[number + 1 :])
        assert line.name in str(refused("red_line", facts_=facts(red_lines=crossing)))


def test_the_cap_reaches_the_ledger_exactly():
    assert policy().year_cap is None
    cap = policy(cap=Cap(epsilon="1.5", delta="1/1000000")).year_cap
    assert (cap.epsilon, cap.delta) == (Fraction(3, 2), Fraction(1, 10**6))
