"""A question as its decider sees it, and the pack that a forum gets."""

import hashlib
import json
import zipfile

import pytest
from typer.testing import CliRunner

from council_node.agreements import agreement_path
from council_node.cli import app
from council_node.decisions import Decisions, red_lines_to_answer
from council_node.node_store import NodeStore
from council_node.question_pack import write_pack
from council_node.question_view import find_question, view_question, waiting_first
from council_node.settings import read_settings
from federated.errors import FileProblem
from federated.query import Equals, Measured, Not, Points, Table
from protocols.wire.link_message import Kind
from tests.integration.federation_world import CANARY, ME, NOW, Rehearsal, World

PERSON = {"by": "Robin Example", "role": "data protection officer", "reason": "It is clear and short"}
FORUM = "Governance forum of the region, minute 7"


@pytest.fixture
def world(tmp_path):
    with World(tmp_path) as made:
        yield made


def view_of(world, proposal):
    settings = read_settings(world.seat().folder / "node.yaml")
    with NodeStore.open(settings.store_file) as store:
        return view_question(settings, store, find_question(store, proposal.plan.digest.hex()[:8]), NOW)


def text_of(view):
    return "\n".join(line for part in (*view.sections, *view.own) for line in part.lines)


def waiting(world, **changes):
    seat = world.seat()
    seat.policy(automatic=False, **changes)
    proposal = world.propose(
        world.question(where=Not(condition=Equals(column="household_type", value="single_adult_other")))
    )
    assert seat.propose(proposal).body["decision"] == "pending"
    return proposal


def test_the_benefit_stands_first_and_every_field_is_named_with_its_class(world):
    proposal = waiting(world)
    view = view_of(world, proposal)
    assert view.sections[0].title == "What your council and its residents get"
    assert view.manifest.benefit_to_residents in view.sections[0].lines[1]
    fields = next(part for part in view.sections if part.title == "Fields that are read")
    for column in proposal.plan.question.columns():
        assert any(line.startswith(f"{column} (") and "personal" in line for line in fields.lines)
    assert any("not (household_type is single_adult_other)" in line for line in fields.lines)
    assert CANARY not in text_of(view)


def test_it_says_what_is_measured_and_in_which_steps(world):
    points = Points(base=0, terms=((Equals(column="assessment_outcome", value="relief_owed"), 60),))
    wide = Measured(measure=points, low=0, high=64)
    asked = world.question(tables=(Table(name="spread", statistic="variance", measures=(wide,)),))
    seat = world.seat()
    seat.policy(automatic=False)
    proposal = world.propose(asked)
    # The agreement does not list this statistic; what is refused is told all the same.
    assert seat.propose(proposal).body["decision"] == "refused"
    said = text_of(view_of(world, proposal))
    assert "Table 'spread' reads points: 0; 60 where assessment_outcome is relief_owed, held between 0 and 64." in said
    assert "Table 'spread' counts in steps of 32. Each council rounds once, after adding up." in said


def test_it_says_what_the_question_costs_and_what_remains(world):
    proposal = waiting(world, cap={"epsilon": "3", "delta": "0.000001"}, class_2_cap={"epsilon": "1", "delta": "0.1"})
    before = text_of(view_of(world, proposal))
    assert "epsilon 1, which counts as rho 1/2" in before
    assert "Under this agreement in 2026, room for one more question of epsilon 19," in before
    assert "Of this council's own cap for 2026, room for one more question of epsilon 2," in before
    assert "most sensitive columns" not in before
    seat = world.seat()
    seat.station.reserve(proposal.plan, proposal.plan.digest, NOW)
    assert text_of(view_of(world, proposal)) == before  # its charge is counted once


def test_status_and_the_list_tell_a_program_the_same_of_a_question(world):
    proposal = waiting(world)
    told = []
    for command in ("questions", "status"):
        ran = CliRunner().invoke(app, [command, "--json", "--settings", str(world.seat().folder / "node.yaml")])
        told.append(json.loads(ran.stdout))
    [row] = told[0]
    assert told[1]["decisions"] == [row]
    assert (row["plan_digest"], row["decision"], row["rule"]) == (proposal.plan.digest.hex(), "pending", "")
    assert set(row) == {"plan_digest", "title", "decision", "rule", "reason", "decided_at"}


def test_the_red_lines_to_answer_are_those_the_node_asks(world):
    view = view_of(world, waiting(world))
    assert view.to_answer == red_lines_to_answer(view.decision)
    assert set(view.to_answer) == {line.name for line in view.lines if line.standing.value == "ask"} != set()
    shown = view.as_json()
    assert json.dumps(shown)
    assert shown["to_answer"] == list(view.to_answer)


def test_who_decided_and_on_which_forum_is_shown_here(world):
    proposal = waiting(world)
    seat = world.seat()
    decisions = Decisions(seat.station.store, ME, seat.key)
    answers = dict.fromkeys(red_lines_to_answer(decisions.latest(proposal.plan.digest)), True)
    decisions.approve(proposal.plan.digest, answers=answers, forum=FORUM, now=NOW, **PERSON)
    said = text_of(view_of(world, proposal))
    assert PERSON["by"] in said
    assert FORUM in said


def test_what_waits_comes_first(world):
    done = world.propose()
    world.seat().propose(done)
    proposal = waiting(world)
    later = world.propose()
    world.seat().policy(automatic=True)
    world.seat().propose(later)
    found = waiting_first(world.seat().station.store)
    assert next(item.plan_digest for item in found) == proposal.plan.digest
    assert len(found) == 3


def test_a_pack_for_a_forum_holds_nothing_of_this_council(world, tmp_path):
    proposal = waiting(world, approvals_needed=["data protection officer", "keeper of the seal"])
    seat = world.seat()
    decisions = Decisions(seat.station.store, ME, seat.key)
    answers = dict.fromkeys(red_lines_to_answer(decisions.latest(proposal.plan.digest)), True)
    decisions.approve(proposal.plan.digest, answers=answers, forum=FORUM, now=NOW, **PERSON)
    view = view_of(world, proposal)
    write_pack(view, tmp_path / "pack.zip")
    write_pack(view, tmp_path / "again.zip")
    write_pack(view, tmp_path / "pack.md")
    assert (tmp_path / "pack.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "pack.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for line in files["SHA256SUMS"].decode().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256(files[name]).hexdigest() == digest
    assert files["plan.json"] == proposal.content
    assert files["review.md"] == (tmp_path / "pack.md").read_bytes()
    everything = b"\n".join(files.values()).decode()
    own = [PERSON["by"], PERSON["reason"], FORUM, "keeper of the seal", CANARY, "room for one more"]
    assert [text for text in own if text in everything] == []
    assert "73.2 in 100" in files["review.md"].decode()
    # The control: the council's own view does hold them.
    assert all(text in text_of(view) for text in (PERSON["by"], FORUM, "keeper of the seal", "room for one more"))


@pytest.mark.parametrize("name", ["pack.pdf", "pack", "absent/pack.zip"])
def test_a_pack_that_cannot_be_written_is_one_sentence(world, tmp_path, name):
    view = view_of(world, waiting(world))
    with pytest.raises(FileProblem, match="pack"):
        write_pack(view, tmp_path / name)


def test_a_question_that_is_not_here_is_one_sentence(world):
    proposal = waiting(world)
    settings = read_settings(world.seat().folder / "node.yaml")
    with NodeStore.open(settings.store_file) as store, pytest.raises(FileProblem, match="0 proposed questions"):
        find_question(store, "ffff")
    agreement_path(settings, world.agreement.id).unlink()
    with pytest.raises(FileProblem, match="the agreement cannot be read"):
        view_of(world, proposal)


def test_a_question_can_be_looked_at_after_it_was_answered(world):
    round_ = Rehearsal(world, world.propose()).until(Kind.SURVIVORS)
    view = view_of(world, round_)
    assert view.decision.basis
    assert "It rests on the policy" in text_of(view)
