"""The linter refuses what says nothing (R25): good and bad wordings are data in `examples/manifest_wording.yaml`."""

from pathlib import Path

import pytest
import yaml

from federated import plain_english
from federated.manifest import Severity, lint, lint_payload, parse_manifest

EXAMPLES = Path(__file__).parent / "examples"
EXAMPLE = (EXAMPLES / "manifest.yaml").read_bytes()
WORDINGS = yaml.safe_load((EXAMPLES / "manifest_wording.yaml").read_bytes())


def with_wording(field, wording):
    document = yaml.safe_load(EXAMPLE)
    place = document
    *path, last = [int(part) if part.isdigit() else part for part in field.split(".")]
    for part in path:
        place = place[part]
    place[last] = wording
    return yaml.safe_dump(document, allow_unicode=True).encode()


@pytest.mark.parametrize("case", WORDINGS, ids=lambda case: f"{case['field']}: {case['wording'][:40]}")
def test_each_wording_gets_its_findings_and_no_others(case):
    before = {(finding.field, finding.problem) for finding in lint(parse_manifest(EXAMPLE))}
    findings = [
        finding
        for finding in lint(parse_manifest(with_wording(case["field"], case["wording"])))
        if finding.field == case["field"] or (finding.field, finding.problem) not in before
    ]
    for severity in Severity:
        expected = case.get(severity.value, [])
        told = [finding.problem for finding in findings if finding.severity is severity]
        assert all(any(part in problem for problem in told) for part in expected), told
        assert len(told) == len(expected), told


def test_the_example_has_no_errors():
    findings = lint(parse_manifest(EXAMPLE))
    assert [finding.severity for finding in findings] == [Severity.WARNING]


def test_errors_come_first_and_every_finding_says_what_to_do():
    findings = lint(parse_manifest(with_wording("storage", "TBC, indefinitely.")))
    assert [finding.severity.value for finding in findings] == ["error", "error", "warning"]
    assert all(finding.advice.endswith((".", "does.")) for finding in findings)


def test_what_is_no_manifest_is_linted_too_with_lines_and_advice():
    document = yaml.safe_load(EXAMPLE)
    del document["decision"], document["retention"]["until"]
    document["fields_read"][1]["why"] = ""
    document["mood"] = "good"
    findings = {finding.field: finding for finding in lint_payload(yaml.safe_dump(document, sort_keys=False).encode())}
    assert set(findings) == {"decision", "retention.until", "fields_read.1.why", "mood"}
    assert "who decides what" in findings["decision"].advice
    assert "Last day" in findings["retention.until"].advice
    assert "cannot be answered without it" in findings["fields_read.1.why"].advice
    assert all(finding.severity is Severity.ERROR for finding in findings.values())
    assert findings["fields_read.1.why"].line > findings["retention.until"].line - 60 > -60


def test_a_file_that_is_no_yaml_gets_one_finding_with_its_line():
    (finding,) = lint_payload(b"manifest: 1\n  title: x\n")
    assert (finding.field, finding.line) == ("the file", 2)
    assert "not valid YAML" in finding.problem


def test_a_good_file_and_its_manifest_have_the_same_findings():
    assert lint_payload(EXAMPLE) == lint(parse_manifest(EXAMPLE))


def test_reading_score_is_lix():
    text = "The cat sat on the mat. " * 6 + "Somebody repeatedly photographed everything. " * 3
    # 48 words in 9 sentences; 12 of them have more than six letters: 5 + 25.
    assert plain_english.reading_score(text) == 30
    assert plain_english.reading_score("Too short to judge.") is None
