"""Who takes part, and the commands: enrolment, rosters, agreements, doctor, status, exit statuses."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from coordinator.boundaries import load_boundaries
from coordinator.cli import app, main
from coordinator.doctor import Verdict, examine
from coordinator.enrolment import PENDING_PER_COUNCIL, decide, find, record_key
from coordinator.first_files import NewCoordinator, create
from coordinator.roster import (
    add_agreement,
    draft_roster,
    load_membership,
    membership_mark,
    own_identity,
    publish_roster,
)
from coordinator.settings import BoundarySettings, load_settings
from coordinator.store import open_store
from coordinator.tls import load_certificate
from federated.errors import ExitStatus, FileProblem, PolicyRefusal, SignatureProblem
from federated.keys import fingerprint, make_key, public_line
from federated.roster import ROSTER_TYPE, RosterAlarm, parse_roster
from federated.schema import load_schema
from federated.shell import now_utc
from federated.signing import sign_payload
from tests.integration.coordinator_federation import (
    ANN,
    BOB,
    CEM,
    DEE,
    NORTH_EAST,
    START,
    council_key,
    make_agreement,
    make_roster,
    seeded,
)

COUNCIL = NORTH_EAST[0]
KEY = council_key(COUNCIL)


@pytest.fixture
def new(tmp_path):
    return NewCoordinator(
        id="hub",
        name="Hub",
        hosts=["127.0.0.1", "hub.example"],
        listen_host="127.0.0.1",
        port=0,
        roster_keys=[public_line(ANN.public), public_line(BOB.public)],
        agreement_keys=[public_line(CEM.public), public_line(DEE.public)],
    )


@pytest.fixture
def settings(tmp_path, new, store_url):
    create(tmp_path, new, now=START, rng=seeded(42))
    file = tmp_path / "coordinator.yaml"
    file.write_text(f"{file.read_text()}database: {store_url}\n")
    return load_settings(file)


@pytest.fixture
def store(settings):
    opened = open_store(settings.database_url)
    yield opened
    opened.close()


# --- membership ---


def test_an_enrolment_waits_for_a_person_and_then_for_two_signers(settings, store):
    record = record_key(store, lambda: START)
    for council in NORTH_EAST[:3]:
        assert record(council, council_key(council).public) == fingerprint(council_key(council).public)
    with pytest.raises(PolicyRefusal, match="another council"):
        record(NORTH_EAST[1], KEY.public)
    decide(store, find(store, NORTH_EAST[0]), accept=True, now=START)
    decide(store, find(store, fingerprint(council_key(NORTH_EAST[1]).public).replace(" ", "")), accept=False, now=START)
    with pytest.raises(FileProblem, match="No enrolment requests fit"):
        find(store, NORTH_EAST[1])
    drafted = parse_roster(draft_roster(settings, store, load_schema(), now=START, days=90))
    assert list(drafted.councils) == [NORTH_EAST[0]]
    assert drafted.coordinator == own_identity(settings)
    assert (drafted.epoch, drafted.not_after - drafted.not_before) == (1, timedelta(days=90))


def test_nobody_can_fill_the_list_of_enrolments(store):
    record = record_key(store, lambda: START)
    for number in range(PENDING_PER_COUNCIL):
        record(COUNCIL, make_key(seeded(100 + number)).public)
    with pytest.raises(PolicyRefusal, match="waiting already"):
        record(COUNCIL, make_key(seeded(200)).public)


def test_a_council_that_is_not_in_the_dictionary_is_met_at_the_draft(settings, store):
    record_key(store, lambda: START)("X99999999", KEY.public)
    decide(store, find(store, "X99999999"), accept=True, now=START)
    with pytest.raises(FileProblem, match="X99999999 is not the code"):
        draft_roster(settings, store, load_schema(), now=START, days=90)


def publish(settings, store, tmp_path, now=START, *, keys=(ANN, BOB), **draft):
    payload = draft_roster(settings, store, load_schema(), now=now, days=90, **draft)
    path = tmp_path / "roster.dsse"
    path.write_bytes(sign_payload(payload, ROSTER_TYPE, list(keys)))
    return publish_roster(settings, store, path, now)


def test_rosters_follow_one_another(tmp_path, settings, store):
    record = record_key(store, lambda: START)
    with pytest.raises(FileProblem, match="no council"):
        draft_roster(settings, store, load_schema(), now=START, days=90)
    for council in NORTH_EAST[:2]:
        record(council, council_key(council).public)
        decide(store, find(store, council), accept=True, now=START)
    with pytest.raises(SignatureProblem):
        publish(settings, store, tmp_path, keys=(ANN,))
    first = publish(settings, store, tmp_path)
    again = publish_roster(settings, store, tmp_path / "roster.dsse", START)
    assert again == first
    assert store.membership.latest_epoch() == 1
    changed = make_key(seeded(300))
    record(NORTH_EAST[0], changed.public)
    decide(store, find(store, NORTH_EAST[0]), accept=True, now=START)
    # Drafted from the last one although that has expired: that is when a new one is needed most.
    later = START + timedelta(days=120)
    assert load_membership(settings, store, later).roster is None
    second = publish(settings, store, tmp_path, later, without=frozenset({NORTH_EAST[1]}))
    assert (second.epoch, list(second.councils)) == (2, [NORTH_EAST[0]])
    assert second.councils[NORTH_EAST[0]].public_key == changed.public
    assert load_membership(settings, store, later).roster == second
    rival = tmp_path / "rival.dsse"
    payload = draft_roster(settings, store, load_schema(), now=later, days=30).replace(b"epoch: 3", b"epoch: 2")
    rival.write_bytes(sign_payload(payload, ROSTER_TYPE, [ANN, BOB]))
    with pytest.raises(RosterAlarm):
        publish_roster(settings, store, rival, later)


def enrolled(store, *councils):
    record = record_key(store, lambda: START)
    for council in councils:
        record(council, council_key(council).public)
        decide(store, find(store, council), accept=True, now=START)


def test_a_council_that_was_signed_off_the_list_stays_off_until_it_enrols_anew(tmp_path, settings, store):
    gone, stays, waits = NORTH_EAST[:3]
    enrolled(store, gone, stays)
    publish(settings, store, tmp_path)
    enrolled(store, waits)
    left = publish(settings, store, tmp_path, without=frozenset({gone, waits}))
    assert list(left.councils) == [stays]
    drafted = parse_roster(draft_roster(settings, store, load_schema(), now=START, days=90))
    assert list(drafted.councils) == [stays, waits]  # one that was never on the list has not left it
    with pytest.raises(FileProblem, match="No enrolment requests fit"):
        find(store, gone)
    anew = make_key(seeded(301))
    record_key(store, lambda: START)(gone, anew.public)
    decide(store, find(store, gone), accept=True, now=START)
    assert publish(settings, store, tmp_path).councils[gone].public_key == anew.public


def test_a_list_whose_signer_is_trusted_no_longer_is_still_what_the_next_is_drafted_from(tmp_path, settings, store):
    enrolled(store, *NORTH_EAST[:2])
    first = publish(settings, store, tmp_path)
    trust = settings.trust.model_copy(update={"roster_keys": (public_line(BOB.public), public_line(CEM.public))})
    changed = settings.model_copy(update={"trust": trust})
    assert load_membership(changed, store, START).roster is None
    with pytest.raises(SignatureProblem):
        publish(changed, store, tmp_path, keys=(ANN, BOB))
    second = publish(changed, store, tmp_path, keys=(BOB, CEM))
    assert (second.epoch, second.councils.keys()) == (2, first.councils.keys())
    assert load_membership(changed, store, START).roster == second


def test_a_new_key_does_not_take_back_whose_budget_a_council_inherits(tmp_path, settings, store):
    old, new = NORTH_EAST[:2]
    enrolled(store, old, new)
    last_day = START.date() - timedelta(days=1)
    document = yaml.safe_load(draft_roster(settings, store, load_schema(), now=START, days=90))
    ended, started = (next(item for item in document["councils"] if item["id"] == name) for name in (old, new))
    ended |= {"valid_from": str(last_day - timedelta(days=30)), "valid_to": str(last_day)}
    started["succeeds"] = [str(old)]
    path = tmp_path / "roster.dsse"
    path.write_bytes(sign_payload(yaml.safe_dump(document).encode(), ROSTER_TYPE, [ANN, BOB]))
    publish_roster(settings, store, path, START)
    changed = make_key(seeded(302))
    record_key(store, lambda: START)(new, changed.public)
    decide(store, find(store, new), accept=True, now=START)
    drafted = publish(settings, store, tmp_path)
    assert drafted.councils[new].succeeds == (old,)
    assert drafted.councils[new].public_key == changed.public
    assert drafted.councils[old].valid_to == last_day  # and the old council is not let in again


def test_a_council_whose_place_another_took_this_year_is_not_left_out(tmp_path, settings, store):
    """A list tidied by its signers would let the new council start again with a full budget."""
    old, new = NORTH_EAST[:2]
    enrolled(store, old, new)
    last_day = START.date() - timedelta(days=1)
    document = yaml.safe_load(draft_roster(settings, store, load_schema(), now=START, days=90))
    ended, started = (next(item for item in document["councils"] if item["id"] == name) for name in (old, new))
    ended |= {"valid_from": str(last_day - timedelta(days=30)), "valid_to": str(last_day)}
    started["succeeds"] = [str(old)]
    path = tmp_path / "roster.dsse"
    path.write_bytes(sign_payload(yaml.safe_dump(document).encode(), ROSTER_TYPE, [ANN, BOB]))
    publish_roster(settings, store, path, START)
    del started["succeeds"]
    tidied = document | {"epoch": 2, "councils": [item for item in document["councils"] if item["id"] != old]}
    path.write_bytes(sign_payload(yaml.safe_dump(tidied).encode(), ROSTER_TYPE, [ANN, BOB]))
    with pytest.raises(FileProblem, match=f"leaves out the council {old}"):
        publish_roster(settings, store, path, START)
    assert store.membership.latest_epoch() == 1
    kept = parse_roster(draft_roster(settings, store, load_schema(), now=START, days=90))
    assert kept.councils[new].succeeds == (old,)


def test_another_coordinators_roster_is_not_published(tmp_path, settings, store):
    path = tmp_path / "other.dsse"
    path.write_bytes(make_roster(NORTH_EAST[:5]))
    with pytest.raises(FileProblem, match="with another key"):
        publish_roster(settings, store, path, START)
    assert store.membership.latest_epoch() == 0


def test_agreements_count_when_signed_in_force_and_newest(tmp_path, settings, store):
    path = tmp_path / "agreement.dsse"
    path.write_bytes(make_agreement(NORTH_EAST[:8]))
    mark = membership_mark(settings, store, START)
    added = add_agreement(settings, store, path, START)
    assert membership_mark(settings, store, START) != mark
    (Path(settings.agreements) / "broken.dsse").write_bytes(b"{}")
    found = load_membership(settings, store, START)
    assert list(found.agreements) == [added.digest]
    assert len(found.problems) == 1
    assert found.problems[0].startswith("broken.dsse:")
    assert load_membership(settings, store, START + timedelta(days=600)).agreements == {}
    path.write_bytes(make_agreement(NORTH_EAST[:8], year=2030))
    with pytest.raises(PolicyRefusal):
        add_agreement(settings, store, path, START)
    with pytest.raises(PolicyRefusal, match="does not have in force"):
        found.require_agreement(bytes(32))
    with pytest.raises(PolicyRefusal, match="no list of councils"):
        found.require_roster()


# --- commands ---


def test_doctor_tells_everything_at_once(settings):
    found = {finding.check: finding.verdict for finding in examine(settings, START)}
    assert found == {
        "identity": Verdict.GOOD,
        "certificate": Verdict.GOOD,
        "state folder": Verdict.GOOD,
        "signers": Verdict.GOOD,
        "database": Verdict.GOOD,
        "roster": Verdict.BAD,
        "agreements": Verdict.WARNING,
    }
    Path(settings.key).unlink()
    Path(settings.tls.certificate).write_bytes(b"")
    spoilt = Path(settings.state) / "spoilt.db"
    spoilt.write_bytes(b"not a database, and long enough to be looked at")
    settings = settings.model_copy(update={"database": f"sqlite:///{spoilt}"})
    bad = {finding.check for finding in examine(settings, START) if finding.verdict is Verdict.BAD}
    assert bad == {"identity", "certificate", "database"}
    soon = examine(settings, START + timedelta(days=390))
    assert all(finding.text for finding in soon)


def test_doctor_looks_at_the_boundaries_that_the_settings_name(settings, tmp_path):
    def found(*codes, **changes):
        square = {"type": "Polygon", "coordinates": [[[-2, 54], [-1, 54], [-1, 55], [-2, 54]]]}
        features = [{"type": "Feature", "properties": {"RGN": code}, "geometry": square} for code in codes]
        path = tmp_path / "regions.json"
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
        named = BoundarySettings(**{"file": str(path), "code_property": "RGN"} | changes)
        findings = examine(settings.model_copy(update={"boundaries": named}), START)
        (finding,) = (one for one in findings if one.check == "boundaries")
        return finding.verdict, finding.text

    regions = [region.code for region in load_schema().regions]
    assert found(*regions) == (Verdict.GOOD, f"{tmp_path / 'regions.json'} has a shape for each region")
    for verdict, text, said in (
        (*found(*regions[1:]), f"no boundary for 1 of the zones: {regions[0]}"),
        (*found(*regions, code_property="code"), "no boundary for 9 of the zones"),
        (*found(*regions, regions[0]), f"two boundaries for {regions[0]}"),
        (*found(*regions, file="nowhere.json"), "nowhere.json: the file of boundaries cannot be read"),
    ):
        assert verdict is Verdict.BAD
        assert said in text


def test_shapes_of_more_detail_than_a_file_can_hold_are_refused(settings, tmp_path, monkeypatch):
    regions = [region.code for region in load_schema().regions]
    place = {"type": "Point", "coordinates": [-2, 54]}
    features = [{"type": "Feature", "properties": {"code": code}, "geometry": place} for code in regions]
    (tmp_path / "x.json").write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    named = settings.model_copy(update={"boundaries": BoundarySettings(file=str(tmp_path / "x.json"))})
    size = len(json.dumps(place, separators=(",", ":"))) * len(regions)
    monkeypatch.setattr("coordinator.boundaries.MOST_BYTES", size)
    assert load_boundaries(named, load_schema()).shapes.keys() == set(regions)
    monkeypatch.setattr("coordinator.boundaries.MOST_BYTES", size - 1)
    with pytest.raises(FileProblem, match="take more than"):
        load_boundaries(named, load_schema())


def test_a_certificate_about_to_end_is_a_warning(settings):
    verdicts = {f.check: f.verdict for f in examine(settings, START + timedelta(days=390))}
    assert verdicts["certificate"] is Verdict.WARNING


def test_withdraw_takes_back_only_what_has_not_begun(tmp_path, settings, store):
    from tests.unit.coordinator.test_coordinator_store import proposal

    file = str(tmp_path / "coordinator.yaml")
    store.proposals.add(proposal(state="collecting"))
    arguments = ["withdraw", proposal().plan_digest.hex(), "--reason", "A mistake", "-s", file]
    app(arguments, standalone_mode=False)
    row = store.proposals.get(proposal().plan_digest)
    assert (row.state, row.reason) == ("withdrawn", "Withdrawn: A mistake")
    (line,) = store.audit.about(proposal().plan_digest.hex())
    assert (line.who, line.operation) == ("command line", "withdraw question")
    with pytest.raises(PolicyRefusal, match="is withdrawn"):
        app(arguments, standalone_mode=False)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["status", "--settings", "none.yaml"], ExitStatus.INPUT),
        (["roster", "publish", "none.dsse", "-s", "SETTINGS"], ExitStatus.INPUT),
        (["enrol", "accept", "E06000001", "-s", "SETTINGS"], ExitStatus.INPUT),
        (["withdraw", "xyz", "--reason", "x", "-s", "SETTINGS"], ExitStatus.INPUT),
        (["withdraw", "00" * 32, "--reason", "x", "-s", "SETTINGS"], ExitStatus.REFUSED),
        (["nonsense"], ExitStatus.USAGE),
        (["doctor", "-s", "SETTINGS"], ExitStatus.INPUT),
    ],
)
def test_failures_are_one_sentence_and_an_exit_status(settings, monkeypatch, capsys, arguments, status):
    file = str(Path(settings.key).with_name("coordinator.yaml"))
    monkeypatch.setattr("sys.argv", ["coordinator", *(file if part == "SETTINGS" else part for part in arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == status
    told = capsys.readouterr()
    assert "Traceback" not in told.err + told.out


def commands(group, path=()):
    for command in group.registered_commands:
        yield (*path, command.name), command.callback
    for inner in group.registered_groups:
        yield from commands(inner.typer_instance, (*path, inner.name))


OURS = {"coordinator.cli", "coordinator.account_commands"}


def test_every_command_shows_an_example():
    ours = [(path, callback) for path, callback in commands(app) if callback.__module__ in OURS]
    assert len(ours) >= 16
    for path, callback in ours:
        assert f"Example: coordinator {' '.join(path)}" in callback.__doc__, path


def test_status_as_json_holds_nothing_but_what_it_says(tmp_path, settings, capsys):
    capsys.readouterr()
    app(["status", "--json", "-s", str(tmp_path / "coordinator.yaml")], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert (told["version"], told["roster_epoch"], told["connected"], told["proposals"]) == (1, None, [], {})
    assert datetime.strptime(told["at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


# --- after a loss or a theft ---


def typed(folder, *arguments):
    return CliRunner().invoke(app, [*arguments, "--settings", str(folder / "coordinator.yaml")])


def test_a_new_certificate_overwrites_nothing_and_asks_for_names_where_the_old_one_is_gone(tmp_path, new):
    create(tmp_path, new, now=now_utc(), rng=seeded(42))
    out = tmp_path / "tls-2"
    command = ("certificate", "--out", str(out), "--authority", str(tmp_path / "tls"))
    assert typed(tmp_path, *command).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["server.key", "server.pem"]
    made = load_certificate(out / "server.key", out / "server.pem", now=now_utc())
    assert made.names == {"127.0.0.1", "hub.example"}
    before = (out / "server.key").read_bytes()
    assert isinstance(typed(tmp_path, *command).exception, FileProblem)
    assert (out / "server.key").read_bytes() == before
    (tmp_path / "tls" / "server.pem").unlink()
    asked = typed(tmp_path, "certificate", "--out", str(tmp_path / "tls-3"))
    assert isinstance(asked.exception, FileProblem)
    assert "--host" in asked.exception.diagnostics()
    assert typed(tmp_path, "certificate", "--out", str(tmp_path / "tls-3"), "--host", "new.example").exit_code == 0
    assert (tmp_path / "tls-3" / "authority.pem").is_file()


def test_a_statement_that_was_never_given_is_not_made_up(tmp_path, new):
    create(tmp_path, new, now=now_utc(), rng=seeded(42))
    done = typed(tmp_path, "statement", COUNCIL, "--out", str(tmp_path / "statement.dsse"))
    assert isinstance(done.exception, FileProblem)
    assert not (tmp_path / "statement.dsse").exists()
