"""Room for long replies: granted in order, given back once, taken from whoever stalls while others wait."""

import asyncio

from coordinator.intake import Intake
from tests.integration.link_harness import async_test


def never() -> None:
    raise AssertionError("nobody stalled")


@async_test
async def test_room_is_granted_up_to_the_capacity_and_in_the_order_asked() -> None:
    intake = Intake(100, 60)
    first = await intake.reserve(60, never)
    order: list[str] = []

    async def ask(name: str, size: int) -> None:
        hold = await intake.reserve(size, never)
        order.append(name)
        await asyncio.sleep(0.01)
        hold.release()

    big = asyncio.create_task(ask("big", 90))
    await asyncio.sleep(0)
    small = asyncio.create_task(ask("small", 10))  # would fit now, but must not overtake for ever
    await asyncio.sleep(0.01)
    assert order == []
    first.release()
    await asyncio.gather(big, small)
    assert order == ["big", "small"]
    assert intake.held == 0


@async_test
async def test_a_reply_longer_than_the_capacity_is_granted_alone() -> None:
    intake = Intake(100, 60)
    hold = await intake.reserve(1000, never)
    waiting = asyncio.create_task(intake.reserve(1, never))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    hold.release()
    (await waiting).release()
    assert intake.held == 0


@async_test
async def test_room_is_given_back_once() -> None:
    intake = Intake(100, 60)
    hold = await intake.reserve(50, never)
    other = await intake.reserve(50, never)
    hold.release()
    hold.release()
    assert intake.held == 50
    other.release()


@async_test
async def test_a_waiter_that_leaves_blocks_nobody() -> None:
    intake = Intake(100, 60)
    hold = await intake.reserve(50, never)
    leaving = asyncio.create_task(intake.reserve(100, never))
    await asyncio.sleep(0)
    next_one = asyncio.create_task(intake.reserve(50, never))
    await asyncio.sleep(0)
    leaving.cancel()
    (await asyncio.wait_for(next_one, 1)).release()
    hold.release()
    assert intake.held == 0


@async_test
async def test_a_waiter_that_leaves_as_it_is_granted_gives_its_room_on() -> None:
    intake = Intake(100, 60)
    hold = await intake.reserve(100, never)
    leaving = asyncio.create_task(intake.reserve(100, never))
    await asyncio.sleep(0)
    hold.release()
    leaving.cancel()
    await asyncio.wait({leaving})
    assert intake.held == 0


@async_test
async def test_only_an_incomplete_reply_is_called_stalled_and_only_while_others_wait() -> None:
    stalled: list[str] = []
    intake = Intake(100, 0.05)
    slow = await intake.reserve(50, lambda: stalled.append("slow"))
    complete = await intake.reserve(50, lambda: stalled.append("complete"))
    complete.complete()
    await asyncio.sleep(0.15)
    assert stalled == []
    waiting = asyncio.create_task(intake.reserve(60, never))
    await asyncio.sleep(0.1)
    assert stalled == ["slow"]
    slow.release()
    complete.release()
    (await waiting).release()


@async_test
async def test_a_reply_that_is_over_is_never_called_stalled() -> None:
    intake = Intake(100, 0.05)
    (await intake.reserve(100, never)).release()
    blocking = await intake.reserve(100, lambda: None)
    waiting = asyncio.create_task(intake.reserve(1, never))
    await asyncio.sleep(0.1)
    blocking.release()
    (await waiting).release()
