"""The hand-over report of a node with a history."""

import json

import pytest
from typer.testing import CliRunner

from council_node.cli import app
from council_node.ledger import Ledger
from council_node.proof.handover import handover, handover_text
from council_node.settings import Roles
from federated.errors import FileProblem
from tests.docs.test_plain_english import acronyms_in_the_glossary, faults
from tests.integration.federation_world import CANARY, ME, NOW
from tests.unit.council_node.proof_round import eventful


@pytest.fixture(scope="module")
def seat(tmp_path_factory):
    world, seat, _ = eventful(tmp_path_factory.mktemp("handover"))
    with world:
        seat.policy(automatic=False)
        assert seat.propose(world.propose()).body["decision"] == "pending"
        seat.policy(automatic=True)
        yield seat


def test_it_tells_where_the_node_stands(seat):
    report = handover(seat.station.settings, now=NOW)
    assert [item["answered"] for item in report["answered"]] == [True, False]
    assert sorted(item["decision"] for item in report["decided"]) == ["approved", "approved", "refused"]
    (waiting,) = report["waiting"]
    assert waiting["decide_by"] == "2026-03-04T10:00:00Z"
    (period,) = report["budget"]["periods"]
    assert (period["rounds"], period["budget_epsilon"]) == (2, "20")
    with Ledger.read_only(seat.station.settings.ledger_file, ME) as ledger:
        assert report["budget"]["head"] == ledger.head.hex()
    assert report["places"]["key"].endswith("identity.pem")


def test_what_to_do_first_follows_from_the_state(seat):
    settings = seat.station.settings
    first = "\n".join(handover(settings, now=NOW)["first"])
    assert "Decide by 2026-03-04 on 'Households by outcome'" in first
    assert "Nobody is named who runs this node" in first
    assert "where backups are" in first
    assert "was to be looked at by 2026-02-01: ask whether it was" in first
    early = "\n".join(handover(settings, now=NOW.replace(month=1))["first"])
    assert "is looked at again by 2026-02-01: prepare for it" in early
    named = settings.model_copy(update={"roles": Roles(system_owner="IT desk", backups="a safe")})
    later = NOW.replace(month=7)
    told = "\n".join(handover(named, now=later)["first"])
    assert "runs this node" not in told
    assert "where backups are" not in told
    assert "ended on 2026-03-31" in told
    assert "The list of councils ends on 2026-05-15" in told
    seat.policy(paused=True)
    assert handover(settings, now=NOW)["first"][0].startswith("This council is paused")
    seat.policy(paused=False)


def test_the_page_is_plain_and_holds_no_key_and_no_case(seat):
    text = handover_text(handover(seat.station.settings, now=NOW))
    assert faults(text, acronyms_in_the_glossary()) == []
    assert "| Households by outcome | approved |" in text
    assert CANARY not in text
    assert seat.key.private.private_bytes_raw().hex() not in text
    assert seat.station.settings.keys.identity.read_text(encoding="ascii").splitlines()[1] not in text


def test_the_command_writes_a_new_private_file_or_prints(seat, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = ["--settings", str(seat.folder / "node.yaml")]
    printed = CliRunner().invoke(app, ["handover", "--json", *settings])
    assert json.loads(printed.output)["council"]["id"] == ME
    done = CliRunner().invoke(app, ["handover", "--out", "handover.md", *settings])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "handover.md").read_text(encoding="utf-8").startswith("# Hand-over report")
    assert (tmp_path / "handover.md").stat().st_mode & 0o077 == 0
    assert isinstance(CliRunner().invoke(app, ["handover", "--out", "handover.md", *settings]).exception, FileProblem)
