"""The runbooks as they are typed: each page's commands, in the page's order, run in the folders of those who type them."""

import contextlib
import shlex
from pathlib import Path

import typer.main
from click.testing import CliRunner, Result

from coordinator.cli import app as coordinator_app
from council_node.cli import app as node_app
from federated.cli import app as federated_app
from tests.docs.pages import ROOT, fenced

__all__ = ["RUNBOOKS", "Runbook", "commands_of", "typed"]

RUNBOOKS = ROOT / "docs" / "runbooks"
APPS = {"federated": federated_app, "council-node": node_app, "coordinator": coordinator_app}
PROGRAMS = {name: typer.main.get_command(app) for name, app in APPS.items()}
"""Made once: making one takes longer than most commands."""


def commands_of(text: str) -> list[str]:
    """The command lines of a page, in order."""
    return [line for block in fenced(text, "sh") for line in block.splitlines() if line.strip()]


def typed(line: str, at: Path) -> Result:
    """Run one command line in somebody's folder, and say yes to whatever it asks."""
    program, *arguments = shlex.split(line)
    with contextlib.chdir(at):
        return CliRunner().invoke(PROGRAMS[program], arguments, input="y\n")


class Runbook:
    """One page in the course of its rehearsal.

    Args:
        text: The page.
    """

    def __init__(self, text: str) -> None:
        self.left = commands_of(text)

    @classmethod
    def of(cls, name: str) -> "Runbook":
        return cls((RUNBOOKS / name).read_text(encoding="utf-8"))

    def type(self, beginning: str, *, at: Path, put: dict[str, str] | None = None) -> str:
        """Type the page's next line, which begins like this; gives what it printed.

        Args:
            beginning: How the line must begin, so that page and rehearsal cannot drift apart.
            at: The folder it is typed in.
            put: What stands in the page for something that only the occasion knows, and what it is this time.
        """
        assert self.left, f"the page has no further command, but '{beginning}' was to be typed"
        line = self.left.pop(0)
        assert line.startswith(beginning), f"the page says '{line}', the rehearsal '{beginning}'"
        for written, meant in (put or {}).items():
            assert written in line, f"'{written}' is not in '{line}'"
            line = line.replace(written, meant)
        done = typed(line, at)
        assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"
        return done.output

    def check_finished(self) -> None:
        """Every command of the page was typed."""
        assert self.left == [], f"no rehearsal types: {self.left}"
