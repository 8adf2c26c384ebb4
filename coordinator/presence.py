"""Who is here and up to date, council or mask holder: each is given the current roster when it connects, first of all.

A node that has slept through a roster would refuse the next proposal for good, over nothing but its own sleep.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Final

from coordinator.office import Office
from protocols.identifiers import CouncilId

__all__ = ["CONNECTED", "Presence"]

Greet = Callable[[CouncilId], Awaitable[None]]

CONNECTED: Final = "connected"
"""What the link calls it when a council has proven itself; its fields are the council, and its software's version."""


class Presence:
    """Keeps who has been greeted; used from one event loop.

    Args:
        office: What the coordinator's parts share.
        greet: Run once for each connection, before the council counts as ready. None: nobody is greeted, and
            everyone connected is ready, as in one process.
    """

    def __init__(self, office: Office, *, greet: Greet | None) -> None:
        self._office = office
        self._greet = greet
        self._greeted: set[CouncilId] = set()
        self._listeners: dict[asyncio.Event, None] = {}  # in the order in which they came

    def ready(self) -> frozenset[CouncilId]:
        """The councils to ask at this moment."""
        connected = self._office.courier.connected()
        return connected if self._greet is None else connected & self._greeted

    def on_event(self, event: str, fields: Mapping[str, str | int]) -> None:
        """Hear of a connection; the link calls this."""
        if event == CONNECTED:
            council = CouncilId(str(fields["council"]))
            self._greeted.discard(council)
            self._office.background(self._welcome(council))

    def greet_all(self) -> None:
        """Greet everyone again, as there is a new roster."""
        for council in sorted(self._office.courier.connected()):
            self._greeted.discard(council)
            self._office.background(self._welcome(council))

    def listen(self, changed: asyncio.Event) -> Callable[[], None]:
        """Have an event set whenever a council becomes ready; call the result to stop."""
        self._listeners[changed] = None
        return lambda: self._listeners.pop(changed, None)

    async def until_ready(self, party: CouncilId, *, by: datetime, still_wanted: Callable[[], Awaitable[bool]]) -> bool:
        """Wait for one party.

        Args:
            party: Who.
            by: Until when.
            still_wanted: Asked now and then whether to go on waiting.

        Returns:
            Whether it is ready.
        """
        changed = asyncio.Event()
        stop_listening = self.listen(changed)
        try:
            while party not in self.ready():
                left = (by - self._office.clock()).total_seconds()
                if left <= 0 or not await still_wanted():
                    return False
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, self._office.settings.proposals.ask_again)):
                        await changed.wait()
                changed.clear()
            return True
        finally:
            stop_listening()

    async def _welcome(self, council: CouncilId) -> None:
        if self._greet is not None:
            await self._greet(council)
        self._greeted.add(council)
        for changed in self._listeners:
            changed.set()
