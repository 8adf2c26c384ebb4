"""Starting and stopping the demo's processes: the very commands a council and a coordinator type."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from federated.errors import FederatedError

__all__ = ["Processes", "Running", "command", "wait_for"]

POLL_S = 0.05


def command(name: str) -> str:
    """Path of one of our commands, beside the Python that runs this."""
    return str(Path(sys.executable).parent / name)


@dataclass(frozen=True, slots=True)
class Running:
    """A process of the demo with its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def logged(self, event: str) -> bool:
        """Whether it has logged an event of this name."""
        return f'"event": "{event}"' in self.log.read_text(encoding="utf-8", errors="replace")


@dataclass(slots=True)
class Processes:
    """Every process the demo started; leaving the block ends them and nothing else."""

    folder: Path
    running: dict[str, Running] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End what still runs: first asked, then made to."""
        for item in self.running.values():
            if item.process.poll() is None:
                item.process.terminate()
        for item in self.running.values():
            try:
                item.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                item.process.kill()
                item.process.wait()

    def start(self, name: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Running:
        """Start a process that goes on; its output goes into a log file in the demo's folder."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                arguments, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment
            )
        self.running[name] = Running(process, log)
        return self.running[name]

    def kill(self, name: str) -> None:
        """End a process at once, as a power cut would."""
        os.kill(self.running[name].process.pid, signal.SIGKILL)
        self.running[name].process.wait()

    def check(self) -> None:
        """Raise when a process that should run has ended by itself."""
        for name, item in self.running.items():
            status = item.process.poll()
            if status not in {None, -signal.SIGKILL}:
                last = item.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise FederatedError(
                    f"{name} ended with status {status}: {last[-1] if last else 'it said nothing'}",
                    remedy=f"Its log is {item.log}.",
                )


def run(arguments: Sequence[str]) -> str:
    """Run a command to its end and give its output.

    Raises:
        FederatedError: It failed; with what it said.
    """
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise FederatedError(
            f"'{Path(arguments[0]).name} {arguments[1]}' ended with status {done.returncode}: {' '.join(said[-1:])}"
        )
    return done.stdout


def wait_for(what: str, ready: Callable[[], bool], *, check: Callable[[], None], timeout_s: float) -> None:
    """Wait until something is so.

    Raises:
        FederatedError: It was not so in time, or a process ended meanwhile.
    """
    end = time.monotonic() + timeout_s
    while not ready():
        check()
        if time.monotonic() > end:
            raise FederatedError(f"{what} was not ready after {timeout_s:.0f} seconds.")
        time.sleep(POLL_S)
