"""How much of the councils' long replies is in memory at once.

A masked vector of a million cells is 8 MB; 300 councils would send 2.4 GB at the same moment. A connection therefore
asks here before it reads on, and until it may, the stream's own flow control holds the council's bytes back.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

__all__ = ["HELD_BYTES", "PATIENCE_S", "Hold", "Intake"]

HELD_BYTES: Final = 32 * 1024 * 1024
"""Announced bytes of long replies in memory at once, unless one alone is longer."""

PATIENCE_S: Final = 10.0
"""Seconds a reply may hold its room while others wait for room."""


class Hold:
    """Room granted to one reply, from its first chunk until the round has taken it."""

    __slots__ = ("_complete", "_intake", "_size", "_timer")

    def __init__(self, intake: "Intake", size: int) -> None:
        self._intake = intake
        self._size = size
        self._complete = False
        self._timer: asyncio.TimerHandle | None = None

    def complete(self) -> None:
        """All of the reply has arrived: from here on it waits for us, not for the council."""
        self._complete = True
        if self._timer is not None:
            self._timer.cancel()

    def release(self) -> None:
        """Give the room back; a second time does nothing."""
        self.complete()
        size, self._size = self._size, 0
        self._intake.give_back(size)

    def watch(self, patience_s: float, on_stall: Callable[[], None]) -> None:
        """Look every ``patience_s`` seconds whether the reply is still under way while others wait."""
        loop = asyncio.get_running_loop()

        def look() -> None:
            if self._intake.crowded:
                on_stall()
            else:
                self._timer = loop.call_later(patience_s, look)

        self._timer = loop.call_later(patience_s, look)


class Intake:
    """Grants room in the order asked, and takes it back from a council that stalls while others wait.

    Args:
        capacity: Bytes granted at once; a single reply longer than this is granted when nothing else is held.
        patience_s: Seconds after which a reply still under way loses its room, if and only if others wait: a slow
            line is no reason to lose a council, blocking the others is.
    """

    def __init__(self, capacity: int = HELD_BYTES, patience_s: float = PATIENCE_S) -> None:
        self._capacity = capacity
        self._patience_s = patience_s
        self._held = 0
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def held(self) -> int:
        """Bytes granted and not yet given back."""
        return self._held

    @property
    def crowded(self) -> bool:
        """Whether a reply waits for room."""
        return any(not turn.done() for _, turn in self._queue)

    async def reserve(self, size: int, on_stall: Callable[[], None]) -> Hold:
        """Wait for room.

        Args:
            size: Announced length of the reply in bytes.
            on_stall: Called when the reply has outstayed its time while others wait; must lead to a release.
        """
        if self._queue or not self._fits(size):
            await self._wait(size)
        else:
            self._held += size
        hold = Hold(self, size)
        hold.watch(self._patience_s, on_stall)
        return hold

    def give_back(self, size: int) -> None:
        """Return room and let in whoever is next; called by :meth:`Hold.release`."""
        self._held -= size
        while self._queue:
            waiting_size, turn = self._queue[0]
            if not turn.cancelled() and not self._fits(waiting_size):
                return
            self._queue.popleft()
            if not turn.cancelled():
                self._held += waiting_size
                turn.set_result(None)

    def _fits(self, size: int) -> bool:
        return self._held == 0 or self._held + size <= self._capacity

    async def _wait(self, size: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            # The connection ended while it waited; room granted in the same instant goes straight on.
            self.give_back(0 if turn.cancelled() else size)
            raise
