"""What only the in-process link has: faults of the caller's own code surface, and there are few threads."""

import asyncio
import threading
import time

import pytest

from coordinator.council_link import InProcessLink
from tests.integration.link_harness import async_test, collect, councils


@pytest.mark.parametrize("threads", [1, 4])
@async_test
async def test_a_fault_in_a_councils_code_is_raised_where_the_exchange_is_consumed(threads) -> None:
    def answer(_: bytes) -> bytes:
        raise ZeroDivisionError

    link = InProcessLink(dict.fromkeys(councils(2), answer), threads=threads)
    with pytest.raises(ZeroDivisionError):
        await collect(link, dict.fromkeys(councils(2), b""))
    await link.close()


@pytest.mark.parametrize("threads", [1, 2])
@async_test
async def test_three_hundred_councils_take_few_threads_and_little_time(threads) -> None:
    names = councils(300)
    seen: set[str] = set()

    def answer(request: bytes) -> bytes:
        seen.add(threading.current_thread().name)
        return request

    link = InProcessLink(dict.fromkeys(names, answer), threads=threads)
    started = time.monotonic()
    for _ in range(5):
        assert len(await collect(link, {name: name.encode() for name in names})) == 300
    assert time.monotonic() - started < 5
    assert len(seen) <= threads
    await link.close()


@async_test
async def test_close_drops_what_is_waiting() -> None:
    release = threading.Event()
    asked: list[bytes] = []

    def answer(request: bytes) -> bytes:
        asked.append(request)
        release.wait(5)
        return request

    (name,) = councils(1)
    link = InProcessLink({name: answer})
    waiting = [asyncio.create_task(collect(link, {name: bytes([number])}, timeout_s=0.5)) for number in range(3)]
    await asyncio.sleep(0.1)
    await link.close()
    release.set()
    assert await asyncio.gather(*waiting) == [{}, {}, {}]
    assert asked == [b"\x00"]


@async_test
async def test_what_is_over_before_its_turn_is_never_asked_and_nothing_is_asked_twice() -> None:
    release, asked = threading.Event(), []

    def answer(request: bytes) -> bytes:
        asked.append(request)
        release.wait(5)
        return request

    (name,) = councils(1)
    link = InProcessLink({name: answer})
    first = asyncio.create_task(collect(link, {name: b"first"}))
    await asyncio.sleep(0.05)
    assert await collect(link, {name: b"over"}, timeout_s=0.05) == {}
    last = asyncio.create_task(collect(link, {name: b"last"}))
    await asyncio.sleep(0.05)
    link.disconnect(name)
    link.reconnect(name)
    release.set()
    assert await asyncio.gather(first, last) == [{name: b"first"}, {name: b"last"}]
    assert asked == [b"first", b"first", b"last"]
    await link.close()
