"""Rounds that nobody comes back to end by themselves, on real nodes: secrets gone, reservations given back."""

import asyncio
import errno
import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest

from council_node import flower_service, service, staying_connected
from council_node.abandoned import abandoned_rounds_ended
from federated.errors import FileProblem
from federated.round_limit import ROUND_LIMIT
from protocols.secagg import ParticipantSession
from protocols.secagg.transitions import ParticipantState
from protocols.wire.link_message import Kind
from tests.integration.federation_world import COUNCILS, ME, Rehearsal, World, abort

MOMENT = timedelta(seconds=1)
LONGEST_S = 30


@pytest.fixture
def world(tmp_path):
    with World(tmp_path, councils=COUNCILS[:5]) as made:
        yield made


def begun(world, kind, *, nonce=1):
    """A round that has come so far, and its session at this council."""
    round_ = Rehearsal(world, world.propose(), nonce=nonce).until(kind)
    return round_, round_.seats[ME].node._rounds._active[round_.sid].session


@pytest.mark.parametrize(("kind", "state"), [(Kind.SHARES, "released"), (Kind.STATEMENTS, "spent")])
def test_a_round_ends_when_its_time_is_over_and_nobody_asks(world, kind, state):
    round_, session = begun(world, kind)
    me = round_.seats[ME]
    world.now += ROUND_LIMIT
    me.node.end_abandoned_rounds()
    assert session.state is not ParticipantState.ENDED
    world.now += MOMENT
    me.node.end_abandoned_rounds()
    assert session.state is ParticipantState.ENDED
    assert session._stage is None
    assert me.state(round_.sid) == state
    assert [event for event, _ in me.events].count("deletion_recorded") == 1
    assert "it has ended here" in me.ask(round_.message(kind, ME)).words
    me.node.end_abandoned_rounds()
    assert [event for event, _ in me.events].count("deletion_recorded") == 1


def test_secrets_of_all_are_gone_even_when_nothing_can_be_written_and_the_rest_follows(world, monkeypatch):
    rounds = [begun(world, Kind.SHARES, nonce=nonce) for nonce in (1, 2)]
    me = world.seat(ME)
    world.now += ROUND_LIMIT + MOMENT

    def full(*_):
        raise FileProblem("No space left on the disk.")

    with monkeypatch.context() as patched:
        patched.setattr(me.station, "give_back", full)
        with pytest.raises(FileProblem):
            me.node.end_abandoned_rounds()
    assert [session.state for _, session in rounds] == [ParticipantState.ENDED] * 2
    assert [me.state(round_.sid) for round_, _ in rounds] == ["reserved"] * 2
    me.node.end_abandoned_rounds()
    assert [me.state(round_.sid) for round_, _ in rounds] == ["released"] * 2


def test_a_round_is_not_ended_in_the_middle_of_an_answer(world, monkeypatch):
    round_, session = begun(world, Kind.SHARES)
    me, counting, go_on = round_.seats[ME], threading.Event(), threading.Event()
    compute = me.station.compute

    def slow(*asked):
        world.now += ROUND_LIMIT + MOMENT
        counting.set()
        assert go_on.wait(LONGEST_S)
        return compute(*asked)

    monkeypatch.setattr(me.station, "compute", slow)
    replies = []
    asked = threading.Thread(target=lambda: replies.append(me.ask(round_.message(Kind.SHARES, ME))))
    asked.start()
    assert counting.wait(LONGEST_S)
    ending = threading.Thread(target=me.node.end_abandoned_rounds)
    ending.start()
    ending.join(0.2)
    assert ending.is_alive()
    assert session.state is not ParticipantState.ENDED
    go_on.set()
    for thread in (asked, ending):
        thread.join(LONGEST_S)
    assert [reply.kind for reply in replies] == [Kind.MASKED_INPUT]
    assert session.state is ParticipantState.ENDED
    assert me.state(round_.sid) == "spent"


def test_a_clock_that_is_set_back_far_ends_a_round_too(world):
    _, session = begun(world, Kind.SHARES)
    me = world.seat(ME)
    world.now -= ROUND_LIMIT
    me.node.end_abandoned_rounds()
    assert session.state is not ParticipantState.ENDED
    world.now -= MOMENT
    me.node.end_abandoned_rounds()
    assert session.state is ParticipantState.ENDED


def test_a_round_that_cannot_begin_gives_its_reservation_back(world, monkeypatch):
    proposal = world.propose()
    me = world.seat(ME)
    assert me.propose(proposal).body["decision"] == "approved"
    monkeypatch.setattr(ParticipantSession, "advertise", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        me.invite(proposal.plan)
    (held,) = me.station.ledger.rounds()
    assert held.state.value == "released"


# The thread that looks


class Looked:
    """A node that is looked after so many times; the first looks fail."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.looks = 0
        self.enough = threading.Event()

    def end_abandoned_rounds(self):
        self.looks += 1
        if self.failures:
            raise self.failures.pop(0)
        self.enough.set()


def test_a_look_that_fails_is_told_and_followed_by_another():
    node, told = Looked(FileProblem("No space left."), ValueError("a case value")), []
    with abandoned_rounds_ended(node, lambda *event: told.append(event), wait=lambda stop: stop.wait(0.001)):
        assert node.enough.wait(LONGEST_S)
    looks = node.looks
    assert [event for event, _ in told] == ["stage_failed", "uncaught"]
    assert "No space left" in told[0][1]["reason"]
    assert told[1][1]["error"] == "ValueError"
    assert "case value" not in str(told[1])
    assert not [thread for thread in threading.enumerate() if thread.name == "abandoned rounds"]
    assert node.looks == looks


@pytest.mark.parametrize("failure", [FileProblem("No space left."), ValueError("a case value")])
def test_a_look_follows_also_where_the_log_cannot_be_written(failure):
    """A full disk, or a collector that is gone: whoever reads the log learns nothing, and the secrets go all the same."""
    node, unwritten = Looked(failure, failure), [OSError(errno.ENOSPC, "No space left on device"), BrokenPipeError()]

    def log(_event, _fields):
        if unwritten:
            raise unwritten.pop(0)

    with abandoned_rounds_ended(node, log, wait=lambda stop: stop.wait(0.001)):
        assert node.enough.wait(LONGEST_S)
    assert unwritten == []
    assert node.looks >= 3


@pytest.mark.parametrize("served", ["link", "flower"])
def test_both_ways_to_serve_a_node_look(world, monkeypatch, served):
    seat, looking = world.seat(ME), []

    @contextmanager
    def noted(node, log):
        looking.append(node)
        yield
        looking.append("over")

    async def link(_link, _stop):
        looking.append("serving")

    def executor(_executor, _stop):
        looking.append("serving")

    if served == "link":
        monkeypatch.setattr(service, "abandoned_rounds_ended", noted)
        monkeypatch.setattr(staying_connected.NodeLink, "run", link)
        monkeypatch.setattr(staying_connected, "_stop_when_told", asyncio.Event)
        asyncio.run(service._serve(seat.station))
    else:
        seat.station.__exit__(None, None, None)
        stop = threading.Event()
        stop.set()
        monkeypatch.setattr(flower_service, "abandoned_rounds_ended", noted)
        monkeypatch.setattr(flower_service, "_stop_when_told", lambda: stop)
        monkeypatch.setattr(flower_service.Executor, "run", executor)
        flower_service.run_executor(seat.folder / "node.yaml", None, frozenset())
    assert looking[1:] == ["serving", "over"]
    assert looking[0].answer(abort(bytes(32)))
