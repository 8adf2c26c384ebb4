"""`coordinator serve` as real processes on a database of the test's, with scripted councils and analysts around them."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import yaml

from coordinator.first_files import NewCoordinator, create
from council_node.link import NodeLink
from council_node.link_channel import LinkSettings
from council_node.link_session import LinkIdentity
from federated.client import Client
from federated.keys import public_line, write_private_key
from federated.workspace import CoordinatorAddress, Workspace
from tests.integration.coordinator_federation import ANALYST, ANN, BOB, TRUST, Federation, council_key

__all__ = ["Coordinator", "Served", "connected", "served"]

SERVE = "from coordinator.cli import main; main()"
START_S = 60


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


@dataclass
class Coordinator:
    """One coordinator: its files, and its process while it has one."""

    folder: Path
    port: int
    code: str = SERVE
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def settings(self) -> Path:
        return self.folder / "coordinator.yaml"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "log.jsonl").read_text()

    def start(self) -> None:
        """Start the process; it may still stand by, or open its files, when this returns."""
        (self.folder / "ready").unlink(missing_ok=True)
        arguments = ["serve", "--settings", str(self.settings), "--ready-file", str(self.folder / "ready")]
        with (self.folder / "log.jsonl").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", self.code, *arguments], stdout=subprocess.DEVNULL, stderr=log
            )

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self, *, timeout_s: float = START_S) -> int:
        """Exit status."""
        assert self.process is not None
        return self.process.wait(timeout=timeout_s)

    def kill(self) -> None:
        """`kill -9`."""
        self.send(signal.SIGKILL)
        assert self.ended() == -signal.SIGKILL

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log[-2000:]
        return (self.folder / "ready").exists()

    def stop(self) -> None:
        """Whatever state it is in."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@dataclass
class Served:
    """A federation whose coordinators are processes on one database."""

    federation: Federation
    coordinators: list[Coordinator]

    @property
    def first(self) -> Coordinator:
        return self.coordinators[0]

    @contextmanager
    def client(self, coordinator: Coordinator) -> Iterator[Client]:
        """The analyst."""
        workspace = Workspace(
            workspace=1,
            key=coordinator.folder / "analyst.key",
            coordinator=CoordinatorAddress(id="hub", address=coordinator.address, ca_file=self.ca_file),
            trust=TRUST,
        )
        with Client(workspace, clock=lambda: datetime.now(UTC), rng=os.urandom) as opened:
            yield opened

    @property
    def ca_file(self) -> Path:
        return self.first.folder / "tls" / "authority.pem"


@contextmanager
def served(
    folder: Path, database: str, *, number: int = 1, code: str = SERVE, lease_s: float = 3, **changes: object
) -> Iterator[Served]:
    """Coordinators' files on one database, with roster and agreement in it; none is started.

    Args:
        folder: An empty folder.
        database: An empty database.
        number: How many coordinators; they share a certificate, as two behind one name do.
        code: What the processes run.
        lease_s: Of the desk.
        changes: Further settings.
    """
    with ExitStack() as stack:
        (folder / "scripted").mkdir()
        federation = Federation(folder / "scripted", start=datetime.now(UTC), database=database)
        stack.callback(federation.store.close)
        coordinators = []
        for index in range(number):
            one = Coordinator(folder / f"coordinator-{index}", free_port(), code)
            new = NewCoordinator(
                id="hub",
                name="Hub",
                hosts=["127.0.0.1"],
                listen_host="127.0.0.1",
                port=one.port,
                roster_keys=[public_line(ANN.public), public_line(BOB.public)],
                agreement_keys=TRUST.agreement_keys,
            )
            create(one.folder, new, now=datetime.now(UTC), rng=os.urandom)
            write_private_key(one.folder / "analyst.key", ANALYST)
            document = yaml.safe_load(one.settings.read_text()) | {
                "database": database,
                "agreements": str(folder / "scripted" / "agreements"),
                "stages": {"delivery": 2, "reconnect": 1},
                "proposals": {"opening_wait": 10, "ask_again": 1, "lease": lease_s},
            }
            shared = folder / "coordinator-0" / "tls"
            document["tls"] = {"certificate": str(shared / "server.pem"), "key": str(shared / "server.key")}
            one.settings.write_text(yaml.safe_dump(document | changes))
            coordinators.append(one)
            stack.callback(one.stop)
        yield Served(federation, coordinators)


@contextmanager
def connected(served: Served, coordinators: Sequence[Coordinator]) -> Iterator[None]:
    """Every council on a link of its own to each of these coordinators, which comes back by itself when it breaks."""
    outside: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    up = threading.Event()

    async def body() -> None:
        stop = asyncio.Event()
        outside.append((asyncio.get_running_loop(), stop))
        up.set()
        links = [
            NodeLink(
                LinkSettings(address=one.address, ca_file=served.ca_file, first_wait_s=0.1, longest_wait_s=0.3),
                LinkIdentity(council=council, coordinator_id="hub", sign=council_key(council).sign),
                node.answer,
                rng=os.urandom,
                on_event=lambda _event, _fields: None,
            )
            for one in coordinators
            for council, node in served.federation.nodes.items()
        ]
        await asyncio.gather(*(link.run(stop) for link in links))

    thread = threading.Thread(target=lambda: asyncio.run(body()))
    thread.start()
    up.wait()
    try:
        yield
    finally:
        loop, stop = outside[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=20)
