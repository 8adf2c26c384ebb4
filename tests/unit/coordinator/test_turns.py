"""Rounds take turns: so many at once, and one analyst's many questions do not stand before another's one."""

import asyncio

import pytest

from coordinator.turns import Turns
from tests.integration.link_harness import async_test, until


class Queue:
    """Questions of several analysts, each held until the test lets it go."""

    def __init__(self, at_once: int, *, at_most: int = 9, long_s: float = 60) -> None:
        self.turns = Turns(at_once, at_most=at_most, long_s=long_s)
        self.begun: list[str] = []
        self.told: list[tuple[str, int]] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def add(self, *names: str) -> None:
        for name in names:
            self.ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._hold(name))
            await asyncio.sleep(0)

    async def _hold(self, name: str) -> None:
        who = name.rstrip("0123456789")
        async with self.turns.turn(who, must_wait=lambda running: self.told.append((name, running))):
            self.begun.append(name)
            await self.ends[name].wait()

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await asyncio.gather(self.tasks[name])
        await asyncio.sleep(0)


@async_test
async def test_so_many_at_once_and_the_others_are_told_that_they_wait() -> None:
    queue = Queue(2)
    await queue.add("ann1", "ann2", "ann3", "ann4")
    assert queue.begun == ["ann1", "ann2"]
    assert queue.told == [("ann3", 2), ("ann4", 2)]
    for name in ("ann2", "ann1", "ann3", "ann4"):
        await queue.end(name)
    assert queue.begun == ["ann1", "ann2", "ann3", "ann4"]


@async_test
async def test_one_analysts_many_questions_do_not_stand_before_anothers_one() -> None:
    queue = Queue(2)
    await queue.add(*(f"ann{number}" for number in range(1, 6)), "bob1", "cem1", "bob2")
    assert queue.begun == ["ann1", "ann2"]
    await queue.end("ann1")
    assert queue.begun[2:] == ["bob1"]  # Ann has one running, Bob none
    await queue.end("ann2")
    assert queue.begun[3:] == ["ann3"]  # neither Ann nor Cem has one running, and Ann's has waited longer
    await queue.end("bob1")
    await queue.end("cem1")
    assert queue.begun[4:] == ["cem1", "bob2"]
    for name in ("ann3", "bob2", "ann4", "ann5"):
        await queue.end(name)


@async_test
async def test_giving_up_in_the_queue_costs_nobody_a_turn() -> None:
    queue = Queue(1)
    await queue.add("ann1", "bob1", "cem1")
    queue.tasks["bob1"].cancel()
    await asyncio.sleep(0)
    await queue.end("ann1")
    assert queue.begun == ["ann1", "cem1"]
    await queue.end("cem1")


@async_test
async def test_a_turn_granted_in_the_instant_of_giving_up_goes_to_the_next() -> None:
    queue = Queue(1)
    await queue.add("ann1", "bob1", "cem1")
    queue.ends["ann1"].set()
    await asyncio.sleep(0)  # Ann's end has granted Bob the turn; his task has not run yet
    assert queue.begun == ["ann1"]
    queue.tasks["bob1"].cancel()
    await asyncio.gather(queue.tasks["bob1"], return_exceptions=True)
    await asyncio.sleep(0)
    assert queue.begun == ["ann1", "cem1"]
    await queue.end("cem1")


@async_test
async def test_a_round_that_fails_gives_its_turn_back() -> None:
    turns = Turns(1, at_most=1, long_s=60)
    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            async with turns.turn("ann", must_wait=lambda _running: None):
                raise ValueError("no")
    assert turns._taken == turns._waiting == []


@async_test
async def test_a_round_that_takes_long_holds_up_the_next_for_so_long_and_no_longer() -> None:
    queue = Queue(1, at_most=3, long_s=0.05)
    await queue.add("ann1", "ann2", "ann3", "ann4", "ann5")
    assert queue.begun == ["ann1"]
    await until(lambda: len(queue.begun) == 3)
    await asyncio.sleep(0.15)
    assert queue.begun == ["ann1", "ann2", "ann3"]  # all take long; more than three there never are
    await queue.end("ann2")
    assert queue.begun == ["ann1", "ann2", "ann3", "ann4"]
    for name in ("ann1", "ann3", "ann4", "ann5"):
        await queue.end(name)


@async_test
async def test_a_round_that_ended_in_time_is_not_counted_as_long_afterwards() -> None:
    queue = Queue(1, at_most=3, long_s=0.1)
    await queue.add("ann1", "ann2", "ann3")
    await queue.end("ann1")
    await asyncio.sleep(0.07)
    assert queue.begun == ["ann1", "ann2"]
    await queue.end("ann2")
    await asyncio.sleep(0.05)  # ann1's and ann2's time would be over now
    assert queue.turns._taken[0].takes_long is False
    await queue.end("ann3")


@async_test
async def test_a_turn_given_up_in_the_moment_that_it_would_have_begun_harms_nobody() -> None:
    queue = Queue(1)
    await queue.add("ann1", "bob1", "cem1")
    queue.ends["ann1"].set()
    queue.tasks["bob1"].cancel()
    await asyncio.gather(queue.tasks["ann1"])
    await until(lambda: queue.begun == ["ann1", "cem1"])
    await queue.end("cem1")


@async_test
async def test_once_closed_nothing_begins_but_what_goes_on() -> None:
    queue = Queue(1)
    await queue.add("ann1")
    began = asyncio.Event()

    async def go_on() -> None:
        async with queue.turns.turn("ann", must_wait=lambda _running: None, goes_on=True):
            began.set()

    await queue.add("bob1")
    going_on = asyncio.create_task(go_on())
    await asyncio.sleep(0)
    queue.turns.close()
    idle = asyncio.create_task(queue.turns.idle())
    await asyncio.sleep(0)
    assert (idle.done(), queue.turns.taken) == (False, 1)
    await queue.end("ann1")
    await asyncio.wait_for(idle, 1)
    await going_on
    assert began.is_set()
    assert queue.begun == ["ann1"]
    queue.tasks["bob1"].cancel()
    await asyncio.gather(queue.tasks["bob1"], return_exceptions=True)
