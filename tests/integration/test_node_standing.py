"""What may change between an invitation and the charge, and what a node's own files may say about it."""

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pytest
import yaml

from council_node.decisions import Decisions, red_lines_to_answer
from council_node.node_store import NodeStore
from council_node.station import Station
from federated.errors import QueryError
from federated.query import Equals, Period
from federated.roster import ROSTER_TYPE, parse_roster, roster_payload
from federated.schema import load_schema
from federated.signing import sign_payload
from protocols.wire.link_message import Kind
from tests.integration.federation_world import COUNCILS, ME, NOW, SIGNER_A, SIGNER_B, Rehearsal, World, round_of

OTHER = COUNCILS[3]
YESTERDAY = NOW.date() - timedelta(days=1)


@pytest.fixture
def world(tmp_path):
    with World(tmp_path) as made:
        yield made


def with_days(world: World, **days: date) -> None:
    """The list of councils, in which one council may take part on other days."""
    old = world.roster
    entries = [replace(entry, **days) if entry.id == OTHER else entry for entry in old.councils.values()]
    payload = roster_payload(
        epoch=old.epoch,
        not_before=old.not_before,
        not_after=old.not_after,
        coordinator=old.coordinator,
        councils=entries,
    )
    world.roster_envelope = sign_payload(payload, ROSTER_TYPE, [SIGNER_A, SIGNER_B])
    world.roster = parse_roster(payload)


@pytest.mark.parametrize("days", [{"valid_to": YESTERDAY}, {"valid_from": NOW.date() + timedelta(days=1)}])
def test_no_data_is_read_for_a_round_with_a_key_that_is_not_good_today(world, days):
    with_days(world, **days)
    round_ = Rehearsal(world, world.propose()).until(Kind.SHARES)
    me = round_.seats[ME]
    said = me.ask(round_.message(Kind.SHARES, ME))
    assert (said.kind, said.rule) == (Kind.COMPLAINT, "roster"), said
    assert OTHER in said.words
    assert me.state(round_.sid) == "released"


def test_no_data_is_read_once_a_newer_list_of_councils_came(world):
    round_ = Rehearsal(world, world.propose()).until(Kind.SHARES)
    me = round_.seats[ME]
    envelope, _ = world.make_roster(epoch=4, name="Hub, renamed")
    assert me.ask(world.roster_message(envelope)).kind is Kind.RECEIPT
    said = me.ask(round_.message(Kind.SHARES, ME))
    assert (said.kind, said.rule) == (Kind.COMPLAINT, "roster"), said
    assert me.state(round_.sid) == "released"


def test_two_lists_of_councils_with_one_epoch_are_told_to_people_at_the_council(world):
    seat = world.seat()
    envelope, _ = world.make_roster(name="Hub, renamed")
    assert seat.ask(world.roster_message(envelope)).rule == "roster_alarm"
    [alarm] = [fields for event, fields in seat.events if event == "roster_alarm"]
    assert "two different lists" in alarm["reason"]


@pytest.mark.parametrize("name", ["policy", "mapping"])
@pytest.mark.parametrize("asked", ["proposal", "invitation"])
def test_what_stands_in_a_councils_own_files_is_not_told(world, name, asked):
    seat = world.seat()
    proposal = world.propose()
    if asked == "invitation":
        seat.propose(proposal)
    settings = seat.station.settings
    path = settings.policy if name == "policy" else settings.data["case"]
    path.write_text("CANARY-SETTING: [unfinished\n", encoding="utf-8")
    said = seat.propose(proposal) if asked == "proposal" else seat.invite(proposal.plan)
    assert said.kind is Kind.FAULT
    assert "CANARY" not in said.words
    assert str(world.folder) not in said.words
    assert path.name not in said.words


@pytest.mark.parametrize("number", ["²", "--5", "٣", "9" * 19])
def test_a_number_that_a_node_could_not_read_is_refused_before_anything_is_charged(world, number):
    with pytest.raises(QueryError, match="not a whole number"):
        world.propose(world.question(where=Equals(column="dependent_children_n", value=number)))


# A policy that became stricter between the invitation and the charge

TIGHTENED = [
    ("paused", {"paused": True}, "paused"),
    ("column_refused", {"refuse_columns": ["assessment_outcome"]}, "council_policy"),
    ("statistic_refused", {"refuse_statistics": ["households"]}, "council_policy"),
    ("question_too_dear", {"max_epsilon_per_query": "0.5"}, "council_policy"),
    ("too_few_councils", {"min_cohort": 6}, "council_policy"),
    ("cap_lowered", {"cap": {"epsilon": "0.5", "delta": "0.000001"}}, "council_policy"),
    ("level_refused", {"levels": ["region"]}, "council_policy"),
    ("group_refused", {"groups": ["others"]}, "council_policy"),
    ("purpose_refused", {"refuse_purposes": ["prevention"]}, "council_policy"),
    ("too_many_cells", {"max_cells": 3}, "cells"),
    ("extract_too_old", {"max_extract_age_days": 1}, "extract_age"),
    ("left_to_a_person", {"automatic": False}, "not_approved"),
    ("automatic_only_below", {"automatic_max_epsilon": "0.5"}, "not_approved"),
    ("red_lines_unanswered", {"red_lines": {}}, "not_approved"),
]


@pytest.mark.parametrize(("changes", "rule"), [case[1:] for case in TIGHTENED], ids=[case[0] for case in TIGHTENED])
def test_a_policy_made_stricter_after_the_invitation_is_kept_to(world, changes, rule):
    round_ = Rehearsal(world, world.propose()).until(Kind.SHARES)
    me = round_.seats[ME]
    assert me.state(round_.sid) == "reserved"
    me.policy(**changes)
    said = me.ask(round_.message(Kind.SHARES, ME))
    assert (said.kind, said.rule) == (Kind.COMPLAINT, rule), said
    assert me.state(round_.sid) == "released"
    assert me.station.load_reports == {}


@pytest.mark.parametrize("changes", [{}, {"max_cells": 500}, {"cap": {"epsilon": "1", "delta": "0.000001"}}])
def test_a_policy_that_still_covers_the_round_lets_it_go_on(world, changes):
    """Its own reservation is not counted twice: the cap of 1 has room for exactly this charge."""
    round_ = Rehearsal(world, world.propose()).until(Kind.SHARES)
    me = round_.seats[ME]
    me.policy(**changes)
    assert me.ask(round_.message(Kind.SHARES, ME)).kind is Kind.MASKED_INPUT
    assert me.state(round_.sid) == "spent"


def test_a_policy_that_stayed_as_it_was_is_not_gone_through_again(world, monkeypatch):
    round_ = Rehearsal(world, world.propose()).until(Kind.SHARES)
    me = round_.seats[ME]
    reviews = []
    monkeypatch.setattr("council_node.proposals.review", lambda *_: reviews.append(1))
    assert me.ask(round_.message(Kind.SHARES, ME)).kind is Kind.MASKED_INPUT
    assert reviews == []


def test_another_version_of_the_agreement_accepted_after_the_invitation_ends_the_round(world):
    round_ = Rehearsal(world, world.propose()).until(Kind.SHARES)
    world.accept(ME, world.make_agreement(version=4)[0])
    said = round_.seats[ME].ask(round_.message(Kind.SHARES, ME))
    assert (said.kind, said.rule) == (Kind.COMPLAINT, "agreement_not_accepted"), said
    assert round_.seats[ME].state(round_.sid) == "released"


# Repeats of a question that a person approved

APRIL = Period(column="assessment_date", start=date(2025, 4, 1), end=date(2025, 6, 30))
PERSON = {"by": "A Person", "role": "data protection officer", "reason": "It is clear"}


def test_a_repeat_of_an_approved_question_is_answered_without_asking_again(world):
    seat = world.seat()
    seat.policy(automatic=False, standing_approval_days=60)
    first, second = world.propose(), world.propose(world.question(period=APRIL))
    assert seat.propose(first).body["decision"] == "pending"
    decisions = Decisions(seat.station.store, ME, seat.key)
    answers = dict.fromkeys(red_lines_to_answer(decisions.latest(first.plan.digest)), True)
    decisions.approve(first.plan.digest, answers=answers, now=world.now, **PERSON)
    assert seat.propose(second).body["decision"] == "approved"
    assert first.plan.digest.hex() in decisions.latest(second.plan.digest).basis
    dearer = world.propose(world.question(period=APRIL, epsilon=Fraction(1, 2)))
    assert seat.propose(dearer).body["decision"] == "pending"
    other_use = world.make_manifest(decision="In June 2026 the board decides which two towns get a night shelter.")
    assert seat.propose(world.propose(manifest=other_use)).body["decision"] == "pending"
    # Taking the approval back takes its repeats back as well, and they lapse with time.
    assert seat.invite(second.plan).kind is Kind.ADVERT
    decisions.withdraw(first.plan.digest, now=world.now, **PERSON)
    assert seat.propose(second).body["decision"] == "pending"


def test_a_repeat_waits_for_a_person_where_the_policy_does_not_say_otherwise_or_time_is_over(world):
    seat = world.seat()
    seat.policy(automatic=False)
    first, second = world.propose(), world.propose(world.question(period=APRIL))
    seat.propose(first)
    decisions = Decisions(seat.station.store, ME, seat.key)
    answers = dict.fromkeys(red_lines_to_answer(decisions.latest(first.plan.digest)), True)
    decisions.approve(first.plan.digest, answers=answers, now=world.now, **PERSON)
    assert seat.propose(second).body["decision"] == "pending"
    seat.policy(standing_approval_days=5)
    assert seat.propose(second).body["decision"] == "approved"
    world.now += timedelta(days=6)
    assert seat.propose(second).body["decision"] == "pending"


def by_a_person(world, **policy):
    """A seat whose people approved a first question, and their decisions."""
    seat = world.seat()
    seat.policy(automatic=False, **policy)
    first = world.propose()
    seat.propose(first)
    decisions = Decisions(seat.station.store, ME, seat.key, policy.get("approvals_needed", ()))
    answers = dict.fromkeys(red_lines_to_answer(decisions.latest(first.plan.digest)), True)
    decisions.approve(first.plan.digest, answers=answers, now=world.now, **PERSON)
    return seat, decisions, first, answers


EIGHT = tuple(sorted(council.id for council in load_schema().councils.values() if council.region == "E12000001"))[:8]


def test_a_crossing_of_protected_characteristics_waits_for_a_person_each_time(tmp_path):
    """Whatever the policy says, and whatever people approved before (requirement R52)."""
    with World(tmp_path, councils=EIGHT, agreement={"min_cohort": 4}) as world:
        seat = world.seat()
        path = seat.folder / "mapping.yaml"
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
        mapping["columns"]["main_age_band"] = {
            "from": "household_type"
        }  # every code is unknown there, and no case read
        path.write_text(yaml.safe_dump(mapping), encoding="utf-8")
        seat.policy(automatic=True, class_2="as_agreed", standing_approval_days=60)
        manifest = world.make_manifest(columns=("household_type", "main_age_band"))

        def crossing(*columns, **changes):
            return world.propose(world.question(*columns, **changes), manifest=manifest)

        assert seat.propose(crossing("household_type")).body["decision"] == "approved"
        first = crossing("household_type", "main_age_band")
        said = seat.propose(first)
        assert said.body["decision"] == "pending", said.words
        assert "singles out groups by age and sex, which only a person may approve" in said.words
        assert seat.invite(first.plan).rule == "not_approved"
        decisions = Decisions(seat.station.store, ME, seat.key)
        answers = dict.fromkeys(red_lines_to_answer(decisions.latest(first.plan.digest)), True)
        decisions.approve(first.plan.digest, answers=answers, now=world.now, **PERSON)
        assert seat.propose(first).body["decision"] == "approved"
        assert seat.propose(crossing("household_type", "main_age_band", period=APRIL)).body["decision"] == "pending"


def test_people_get_a_word_in_while_the_node_looks_at_its_extract(world, monkeypatch):
    """A large extract or a slow database takes its time, and a coordinator may propose again and again."""
    monkeypatch.setattr("council_node.durable_sqlite.BUSY_TIMEOUT_S", 0.05)
    seat, _, first, _ = by_a_person(world)
    looks = Station.coverage
    said = []

    def slow(station, question):
        with NodeStore.open(station.settings.store_file) as store:
            decisions = Decisions(store, ME, seat.key)
            if not said:
                said.append(decisions.withdraw(first.plan.digest, now=world.now, **PERSON).verdict.value)
        return looks(station, question)

    monkeypatch.setattr(Station, "coverage", slow)
    assert (seat.propose(first).rule, said) == ("withdrawn", ["refused"])


def test_no_approval_covers_a_repeat_once_people_took_a_repeat_back(world):
    """The same question under another nonce would otherwise undo what they decided."""
    seat, decisions, _, answers = by_a_person(world, standing_approval_days=60)
    second = world.propose(world.question(period=APRIL))
    assert seat.propose(second).body["decision"] == "approved"
    world.now += timedelta(minutes=1)
    decisions.withdraw(second.plan.digest, now=world.now, **PERSON)
    again = world.propose(world.question(period=APRIL))
    said = seat.propose(again)
    assert said.body["decision"] == "pending"
    assert "people here refused the same question, or took it back, on 2026-03-02" in said.words
    world.now += timedelta(minutes=1)
    decisions.approve(again.plan.digest, answers=answers, now=world.now, **PERSON)
    assert seat.propose(world.propose(world.question(period=APRIL))).body["decision"] == "approved"


def test_a_question_that_people_took_back_is_not_approved_by_policy_under_another_nonce(world):
    seat = world.seat()
    first, other = world.propose(), world.propose(world.question(epsilon=Fraction(1, 2)))
    assert seat.propose(first).body["decision"] == "approved"
    Decisions(seat.station.store, ME, seat.key).withdraw(first.plan.digest, now=world.now, **PERSON)
    assert seat.propose(world.propose()).body["decision"] == "pending"
    assert seat.propose(other).body["decision"] == "approved"


def test_a_standing_approval_needs_everybody_whom_the_policy_needs_by_now(world):
    seat, *_ = by_a_person(world, standing_approval_days=60)
    assert seat.propose(world.propose()).body["decision"] == "approved"
    seat.policy(approvals_needed=["data protection officer", "caldicott guardian"])
    assert seat.propose(world.propose()).body["decision"] == "pending"


def test_no_data_is_read_for_a_repeat_once_the_approval_it_rests_on_was_taken_back(world):
    _, decisions, first, _ = by_a_person(world, standing_approval_days=60)
    round_ = Rehearsal(world, world.propose(world.question(period=APRIL))).until(Kind.SHARES)
    me = round_.seats[ME]
    decisions.withdraw(first.plan.digest, now=world.now, **PERSON)
    said = me.ask(round_.message(Kind.SHARES, ME))
    assert (said.kind, said.rule) == (Kind.COMPLAINT, "not_approved"), said
    assert me.state(round_.sid) == "released"


def test_questions_on_the_most_sensitive_columns_have_a_lower_cap_of_their_own(world):
    seat = world.seat()
    path = seat.folder / "mapping.yaml"
    mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
    mapping["columns"]["reason_loss"] = {"from": "household_type"}  # every code is unknown there, which does no harm
    path.write_text(yaml.safe_dump(mapping), encoding="utf-8")
    half = {"epsilon": "0.5", "delta": "0.000001"}
    seat.policy(class_2="as_agreed", class_2_cap=half, class_2_max_epsilon_per_query="0.5")
    manifest = world.make_manifest(columns=("reason_loss_group",))

    def sensitive(epsilon):
        return world.propose(world.question("reason_loss_group", epsilon=epsilon), manifest=manifest)

    for proposal, sensitivity in ((world.propose(), False), (sensitive(Fraction(1, 2)), True)):
        assert seat.propose(proposal).body["decision"] == "approved"
        assert seat.invite(proposal.plan).kind is Kind.ADVERT
        assert seat.charge(round_of(world, proposal.plan)).class_2 is sensitivity
    assert seat.station.ledger.committed_in(str(NOW.year), class_2=True).epsilon == Fraction(1, 2)
    said = seat.propose(sensitive(Fraction(1, 4)))
    assert (said.rule, "on the most sensitive columns" in said.words) == ("council_policy", True)
    said = seat.propose(sensitive(Fraction(1)))
    assert (said.rule, "'reason_loss_group'" in said.words) == ("council_policy", True)
    assert seat.propose(world.propose()).body["decision"] == "approved"
