"""The commands an analyst and a reviewer type, against a real federation of five councils as processes."""

import csv
import json
import os
import signal
from fractions import Fraction

import pytest

from federated.demo.papers import GROUP, manifest_payload
from federated.demo.world import build_world
from federated.query import Dimension, Period, Query, Table, write_query
from federated.shell import now_utc
from federated.synthetic import PUBLISHED_QUARTER
from tests.e2e.typed_commands import typed_in

COUNCILS = 5


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with build_world(tmp_path_factory.mktemp("world"), count=COUNCILS, epsilon=Fraction(1), seed=3) as built:
        query = Query(
            title="Households assessed, by outcome",
            dataset="case",
            unit="household",
            group=GROUP,
            period=Period(column="assessment_date", start=PUBLISHED_QUARTER.start, end=PUBLISHED_QUARTER.end),
            epsilon=Fraction(1),
            tables=(Table(name="outcome", statistic="households", by=(Dimension(column="assessment_outcome"),)),),
        )
        (built.folder / "question.yaml").write_text(write_query(query), encoding="utf-8")
        today = now_utc().date()
        (built.folder / "manifest.yaml").write_bytes(manifest_payload("commands", query, today=today))
        yield built


def typed(world, *arguments, fails=0):
    done = typed_in(world.folder, "federated", *arguments, status=fails)
    return done.stderr if fails else done.stdout


ASK = ("question.yaml", "--manifest", "manifest.yaml")


@pytest.fixture(scope="module")
def answer(world):
    """The first answer, with everything that was printed on the way."""
    return typed(world, "submit", *ASK, "--out", "answer")


def spent(world):
    rows = json.loads(typed(world, "budgets", "--json"))
    return {row["council"]: row.get("spent_epsilon", "0") for row in rows}


def test_a_plan_spends_nothing_and_says_what_to_expect(world):
    found = json.loads(typed(world, "plan", *ASK, "--json"))
    assert found["epsilon"] == "1"
    assert found["councils_asked"] == COUNCILS
    assert found["tables"][0]["sd_all"] > found["tables"][0]["sd_fewest"] > 0
    printed = typed(world, "plan", *ASK)
    assert "Planning spends nothing" in printed
    assert f"{found['tables'][0]['sd_all']:.2f}" in printed


def test_an_answer_is_followed_council_by_council_and_written_to_files(world, answer):
    for council in world.councils.values():
        assert council.name in answer
    release = json.loads((world.folder / "answer" / "release.json").read_text(encoding="utf-8"))
    assert release["contributed"] == COUNCILS
    with (world.folder / "answer" / "outcome.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["assessment_outcome"] for row in rows] == [cell["codes"][0] for cell in release["tables"][0]["cells"]]
    assert (world.folder / "answer" / "outcome.svg").read_text(encoding="utf-8").startswith("<svg")
    metadata = json.loads((world.folder / "answer" / "outcome.csv-metadata.json").read_text(encoding="utf-8"))
    named = [column["name"] for column in metadata["tableSchema"]["columns"]]
    assert named == list(rows[0])


def test_the_identical_question_is_free_and_a_refresh_is_charged(world, answer):
    assert answer
    assert set(spent(world).values()) == {"1"}
    first = json.loads((world.folder / "answer" / "release.json").read_text(encoding="utf-8"))
    again = json.loads(typed(world, "submit", *ASK, "--json"))
    assert again == first
    assert set(spent(world).values()) == {"1"}
    fresh = json.loads(typed(world, "submit", *ASK, "--refresh", "--json"))
    assert fresh["sid"] != first["sid"]
    assert set(spent(world).values()) == {"2"}


def test_releases_are_listed_shown_verified_and_exported(world, answer):
    assert answer
    listed = json.loads(typed(world, "releases", "--json"))
    assert listed[-1]["title"] == "Households assessed, by outcome"
    shown = typed(world, "show", listed[-1]["release"])
    assert "95% interval" in shown
    verified = typed(world, "verify", "answer/release.json")
    assert "signed that the sum is over exactly these 5 councils" in verified
    assert "The tables follow from the published totals." in verified
    assert "outcome.csv" in typed(world, "export", "answer/release.json", "--out", "exported")
    assert "5 of 5 councils are in the figures" in typed(world, "analyse", "rate", "answer/release.json")


def test_a_changed_release_is_found_out(world, answer):
    assert answer
    release = json.loads((world.folder / "answer" / "release.json").read_text(encoding="utf-8"))
    release["tables"][0]["totals"][0] += 1
    (world.folder / "changed.json").write_text(json.dumps(release), encoding="utf-8")
    assert "do not follow" in typed(world, "verify", "changed.json", fails=9)
    release["tables"][0]["totals"][0] -= 1
    dropped = next(iter(release["attestations"]["masked_inputs"]))
    del release["attestations"]["masked_inputs"][dropped]
    (world.folder / "changed.json").write_text(json.dumps(release), encoding="utf-8")
    assert "not those whose masked inputs" in typed(world, "verify", "changed.json", fails=9)


def test_mistakes_get_one_sentence_and_a_status(world):
    assert "cannot be read" in typed(world, "plan", "nothing.yaml", "--manifest", "manifest.yaml", fails=3)
    question = (world.folder / "question.yaml").read_text(encoding="utf-8")
    (world.folder / "wrong.yaml").write_text(question.replace("assessment_outcome", "outcome"), encoding="utf-8")
    said = typed(world, "plan", "wrong.yaml", "--manifest", "manifest.yaml", fails=3)
    assert "has no column 'outcome'" in said
    assert len(said.strip().splitlines()) == 1
    typed(world, "show", "abc", fails=3)
    typed(world, "show", "00" * 32, fails=4)
    typed(world, "plan", fails=2)


def test_the_council_reads_its_receipt_ledger_and_status(world, answer):
    assert answer
    council = next(iter(world.councils))
    settings = ["--settings", str(world.folder / "councils" / council / "node" / "node.yaml")]

    def node(*arguments):
        return typed_in(world.folder, "council-node", *arguments, *settings).stdout

    receipt = node("receipt")
    assert "Households assessed, by outcome" in receipt
    assert "masked input" in receipt
    assert "takes part" in node("status")
    assert "The ledger is whole" in node("ledger", "verify")
    kinds = [row["kind"] for row in json.loads(node("ledger", "show", "--json"))]
    assert kinds[:3] == ["opened", "reserved", "spent"]


def test_without_the_coordinator_the_client_says_so(world, answer):
    assert answer
    serve = world.processes.running["coordinator-serve"].process
    os.kill(serve.pid, signal.SIGSTOP)
    try:
        workspace = (world.folder / "federated.yaml").read_text(encoding="utf-8")
        port = world.workspace.coordinator.address.rpartition(":")[2]
        (world.folder / "elsewhere.yaml").write_text(workspace.replace(port, "1"), encoding="utf-8")
        said = typed(world, "releases", "--workspace", "elsewhere.yaml", fails=8)
        assert "could not be reached" in said
    finally:
        os.kill(serve.pid, signal.SIGCONT)
