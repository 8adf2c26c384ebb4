"""The guides followed literally, as far as one computer goes: their own files, their own commands, in their order."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from council_node.settings import read_settings
from federated.errors import FileProblem
from tests.docs.pages import fenced, page
from tests.docs.test_examples import COMMANDS

COUNCIL_IT = page("docs/guides/council-it.md")
ANALYST = page("docs/guides/analyst.md")


def commands(text: str, *beginnings: str) -> Iterator[str]:
    for block in fenced(text, "sh"):
        yield from (line for line in block.splitlines() if line.startswith(beginnings))


def run(line: str):
    program, *arguments = shlex.split(line)
    return CliRunner().invoke(COMMANDS[program], arguments)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with what the guide says to write, and a certificate authority as the coordinator would send it."""
    monkeypatch.chdir(tmp_path)
    blocks = fenced(COUNCIL_IT, "yaml")
    (trust,) = [text for text in blocks if text.startswith("roster_keys:")]
    (mapping,) = [text for text in blocks if text.startswith("mapping:")]
    (tmp_path / "trust.yaml").write_text(trust, encoding="utf-8")
    (tmp_path / "case-mapping.yaml").write_text(mapping, encoding="utf-8")
    (tmp_path / "authority.pem").write_text("as sent by the coordinator's operator\n", encoding="utf-8")
    return tmp_path


def test_the_council_guide_makes_a_node(folder):
    (init,) = commands(COUNCIL_IT, "council-node init")
    made = run(init)
    assert made.exit_code == 0, made.output
    assert "Fingerprint" in made.output
    settings = read_settings(folder / "node" / "node.yaml")
    assert settings.council.name == "Hartlepool"
    for line in commands(COUNCIL_IT, "council-node status", "council-node pause", "council-node resume"):
        assert run(line).exit_code == 0
    (pause,) = commands(COUNCIL_IT, "council-node pause")
    (status,) = commands(COUNCIL_IT, "council-node status")
    assert "takes part" in run(status).output
    run(pause)
    assert "paused" in run(status).output


def test_the_council_guide_overwrites_nothing(folder):
    (init,) = commands(COUNCIL_IT, "council-node init")
    assert run(init).exit_code == 0
    key = (folder / "node" / "identity.pem").read_bytes()
    assert isinstance(run(init).exception, FileProblem)
    assert (folder / "node" / "identity.pem").read_bytes() == key


def test_the_settings_the_guide_shows_are_those_the_command_writes(folder):
    (init,) = commands(COUNCIL_IT, "council-node init")
    run(init)
    (shown,) = [text for text in fenced(COUNCIL_IT, "yaml") if text.startswith("settings:")]
    (folder / "node" / "shown.yaml").write_text(shown, encoding="utf-8")
    written = read_settings(folder / "node" / "node.yaml")
    read = read_settings(folder / "node" / "shown.yaml")
    assert read.model_copy(update={"data": written.data}) == written


def test_the_analyst_guide_makes_a_key_and_a_manifest(folder):
    (keys,) = commands(ANALYST, "federated keys new")
    new, lint = commands(ANALYST, "federated manifest")
    assert run(keys).exit_code == 0
    assert run(new).exit_code == 0
    unfinished = run(lint)
    assert unfinished.exit_code != 0
    assert "still to be filled in" in unfinished.output
    example = page("tests/unit/federated/examples/manifest.yaml")
    (folder / "manifest.yaml").write_text(example, encoding="utf-8")
    assert run(lint).exit_code == 0
