"""The ledger's file: append-only by its own triggers, verified in full whenever it is opened, durable on return.

What the entries mean is in `federated.ledger_chain`; this module only keeps them. Every method raises
`FileProblem` in one plain sentence when the disk is full, the file is read-only or damaged, and the like.
"""

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from council_node.durable_sqlite import connect, create_empty, plain_errors, schema_version, transaction
from federated.errors import FileProblem
from federated.ledger_chain import LedgerBroken, LedgerState, walk
from federated.ledger_copy import ENTRIES, ENTRY_TABLE
from federated.ledger_entries import GENESIS, MAX_MARK, Entry, EntryKind, make_entry, stamped
from protocols.identifiers import CouncilId

__all__ = ["NAME", "LedgerFile", "read_backup"]

NAME: Final = "ledger"
FORMAT: Final = 1
_DEFINITIONS: Final = {
    "entry": ENTRY_TABLE,
    "peer": "CREATE TABLE peer (council TEXT PRIMARY KEY NOT NULL, counter INTEGER NOT NULL CHECK (counter > 0))",
    "entry_never_changes": """CREATE TRIGGER entry_never_changes BEFORE UPDATE ON entry
        BEGIN SELECT RAISE(ABORT, 'a ledger entry is never changed'); END""",
    "entry_never_goes": """CREATE TRIGGER entry_never_goes BEFORE DELETE ON entry
        BEGIN SELECT RAISE(ABORT, 'a ledger entry is never removed'); END""",
    # REPLACE deletes without firing the trigger above, so an entry may only come after the last one.
    "entry_comes_last": """CREATE TRIGGER entry_comes_last BEFORE INSERT ON entry
        WHEN NEW.counter <= (SELECT coalesce(max(counter), 0) FROM entry)
        BEGIN SELECT RAISE(ABORT, 'a ledger entry comes after the last one'); END""",
}


class LedgerFile:
    """An open ledger file."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Wrap a connection; use `create` or `open`."""
        self.path = path
        self._connection = connection

    @classmethod
    def create(cls, path: Path, council: CouncilId, now: datetime) -> Self:
        """Make a new file with its first entry; a ledger that is there already is never touched."""
        create_empty(path, NAME)
        file = cls(path, connect(path, NAME))
        opened = make_entry(1, EntryKind.OPENED, stamped(now, {"council": council}), GENESIS)
        with file._writing() as connection:
            for definition in _DEFINITIONS.values():
                connection.execute(definition)
            connection.execute(f"PRAGMA user_version={FORMAT}")
            _insert(connection, opened)
        return file

    @classmethod
    def open(cls, path: Path, council: CouncilId, *, read_only: bool = False) -> tuple[Self, LedgerState]:
        """Open a file and verify all of it.

        Raises:
            FileProblem: Missing, damaged, altered, written by newer software, or another council's.
            LedgerBroken: The chain does not hold.
        """
        file = cls(path, connect(path, NAME, read_only=read_only))
        try:
            file._check_form()
            state = file.replay()
            _check_owner(path, state, council)
        except BaseException:
            file.close()
            raise
        return file, state

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def replay(self) -> LedgerState:
        """Walk the chain as it stands in the file."""
        with plain_errors(self.path, NAME):
            return walk(self._rows())

    def entries(self) -> tuple[Entry, ...]:
        """Every entry, verified."""
        kept: list[Entry] = []
        with plain_errors(self.path, NAME):
            walk(self._rows(), kept.append)
        return tuple(kept)

    def append(self, entry: Entry) -> None:
        """Write an entry; it is on the disk when this returns."""
        with self._writing() as connection:
            _insert(connection, entry)

    def peers(self) -> dict[CouncilId, int]:
        """The mark (`mark_of`) of the last entry seen signed by each council."""
        with plain_errors(self.path, NAME):
            rows = self._connection.execute("SELECT council, counter FROM peer").fetchall()
        return {CouncilId(str(council)): int(counter) for council, counter in rows}

    def note_peers(self, marks: Mapping[CouncilId, int]) -> None:
        """Remember these marks where they are higher than those known; all in one durable step."""
        known = self.peers()
        higher = [(c, n) for c, n in marks.items() if known.get(c, 0) < n <= MAX_MARK]
        if higher:
            with self._writing() as connection:
                connection.executemany("INSERT OR REPLACE INTO peer VALUES (?, ?)", higher)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with plain_errors(self.path, NAME), transaction(self._connection):
            yield self._connection

    def _rows(self) -> sqlite3.Cursor:
        return self._connection.execute(ENTRIES)

    def _check_form(self) -> None:
        if schema_version(self._connection, self.path, NAME, known=FORMAT) == 0:
            raise FileProblem(
                f"The file {self.path} holds no ledger.", remedy="Restore it from a backup, or make a new one."
            )
        with plain_errors(self.path, NAME):
            (sound,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
            found = self._connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        if sound != "ok":
            raise LedgerBroken(f"The ledger {self.path} is damaged.", remedy="Restore it from a backup.")
        if dict(found) != _DEFINITIONS:
            raise LedgerBroken(
                f"The ledger {self.path} no longer refuses changes to its entries: its tables were altered.",
                remedy="Restore it from a backup, and tell your privacy reviewer.",
            )


def read_backup(backup: Path, arriving: Path, council: CouncilId) -> None:
    """Copy a backup to where it can be put in order, once it has proved to be a sound ledger of this council."""
    LedgerFile.open(backup, council, read_only=True)[0].close()
    arriving.unlink(missing_ok=True)
    create_empty(arriving, NAME)
    try:
        shutil.copyfile(backup, arriving)
    except OSError as error:
        raise FileProblem(
            f"The backup {backup} could not be copied: {error.strerror}.", remedy="Check the disk's free space."
        ) from error


def _check_owner(path: Path, state: LedgerState, council: CouncilId) -> None:
    if state.council != council:
        raise FileProblem(
            f"The ledger {path} is council {state.council}'s, but the settings name council {council}.",
            remedy="Use each council's own state folder.",
        )


def _insert(connection: sqlite3.Connection, entry: Entry) -> None:
    connection.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", entry.row)
