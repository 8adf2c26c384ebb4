"""The Flower link over Flower's own processes, for the contract suite: a stock SuperLink and stock SuperNodes.

The SuperLink, the SuperNodes with their keys, and the Runtime API between them and our executors are real; each test
has a run of its own. The executors are threads of the test, so that a test can say what a council answers. Everything
takes seconds here, so the suite's times are `PACE` times as long.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.supercore.task_identity import TaskIdentity  # see identified_by_thread

from coordinator.flower_link import FlowerLink
from coordinator.tls import save_pair
from council_node.flower_app import FlowerNode, client_app
from council_node.flower_executor import Executor
from council_node.flower_service import make_flower_key
from council_node.link_session import LinkIdentity
from federated.demo.processes import Processes, wait_for
from federated.flower_bundle import BUNDLE_SHA256, connection_file, write_bundle
from federated.flower_process import flower_command, quiet_environment, write_secret
from federated.flower_runtime import Runtime
from protocols.identifiers import CouncilId
from tests.e2e.flower_federation import WITH_HOME, free_ports
from tests.integration.link_harness import COORDINATOR, Answer, authority, certificate, until

PACE = 12.0
START_S = 120.0


@dataclass
class Seat:
    """One SuperNode: its key, its port, its secret."""

    name: str
    arguments: list[str]
    runtime: Runtime


@dataclass
class Stack:
    """A SuperLink with SuperNodes, kept for a whole module of tests."""

    folder: Path
    processes: Processes
    address: str = ""
    runtime: Runtime | None = None
    seats: list[Seat] = field(default_factory=list)

    def start(self) -> None:
        [port] = free_ports(1)
        self.address = f"127.0.0.1:{port}"
        secret = write_secret(self.folder / "secret", os.urandom)
        (self.folder / "ca.pem").write_bytes(authority().certificate_pem)
        server = certificate()
        files = {"key_file": self.folder / "server.key", "certificate_file": self.folder / "server.pem"}
        save_pair(server.key_pem, server.chain_pem, **files)
        arguments = ["--host", "127.0.0.1", "--port", str(port), "--enable-supernode-auth", "--isolation", "process"]
        arguments += ["--ssl-certfile", str(files["certificate_file"]), "--ssl-keyfile", str(files["key_file"])]
        arguments += ["--ssl-ca-certfile", str(self.folder / "ca.pem")]
        arguments += ["--superexec-auth-secret-file", str(self.folder / "secret")]
        self.run("superlink", [flower_command("flower-superlink"), *arguments])
        self.wait("The SuperLink", lambda: "Uvicorn running" in self.log("superlink"))
        self.runtime = Runtime(address=self.address, secret=secret, ca=authority().certificate_pem)
        connection_file(self.folder / "home", address=self.address, ca_file=self.folder / "ca.pem")
        write_bundle(self.folder / "app")

    def seat(self, number: int) -> Seat:
        """The SuperNode of that number; registered and started when it is first wanted."""
        while len(self.seats) <= number:
            name = f"node-{len(self.seats)}"
            public = make_flower_key(self.folder / f"{name}.key")
            self.flwr("supernode", "register", str(public))
            [port] = free_ports(1)
            secret = write_secret(self.folder / f"{name}.secret", os.urandom)
            arguments = ["--superlink", self.address, "--root-certificates", str(self.folder / "ca.pem")]
            arguments += ["--auth-supernode-private-key", str(self.folder / f"{name}.key"), "--isolation", "process"]
            arguments += ["--host", "127.0.0.1", "--port", str(port)]
            arguments += ["--superexec-auth-secret-file", str(self.folder / f"{name}.secret")]
            command = [flower_command("flower-supernode"), *arguments]
            self.seats.append(Seat(name, command, Runtime(address=f"127.0.0.1:{port}", secret=secret)))
        seat = self.seats[number]
        if seat.name not in self.processes.running or not self.processes.running[seat.name].alive():
            self.run(seat.name, seat.arguments)
        return seat

    def stop(self, seat: Seat) -> None:
        process = self.processes.running[seat.name].process
        process.terminate()
        process.wait(30)

    def run(self, name: str, arguments: list[str]) -> None:
        self.processes.start(name, [sys.executable, "-c", WITH_HOME, str(self.folder / "home"), *arguments])

    def flwr(self, *arguments: str) -> None:
        command = [flower_command("flwr"), *arguments]
        environment = quiet_environment(self.folder / "home")
        subprocess.run(command, env=environment, check=True, capture_output=True, stdin=subprocess.DEVNULL)

    def log(self, name: str) -> str:
        return self.processes.running[name].log.read_text(encoding="utf-8", errors="replace")

    def wait(self, what: str, ready) -> None:
        wait_for(what, ready, check=lambda: None, timeout_s=START_S)


class _OfThread(threading.local):
    """Who a thread is to Flower."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}


def identified_by_thread() -> dict[str, property]:
    """Lets this process be several of Flower's, which otherwise has one identity for each process."""
    kept = _OfThread()

    def of(name: str) -> property:
        return property(lambda _class: kept.found[name], lambda _class, value: kept.found.update({name: value}))

    return {name: of(name) for name in ("run_id", "task_id", "node_id")}


_open = ExitStack()
_stack: list[Stack] = []


def stack() -> Stack:
    """The one stack of this process; started when it is first wanted."""
    if not _stack:
        folder = Path(tempfile.mkdtemp(prefix="flower-stack-"))
        _open.callback(shutil.rmtree, folder, ignore_errors=True)
        made = Stack(folder, _open.enter_context(Processes(folder)))
        _stack.append(made)
        _open.enter_context(patch.multiple(type(TaskIdentity), **identified_by_thread()))
        made.start()
    return _stack[0]


def close_stack() -> None:
    """End every process of it, SuperNodes first: they tell their SuperLink."""
    for made in _stack:
        for seat in made.seats:
            if made.processes.running[seat.name].alive():
                made.stop(seat)
    _stack.clear()
    _open.close()


class StackHarness:
    """The link over a run of its own, and each council's SuperNode with an executor that answers as the test says."""

    pace = PACE

    def __init__(self, answers: Mapping[CouncilId, Answer], grid) -> None:
        self.keys = {council: Ed25519PrivateKey.generate() for council in answers}
        self.seats = {council: stack().seat(number) for number, council in enumerate(answers)}
        self.stop = threading.Event()
        self.threads = [self._executor(council, answer) for council, answer in answers.items()]
        identities = {council: key.public_key().public_bytes_raw() for council, key in self.keys.items()}
        self.link = FlowerLink(
            grid, coordinator_id=COORDINATOR, identities=lambda: identities, rng=os.urandom, probe_s=PACE
        )

    def _executor(self, council: CouncilId, answer: Answer) -> threading.Thread:
        identity = LinkIdentity(council=council, coordinator_id=COORDINATOR, sign=self.keys[council].sign)
        node = FlowerNode(
            identity=identity, answer=answer, ticket=os.urandom(32), on_event=lambda _event, _fields: None
        )
        app = client_app(node)
        executor = Executor(
            runtime=self.seats[council].runtime,
            app=app,
            bundles=frozenset({BUNDLE_SHA256}),
            on_event=lambda _event, _fields: None,
            away_s=0.5,
        )
        thread = threading.Thread(target=executor.run, args=(self.stop,), daemon=True)
        thread.start()
        return thread

    def disconnect(self, council: CouncilId) -> None:
        stack().stop(self.seats[council])

    def reconnect(self, council: CouncilId) -> None:
        seat = self.seats[council]
        stack().run(seat.name, seat.arguments)

    async def close(self) -> None:
        await self.link.close()
        self.stop.set()
        for thread in self.threads:
            thread.join(30)


@asynccontextmanager
async def over_flower_processes(answers: Mapping[CouncilId, Answer]) -> AsyncIterator[StackHarness]:
    made = stack()
    made.flwr("run", str(made.folder / "app"))
    with ExitStack() as opened:
        while (run := opened.enter_context(made.runtime.next_run(partial(print, "the run was stopped")))) is None:
            opened.close()
        harness = StackHarness(answers, run.grid)
        harness.link.start()
        try:
            await until(lambda: harness.link.connected() == frozenset(answers), within_s=START_S)
            yield harness
        finally:
            await harness.close()
            run.end(completed=True)
