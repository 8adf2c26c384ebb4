"""`council-node comment` and `suggest`: signed with the node's own key, for somebody to bring; nothing is sent."""

import pytest
from typer.testing import CliRunner

from council_node.cli import app
from council_node.node_store import DocumentKind
from federated.papers import open_comment
from federated.query import parse_query
from federated.release import open_release
from federated.suggestion import open_suggestion
from tests.integration.coordinator_federation import QUESTION
from tests.integration.federation_world import ME
from tests.unit.council_node.proof_round import eventful


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    world, seat, round_ = eventful(tmp_path_factory.mktemp("comment"))
    with world:
        yield seat, open_release(seat.station.store.latest(DocumentKind.RELEASE, round_.sid.hex()).body)


def run(seat, *arguments, command="comment"):
    settings = ["--settings", str(seat.folder / "node.yaml")]
    return CliRunner().invoke(app, [command, *map(str, arguments), *settings])


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


ASKED = QUESTION.replace("everyone", "all")


def suggested(seat, folder, question, *options):
    (folder / "question.yaml").write_text(question)
    (folder / "why.txt").write_text("Rents rose here.\n")
    out = folder / "suggestion.dsse"
    result = run(
        seat, folder / "question.yaml", "--text", folder / "why.txt", "--out", out, *options, command="suggest"
    )
    return result, out


@pytest.mark.parametrize("options", [(), ("--publish",)])
def test_a_suggested_question_is_signed_with_the_nodes_key_under_an_accepted_agreement(made, tmp_path, options):
    seat, _ = made
    result, out = suggested(seat, tmp_path, ASKED, *options)
    assert result.exit_code == 0, result.output
    read = open_suggestion(out.read_bytes(), council=ME, public_key=seat.key.public)
    assert (read.question, read.reason) == (parse_query(ASKED.encode()), "Rents rose here.")
    assert read.publish is bool(options)
    assert read.agreement == seat.world.agreement.id
    assert ("everybody" if options else "parties of the agreement alone") in " ".join(result.output.split())
    assert "does not allow it" not in result.output


def test_what_the_agreement_does_not_allow_can_be_suggested_and_is_said(made, tmp_path):
    seat, _ = made
    result, out = suggested(seat, tmp_path, ASKED.replace('epsilon: "1"', 'epsilon: "3"'))
    assert result.exit_code == 0, result.output
    assert out.exists()
    assert "The agreement does not allow it as it stands." in " ".join(result.output.split())


@pytest.mark.parametrize("wrong", ["main_age_band", "Families by age"])
def test_what_is_no_question_of_the_dictionary_or_steers_is_refused_and_nothing_is_written(made, tmp_path, wrong):
    seat, _ = made
    result, out = suggested(seat, tmp_path, ASKED.replace(wrong, "x" * 300))
    assert result.exit_code != 0
    assert not out.exists()


def test_an_agreement_that_was_not_accepted_is_refused(made, tmp_path):
    seat, _ = made
    result, out = suggested(seat, tmp_path, ASKED, "--agreement", "another")
    assert result.exit_code != 0
    assert not out.exists()
