"""A dry run is the node at work and nothing else: no message, no charge, no trace, no key, no figure that leaves."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from council_node import dry_run as dry_run_module
from council_node.cli import app
from council_node.dry_run import dry_run
from council_node.dry_run_question import find_question
from council_node.dry_run_words import dry_run_lines, own_figure_lines
from council_node.ledger import Ledger
from council_node.mapping import load_mapping
from council_node.node_store import DocumentKind, NodeStore
from council_node.practice_bytes import count_half_bytes
from council_node.practice_extract import write_empty_extract
from council_node.practice_round import PracticeRound
from council_node.sources import load_extract
from council_node.status import node_status
from federated.agreement import AGREEMENT_TYPE, parse_agreement
from federated.demo.papers import manifest_payload
from federated.errors import FileProblem, SignatureProblem
from federated.keys import make_key, public_line, read_private_key, trusted_keys
from federated.manifest import MANIFEST_TYPE
from federated.plan import PLAN_TYPE, Terms, derive_plan
from federated.privacy import Budget, Charge, Mechanism
from federated.query import Dimension, Table, measured
from federated.roster import ROSTER_TYPE, Coordinator, RosterEntry, parse_roster, roster_payload
from federated.schema import ColumnType, load_schema
from federated.shell import now_utc
from federated.signing import open_statement, sign_payload, unsafe_payload
from federated.statistics.running_totals import PREFIX_BITS, sent
from protocols.encoding import canonical_json, sha256
from protocols.errors import ProtocolError
from protocols.identifiers import CouncilId, RoundId
from protocols.secagg import Aggregator, RoundContext
from protocols.wire.link_message import Kind, LinkMessage
from tests.unit.council_node.lone_council import COUNCIL, NORTH_EAST, lone_council
from tests.unit.federated import planning as given

DAY = timedelta(days=1)


@pytest.fixture
def council(tmp_path):
    return lone_council(tmp_path, councils=NORTH_EAST[:5])


def rehearse(council, *, practice=False, question="question.yaml"):
    named = council.folder / question
    asked = find_question(str(named if named.exists() else question), council.settings, manifest=None, agreement=None)
    return dry_run(council.settings, asked, practice=practice, clock=now_utc, rng=os.urandom, tell=lambda _line: None)


def command(council, *arguments):
    return CliRunner().invoke(app, ["dry-run", *arguments, "--settings", str(council.file)])


def files(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def left_behind(pid: int | None = None) -> list[Path]:
    """Folders of rehearsals of one process, this one unless told otherwise."""
    places = {Path("/dev/shm"), Path(tempfile.gettempdir())}
    return [found for place in places for found in place.glob(f"dry-run-{pid or os.getpid()}-*")]


def masked_vector(found) -> bytes:
    (message,) = [item.content for item in found.leaving if item.kind is Kind.MASKED_INPUT]
    return message[-found.plan.cells * found.plan.ring.bits // 8 :]


@pytest.mark.parametrize("practice", [False, True])
def test_every_message_of_a_round_is_made_and_none_is_sent(council, monkeypatch, practice):
    def no_network(*_):
        raise AssertionError("a dry run opened a connection")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    found = rehearse(council, practice=practice)
    kinds = [item.kind.name for item in found.leaving]
    stages = ["ADVERT", "KEY_SHARES", "MASKED_INPUT", "CONFIRMATION", "UNMASK"]
    assert kinds == ["RECEIPT", "DECISION", *stages, "RECEIPT"]
    assert found.receipt.columns == ("assessment_date", "assessment_outcome")
    assert [message.what for message in found.receipt.sent] == [s.lower().replace("_", " ") for s in stages]
    assert (found.release is not None) is practice


def test_no_file_of_the_council_changes_and_none_is_left(council):
    before, others = files(council.folder), left_behind()
    for practice in (False, True, False):
        rehearse(council, practice=practice)
    assert files(council.folder) == before
    assert left_behind() == others


def test_what_a_killed_rehearsal_left_goes_with_the_next_one(tmp_path, monkeypatch):
    """Killed with -9 it cannot tidy up, and its folder in memory would stay until the computer starts again."""
    monkeypatch.setattr(dry_run_module, "MEMORY_FOLDER", tmp_path)
    killed = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    for name in (f"dry-run-{killed.pid}-left", f"dry-run-{os.getpid()}-under-way", "dry-run-x-other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").touch()
    with dry_run_module._passing_folder():
        assert (tmp_path / f"dry-run-{killed.pid}-left").exists()  # its process still runs
    killed.kill()
    killed.communicate()
    with dry_run_module._passing_folder():
        assert not (tmp_path / f"dry-run-{killed.pid}-left").exists()
    assert {left.name for left in tmp_path.iterdir()} == {f"dry-run-{os.getpid()}-under-way", "dry-run-x-other"}


def test_what_another_account_left_is_left_to_it(tmp_path, monkeypatch):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    theirs = tmp_path / f"dry-run-{gone.pid}-left"
    theirs.mkdir()
    monkeypatch.setattr(dry_run_module, "MEMORY_FOLDER", tmp_path)
    monkeypatch.setattr(dry_run_module.os, "getuid", lambda: theirs.lstat().st_uid + 1)
    with dry_run_module._passing_folder():
        assert theirs.exists()


def test_nothing_is_left_when_the_rehearsal_fails(council, monkeypatch):
    others, made = left_behind(), []

    def fails(self):
        made.extend(left_behind())
        raise FileProblem("The rehearsal fails here.")

    monkeypatch.setattr(PracticeRound, "run", fails)
    with pytest.raises(FileProblem):
        rehearse(council)
    assert len(made) > len(others), "the folder of the rehearsal was looked for in the wrong place"
    assert left_behind() == others


def test_nothing_is_left_when_it_is_told_to_stop(council):
    arguments = [sys.executable, "-c", "from council_node.cli import main; main()", "dry-run"]
    arguments += [str(council.folder / "question.yaml"), "--practice", "--settings", str(council.file)]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not left_behind(process.pid) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        assert left_behind(process.pid), "it ended before it could be stopped"
        process.terminate()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait()
    assert left_behind(process.pid) == []


@contextmanager
def watching():
    """Every file that Python opens meanwhile. An audit hook stays for the life of a process; it is switched off."""
    opened: list[str] = []
    switch = [True]

    def hook(event, arguments):
        if switch and event == "open":
            opened.append(str(arguments[0]))

    sys.addaudithook(hook)
    try:
        yield opened
    finally:
        switch.clear()


def test_the_real_key_is_not_even_read(council):
    with watching() as opened:
        rehearse(council)
    assert any("question.yaml" in name for name in opened)
    assert not [name for name in opened if Path(name).name.startswith("identity")]
    with watching() as opened:
        read_private_key(council.settings.keys.identity)
    assert [name for name in opened if Path(name).name.startswith("identity")], "the watch sees nothing"


def test_nothing_a_real_party_would_believe_comes_of_it(council, monkeypatch):
    papers = []
    make = dry_run_module.make_papers
    monkeypatch.setattr(dry_run_module, "make_papers", lambda *a, **k: papers.append(make(*a, **k)) or papers[-1])
    found = rehearse(council)
    sent = {item.kind: LinkMessage.decode(item.content) for item in found.leaving}
    practice, real = papers[0].councils[COUNCIL].public, council.key.public

    def aggregator(own: bytes) -> Aggregator:
        keys = {name: entry.public_key for name, entry in papers[0].roster.councils.items()} | {COUNCIL: own}
        plan = found.plan
        return Aggregator(
            RoundContext(
                sid=RoundId(sent[Kind.ADVERT].reference),
                plan_digest=plan.digest,
                eligible=plan.eligible,
                identities=keys,
                rules=plan.rules,
                ring=plan.ring,
                cells=plan.cells,
                suite=plan.suite,
                holder=None,
            )
        )

    aggregator(practice).receive_advert(COUNCIL, sent[Kind.ADVERT].payload)
    with pytest.raises(ProtocolError):
        aggregator(real).receive_advert(COUNCIL, sent[Kind.ADVERT].payload)
    open_statement("decision", sent[Kind.DECISION].payload, trusted_keys(practice))
    with pytest.raises(SignatureProblem):
        open_statement("decision", sent[Kind.DECISION].payload, trusted_keys(real))


def test_the_sum_of_real_records_is_never_opened(council, monkeypatch):
    def opened(self, aggregator):
        raise AssertionError("the sum was opened")

    monkeypatch.setattr(PracticeRound, "finish", opened)
    assert rehearse(council).release is None
    with pytest.raises(AssertionError, match="opened"):
        rehearse(council, practice=True)


def test_rehearsals_share_no_mask_and_each_looks_random(council):
    one, two = (np.frombuffer(masked_vector(rehearse(council)), dtype="<u4").astype(np.int64) for _ in range(2))
    # Without masks, two runs differ by noise of a few units; with a mask used twice, by as little.
    assert min(abs((one - two) % 2**32)) > 1000
    assert count_half_bytes(np.random.default_rng(1).bytes(4096)).looks_random
    assert not count_half_bytes(np.arange(500, dtype="<i4").tobytes()).looks_random


def test_own_figures_are_shown_only_when_asked_for(council):
    quiet = command(council, str(council.folder / "question.yaml"))
    assert quiet.exit_code == 0, quiet.output
    assert "own exact figures" not in quiet.output
    shown = command(council, str(council.folder / "question.yaml"), "--show-own-figure")
    found = rehearse(council)
    assert "own exact figures" in shown.output
    assert f"{int(found.own.vector[0]):,}" in shown.output
    assert "own" not in json.loads(command(council, str(council.folder / "question.yaml"), "--json").output)
    assert repr(found.own) == "LocalStatistic()"


def test_own_figures_of_quantiles_are_the_counts_and_not_what_is_sent():
    table = Table(
        name="q",
        statistic="quantile",
        by=(Dimension(column="main_sex"),),
        measures=(measured("dependent_children_n", 0, 5),),
        edges=(1, 3),
        probabilities=(Fraction(1, 2),),
    )
    plan = derive_plan(
        given.question(Table(name="all", statistic="households"), table, Table(name="r", statistic="rows")),
        agreement=given.agreement(),
        roster=given.roster(),
        schema=given.SCHEMA,
        mechanism=Mechanism.DISCRETE_GAUSSIAN,
        terms=given.terms(),
    )
    counts = np.array([4, 0, 7, 1, 0, 0, 3, 2, 2], dtype=np.int64)
    vector = np.concatenate([[812], sent(counts, 3, PREFIX_BITS), [903]])
    lines = list(own_figure_lines(plan, vector))
    shown = [line.rsplit(": ")[1] for line in lines if line.startswith("   - ")]
    assert shown == [str(number) for number in (812, *counts, 903)]
    assert sum("weighted" in line for line in lines) == 1
    assert vector[1] == 4 * 64, "what is to be sent must stay as it is"


def test_a_question_the_policy_refuses_leaves_nothing_but_the_refusal(council):
    policy = yaml.safe_load(council.settings.policy.read_text())
    council.settings.policy.write_text(yaml.safe_dump(policy | {"refuse_columns": ["assessment_outcome"]}))
    found = rehearse(council)
    assert found.refusal.rule == "council_policy"
    assert [item.kind for item in found.leaving] == [Kind.RECEIPT, Kind.DECISION]
    assert command(council, str(council.folder / "question.yaml")).exit_code == found.refusal.exit_status
    assert "No. Refused (council_policy)" in "\n".join(dry_run_lines(found))


def test_the_budget_already_spent_counts_and_none_is_spent(council):
    assert rehearse(council).refusal is None
    agreement = parse_agreement(
        unsafe_payload(next(council.settings.agreements.glob("*.dsse")).read_bytes(), AGREEMENT_TYPE)
    )
    with Ledger.open_or_create(council.settings.ledger_file, COUNCIL, now_utc(), in_service=False) as ledger:
        for number in range(8):
            sid = RoundId(bytes([number]) * 32)
            ledger.reserve(
                sid=sid,
                plan_digest=sha256(bytes([number])),
                title="Asked before",
                charge=Charge(epsilon=Fraction(1), rho=Fraction(1, 2), draws=1),
                unit="household",
                agreement=agreement,
                budget=Budget(epsilon=agreement.budget_epsilon, delta=agreement.budget_delta),
                cap=None,
                class_2=False,
                attempts=2,
                now=now_utc(),
            )
            ledger.spend(sid, now_utc())
    spent = node_status(council.settings, now_utc()).budget.periods
    assert [rehearse(council).refusal.rule for _ in range(2)] == ["budget", "budget"]
    assert node_status(council.settings, now_utc()).budget.periods == spent


def roster_of(council, *, not_after, councils=NORTH_EAST):
    schema, today = load_schema(), now_utc().date()
    entries = [
        RosterEntry(
            id=name,
            name=schema.council(name).name,
            region=schema.council(name).region,
            public_key=council.key.public if name == COUNCIL else make_key(os.urandom).public,
            valid_from=today - 50 * DAY,
            valid_to=today + 300 * DAY,
        )
        for name in councils
    ]
    return roster_payload(
        epoch=7,
        not_before=not_after - 40 * DAY,
        not_after=not_after,
        coordinator=Coordinator(id="lone-hub", name="Hub", public_key=make_key(os.urandom).public),
        councils=entries,
    )


def keep_roster(council, payload, saved_at):
    envelope = sign_payload(payload, ROSTER_TYPE, council.signers)
    with NodeStore.open(council.settings.store_file) as store:
        store.put(DocumentKind.ROSTER, "current", envelope, saved_at)


def test_the_list_of_councils_in_force_is_the_one_rehearsed_with(council):
    assert any("no list of councils" in note for note in rehearse(council).notes)
    keep_roster(council, roster_of(council, not_after=now_utc().date() + DAY), now_utc())
    found = rehearse(council)
    assert found.refusal is None
    assert not any("no list of councils" in note for note in found.notes)


def test_an_expired_list_of_councils_refuses_the_rehearsal_too(council):
    keep_roster(council, roster_of(council, not_after=now_utc().date() - DAY), now_utc() - 2 * DAY)
    assert rehearse(council).refusal.rule == "roster_expired"


def test_a_question_that_waits_is_rehearsed_by_its_digest(council):
    payload = roster_of(council, not_after=now_utc().date() + DAY)
    keep_roster(council, payload, now_utc())
    agreement = parse_agreement(
        unsafe_payload(next(council.settings.agreements.glob("*.dsse")).read_bytes(), AGREEMENT_TYPE)
    )
    manifest = manifest_payload("waiting", council.question, today=now_utc().date())
    now = now_utc().replace(microsecond=0)
    plan = derive_plan(
        council.question,
        agreement=agreement,
        roster=parse_roster(payload),
        schema=load_schema(),
        mechanism=Mechanism.DISCRETE_GAUSSIAN,
        terms=Terms(
            manifest_digest=sha256(manifest),
            not_before=now - DAY,
            collect_by=now + DAY,
            return_by=now + DAY,
            not_after=now + 2 * DAY,
            attempts=1,
            nonce=os.urandom(32),
        ),
    )
    papers = {
        "version": 1,
        "plan": sign_payload(plan.encode(), PLAN_TYPE, [council.analyst]).decode(),
        "manifest": sign_payload(manifest, MANIFEST_TYPE, [council.analyst]).decode(),
    }
    with NodeStore.open(council.settings.store_file) as store:
        store.put(DocumentKind.PROPOSAL, plan.digest.hex(), canonical_json(papers), now)
    found = rehearse(council, question=plan.digest.hex()[:8])
    assert found.refusal is None
    assert found.plan.mechanism is Mechanism.DISCRETE_GAUSSIAN
    assert found.plan.charge == plan.charge
    assert found.plan.digest != plan.digest
    assert found.notes == ()
    with pytest.raises(FileProblem, match="0 proposed questions"):
        rehearse(council, question="ffff")


def test_practice_needs_no_extract(council):
    council.extract.unlink()
    assert rehearse(council).refusal.rule == "coverage"
    assert rehearse(council, practice=True).refusal is None


def test_an_agreement_must_have_been_accepted(council):
    next(council.settings.agreements.glob("*.dsse")).unlink()
    with pytest.raises(FileProblem, match="accepted no agreement"):
        rehearse(council, practice=True)


def test_a_group_of_the_standard_profile_is_rehearsed_too(tmp_path):
    found = rehearse(lone_council(tmp_path))
    assert (found.refusal, found.councils) == (None, 12)


def test_a_large_group_is_rehearsed_with_a_few(tmp_path):
    everyone = tuple(sorted(load_schema().councils))[:60]
    found = rehearse(lone_council(tmp_path, councils=everyone))
    assert found.refusal is None
    assert len(found.plan.eligible) == 60
    assert found.councils < 60
    assert "In a round of all 60 councils" in "\n".join(dry_run_lines(found))


@pytest.mark.parametrize("practice", [False, True])
def test_a_crossing_of_protected_characteristics_is_rehearsed_as_if_people_said_yes(tmp_path, practice):
    """The decision that would be sent waits for a person; the practice councils have people of their own."""
    council = lone_council(tmp_path, councils=tuple(sorted(load_schema().councils))[:24], automatic=True)
    crossing = yaml.safe_load((council.folder / "question.yaml").read_text(encoding="utf-8"))
    crossing["tables"] = [{"name": "who", "count": "households", "by": ["household_type", "main_age_band"]}]
    (council.folder / "crossing.yaml").write_text(yaml.safe_dump(crossing), encoding="utf-8")
    found = rehearse(council, practice=practice, question="crossing.yaml")
    assert (found.refusal, found.decision.verdict.value, found.councils) == (None, "pending", 20)
    assert "singles out groups by age and sex" in found.decision.reason


def test_only_what_plays_councils_has_people_who_always_say_yes():
    root = Path(__file__).parents[3]
    parts = (root / name for name in ("council_node", "coordinator", "federated", "protocols"))
    users = {path.name for part in parts for path in part.rglob("*.py") if "willing_people" in path.read_text("utf-8")}
    assert users == {"willing_people.py", "dry_run.py", "simulate.py", "simulate_flower_app.py"}


@pytest.mark.parametrize("name", load_schema().datasets)
def test_an_empty_extract_of_every_data_set_can_be_read(tmp_path, name):
    dataset = load_schema().dataset(name)
    mapping = load_mapping(write_empty_extract(tmp_path, dataset), load_schema())
    columns = [column.name for column in dataset.columns.values() if column.type is not ColumnType.KEY]
    with load_extract(mapping, dataset, columns, directory=tmp_path, run_key=bytes(16)) as extract:
        assert extract.report.rows_read == 0


def test_the_messages_can_be_kept_and_are_those_reported(council, tmp_path):
    out = tmp_path / "messages"
    ran = command(council, str(council.folder / "question.yaml"), "--json", "--out", str(out))
    report = json.loads(ran.output)
    kept = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.iterdir())]
    assert kept == [item["sha256"] for item in report["leaving"]]
    assert report["sent"] == []


def test_the_steps_are_the_nodes_own(council, monkeypatch):
    """A node whose masking is broken is found out: the rehearsal has no masking of its own."""
    from council_node import contribution

    def unmasked(noised, session):
        return contribution.ParticipantSession.mask(session, np.zeros_like(noised.vector))

    monkeypatch.setattr(contribution, "mask", unmasked)
    found = rehearse(council, practice=True)
    assert all(abs(cell.estimate) < 1 for table in found.release.tables for cell in table.cells)


def test_a_rehearsal_is_not_mistaken_for_the_plan_asked(council):
    one, two = rehearse(council), rehearse(council)
    assert one.plan.digest != two.plan.digest
    assert CouncilId(one.receipt.council) == COUNCIL


def test_no_cell_is_ever_quoted(council):
    """A text planted in every column, mapped or not, is in no form of the report and in no message."""
    lines = council.extract.read_text(encoding="utf-8").splitlines()
    planted = ",".join(f"PLANTED-{place}" for place in range(lines[0].count(",") + 1))
    council.extract.write_text("\n".join([*lines, planted, planted]) + "\n", encoding="utf-8")
    out = council.folder / "messages"
    for options in ([], ["--json", "--out", str(out)]):
        ran = command(council, str(council.folder / "question.yaml"), *options)
        assert ran.exit_code == 0, ran.output
        assert "PLANTED" not in ran.output
    assert not any(b"PLANTED" in path.read_bytes() for path in out.iterdir())
    assert "1 rows hold wording" in ran.output or "2 rows hold wording" in ran.output or "3 rows hold" in ran.output


@pytest.mark.parametrize("practice", [False, True])
def test_a_throw_away_key_plays_the_mask_holder_and_people_are_told(tmp_path, practice):
    """The very protocol runs, with an opening where the records are made up; the real holder's key cannot sign here."""
    real = public_line(make_key(os.urandom).public)
    holder = {"id": "lga", "name": "Local Government Association", "key": real}
    council = lone_council(tmp_path, councils=NORTH_EAST[:5], agreement={"mask_holder": holder})
    found = rehearse(council, practice=practice)
    assert (
        "The mask holder, Local Government Association, is not asked: a throw-away key plays its part." in found.notes
    )
    assert found.plan.holder.name == "Local Government Association"
    assert public_line(found.plan.holder.key) != real
    assert (found.release is not None) is practice
    if practice:
        assert found.release.attestations.opening
