"""The time of a council's replies does not tell how many cases it has: real nodes, with very different extracts."""

import asyncio
import ctypes
import json
import os
import random
import re
import statistics
import time
from fractions import Fraction
from itertools import chain, product
from math import sqrt

import pytest

from council_node import flower_service, service, staying_connected
from council_node.node import CouncilNode
from council_node.pacing import OPENS_THE_EXTRACT, leaves_at, paced
from council_node.settings import Settings
from protocols.wire.link_message import ASKED_OF_COUNCILS, Kind, LinkMessage
from tests.evidence import EVIDENCE, record
from tests.integration.federation_world import COUNCILS, ME, Rehearsal, World, abort
from tests.integration.test_message_sizes import write_records
from tests.unit.council_node.proof_round import answered

MS = 1_000_000
STEP_MS = Settings.model_fields["reply_step_ms"].default
LIMITATIONS = EVIDENCE.parent / "known-limitations.md"
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
    assert asked == ASKED_OF_COUNCILS
    assert opening == OPENS_THE_EXTRACT


# A real node that keeps the schedule, on any clock.


def times_of_a_round(
    world,
    records,
    *,
    question=None,
    work=lambda _size: None,
    clock=time.monotonic_ns,
    sleep=time.sleep,
    step_ms=STEP_MS,
):
    """Of each reply of a round that opens the extract: how long it was worked on, and how long until it left."""
    seat, worked, found = world.seat(ME), [], {}
    write_records(seat, records)
    size = (seat.folder / "extract.csv").stat().st_size
    answer = seat.node.answer

    def works(request):
        begun = clock()
        work(size)
        reply = answer(request)
        worked.append(clock() - begun)
        return reply

    on_time = paced(works, step_ms=step_ms, log=lambda *_: None, clock=clock, sleep=sleep)

    def timed(request):
        begun = clock()
        reply = on_time(request)
        found[LinkMessage.decode(request).kind] = (worked[-1], clock() - begun)
        return reply

    seat.node.answer = timed
    try:
        round_ = Rehearsal(world, world.propose(question), nonce=3).until(Kind.SURVIVORS)
    finally:
        seat.node.answer = answer
    for other in world.seats().values():
        other.ask(abort(round_.sid))
    return {kind: found[kind] for kind in OPENS_THE_EXTRACT}


# On a clock on which counting takes as long as the extract is large, and all else takes no time.


def simulated_times(world, records):
    now = [0]

    def pass_time(nanoseconds):
        now[0] += nanoseconds

    return times_of_a_round(
        world,
        records,
        work=lambda size: pass_time(size * 50),
        clock=lambda: now[0],
        sleep=lambda seconds: pass_time(max(1, round(seconds * 1e9))),
    )


@pytest.fixture(scope="module")
def few_and_many(world):
    return [simulated_times(world, records) for records in (FEW, MANY)]


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
    monkeypatch.setattr(staying_connected, "NodeLink", Link)
    monkeypatch.setattr(staying_connected, "_stop_when_told", asyncio.Event)
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


def wall_times(world, rounds, **how):
    """Of so many rounds of each extract, in turns, so that a busy hour of the computer falls on both: their times."""
    found = {FEW: [], MANY: []}
    for number, records in product(range(rounds), found):
        # A question of its own each time: one that was decided before is looked up.
        question = world.question(epsilon=Fraction(1, 50 + 2 * number + (records == MANY)))
        found[records].append(times_of_a_round(world, records, question=question, **how))
    return found[FEW], found[MANY]


def early(worked, left):
    """Whether a reply left before the end of the step in which it was there: between two steps."""
    return left < leaves_at(0, worked, STEP_MS * MS)


def test_on_the_wall_no_reply_leaves_between_two_steps(world):
    """However busy this computer is: that makes replies late, never early."""
    for times in chain(*wall_times(world, 2)):
        assert not any(early(*time_of_one) for time_of_one in times.values())


def test_without_the_schedule_replies_leave_between_two_steps(world):
    [times], [more] = wall_times(world, 1, step_ms=0)
    assert any(early(*time_of_one) for time_of_one in (*times.values(), *more.values()))


def chance(few, many):
    """How often a time of the second kind is the longer one, if one of each is drawn: a half tells nothing."""
    pairs = list(product(few, many))
    return sum(Fraction(one < other) + Fraction(one == other, 2) for one, other in pairs) / len(pairs)


def tells(few, many):
    """Whether the chance is further from a half than four standard deviations of it where nothing is told
    (Mann and Whitney 1947)."""
    n, m = len(few), len(many)
    return abs(chance(few, many) - Fraction(1, 2)) >= 4 * sqrt((n + m + 1) / (12 * n * m))


def test_times_that_differ_a_little_are_told_apart_and_the_same_are_not():
    draw = random.Random(1)
    few, same, later = ([draw.gauss(mean, 1) for _ in range(60)] for mean in (0, 0, 1))
    assert not tells(few, same)
    assert tells(few, later)
    assert tells(later, few)


def ms(times):
    return round(statistics.median(times) / MS, 3)


@pytest.mark.long
def test_no_time_on_the_wall_tells_many_cases_from_none(world):
    """Among replies that left after one step; that one took two is told, and no more (the page of known limitations)."""
    rounds, figures = 60, {}
    both = wall_times(world, rounds)
    for kind in sorted(OPENS_THE_EXTRACT):
        every = [[times[kind] for times in some] for some in both]
        one_step = [[time_of_one for time_of_one in some if time_of_one[0] <= STEP_MS * MS] for some in every]
        works, leaves = ([[one[part] for one in some] for some in one_step] for part in (0, 1))
        figures[kind.name.lower()] = {
            "milliseconds to count nobody and twenty thousand": [ms(work for work, _left in some) for some in every],
            "replies after one step": [len(some) for some in one_step],
            "milliseconds until each of these left": [ms(some) for some in leaves],
            "chance that the time of twenty thousand is longer, unpaced": float(chance(*works)),
            "chance that the time of twenty thousand is longer, paced": float(chance(*leaves)),
        }
        print(json.dumps({kind.name: figures[kind.name.lower()]}, indent=1))
        assert min(map(len, one_step)) >= rounds / 2, "this computer is too busy to tell; try when it is not"
        assert not any(early(*time_of_one) for time_of_one in chain(*every))
        assert not tells(*leaves)
        if kind is Kind.SHARES:
            assert tells(*works)
            shown, hidden = (abs(ms(few) - ms(many)) for few, many in (works, leaves))
            assert hidden < shown / 10
    record(
        "reply-times",
        figures,
        test="tests/integration/test_reply_times.py::test_no_time_on_the_wall_tells_many_cases_from_none",
        n=2 * rounds,
    )


def test_known_limitations_say_from_how_many_rows_a_step_is_too_short():
    """Reckoned in proportion from what was measured."""
    figures = json.loads(EVIDENCE.read_text(encoding="utf-8"))["runs"]["reply-times"]["figures"]
    nobody, many = figures.get("shares", figures)["milliseconds to count nobody and twenty thousand"]
    rows = (STEP_MS - nobody) / (many - nobody) * 20_000
    [said] = re.findall(r"from some ([\d,]+) rows on", " ".join(LIMITATIONS.read_text(encoding="utf-8").split()))
    assert int(said.replace(",", "")) == pytest.approx(rows, rel=0.1)
