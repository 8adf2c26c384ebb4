"""Typing a command in a folder, as a person does at a terminal."""

import subprocess
from pathlib import Path

from federated.demo.processes import command


def typed_in(folder: Path, program: str, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Wait for the end of a command: it never shows a traceback, and ends with the status that is expected."""
    done = subprocess.run(
        [command(program), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode == status, done.stdout + done.stderr
    return done
