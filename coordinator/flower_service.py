"""Serves one run of a SuperLink with the coordinator in this image, and no other run.

A stock SuperLink executes the server's part of whatever bundle it is given, and without Flower's account
authentication whoever reaches its port can give it one. With ``--isolation process`` it leaves that to another
process. This is that process: it serves the run that our own command has started, and ends every other unopened.
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from coordinator.flower_app import over_flower
from coordinator.office import Note
from coordinator.serve import json_log, run_server
from coordinator.settings import Settings
from federated.errors import TransportError
from federated.flower_runtime import Run, Runtime, check_flower_version

__all__ = ["ServedRun", "serve_run"]

LOOK_S: Final = 0.2
PATIENCE_S: Final = 60.0
"""How long the SuperLink may take to hand over the run that was started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRun:
    """The one run to serve.

    Attributes:
        run_id: As `flwr run` said.
        bundle: SHA-256 of its bundle, in hexadecimal.
    """

    run_id: int
    bundle: str

    def refusal(self, run: Run) -> str:
        """Why another run is not served; empty for this one."""
        if run.run_id != self.run_id:
            return "this SuperLink serves the run that the coordinator started, and no other"
        if run.bundle != self.bundle:
            return f"the coordinator runs only the app in its own image; bundle {run.bundle[:16]} is another"
        return ""


def serve_run(
    settings: Settings, runtime: Runtime, served: ServedRun, *, ready_file: Path | None, log: Note | None = None
) -> None:
    """Serve a run until it is stopped, or until SIGTERM or SIGINT.

    Args:
        settings: Of this coordinator.
        runtime: The SuperLink's.
        served: The run to serve; every other that is handed over before it is ended.
        ready_file: Where to write ``host:port`` once analysts can connect.
        log: Where events go; JSON lines on standard error when left out.

    Raises:
        FederatedError: The SuperLink cannot be used or does not hand the run over, or a file cannot be used.
    """
    check_flower_version()
    note = log or json_log()
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with runtime.next_run(_stop) as run:
            if run is not None and _served(run, served, note, partial(_serve, settings, ready_file, note)):
                return
        time.sleep(LOOK_S)
    raise TransportError(
        f"The SuperLink did not hand run {served.run_id} over within {PATIENCE_S:g} seconds.",
        remedy="Check that it was started with 'coordinator flower superlink'.",
    )


def _served(run: Run, served: ServedRun, note: Note, serve: Callable[[Run], None]) -> bool:
    refusal = served.refusal(run)
    if refusal:
        note("run_refused", {"run": str(run.run_id), "bundle": run.bundle})
        run.end(completed=False, details=refusal)
        return False
    try:
        serve(run)
    except BaseException:
        run.end(completed=False, details="the coordinator could not serve this run; its operator finds why in its log")
        raise
    run.end(completed=True)
    return True


def _serve(settings: Settings, ready_file: Path | None, note: Note, run: Run) -> None:
    run_server(settings, ready_file=ready_file, log=note, link=partial(over_flower, run.grid))


def _stop() -> None:
    """Someone stopped the run: end as when the service manager says so."""
    os.kill(os.getpid(), signal.SIGTERM)
