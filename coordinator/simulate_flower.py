"""`coordinator simulate --engine flower`: the same simulation on Flower's own engine, which spreads it over processes.

A SuperLink of Flower in simulation mode, `flwr run`, and Flower's engine, all on this computer and on loopback. What
the engine runs is :mod:`coordinator.simulate_flower_app`, named by a bundle that holds no code of its own.

Neither the SuperLink nor Ray, which starts the engine's processes, asks by itself who is calling. So the SuperLink
runs nothing (`--isolation process`) and this command does the work of its own run alone; and every process of Ray's
listens on loopback and wants a token that lasts as long as the simulation.
"""

import json
import os
import pickle
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Final

from coordinator.simulate import most_memory_mib
from coordinator.simulation_figures import Simulation
from coordinator.simulation_papers import Scenario
from federated.demo.processes import Processes, Running, wait_for
from federated.errors import FederatedError, FileProblem, InternalError
from federated.flower_bundle import connection_file, write_bundle
from federated.flower_process import flower_command, quiet_environment, write_secret
from protocols.identifiers import RandomSource

__all__ = ["OUTCOME", "PROGRESS", "SCENARIO", "engine_environment", "simulate_on_flower"]

SCENARIO: Final = "scenario.pickle"
OUTCOME: Final = "outcome.pickle"
PROGRESS: Final = "simulation: "
"""Opens each line of progress in what the engine prints."""

START_S: Final = 120.0
STOP_S: Final = 30.0
ATTEMPTS: Final = 5
RAY_TOO_SLOW: Final = "The current node timed out during startup"
"""What Ray says when its processes take more than 30 seconds to start, which is fixed in its code."""
TOKEN_SIZE: Final = 32

_ENGINE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "RAY_AUTH_MODE": "token",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # its effect, on any system: every address is 127.0.0.1
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
)
"""Ray listens on every address of the computer, and runs what anybody sends there, unless told otherwise."""

_BUNDLE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "pyproject.toml": """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "council-federation-simulation"
version = "1.0.0"
description = "Points at the installed simulation; holds no code of its own."
license = "Apache-2.0"
dependencies = []

[tool.flwr.app]
publisher = "council-federation"

[tool.flwr.app.components]
serverapp = "council_federation_simulation.apps:server"
clientapp = "council_federation_simulation.apps:client"

[tool.flwr.app.config]
folder = ""
hosts = 1
""",
        "council_federation_simulation/__init__.py": '"""Points at what is installed."""\n',
        "council_federation_simulation/apps.py": """\
from coordinator.simulate_flower_app import client, server

__all__ = ["client", "server"]
""",
    }
)


def simulate_on_flower(
    scenario: Scenario,
    *,
    folder: Path | None = None,
    tell: Callable[[str], None] = lambda _line: None,
    rng: RandomSource = os.urandom,
) -> Simulation:
    """As :func:`coordinator.simulate.simulate`, on Flower's simulation engine.

    Args:
        scenario: What to simulate.
        folder: An empty folder to keep everything in; a temporary one when None.
        tell: Takes progress, one line at a time.
        rng: Gives secure random bytes.

    Raises:
        FederatedError: Flower or Ray is not installed or does not start, the questions cannot be asked, or a round
            ended without an answer.
    """
    if find_spec("ray") is None:
        raise FileProblem(
            "Ray is not installed.",
            remedy="Install council-federation with its extras node, coordinator and simulation.",
        )
    with ExitStack() as opened:
        place = folder or Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="simulation-")))
        # Ray's sockets lie in this folder, and the system allows their paths 107 characters.
        sockets = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="ray-")))
        home = place / "flower"
        home.mkdir(mode=0o700)
        (home / SCENARIO).write_bytes(pickle.dumps(scenario))
        environment = engine_environment(home, sockets, rng)
        processes = opened.enter_context(Processes(home))
        address, superlink = _superlink(home, processes, environment, rng)
        for attempt in range(1, ATTEMPTS + 1):
            token = _started_run(home, address, scenario.councils, environment)
            _run_engine(home, address, token, environment, tell)
            if attempt == ATTEMPTS or (home / OUTCOME).exists() or RAY_TOO_SLOW not in _log(home):
                break
            tell("Ray gave up before it had started, as this computer is busy; once more.")
        outcome = _outcome(home)
        return replace(outcome, memory_mib=outcome.memory_mib + most_memory_mib(superlink.process.pid))


def engine_environment(home: Path, sockets: Path, rng: RandomSource) -> dict[str, str]:
    """The environment of every process of a simulation: quiet, on loopback, with a token of its own.

    Args:
        home: Flower's folder.
        sockets: Ray's folder.
        rng: Gives secure random bytes.
    """
    environment = {**quiet_environment(home), **_ENGINE}
    environment.pop("RAY_ADDRESS", None)  # of somebody else's Ray, where the councils would run
    return {**environment, "RAY_AUTH_TOKEN": rng(TOKEN_SIZE).hex(), "RAY_TMPDIR": str(sockets)}


def _superlink(
    home: Path, processes: Processes, environment: Mapping[str, str], rng: RandomSource
) -> tuple[str, Running]:
    """Start Flower's SuperLink in simulation mode, which leaves the work of every run to whoever has the secret."""
    with socket.socket() as free:  # Flower takes no port 0
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    write_secret(home / "secret", rng)
    arguments = [flower_command("flower-superlink"), "--simulation", "--insecure", "--isolation", "process"]
    arguments += ["--host", "127.0.0.1", "--port", str(port), "--superexec-auth-secret-file", str(home / "secret")]
    running = processes.start("superlink", [*arguments, "--disable-runtime-dependency-installation"], environment)

    def up() -> bool:
        return "Uvicorn running" in running.log.read_text(encoding="utf-8", errors="replace")

    wait_for("Flower's SuperLink", up, check=processes.check, timeout_s=START_S)
    return f"127.0.0.1:{port}", running


def _started_run(home: Path, address: str, councils: int, environment: Mapping[str, str]) -> str:
    """`flwr run`, and the token of the run's work."""
    from federated.flower_runtime import Runtime, check_flower_version  # noqa: PLC0415 - only this engine needs Flower

    check_flower_version()
    write_bundle(home / "app", _BUNDLE)
    connection_file(home, address=address, ca_file=None)
    cores = os.cpu_count() or 1
    hosts = min(cores, councils)
    engine = f"num-supernodes={councils} client-resources-num-cpus=1 init-args-num-cpus={cores}"
    arguments = [flower_command("flwr"), "run", str(home / "app"), "--format", "json"]
    arguments += ["--federation-config", engine, "--run-config", f"folder={json.dumps(str(home))} hosts={hosts}"]
    done = subprocess.run(
        arguments, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    run_id = str(json.loads(done.stdout[done.stdout.index("{") :]).get("run-id")) if "{" in done.stdout else ""
    if not run_id.isdigit():
        raise InternalError(f"'flwr run' did not start the simulation: {(done.stdout + done.stderr).strip()[-500:]}")
    runtime = Runtime(address=address, secret=(home / "secret").read_bytes())
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if token := runtime.simulation_token(int(run_id)):
            return token
        time.sleep(0.1)
    raise InternalError(f"Flower's SuperLink did not hand its run over within {START_S:g} seconds.")


def _run_engine(
    home: Path, address: str, token: str, environment: Mapping[str, str], tell: Callable[[str], None]
) -> None:
    """`flwr-simulation` to its end: coordinator and councils are in it and in the processes that it starts."""
    (home / "token").write_text(token, encoding="ascii")
    arguments = [flower_command("flwr-simulation"), "--insecure", "--runtime-api-address", address]
    arguments += ["--token-file", str(home / "token"), "--parent-pid", str(os.getpid())]
    with (
        (home / "engine.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(
            arguments, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
        ) as engine,
    ):
        try:
            for line in engine.stdout or ():
                if line.startswith(PROGRESS):
                    tell(line.removeprefix(PROGRESS).rstrip())
                else:
                    log.write(line)
        except BaseException:
            _end(engine)
            raise


def _end(engine: subprocess.Popen[str]) -> None:
    """End the engine before its folders go: it ends what it started, and Ray's processes end when they miss it."""
    engine.terminate()
    try:
        engine.wait(STOP_S)
    except subprocess.TimeoutExpired:
        engine.kill()
        engine.wait()


def _log(home: Path) -> str:
    return (home / "engine.log").read_text(encoding="utf-8", errors="replace")


def _outcome(home: Path) -> Simulation:
    path = home / OUTCOME
    if not path.exists():
        if RAY_TOO_SLOW in (said := _log(home)):
            raise FederatedError(
                f"Ray did not start in {ATTEMPTS} attempts of 30 seconds each.",
                remedy="Try again when fewer other programs run on this computer, or leave --engine out.",
            )
        raise InternalError(f"Flower's engine ended without an outcome: {' '.join(said.strip().splitlines()[-3:])}")
    found = pickle.loads(path.read_bytes())  # noqa: S301 - from a process of ours, in a folder for this account alone
    if isinstance(found, FederatedError):
        raise found
    if not isinstance(found, Simulation):
        raise InternalError("Flower's engine left an outcome that is none.")
    return found
