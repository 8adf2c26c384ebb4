"""The tutorial followed literally: every line of its grey boxes, typed in their order, in an empty folder."""

import os
import subprocess
from pathlib import Path

import pytest

from federated.demo.processes import command
from tests.docs.pages import fenced, page

TUTORIAL = page("docs/guides/tutorial.md")
LINES = [line for block in fenced(TUTORIAL, "sh") for line in block.splitlines()]
SECONDS = 240
SAID = {
    "federated demo": "Held against the synthetic truth",
    "head -n 1": "mobile",
    "federated agreement show": "No personal data leaves your council",
    "council-node receipt": "What left this building",
    "council-node ledger show": "spent",
    "council-node ledger verify": "The ledger is whole",
    "council-node status": "ε = 4.0000 of 8 spent",
    "council-node pause": "Paused",
    "council-node resume": "takes part again",
    "federated export": "Wrote tables/",
    "council-node pack evidence": "evidence.zip",
    "federated verify": "not proven",
}
"""What the page says is to be seen after each line, so that the words beside it are true."""


def said_after(line: str) -> str:
    (expected,) = [text for start, text in SAID.items() if line.startswith(start)]
    return expected


@pytest.mark.in_turn
def test_every_line_does_what_the_page_says(tmp_path: Path):
    programs = Path(command("federated")).parent
    here = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}
    for line in LINES:
        done = subprocess.run(  # the lines are our own page's
            ["sh", "-c", line],
            cwd=tmp_path,
            env=here,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, (line, done.stderr)
        assert said_after(line) in done.stdout, (line, done.stdout[-2000:])
    assert (tmp_path / "tables" / "outcome.csv").read_text(encoding="utf-8").splitlines()[0].endswith("presented")
    assert list((tmp_path / "tables").glob("*.svg"))


def test_nothing_needs_to_be_known_that_the_page_does_not_say():
    assert "federated demo" in LINES[0]
    assert not any("FILL IN" in line or "<" in line for line in LINES)
    assert sorted(start for start in SAID if not any(line.startswith(start) for line in LINES)) == []


def test_a_line_without_a_promise_beside_it_is_found():
    with pytest.raises(ValueError, match="not enough values"):
        said_after("council-node purge --all-answers")
