"""How our commands start Flower's own: nothing told to Flower's makers, nothing fetched, nothing installed.

Each of these is on by default in Flower and is switched off by an environment variable that its processes read when
they start, and hand on to those they start themselves.
"""

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Final

from federated.errors import FileProblem
from protocols.identifiers import RandomSource

__all__ = ["QUIET", "SECRET_SIZE", "flower_command", "quiet_environment", "write_secret"]

QUIET: Final[Mapping[str, str]] = MappingProxyType(
    {
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_TELEMETRY_LOGGING": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "FLWR_TRACING_ENABLED": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
)
"""Telemetry, update checks, installing what a bundle asks for, tracing, the simulation engine's usage reports."""

SECRET_SIZE: Final = 32


def quiet_environment(home: Path | None = None) -> dict[str, str]:
    """The environment for a Flower command: this process's own, with everything of :data:`QUIET`.

    Args:
        home: Flower's folder of configuration and installed bundles; its own default (`~/.flwr`) when None.
    """
    scripts = str(Path(sys.executable).parent)
    path = os.pathsep.join((scripts, os.environ.get("PATH", "")))  # Flower finds its own commands on the path
    chosen = {} if home is None else {"FLWR_HOME": str(home)}
    return {**os.environ, **QUIET, "PATH": path, **chosen}


def flower_command(name: str) -> str:
    """Path of a Flower command, beside the Python that runs this.

    Raises:
        FileProblem: Flower is not installed.
    """
    path = Path(sys.executable).parent / name
    if find_spec("flwr") is None or not path.exists():
        raise FileProblem("Flower is not installed.", remedy="Install council-federation[flower].")
    return str(path)


def write_secret(path: Path, rng: RandomSource) -> bytes:
    """A new secret for Flower and our executor beside it, in a file for this account alone.

    Raises:
        FileProblem: The file cannot be written.
    """
    secret = rng(SECRET_SIZE)
    try:
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secret)
    except OSError as error:
        raise FileProblem(f"{path}: the executor's secret cannot be written ({error.strerror}).") from error
    return secret
