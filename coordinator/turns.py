"""How many rounds run at once, and whose is next.

A few at a time: rounds that share councils share their time too, and started all together they would all end last. A
round that takes long, for a council that does not answer perhaps, no longer holds others up, until so many run that
the coordinator's memory, which is the square of the councils for each, or the nodes' own limit would not bear more.
Whoever has the fewest running goes first: one analyst's hundred questions do not stand before another's one.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

__all__ = ["Turns"]


class _Turn:
    """One turn, waited for or taken."""

    def __init__(self, who: str, *, goes_on: bool) -> None:
        self.who = who
        self.goes_on = goes_on
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.takes_long = False
        self.timer: asyncio.TimerHandle | None = None


class Turns:
    """Gives out turns; used from one event loop.

    Args:
        at_once: Turns taken at the same time, from 1, not counting those that take long.
        at_most: Turns taken at the same time, all counted.
        long_s: Seconds after which a turn takes long.
    """

    def __init__(self, at_once: int, *, at_most: int, long_s: float) -> None:
        self._at_once = at_once
        self._at_most = at_most
        self._long_s = long_s
        self._taken: list[_Turn] = []
        self._waiting: list[_Turn] = []
        self._closed = False
        self._ended = asyncio.Event()

    @asynccontextmanager
    async def turn(self, who: str, *, must_wait: Callable[[int], None], goes_on: bool = False) -> AsyncIterator[None]:
        """Hold a turn for the length of the block.

        Args:
            who: On whose behalf.
            must_wait: Told how many turns are taken, when this one cannot begin at once.
            goes_on: It goes on with what earlier turns began, which is lost without it: given out also after `close`.
        """
        turn = _Turn(who, goes_on=goes_on)
        self._waiting.append(turn)
        self._give_out()
        try:
            if not turn.begun.done():
                must_wait(len(self._taken))
            await turn.begun
            yield
        finally:
            self._end(turn)

    def close(self) -> None:
        """Begin nothing new."""
        self._closed = True

    async def idle(self) -> None:
        """Wait until nothing runs, and nothing waits that goes on with what was begun."""
        while self._taken or any(turn.goes_on for turn in self._waiting):
            self._ended.clear()
            await self._ended.wait()

    @property
    def taken(self) -> int:
        """How many run."""
        return len(self._taken)

    def _give_out(self) -> None:
        while self._room() and (may_begin := [turn for turn in self._waiting if turn.goes_on or not self._closed]):
            running = Counter(taken.who for taken in self._taken)
            following = min(may_begin, key=lambda turn: running[turn.who])  # of equals, the one here longest
            self._waiting.remove(following)
            self._taken.append(following)
            following.timer = asyncio.get_running_loop().call_later(self._long_s, self._took_long, following)
            if not following.begun.done():  # given up in this moment: its own end is about to pass the turn on
                following.begun.set_result(None)

    def _room(self) -> bool:
        quick = sum(not turn.takes_long for turn in self._taken)
        return quick < self._at_once and len(self._taken) < self._at_most

    def _took_long(self, turn: _Turn) -> None:
        turn.takes_long = True
        self._give_out()

    def _end(self, turn: _Turn) -> None:
        if turn.timer is not None:
            turn.timer.cancel()
        # One that was given up before it began still waits.
        (self._taken if turn in self._taken else self._waiting).remove(turn)
        self._ended.set()
        self._give_out()
