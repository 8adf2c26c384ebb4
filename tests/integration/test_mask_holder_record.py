"""One sum for each plan, whatever happens to the mask holder's folder, its clock and its turns."""

import json
import shutil
import threading
from dataclasses import replace
from datetime import date, timedelta

import pytest
import yaml

from federated.errors import FileProblem
from federated.roster import ROSTER_TYPE, parse_roster
from federated.round_limit import ROUND_LIMIT
from federated.signing import sign_payload, unsafe_payload
from mask_holder.office import Office
from mask_holder.rounds import MAX_ROUNDS
from mask_holder.settings import read_settings
from protocols.errors import LocalProtocolError
from protocols.secagg import HolderSession, Stage, participant, round_id
from protocols.wire.link_message import Kind, LinkMessage
from tests.integration.federation_world import HUB, NOW, SIGNER_A, SIGNER_B, invitation, round_of
from tests.integration.mask_holder_world import DeskRehearsal, HeldWorld, hold_message
from tests.simulation.secagg_rehearsal import Rehearsal


@pytest.fixture
def world(tmp_path):
    with HeldWorld(tmp_path) as made:
        made.told()
        yield made


def asked_to_open(round_):
    return round_.packed(Kind.OPEN, round_.aggregator.opening_request())


def held_again(world, proposal, *, nonce):
    invited = json.loads(LinkMessage.decode(invitation(world, proposal.plan, attempt=2, nonce=nonce)).payload)
    return world.holder.ask(hold_message(proposal, round_of(world, proposal.plan, attempt=2, nonce=nonce), invited))


@pytest.mark.parametrize("loss", ["record", "folder", "content"])
def test_a_mask_holder_whose_record_is_lost_does_not_start(world, loss):
    settings = world.holder.office.settings
    proposal = world.propose()
    DeskRehearsal(world, proposal).until(Kind.STATEMENTS).unmask()
    world.holder.close()
    kept = settings.record_file.read_bytes()
    if loss == "folder":  # all of it, so that nothing says that there ever was one
        shutil.rmtree(settings.state)
        settings.state.mkdir()
    elif loss == "record":
        settings.record_file.unlink()
    else:
        settings.record_file.write_bytes(b"")
    with pytest.raises(FileProblem, match="though `mask-holder init` made one"):
        world.holder.open()
    settings.record_file.write_bytes(kept)
    world.holder.open()
    if loss == "folder":
        world.told()
    assert held_again(world, proposal, nonce=2).rule == "opened_before"


def test_one_folder_is_of_one_program(world):
    office = world.holder.office
    with pytest.raises(FileProblem, match="is in use by another program"):
        Office(
            read_settings(world.holder.folder / "mask-holder.yaml"), clock=office.now, rng=office.rng, log=office.log
        )


@pytest.mark.parametrize("days", [-400, -1, 1])
def test_a_clock_that_was_moved_opens_nothing_again(world, days):
    proposal = world.propose(not_before=NOW - timedelta(days=30))
    first = DeskRehearsal(world, proposal, nonce=1).until(Kind.STATEMENTS)
    second = DeskRehearsal(world, proposal, nonce=2, attempt=2).until(Kind.STATEMENTS)
    first.unmask()
    world.now += timedelta(days=days)
    assert world.holder.ask(asked_to_open(second)).kind is Kind.COMPLAINT
    assert held_again(world, proposal, nonce=3).kind is Kind.REFUSAL
    world.now -= timedelta(days=days)
    assert world.holder.ask(asked_to_open(second)).kind is Kind.COMPLAINT
    assert held_again(world, proposal, nonce=3).rule == "opened_before"
    assert world.opened() == [(proposal.plan.digest, 1)]


def test_requests_that_race_for_one_plan_open_one_sum(world):
    proposal = world.propose()
    rounds = [DeskRehearsal(world, proposal, nonce=n, attempt=n).until(Kind.STATEMENTS) for n in (1, 2)]
    start, said = threading.Barrier(4), []

    def ask(request):
        start.wait()
        said.append(world.holder.ask(request))

    # Each asked for twice: the same words may be answered twice, with the same bytes.
    threads = [threading.Thread(target=ask, args=(asked_to_open(round_),)) for round_ in rounds * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened = [item.payload for item in said if item.kind is Kind.OPENED]
    assert len(opened) == 2
    assert len(set(opened)) == 1
    assert sorted(item.rule for item in said if item.kind is Kind.COMPLAINT) == ["opened_before", "unknown_round"]
    assert world.opened() == [(proposal.plan.digest, 1)]


def test_rounds_that_are_never_opened_take_no_more_room_than_there_is(world):
    proposal = world.propose()
    invited = json.loads(LinkMessage.decode(invitation(world, proposal.plan)).payload)

    def held(number):
        nonce = number.to_bytes(32, "big")
        sid = round_id(
            plan_digest=proposal.plan.digest,
            roster_digest=proposal.plan.roster_digest,
            coordinator_id=HUB,
            attempt=1,
            nonce=nonce,
        )
        return world.holder.ask(hold_message(proposal, sid, invited | {"nonce": nonce.hex()}))

    assert {held(number).kind for number in range(MAX_ROUNDS)} == {Kind.HELD}
    full = held(MAX_ROUNDS)
    assert (full.kind, full.rule) == (Kind.REFUSAL, "busy")
    world.now += ROUND_LIMIT + timedelta(seconds=1)
    assert held(MAX_ROUNDS).kind is Kind.HELD
    assert len(world.holder.desk._rounds._held) == 1


def test_what_was_written_down_and_never_left_counts_as_opened(world, monkeypatch):
    proposal = world.propose()
    round_ = DeskRehearsal(world, proposal).until(Kind.STATEMENTS)

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(HolderSession, "open", stopped)
        with pytest.raises(KeyboardInterrupt):
            world.holder.send(asked_to_open(round_))
    world.holder.restart()
    assert world.opened() == [(proposal.plan.digest, 1)]
    assert world.holder.ask(asked_to_open(round_)).rule == "unknown_round"
    assert held_again(world, proposal, nonce=2).rule == "opened_before"


def test_a_council_whose_key_has_run_out_does_not_vote_for_a_sum(world):
    last = world.councils[-1]
    document = yaml.safe_load(unsafe_payload(world.roster_envelope, ROSTER_TYPE))
    document["epoch"] += 1
    document["councils"][-1]["valid_to"] = NOW.date()
    payload = yaml.safe_dump(document).encode()
    world.roster, world.roster_envelope = (
        parse_roster(payload),
        sign_payload(payload, ROSTER_TYPE, [SIGNER_A, SIGNER_B]),
    )
    for seat in (world.holder, *world.seats().values()):
        assert seat.ask(world.roster_message(world.roster_envelope)).kind is Kind.RECEIPT
    world.now = NOW + timedelta(hours=12)
    round_ = DeskRehearsal(world, world.propose()).until(Kind.STATEMENTS)
    assert world.now.date() == date(2026, 3, 2)
    world.now += timedelta(hours=3)
    said = world.holder.ask(asked_to_open(round_))
    assert (said.kind, said.rule) == (Kind.COMPLAINT, "roster")
    assert f"council {last} may not take part today" in said.words
    assert world.opened() == []


def test_a_council_that_agreed_on_nothing_with_the_holder_sends_nothing():
    round_ = Rehearsal(5, holder=True, min_honest=2).play()
    council = next(iter(round_.sessions))
    shared = round_.states[council][Stage.KEY_SHARES]
    request = round_.requests[Stage.SHARES][council]
    assert len(participant.accept_shares(shared, request).masks) == 6  # own, four peers', the holder's
    with pytest.raises(LocalProtocolError, match="agreed on nothing with"):
        participant.accept_shares(replace(shared, with_holder=None), request)
