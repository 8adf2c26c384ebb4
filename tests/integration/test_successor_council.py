"""Two councils become one: through the commands, as their officers would, and at the node that is then asked."""

import base64
import json
import os
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest
import yaml
from typer.testing import CliRunner

from council_node.cli import app
from council_node.ledger import Ledger
from council_node.settings import read_settings
from council_node.setup import NewNode, make_node
from federated.errors import FileProblem, PolicyRefusal, SignatureProblem
from federated.keys import make_key, public_line
from federated.ledger_entries import AgreementRef, period_of
from federated.ledger_inheritance import Predecessor
from federated.privacy import Budget, Charge
from federated.roster import ROSTER_TYPE, Coordinator, RosterEntry, parse_roster, roster_payload
from federated.shell import now_utc
from federated.signing import sign_payload
from federated.trust import TrustSettings
from protocols.encoding import sha256
from protocols.identifiers import CouncilId, RoundId
from tests.integration.federation_world import ME, NOW, SIGNER_A, SIGNER_B, World, round_of

ONE, TWO, NEW = (CouncilId(code) for code in ("E06000001", "E06000002", "E06000003"))
CHARGES = {
    ONE: Charge(epsilon=Fraction(1, 2), rho=Fraction(1, 8), draws=10),
    TWO: Charge(epsilon=Fraction(1), rho=Fraction(1, 2), draws=10),
}


def entry(name, key, **changes):
    return RosterEntry(id=name, name=str(name), region="E12000001", public_key=key, **changes)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Three nodes as `init` leaves them, the first two having answered a question each, and the signed list."""
    monkeypatch.chdir(tmp_path)
    signers, now = [make_key(os.urandom) for _ in range(2)], now_utc()
    lines = tuple(public_line(key.public) for key in signers)
    trust = TrustSettings(roster_keys=lines, agreement_keys=lines)
    (tmp_path / "trust.yaml").write_text(yaml.safe_dump(trust.model_dump(mode="json")), encoding="utf-8")
    (tmp_path / "mapping.yaml").write_text("mapping: 1\n", encoding="utf-8")
    keys = {}
    for name in (ONE, TWO, NEW):
        new = NewNode(
            folder=tmp_path / name,
            council=name,
            coordinator="hub",
            address="127.0.0.1:1",
            trust=tmp_path / "trust.yaml",
            mapping=tmp_path / "mapping.yaml",
        )
        settings, keys[name] = make_node(new)
        if name in CHARGES:
            spend(settings, CHARGES[name], now)
    today = now.date()
    before = {"valid_from": today - timedelta(days=30), "valid_to": today - timedelta(days=1)}
    payload = roster_payload(
        epoch=1,
        not_before=today - timedelta(days=1),
        not_after=today + timedelta(days=30),
        coordinator=Coordinator(id="hub", name="Hub", public_key=make_key(os.urandom).public),
        councils=[
            entry(ONE, keys[ONE].public, **before),
            entry(TWO, keys[TWO].public, **before),
            entry(NEW, keys[NEW].public, valid_from=today, valid_to=today + timedelta(days=30), succeeds=(ONE, TWO)),
        ],
    )
    (tmp_path / "roster.dsse").write_bytes(sign_payload(payload, ROSTER_TYPE, signers))
    return tmp_path


def spend(settings, charge, now):
    sid = RoundId(sha256(settings.council.id.encode()))
    with Ledger.create(settings.ledger_file, CouncilId(settings.council.id), now) as ledger:
        ledger.reserve(
            sid=sid,
            plan_digest=sha256(b"plan"),
            title="A question",
            charge=charge,
            unit="household",
            agreement=AgreementRef(id="pilot", digest=sha256(b"pilot")),
            budget=Budget(epsilon=Fraction(2), delta=Fraction(1, 10**6)),
            cap=None,
            class_2=False,
            attempts=1,
            now=now,
        )
        ledger.spend(sid, now)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def inherit(*statements, roster="roster.dsse"):
    given = [part for path in statements for part in ("--from", path)]
    return run("ledger", "inherit", *given, "--roster", roster, "--by", "A Person", "--settings", f"{NEW}/node.yaml")


def close(name, *, out=None):
    options = ("--roster", "roster.dsse", "--by", "A Person", "--settings", f"{name}/node.yaml")
    return run("ledger", "close", "--out", out or f"{name}.dsse", *options)


def test_a_ledger_is_closed_after_the_last_day_and_while_no_node_runs(folders):
    made = run("ledger", "statement", "--out", f"{ONE}.dsse", "--settings", f"{ONE}/node.yaml")
    assert made.exit_code == 0, made.output
    assert close(TWO).exit_code == 0
    assert "closed for good" in run("status", "--settings", f"{TWO}/node.yaml").output
    assert "closed for good" not in run("status", "--settings", f"{ONE}/node.yaml").output
    done = inherit(f"{ONE}.dsse", f"{TWO}.dsse")
    assert "was not closed" in str(done.exception)
    still_there = close(NEW, out="new.dsse")
    assert "its ledger is still needed" in str(still_there.exception)
    assert not (folders / "new.dsse").exists()
    with Ledger.open(read_settings(folders / ONE / "node.yaml").ledger_file, CouncilId(ONE)):
        assert isinstance(close(ONE).exception, FileProblem)  # its node runs


def test_two_councils_hand_on_what_they_spent(folders):
    for name in (ONE, TWO):
        made = close(name)
        assert made.exit_code == 0, made.output
    done = inherit(f"{ONE}.dsse", f"{TWO}.dsse")
    assert done.exit_code == 0, done.output
    assert "Inherited from E06000001, E06000002 as entry 2" in done.output
    assert "ε = 1, ρ = 0.5" in done.output
    with Ledger.read_only(read_settings(folders / NEW / "node.yaml").ledger_file, NEW) as ledger:
        assert ledger.committed_in(period_of(now_utc())).epsilon == 1
    verified = run("ledger", "verify", "--settings", f"{NEW}/node.yaml")
    assert "The ledger is whole: 2 entries" in verified.output
    shown = run("ledger", "show", "--settings", f"{NEW}/node.yaml")
    assert "the largest spend of E06000001" in shown.output
    again = inherit(f"{ONE}.dsse", f"{TWO}.dsse")
    assert isinstance(again.exception, FileProblem)


def test_a_list_that_pinned_people_did_not_sign_is_refused(folders):
    close(ONE)
    signed = json.loads((folders / "roster.dsse").read_bytes())
    content = base64.b64decode(signed["payload"]).replace(b"succeeds:", b"successor:")
    signed["payload"] = base64.b64encode(content).decode()
    (folders / "forged.dsse").write_text(json.dumps(signed), encoding="utf-8")
    strangers = [make_key(os.urandom) for _ in range(2)]
    (folders / "theirs.dsse").write_bytes(sign_payload(b"roster: 1\n", ROSTER_TYPE, strangers))
    for roster in ("forged.dsse", "theirs.dsse"):
        assert isinstance(inherit(f"{ONE}.dsse", roster=roster).exception, SignatureProblem)
    assert not read_settings(folders / NEW / "node.yaml").ledger_file.exists()


# At the node


@pytest.fixture
def world(tmp_path):
    with World(tmp_path) as made:
        old = made.roster
        entries = [replace(e, succeeds=(GONE.id,)) if e.id == ME else e for e in old.councils.values()]
        entries = [replace(e, valid_from=NOW.date()) if e.id == ME else e for e in entries]
        payload = roster_payload(
            epoch=old.epoch,
            not_before=old.not_before,
            not_after=old.not_after,
            coordinator=old.coordinator,
            councils=[*entries, GONE],
        )
        made.roster_envelope = sign_payload(payload, ROSTER_TYPE, [SIGNER_A, SIGNER_B])
        made.roster = parse_roster(payload)
        yield made


GONE = RosterEntry(
    id=CouncilId("E07000100"),
    name="Gone",
    region="E12000001",
    public_key=make_key(os.urandom).public,
    valid_from=NOW.date() - timedelta(days=30),
    valid_to=NOW.date() - timedelta(days=1),
)


def predecessor():
    return Predecessor(council=GONE.id, counter=7, head=sha256(b"head"), time="2026-03-02T00:00:00Z", charges=())


def test_a_node_that_has_not_inherited_declines_and_then_takes_part(world):
    seat = world.seat()
    proposal = world.propose()
    said = seat.propose(proposal)
    assert said.rule == "inheritance", said
    assert "E07000100" in said.words
    seat.station.ledger.inherit([predecessor()], by="A Person", roster=world.roster.digest, now=NOW)
    assert seat.propose(world.propose()).rule != "inheritance"


def test_nothing_is_reserved_before_it_has_inherited(world):
    seat, proposal = world.seat(), world.propose()
    with pytest.raises(PolicyRefusal) as refused:
        seat.station.reserve(proposal.plan, round_of(world, proposal.plan), NOW)
    assert refused.value.rule == "inheritance"
    seat.station.ledger.inherit([predecessor()], by="A Person", roster=world.roster.digest, now=NOW)
    seat.station.reserve(proposal.plan, round_of(world, proposal.plan), NOW)
    assert len(seat.station.ledger.open_reservations()) == 1
