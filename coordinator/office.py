"""What the coordinator's parts share: settings, store, link, clock, who takes part, and tasks nobody waits for."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import date, datetime
from typing import Any

from coordinator.council_link import CouncilLink
from coordinator.courier import Courier
from coordinator.progress import ProgressBoard
from coordinator.roster import Membership
from coordinator.settings import Settings
from coordinator.store import Store, StoreThread
from federated.schema import Schema
from protocols.identifiers import CouncilId, RandomSource

__all__ = ["Note", "Office", "StillActing", "alone", "place"]

Note = Callable[[str, Mapping[str, str | int]], None]
"""Told what happened, by an event's name and a few fields; never a payload, never a council's figure."""

StillActing = Callable[[], Awaitable[None]]
"""Raises a `FederatedError` when this coordinator may act no longer."""


async def alone() -> None:
    """Say that we still act: in simulations and tests, where there is no other coordinator."""


def _silence(_event: str, _fields: Mapping[str, str | int]) -> None:
    """Tell nobody."""


def place(error: BaseException) -> str:
    """Module and line where an unexpected error arose; never its message, which could quote what was handled."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "unknown" if trace is None else f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"


class Office:
    """Shared by every part of one running coordinator; used from one event loop.

    Attributes:
        membership: Roster and agreements in force; replaced as a whole when they change.

    Args:
        settings: Of this coordinator.
        store: Opened and up to date.
        link: To the councils.
        schema: The data dictionary.
        clock: Gives the time, UTC.
        rng: Gives secure random bytes.
        membership: Who takes part, at the start.
        note: Where events are written down.
        still_acting: Asked before councils spend, and before they unmask.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        link: CouncilLink,
        schema: Schema,
        clock: Callable[[], datetime],
        rng: RandomSource,
        membership: Membership,
        note: Note = _silence,
        still_acting: StillActing = alone,
    ) -> None:
        self.settings = settings
        self.store = store
        self.thread = StoreThread()
        self.courier = Courier(link)
        self.board = ProgressBoard(clock)
        self.schema = schema
        self.clock = clock
        self.rng = rng
        self.membership = membership
        self.note = note
        self.still_acting = still_acting
        self._tasks: set[asyncio.Task[None]] = set()
        self._known: tuple[Membership, date, Mapping[CouncilId, bytes], Mapping[CouncilId, bytes]] | None = None

    def identities(self) -> Mapping[CouncilId, bytes]:
        """Public keys of the councils in the current roster."""
        return self._keys()[0]

    def parties(self) -> Mapping[CouncilId, bytes]:
        """Public keys of all who may connect, mask holders too; the link asks for them at every turn."""
        return self._keys()[1]

    def _keys(self) -> tuple[Mapping[CouncilId, bytes], Mapping[CouncilId, bytes]]:
        now = self.clock()
        if self._known is None or self._known[0] is not self.membership or self._known[1] != now.date():
            membership = self.membership
            self._known = (membership, now.date(), membership.identities(now), membership.parties(now))
        return self._known[2:]

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that nobody waits for; what goes wrong in it is written down."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def settle(self, *, timeout_s: float) -> None:
        """Wait for what runs in the background, for so long; then stop the rest."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.note("background_failed", {"error": type(error).__name__, "at": place(error)})
