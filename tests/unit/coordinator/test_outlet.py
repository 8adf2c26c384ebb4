"""Long requests go out a few at a time, and nobody waits for a line that has stalled."""

import asyncio

from coordinator.outlet import LONG_BYTES, Outlet
from tests.integration.link_harness import async_test


class Lines:
    """Councils whose requests are on their way until the test lets them arrive."""

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet
        self.begun: list[int] = []
        self.arrive = asyncio.Event()

    def send(self, count: int, size: int) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self._send(number, size)) for number in range(count)]

    async def _send(self, number: int, size: int) -> None:
        async with self.outlet.room(size):
            self.begun.append(number)
            await self.arrive.wait()


@async_test
async def test_so_many_long_requests_are_on_their_way_at_once() -> None:
    lines = Lines(Outlet(at_once=3, patience_s=60))
    tasks = lines.send(8, LONG_BYTES)
    await asyncio.sleep(0.02)
    assert lines.begun == [0, 1, 2]
    lines.arrive.set()
    await asyncio.gather(*tasks)
    assert lines.begun == list(range(8))


@async_test
async def test_short_requests_never_wait() -> None:
    lines = Lines(Outlet(at_once=1, patience_s=60))
    tasks = [*lines.send(2, LONG_BYTES), *lines.send(4, LONG_BYTES - 1)]
    await asyncio.sleep(0.02)
    assert lines.begun == [0, 0, 1, 2, 3]
    lines.arrive.set()
    await asyncio.gather(*tasks)


@async_test
async def test_lines_that_stall_hold_the_others_up_for_so_long_and_no_longer() -> None:
    lines = Lines(Outlet(at_once=2, patience_s=0.1))
    tasks = lines.send(5, LONG_BYTES)
    await asyncio.sleep(0.05)
    assert lines.begun == [0, 1]
    await asyncio.sleep(0.15)
    assert lines.begun == [0, 1, 2, 3, 4]
    lines.arrive.set()
    await asyncio.gather(*tasks)
    # Those that went without a turn gave none back: two there are, as before.
    more = Lines(lines.outlet)
    waiting = more.send(3, LONG_BYTES)
    await asyncio.sleep(0.02)
    assert more.begun == [0, 1]
    more.arrive.set()
    await asyncio.gather(*waiting)


@async_test
async def test_whoever_is_cut_off_while_waiting_takes_no_turn() -> None:
    lines = Lines(Outlet(at_once=1, patience_s=60))
    first, second, third = lines.send(3, LONG_BYTES)
    await asyncio.sleep(0.02)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    lines.arrive.set()
    await asyncio.gather(first, third)
    assert lines.begun == [0, 2]
