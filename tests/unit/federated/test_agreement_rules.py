"""The agreement: each rule with an agreement that breaks it alone, starting from a complete one."""

import random
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from federated.agreement import AGREEMENT_TYPE, Agreement, check_schema, open_agreement, parse_agreement
from federated.agreement_words import describe
from federated.errors import FileProblem, InternalError, PolicyRefusal, SignatureProblem
from federated.keys import make_key, parse_public, public_line, trusted_keys
from federated.schema import load_schema
from federated.signing import sign_payload
from federated.templates import template
from federated.trust import TrustSettings
from federated.yaml_document import form_faults
from protocols.encoding import sha256

EXAMPLE = (Path(__file__).parent / "examples" / "agreement.yaml").read_bytes()
NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
ANN, BOB, CEM, DEE, EVE, FAY = (make_key(random.Random(number).randbytes) for number in (1, 2, 3, 4, 5, 6))
TRUST = TrustSettings(
    roster_keys=tuple(public_line(k.public) for k in (ANN, BOB)),
    agreement_keys=tuple(public_line(k.public) for k in (CEM, DEE, EVE)),
)


def changed(*changes):
    """The example with (path, value) changes, as YAML; a value of None removes the field."""
    typed = yaml.safe_load(EXAMPLE)
    for path, value in changes:
        place = typed
        for part in path[:-1]:
            place = place[part]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value
    return yaml.safe_dump(typed, sort_keys=False, allow_unicode=True).encode()


def agreement(*changes):
    return parse_agreement(changed(*changes))


def opened(payload=EXAMPLE, *, keys=(CEM, DEE), now=NOW, trust=TRUST, known=None):
    return open_agreement(sign_payload(payload, AGREEMENT_TYPE, list(keys)), trust, now, known=known)


def test_a_signed_agreement_opens_with_everything_a_node_enforces():
    read = opened()
    assert read.digest == sha256(EXAMPLE)
    assert (read.id, read.version) == ("north-east-2026", 3)
    assert (read.budget_epsilon, read.budget_delta, read.max_epsilon) == (4, Fraction(1, 10**6), 1)
    assert (read.min_cohort, read.min_honest, read.attempts, read.decision_days) == (5, 3, 2, 14)
    assert list(read.analyst_keys.values()) == [parse_public(read.analysts[0].public_key)]
    assert read.reviewer_keys == trusted_keys(parse_public(read.reviewers[0].public_key))
    assert read.group("tees-valley").label == "Tees Valley"


def test_what_is_left_out_has_the_careful_default():
    read = agreement((("min_cohort",), None), (("min_honest",), None), (("attempts",), None), (("groups", 1), None))
    assert (read.min_cohort, read.min_honest, read.attempts) == (10, 3, 2)


def test_councils_are_sorted_whatever_their_order_in_the_file():
    councils = opened().group("north-east").councils
    assert list(councils) == sorted(councils)
    assert len(councils) == 12


@pytest.mark.parametrize(("keys", "counted"), [((ANN, BOB), 0), ((CEM,), 1), ((CEM, CEM), 1), ((CEM, ANN), 1)])
def test_two_different_pinned_people_must_have_signed(keys, counted):
    with pytest.raises(SignatureProblem, match=f"{counted} of the 2 trusted signatures") as problem:
        opened(keys=keys)
    assert "2 where it is not named" in problem.value.remedy
    assert opened(keys=(DEE, EVE))


def test_how_many_must_sign_can_be_said():
    three = TRUST.model_copy(update={"agreement_threshold": 3})
    with pytest.raises(SignatureProblem, match="2 of the 3"):
        opened(trust=three)
    assert opened(keys=(CEM, DEE, EVE), trust=three)
    assert opened(keys=(CEM,), trust=TRUST.model_copy(update={"agreement_threshold": 1}))


@pytest.mark.parametrize(
    ("now", "rule"),
    [
        (datetime(2025, 12, 31, 23, tzinfo=UTC), "agreement_not_yet_valid"),
        (datetime(2026, 12, 31, 23, tzinfo=UTC), None),
        (datetime(2027, 1, 1, tzinfo=UTC), "agreement_expired"),
    ],
)
def test_an_agreement_is_good_on_its_own_days_only(now, rule):
    if rule is None:
        assert opened(now=now)
        return
    with pytest.raises(PolicyRefusal) as caught:
        opened(now=now)
    assert caught.value.rule == rule


@pytest.mark.parametrize("signer", [ANN, BOB, CEM, DEE, EVE])
def test_nobody_who_may_sign_papers_is_the_mask_holder_too(signer):
    def held_by(key):
        return changed((("mask_holder",), {"id": "lga", "name": "Second Body", "key": public_line(key.public)}))

    assert opened(held_by(FAY)).mask_holder.key == public_line(FAY.public)
    with pytest.raises(PolicyRefusal, match="Second Body, has the key of a person who signs") as caught:
        opened(held_by(signer))
    assert caught.value.rule == "mask_holder"


def test_versions_go_up_and_never_change_under_one_number():
    digest = sha256(EXAMPLE)
    assert opened(known=(3, digest))
    assert opened(known=(2, b"\x00" * 32))
    with pytest.raises(PolicyRefusal) as older:
        opened(known=(4, digest))
    assert older.value.rule == "agreement_older"
    with pytest.raises(PolicyRefusal) as altered:
        opened(known=(3, b"\x00" * 32))
    assert altered.value.rule == "agreement_altered"


KEY = yaml.safe_load(EXAMPLE)["analysts"][0]["public_key"]
COUNCILS = yaml.safe_load(EXAMPLE)["groups"][0]["councils"]
BAD = {
    "another form": ((("agreement",), 2), "agreement must be 1"),
    "an extra field": ((("note",), "x"), "note is not a field"),
    "an extra field deep down": ((("budget", "rho"), "1"), "budget.rho is not a field"),
    "nothing on complaints": ((("contacts", "complaints"), None), "contacts.complaints is missing"),
    "no lawful basis": ((("legal_position", "lawful_basis"), None), "legal_position.lawful_basis is missing"),
    "personal data leaves": ((("legal_position", "personal_data_leaves_council"), True), "must be no"),
    "an operational use": ((("use",), "operational"), "use must be 'strategic'"),
    "a punitive purpose": ((("purpose_categories",), ["enforcement"]), "purpose_categories.0 must be"),
    "a charter with a gap": ((("prohibited_uses",), ["funding_decisions", "enforcement"]), "immigration"),
    "text left to fill in": ((("exit",), "FILL IN: how"), "exit is still to be filled in"),
    "an empty text": ((("purpose",), " "), "purpose is too short"),
    "two lines for one": ((("title",), "a\nb"), "title is not written"),
    "dates out of order": ((("valid_to",), "2026-09-30"), "dates in order"),
    "review before the start": ((("review_on",), "2025-12-31"), "dates in order"),
    "a number for text": ((("title",), 5), "title must be text"),
    "text for a number": ((("min_cohort",), "5"), "min_cohort must be a whole number"),
    "a cohort of three": ((("min_cohort",), 3), "min_cohort must be at least 4"),
    "one honest council": ((("min_honest",), 1), "min_honest must be at least 2"),
    "no attempt": ((("attempts",), 0), "attempts must be at least 1"),
    "a decimal without quotes": ((("budget", "epsilon"), 0.5), "plain decimal"),
    "a whole number for a rational": ((("budget", "epsilon"), 4), "budget.epsilon must be text"),
    "no rational": ((("budget", "epsilon"), "four"), "exact number"),
    "an epsilon of nought": ((("budget", "epsilon"), "0"), "epsilon that is not above 0"),
    "a delta of nought": ((("budget", "delta"), "0"), "delta that is not above 0"),
    "a large delta": ((("budget", "delta"), "0.001"), "delta"),
    "another period": ((("budget", "period"), "month"), "'calendar_year'"),
    "a question dearer than the year": ((("max_epsilon_per_query",), "5"), "max_epsilon_per_query"),
    "a free question": ((("max_epsilon_per_query",), "0"), "max_epsilon_per_query"),
    "standard for five councils": ((("groups", 1, "profile"), "standard"), "write profile: careful"),
    "a council twice": ((("groups", 1, "councils"), [*COUNCILS[:5], COUNCILS[0]]), "entry twice"),
    "a council id with a space": ((("groups", 1, "councils", 0), "E06 1"), "council id"),
    "a group that can never answer": ((("groups", 1, "councils"), COUNCILS[:4]), "could never answer"),
    "a group with too few honest": ((("min_honest",), 5), "could never answer"),
    "a group twice": ((("groups", 1, "name"), "north-east"), "group north-east more than once"),
    "no group": ((("groups",), []), "groups must list at least 1"),
    "a group with a capital": ((("groups", 1, "name"), "Tees"), "groups.1.name is not written"),
    "no data set": ((("datasets",), {}), "datasets must list at least 1"),
    "a column twice": ((("datasets", "case", "columns"), ["household_type"] * 2), "entry twice"),
    "no column": ((("datasets", "case", "columns"), []), "must list at least 1"),
    "too many cells": ((("datasets", "case", "max_cells"), 65), "at most 64"),
    "no analyst": ((("analysts",), []), "analysts must list at least 1"),
    "no reviewer": ((("reviewers",), []), "reviewers must list at least 1"),
    "a reviewer who is the analyst": ((("reviewers", 0, "public_key"), KEY), "more than once"),
    "not a key": ((("analysts", 0, "public_key"), "ed25519:1"), "must be a public key"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_an_unsound_agreement_is_refused_although_signed(name):
    change, sentence = BAD[name]
    with pytest.raises(FileProblem, match=sentence) as caught:
        opened(changed(change))
    assert "\n" not in str(caught.value)


SCHEMA_BAD = {
    "no such data set": ((("datasets", "cases"), {"unit": "household", "columns": ["x"], "statistics": ["rows"], "max_cells": 1}), "not a data set"),
    "another unit": ((("datasets", "case", "unit"), "person"), "counts one household"),
    "no such column": ((("datasets", "case", "columns"), ["surname"]), "'surname', which does not exist"),
    "a key column": ((("datasets", "case", "columns"), ["household_key"]), "may never be read"),
    "no such statistic": ((("datasets", "case", "statistics"), ["minimum"]), "'minimum', which does not exist"),
    "approval of nothing": ((("datasets", "case", "class_2_approved_by", "surname"), "A. Officer"), "does not exist"),
    "class 2 unapproved": ((("datasets", "case", "columns"), ["main_ethnic_group"]), "nobody's approval"),
    "class 2 codes unapproved": ((("datasets", "case", "class_2_approved_by"), None), "'reason_loss_group'"),
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEMA_BAD)
def test_an_agreement_names_only_what_exists_and_is_approved(name):
    change, sentence = SCHEMA_BAD[name]
    with pytest.raises(FileProblem, match=sentence):
        opened(changed(change))


def test_an_approved_class_2_column_may_be_read():
    approved = agreement(
        (("datasets", "case", "columns"), ["main_ethnic_group"]),
        (("datasets", "case", "class_2_approved_by"), {"main_ethnic_group": "A. Officer, 1 March 2026"}),
    )
    check_schema(approved, load_schema())


ALLOWED = {
    "dataset": "case",
    "unit": "household",
    "columns": ["household_type"],
    "statistics": ["rows"],
    "max_cells": 2,
}


def test_what_the_agreement_lists_is_allowed():
    opened().check_allowed(**ALLOWED)
    opened().check_epsilon(Fraction(1))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"dataset": "event"}, "dataset"),
        ({"unit": "person"}, "unit"),
        ({"columns": ["household_type", "priority_need"]}, "column"),
        ({"statistics": ["rows", "sum"]}, "statistic"),
        ({"max_cells": 3}, "max_cells"),
    ],
)
def test_what_the_agreement_does_not_list_is_refused_by_its_rule(change, rule):
    with pytest.raises(PolicyRefusal) as caught:
        opened().check_allowed(**(ALLOWED | change))
    assert caught.value.rule == rule
    assert caught.value.remedy


def test_a_dearer_question_and_an_unknown_group_are_refused_by_their_rules():
    with pytest.raises(PolicyRefusal) as dear:
        opened().check_epsilon(Fraction(1) + Fraction(1, 10**30))
    assert dear.value.rule == "max_epsilon_per_query"
    with pytest.raises(PolicyRefusal, match="no group 'london'") as group:
        opened().group("london")
    assert group.value.rule == "group"


def test_an_agreement_not_read_from_bytes_has_no_digest():
    with pytest.raises(InternalError):
        _ = Agreement.model_validate(opened().model_dump()).digest


def test_people_are_told_what_matters_before_they_accept():
    told = "\n".join(describe(opened()))
    for words in (
        "Homelessness statistics for the North East (north-east-2026, version 3)",
        "In force from 2026-01-01 to 2026-12-31",
        "immigration checks, decisions or removals",
        "No question may inform a decision about funding",
        "housing strategy leads, The twelve councils",
        "assessment_date, assessment_outcome, household_type, main_age_band, reason_loss_group",
        "reason_loss_group, approved by A. Officer",
        "12 councils, of which at least 5 must answer",
        "epsilon 4 for each household",
        "54.6 times as likely",
        "14 days",
        "draft for your own lawyer",
        "leave@hub.example",
    ):
        assert words in told
    declared = "\n".join(describe(agreement((("funding_use",), "if_declared"))))
    assert "you decide on each such question" in declared


def filled(name, answers):
    """A template with every FILL IN answered, by field; what has no answer gets a sentence."""

    def fill(value, path):
        if isinstance(value, dict):
            return {key: fill(item, f"{path}.{key}" if path else key) for key, item in value.items()}
        if isinstance(value, list):
            return [fill(item, path) for item in value]
        if isinstance(value, str) and "FILL IN" in value:
            return answers.get(path, "Something true and specific.")
        return value

    return yaml.safe_dump(fill(yaml.safe_load(template(name)), ""), sort_keys=False).encode()


def test_the_template_is_an_agreement_once_it_is_filled_in():
    answers = {
        "id": "north-east-2026",
        "valid_from": "2026-01-01",
        "valid_to": "2026-12-31",
        "review_on": "2026-10-01",
        "groups.name": "north-east",
        "budget.epsilon": "4",
        "max_epsilon_per_query": "1",
        "analysts.public_key": public_line(ANN.public),
        "reviewers.public_key": public_line(BOB.public),
    }
    document = yaml.safe_load(filled("agreement", answers))
    document["groups"][0]["councils"] = COUNCILS
    opened(yaml.safe_dump(document).encode())
    with pytest.raises(FileProblem, match="line 6: id is not written"):
        opened(template("agreement").encode())


def test_a_list_whose_entries_are_at_fault_is_not_also_called_too_short():
    named = {fault.name for fault in form_faults(Agreement, template("agreement").encode())}
    assert "parties.0.name" in named
    assert "parties" not in named
