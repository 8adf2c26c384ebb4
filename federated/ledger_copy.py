"""Reads a copy of a council's ledger and checks its chain, on any computer and without a connection.

The chain shows that no entry between the first and the last was changed, removed or put in. It cannot show whose ledger
it is, or that it is the latest: whoever holds a ledger can write a whole new one. `check_stands_on` closes that gap
with a budget statement that the council signed.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from federated.budget_statement import BudgetStatement
from federated.errors import FileProblem, QueryError, SignatureProblem
from federated.ledger_chain import LedgerBroken, LedgerState, Row, walk
from federated.ledger_entries import Entry
from federated.timestamps import parse_time

__all__ = ["ENTRIES", "ENTRY_TABLE", "LedgerCopy", "check_stands_on", "read_ledger_copy", "read_ledger_file"]

ENTRY_TABLE: Final = """CREATE TABLE entry (
        counter INTEGER PRIMARY KEY NOT NULL CHECK (counter > 0),
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        previous BLOB NOT NULL CHECK (length(previous) = 32),
        hash BLOB NOT NULL CHECK (length(hash) = 32)
    )"""
"""The table of entries of a ledger's file."""
ENTRIES: Final = "SELECT counter, kind, body, previous, hash FROM entry ORDER BY counter"
"""Every entry, in order."""
_MAGIC: Final = b"SQLite format 3\0"
COPY_LIMIT: Final = 256 * 1024 * 1024
_WAYS: Final = "A ledger is copied whole from the node's state folder (ledger.db), or taken from an evidence pack."


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerCopy:
    """A ledger whose chain holds.

    Attributes:
        state: What its entries add up to.
        entries: Every entry, in order.
    """

    state: LedgerState
    entries: tuple[Entry, ...]

    def summary(self) -> str:
        """What was found, in one sentence."""
        return (
            f"The ledger of {self.state.council} is whole: {len(self.entries)} entries, the last is number "
            f"{self.state.counter} with hash {self.state.head.hex()}."
        )


def read_ledger_file(path: Path) -> LedgerCopy:
    """Read a copy from a file; the file is never written to.

    Raises:
        FileProblem: As `read_ledger_copy`, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(COPY_LIMIT + 1)
    except OSError as error:
        raise FileProblem(f"{path}: the ledger's copy cannot be read ({error.strerror}).", remedy=_WAYS) from error
    return read_ledger_copy(content)


def read_ledger_copy(content: bytes) -> LedgerCopy:
    """Check the chain of a ledger's copy. Run by a reviewer, who need not trust whoever sent it.

    Args:
        content: The bytes of the ledger's file.

    Raises:
        FileProblem: Not a ledger's file, or far too large.
        LedgerBroken: Names the first entry that is wrong.
    """
    if len(content) > COPY_LIMIT:
        raise FileProblem(f"The ledger's copy is larger than {COPY_LIMIT} bytes.", remedy=_WAYS)
    if not content.startswith(_MAGIC):
        raise FileProblem("This is not a ledger's file.", remedy=_WAYS)
    kept: list[Entry] = []
    state = walk(_rows(content), kept.append)
    return LedgerCopy(state=state, entries=tuple(kept))


def _rows(content: bytes) -> list[Row]:
    """The rows, read from a database in memory, in which nothing that came with the file can run."""
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(content)
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("PRAGMA cell_size_check=ON")
            found = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'entry'").fetchall()
            # A view or a computed column under this name would be a program that came with the file.
            if found != [(ENTRY_TABLE,)]:
                raise FileProblem("This file holds no table of ledger entries.", remedy=_WAYS)
            return connection.execute(ENTRIES).fetchall()
    except (sqlite3.Error, OverflowError, UnicodeDecodeError) as error:
        raise LedgerBroken("The ledger's file is damaged.", remedy=_WAYS) from error


def check_stands_on(statement: BudgetStatement, copy: LedgerCopy) -> str:
    """Hold a council's signed budget statement against the ledger it says it was made from.

    Args:
        statement: Opened with the council's own key.
        copy: The ledger.

    Returns:
        What was found to be right, in one sentence.

    Raises:
        SignatureProblem: The ledger is another council's, has another past, or adds up to something else.
    """
    if statement.council != copy.state.council:
        raise SignatureProblem(
            f"The budget statement is of council {statement.council}, the ledger of council {copy.state.council}."
        )
    before = [entry.row for entry in copy.entries if entry.counter <= statement.counter]
    if not before or (before[-1][0], before[-1][4]) != (statement.counter, statement.head):
        raise SignatureProblem(
            f"The council signed that entry {statement.counter} of its ledger has the hash "
            f"{statement.head.hex()[:16]}; this ledger has no such entry.",
            remedy="Ask the council's reviewer which of the two is right: one of them was changed.",
        )
    try:
        made_at = parse_time(statement.time)
    except QueryError as error:
        raise SignatureProblem("The budget statement does not say when it was made.") from error
    derived = walk(before).statement(made_at)
    if derived != statement:
        raise SignatureProblem("The figures of the budget statement are not what the ledger's entries add up to.")
    after = len(copy.entries) - len(before)
    later = f" {after} later entries are not covered by it." if after else ""
    return f"The council signed this ledger up to entry {statement.counter}, and its figures follow from it.{later}"
