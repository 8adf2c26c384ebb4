"""The federation over Flower's own processes: one question through all eight steps, as on the other links; and a
centre that sends another app, whose code a council's executor never runs.

A stock SuperLink and five stock SuperNodes on loopback, with TLS and node authentication. Flower's idle nodes look for
messages every three seconds, so most of the time here is waiting.
"""

import hashlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp

from coordinator.simulate import Scenario, simulate
from federated.demo.papers import GROUP
from federated.demo.processes import command, run
from federated.flower_bundle import BUNDLE_SHA256, connection_file, write_bundle
from federated.flower_process import QUIET, flower_command, quiet_environment
from federated.privacy import Mechanism
from federated.query import Dimension, Query, Table
from federated.release import Release
from federated.release_check import check_release
from federated.schema import load_schema
from federated.synthetic import PUBLISHED_QUARTER
from tests.e2e.federation import Federation, running_federation
from tests.e2e.flower_federation import FIVE, FlowerWorld, flower_world, running_on_flower

pytestmark = pytest.mark.in_turn

ALARM = 1e-6
"""Below this, two samples of noise are not of one distribution; by chance this comes once in a million runs."""


def many_cells() -> Query:
    """One table of 1,890 cells, so that one answer shows the whole distribution of its noise."""
    by = ("reason_loss", "main_age_band", "assessment_outcome")
    return Query(
        title="Households by reason, age and outcome",
        dataset="case",
        unit="household",
        group=GROUP,
        period=PUBLISHED_QUARTER,
        epsilon=Fraction(1),
        tables=(Table(name="cells", statistic="households", by=tuple(Dimension(column=name) for name in by)),),
    )


@dataclass(frozen=True)
class Answered:
    """One answer, and its noise: the released totals less the exact ones."""

    release: Release
    noise: np.ndarray


def answered(federation: Federation) -> Answered:
    plan = federation.plan(many_cells(), Mechanism.DISCRETE_LAPLACE)
    run = federation.ask(plan)
    assert run.released, run.last.message
    release = federation.client.release(release_digest=run.last.release_digest)
    roster, agreements = federation.trusted.roster, {federation.agreement.id: federation.agreement}
    assert len(list(check_release(release, roster=roster, agreements=agreements, schema=load_schema()))) == 4
    contributed = [record.council for record in release.councils if record.outcome == "contributed"]
    [table] = release.tables
    return Answered(release, np.array(table.totals) - plan.scale * federation.exact(plan, contributed))


def in_process() -> Answered:
    [item] = simulate(Scenario(questions=(many_cells(),), councils=5, mechanism=Mechanism.DISCRETE_LAPLACE)).rounds
    [noise] = item.residuals
    return Answered(item.release, noise)


def environment_of(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def with_children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *(below for child in children for below in with_children(int(child)))]


def check_quiet(world: FlowerWorld) -> None:
    """Every process of Flower's has been told to call nobody; ours switch inside themselves as they start."""
    seen = set()
    for running in world.processes.running.values():
        for pid in with_children(running.process.pid):
            parts = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
            names = {Path(part).name for part in parts if Path(part).name.startswith("flower-super")}
            found = environment_of(pid)
            assert not names or {key: found.get(key) for key in QUIET} == dict(QUIET)
            seen |= names
    assert seen == {"flower-superlink", "flower-supernode"}


def check_strangers_runs(world: FlowerWorld) -> None:
    """Of three runs, the centre serves the one it started itself; nothing of the others has run."""
    told = [json.loads(line) for line in world.log("coordinator").splitlines() if '"event": "run_refused"' in line]
    foreign, same = told
    assert foreign["bundle"] != BUNDLE_SHA256
    assert same["bundle"] == BUNDLE_SHA256
    assert not (world.folder / "server-ran").exists()
    runs = json.loads(world.flower("flwr", "ls", "--format", "json"))["runs"]
    assert sorted(run["status"] for run in runs) == ["finished:failed", "finished:failed", "running"]


def strangers_runs(world: FlowerWorld) -> None:
    """Somebody who reaches the SuperLink starts a run of another app, and one of ours."""
    attacker = world.folder / "attacker"
    submit(world, write_app(world.folder / "foreign", FOREIGN), attacker, f'folder="{world.folder}"')
    write_bundle(world.folder / "ours")
    submit(world, world.folder / "ours", attacker)


def check_charged_once(federation: Federation) -> None:
    for node in federation.nodes.values():
        [charged] = node.all_rounds()
        assert charged.state.value == "spent"


def over_grpc(folder: Path) -> Answered:
    with running_federation(folder, councils=FIVE) as federation:
        return answered(federation)


def test_a_question_goes_through_all_eight_steps_and_its_answer_is_as_on_the_other_links(tmp_path):
    """The same digest of the question, the same cost, the same distribution of answers: Flower, gRPC, one process.

    Before it starts, strangers have given the SuperLink runs of their own, which nobody serves.
    """
    for name in ("flower", "grpc"):
        (tmp_path / name).mkdir()
    with running_on_flower(tmp_path / "flower", before_serving=strangers_runs) as (world, federation):
        with ThreadPoolExecutor(1) as pool:  # Flower waits most of the time
            asked = pool.submit(answered, federation)
            alone = in_process()
            grpc = over_grpc(tmp_path / "grpc")
            flower = asked.result()
        assert flower.release.contributed == len(FIVE)
        check_charged_once(federation)
        for node in federation.nodes.values():
            assert "connected" in run([command("council-node"), "health", "--settings", str(node.file)])
        check_quiet(world)
        check_strangers_runs(world)
    assert len({answer.release.query_digest for answer in (flower, grpc, alone)}) == 1
    assert flower.release.cost == grpc.release.cost == alone.release.cost
    assert len({(a.release.mechanism, a.release.threshold, a.release.honest) for a in (flower, grpc, alone)}) == 1
    for other in (grpc, alone):
        assert flower.release.tables[0].planned_sd == other.release.tables[0].planned_sd
        assert not np.array_equal(flower.noise, other.noise)
        assert ks_2samp(flower.noise, other.noise).pvalue > ALARM
        assert ks_2samp(2 * flower.noise, other.noise).pvalue < ALARM  # noise of twice the size is noticed


FOREIGN = {
    "pyproject.toml": """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "foreign"
version = "1.0.0"
description = "Another app."
license = "Apache-2.0"
dependencies = []

[tool.flwr.app]
publisher = "elsewhere"

[tool.flwr.app.components]
serverapp = "foreign.server:app"
clientapp = "foreign.client:app"

[tool.flwr.app.config]
folder = ""
""",
    "foreign/__init__.py": "",
    "foreign/server.py": """\
import json, time
from pathlib import Path
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()

@app.main()
def main(grid, context):
    folder = Path(str(context.run_config["folder"]))
    (folder / "server-ran").write_text("x")
    until = time.time() + 60
    while len(nodes := list(grid.get_node_ids())) < 2 and time.time() < until:
        time.sleep(0.2)
    content = RecordDict({"folder": ConfigRecord({"folder": str(folder)})})
    said = {}
    for turn in range(2):
        for reply in grid.send_and_receive([Message(content, node, "query") for node in nodes], timeout=60):
            error = [reply.error.code, reply.error.reason] if reply.has_error() else None
            said.setdefault(str(reply.metadata.src_node_id), []).append(error)
    (folder / "said.json").write_text(json.dumps(said))
""",
    "foreign/client.py": """\
import os
from pathlib import Path
from flwr.app import Message, RecordDict
from flwr.clientapp import ClientApp

(Path(os.environ["FLWR_HOME"]) / "imported").write_text("x")
app = ClientApp()

@app.query()
def query(message, context):
    (Path(os.environ["FLWR_HOME"]) / "answered").write_text("x")
    return Message(RecordDict(), reply_to=message)
""",
}


def write_app(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


def submit(world: FlowerWorld, app: Path, home: Path, config: str = "") -> None:
    """`flwr run`, as anybody who reaches the SuperLink's port can type it."""
    connection_file(home, address=world.superlink, ca_file=world.home / "tls" / "authority.pem")
    arguments = [flower_command("flwr"), "run", str(app), *(["--run-config", config] if config else [])]
    subprocess.run(arguments, env=quiet_environment(home), check=True, capture_output=True, stdin=subprocess.DEVNULL)


def test_a_foreign_app_is_refused_by_the_council_and_none_of_its_code_runs_there(tmp_path):
    """Beside it, a SuperNode without our executor does run the code: so the attack is real."""
    with flower_world(tmp_path, councils=FIVE, stock=True) as world:
        guarded, bare = (world.nodes[council] for council in FIVE[:2])
        world.start(guarded, world.register(guarded, by_ours=False))
        bare_home = tmp_path / "bare"
        bare_home.mkdir()
        world.start_bare(bare, world.register(bare, by_ours=False), bare_home)
        submit(world, write_app(tmp_path / "foreign", FOREIGN), tmp_path / "attacker", f'folder="{tmp_path}"')
        world.wait("The foreign run", (tmp_path / "said.json").exists)
        said = json.loads((tmp_path / "said.json").read_text())
        refused = [errors for errors in said.values() if errors[0] is not None]
        [errors] = refused
        assert [code for code, _reason in errors] == [7, 7]  # it says why, each time, and goes on
        assert all("runs only the app in its own image" in reason for _code, reason in errors)
        assert '"event": "bundle_refused"' in world.log(guarded.name)
        flower_home = guarded.settings.state / "flower"
        assert flower_home.exists()
        assert [path for path in flower_home.rglob("*") if path.name in {"imported", "answered", "client.py"}] == []
        assert (tmp_path / "server-ran").exists()
        assert (bare_home / "imported").exists()
        assert (bare_home / "answered").exists()


def test_the_bundle_that_flower_packs_is_the_one_that_councils_pin(tmp_path):
    write_bundle(tmp_path / "app")
    subprocess.run(
        [flower_command("flwr"), "build", "--app", str(tmp_path / "app")],
        cwd=tmp_path,
        env=quiet_environment(tmp_path / "home"),
        check=True,
        capture_output=True,
    )
    [packed] = tmp_path.glob("*.fab")
    assert hashlib.sha256(packed.read_bytes()).hexdigest() == BUNDLE_SHA256


@contextmanager
def proxy() -> Iterator[tuple[str, list[bytes]]]:
    """A web proxy that lets nothing through and remembers who wanted what."""
    asked: list[bytes] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(2)
                    asked.append(connection.recv(4096).split(b"\r\n")[0])
                    connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        finally:
            over.set()
            thread.join()


CALLS_HOME = (
    "from flwr.supercore.telemetry import EventType, event\n"
    "from flwr.supercore.update_check import warn_if_flwr_update_available\n"
    "warn_if_flwr_update_available('flower-supernode')\n"
    "found = event(EventType.PING)\n"
    "found is None or found.result(20)\n"
)
"""What Flower's own commands do when they start."""


@pytest.mark.parametrize("quiet", [True, False])
def test_flower_calls_nobody_in_the_environment_that_our_commands_give_it(tmp_path, quiet):
    with proxy() as (address, asked):
        environment = quiet_environment(tmp_path / "home")
        if not quiet:
            environment = {name: value for name, value in environment.items() if name not in QUIET}
        environment |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), address)
        done = subprocess.run(
            [sys.executable, "-c", CALLS_HOME], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
    hosts = {line.split()[1] for line in asked}
    assert (hosts == set()) == quiet
    assert quiet or {b"telemetry.flower.ai:443", b"api.flower.ai:443"} <= hosts
