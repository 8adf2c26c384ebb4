"""The manifest: purpose, recipients and dates bound to a question; each rule with a manifest that breaks it alone."""

import random
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml

from federated.agreement import Agreement, parse_agreement
from federated.errors import FileProblem, InternalError, PolicyRefusal, SignatureProblem
from federated.keys import make_key, trusted_keys
from federated.manifest import (
    MANIFEST_TYPE,
    RED_LINES,
    Manifest,
    check_columns,
    check_manifest,
    open_manifest,
    parse_manifest,
)
from federated.model_docs import render
from federated.signing import sign_payload
from federated.templates import template
from federated.yaml_document import read_document
from protocols.encoding import sha256

EXAMPLES = Path(__file__).parent / "examples"
EXAMPLE = (EXAMPLES / "manifest.yaml").read_bytes()
AGREEMENT = (EXAMPLES / "agreement.yaml").read_bytes()
NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
ANN, EVE = (make_key(random.Random(number).randbytes) for number in (1, 2))


def changed(*changes, source=EXAMPLE):
    document = yaml.safe_load(source)
    for path, value in changes:
        place = document
        for part in path[:-1]:
            place = place[part]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()


def opened(payload=EXAMPLE, *, key=ANN, now=NOW):
    return open_manifest(sign_payload(payload, MANIFEST_TYPE, [key]), trusted_keys(ANN.public), now)


def test_a_signed_manifest_opens_and_carries_its_digest():
    manifest = opened()
    assert manifest.digest == sha256(EXAMPLE)
    assert manifest.purpose_category == "prevention"
    assert manifest.columns == {
        ("case", "assessment_date"),
        ("case", "household_type"),
        ("case", "reason_loss_group"),
    }


def test_only_an_analyst_of_the_agreement_can_sign():
    with pytest.raises(SignatureProblem):
        opened(key=EVE)


def test_an_expired_manifest_is_refused():
    assert opened(now=datetime(2026, 12, 31, 23, 59, tzinfo=UTC))
    with pytest.raises(PolicyRefusal) as caught:
        opened(now=datetime(2027, 1, 1, tzinfo=UTC))
    assert caught.value.rule == "manifest_expired"


def test_a_manifest_that_says_nothing_is_refused_with_the_field_and_the_way_to_write_it():
    with pytest.raises(PolicyRefusal) as caught:
        opened(changed((("decision",), "Policy and service improvement.")))
    assert caught.value.rule == "manifest_wording"
    assert "decision" in str(caught.value)
    assert "lint" in caught.value.remedy


def test_an_altered_manifest_is_refused():
    import base64
    import json

    document = json.loads(sign_payload(EXAMPLE, MANIFEST_TYPE, [ANN]))
    document["payload"] = base64.b64encode(EXAMPLE.replace(b"monthly", b"yearly")).decode()
    with pytest.raises(SignatureProblem, match="changed after it was signed"):
        open_manifest(json.dumps(document).encode(), trusted_keys(ANN.public), NOW)


ALL_USES = yaml.safe_load(EXAMPLE)["prohibited_uses"]
MANDATORY = [name for name, field in Manifest.model_fields.items() if field.is_required()]
BAD = {
    "another form": ((("manifest",), 2), "manifest must be 1"),
    "an extra field": ((("note",), "x"), "note is not a field"),
    "an operational use": ((("use",), "operational"), "'strategic'"),
    "a punitive purpose": ((("purpose_category",), "enforcement"), "purpose_category must be"),
    "a charter with a gap": ((("prohibited_uses",), ALL_USES[1:]), "funding_decisions is not there"),
    "a use twice": ((("prohibited_uses",), [*ALL_USES, ALL_USES[0]]), "entry twice"),
    "funding declared without words": ((("funding_use",), "declared"), "funding"),
    "words on funding without declaring": ((("funding_use_text",), "For grants."), "funding_use_text"),
    "another recipient type": ((("recipients", 0, "type"), "newspaper"), "recipients.0.type must be"),
    "no recipient": ((("recipients",), []), "recipients must list at least 1"),
    "no field": ((("fields_read",), []), "fields_read must list at least 1"),
    "a field twice": ((("fields_read", 1, "column"), "assessment_date"), "twice"),
    "collected after it is returned": ((("collect_by",), "2026-05-16"), "dates in order"),
    "returned after it expires": ((("return_by",), "2027-01-01"), "dates in order"),
    "kept shorter than it runs": ((("retention", "until"), "2026-12-30"), "dates in order"),
    "another frequency": ((("frequency",), "hourly"), "frequency must be"),
    "no end date": ((("retention", "until"), None), "retention.until is missing"),
    "personal data leaves": ((("legal_position", "personal_data_leaves_council"), True), "must be no"),
} | {f"without {name}": (((name,), None), f"{name} is missing") for name in MANDATORY}


@pytest.mark.parametrize("name", BAD)
def test_an_unsound_manifest_is_refused_although_signed(name):
    change, sentence = BAD[name]
    with pytest.raises(FileProblem, match=sentence):
        opened(changed(change))


@pytest.mark.parametrize(("name", "statement"), RED_LINES)
def test_each_of_the_seven_red_lines_blocks(name, statement):
    assert len(RED_LINES) == 7
    assert statement
    with pytest.raises(FileProblem, match="red line"):
        opened(changed((("red_lines", name), False)))


def declared():
    uses = [use for use in ALL_USES if use != "funding_decisions"]
    return changed(
        (("prohibited_uses",), uses),
        (("funding_use",), "declared"),
        (("funding_use_text",), "In July the department sets the size of the winter grant to the twelve councils."),
    )


def test_a_declared_use_for_funding_drops_one_prohibition_and_no_other():
    assert opened(declared()).funding_use == "declared"
    with pytest.raises(FileProblem, match="prohibits it at the same time"):
        opened(changed((("prohibited_uses",), ALL_USES), source=declared()))
    with pytest.raises(FileProblem, match="immigration"):
        opened(changed((("prohibited_uses",), [u for u in ALL_USES if u not in {"funding_decisions", "immigration"}]), source=declared()))  # fmt: skip


def test_a_manifest_within_the_agreement_passes():
    check_manifest(opened(), parse_agreement(AGREEMENT))
    allowed = parse_agreement(changed((("funding_use",), "if_declared"), source=AGREEMENT))
    check_manifest(opened(declared()), allowed)


@pytest.mark.parametrize(
    ("payload", "rule"),
    [
        (changed((("purpose_category",), "evaluation")), "manifest_purpose"),
        (declared(), "manifest_funding"),
        (changed((("linked_data",), "Census tables of 2021")), "manifest_linked_data"),
        (changed((("recipients", 0, "body"), "A software supplier")), "manifest_recipient"),
        (changed((("recipients", 0, "type"), "commercial")), "manifest_recipient"),
    ],
)
def test_what_the_agreement_does_not_cover_is_refused_by_its_rule(payload, rule):
    with pytest.raises(PolicyRefusal) as caught:
        check_manifest(opened(payload), parse_agreement(AGREEMENT))
    assert caught.value.rule == rule


def test_a_column_that_is_not_explained_is_refused():
    check_columns(opened(), dataset="case", columns=["household_type", "assessment_date"])
    for dataset, columns in (("case", ["household_type", "main_sex"]), ("ta_placement", ["household_type"])):
        with pytest.raises(PolicyRefusal) as caught:
            check_columns(opened(), dataset=dataset, columns=columns)
        assert caught.value.rule == "manifest_column"


def test_a_manifest_not_read_from_bytes_has_no_digest():
    with pytest.raises(InternalError):
        _ = Manifest.model_validate(opened().model_dump()).digest


def test_the_template_is_a_manifest_once_it_is_filled_in():
    example = yaml.safe_load(EXAMPLE)

    def fill(value, model):
        if isinstance(value, dict):
            return {key: fill(item, model[key]) for key, item in value.items()}
        if isinstance(value, list):
            return [fill(item, model[number]) for number, item in enumerate(value)]
        return (model.isoformat() if isinstance(model, date) else model) if "FILL IN" in str(value) else value

    filled = fill(yaml.safe_load(template("manifest")), example)
    assert opened(yaml.safe_dump(filled, sort_keys=False).encode())
    with pytest.raises(FileProblem, match="id is not written"):
        opened(template("manifest").encode())


@pytest.mark.parametrize("model", [Agreement, Manifest])
def test_the_reference_page_is_what_the_form_says(model):
    page = Path("docs/reference") / f"{model.__name__.lower()}.md"
    assert page.read_text(encoding="utf-8") == render(model), "run `make docs`"


@pytest.mark.parametrize("model", [Agreement, Manifest])
def test_every_field_is_explained(model):
    assert "| None |" not in render(model)
    assert render(model).count("\n## ") > 5
    assert parse_manifest(EXAMPLE)


HOSTILE = {
    "an alias": (b"a: &x [1]\nb: *x\n", "anchor"),
    "an anchor on text": (b"a: &x b\n", "anchor"),
    "a lone alias": (b"*x\n", "alias"),
    "a tag": (b"a: !!python/object/apply:os.system [ls]\n", "tag"),
    "a tag on text": (b"a: !!binary aGk=\n", "tag"),
    "two documents": (b"a: 1\n---\na: 2\n", "more than one document"),
    "a name twice": (b"manifest: 1\nmanifest: 1\n", "'manifest' twice"),
    "a name that is a number": (b"1: 2\n", "name is not text"),
    "a name that is a list": (b"? [a]\n: b\n", "name is not text"),
    "nested without end": (b"[" * 50_000, "nested more than"),
    "nested by hyphens": (b"- " * 50_000, "nested more than"),
    "too large": (b"#" * (1024 * 1024 + 1), "larger than"),
    "not UTF-8": (b"\xff\xfea", "UTF-8"),
    "a plain decimal": (b"a: 0.5\n", "plain decimal"),
    "an exponent": (b"a: 1e5\n", "plain decimal"),
    "an escape sequence": (b'a: "\\e[2J"\n', "cannot be seen"),
    "a direction override": ("a: x\u202ey\n".encode(), "cannot be seen"),
    "nothing": (b"", "named fields"),
    "a list": (b"- 1\n", "named fields"),
    "open brackets": (b"a: [1\n", "not valid YAML"),
}


@pytest.mark.parametrize("number", ["1\u0660", "\u0661", "-\uff11", "\u0967\u0966"])
def test_digits_of_another_script_are_no_number(number):
    """They look like other signs, so that people would sign another number than a node reads."""
    content = f"retention:\n- {number}\n- 10\n".encode()
    assert read_document(content, source="a file") == {"retention": [number, 10]}
    asked = EXAMPLE.replace(b"version: 1\n", f"version: {number}\n".encode())
    assert asked != EXAMPLE
    with pytest.raises(FileProblem, match="version must be a whole number"):
        parse_manifest(asked)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_two_readers_could_read_differently_is_refused(name):
    content, sentence = HOSTILE[name]
    with pytest.raises(FileProblem, match=sentence) as caught:
        parse_manifest(content)
    assert "\n" not in str(caught.value)
