"""What every council link must do, on each of them."""

import asyncio
import contextlib
import os
import threading
import time

import pytest

from protocols.identifiers import CouncilId
from tests.integration.flower_harness import over_flower
from tests.integration.flower_stack import close_stack, over_flower_processes
from tests.integration.link_harness import async_test, collect, councils, in_process, over_grpc, until

LINKS = pytest.mark.parametrize(
    "joined",
    [
        pytest.param(in_process, id="in-process"),
        pytest.param(over_grpc, id="grpc"),
        pytest.param(over_flower, id="flower"),
        pytest.param(over_flower_processes, id="flower-processes", marks=pytest.mark.long),
    ],
)
"""Each gives a harness whose `pace` says how many times as long everything takes there."""

ONE, TWO, THREE = councils(3)


@pytest.fixture(autouse=True, scope="module")
def _processes():
    yield
    close_stack()


def echo(request: bytes) -> bytes:
    return b"re:" + request


class Silent:
    """A council that does not answer until released."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.asked = threading.Event()

    def __call__(self, request: bytes) -> bytes:
        self.asked.set()
        self.release.wait(200)
        return echo(request)


@LINKS
@async_test
async def test_every_council_answers_its_own_request(joined) -> None:
    names = councils(12)
    async with joined(dict.fromkeys(names, echo)) as harness:
        assert harness.link.connected() == frozenset(names)
        replies = await collect(harness.link, {name: name.encode() for name in names})
        assert replies == {name: b"re:" + name.encode() for name in names}


@LINKS
@async_test
async def test_an_exchange_with_nobody_ends_at_once(joined) -> None:
    async with joined({ONE: echo}) as harness:
        assert await collect(harness.link, {}) == {}


@LINKS
@async_test
async def test_an_empty_request_and_an_empty_reply_travel(joined) -> None:
    async with joined({ONE: lambda request: request}) as harness:
        assert await collect(harness.link, {ONE: b""}) == {ONE: b""}


@LINKS
@async_test
async def test_a_silent_council_costs_the_deadline_and_no_more(joined) -> None:
    silent = Silent()
    async with joined({ONE: echo, TWO: silent, THREE: echo}) as harness:
        started = time.monotonic()
        arrivals: dict[CouncilId, float] = {}
        deadline_s = 1.0 * harness.pace
        async for council, _ in harness.link.exchange({ONE: b"a", TWO: b"b", THREE: b"c"}, timeout_s=deadline_s):
            arrivals[council] = (time.monotonic() - started) / harness.pace
        took = (time.monotonic() - started) / harness.pace
        silent.release.set()
        assert arrivals.keys() == {ONE, THREE}
        assert max(arrivals.values()) < 0.7
        assert 0.95 <= took < 1.6


@LINKS
@async_test
async def test_the_deadline_holds_while_the_caller_is_busy(joined) -> None:
    slow = Silent()
    async with joined({ONE: echo, TWO: slow}) as harness:
        replies = []
        async for council, _ in harness.link.exchange({ONE: b"a", TWO: b"b"}, timeout_s=0.3 * harness.pace):
            replies.append(council)
            await asyncio.sleep(0.4 * harness.pace)
            slow.release.set()  # answered after the deadline, before the caller asks for more
            await asyncio.sleep(0.3 * harness.pace)
        assert replies == [ONE]


@LINKS
@async_test
async def test_what_came_in_time_is_given_even_if_fetched_late(joined) -> None:
    async with joined({ONE: echo, TWO: echo}) as harness:
        replies = []
        async for council, _ in harness.link.exchange({ONE: b"a", TWO: b"b"}, timeout_s=0.5 * harness.pace):
            replies.append(council)
            await asyncio.sleep(0.7 * harness.pace)
        assert sorted(replies) == [ONE, TWO]


@LINKS
@async_test
async def test_a_council_that_drops_out_mid_request_is_sent_the_same_again(joined) -> None:
    seen: list[bytes] = []
    cut = threading.Event()

    def answer(request: bytes) -> bytes:
        seen.append(request)
        if len(seen) == 1:
            asked.set()
            cut.wait(100)
            return b"lost on the way"
        return echo(request)

    asked = threading.Event()
    async with joined({ONE: answer, TWO: echo}) as harness:
        exchange = asyncio.create_task(collect(harness.link, {ONE: b"same", TWO: b"other"}, 10 * harness.pace))
        await until(asked.is_set, within_s=10 * harness.pace)
        harness.disconnect(ONE)
        await until(lambda: harness.link.connected() == {TWO}, within_s=10 * harness.pace)
        cut.set()
        await asyncio.sleep(0.1 * harness.pace)
        harness.reconnect(ONE)
        assert await exchange == {ONE: b"re:same", TWO: b"re:other"}
        assert seen == [b"same", b"same"]


@LINKS
@async_test
async def test_a_council_that_is_away_is_asked_when_it_comes(joined) -> None:
    seen: list[bytes] = []
    async with joined({ONE: echo, TWO: lambda request: seen.append(request) or echo(request)}) as harness:
        harness.disconnect(TWO)
        await until(lambda: harness.link.connected() == {ONE}, within_s=10 * harness.pace)
        exchange = asyncio.create_task(collect(harness.link, {ONE: b"a", TWO: b"b"}, 10 * harness.pace))
        await asyncio.sleep(0.2 * harness.pace)
        assert seen == []
        harness.reconnect(TWO)
        assert await exchange == {ONE: b"re:a", TWO: b"re:b"}


@LINKS
@async_test
async def test_twenty_megabytes_travel_both_ways(joined) -> None:
    vector = os.urandom(20_000_000)
    async with joined({ONE: lambda request: request[::-1], TWO: echo}) as harness:
        replies = await collect(harness.link, {ONE: vector, TWO: b"small"}, timeout_s=30)
        assert replies == {ONE: vector[::-1], TWO: b"re:small"}


@LINKS
@async_test
async def test_two_exchanges_at_once_do_not_mix(joined) -> None:
    names = councils(6)
    async with joined(dict.fromkeys(names, echo)) as harness:
        first, second, third = await asyncio.gather(
            collect(harness.link, {name: b"1" + name.encode() for name in names}),
            collect(harness.link, {name: b"2" + name.encode() for name in names[:4]}),
            collect(harness.link, {name: os.urandom(700_000) for name in names}),
        )
        assert first == {name: b"re:1" + name.encode() for name in names}
        assert second == {name: b"re:2" + name.encode() for name in names[:4]}
        assert {len(reply) for reply in third.values()} == {700_003}


@LINKS
@async_test
async def test_a_late_reply_is_dropped(joined) -> None:
    slow = Silent()
    async with joined({ONE: slow, TWO: echo}) as harness:
        assert await collect(harness.link, {ONE: b"first", TWO: b"x"}, 0.4 * harness.pace) == {TWO: b"re:x"}
        second = asyncio.create_task(collect(harness.link, {ONE: b"second"}, 10 * harness.pace))
        await asyncio.sleep(0.1 * harness.pace)
        slow.release.set()  # now "re:first" comes, while the second exchange waits
        assert await second == {ONE: b"re:second"}


@LINKS
@async_test
async def test_a_council_is_never_asked_two_things_at_once(joined) -> None:
    inside: list[int] = []
    most = 0

    def answer(request: bytes) -> bytes:
        nonlocal most
        inside.append(1)
        most = max(most, len(inside))
        time.sleep(0.02)
        inside.pop()
        return request

    async with joined({ONE: answer}) as harness:
        replies = await asyncio.gather(
            *(collect(harness.link, {ONE: bytes([number])}, 10 * harness.pace) for number in range(8))
        )
        assert replies == [{ONE: bytes([number])} for number in range(8)]
        assert most == 1


@LINKS
@async_test
async def test_nor_when_it_comes_back_while_still_at_work_on_the_first(joined) -> None:
    inside: list[int] = []
    overlaps: list[bytes] = []
    go = threading.Event()

    def answer(request: bytes) -> bytes:
        overlaps.extend([request] * len(inside))
        inside.append(1)
        go.wait(5)
        inside.pop()
        return echo(request)

    async with joined({ONE: answer}) as harness:
        exchange = asyncio.create_task(collect(harness.link, {ONE: b"a"}, 10 * harness.pace))
        await until(lambda: bool(inside), within_s=10 * harness.pace)
        harness.disconnect(ONE)
        await until(lambda: not harness.link.connected(), within_s=10 * harness.pace)
        harness.reconnect(ONE)
        await until(lambda: bool(harness.link.connected()), within_s=10 * harness.pace)
        await asyncio.sleep(0.2 * harness.pace)
        go.set()
        assert await exchange == {ONE: b"re:a"}
        assert overlaps == []


@LINKS
@async_test
async def test_leaving_an_exchange_early_leaves_nothing_behind(joined) -> None:
    silent = Silent()
    async with joined({ONE: echo, TWO: silent}) as harness:
        async with contextlib.aclosing(harness.link.exchange({ONE: b"a", TWO: b"b"}, timeout_s=30)) as replies:
            async for council, _ in replies:
                assert council == ONE
                break
        await until(silent.asked.is_set, within_s=10 * harness.pace)
        silent.release.set()
        assert await collect(harness.link, {TWO: b"c"}) == {TWO: b"re:c"}


@LINKS
@async_test
async def test_a_council_the_link_does_not_know_is_not_waited_for(joined) -> None:
    async with joined({ONE: echo}) as harness:
        started = time.monotonic()
        assert await collect(harness.link, {ONE: b"a", CouncilId("E99999999"): b"b"}) == {ONE: b"re:a"}
        assert time.monotonic() - started < 5 * harness.pace


@pytest.mark.drawn(3)
@LINKS
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@async_test
async def test_the_order_of_connecting_does_not_matter(joined, order) -> None:
    names = tuple((ONE, TWO, THREE)[place] for place in order)
    async with joined(dict.fromkeys(names, echo)) as harness:
        assert await collect(harness.link, {ONE: b"1", TWO: b"2", THREE: b"3"}) == {
            ONE: b"re:1",
            TWO: b"re:2",
            THREE: b"re:3",
        }


@LINKS
@async_test
async def test_short_requests_wait_for_one_long_answer_and_not_for_all_that_are_asked(joined) -> None:
    go = threading.Event()
    order: list[bytes] = []

    def answer(request: bytes) -> bytes:
        order.append(request)
        if request.startswith(b"count"):
            go.wait(20)
        return echo(request)

    async def long(number: int) -> dict[CouncilId, bytes]:
        exchange = harness.link.exchange({ONE: b"count %d" % number}, timeout_s=20, in_turn=True)
        return {council: reply async for council, reply in exchange}

    async with joined({ONE: answer}) as harness:
        counts = [asyncio.create_task(long(number)) for number in range(5)]
        await until(lambda: len(order) == 1)
        shorts = [asyncio.create_task(collect(harness.link, {ONE: b"short %d" % number})) for number in range(5)]
        await asyncio.sleep(0.2)
        go.set()
        assert await asyncio.gather(*counts) == [{ONE: b"re:count %d" % number} for number in range(5)]
        assert await asyncio.gather(*shorts) == [{ONE: b"re:short %d" % number} for number in range(5)]
    assert order == [b"count 0", *(b"short %d" % n for n in range(5)), *(b"count %d" % n for n in range(1, 5))]


@LINKS
@async_test
async def test_long_work_of_one_exchange_goes_to_all_councils_side_by_side(joined) -> None:
    inside = threading.Barrier(2, timeout=10)

    def answer(request: bytes) -> bytes:
        inside.wait()
        return echo(request)

    async with joined({ONE: answer, TWO: answer}) as harness:
        exchange = harness.link.exchange({ONE: b"a", TWO: b"b"}, timeout_s=20, in_turn=True)
        assert {council: reply async for council, reply in exchange} == {ONE: b"re:a", TWO: b"re:b"}
