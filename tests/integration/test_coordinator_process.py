"""The coordinator as a process, from `init` to a release: its commands, its services over TLS, its end by SIGTERM."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import yaml

from coordinator.cli import app
from council_node.link import NodeLink
from council_node.link_channel import LinkSettings
from council_node.link_enrolment import enrol
from council_node.link_session import LinkIdentity
from federated.client import Client, RemoteRefusal
from federated.errors import ExitStatus, FederatedError
from federated.keys import fingerprint, public_line, write_private_key
from federated.query import parse_query
from federated.roster import ROSTER_TYPE, parse_roster
from federated.signing import sign_payload
from federated.workspace import CoordinatorAddress, Workspace
from tests.integration.coordinator_federation import (
    ANALYST,
    ANN,
    BOB,
    CEM,
    DEE,
    QUESTION,
    REVIEWER,
    TRUST,
    Federation,
    council_key,
)

COMMAND = [sys.executable, "-c", "from coordinator.cli import main; main()"]


def command(*arguments):
    """Run a command in this process; its exit status."""
    return app([str(argument) for argument in arguments], standalone_mode=False)


def start_server(folder):
    ready = folder / "ready"
    ready.unlink(missing_ok=True)
    process = subprocess.Popen(
        [*COMMAND, "serve", "--settings", str(folder / "coordinator.yaml"), "--ready-file", str(ready)],
        stdout=subprocess.PIPE,
        stderr=(folder / "log.jsonl").open("ab"),
        text=True,
    )
    line = process.stdout.readline()
    assert line.startswith("coordinator ready on 127.0.0.1:"), line
    assert ready.read_text().strip() == line.split()[-1]
    return process, ready.read_text().strip()


def stop_server(process):
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    assert "Traceback" not in process.stdout.read()
    process.stdout.close()


@contextmanager
def connected_councils(federation, settings):
    """Every council's node on its own link, in a thread of this process."""
    stop_from_outside = []
    up = threading.Barrier(2)

    async def body():
        stop = asyncio.Event()
        stop_from_outside.append((asyncio.get_running_loop(), stop))
        up.wait()
        links = [
            NodeLink(
                settings,
                LinkIdentity(council=council, coordinator_id="hub", sign=council_key(council).sign, software="9.9"),
                node.answer,
                rng=os.urandom,
                on_event=lambda _event, _fields: None,
            )
            for council, node in federation.nodes.items()
        ]
        await asyncio.gather(*(link.run(stop) for link in links))

    thread = threading.Thread(target=lambda: asyncio.run(body()))
    thread.start()
    up.wait()
    try:
        yield
    finally:
        loop, stop = stop_from_outside[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=20)


@contextmanager
def client(folder, address, key, name):
    path = folder / f"{name}.key"
    if not path.exists():
        write_private_key(path, key)
    workspace = Workspace(
        workspace=1,
        key=path,
        coordinator=CoordinatorAddress(id="hub", address=address, ca_file=folder / "tls" / "authority.pem"),
        trust=TRUST,
    )
    with Client(workspace, clock=lambda: datetime.now(UTC), rng=os.urandom) as opened:
        yield opened


@pytest.fixture
def federation(tmp_path):
    (tmp_path / "scripted").mkdir()
    made = Federation(tmp_path / "scripted", start=datetime.now(UTC))
    yield made
    made.store.close()


def create(folder):
    keys = [("--roster-key", ANN), ("--roster-key", BOB), ("--agreement-key", CEM), ("--agreement-key", DEE)]
    command(
        *("init", "--id", "hub", "--name", "Hub", "--host", "127.0.0.1", "--listen", "127.0.0.1", "--port", 0),
        *("--folder", folder),
        *(part for option, key in keys for part in (option, public_line(key.public))),
    )
    settings = folder / "coordinator.yaml"
    document = yaml.safe_load(settings.read_text())
    document |= {
        "stages": {"delivery": 2, "reconnect": 1},
        "proposals": {"opening_wait": 20, "ask_again": 1},
    }
    settings.write_text(yaml.safe_dump(document))
    return settings


def enrol_everyone(federation, link, settings, capsys):
    for council in federation.councils:
        key = council_key(council)
        assert asyncio.run(enrol(link, council, key.public, key.sign)) == fingerprint(key.public)
    capsys.readouterr()
    command("enrol", "list", "--json", "-s", settings)
    listed = json.loads(capsys.readouterr().out)
    assert [row["state"] for row in listed] == ["pending"] * 8
    for row in listed:
        command("enrol", "accept", row["fingerprint"], "-s", settings)


def publish_roster(federation, folder, settings):
    command("roster", "draft", "--out", folder / "roster.yaml", "-s", settings)
    payload = (folder / "roster.yaml").read_bytes()
    federation.roster = parse_roster(payload)
    (folder / "one.dsse").write_bytes(sign_payload(payload, ROSTER_TYPE, [ANN]))
    with pytest.raises(FederatedError) as refusal:
        command("roster", "publish", folder / "one.dsse", "-s", settings)
    assert refusal.value.exit_status is ExitStatus.SIGNATURE
    (folder / "two.dsse").write_bytes(sign_payload(payload, ROSTER_TYPE, [ANN, BOB]))
    command("roster", "publish", folder / "two.dsse", "-s", settings)


def test_a_federation_from_nothing_to_a_release_and_over_a_restart(tmp_path, federation, capsys):
    settings = create(tmp_path)
    process, address = start_server(tmp_path)
    link = LinkSettings(address=address, ca_file=tmp_path / "tls" / "authority.pem")
    try:
        enrol_everyone(federation, link, settings, capsys)
        publish_roster(federation, tmp_path, settings)
        (tmp_path / "agreement.dsse").write_bytes(federation.agreement_envelope)
        command("agreement", "add", tmp_path / "agreement.dsse", "-s", settings)
        with connected_councils(federation, link), client(tmp_path, address, ANALYST, "analyst") as analyst:
            first, release = ask(analyst, federation)
            assert first[-1].final
            assert [step.sequence for step in first] == list(range(1, len(first) + 1))
            assert list(release.tables[0].totals) == federation.expected()
            again, stored = ask(analyst, federation)
            assert len(again) == 1
            assert stored == release
            check_reviewer(tmp_path, address, release)
            check_status(settings, release, capsys)
            check_versions(tmp_path)
    finally:
        stop_server(process)
    assert [node.releases for node in federation.nodes.values()] == [[release.encode()]] * 8
    process, address = start_server(tmp_path)
    try:
        with client(tmp_path, address, ANALYST, "analyst") as analyst:
            (summary,) = analyst.releases()
            assert summary.release_digest == release.digest
            (step,) = analyst.watch(bytes.fromhex(release.plan_digest))
            assert step.release_digest == release.digest
            assert all(statement is not None for statement in analyst.budgets(analyst.trusted()).values())
    finally:
        stop_server(process)
    check_log(tmp_path)
    check_doctor(settings, capsys)


def ask(analyst, federation):
    plan = analyst.plan(parse_query(QUESTION.encode()), agreement=None, manifest=federation.manifest)
    steps = list(analyst.submit(plan, federation.manifest))
    assert steps[-1].release_digest, steps[-1]
    return steps, analyst.release(release_digest=steps[-1].release_digest)


def check_reviewer(folder, address, release):
    with client(folder, address, REVIEWER, "reviewer") as reviewer:
        trusted = reviewer.trusted()
        statements = reviewer.budgets(trusted)
        assert len(statements) == 8
        assert all(statement is not None for statement in statements.values())
        assert reviewer.release(query_digest=bytes.fromhex(release.query_digest)) == release
    with client(folder, address, BOB, "stranger") as stranger, pytest.raises(RemoteRefusal) as refusal:
        stranger.trusted()
    assert refusal.value.exit_status is ExitStatus.SIGNATURE


def check_versions(folder):
    noted = json.loads((folder / "state" / "connections.json").read_bytes())
    assert noted["software"] == dict.fromkeys(noted["seen"], "9.9")


def check_status(settings, release, capsys):
    capsys.readouterr()
    command("status", "--json", "-s", settings)
    told = json.loads(capsys.readouterr().out)
    assert told["version"] == 1
    assert len(told["connected"]) == 8
    assert told["proposals"] == {"released": 1}
    assert [item["digest"] for item in told["releases"]] == [release.digest.hex()]
    assert told["waiting_for_receipt"] == {}
    command("status", "-s", settings)
    assert "8 of 8 connected" in capsys.readouterr().out


def check_log(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    events = [line["event"] for line in lines]
    assert {"ready", "connected", "roster_in_force", "stopped"} <= set(events)
    assert not {"background_failed", "run_failed", "request_failed"} & set(events)


def check_doctor(settings, capsys):
    capsys.readouterr()
    assert command("doctor", "--json", "-s", settings) == 0
    assert {finding["verdict"] for finding in json.loads(capsys.readouterr().out)} == {"good"}


def test_two_servers_cannot_share_a_state_folder(tmp_path):
    create(tmp_path)
    process, _address = start_server(tmp_path)
    try:
        second = subprocess.run(
            [*COMMAND, "serve", "--settings", str(tmp_path / "coordinator.yaml")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode == ExitStatus.INPUT
        assert "another coordinator is using this state folder" in second.stderr
        assert "Traceback" not in second.stderr
    finally:
        stop_server(process)
