"""The ledger as a book: opened by one process at a time, verified, read, and added to at its end.

What may be added, and when, is in `council_node.ledger`.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from council_node.durable_sqlite import FileLock
from council_node.ledger_file import NAME, LedgerFile, read_backup
from federated.budget_statement import BudgetStatement
from federated.errors import FileProblem
from federated.ledger_chain import LedgerBroken, LedgerState
from federated.ledger_entries import Entry, EntryKind, LedgerRound, RoundState, make_entry, mark_of, stamped
from federated.privacy import Totals
from protocols.encoding import Json
from protocols.identifiers import CouncilId, Digest, RoundId

__all__ = ["RESTORED", "LedgerBook"]

RESTORED: Final = "restored from a backup"
"""Why a ledger that was put back takes no charge."""


class LedgerBook:
    """One council's ledger as it stands: opening, reading, and adding an entry."""

    def __init__(self, file: LedgerFile, state: LedgerState, lock: FileLock | None) -> None:
        """Wrap an opened file; use `create`, `open`, `read_only` or `restore`."""
        self._file = file
        self._state = state
        self._lock = lock
        self._stale = False
        self._turn = threading.RLock()

    # Opening and closing

    @classmethod
    def create(cls, path: Path, council: CouncilId, now: datetime) -> Self:
        """Start a new, empty ledger. Run once, when a council sets up its node.

        Raises:
            FileProblem: One is there already, or the folder cannot be written to.
        """
        with _locked(path) as lock:
            LedgerFile.create(path, council, now).close()
            return cls(*LedgerFile.open(path, council), lock)

    @classmethod
    def open(cls, path: Path, council: CouncilId) -> Self:
        """Open the ledger and verify all of it. A missing file is an error: a new one would forget every charge.

        Raises:
            FileProblem: Missing, damaged, altered, written by newer software, another council's, or in use.
            LedgerBroken: The chain does not hold.
        """
        if not path.is_file():
            raise FileProblem(
                f"There is no ledger at {path}.",
                remedy="Check the state folder in the settings; `council-node init` makes a ledger for a new node, "
                "`council-node ledger restore` brings one back from a backup.",
            )
        with _locked(path) as lock:
            return cls(*LedgerFile.open(path, council), lock)

    @classmethod
    def open_or_create(cls, path: Path, council: CouncilId, now: datetime, *, in_service: bool) -> Self:
        """Open the ledger; make one only for a node that has never been in service. Run at start-up.

        Args:
            path: The ledger's file.
            council: Whose it is.
            now: Time, UTC.
            in_service: Whether anything else shows that this node has run before. A missing ledger then means that
                charges were lost, and a new one would let them be spent again.

        Raises:
            FileProblem: As `open`.
        """
        unused = not path.exists() or path.stat().st_size == 0
        return cls.create(path, council, now) if unused and not in_service else cls.open(path, council)

    @classmethod
    def read_only(cls, path: Path, council: CouncilId) -> Self:
        """Open to show or verify, also while the node runs; every change is refused."""
        return cls(*LedgerFile.open(path, council, read_only=True), None)

    @classmethod
    def restore(cls, backup: Path, path: Path, council: CouncilId, now: datetime) -> Self:
        """Put a backup in place of a lost ledger. It starts exhausted: charges since the backup are missing from it.

        Reservations in the backup count as spent, since nobody can know any more.

        Raises:
            FileProblem: The backup is not a sound ledger of this council, or a ledger is in the way.
        """
        if path.exists():
            raise FileProblem(f"There is a ledger at {path} already.", remedy="Move it away first, and keep it.")
        journal = path.with_name(f"{path.name}-journal")
        if journal.exists() and journal.stat().st_size > 0:
            # The database engine would finish what the lost ledger was about, and undo that this one is exhausted.
            raise FileProblem(
                f"What the lost ledger left unfinished is still there: {journal}.",
                remedy="Move it away too, and keep it with the lost ledger.",
            )
        arriving = path.with_name(f"{path.name}.restoring")
        with _locked(path) as lock:
            read_backup(backup, arriving, council)
            with cls(*LedgerFile.open(arriving, council), None) as restored:
                restored._settle_after_restore(now)
            # Only the exhausted copy ever stands at the ledger's place.
            arriving.rename(path)
            return cls(*LedgerFile.open(path, council), lock)

    def close(self) -> None:
        """Close the file and let another process open it."""
        self._file.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        """Enter a block at whose end the ledger is closed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    # Reading

    @property
    def council(self) -> CouncilId:
        """Whose ledger this is."""
        return self._current().council

    @property
    def counter(self) -> int:
        """Number of the last entry; goes into this council's adverts."""
        return self._current().counter

    @property
    def head(self) -> Digest:
        """Hash of the last entry, which fixes every entry before it."""
        return self._current().head

    @property
    def exhausted(self) -> str | None:
        """Why nothing may be charged, or `None`."""
        exhaustion = self._current().exhaustion
        return None if exhaustion is None else exhaustion.reason

    @property
    def peers_saw(self) -> int:
        """The latest entry that another council has seen signed and this ledger lacks; 0 where none is known."""
        exhaustion = self._current().exhaustion
        return 0 if exhaustion is None else exhaustion.peers_saw

    def totals(self, agreement: str, period: str) -> tuple[Totals, Totals]:
        """(spent, reserved) under one agreement in one calendar year, for example ``"2026"``."""
        state = self._current()
        return state.spent(agreement, period), state.reserved(agreement, period)

    def committed(self, agreement: str, period: str) -> Totals:
        """Spent and reserved together, under one agreement in one calendar year."""
        return self._current().committed(period, agreement)

    def committed_in(self, period: str, *, class_2: bool = False) -> Totals:
        """Spent and reserved together, under all agreements, in one calendar year.

        Args:
            period: For example ``"2026"``.
            class_2: Only questions that read class 2 columns.
        """
        state = self._current()
        return state.committed_class_2(period) if class_2 else state.committed(period)

    def inherited_from(self) -> frozenset[CouncilId]:
        """The councils whose spend was inherited."""
        return frozenset(self._current().inherited.predecessors)

    def open_reservations(self) -> tuple[LedgerRound, ...]:
        """Rounds reserved and neither spent nor released."""
        return self._current().reservations()

    def round(self, sid: RoundId) -> LedgerRound | None:
        """A round's charge, if the ledger knows the round."""
        return self._current().rounds.get(sid)

    def attempts(self, plan_digest: Digest, *, besides: RoundId | None = None) -> int:
        """Masked inputs sent, or still to be sent under a reservation, for one plan; but for one round."""
        state = self._current()
        held = None if besides is None else state.rounds.get(besides)
        mine = held is not None and held.plan_digest == plan_digest and held.state is RoundState.RESERVED
        return state.attempts(plan_digest) - int(mine)

    def rounds(self) -> tuple[LedgerRound, ...]:
        """Every round ever reserved, in order."""
        return tuple(self._current().rounds.values())

    def entries(self) -> tuple[Entry, ...]:
        """Every entry, in order, verified."""
        with self._turn:
            return self._file.entries()

    def verify(self) -> None:
        """Walk the whole chain as it stands in the file.

        Raises:
            LedgerBroken: Names the first entry that is wrong, or says that entries are missing at the end.
        """
        known = self._current()
        with self._turn:
            found = self._file.replay()
        if self._lock is not None and (found.counter, found.head) != (known.counter, known.head):
            raise LedgerBroken(
                f"The ledger's last entry is {found.counter}, but this node wrote entry {known.counter}.",
                remedy="Stop the node and tell your privacy reviewer.",
            )

    def statement(self, now: datetime) -> BudgetStatement:
        """What the node signs as its budget statement."""
        return self._current().statement(now)

    def seen(self, eligible: Sequence[CouncilId]) -> tuple[int, ...]:
        """Mark of the last entry seen signed by each council, in this order; our own is our head's. For adverts."""
        with self._turn:
            known = self._file.peers()
            known[self.council] = mark_of(self.counter, self.head)
        return tuple(known.get(council, 0) for council in eligible)

    # For the ledger

    def _current(self) -> LedgerState:
        with self._turn:
            if self._stale or self._lock is None:
                # After a failed write only the file knows whether the entry is there; a reader always asks it.
                self._state = self._file.replay()
                self._stale = False
            return self._state

    def _exhaust(self, reason: str, peers_saw: int, now: datetime) -> None:
        self._append(EntryKind.EXHAUSTED, stamped(now, {"reason": reason, "peers_saw": peers_saw}))

    def _settle_after_restore(self, now: datetime) -> None:
        for held in self.open_reservations():
            self._append(EntryKind.SPENT, stamped(now, {"sid": held.sid.hex()}))
        self._exhaust(RESTORED, 0, now)

    def _append(self, kind: EntryKind, body: Mapping[str, Json], counter: int | None = None) -> Entry:
        state = self._current()
        entry = make_entry(state.counter + 1 if counter is None else counter, kind, body, state.head)
        # Applied first, so that nothing is written that would not verify; forgotten again if writing fails.
        self._stale = True
        state.apply(entry)
        self._file.append(entry)
        self._stale = False
        return entry


@contextmanager
def _locked(path: Path) -> Iterator[FileLock]:
    """Take the ledger's lock and keep it, unless the block raises."""
    lock = FileLock(path, NAME)
    try:
        yield lock
    except BaseException:
        lock.release()
        raise
