"""The seven red lines: what is computed, what is left to people, and what nobody can approve."""

from dataclasses import replace

import pytest
import yaml

from federated.agreement import parse_agreement
from federated.clauses import BodyType, ProhibitedUse, Recipient
from federated.manifest import RED_LINES
from federated.query import Dimension, Table
from federated.red_lines import AT_LEAST_A_REGION, SAFETY_CODES, Standing, asked, crossed, red_lines
from federated.schema import load_schema
from tests.unit.council_node.policy_cases import AGREEMENT, AGREEMENT_FORM, MANIFEST, QUESTION

SCHEMA = load_schema()
HARMLESS = replace(
    QUESTION, tables=(Table(name="t", statistic="households", by=(Dimension(column="household_type"),)),)
)
EXPLAINED = MANIFEST.model_copy(
    update={
        "fields_read": tuple(field for field in MANIFEST.fields_read if field.column in HARMLESS.columns()),
        "linked_data": "none",
    }
)


def judged(question=HARMLESS, manifest=EXPLAINED, agreement=AGREEMENT):
    lines = red_lines(question, manifest, agreement=agreement, dataset=SCHEMA.dataset("case"))
    assert [line.name for line in lines] == [name for name, _ in RED_LINES]
    assert all(line.found and line.must_be_true for line in lines)
    return {line.name: line for line in lines}


def standing(name, **case):
    return judged(**case)[name].standing


def test_two_of_the_seven_are_always_left_to_people():
    lines = judged().values()
    assert [line.name for line in asked(lines)] == ["lawful", "convincing_purpose"]
    assert crossed(lines) == ()


def test_columns_on_abuse_or_refuges_and_the_most_sensitive_ones_are_left_to_people_too():
    lines = judged(QUESTION, MANIFEST)
    assert {name for name, line in lines.items() if line.standing is Standing.ASK} == {
        "lawful",
        "convincing_purpose",
        "no_threat_to_safety",
        "proportionate",
    }
    assert "reason_loss_group" in " ".join(lines["no_threat_to_safety"].found)


def test_the_codes_on_abuse_and_refuges_are_those_of_the_dictionaries():
    codes = {
        code.code
        for dataset in SCHEMA.datasets.values()
        for column in dataset.columns.values()
        for code in column.codes
    }
    assert codes >= SAFETY_CODES
    telling = {code for code in codes if any(word in code for word in ("abuse", "refuge", "slavery"))}
    assert telling - SAFETY_CODES <= {"non_violent_abuse"} - SAFETY_CODES | {
        code for code in telling if "refugee" in code
    }


def test_a_geography_below_a_region_crosses_a_line(monkeypatch):
    monkeypatch.setattr("federated.red_lines.AT_LEAST_A_REGION", AT_LEAST_A_REGION - {QUESTION.tables[0].level})
    assert standing("no_threat_to_safety", question=QUESTION, manifest=MANIFEST) is Standing.CROSSED
    assert standing("no_threat_to_safety") is Standing.HOLDS


def test_a_sensitive_column_without_a_named_approval_crosses_a_line():
    datasets = AGREEMENT_FORM["datasets"]
    form = AGREEMENT_FORM | {"datasets": datasets | {"case": datasets["case"] | {"class_2_approved_by": {}}}}
    agreement = parse_agreement(yaml.safe_dump(form, allow_unicode=True).encode())
    assert standing("lawful", question=QUESTION, manifest=MANIFEST, agreement=agreement) is Standing.CROSSED
    assert standing("lawful", agreement=agreement) is Standing.ASK


COMPANY = Recipient(role="analysts", body="A Company", type=BodyType.COMMERCIAL)


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("convincing_purpose", {"purpose_category": "fair_access"}, Standing.CROSSED),
        ("reuse_excluded", {"linked_data": "census tables"}, Standing.ASK),
        ("reuse_excluded", {"prohibited_uses": tuple(ProhibitedUse)[1:]}, Standing.CROSSED),
        ("reuse_excluded", {"recipients": (COMPANY,)}, Standing.CROSSED),
        (
            "transparent",
            {"ethics": EXPLAINED.ethics.model_copy(update={"how_people_are_told": "n/a"})},
            Standing.CROSSED,
        ),
        ("proportionate", {"fields_read": EXPLAINED.fields_read[:1]}, Standing.CROSSED),
        ("proportionate", {"fields_read": MANIFEST.fields_read}, Standing.ASK),
    ],
)
def test_what_the_manifest_says_moves_a_line(name, changes, expected):
    class Category(str):
        __slots__ = ()
        value = property(str)

    if "purpose_category" in changes:
        changes = {"purpose_category": Category(changes["purpose_category"])}
    changed = EXPLAINED.model_copy(update=changes)
    assert standing(name) is (Standing.ASK if name == "convincing_purpose" else Standing.HOLDS)
    assert standing(name, manifest=changed) is expected


def test_a_declared_use_for_funding_is_left_to_people_where_the_agreement_allows_it():
    uses = tuple(use for use in ProhibitedUse if use is not ProhibitedUse.FUNDING_DECISIONS)
    declared = EXPLAINED.model_copy(
        update={"prohibited_uses": uses, "funding_use": "declared", "funding_use_text": "The winter grant."}
    )
    allowing = AGREEMENT.model_copy(update={"funding_use": "if_declared"})
    never = AGREEMENT.model_copy(update={"funding_use": "never"})
    assert standing("reuse_excluded", manifest=declared, agreement=allowing) is Standing.ASK
    assert standing("reuse_excluded", manifest=declared, agreement=never) is Standing.CROSSED


def test_a_company_that_the_agreement_names_is_left_to_people():
    allowing = AGREEMENT.model_copy(update={"recipients": (*AGREEMENT.recipients, COMPANY)})
    changed = EXPLAINED.model_copy(update={"recipients": (COMPANY,)})
    assert standing("reuse_excluded", manifest=changed, agreement=allowing) is Standing.ASK


def test_a_cohort_too_small_or_a_question_too_dear_crosses_a_line():
    small = AGREEMENT.model_copy(update={"min_cohort": 6})
    assert standing("secure", agreement=small) is Standing.CROSSED
    assert standing("no_threat_to_safety", question=QUESTION, manifest=MANIFEST, agreement=small) is Standing.CROSSED
    dear = replace(HARMLESS, epsilon=AGREEMENT.max_epsilon + 1)
    assert standing("secure", question=dear) is Standing.CROSSED


def test_several_sensitive_columns_in_one_table_are_pointed_out():
    crossing = replace(
        QUESTION,
        tables=(
            Table(
                name="who",
                statistic="households",
                by=(Dimension(column="reason_loss_group"), Dimension(column="main_ethnic_group_6")),
            ),
        ),
    )
    fields = (*MANIFEST.fields_read, MANIFEST.fields_read[0].model_copy(update={"column": "main_ethnic_group_6"}))
    found = judged(crossing, MANIFEST.model_copy(update={"fields_read": fields}))["proportionate"]
    assert any("crosses several" in sentence for sentence in found.found)
