"""`council-node check` on the computer, the connection and the papers: each fault made on purpose, and told."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from datetime import timedelta

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from coordinator.grpc_server import serving
from coordinator.tls import issue_certificate, make_authority
from council_node.checks import computer, connection
from council_node.checks.computer import check_computer
from council_node.checks.connection import NotListedYet, greet, judge_greeting
from council_node.checks.findings import Verdict
from council_node.checks.papers import check_papers
from council_node.cli import app
from council_node.ledger import Ledger
from council_node.link_channel import LinkSettings
from council_node.node_store import DocumentKind, NodeStore
from council_node.settings import read_settings
from federated.errors import FederatedError
from federated.keys import make_key
from federated.roster import ROSTER_TYPE, Coordinator, RosterEntry, roster_payload
from federated.schema import load_schema
from federated.shell import now_utc
from federated.signing import sign_payload
from tests.integration.link_harness import (
    COORDINATOR,
    NOW,
    GrpcHarness,
    Relay,
    async_test,
    authority,
    ca_file,
    over_grpc,
    until,
)
from tests.unit.council_node.lone_council import COUNCIL, lone_council

DAY = timedelta(days=1)


@pytest.fixture
def council(tmp_path):
    made = lone_council(tmp_path)
    document = yaml.safe_load(made.file.read_text())
    document["coordinator"]["id"] = COORDINATOR
    made.file.write_text(yaml.safe_dump(document))
    return made


def on_computer(council, **changes):
    settings = read_settings(council.file).model_copy(update=changes)
    return {finding.check: finding for finding in check_computer(settings, council.file, now_utc())}


def in_papers(council, *, now=None):
    found = check_papers(read_settings(council.file), load_schema(), now or now_utc())
    return {finding.check: finding for finding in found}


# The computer


def test_a_new_node_has_nothing_to_mend(council):
    assert {finding.verdict for finding in on_computer(council).values()} <= {Verdict.GOOD, Verdict.LOOK}
    assert on_computer(council)["state"].verdict is Verdict.GOOD


def test_a_clock_behind_the_ledger_is_told(council):
    Ledger.open_or_create(council.settings.ledger_file, COUNCIL, now_utc() + DAY, in_service=False).close()
    assert on_computer(council)["clock"].verdict is Verdict.MEND


@pytest.mark.parametrize(("kernel", "verdict"), [(True, Verdict.GOOD), (None, Verdict.GOOD), (False, Verdict.LOOK)])
def test_a_clock_that_nothing_keeps_is_told(council, monkeypatch, kernel, verdict):
    monkeypatch.setattr(computer, "_kept_by_time_service", lambda: kernel)
    assert on_computer(council)["clock"].verdict is verdict


def test_the_kernel_can_be_asked_about_its_clock():
    assert computer._kept_by_time_service() in {True, False, None}


@pytest.mark.parametrize(("free_mib", "verdict"), [(100, Verdict.MEND), (500, Verdict.LOOK), (5000, Verdict.GOOD)])
def test_a_full_disk_is_told(council, monkeypatch, free_mib, verdict):
    usage = shutil.disk_usage(council.folder)
    monkeypatch.setattr(computer.shutil, "disk_usage", lambda _path: usage._replace(free=free_mib * 1024 * 1024))
    assert on_computer(council)["disk"].verdict is verdict


def test_too_little_memory_is_told(council, monkeypatch):
    monkeypatch.setattr(computer, "_memory_mib", lambda: 449)
    assert on_computer(council)["memory"].verdict is Verdict.LOOK
    monkeypatch.setattr(computer, "_memory_mib", lambda: 450)
    assert on_computer(council)["memory"].verdict is Verdict.GOOD


def test_running_as_administrator_is_told(council, monkeypatch):
    monkeypatch.setattr(computer.os, "geteuid", lambda: 0)
    assert on_computer(council)["account"].verdict is Verdict.LOOK
    monkeypatch.setattr(computer.os, "geteuid", lambda: 10001)
    assert on_computer(council)["account"].verdict is Verdict.GOOD


def test_folders_and_files_open_to_others_are_told(council):
    council.settings.state.chmod(0o755)
    assert on_computer(council)["state"].verdict is Verdict.LOOK
    assert on_computer(council)["rights"].verdict is Verdict.GOOD
    council.settings.policy.chmod(0o666)
    found = on_computer(council)["rights"]
    assert (found.verdict, "policy" in found.said) == (Verdict.MEND, True)
    council.settings.state.rmdir()
    assert on_computer(council)["state"].verdict is Verdict.MEND


# The papers


def test_sound_papers_are_good_and_what_is_not_there_yet_is_no_fault(council):
    found = in_papers(council)
    assert {finding.verdict for finding in found.values()} == {Verdict.GOOD, Verdict.LOOK}
    assert found["roster"].verdict is Verdict.LOOK


@pytest.mark.parametrize(
    ("break_it", "check"),
    [
        (lambda c: c.settings.keys.identity.chmod(0o644), "key"),
        (lambda c: c.settings.policy.write_text("policy: 2\n"), "policy"),
        (lambda c: c.settings.ledger_file.write_bytes(b"x"), "ledger"),
        (lambda c: next(c.settings.agreements.glob("*.dsse")).write_bytes(b"{}"), "agreement"),
        (lambda c: c.settings.data["case"].unlink(), "files"),
    ],
)
def test_a_paper_that_is_wrong_must_be_mended(council, break_it: Callable, check):
    assert in_papers(council)[check].verdict is Verdict.GOOD
    break_it(council)
    found = in_papers(council)[check]
    assert found.verdict is Verdict.MEND
    assert found.remedy


def test_an_agreement_that_ends_soon_or_has_ended_is_told(council):
    assert "agreement_ends" not in in_papers(council)
    assert in_papers(council, now=now_utc() + 350 * DAY)["agreement_ends"].verdict is Verdict.LOOK
    assert in_papers(council, now=now_utc() + 400 * DAY)["agreement"].verdict is Verdict.MEND
    next(council.settings.agreements.glob("*.dsse")).unlink()
    assert in_papers(council)["agreement"].verdict is Verdict.LOOK


def test_columns_of_the_agreement_that_are_not_mapped_are_told(council):
    assert in_papers(council)["coverage"].verdict is Verdict.GOOD
    path = council.settings.data["case"]
    mapping = yaml.safe_load(path.read_text())
    del mapping["columns"]["reason_loss"]
    path.write_text(yaml.safe_dump(mapping))
    found = in_papers(council)["coverage"]
    assert (found.verdict, "reason_loss" in found.said) == (Verdict.LOOK, True)


def keep_roster(council, *, key, days=30):
    today = now_utc().date()
    payload = roster_payload(
        epoch=2,
        not_before=today - DAY,
        not_after=today + days * DAY,
        coordinator=Coordinator(id=COORDINATOR, name="Hub", public_key=make_key(os.urandom).public),
        councils=[
            RosterEntry(
                id=COUNCIL if key else "E06000002",
                name="Hartlepool",
                region="E12000001",
                public_key=key or make_key(os.urandom).public,
                valid_from=today,
                valid_to=today + DAY,
            )
        ],
    )
    with NodeStore.open(council.settings.store_file) as store:
        store.put(DocumentKind.ROSTER, "current", sign_payload(payload, ROSTER_TYPE, council.signers), now_utc())


def test_a_list_of_councils_with_another_key_or_without_this_council_is_told(council):
    keep_roster(council, key=council.key.public)
    assert {in_papers(council)[name].verdict for name in ("roster", "listed")} == {Verdict.GOOD}
    assert in_papers(council, now=now_utc() + 40 * DAY)["roster"].verdict is Verdict.MEND
    keep_roster(council, key=make_key(os.urandom).public)
    assert "another key" in in_papers(council)["listed"].said
    keep_roster(council, key=None)
    assert "does not name" in in_papers(council)["listed"].said


# The connection


async def greeted(council, port, **changes):
    """What the check says, from a greeting in this event loop: gRPC does not like two in one process."""
    link = LinkSettings(**({"address": f"127.0.0.1:{port}", "ca_file": ca_file(), "proxy": "direct"} | changes))
    try:
        name = await greet(link, COUNCIL)
    except (FederatedError, NotListedYet) as problem:
        raised: Exception | None = problem
    else:
        raised = None

    def call() -> str:
        if raised is not None:
            raise raised
        return name

    return judge_greeting(read_settings(council.file), link, call)


@async_test
async def in_federation(council, test) -> None:
    async with over_grpc({}) as harness:
        harness.identities[COUNCIL] = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        await test(harness)


def test_a_sound_connection_is_good_and_signs_nothing(council, monkeypatch):
    async def test(harness):
        found = await greeted(council, harness.port)
        assert found.verdict is Verdict.GOOD, found
        assert COORDINATOR in found.said
        assert harness.link.connected() == frozenset()

    shutil.move(council.settings.keys.identity, council.folder / "away.pem")
    in_federation(council, test)


def test_the_node_that_runs_keeps_its_connection(council):
    @async_test
    async def body():
        harness = GrpcHarness((COUNCIL,))
        async with harness.running():
            await harness.add(COUNCIL, lambda request: request)
            await until(lambda: harness.link.connected() == {COUNCIL})
            assert (await greeted(council, harness.port)).verdict is Verdict.GOOD
            await asyncio.sleep(0.1)
            events = [event for event, _ in harness.events]
            assert (events.count("connected"), "disconnected" in events) == (1, False)
            assert harness.link.connected() == {COUNCIL}

    body()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ca_file": "other"}, "was not issued by an authority"),
        ({"server_name": "elsewhere.example"}, "is not for the name elsewhere.example"),
    ],
)
def test_a_certificate_that_is_not_to_be_trusted_is_told(council, changes, words):
    if "ca_file" in changes:
        changes = {"ca_file": ca_file(make_authority("Somebody else", now=NOW).certificate_pem)}

    async def test(harness):
        found = await greeted(council, harness.port, **changes)
        assert (found.verdict, words in found.said) == (Verdict.MEND, True), found

    in_federation(council, test)


def test_an_expired_certificate_is_told(council):
    @async_test
    async def body():
        old = issue_certificate(authority(), ["127.0.0.1"], now=NOW.replace(year=NOW.year - 3))
        async with serving("127.0.0.1:0", old, GrpcHarness(()).link) as port:
            assert "has expired" in (await greeted(council, port)).said

    body()


def test_nobody_there_is_told(council):
    @async_test
    async def body():
        relay = Relay(1)
        await relay.start()
        port = relay.port
        await relay.stop()
        found = await greeted(council, port)
        assert (found.verdict, "Nothing listens" in found.said) == (Verdict.MEND, True)

    body()


def test_silence_is_told(council, monkeypatch):
    monkeypatch.setattr(connection, "PATIENCE_S", 0.3)

    async def test(harness):
        relay = Relay(harness.port)
        relay.frozen = True
        await relay.start()
        assert "did not answer within 0.3 s" in (await greeted(council, relay.port)).said
        await relay.stop()

    in_federation(council, test)


def test_a_proxy_that_refuses_is_told(council):
    async def test(harness):
        proxy = Relay(harness.port)
        await proxy.start(proxy=True)
        through = f"http://somebody:secret@127.0.0.1:{proxy.port}"
        assert (await greeted(council, harness.port, proxy=through)).verdict is Verdict.GOOD
        proxy.open = False
        assert "The proxy would not open" in (await greeted(council, harness.port, proxy=through)).said
        await proxy.stop()

    in_federation(council, test)


def test_the_proxy_in_use_is_named_without_its_password(council):
    def named(environment, proxy=None):
        link = LinkSettings(address="127.0.0.1:1", proxy=proxy)
        return connection._proxy(link, environment).said

    assert named({}) == "There is no proxy."
    assert named({"https_proxy": "http://p.example:8080", "http_proxy": "x"}) == (
        "The computer's own proxy is used: http://p.example:8080."
    )
    told = named({}, "http://somebody:secret@p.example:8080")
    assert "p.example:8080" in told
    assert "secret" not in told


def test_a_coordinator_of_another_name_is_told(council):
    document = yaml.safe_load(council.file.read_text())
    document["coordinator"]["id"] = "another"
    council.file.write_text(yaml.safe_dump(document))

    async def test(harness):
        assert "calls itself" in (await greeted(council, harness.port)).said

    in_federation(council, test)


def test_a_council_that_is_not_listed_yet_was_let_through_all_the_same(council):
    @async_test
    async def body():
        async with over_grpc({}) as harness:
            found = await greeted(council, harness.port)
            assert (found.verdict, "does not name this council" in found.said) == (Verdict.LOOK, True)

    body()


# The command


def test_the_command_is_grouped_and_its_status_says_whether_something_must_be_mended(council):
    def run(*options):
        return CliRunner().invoke(app, ["check", *options, "--settings", str(council.file)])

    good = run("--offline")
    assert good.exit_code == 0, good.output
    areas = ["This computer", "Settings, keys and papers", "The extract", "Beside the published figures"]
    assert [good.output.index(area) for area in areas] == sorted(good.output.index(area) for area in areas)
    assert "The connection" not in good.output
    bad = run()
    assert bad.exit_code == 3
    assert "Nothing listens" in bad.output
    council.settings.policy.write_text("policy: 2\n")
    told = json.loads(run("--offline", "--json").output)
    assert [f["check"] for f in told["findings"] if f["verdict"] == "mend"] == ["policy", "extract"]


def test_a_check_changes_no_file(council):
    before = {p: p.read_bytes() for p in council.folder.rglob("*") if p.is_file()}
    CliRunner().invoke(app, ["check", "--offline", "--settings", str(council.file)])
    assert {p: p.read_bytes() for p in council.folder.rglob("*") if p.is_file()} == before
