"""Words that others wrote are shown on a terminal, and never obeyed by it."""

import io
import json

import pytest
from rich.console import Console
from rich.table import Table as Grid

from federated import shell
from federated.errors import FileProblem
from federated.shell import PlainConsole

HOSTILE = "Erase \x1b[2J, rename \x1b]0;title\x07, hide \x9b8m, turn \u202eround\u2066, \rreturn, delete \x7f\b"
MARKUP = "Rough sleepers [link=http://elsewhere.example]here[/link] [conceal]or not[/conceal] [/closed] :warning:"


@pytest.fixture
def terminal():
    """A console as it is on a terminal, and what it wrote."""
    console = PlainConsole()
    console.file = io.StringIO()
    return console


def written(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO of the fixture


def in_a_grid(text: str) -> Grid:
    grid = Grid(text, title=text)
    grid.add_row(text)
    return grid


@pytest.mark.parametrize("shown", [HOSTILE, in_a_grid(HOSTILE)], ids=["text", "grid"])
def test_no_control_character_of_others_reaches_the_terminal(terminal, shown):
    terminal.print(shown)
    found = written(terminal)
    assert "Erase" in found
    assert not set(found) & set("\x1b\x07\x9b\r\x7f\b\u202e\u2066")


def test_the_plain_console_of_the_library_would_pass_them_on():
    """Else the test above would show nothing."""
    console = Console(file=io.StringIO())
    console.print(in_a_grid(HOSTILE))
    assert "\x1b" in written(console)


def test_no_markup_of_others_is_read(terminal):
    terminal.print(MARKUP)
    terminal.print(in_a_grid(MARKUP))
    found = written(terminal)
    assert "[link=http://elsewhere.example]here[/link] [conceal]or not[/conceal] [/closed] :warning:" in found
    assert found.count("[/closed]") == 4


def test_our_own_styles_and_lines_are_kept(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = PlainConsole()
    console.file = io.StringIO()
    console.print("First\n\tsecond", style="bold")
    assert written(console) == "\x1b[1mFirst\x1b[0m\n\x1b[1m        second\x1b[0m\n"


def test_json_and_errors_pass_the_same_way(monkeypatch):
    for name in ("output", "errors"):
        console = getattr(shell, name)
        assert isinstance(console, PlainConsole)
        # By its own attribute: what the property gives back is the stream of this test, and would stay for good.
        monkeypatch.setattr(console, "_file", io.StringIO())
    shell.output.print_json(json.dumps({"title": HOSTILE}))
    shell._say(FileProblem(f"The question '{HOSTILE}' cannot be read."))
    assert json.loads(written(shell.output)) == {
        "title": HOSTILE.replace("\x9b", "\ufffd")
        .replace("\u202e", "\ufffd")
        .replace("\u2066", "\ufffd")
        .replace("\x7f", "\ufffd")
    }
    assert "\x1b" not in written(shell.errors)
