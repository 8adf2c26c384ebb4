"""Purging: the answer's bytes are gone from the state folder, the record of it stays, and the ledger is as it was."""

import json
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from council_node.cli import app
from council_node.node_store import KEPT, DocumentKind
from council_node.proof.evidence import write_evidence
from council_node.proof.purge import PURGE_KIND, Scope, purge
from council_node.receipts import receipts
from federated.errors import FileProblem
from federated.evidence_check import check_pack
from federated.keys import trusted_keys
from federated.signing import open_statement
from protocols.encoding import sha256
from protocols.wire.link_message import Kind, LinkMessage
from tests.integration.federation_world import ME, NOW, TRUST, World
from tests.unit.council_node.proof_round import eventful

LATER = NOW + timedelta(days=400)


@pytest.fixture
def made(tmp_path):
    world, seat, round_ = eventful(tmp_path)
    with world:
        yield world, seat, round_


def everything_in(folder):
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def purged(seat, scope, now=LATER):
    station = seat.station
    return purge(
        station.store,
        station.ledger,
        seat.key,
        scope,
        by="A Person",
        role="officer",
        reason="Retention is over",
        now=now,
    )


def test_no_byte_of_a_purged_answer_is_left_in_the_state_folder(made):
    _, seat, round_ = made
    state = seat.station.settings.state
    release = seat.station.store.latest(DocumentKind.RELEASE, round_.sid.hex()).body
    plan = seat.station.store.latest(DocumentKind.PROPOSAL, round_.plan.digest.hex()).body
    everything = [release[start : start + 48] for start in range(0, len(release) - 48, 48)]
    # What receipts and decisions hold too, such as digests, stays in them.
    kept = b"".join(item.body for kind in KEPT for item in seat.station.store.all_latest(kind))
    pieces = [piece for piece in everything if piece not in kept]
    assert len(pieces) > 0.9 * len(everything)
    assert b'"totals":[' in release
    assert all(piece in everything_in(state) for piece in pieces[:3])  # it was there, as it stands
    head = seat.station.ledger.head
    before = [receipt.encode() for receipt in receipts(seat.station.store)]
    done = purged(seat, Scope())
    assert (done.answers, done.questions) == (1, 3)
    left = everything_in(state)
    assert b'"totals":[' not in left
    assert [piece for piece in pieces if piece in left] == []
    assert plan[-200:] not in left
    assert seat.station.ledger.head == head
    assert [receipt.encode() for receipt in receipts(seat.station.store)] == before
    seat.station.ledger.verify()


def test_the_record_says_what_who_and_why(made):
    _, seat, round_ = made
    done = purged(seat, Scope())
    (kept,) = seat.station.store.history(DocumentKind.PURGE, "purge")
    assert kept.body == done.record
    body = open_statement(PURGE_KIND, kept.body, trusted_keys(seat.key.public))
    assert (body["by"], body["role"], body["reason"], body["scope"]) == (
        "A Person", "officer", "Retention is over", "all answers",
    )  # fmt: skip
    assert body["ledger_head"] == seat.station.ledger.head.hex()
    (answer,) = [item for item in body["removed"] if item["kind"] == "release"]
    (receipt,) = [item for item in receipts(seat.station.store) if item.answered]
    assert (answer["name"], answer["sha256"]) == (round_.sid.hex(), receipt.release_digest)


def test_only_what_the_scope_says_goes(made):
    _, seat, _ = made
    assert purged(seat, Scope(before=NOW.date())).record == b""
    (receipt,) = [item for item in receipts(seat.station.store) if item.answered]
    until = receipt.purpose.kept_until
    assert purged(seat, Scope(expired_on=type(NOW.date()).fromisoformat(until))).record == b""
    day_after = type(NOW.date()).fromisoformat(until) + timedelta(days=1)
    assert purged(seat, Scope(expired_on=day_after)).answers == 1
    assert purged(seat, Scope()).answers == 0


def test_a_question_that_can_still_be_asked_stays(made):
    _, seat, _ = made
    done = purged(seat, Scope(), now=NOW)
    assert (done.answers, done.questions) == (1, 0)
    assert len(seat.station.store.all_latest(DocumentKind.PROPOSAL)) == 3


def test_an_answer_that_people_deleted_does_not_come_back_when_it_is_sent_again(made):
    """A coordinator that never got our receipt sends it whenever we connect."""
    _, seat, round_ = made
    store = seat.station.store
    content = store.latest(DocumentKind.RELEASE, round_.sid.hex()).body

    def again(payload):
        return seat.ask(LinkMessage(kind=Kind.RELEASE, reference=round_.sid, payload=payload).encode())

    purged(seat, Scope())
    before = receipts(store)
    said = again(content)
    assert said.kind is Kind.RECEIPT
    body = open_statement("receipt", said.payload, trusted_keys(seat.key.public))
    assert body["release_digest"] == sha256(content).hex()
    other = json.loads(content)
    other["software"] = "another answer"
    assert "another answer of that round" in again(json.dumps(other).encode()).words
    assert store.all_latest(DocumentKind.RELEASE) == ()
    assert b'"totals":[' not in everything_in(seat.station.settings.state)
    assert receipts(store) == before


def test_a_finished_question_that_was_deleted_does_not_come_back_when_it_is_proposed_again(tmp_path):
    with World(tmp_path) as world:
        seat, proposal = world.seat(ME), world.propose(not_after=NOW + timedelta(days=4))
        assert seat.propose(proposal).body["decision"] == "approved"
        world.now = NOW + timedelta(days=5)
        assert purged(seat, Scope(), now=world.now).questions == 1
        assert seat.propose(proposal).rule == "plan_expired"
        assert seat.station.store.all_latest(DocumentKind.PROPOSAL) == ()


def test_the_evidence_pack_still_holds_after_a_purge(made, tmp_path):
    world, seat, _ = made
    purged(seat, Scope())
    out = tmp_path / "evidence.zip"
    write_evidence(seat.station.settings, out, now=world.now)
    findings = check_pack(out, council_key=seat.key.public, trust=TRUST)
    assert any("1 answer(s) were deleted by people" in item.words for item in findings if item.proven)
    assert not any("the answer is not in the pack" in item.words for item in findings)


def test_the_command_wants_one_scope_and_says_what_it_did(made):
    _, seat, _ = made
    settings = ["--settings", str(seat.folder / "node.yaml")]
    who = ["--by", "A Person", "--role", "officer", "--reason", "Asked to"]
    for wrong in ([], ["--expired", "--all-answers"], ["--before", "31/01/2026"]):
        assert isinstance(CliRunner().invoke(app, ["purge", *who, *settings, *wrong]).exception, FileProblem)
    done = CliRunner().invoke(app, ["purge", *who, *settings, "--all-answers"])
    assert done.exit_code == 0, done.output
    assert "Deleted 1 answer(s)" in done.output
    again = CliRunner().invoke(app, ["purge", *who, *settings, "--all-answers"])
    assert "nothing to delete" in again.output
    assert json.loads(seat.station.store.all_latest(DocumentKind.RECEIPT)[0].body)["answered"] in {True, False}
