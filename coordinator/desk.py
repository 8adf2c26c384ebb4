"""The desk as a running coordinator uses it: wait for it, keep it, notice that it is lost, leave it.

Several coordinators may be started on one PostgreSQL. One acts; the others stand by, listen for nobody, and take over
when the one that acts leaves or is not heard of for the length of a lease.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from coordinator.office import Note
from coordinator.store import DeskLost, Store
from federated.errors import FileProblem
from protocols.encoding import sha256
from protocols.identifiers import RandomSource

__all__ = ["LOCK_FILE", "Desk", "owner_in"]

LOCK_FILE: Final = "coordinator.lock"
"""In the state folder: held by the process that uses the folder, for as long as it lives."""

_OWNER_SIZE: Final = 16
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_RENEWALS: Final = 3
"""A lease is renewed this many times before it would run out."""
_LOOK_S: Final = 1.0
"""How often a coordinator that stands by looks whether the desk is free, unless the lease is shorter."""


def owner_in(folder: Path, rng: RandomSource) -> str:
    """Name under which this state folder's coordinator sits at the desk; for whoever holds the folder's lock.

    Whoever sat there last under the same name is gone, so that a restart need not wait for the lease: the name follows
    from the very lock that this process holds, which no other can hold before the earlier one's end. A copy of the
    folder has another lock, and so has the folder once the computer has been started anew, or on another computer.
    """
    path = folder / "owner"
    if not path.exists():
        path.write_text(rng(_OWNER_SIZE).hex(), encoding="ascii")
    lock = (folder / LOCK_FILE).stat()
    parts = (path.read_text(encoding="ascii").strip(), _boot_id(rng), str(lock.st_dev), str(lock.st_ino))
    return sha256("/".join(parts).encode()).hex()


def _boot_id(rng: RandomSource) -> str:
    """Names this start of this computer; where none is to be had something new, so that every restart waits."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return rng(_OWNER_SIZE).hex()


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
        self._kept_at = 0.0
        self._standing_by = False

    async def take(self) -> Store | None:
        """Sit down if the desk is free.

        Returns:
            The store that writes moves under this turn, or None while another coordinator has the desk.
        """
        now, began = self._clock(), time.monotonic()
        taking = self._store.desk.take
        turn = await asyncio.to_thread(taking, owner=self._owner, now=now, until=now + self._lease)
        if turn is None:
            if not self._standing_by:
                self._standing_by = True
                self._note("standing_by", {})
            return None
        self._turn, self._kept_at = turn, began
        self._note("acting", {"turn": turn})
        return self._store.at_desk(turn)

    @property
    def look_s(self) -> float:
        """Seconds until it is worth trying again."""
        return min(_LOOK_S, self._lease.total_seconds() / _RENEWALS)

    async def keep(self) -> None:
        """Stay at the desk for as long as it can be had.

        Raises:
            DeskLost: Another coordinator has it.
            FileProblem: The database could not be written to for a lease, so another may have it.
        """
        while True:
            await asyncio.sleep(self._lease.total_seconds() / _RENEWALS)
            try:
                await self.look()
            except DeskLost:
                self._note("desk_lost", {"turn": self._turn})
                raise
            except FileProblem as problem:
                # Ours until a lease has passed; from then on somebody may act whom we cannot hear of.
                self._note("desk_not_kept", {"problem": problem.diagnostics()})
                if self._lapsed():
                    raise

    async def look(self) -> None:
        """Check, by writing, that the database takes what is written and the desk is ours.

        Raises:
            DeskLost: Another coordinator has it.
            FileProblem: The database takes nothing, or does not answer while the lease lasts.
        """
        began = time.monotonic()
        patience = max(self._kept_at + self._lease.total_seconds() - began, self.look_s)
        try:
            async with asyncio.timeout(patience):
                kept = await asyncio.to_thread(self._store.desk.keep, self._turn, until=self._clock() + self._lease)
        except TimeoutError as error:
            raise FileProblem(
                "The database does not answer.", remedy="Check that it runs, and the network between."
            ) from error
        if not kept:
            raise DeskLost
        self._kept_at = began

    async def require(self) -> None:
        """Wait until the desk is known to be ours, for as long as the lease lasts.

        Asked before councils are made to spend, or to show what unmasks a sum. A coordinator that cannot reach its
        database could release nothing of a round, and one that was replaced may not: the councils' budgets are not
        spent on it.

        Raises:
            DeskLost: Another coordinator has it.
            FileProblem: The database could not be written to for a lease.
        """
        while True:
            try:
                return await self.look()
            except DeskLost:
                raise
            except FileProblem:
                if self._lapsed():
                    raise
            await asyncio.sleep(self.look_s)

    def _lapsed(self) -> bool:
        return time.monotonic() - self._kept_at >= self._lease.total_seconds()

    async def leave(self) -> None:
        """Make the desk free, so that a coordinator that stands by takes over at once."""
        await asyncio.to_thread(self._store.desk.leave, self._turn)
