"""Standing questions, calendar, remarks and minutes as people type them, against a coordinator process over gRPC."""

import json
import time
from datetime import UTC, date, datetime, timedelta

import pytest
import yaml
from typer.testing import CliRunner

from coordinator.cli import app as operator
from federated.cli import app
from federated.keys import write_private_key
from federated.papers import Comment, sign_comment
from federated.query import parse_query
from federated.suggestion import Suggestion, sign_suggestion
from protocols.wire.link_message import Kind
from tests.integration.coordinator_federation import ANALYST, QUESTION, REVIEWER, TRUST, council_key
from tests.integration.served_coordinator import connected, served

PATIENCE_S = 30


def last_quarter(today):
    """First and last day of the last whole quarter."""
    end = date(today.year, 3 * ((today.month - 1) // 3) + 1, 1) - timedelta(days=1)
    return date(end.year, end.month - 2, 1), end


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("governance")
    with served(folder, f"sqlite:///{folder / 'store.db'}") as made:
        made.first.start()
        until(made.first.is_ready)
        with connected(made, made.coordinators):
            yield World(made, folder)


def until(met):
    for _ in range(PATIENCE_S * 20):
        if met():
            return
        time.sleep(0.05)
    raise AssertionError("it took too long")


class World:
    def __init__(self, made, folder):
        self.served, self.folder, self.federation = made, folder, made.federation
        for name, key in (("analyst", ANALYST), ("reviewer", REVIEWER)):
            if name == "reviewer":
                write_private_key(made.first.folder / "reviewer.key", key)
            document = {
                "workspace": 1,
                "key": str(made.first.folder / f"{name}.key"),
                "coordinator": {"id": "hub", "address": made.first.address, "ca_file": str(made.ca_file)},
                "trust": {name: getattr(TRUST, name) for name in TRUST.__class__.model_fields},
            }
            document["trust"] = json.loads(json.dumps(document["trust"]))
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))
        (folder / "agreement.dsse").write_bytes(self.federation.agreement_envelope)

    def path(self, name, content=None):
        path = self.folder / name
        if content is not None:
            path.write_text(content)
        return path

    def run(self, *arguments, who="analyst", code=0):
        connects = arguments[:2] != ("standing", "sign") and arguments[:2] != ("board", "sign")
        given = [*arguments, *(("--workspace", self.folder / f"{who}.yaml") if connects else ())]
        result = CliRunner().invoke(app, [str(item) for item in given])
        assert result.exit_code == code, (result.output, result.exception)
        return result.output

    def series(self):
        start, end = last_quarter(datetime.now(UTC).date())
        document = yaml.safe_load(self.federation.manifest) | {"frequency": "quarterly"}
        later = (datetime.now(UTC) + timedelta(days=200)).date()
        document |= {"collect_by": later.isoformat(), "return_by": later.isoformat(), "expires_on": later.isoformat()}
        question = QUESTION.replace("2025-01-01", str(start)).replace("2025-03-31", str(end))
        return self.run(
            *("standing", "sign", self.path("question.yaml", question)),
            *("--manifest", self.path("manifest.yaml", yaml.safe_dump(document, sort_keys=False, allow_unicode=True))),
            *("--agreement", self.folder / "agreement.dsse", "--until", later, "--wait-days", 0),
            *("--key", self.served.first.folder / "analyst.key", "--out", self.folder / "series.dsse", "--yes"),
        )

    def proposals(self):
        return self.federation.store.proposals.page((), size=50)


def test_a_standing_question_is_asked_once_however_often_it_is_run(world):
    said = world.series()
    assert "all of them together" in said
    before = len(world.proposals())
    assert "due since" in world.run("standing", "run", world.folder / "series.dsse", "--dry-run")
    assert len(world.proposals()) == before
    assert "Handed in." in world.run("standing", "run", world.folder / "series.dsse")
    until(lambda: world.proposals()[0].state == "released")
    assert "It was asked: released." in world.run("standing", "run", world.folder / "series.dsse")
    again = world.run("standing", "run", world.folder / "series.dsse", "--folder", world.folder / "elsewhere")
    assert "It was asked: released." in again
    assert len(world.proposals()) == before + 1
    ics = world.folder / "calendar.ics"
    rows = json.loads(world.run("calendar", "--ics", ics, "--json"))
    assert {row["what"] for row in rows} >= {"standing question is due", "agreement ends"}
    assert ics.read_bytes().count(b"BEGIN:VEVENT") == len(rows)


def test_a_standing_question_is_checked_before_it_is_signed_or_asked(world):
    world.series()
    body = json.loads((world.folder / "series.dsse").read_bytes())
    body["payload"] = body["payload"][:-8] + "AAAAAAA="
    bad = world.path("bad.dsse", json.dumps(body))
    result = CliRunner().invoke(app, ["standing", "run", str(bad), "--workspace", str(world.folder / "analyst.yaml")])
    assert result.exit_code != 0


def test_comments_notes_and_minutes_go_to_the_register_and_come_back_checked(world):
    federation = world.federation
    if not federation.store.releases.page([federation.agreement.id], offset=0, size=1):
        world.series()
        world.run("standing", "run", world.folder / "series.dsse")
        until(lambda: world.proposals()[0].state == "released")
    [release, *_] = federation.store.releases.page([federation.agreement.id], offset=0, size=1)
    council = federation.councils[0]
    said = Comment(
        council=council,
        release=release.digest,
        text="We saw it too.",
        publish=True,
        staff_minutes=20,
        at=datetime.now(UTC).replace(microsecond=0),
    )
    envelope = world.folder / "comment.dsse"
    envelope.write_bytes(sign_comment(said, council_key(council)))
    assert "It stands beside answer" in world.run("remarks", "bring", envelope, who="reviewer")
    text = world.path("outcome.txt", "Two desks moved.\n")
    assert "Handed in" in world.run("remarks", "changed", release.digest.hex(), "--text", text)
    shown = world.run("remarks", "show", release.digest.hex())
    assert "We saw it too." in shown
    assert "Two desks moved." in shown
    idea = Suggestion(
        council=council,
        agreement=federation.agreement.id,
        question=parse_query(QUESTION.encode()),
        reason="Rents rose here.",
        publish=False,
        at=said.at,
    )
    envelope.write_bytes(sign_suggestion(idea, council_key(council)))
    assert "Nobody was asked." in world.run("suggestions", "bring", envelope, who="reviewer")
    shown = world.run("suggestions", "show")
    assert "for the parties alone: Families by age" in shown
    assert "Rents rose here." in shown
    minutes = {
        "minutes": 1,
        "agreement": federation.agreement.id,
        "held_on": "2026-02-01",
        "present": ["Rae Reviewer"],
        "rulings": [{"about": "Ages", "decision": "May be put.", "reason": "It is clear."}],
    }
    typed = world.path("minutes.yaml", yaml.safe_dump(minutes))
    signed = world.folder / "minutes.dsse"
    world.run("board", "sign", typed, "--key", world.served.first.folder / "reviewer.key", "--out", signed, "--yes")
    assert "Handed in" in world.run("board", "bring", signed, who="reviewer")
    assert "May be put." in world.run("board", "show")


def test_an_operator_hides_a_paper_with_a_reason_and_only_once(world):
    federation = world.federation
    found = federation.store.papers.page("series", size=5)
    if not found:
        world.series()
        world.run("standing", "run", world.folder / "series.dsse")
        found = federation.store.papers.page("series", size=5)
    settings = ["--settings", str(world.served.first.settings)]
    listed = CliRunner().invoke(operator, ["paper", "list", "series", "--json", *settings])
    [row, *_] = json.loads(listed.output)
    assert row["digest"] == found[0].digest.hex()
    hide = ["paper", "hide", row["digest"], "--reason", "Signed in error", *settings]
    assert CliRunner().invoke(operator, hide).exit_code == 0
    kept = federation.store.papers.get(found[0].digest)
    assert (kept.hidden_reason, kept.envelope) == ("Signed in error", found[0].envelope)
    assert federation.store.audit.latest(size=1)[0][1].object == row["digest"]
    assert CliRunner().invoke(operator, hide).exit_code != 0
    for wrong in (["paper", "hide", "zz", "--reason", "x"], ["paper", "hide", row["digest"], "--reason", " "]):
        assert CliRunner().invoke(operator, [*wrong, *settings]).exit_code != 0


def test_every_council_has_an_answer_at_the_moment_the_department_can_fetch_it(world, record_property):
    """Measured: how long after the department has fetched the answer the last council has it, pushed and unasked."""
    federation, arrived = world.federation, {}
    for council, node in federation.nodes.items():

        def note(message, council=council):
            if message.kind is Kind.RELEASE:
                arrived.setdefault(council, time.perf_counter())

        node.before = note
    question = QUESTION.replace("2025-01-01", "2024-01-01").replace("2025-03-31", "2024-03-31")
    plan = federation.plan(nonce=77, question=question.replace('"1"', '"1/2"'))
    with world.served.client(world.served.first) as client:
        *_, last = client.submit(plan, federation.manifest)
        client.release(release_digest=last.release_digest)
        fetched = time.perf_counter()
    until(lambda: len(arrived) == len(federation.nodes))
    waits_ms = sorted(1000 * (at - fetched) for at in arrived.values())
    record_property("milliseconds_after_the_department", [round(wait) for wait in waits_ms])
    # Generous: on a busy machine a thread may be late. A copy sent at the next connection would take far longer.
    assert waits_ms[-1] < 5000
    until(lambda: all(copy.receipt for copy in federation.store.releases.deliveries(last.release_digest)))
