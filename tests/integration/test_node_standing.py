"""What may change between an invitation and the charge, and what a node's own files may say about it."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from federated.errors import QueryError
from federated.query import Equals
from federated.roster import ROSTER_TYPE, parse_roster, roster_payload
from federated.signing import sign_payload
from protocols.wire.link_message import Kind
from tests.integration.federation_world import COUNCILS, ME, NOW, SIGNER_A, SIGNER_B, Rehearsal, World

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
