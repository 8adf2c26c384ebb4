"""The evidence pack of a node that has answered: whole, checkable offline, and telling of any change."""

import json
import random
import zipfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from typer.testing import CliRunner

from council_node.cli import app as node_app
from council_node.node_store import DocumentKind
from council_node.proof.evidence import collect_evidence, public_settings, write_evidence
from council_node.receipt_form import LocalCount, open_receipt, receipt_text
from federated.cli import app as federated_app
from federated.client import Trusted
from federated.commands import verifying
from federated.errors import FileProblem, SignatureProblem
from federated.evidence_check import _Check, check_pack
from federated.evidence_pack import MANIFEST, EvidencePack, write_pack
from federated.keys import make_key, public_line
from federated.signing import sign_statement, statement_type, unsafe_payload
from tests.integration.federation_world import CANARY, COUNCILS, ME, NOW, SIGNER_A, TRUST, World
from tests.unit.council_node.proof_round import eventful

FORGER = make_key(random.Random("forger").randbytes)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(world, seat, round, pack) of a node with a history; nothing in it is changed by a test."""
    folder = tmp_path_factory.mktemp("evidence")
    world, seat, round_ = eventful(folder)
    with world:
        out = folder / "evidence.zip"
        write_evidence(seat.station.settings, out, now=NOW)
        yield world, seat, round_, out


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def resigned(path: Path, made, changes: dict[str, bytes], *, key=None) -> Path:
    """A pack with some members changed and the list signed again, as the council itself could (or a forger)."""
    _, seat, _, out = made
    members = {name: content for name, content in members_of(out).items() if name != MANIFEST} | changes
    write_pack(path, members, council=ME, council_name="Redcar", key=key or seat.key, software="test", now=NOW)
    return path


def test_a_whole_pack_proves_what_it_can_and_says_what_it_cannot(made):
    world, seat, round_, out = made
    findings = check_pack(out, council_key=seat.key.public, trust=TRUST)
    proven = "\n".join(item.words for item in findings if item.proven)
    unproven = "\n".join(item.words for item in findings if not item.proven)
    for words in (
        "The signing key is the one you gave.",
        "its figures follow from it",
        "is signed by the people you gave, and lists this key",
        f"The agreement 'north-east-2026', version {world.agreement.version}, carries the signatures it needs.",
        "3 question(s) and their manifests are signed by analysts",
        "2 receipt(s) agree with the ledger's entries",
        "Every round that the ledger charged has a receipt.",
        f"Answer {round_.sid.hex()[:12]}: The tables follow from the published totals.",
        "2 signed record(s) of deletion",
    ):
        assert words in proven
    assert "that its totals are the true sum" in unproven
    assert "was the last one when the pack was made" in unproven
    assert "decision(s) are signed by the council" in proven


def test_without_keys_of_his_own_the_reader_is_told_what_to_compare(made):
    _, _, _, out = made
    unproven = "\n".join(item.words for item in check_pack(out, council_key=None, trust=None) if not item.proven)
    assert "compare it with the council by telephone" in unproven
    assert "Whose signatures to believe" in unproven


def test_nothing_rests_on_people_whom_the_pack_names_itself(made):
    """A council could make up signers, an agreement of theirs and analysts, and put them into its own settings."""
    _, seat, round_, out = made
    for key in (None, seat.key.public):
        findings = check_pack(out, council_key=key, trust=None)
        proven = "\n".join(item.words for item in findings if item.proven)
        unproven = "\n".join(item.words for item in findings if not item.proven)
        for words in ("carries the signatures it needs", "signed by analysts", f"Answer {round_.sid.hex()[:12]}"):
            assert words not in proven
            assert words in unproven
        assert "This rests on people whom the pack names itself" in unproven


def test_an_answer_whose_tables_were_not_made_again_is_not_called_proven(made, monkeypatch):
    _, seat, _, out = made
    monkeypatch.setattr(_Check, "_agreement_findings", lambda _self: iter(()))
    findings = check_pack(out, council_key=seat.key.public, trust=TRUST)
    (found,) = [item for item in findings if "The tables were not made again" in item.words]
    assert not found.proven


def test_a_charged_question_without_an_approval_is_said(made, tmp_path):
    _, seat, round_, out = made
    plan = round_.plan.digest.hex()
    decided = (MANIFEST, f"decisions/{plan}", f"records/{plan}")
    members = {n: c for n, c in members_of(out).items() if not n.startswith(decided)}
    path = tmp_path / "unapproved.zip"
    write_pack(path, members, council=ME, council_name="Redcar", key=seat.key, software="test", now=NOW)

    def unproven(pack):
        found = check_pack(pack, council_key=seat.key.public, trust=TRUST)
        return [item.words for item in found if not item.proven and "it approved the question" in item.words]

    assert unproven(out) == []
    (words,) = unproven(path)
    assert round_.sid.hex()[:12] in words


def test_every_member_is_covered_wherever_a_byte_of_it_is_changed(made, tmp_path):
    _, _, _, out = made
    members = members_of(out)
    rng = random.Random(5)
    assert {name.split("/")[0] for name in members} >= {
        "README.md", "manifest.dsse", "ledger.db", "budget-statement.dsse", "settings.json", "policy.json",
        "agreements", "rosters", "decisions", "questions", "receipts", "releases", "deletions", "records",
    }  # fmt: skip
    for name, content in members.items():
        places = {0, len(content) - 1, *(rng.randrange(len(content)) for _ in range(4))}
        for place in places:
            changed = bytearray(content)
            changed[place] ^= 1 << rng.randrange(7)
            broken = archive_of(tmp_path / "broken.zip", {**members, name: bytes(changed)})
            with pytest.raises(SignatureProblem):
                EvidencePack.open(broken)
    with EvidencePack.open(archive_of(tmp_path / "whole.zip", members)):
        pass


def test_a_member_more_or_less_is_noticed(made, tmp_path):
    _, _, _, out = made
    members = members_of(out)
    with pytest.raises(SignatureProblem, match=r"notes\.txt is not on its signed list"):
        EvidencePack.open(archive_of(tmp_path / "more.zip", {**members, "notes.txt": b"all is well"}))
    for name in members:
        less = archive_of(tmp_path / "less.zip", {other: members[other] for other in members if other != name})
        with pytest.raises((SignatureProblem, FileProblem), match=r"is missing|has no manifest"):
            EvidencePack.open(less)


def test_an_earlier_list_of_people_who_no_longer_sign_is_told_and_the_last_one_must_hold(made, tmp_path):
    world, *_ = made
    earlier, _ = world.make_roster(epoch=1, keys=(FORGER, SIGNER_A))
    findings = check_pack(
        resigned(tmp_path / "one.zip", made, {"rosters/epoch-1.dsse": earlier}), council_key=None, trust=TRUST
    )
    assert any("epoch 1" in item.words and not item.proven for item in findings)
    later, _ = world.make_roster(epoch=9, keys=(FORGER, SIGNER_A))
    with pytest.raises(SignatureProblem):
        check_pack(resigned(tmp_path / "two.zip", made, {"rosters/epoch-9.dsse": later}), council_key=None, trust=TRUST)


def test_an_answer_from_before_a_key_changed_is_checked_with_the_list_of_its_time(made, tmp_path, monkeypatch):
    world, _, _, out = made
    answer = next(content for name, content in members_of(out).items() if name.startswith("releases/"))
    (tmp_path / "release.json").write_bytes(answer)
    (tmp_path / "before.dsse").write_bytes(world.roster_envelope)
    changed = {
        c: replace(entry, public_key=bytes([n]) * 32) for n, (c, entry) in enumerate(world.roster.councils.items())
    }
    now = Trusted(roster=replace(world.roster, councils=changed), agreements={world.agreement.id: world.agreement})
    monkeypatch.setattr(verifying, "connect", lambda _: nullcontext(SimpleNamespace(trusted=lambda: now)))
    document = {"workspace": 1, "key": "analyst.key", "trust": TRUST.model_dump(mode="json")}
    document["coordinator"] = {"id": "hub", "address": "127.0.0.1:1", "ca_file": "authority.pem"}
    (tmp_path / "federated.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert isinstance(CliRunner().invoke(federated_app, ["verify", "release.json"]).exception, SignatureProblem)
    checked = CliRunner().invoke(federated_app, ["verify", "release.json", "--roster", "before.dsse"])
    assert checked.exit_code == 0, checked.output
    assert "The tables follow from the published totals" in " ".join(checked.output.split())
    strangers, _ = world.make_roster(keys=(FORGER, SIGNER_A))
    (tmp_path / "theirs.dsse").write_bytes(strangers)
    refused = CliRunner().invoke(federated_app, ["verify", "release.json", "--roster", "theirs.dsse"])
    assert isinstance(refused.exception, SignatureProblem)


def test_a_decision_signed_with_a_key_that_no_list_gives_the_council_is_found(made, tmp_path):
    _, _, _, out = made
    name, content = next(
        item for item in members_of(out).items() if item[0].startswith("decisions/") and item[0].endswith(".dsse")
    )
    body = json.loads(unsafe_payload(content, statement_type("decision")))
    forged = sign_statement("decision", body, FORGER)
    with pytest.raises(SignatureProblem):
        check_pack(resigned(tmp_path / "forged.zip", made, {name: forged}), council_key=None, trust=TRUST)


def test_a_pack_signed_by_somebody_else_is_found(made, tmp_path):
    _, seat, _, _ = made
    forged = resigned(tmp_path / "forged.zip", made, {}, key=FORGER)
    with pytest.raises(SignatureProblem, match="not signed with the key you gave"):
        check_pack(forged, council_key=seat.key.public, trust=TRUST)
    with pytest.raises(SignatureProblem):
        check_pack(forged, council_key=None, trust=TRUST)


def _receipt(made, **changes):
    _, _, round_, out = made
    name = f"receipts/{round_.sid.hex()}.json"
    body = json.loads(members_of(out)[name])
    cost = body["cost"] | changes.pop("cost", {})
    return {name: json.dumps(body | {"cost": cost} | changes).encode()}


def test_a_council_that_signs_a_pack_which_contradicts_itself_is_found(made, tmp_path):
    """The council could sign any list: then the members must still agree with each other."""
    world, seat, round_, out = made
    sid = round_.sid.hex()
    members = members_of(out)
    decision = next(name for name in members if name.startswith("decisions/") and name.endswith(".dsse"))
    other_name = f"decisions/{'ab' * 32}/1.dsse"
    release = json.loads(members[f"releases/{sid}.json"])
    release["tables"][0]["totals"][0] += 1
    cases = {
        "cost": (_receipt(made, cost={"rho": "0"}), "states another cost"),
        "entry": (_receipt(made, entries=[{"counter": 2, "kind": "reserved", "hash": "00" * 32}]), "ledger entry"),
        "denied charge": (_receipt(made, cost={"charged": False}), "denies a charge that stands"),
        "no entry": (_receipt(made, entries=[]), "does not name the ledger entry"),
        "answer": ({f"releases/{sid}.json": members[f"releases/{sid}.json"] + b" "}, "is not the one its receipt names"),
        "totals": (
            {f"releases/{sid}.json": json.dumps(release, sort_keys=True).encode(), **_receipt(made, release_digest="")},
            "is not the one its receipt names",
        ),
        "decision": ({other_name: members[decision]}, "about another question"),
        "statement": ({"budget-statement.dsse": sign_statement("budget-statement", {"version": 1}, seat.key)}, "not a budget statement"),
        "deletion": ({f"deletions/{sid}.dsse": sign_statement("deletion-record", {"version": 1, "sid": ""}, seat.key)}, "another round"),
        "deletion by a stranger": ({f"deletions/{sid}.dsse": sign_statement("deletion-record", {"version": 1, "sid": sid}, FORGER)}, "trusted signatures"),
        "agreement": ({"agreements/north-east-2026.dsse": world.make_agreement(keys=[FORGER])[0]}, "trusted signatures"),
        "roster": ({"rosters/epoch-3.dsse": world.make_roster(keys=(FORGER, FORGER))[0]}, "trusted signatures"),
    }  # fmt: skip
    for number, (changes, said) in enumerate(cases.values()):
        path = resigned(tmp_path / f"{number}.zip", made, changes)
        with pytest.raises((SignatureProblem, FileProblem), match=said):
            check_pack(path, council_key=seat.key.public, trust=TRUST)


def test_what_is_left_out_is_said_and_not_passed_over(made, tmp_path):
    _, seat, round_, out = made
    sid = round_.sid.hex()
    members = {n: c for n, c in members_of(out).items() if n != MANIFEST and sid not in n}
    path = tmp_path / "less.zip"
    write_pack(path, members, council=ME, council_name="Redcar", key=seat.key, software="test", now=NOW)
    unproven = "\n".join(i.words for i in check_pack(path, council_key=seat.key.public, trust=TRUST) if not i.proven)
    assert f"charged round(s) without a receipt here: {sid[:12]}" in unproven
    assert "gone of 1 ended round(s)" in unproven


def test_no_key_and_no_value_of_a_case_is_in_it(made, tmp_path):
    _, seat, _, out = made
    settings = seat.station.settings
    content = b"\n".join([*members_of(out).values(), *(name.encode() for name in members_of(out))])
    secret = settings.keys.identity.read_bytes()
    raw = seat.key.private.private_bytes_raw()
    body = b"".join(secret.splitlines()[1:-1])
    for planted in (CANARY.encode(), secret, body, raw, raw.hex().encode(), b"PRIVATE KEY"):
        assert planted not in content
    assert b"Redcar" in content  # the search does find what is there
    proxied = settings.model_copy(
        update={"coordinator": settings.coordinator.model_copy(update={"proxy": "http://user:pass-7f3a@proxy:1"})}
    )
    assert "pass-7f3a" not in json.dumps(public_settings(proxied))


def test_exact_counts_stay_in_the_node_and_are_in_no_pack(made, tmp_path):
    """Two packs held against each other would show one household that joined, and no budget pays for that."""
    _, seat, round_, _ = made
    station, sid = seat.station, round_.sid.hex()
    kept = open_receipt(station.store.latest(DocumentKind.RECEIPT, sid).body)
    assert {item.what: item.count for item in kept.local_counts}["rows in the extract"] > 0
    figures = {"rows in the extract": 918_273, "rows left out because somebody objected": 73_519}
    told = kept.model_copy(
        update={
            "local_counts": tuple(LocalCount(what=what, count=count) for what, count in figures.items()),
            "local_warnings": ("64,207 lines could not be read as rows and are left out.",),
            "node_milliseconds": 8_405_113,
        }
    )
    station.store.put(DocumentKind.RECEIPT, sid, told.encode(), NOW)
    try:
        members = collect_evidence(station.settings, station.store, station.policy(), seat.key, now=NOW)
        assert open_receipt(station.store.latest(DocumentKind.RECEIPT, sid).body) == told  # all of it stays here
    finally:
        station.store.put(DocumentKind.RECEIPT, sid, kept.encode(), NOW)
    shown = b"\n".join(members.values())
    for figure in (b"918273", b"73519", b"64,207", b"8405113", b"could not be read as rows"):
        assert figure not in shown
        assert figure in told.encode()  # the search does find what is there
    path = tmp_path / "shown.zip"
    write_pack(path, members, council=ME, council_name="Redcar", key=seat.key, software="test", now=NOW)
    assert any(
        "2 receipt(s) agree" in item.words and item.proven
        for item in check_pack(path, council_key=seat.key.public, trust=TRUST)
    )
    copy = open_receipt(members[f"receipts/{sid}.json"])
    assert "is kept in the council and is in no copy" in " ".join(receipt_text(copy).split())
    assert (copy.cost, copy.sent, copy.entries, copy.release_digest) == (
        told.cost,
        told.sent,
        told.entries,
        told.release_digest,
    )


def test_an_archive_that_would_fill_the_disk_or_hide_a_member_is_refused(tmp_path, made, monkeypatch):
    _, _, _, out = made
    members = members_of(out)
    twice = tmp_path / "twice.zip"
    with zipfile.ZipFile(twice, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr("readme.md", b"another text")
    with pytest.raises(FileProblem, match="two of one name"):
        EvidencePack.open(twice)
    for name in ("../outside", "/etc/passwd", "a\\b"):
        odd = archive_of(tmp_path / "odd.zip", {**members, name: b"x"})
        with pytest.raises((FileProblem, SignatureProblem)):
            EvidencePack.open(odd)
    with monkeypatch.context() as patched:
        patched.setattr("federated.evidence_pack.PACK_LIMIT", sum(map(len, members.values())) // 2)
        with pytest.raises(FileProblem, match="unpacks to more than"):
            EvidencePack.open(out)
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, bytes(65 * 1024 * 1024))
    with pytest.raises(FileProblem, match="more than"):
        EvidencePack.open(bomb)
    (tmp_path / "text.zip").write_text("no archive", encoding="utf-8")
    with pytest.raises(FileProblem, match="not an evidence pack"):
        EvidencePack.open(tmp_path / "text.zip")


def test_no_more_of_a_member_is_unpacked_than_its_list_says(made, tmp_path, monkeypatch):
    """Thousands of members that each unpack to the most allowed would keep a reader busy for days."""
    _, _, _, out = made
    members = members_of(out)
    path = tmp_path / "long.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, bytes(10**7) if name == "README.md" else content)
    asked = []
    read = zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda file, n=-1: asked.append(n) or read(file, n))
    with pytest.raises(SignatureProblem, match=r"README\.md is not what the council signed"):
        EvidencePack.open(path)
    assert len(members["README.md"]) + 1 in asked
    assert all(0 < n <= max(map(len, members.values())) + 1 for n in asked if n <= 10**7)


@pytest.mark.parametrize("change", ["twice", "negative", "no number"])
def test_a_list_that_says_two_things_or_a_size_that_is_none_is_refused(made, tmp_path, change):
    _, seat, _, out = made
    members = members_of(out)
    body = json.loads(unsafe_payload(members[MANIFEST], statement_type("evidence-manifest")))
    first = body["members"][0]
    match change:
        case "twice":
            body["members"].append(first | {"sha256": "00" * 32})
            body["members"].reverse()
        case "negative":
            first["size"] = -1
        case _:
            first["size"] = "1"
    signed = sign_statement("evidence-manifest", body, seat.key)
    with pytest.raises(SignatureProblem, match="signed list of the evidence pack cannot be read"):
        EvidencePack.open(archive_of(tmp_path / "odd.zip", {**members, MANIFEST: signed}))


def test_the_commands_of_both_sides(made, tmp_path, monkeypatch):
    _, seat, _, _ = made
    monkeypatch.chdir(tmp_path)
    trust = tmp_path / "trust.yaml"
    trust.write_text(yaml.safe_dump(TRUST.model_dump(mode="json")), encoding="utf-8")
    settings = str(seat.folder / "node.yaml")
    done = CliRunner().invoke(node_app, ["pack", "evidence", "--settings", settings, "--out", "mine.zip"])
    assert done.exit_code == 0, done.output
    assert "federated verify mine.zip" in done.output
    assert (tmp_path / "mine.zip").stat().st_mode & 0o077 == 0
    again = CliRunner().invoke(node_app, ["pack", "evidence", "--settings", settings, "--out", "mine.zip"])
    assert isinstance(again.exception, FileProblem)
    key = public_line(seat.key.public)
    checked = CliRunner().invoke(federated_app, ["verify", "mine.zip", "--council-key", key, "--trust", str(trust)])
    assert checked.exit_code == 0, checked.output
    assert "not proven" in checked.output
    as_json = CliRunner().invoke(federated_app, ["verify", "mine.zip", "--json"])
    assert {item["proven"] for item in json.loads(as_json.output)} == {True, False}
    members = members_of(tmp_path / "mine.zip")
    (tmp_path / "ledger-copy.db").write_bytes(members["ledger.db"])
    (tmp_path / "statement.dsse").write_bytes(members["budget-statement.dsse"])
    ledger = ["verify", "--ledger", "ledger-copy.db"]
    alone = CliRunner().invoke(federated_app, ledger)
    assert alone.exit_code == 0
    assert "not proven  That it is the council's" in alone.output
    with_statement = CliRunner().invoke(federated_app, [*ledger, "--statement", "statement.dsse", "--council-key", key])
    assert "The council signed this ledger up to entry" in with_statement.output
    for bad in ([], ["verify"], [*ledger, "--council-key", key], [*ledger, "--council-key", "ed25519:1"]):
        assert CliRunner().invoke(federated_app, bad or ["verify", "mine.zip", *ledger[1:]]).exit_code != 0


def test_the_pack_is_whole_while_the_node_writes(made):
    """Its ledger and its statement are of one moment, however many entries come meanwhile."""
    _, seat, _, _ = made
    station = seat.station
    members = collect_evidence(station.settings, station.store, station.policy(), seat.key, now=NOW)
    assert set(members) == set(members_of(made[3])) - {MANIFEST}
    assert isinstance(made[0], World)
    assert len(COUNCILS) == 5
