"""The example in R, run by R against the console's own process over TLS, with a token of an account."""

import os
import re
import secrets
import shutil
import subprocess
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coordinator.console.visitor import Role, Scope
from coordinator.sign_in.tokens import make_token
from coordinator.store import AccountRow
from coordinator.tls import issue_certificate, make_authority, save_pair
from tests.docs.pages import ROOT
from tests.integration.console_readers import console_process
from tests.integration.console_world import console_world

SCRIPT = ROOT / "docs/examples/ask.R"
PATIENCE_S = 120


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The world, the address of its console, a token of an observer, and the authority to trust."""
    folder = tmp_path_factory.mktemp("r")
    with console_world(folder) as world:
        now, tls = datetime.now(UTC), world.federation.settings.tls
        authority = make_authority("Hub", now=now)
        made = issue_certificate(authority, ["127.0.0.1"], now=now)
        pair = {"key_file": Path(tls.key), "certificate_file": Path(tls.certificate)}
        for old in pair.values():  # the world's own, whose authority nobody has
            old.unlink()
        save_pair(made.key_pem, made.chain_pem, **pair)
        trusted = folder / "authority.pem"
        trusted.write_bytes(authority.certificate_pem)
        account = AccountRow(
            name="pat.observer",
            kind="local",
            roles=Role.OBSERVER.value,
            agreements=world.agreement,
            created_at=now,
            changed_at=now,
        )
        store = world.federation.store
        assert store.accounts.add(account, by="command line")
        token, _ = make_token(
            store, account, label="R", scope=Scope.READ, days=1, by="command line", rng=secrets.token_bytes, now=now
        )
        with console_process(world, folder, sign_in={"local": True}) as port:
            yield world, f"https://127.0.0.1:{port}", token, trusted


def run(served, chart, *, token=None, script=SCRIPT, authority=None):
    _, address, given, trusted = served
    environment = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    environment |= {"CURL_CA_BUNDLE": str(authority or trusted), "LC_ALL": "C.UTF-8"}
    environment["HOMELESSNESS_TOKEN"] = given if token is None else token
    command = [shutil.which("Rscript") or "Rscript", "--vanilla", str(script), address, str(chart)]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=chart.parent
    )


def printed_figures(said):
    """Estimates with their ranges as R printed them: it puts a wide table below itself, some columns at a time."""
    found, heads = {}, []
    for line in said.splitlines():
        if not re.match(r"\d+ ", line):
            heads = line.split()
            continue
        words = line.split()
        for name in {"estimate", "low", "high"} & set(heads):  # counted from the right: labels before them have spaces
            found.setdefault(name, []).append(float(words[heads.index(name) - len(heads)]))
    return list(zip(found["estimate"], found["low"], found["high"], strict=True))


def test_the_example_lists_reads_and_draws_an_answer(served, tmp_path):
    world, *_ = served
    chart = tmp_path / "chart.svg"
    done = run(served, chart)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(world.answered)} answers" in done.stdout
    assert done.stdout.count("(open to you)") == len(world.answered) == 2
    listed, _, read = done.stdout.partition("\n  noise: ")
    release = next(one for one in world.answered if listed.rstrip().endswith(f"\n{title(world, one)}"))
    assert f"{release.mechanism}  epsilon: {release.cost.epsilon}" in read
    figures = [(cell.estimate, cell.low, cell.high) for cell in release.tables[0].cells]
    assert len(figures) >= 8
    assert printed_figures(read) == figures
    drawn = ET.parse(chart).getroot()
    assert drawn.tag.endswith("svg")
    assert len(list(drawn.iter())) > 2 * len(figures)
    reads = {reader for reader, *_ in world.federation.store.releases.reads(release.digest)}
    assert "pat.observer" in reads


def title(world, release):
    return world.federation.store.releases.get(release.digest).title


def test_figures_that_are_not_the_answers_would_be_seen(served, tmp_path):
    script = tmp_path / "wrong.R"
    text = SCRIPT.read_text(encoding="utf-8")
    script.write_text(text.replace("print(table)", "table$low <- table$low + 1; print(table)"), encoding="utf-8")
    world, *_ = served
    done = run(served, tmp_path / "chart.svg", script=script)
    for release in world.answered:
        assert printed_figures(done.stdout) != [(c.estimate, c.low, c.high) for c in release.tables[0].cells]


def test_every_page_of_the_list_is_followed(served, tmp_path):
    script = tmp_path / "short.R"
    text = SCRIPT.read_text(encoding="utf-8")
    assert "size = 20" in text
    script.write_text(text.replace("size = 20", "size = 1"), encoding="utf-8")
    done = run(served, tmp_path / "chart.svg", script=script)
    assert (done.returncode, "2 answers" in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize(
    ("token", "words"),
    [("", "No answer is open to you."), ("hst_wrong", "The token is wrong")],
)
def test_what_goes_wrong_is_said_with_what_to_do(served, tmp_path, token, words):
    done = run(served, tmp_path / "chart.svg", token=token)
    assert done.returncode != 0
    assert words in done.stderr
    assert not (tmp_path / "chart.svg").exists()


def test_an_address_whose_certificate_nobody_vouches_for_is_not_asked(served, tmp_path):
    other = tmp_path / "other.pem"
    other.write_bytes(make_authority("Another", now=datetime.now(UTC)).certificate_pem)
    done = run(served, tmp_path / "chart.svg", authority=other)
    assert done.returncode != 0
    assert "certificate" in done.stderr
