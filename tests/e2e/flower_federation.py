"""Five councils on Flower: a stock SuperLink, five stock SuperNodes with TLS and node authentication, on loopback.

Everything that runs is started by the command a council or the centre types. The papers are those of
`tests.e2e.federation`; only what carries the messages is another.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from council_node.flower_service import make_flower_key
from federated.client import Client
from federated.demo.people import People
from federated.demo.processes import Processes, Running, command, run, wait_for
from federated.flower_bundle import connection_file
from federated.flower_process import flower_command, quiet_environment
from federated.shell import now_utc
from protocols.identifiers import CouncilId
from tests.e2e import federation as papers
from tests.e2e.federation import NORTH_EAST, Federation

FIVE = NORTH_EAST[:5]
START_S = 90.0
WITH_HOME = """\
import os, sys
from pathlib import Path
from federated.flower_bundle import connection_file
from federated.flower_process import quiet_environment
os.execve(sys.argv[2], sys.argv[2:], quiet_environment(Path(sys.argv[1])))
"""
"""Starts a command of Flower's with a folder of its own for Flower, and without calls to anybody."""


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody uses at the moment; Flower takes no port 0."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@dataclass(slots=True)
class FlowerWorld:
    """The centre's folder with a SuperLink that is up, and councils' folders whose nodes are not started yet."""

    folder: Path
    home: Path
    port: int
    processes: Processes
    nodes: dict[CouncilId, papers.Node]
    people: People
    agreement: papers.Agreement

    @property
    def settings(self) -> str:
        return str(self.home / "coordinator.yaml")

    @property
    def superlink(self) -> str:
        return f"127.0.0.1:{self.port}"

    def flower(self, *arguments: str) -> str:
        """`coordinator flower …`, to its end."""
        options = ["--settings", self.settings, "--superlink", self.superlink]
        return run([command("coordinator"), "flower", arguments[0], *options, *arguments[1:]])

    def register(self, node: papers.Node, *, by_ours: bool) -> Path:
        """Make a council's key for Flower and have the centre register it.

        Args:
            node: The council's.
            by_ours: By the commands people type, rather than by what they call: that saves some seconds each.
        """
        key = node.file.parent / "flower.key"
        if by_ours:
            run([command("council-node"), "flower", "key", str(key)])
            assert "registered" in self.flower("flwr", "supernode", "register", f"{key}.pub")
            return key
        public = make_flower_key(key)
        home = self.home / "state" / "flower"
        connection_file(home, address=self.superlink, ca_file=self.home / "tls" / "authority.pem")
        arguments = [flower_command("flwr"), "supernode", "register", str(public)]
        subprocess.run(
            arguments, env=quiet_environment(home), check=True, capture_output=True, stdin=subprocess.DEVNULL
        )
        return key

    def start_bare(self, node: papers.Node, key: Path, home: Path) -> Running:
        """A stock SuperNode as Flower's manual starts it, without our executor."""
        arguments = [flower_command("flower-supernode"), "--superlink", self.superlink]
        arguments += ["--root-certificates", str(self.home / "tls" / "authority.pem")]
        arguments += ["--auth-supernode-private-key", str(key), "--port", str(free_ports(1)[0])]
        return self.processes.start(node.name, [sys.executable, "-c", WITH_HOME, str(home), *arguments])

    def serve(self) -> str:
        """`coordinator flower run`; gives the analysts' address."""
        ready = self.home / "ready"
        options = ["--settings", self.settings, "--superlink", self.superlink, "--ready-file", str(ready)]
        self.processes.start("coordinator", [command("coordinator"), "flower", "run", *options])
        self.wait("The coordinator's run", ready.exists)
        return ready.read_text(encoding="ascii").strip()

    def start(self, node: papers.Node, key: Path) -> Running:
        options = ["--superlink", self.superlink, "--key", str(key), "--port", str(free_ports(1)[0])]
        arguments = [command("council-node"), "flower", "run", "--settings", str(node.file), *options]
        return self.processes.start(node.name, arguments)

    def log(self, name: str) -> str:
        return self.processes.running[name].log.read_text(encoding="utf-8", errors="replace")

    def wait(self, what: str, ready, *, timeout_s: float = START_S) -> None:
        wait_for(what, ready, check=self.processes.check, timeout_s=timeout_s)


@contextmanager
def flower_world(folder: Path, *, councils: tuple[CouncilId, ...] = FIVE, stock: bool = False) -> Iterator[FlowerWorld]:
    """Everything set up, the SuperLink running, nobody connected.

    Args:
        folder: An empty folder.
        councils: Who is in it.
        stock: The SuperLink is started as Flower's manual does, and runs the code of any bundle it is given.
    """
    people = People.make(os.urandom)
    people.write_trust(folder / "trust.yaml")
    agreement = papers._agreement(folder, councils, people, Fraction(1), Fraction(40), {})
    home = papers._coordinator_files(folder, people, 60)
    with Processes(folder) as processes:
        nodes = {council: papers._node(folder, council, processes) for council in councils}
        papers._roster(folder, home, nodes, people)
        [port] = free_ports(1)
        world = FlowerWorld(folder, home, port, processes, nodes, people, agreement)
        place = ["--host", "127.0.0.1", "--port", str(port)]
        if stock:
            tls = home / "tls"
            files = ["--ssl-certfile", str(tls / "server.pem"), "--ssl-keyfile", str(tls / "server.key")]
            files += ["--ssl-ca-certfile", str(tls / "authority.pem"), "--enable-supernode-auth"]
            arguments = [flower_command("flower-superlink"), *place, *files]
            processes.start("superlink", [sys.executable, "-c", WITH_HOME, str(folder / "stock"), *arguments])
        else:
            arguments = [command("coordinator"), "flower", "superlink", "--settings", world.settings, *place]
            processes.start("superlink", arguments)
        world.wait("The SuperLink", lambda: "Uvicorn running" in world.log("superlink"))
        yield world


@contextmanager
def running_on_flower(
    folder: Path, *, before_serving: Callable[[FlowerWorld], None]
) -> Iterator[tuple[FlowerWorld, Federation]]:
    """A federation of five that is up over Flower.

    Args:
        folder: An empty folder.
        before_serving: Called once the SuperLink is up and the nodes are starting.
    """
    with flower_world(folder) as world:
        for council, node in world.nodes.items():
            world.start(node, world.register(node, by_ours=council == FIVE[0]))
        before_serving(world)
        address = world.serve()
        workspace = papers._workspace(folder, address, world.people)
        with Client(workspace, clock=now_utc, rng=os.urandom) as client:
            federation = Federation(
                folder=folder,
                nodes=world.nodes,
                processes=world.processes,
                workspace=workspace,
                agreement=world.agreement,
                trusted=client.trusted(),
                client=client,
            )
            federation.wait_for_all()
            yield world, federation
        # Councils first: a SuperNode that ends tells its SuperLink, and waits for it where it is gone.
        nodes = [node.running.process for node in world.nodes.values()]
        for process in nodes:
            process.terminate()
        for process in nodes:
            process.wait(20)
