"""How many rounds run at once, and whose is next.

A round holds memory in the square of its councils, and a council takes part in so many rounds at once and no more; so
the rounds beyond a number wait. Whoever has the fewest running goes first: one analyst's hundred questions do not stand
before another's one.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

__all__ = ["Turns"]


class Turns:
    """Gives out turns; used from one event loop.

    Args:
        at_once: Turns taken at the same time, from 1.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._running: Counter[str] = Counter()
        self._queue: list[tuple[str, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def turn(self, who: str, *, must_wait: Callable[[int], None]) -> AsyncIterator[None]:
        """Hold a turn for the length of the block.

        Args:
            who: On whose behalf.
            must_wait: Told how many turns are taken, when this one cannot begin at once.
        """
        coming: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((who, coming))
        self._give_out()
        try:
            if not coming.done():
                must_wait(self._running.total())
            await coming
            yield
        finally:
            self._leave(who, coming)

    def _leave(self, who: str, turn: asyncio.Future[None]) -> None:
        if (who, turn) in self._queue:
            self._queue.remove((who, turn))  # it was given up before it began
        else:
            self._running[who] -= 1
        self._give_out()

    def _give_out(self) -> None:
        while self._queue and self._running.total() < self._at_once:
            fewest = min(self._queue, key=lambda waiting: self._running[waiting[0]])  # of equals, the one here longest
            self._queue.remove(fewest)
            self._running[fewest[0]] += 1
            fewest[1].set_result(None)
