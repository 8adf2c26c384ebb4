"""When to stop waiting for councils, short of a stage's deadline."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, Self

from protocols.identifiers import CouncilId

__all__ = ["Patience"]

_LOOK_S: Final = 0.1


class Patience:
    """Ends the wait of one stage early, when only councils without a connection are missing.

    A node that was killed never answers, and a stage must not last its whole deadline for it; one that has merely
    lost its connection gets `reconnect_s` to come back. Where the threshold is enough, reaching it starts the same
    clock for everybody else, and ends the wait at once when all who are missing are gone.

    Args:
        limit: The running timeout of the stage; brought forward to end the wait.
        waiting: The councils that have yet to answer, as the caller keeps it.
        connected: The councils that could answer at this moment.
        reconnect_s: Seconds.
        enough: Whether the answers so far are enough.
    """

    def __init__(
        self,
        limit: asyncio.Timeout,
        *,
        waiting: Collection[CouncilId],
        connected: Callable[[], frozenset[CouncilId]],
        reconnect_s: float,
        enough: Callable[[], bool],
    ) -> None:
        self._limit = limit
        self._waiting = waiting
        self._connected = connected
        self._reconnect_s = reconnect_s
        self._enough = enough
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        """Start looking, now and then: losing a connection is not a reply, so no reply tells us of it."""
        self._timer = self._loop.call_later(_LOOK_S, self._look)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def over(self) -> bool:
        """Whether nobody who is missing is worth waiting for any longer."""
        if not self._waiting:
            return True
        enough = self._enough()
        gone = self._connected().isdisjoint(self._waiting)
        if not gone and not enough:
            self._since = None
            return False
        if gone and enough:
            return True
        now = self._loop.time()
        if self._since is None:
            self._since = now
        return now - self._since >= self._reconnect_s

    def _look(self) -> None:
        if self.over:
            self._limit.reschedule(self._loop.time())
        else:
            self._timer = self._loop.call_later(_LOOK_S, self._look)
