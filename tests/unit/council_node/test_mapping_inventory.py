"""`council-node inventory`: what is held, what is asked for, and what is missing."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from council_node.cli import app
from federated.agreement import AGREEMENT_TYPE, parse_agreement
from federated.signing import unsafe_payload
from tests.unit.council_node.lone_council import lone_council


@pytest.fixture
def council(tmp_path):
    return lone_council(tmp_path)


def inventory(council, *options):
    done = CliRunner().invoke(app, ["inventory", "--settings", str(council.file), *options])
    assert done.exception is None, done.exception
    return done.stdout


def columns(council, dataset="case"):
    found = json.loads(inventory(council, "--json"))
    (held,) = [item for item in found["datasets"] if item["dataset"] == dataset]
    return held, {column["column"]: column for column in held["columns"]}


def asked(council):
    (path,) = council.settings.agreements.glob("*.dsse")
    agreement = parse_agreement(unsafe_payload(path.read_bytes(), AGREEMENT_TYPE))
    return agreement.id, set(agreement.datasets["case"].columns)


def rewrite(path, change):
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


def test_every_column_says_where_it_comes_from_and_who_asks(council):
    held, found = columns(council)
    name, wanted = asked(council)
    assert held["problem"] is None
    assert held["extract_date"]
    assert all(found[column]["asked_by"] == [name] for column in wanted & set(found))
    assert found["reason_loss"]["asked_by"] == ([name] if wanted & {"reason_loss", "reason_loss_group"} else [])
    assert found["case_key"]["there"]
    assert not found["case_key"]["asked_by"]
    assert [column for column in found.values() if column["missing"]] == []


def test_what_an_agreement_asks_for_and_the_extract_lacks_is_missing(council):
    column = min(asked(council)[1] & set(columns(council)[1]))
    mapping = council.folder / "case-mapping.yaml"
    rewrite(mapping, lambda document: document["columns"].pop(column))
    assert columns(council)[1][column] == {"column": column, "heading": None, "there": False, "asked_by": [asked(council)[0]], "missing": True}  # fmt: skip
    assert f"Missing, and asked for: {column}" in inventory(council)
    rewrite(mapping, lambda document: document["columns"].update({column: {"from": "A heading that went away"}}))
    assert columns(council)[1][column]["missing"]


def test_a_missing_extract_is_said_in_words(council):
    council.extract.unlink()
    held, found = columns(council)
    assert "cannot be read" in held["problem"]
    assert not any(column["there"] for column in found.values())
    assert "cannot be read" in inventory(council)


def test_another_table_gets_from_the_cases_what_the_node_joins(council):
    (council.folder / "needs.csv").write_text("Case ref,Need\nC1,Old age\n")
    (council.folder / "needs.yaml").write_text(
        "mapping: 1\ndataset: support_need\nsystem: Our needs list\nfile: needs.csv\n"
        'columns: {case_key: {from: "Case ref"}, need: {from: Need}}\n'
    )
    rewrite(council.file, lambda document: document["data"].update(support_need=str(council.folder / "needs.yaml")))
    held, found = columns(council, "support_need")
    assert held["system"] == "Our needs list"
    assert found["assessment_date"]["there"]
    assert not found["support_provided"]["there"]
    assert "Our needs list" in inventory(council)


def test_no_value_of_a_case_is_shown(council):
    with council.extract.open("a", encoding="utf-8") as file:
        file.write("CANARY-inventory," * 8 + "\n")
    assert "CANARY" not in inventory(council) + inventory(council, "--json")
