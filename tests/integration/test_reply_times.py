"""The time of a council's replies does not tell how many cases it has: real nodes, with very different extracts."""

import asyncio
import ctypes
import json
import os
import statistics
import time
from fractions import Fraction
from itertools import product

import pytest

from council_node import flower_service, service
from council_node.node import CouncilNode
from council_node.pacing import OPENS_THE_EXTRACT, paced
from protocols.wire.link_message import REPLIES, Kind, LinkMessage
from tests.evidence import record
from tests.integration.federation_world import COUNCILS, ME, Rehearsal, World, abort
from tests.integration.test_message_sizes import write_records
from tests.unit.council_node.proof_round import answered

MS = 1_000_000
STEP_MS = 250
FEW, MANY = "nobody", "twenty thousand in one cell"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with World(tmp_path_factory.mktemp("times"), councils=COUNCILS[:5]) as made:
        yield made


# Which requests open the extract: as the system tells, whichever library opens it.


class Opened:
    """Tells whether a file was opened since it was last asked (inotify(7))."""

    OPENED = 0x20

    def __init__(self, path):
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._handle >= 0, os.strerror(ctypes.get_errno())
        assert libc.inotify_add_watch(self._handle, os.fsencode(path), self.OPENED) >= 0

    def since(self):
        try:
            return bool(os.read(self._handle, 65536))
        except BlockingIOError:
            return False

    def close(self):
        os.close(self._handle)


def test_the_requests_that_wait_are_those_that_open_the_extract(world):
    seat = world.seat(ME)
    extract = Opened(seat.folder / "extract.csv")
    answer, opening, asked = seat.node.answer, set(), set()

    def watched(request):
        kind = LinkMessage.decode(request).kind
        extract.since()
        reply = answer(request)
        asked.add(kind)
        if extract.since():
            opening.add(kind)
        return reply

    seat.node.answer = watched
    try:
        round_ = answered(world)
        seat.ask(world.roster_message(world.roster_envelope))
        seat.ask(LinkMessage(kind=Kind.BUDGET_REQUEST, reference=bytes(32), payload=b"").encode())
        seat.ask(abort(round_.sid))
    finally:
        seat.node.answer = answer
        extract.close()
    assert asked == REPLIES.keys()
    assert opening == OPENS_THE_EXTRACT


# A real node on a clock on which counting takes as long as the extract is large, and all else takes no time.


def times_of_a_round(world, records):
    """Of each reply of a round that opens the extract: how long it was worked on, and how long until it left."""
    seat, now, found = world.seat(ME), [0], {}
    write_records(seat, records)
    size = (seat.folder / "extract.csv").stat().st_size
    answer, worked = seat.node.answer, []

    def works(request):
        now[0] += size * 100
        worked.append(size * 100)
        return answer(request)

    def sleep(seconds):
        now[0] += max(1, round(seconds * 1e9))

    on_time = paced(works, step_ms=STEP_MS, log=lambda *_: None, clock=lambda: now[0], sleep=sleep)

    def timed(request):
        begun = now[0]
        reply = on_time(request)
        found[LinkMessage.decode(request).kind] = (worked[-1], now[0] - begun)
        return reply

    seat.node.answer = timed
    try:
        round_ = Rehearsal(world, world.propose(), nonce=3).until(Kind.SURVIVORS)
    finally:
        seat.node.answer = answer
    for other in world.seats().values():
        other.ask(abort(round_.sid))
    return {kind: found[kind] for kind in OPENS_THE_EXTRACT}


@pytest.fixture(scope="module")
def few_and_many(world):
    return [times_of_a_round(world, records) for records in (FEW, MANY)]


def test_replies_leave_at_the_same_times_whatever_the_records_are(few_and_many):
    for times in few_and_many:
        assert {left for _worked, left in times.values()} == {STEP_MS * MS}


def test_without_the_schedule_the_records_show(few_and_many):
    few, many = few_and_many
    assert all(few[kind][0] < many[kind][0] / 100 for kind in OPENS_THE_EXTRACT)


# Both ways a node is served hold the schedule.


class Link:
    """Takes the function that a node gives its link."""

    answer = None

    def __init__(self, _settings, _identity, answer, **_):
        Link.answer = answer

    async def run(self, _stop):
        pass


def given_to_the_link(station, monkeypatch):
    monkeypatch.setattr(service, "NodeLink", Link)
    monkeypatch.setattr(service, "_stop_when_told", asyncio.Event)
    asyncio.run(service._serve(station))
    return Link.answer


def given_to_flower(station, _monkeypatch):
    return flower_service.flower_node_of(CouncilNode(station), station, lambda *_: None).answer


@pytest.mark.parametrize(("module", "given"), [(service, given_to_the_link), (flower_service, given_to_flower)])
def test_a_node_that_is_served_keeps_the_schedule_of_its_settings(world, monkeypatch, module, given):
    station, asked = world.seat(ME).station, {}

    def on_time(answer, **how):
        asked.update(how)
        return lambda request: b"on time: " + answer(request)

    assert station.settings.reply_step_ms > 0
    assert module.paced is paced
    monkeypatch.setattr(module, "paced", on_time)
    assert given(station, monkeypatch)(b"no message").startswith(b"on time: ")
    assert asked["step_ms"] == station.settings.reply_step_ms


# On the clock on the wall.


def wall_times(world, records, *, rounds):
    """Of each round, how long counting took and how long until the reply left, in nanoseconds."""
    seat, found = world.seat(ME), []
    write_records(seat, records)

    def timed(request):
        begun = time.monotonic_ns()
        reply = seat.node.answer(request)
        worked.append(time.monotonic_ns() - begun)
        return reply

    on_time = paced(timed, step_ms=STEP_MS, log=lambda *_: None)
    for nonce in range(1, rounds + 1):
        worked = []
        question = world.question(epsilon=Fraction(1, 50))
        round_ = Rehearsal(world, world.propose(question), nonce=nonce % 200 + 1).until(Kind.SHARES)
        request = round_.message(Kind.SHARES, ME)
        begun = time.monotonic_ns()
        reply = on_time(request)
        found.append((worked[0], time.monotonic_ns() - begun))
        assert LinkMessage.decode(reply).kind is Kind.MASKED_INPUT
        for other in world.seats().values():
            other.ask(abort(round_.sid))
    return found


def chance(few, many):
    """How often a time of the second kind is the longer one, if one of each is drawn: a half tells nothing."""
    pairs = list(product(few, many))
    return sum(Fraction(one < other) + Fraction(one == other, 2) for one, other in pairs) / len(pairs)


def ms(times):
    return round(statistics.median(times) / MS, 3)


@pytest.mark.long
def test_no_time_on_the_wall_tells_many_cases_from_none(world):
    rounds = 60
    few, many = [], []
    for _ in range(6):  # in turns, so that a busy hour of the computer falls on both
        few += wall_times(world, FEW, rounds=rounds // 6)
        many += wall_times(world, MANY, rounds=rounds // 6)
    works = [[work for work, _left in some] for some in (few, many)]
    leaves = [[left for _work, left in some] for some in (few, many)]
    figures = {
        "milliseconds to count nobody and twenty thousand": [ms(times) for times in works],
        "milliseconds until the reply to each": [ms(times) for times in leaves],
        "chance that the time of twenty thousand is longer, unpaced": float(chance(*works)),
        "chance that the time of twenty thousand is longer, paced": float(chance(*leaves)),
    }
    print(json.dumps(figures, indent=1))
    assert chance(*works) > Fraction(9, 10)
    assert all(left >= STEP_MS * MS for left in leaves[0] + leaves[1])
    shown, hidden = (abs(statistics.median(few) - statistics.median(many)) for few, many in (works, leaves))
    assert hidden < shown / 10
    record(
        "reply-times",
        figures,
        test="tests/integration/test_reply_times.py::test_no_time_on_the_wall_tells_many_cases_from_none",
        n=2 * rounds,
    )
