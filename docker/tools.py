"""Running the tools that make images."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["ROOT", "STORAGE", "BuildError", "buildah", "run"]

ROOT: Final = Path(__file__).resolve().parents[1]
STORAGE: Final = ROOT / ".stamps/images"


class BuildError(Exception):
    """A step failed; one sentence."""


def run(arguments: list[str], *, step: str, cwd: Path = ROOT, environment: Mapping[str, str] | None = None) -> str:
    """Run a command to its end. What it makes may be read by everybody, whoever runs it.

    Args:
        arguments: The command.
        step: What it is for, in a message.
        cwd: Where it runs.
        environment: Variables that it gets besides those of this process.

    Raises:
        BuildError: It is missing or failed; with the last line it said.
    """
    try:
        done = subprocess.run(
            arguments,
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            umask=0o022,
        )
    except FileNotFoundError as error:
        raise BuildError(f"{step}: {arguments[0]} is not installed; `make setup-system` installs it.") from error
    if done.returncode != 0:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise BuildError(f"{step} failed: {' | '.join(said[-3:]) or f'status {done.returncode}'}")
    return done.stdout.strip()


def buildah(*arguments: str, step: str) -> str:
    """Buildah on a storage of our own: plain folders, no daemon, no overlay, no registry."""
    places = ["--root", str(STORAGE / "storage"), "--runroot", str(STORAGE / "run"), "--storage-driver", "vfs"]
    return run(["buildah", *places, *arguments], step=step)
