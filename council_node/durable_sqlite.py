"""SQLite files that survive a crash: the one way this node opens them, and one plain sentence for each failure.

Journal mode TRUNCATE with synchronous FULL, not WAL: between transactions the whole truth is in one file, so a copy
of that file is a complete backup. SQLite also waits until the emptied journal is on the disk (pager.c,
`pager_end_transaction`), without which a power cut could bring a finished journal back and undo a transaction that
had been reported as done. DELETE with EXTRA promises the same and waits for the folder twice more each time.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from federated.errors import FileProblem

__all__ = ["FileLock", "connect", "create_empty", "plain_errors", "schema_version", "transaction"]

BUSY_TIMEOUT_S: Final = 5.0
PRIVATE: Final = 0o600
FOLDERS_OPEN: Final = os.name != "nt"
"""Whether a folder can be opened to wait for its names; Windows refuses, and its file system keeps a journal."""

_SENTENCES: Final = {
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space and try again."),
    sqlite3.SQLITE_READONLY: (
        "it is read-only",
        "Give the account that runs the node write access to its folder.",
    ),
    sqlite3.SQLITE_PERM: (
        "it may not be opened",
        "Give the account that runs the node access to its folder.",
    ),
    sqlite3.SQLITE_BUSY: ("another program is using it", "Stop the other program and try again."),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", "Restore it from a backup."),
    sqlite3.SQLITE_NOTADB: (
        "it is not a database",
        "Check the path in the settings, or restore it from a backup.",
    ),
    sqlite3.SQLITE_IOERR: (
        "the disk reported an error",
        "Check the disk's free space and health, then try again.",
    ),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "Check that its folder exists and may be written to."),
    sqlite3.SQLITE_CONSTRAINT: ("it refuses a change to what is already written", "Please report this."),
}
_OTHER: Final = (
    "the database engine reported an error",
    "Restart the node; if it happens again, please report it.",
)


@contextmanager
def plain_errors(path: Path, name: str) -> Iterator[None]:
    """Translate every SQLite error into one plain sentence.

    Args:
        path: The file, for the sentence.
        name: What it is, for example ``ledger``.

    Raises:
        FileProblem: From the SQLite error; the database engine's own words are left out.
    """
    try:
        yield
    except sqlite3.Error as error:
        # The low byte is the kind of failure; the rest says where inside the engine it happened.
        found, remedy = _SENTENCES.get((getattr(error, "sqlite_errorcode", None) or 0) & 0xFF, _OTHER)
        raise FileProblem(f"The {name} {path} cannot be used: {found}.", remedy=remedy) from error
    except UnicodeDecodeError as error:
        # In a damaged file, what the engine says quotes bytes that are no text.
        found, remedy = _SENTENCES[sqlite3.SQLITE_CORRUPT]
        raise FileProblem(f"The {name} {path} cannot be used: {found}.", remedy=remedy) from error


def create_empty(path: Path, name: str) -> None:
    """Make an empty file that only this account can read, never touching one that is there.

    Raises:
        FileProblem: A file with content stands there already, or the folder cannot be written to.
    """
    try:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE))
        except FileExistsError as error:
            if path.stat().st_size > 0:
                raise FileProblem(
                    f"There is a {name} at {path} already; a new one was to be made.",
                    remedy="Open the one that is there, or choose another folder.",
                ) from error
        _keep_names(path.parent)
    except OSError as error:
        raise FileProblem(
            f"The {name} {path} cannot be made: {error.strerror}.",
            remedy="Check that its folder exists and that the account that runs the node may write to it.",
        ) from error


def _keep_names(folder: Path) -> None:
    """Wait until the names in a folder are on the disk: SQLite does so for its journal alone."""
    if not FOLDERS_OPEN:
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def connect(path: Path, name: str, *, read_only: bool = False) -> sqlite3.Connection:
    """Open an existing file with full durability; nothing is created.

    Raises:
        FileProblem: The file is missing or cannot be opened.
    """
    if not path.is_file():
        raise FileProblem(f"There is no {name} at {path}.", remedy="Check the state folder named in the settings.")
    mode = "ro" if read_only else "rw"
    with plain_errors(path, name):
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=BUSY_TIMEOUT_S,
            check_same_thread=False,
        )
        try:
            _configure(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def _configure(connection: sqlite3.Connection) -> None:
    # trusted_schema and cell_size_check: a file from elsewhere must not run anything or crash the engine.
    for pragma in ("synchronous=FULL", "fullfsync=ON", "trusted_schema=OFF", "cell_size_check=ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("PRAGMA journal_mode=TRUNCATE").fetchone()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, on the disk when the block has ended; undone when anything raises, the commit included."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):  # the first error is the one to tell
                connection.execute("ROLLBACK")
        raise


def schema_version(connection: sqlite3.Connection, path: Path, name: str, *, known: int) -> int:
    """The file's schema version; 0 for a file that holds nothing yet.

    Raises:
        FileProblem: Written by newer software, which may mean things this software would miss.
    """
    with plain_errors(path, name):
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if not 0 <= found <= known:
        raise FileProblem(
            f"The {name} {path} has format {found}; this software reads up to format {known}.",
            remedy="Install the newer software again.",
        )
    return found


class FileLock:
    """Held by one process at a time, and let go by the system when that process ends, however it ends.

    The lock is SQLite's own, on a file beside the one protected, so that it works on every platform and readers
    can still open the protected file.
    """

    def __init__(self, path: Path, name: str) -> None:
        """Take the lock.

        Raises:
            FileProblem: Another process, or another part of this one, holds it.
        """
        beside = path.resolve()
        beside = beside.with_name(f"{beside.name}.lock")
        with plain_errors(beside, f"{name}'s lock"):
            self._connection = sqlite3.connect(beside, isolation_level=None, timeout=0, check_same_thread=False)
            try:
                self._connection.execute("BEGIN EXCLUSIVE")
            except sqlite3.Error as error:
                self._connection.close()
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                raise FileProblem(
                    f"The {name} {path} is in use by another program.",
                    remedy="Only one node may run for each council, or one mask holder: stop the other one first.",
                ) from error

    def release(self) -> None:
        """Let go."""
        self._connection.close()
