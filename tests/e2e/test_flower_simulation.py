"""`coordinator simulate --engine flower`: Flower's own simulation engine, with every council's node in one lasting process.

A SuperLink of Flower in simulation mode, `flwr run`, Flower's engine and Ray, as they are installed, on loopback.
"""

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp

from coordinator import simulate_flower
from coordinator.simulate import Scenario, Simulation, simulate
from coordinator.simulate_flower import engine_environment, simulate_on_flower
from council_node.ledger_book import LedgerBook
from federated.demo.papers import GROUP
from federated.demo.processes import Processes
from federated.errors import TransportError
from federated.flower_bundle import connection_file
from federated.flower_process import QUIET, flower_command, quiet_environment
from federated.flower_runtime import Runtime
from federated.ledger_entries import RoundState
from federated.privacy import Mechanism
from federated.query import Dimension, Query, Table
from federated.synthetic import PUBLISHED_QUARTER
from tests.e2e.test_flower_deployment import FOREIGN, write_app

ALARM = 1e-6
"""Below this, two samples of noise are not of one distribution; by chance this comes once in a million runs."""
MOST_NOISE = 100
"""Households; the noise of one number here has a standard deviation of about 3.5, and it is Laplace's."""
SECRET = {"RAY_AUTH_MODE": "token"}
LOOPBACK = re.compile(r"^(127\.0\.0\.1|\[::1\]|\[::ffff:127\.0\.0\.1\]):\d+$")


def question() -> Query:
    by = ("reason_loss", "main_age_band", "assessment_outcome")
    return Query(
        title="Households, and by reason, age and outcome",
        dataset="case",
        unit="household",
        group=GROUP,
        period=PUBLISHED_QUARTER,
        epsilon=Fraction(1),
        tables=(
            Table(name="all", statistic="households"),
            Table(name="cells", statistic="households", by=tuple(Dimension(column=name) for name in by)),
        ),
    )


SCENARIO = Scenario(questions=(question(),), councils=5, lost=1, mechanism=Mechanism.DISCRETE_LAPLACE, seed=8)


def environment_of(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text(encoding="ascii").split()):
            yield child
            yield from children(child)


def program_of(pid: int) -> str:
    parts = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
    named = [Path(part).name for part in parts[:4] if Path(part).name in {"flower-superlink", "flwr-simulation"}]
    return named[0] if named else Path(parts[0]).name


@dataclass
class Watched:
    """What every process of a simulation was seen with, from its start to its end.

    Attributes:
        environments: By process: its program, and its environment.
        titled: Processes of Ray that have written their title over their environment.
        listening: Addresses that its processes listen on, as `ss` prints them.
    """

    environments: dict[int, tuple[str, dict[str, str]]] = field(default_factory=dict)
    titled: set[int] = field(default_factory=set)
    listening: set[str] = field(default_factory=set)

    def look(self, root: int) -> None:
        for pid in [*children(root)]:
            try:
                found, name = environment_of(pid), program_of(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue
            if name.startswith("ray::"):  # the name is read last: what was read before it may be half overwritten
                self.titled.add(pid)
            elif "FLWR_HOME" in found and found.get("RAY_AUTH_TOKEN"):
                self.environments[pid] = name, found
        shown = subprocess.run(["ss", "-tlnpH"], capture_output=True, text=True, check=True).stdout
        self.listening |= listeners(shown, self.processes())

    def processes(self) -> set[int]:
        return self.environments.keys() | self.titled


def listeners(shown: str, pids) -> set[str]:
    """The addresses in what `ss -tlnpH` shows on which any of the processes listens."""
    lines = (line.split() for line in shown.splitlines() if any(f"pid={pid}," in line for pid in pids))
    return {words[3] for words in lines}


@dataclass
class Answered:
    folder: Path
    found: Simulation
    watched: Watched


@pytest.fixture(scope="module")
def on_flower(tmp_path_factory) -> Answered:
    """One question over Flower's engine, one of five councils lost, watched all the while."""
    folder, watched, over = tmp_path_factory.mktemp("simulation"), Watched(), threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            watched.look(os.getpid())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        found = simulate_on_flower(SCENARIO, folder=folder)
    finally:
        over.set()
        thread.join()
    return Answered(folder=folder, found=found, watched=watched)


@pytest.mark.in_turn
def test_the_answer_is_as_in_one_process(on_flower):
    """The same digest of the question, the same cost, the same exact part, the same distribution of noise."""
    [flower] = on_flower.found.rounds
    [alone] = simulate(SCENARIO).rounds
    assert flower.plan.query_digest == alone.plan.query_digest
    assert flower.release.cost == alone.release.cost
    assert (flower.release.joined, flower.release.contributed) == (5, 4)
    assert dropped(flower.release) == dropped(alone.release)
    assert np.array_equal(flower.exact, alone.exact)
    for table, noise in zip(flower.release.tables, flower.residuals, strict=True):
        assert np.abs(noise).max() < MOST_NOISE * table.scale
    one, other = flower.residuals[1], alone.residuals[1]
    assert not np.array_equal(one, other)
    assert ks_2samp(one, other).pvalue > ALARM
    assert ks_2samp(2 * one, other).pvalue < ALARM  # noise of twice the size is noticed


@pytest.mark.in_turn
def test_a_council_too_few_or_twice_in_the_sum_would_be_noticed(on_flower):
    """The smallest council that contributed has more households than noise can hide."""
    everyone = simulate(Scenario(questions=(question(),), councils=5, mechanism=Mechanism.DISCRETE_LAPLACE, seed=8))
    [whole], [flower] = everyone.rounds, on_flower.found.rounds
    assert whole.exact[0] - flower.exact[0] > 2 * MOST_NOISE


def dropped(release) -> list[str]:
    return [record.council for record in release.councils if record.outcome == "dropped"]


@pytest.mark.in_turn
def test_every_council_that_contributed_is_charged_once_in_its_own_ledger(on_flower):
    [item] = on_flower.found.rounds
    [gone] = dropped(item.release)
    for council in on_flower.found.councils:
        path = on_flower.folder / "councils" / council / "node" / "state" / "ledger.db"
        with LedgerBook.read_only(path, council) as ledger:
            spent = [charged for charged in ledger.rounds() if charged.state is RoundState.SPENT]
        assert [charged.charge.epsilon for charged in spent] == ([] if council == gone else [Fraction(1)])


@pytest.mark.in_turn
def test_bytes_and_memory_are_told(on_flower):
    [*sizes] = on_flower.found.traffic.values()
    assert all(traffic.sent > 1_000 < traffic.received for traffic in sizes)
    assert on_flower.found.memory_mib > 500  # Ray's own processes alone take that


@pytest.mark.in_turn
def test_its_processes_call_nobody_and_are_closed_to_everybody_else(on_flower):
    """Usage reports are off in every process; each listens on loopback alone, and Ray's want the simulation's token."""
    seen = on_flower.watched.environments.values()
    assert {name for name, _ in seen} >= {"flower-superlink", "flwr-simulation", "gcs_server", "raylet"}
    for name, found in seen:
        assert {key: found.get(key) for key in QUIET} == dict(QUIET), name
        assert {key: found.get(key) for key in SECRET} == SECRET, name
    [token] = {found["RAY_AUTH_TOKEN"] for _, found in seen}
    assert re.fullmatch(r"[0-9a-f]{64}", token)
    assert len(on_flower.watched.listening) > 4
    assert [address for address in on_flower.watched.listening if not LOOPBACK.match(address)] == []


def test_an_open_address_would_be_seen():
    shown = 'LISTEN 0 128 *:36957 *:* users:(("gcs_server",pid=4930,fd=38))\n'
    shown += 'LISTEN 0 128 127.0.0.1:80 0.0.0.0:* users:(("other",pid=49,fd=3))\n'
    assert listeners(shown, [4930]) == {"*:36957"}
    assert not LOOPBACK.match("*:36957")
    assert not LOOPBACK.match("192.0.2.2:42931")
    assert LOOPBACK.match("[::ffff:127.0.0.1]:40759")


@pytest.mark.in_turn
def test_nothing_is_left_running(on_flower):
    for _ in range(100):  # a busy computer takes a moment over the last of them
        left = [pid for pid in on_flower.watched.processes() if Path(f"/proc/{pid}").exists() and not is_zombie(pid)]
        if not left:
            break
        time.sleep(0.2)
    assert left == []


@pytest.mark.in_turn
def test_a_strangers_run_is_taken_and_left_undone(tmp_path):
    """Anybody on the computer can give the SuperLink a run; it starts nothing, and our command does its own run alone."""
    home, attacker = tmp_path / "flower", tmp_path / "attacker"
    home.mkdir()
    environment = engine_environment(home, tmp_path / "ray", os.urandom)
    with Processes(home) as processes:
        address, superlink = simulate_flower._superlink(home, processes, environment, os.urandom)
        connection_file(attacker, address=address, ca_file=None)
        arguments = [flower_command("flwr"), "run", str(write_app(tmp_path / "foreign", FOREIGN))]
        arguments += ["--run-config", f'folder="{tmp_path}"']
        stranger = {"env": quiet_environment(attacker), "stdin": subprocess.DEVNULL, "capture_output": True}
        subprocess.run(arguments, check=True, **stranger)
        with pytest.raises(TransportError):
            Runtime(address=address).simulation_token(1)
        assert simulate_flower._started_run(home, address, 5, environment)
        runtime = Runtime(address=address, secret=(home / "secret").read_bytes())
        assert not runtime._acquire().HasField("task")  # ours was the second: the stranger's had been taken before
        subprocess.run(arguments, check=True, **stranger)
        assert runtime._acquire().HasField("task")  # as it would be had it not been taken
        assert [*children(superlink.process.pid)] == []
    assert not (tmp_path / "server-ran").exists()


def is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
