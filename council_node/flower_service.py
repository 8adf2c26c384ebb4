"""The running node on Flower: the same station, log and health note, with a SuperNode where the connection was."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from council_node.abandoned import abandoned_rounds_ended
from council_node.flower_app import FlowerNode, OnEvent, client_app
from council_node.flower_executor import Executor
from council_node.health import BEAT_S, Heartbeat, health_file
from council_node.journal import journalled
from council_node.node import CouncilNode
from council_node.pacing import paced
from council_node.service import link_identity, open_station
from council_node.station import Station
from federated.errors import FileProblem
from federated.flower_process import flower_command, quiet_environment, write_secret
from federated.flower_runtime import Runtime, check_flower_version
from protocols.identifiers import RandomSource
from protocols.wire.relayed import TICKET_SIZE

__all__ = ["flower_node_of", "make_flower_key", "run_executor", "running_supernode"]

Supernode: TypeAlias = subprocess.Popen[bytes]
_STOP_S: Final = 10.0


def run_executor(path: Path, runtime: Runtime, bundles: frozenset[str], supernode: Supernode | None = None) -> None:
    """Answer a SuperNode's messages until told to stop (SIGTERM or Ctrl-C), or until the SuperNode we started ends.

    Args:
        path: The node's settings.
        runtime: Where the SuperNode hands its messages over.
        bundles: SHA-256 of the bundles whose runs are answered.
        supernode: The SuperNode, where we started it.

    Raises:
        FederatedError: The settings cannot be used, Flower is of another version, or the SuperNode has ended.
    """
    check_flower_version()
    stop = _stop_when_told()
    with open_station(path) as station:
        heartbeat = Heartbeat(health_file(station.settings))

        def log(event: str, fields: Mapping[str, str | int]) -> None:
            if event in _CONTACT:
                heartbeat.heard(_CONTACT[event], station.now())
            station.log(event, fields)

        node = CouncilNode(station)
        app = client_app(flower_node_of(node, station, log))
        executor = Executor(runtime=runtime, app=app, bundles=bundles, on_event=log)
        station.log("started", {"ledger_entry": station.ledger.counter, "version": version("council-federation")})
        beating = threading.Thread(target=_beat, args=(heartbeat, station, stop, supernode), daemon=True)
        beating.start()
        with abandoned_rounds_ended(node, station.log):
            executor.run(stop)
        beating.join(_STOP_S)
        station.log("stopped", {})
    if supernode is not None and supernode.poll() is not None:
        raise FileProblem(
            f"flower-supernode ended by itself, with status {supernode.poll()}.",
            remedy="What it printed above says why: often the address, the authority, or a key that is not registered.",
        )


_CONTACT: Final[Mapping[str, str]] = {
    "answered": "link_up",
    "proved": "link_up",
    "supernode_away": "link_down",
}
"""Which events say whether there is contact with the coordinator."""


def flower_node_of(node: CouncilNode, station: Station, log: OnEvent) -> FlowerNode:
    """A node and its station, as they answer over Flower."""
    answer = journalled(node.answer, station.log, ledger_entry=lambda: station.ledger.counter)
    return FlowerNode(
        identity=link_identity(station),
        answer=paced(answer, step_ms=station.settings.reply_step_ms, log=station.log),
        ticket=station.rng(TICKET_SIZE),
        on_event=log,
    )


def _stop_when_told() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _beat(heartbeat: Heartbeat, station: Station, stop: threading.Event, supernode: Supernode | None) -> None:
    waited = BEAT_S
    while not stop.wait(1.0):
        waited += 1.0
        if waited >= BEAT_S:
            heartbeat.beat(station.now())
            waited = 0.0
        if supernode is not None and supernode.poll() is not None:
            stop.set()


@contextmanager
def running_supernode(
    *, superlink: str, ca_file: Path, key: Path, port: int, folder: Path, rng: RandomSource
) -> Iterator[tuple[Supernode, Runtime]]:
    """A stock SuperNode beside us, for the length of the block, that leaves every message to us.

    Args:
        superlink: ``host:port`` of the centre's SuperLink.
        ca_file: Authority its certificate is verified against.
        key: This node's key for Flower's node authentication.
        port: Of the SuperNode's Runtime API, on this machine alone.
        folder: Where the secret that it shares with us is kept while it runs; also Flower's own folder.
        rng: For the secret.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    shared = folder / "executor-secret"
    secret = write_secret(shared, rng)
    arguments = [
        *(flower_command("flower-supernode"), "--superlink", superlink, "--root-certificates", str(ca_file)),
        *("--auth-supernode-private-key", str(key), "--isolation", "process"),
        *("--host", "127.0.0.1", "--port", str(port), "--superexec-auth-secret-file", str(shared)),
    ]
    environment = quiet_environment(folder)
    process = subprocess.Popen(arguments, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process, Runtime(address=f"127.0.0.1:{port}", secret=secret)
    finally:
        _end(process)
        shared.unlink(missing_ok=True)


def _end(process: Supernode) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def make_flower_key(path: Path) -> Path:
    """Make the key by which Flower's node authentication knows this council's SuperNode.

    Returns:
        The public half, which the centre registers.

    Raises:
        FileProblem: There is a file already, or none can be written.
    """
    key = ec.generate_private_key(ec.SECP384R1())
    public = path.with_name(path.name + ".pub")
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        public.write_bytes(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b"\n")
    except OSError as error:
        raise FileProblem(
            f"{path}: the key cannot be written ({error.strerror}).",
            remedy="Choose another name; nothing was replaced.",
        ) from error
    return public
