"""The peers: what is pinned, where each is installed, and how one of its programs is run from here.

A peer never shares an environment with this project or with another peer. Its packages are pinned with hashes in
`NAME.txt` beside this module and installed into `.bench/NAME`, which git ignores.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["PEERS", "ROOT", "Peer", "PeerFailure", "alone", "interpreter", "run_program", "setup", "versions"]

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
INSTALL_S: Final = 1200.0
STOP_S: Final = 60.0


class PeerFailure(RuntimeError):
    """A peer could not be installed or run here; the message says what was tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One peer.

    Attributes:
        name: Of its requirement file and its environment.
        packages: Whose versions are told with the figures.
        documentation: The page whose recommended usage is followed.
    """

    name: str
    packages: tuple[str, ...]
    documentation: str

    @property
    def requirements(self) -> Path:
        """Everything it needs, pinned with hashes."""
        return HERE / f"{self.name}.txt"

    @property
    def environment(self) -> Path:
        """Where it is installed; `BENCH_HOME` names another folder, for a second checkout."""
        return Path(os.environ.get("BENCH_HOME", ROOT / ".bench")) / self.name


PEERS: Final[Mapping[str, Peer]] = {
    peer.name: peer
    for peer in (
        Peer(
            name="flower",
            packages=("flwr", "numpy", "ray"),
            documentation="https://flower.ai/docs/examples/flower-secure-aggregation.html",
        ),
        Peer(
            name="mpyc",
            packages=("mpyc", "numpy", "gmpy2"),
            documentation="https://mpyc.readthedocs.io/en/latest/mpyc.html",
        ),
        Peer(
            name="nvflare",
            packages=("nvflare", "pandas", "numpy"),
            documentation="https://nvflare.readthedocs.io/en/main/examples/federated_statistics_overview.html",
        ),
        Peer(
            name="smartnoise",
            packages=("smartnoise-sql", "opendp", "pandas"),
            documentation="https://docs.smartnoise.org/sql/index.html",
        ),
        Peer(
            name="opendp",
            packages=("opendp", "numpy"),
            documentation="https://docs.opendp.org/en/stable/api/user-guide/measurements/additive-noise-mechanisms.html",
        ),
        Peer(
            name="polars",
            packages=("polars",),
            documentation="https://docs.pola.rs/user-guide/expressions/aggregation/",
        ),
    )
}


def interpreter(peer: Peer) -> Path:
    """The peer's own Python.

    Raises:
        PeerFailure: It is not installed yet.
    """
    path = peer.environment / "bin" / "python"
    if not path.exists():
        raise PeerFailure(f"{peer.name} is not installed; run 'python -m benchmarks.peers setup {peer.name}' first")
    return path


def setup(peer: Peer) -> None:
    """Make the peer's environment and install what is pinned, nothing else.

    Raises:
        PeerFailure: The installer said no.
    """
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(peer.environment)], check=True)
    pip = [str(interpreter(peer)), "-m", "pip", "install", "--quiet", "--require-hashes"]
    done = subprocess.run([*pip, "-r", str(peer.requirements)], check=False, timeout=INSTALL_S)
    if done.returncode:
        raise PeerFailure(f"{peer.name} could not be installed from {peer.requirements.name}; see the lines above")


def versions(peer: Peer) -> dict[str, str]:
    """Version by package, as installed."""
    ask = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    shown = subprocess.run(
        [str(interpreter(peer)), "-c", ask, *peer.packages], check=True, capture_output=True, text=True
    )
    found: dict[str, str] = json.loads(shown.stdout)
    return found


def alone(command: Sequence[str]) -> list[str]:
    """The command in a network of its own that holds the loopback address alone.

    Some peers listen on every address and have no setting for it; nothing outside can reach them here.
    """
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        raise PeerFailure("this comparison needs unshare and ip, which keep the peer on the loopback address")
    return ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command]


def run_program(
    peer: Peer,
    program: str,
    arguments: Sequence[str],
    *,
    timeout_s: float,
    folder: Path | None = None,
    network_alone: bool = False,
    variables: Mapping[str, str] | None = None,
) -> Any:
    """Run one of `programs/` with the peer's own Python and give back what it prints last, as JSON.

    Args:
        peer: Whose Python.
        program: Name of the file without `.py`.
        arguments: Its command line.
        timeout_s: After it, the program and whatever it started are ended.
        folder: Working folder; this project's code is not importable from there.
        network_alone: See :func:`alone`.
        variables: Of its environment, besides the usual ones.

    Raises:
        PeerFailure: It failed, or did not finish in time.
    """
    command = [str(interpreter(peer)), str(HERE / "programs" / f"{program}.py"), *arguments]
    held = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen(
        alone(command) if network_alone else command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=held | dict(variables or {}),
        start_new_session=True,
    ) as process:
        try:
            shown, said = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            process.terminate()  # it ends what it started; what has a session of its own is out of our reach
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
            raise PeerFailure(f"{peer.name}: {program} did not finish within {timeout_s:g} seconds") from error
        finally:
            _end_group(process.pid)
    if process.returncode:
        raise PeerFailure(f"{peer.name}: {program} ended with status {process.returncode}: {said.strip()[-2000:]}")
    return json.loads(shown.strip().splitlines()[-1])


def _end_group(leader: int) -> None:
    """End whatever a program left running: its own session, made for it alone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
