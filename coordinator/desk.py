"""The desk as a running coordinator uses it: wait for it, keep it, notice that it is lost, leave it.

Several coordinators may be started on one PostgreSQL. One acts; the others stand by, listen for nobody, and take over
when the one that acts leaves or is not heard of for the length of a lease.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from coordinator.office import Note
from coordinator.store import DeskLost, Store
from federated.errors import FileProblem
from protocols.identifiers import RandomSource

__all__ = ["Desk", "owner_in"]

_OWNER_SIZE: Final = 16
_RENEWALS: Final = 3
"""A lease is renewed this many times before it would run out."""
_LOOK_S: Final = 1.0
"""How often a coordinator that stands by looks whether the desk is free, unless the lease is shorter."""


def owner_in(folder: Path, rng: RandomSource) -> str:
    """Name under which this state folder's coordinator sits at the desk; the same after a restart."""
    path = folder / "owner"
    if not path.exists():
        path.write_text(rng(_OWNER_SIZE).hex(), encoding="ascii")
    return path.read_text(encoding="ascii").strip()


class Desk:
    """This coordinator's seat at the desk.

    Args:
        store: The database.
        owner: Name of this coordinator; the desk is free at once for whoever sat there last.
        lease_s: For how long after the last sign of life the desk stays taken.
        clock: Gives the time, UTC.
        note: Where events are written down.
    """

    def __init__(self, store: Store, *, owner: str, lease_s: float, clock: Callable[[], datetime], note: Note) -> None:
        self._store = store
        self._owner = owner
        self._lease = timedelta(seconds=lease_s)
        self._clock = clock
        self._note = note
        self._turn = 0
        self._standing_by = False

    async def take(self) -> Store | None:
        """Sit down if the desk is free.

        Returns:
            The store that writes moves under this turn, or None while another coordinator has the desk.
        """
        now = self._clock()
        taking = self._store.desk.take
        turn = await asyncio.to_thread(taking, owner=self._owner, now=now, until=now + self._lease)
        if turn is None:
            if not self._standing_by:
                self._standing_by = True
                self._note("standing_by", {})
            return None
        self._turn = turn
        self._note("acting", {"turn": turn})
        return self._store.at_desk(turn)

    @property
    def look_s(self) -> float:
        """Seconds until it is worth trying again."""
        return min(_LOOK_S, self._lease.total_seconds() / _RENEWALS)

    async def keep(self) -> None:
        """Stay at the desk; returns when it is lost to another coordinator."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / _RENEWALS)
            try:
                kept = await asyncio.to_thread(self._store.desk.keep, self._turn, until=self._clock() + self._lease)
            except FileProblem as problem:
                # Still ours until somebody takes it, and without the database nobody can; nor can we write.
                self._note("desk_not_kept", {"problem": problem.diagnostics()})
                continue
            if not kept:
                self._note("desk_lost", {"turn": self._turn})
                return

    async def look(self) -> None:
        """Check, by writing, that the database takes what is written and the desk is ours.

        Raises:
            FederatedError: It does not, or is not.
        """
        if not await asyncio.to_thread(self._store.desk.keep, self._turn, until=self._clock() + self._lease):
            raise DeskLost

    async def leave(self) -> None:
        """Make the desk free, so that a coordinator that stands by takes over at once."""
        await asyncio.to_thread(self._store.desk.leave, self._turn)
