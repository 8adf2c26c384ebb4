"""`council-node comment`: about an answer the node holds, signed with its own key, and nothing is sent."""

import pytest
from typer.testing import CliRunner

from council_node.cli import app
from council_node.node_store import DocumentKind
from federated.papers import open_comment
from federated.release import open_release
from tests.integration.federation_world import ME
from tests.unit.council_node.proof_round import eventful


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    world, seat, round_ = eventful(tmp_path_factory.mktemp("comment"))
    with world:
        yield seat, open_release(seat.station.store.latest(DocumentKind.RELEASE, round_.sid.hex()).body)


def run(seat, *arguments):
    settings = ["--settings", str(seat.folder / "node.yaml")]
    return CliRunner().invoke(app, ["comment", *map(str, arguments), *settings])


@pytest.mark.parametrize("named", ["digest", "sid"])
def test_a_comment_names_the_answer_and_is_signed_with_the_nodes_key(made, tmp_path, named):
    seat, release = made
    text, out = tmp_path / "comment.txt", tmp_path / "comment.dsse"
    text.write_text("Rents rose here.\n")
    name = {"digest": release.digest.hex()[:12], "sid": release.sid[:12]}[named]
    result = run(seat, name, "--text", text, "--out", out, "--staff-minutes", 15, "--publish")
    assert result.exit_code == 0, result.output
    read = open_comment(out.read_bytes(), council=ME, public_key=seat.key.public)
    assert (read.release, read.text, read.publish, read.staff_minutes) == (release.digest, "Rents rose here.", True, 15)
    run(seat, name, "--text", text, "--out", out)
    read = open_comment(out.read_bytes(), council=ME, public_key=seat.key.public)
    assert (read.publish, read.staff_minutes) == (False, None)


@pytest.mark.parametrize(
    ("name", "text"), [("ffffffffffff", "Words."), ("", "Words."), (None, "a\u202eb"), (None, "x" * 4001)]
)
def test_another_answer_or_a_text_that_steers_is_refused_and_nothing_is_written(made, tmp_path, name, text):
    seat, release = made
    words, out = tmp_path / "comment.txt", tmp_path / "comment.dsse"
    words.write_text(text)
    result = run(seat, release.digest.hex() if name is None else name, "--text", words, "--out", out)
    assert result.exit_code != 0
    assert not out.exists()
