"""What this mask holder opened: one sum for each round that a plan's answer takes, ever.

An entry is on the disk before the opening leaves, and is never changed or deleted. So a coordinator that runs a signed
plan of one round a second time, with one council fewer, gets nothing from which the two could be subtracted; also after
a restart. Of a plan of several rounds there is one sum for each. They can be over different councils, which is not
compared here: a difference of two has the noise of both, and councils charge each round.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from council_node.durable_sqlite import FileLock, connect, create_empty, plain_errors, schema_version, transaction
from federated.errors import FileProblem, PolicyRefusal, QueryError
from federated.timestamps import parse_time, time_text
from protocols.identifiers import CouncilId, Digest, RoundId

__all__ = ["OpenedSum", "OpeningRecord"]

NAME: Final = "record of openings"
FORMAT: Final = 1
_DEFINITIONS: Final = (
    """CREATE TABLE opened (
        plan_digest BLOB NOT NULL CHECK (length(plan_digest) = 32),
        part INTEGER NOT NULL CHECK (part >= 1),
        sid BLOB NOT NULL UNIQUE CHECK (length(sid) = 32),
        h3 BLOB NOT NULL CHECK (length(h3) = 32),
        agreement TEXT NOT NULL,
        agreement_version INTEGER NOT NULL,
        question TEXT NOT NULL,
        councils TEXT NOT NULL,
        opened_at TEXT NOT NULL,
        PRIMARY KEY (plan_digest, part)
    )""",
    """CREATE TRIGGER opened_never_changes BEFORE UPDATE ON opened
        BEGIN SELECT RAISE(ABORT, 'what was opened is never changed'); END""",
    """CREATE TRIGGER opened_stays BEFORE DELETE ON opened
        BEGIN SELECT RAISE(ABORT, 'what was opened is never forgotten'); END""",
)
_COLUMNS: Final = "plan_digest, part, sid, h3, agreement, agreement_version, question, councils, opened_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSum:
    """One sum that was opened.

    Attributes:
        plan_digest: Whose answer it is for.
        part: Which round of that answer, from 1; always 1 where the plan takes one.
        sid: The round.
        h3: The one list of survivors, as every council that signed it has it.
        agreement: Id of the agreement.
        agreement_version: Its version.
        question: Title of the question.
        councils: Whose figures are in the sum.
        opened_at: When, UTC.
    """

    plan_digest: Digest
    part: int
    sid: RoundId
    h3: Digest
    agreement: str
    agreement_version: int
    question: str
    councils: tuple[CouncilId, ...]
    opened_at: datetime


class OpeningRecord:
    """The record, open; one program at a time writes to it."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: FileLock | None) -> None:
        """Wrap a connection; use `open` or `read_only`."""
        self._path = path
        self._connection = connection
        self._lock = lock

    @classmethod
    def create(cls, path: Path) -> None:
        """Make an empty record. Run by `mask-holder init` alone: one that is missing later was lost.

        Raises:
            FileProblem: A record with content stands there already, or the folder cannot be written to.
        """
        create_empty(path, NAME)
        connection = connect(path, NAME)
        try:
            with plain_errors(path, NAME), transaction(connection):
                for definition in _DEFINITIONS:
                    connection.execute(definition)
                connection.execute(f"PRAGMA user_version={FORMAT}")
        finally:
            connection.close()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the record for writing.

        Raises:
            FileProblem: Lost, damaged, in use, or written by newer software.
        """
        lock = FileLock(path, NAME)
        try:
            _check_kept(path, "is not there", good=path.is_file())
            connection = connect(path, NAME)
            try:
                found = schema_version(connection, path, NAME, known=FORMAT)
                # An empty file in its place would open every sum a second time.
                _check_kept(path, "holds nothing", good=found == FORMAT)
                _check_form(path, connection)
                return cls(path, connection, lock)
            except BaseException:
                connection.close()
                raise
        except BaseException:
            lock.release()
            raise

    @classmethod
    @contextmanager
    def read_only(cls, path: Path) -> Iterator[Self]:
        """Open the record for reading, also while the mask holder runs.

        Raises:
            FileProblem: It is not there, damaged, or written by newer software.
        """
        connection = connect(path, NAME, read_only=True)
        try:
            schema_version(connection, path, NAME, known=FORMAT)
            _check_form(path, connection)
            yield cls(path, connection, None)
        finally:
            connection.close()

    def __enter__(self) -> Self:
        """Enter a block at whose end the record is closed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file, and let others use it."""
        self._connection.close()
        if self._lock is not None:
            self._lock.release()

    def check_unopened(self, plan_digest: Digest, part: int) -> None:
        """Refuse what was opened already.

        Raises:
            PolicyRefusal: `opened_before`.
        """
        with plain_errors(self._path, NAME):
            found = self._connection.execute(
                "SELECT opened_at FROM opened WHERE plan_digest = ? AND part = ?", (plan_digest, part)
            ).fetchone()
        if found is not None:
            raise PolicyRefusal(
                "opened_before",
                f"The mask holder opened this question's sum at {found[0]}, and opens no second one.",
                remedy="Plan the question again, which makes a new plan.",
            )

    def has(self, sid: RoundId) -> bool:
        """Whether the sum of that round was opened."""
        with plain_errors(self._path, NAME):
            return self._connection.execute("SELECT 1 FROM opened WHERE sid = ?", (sid,)).fetchone() is not None

    def add(self, entry: OpenedSum) -> None:
        """Write an opening down; it is on the disk when this returns. Nothing may leave before.

        Raises:
            PolicyRefusal: `opened_before`: a sum of the same plan was opened already.
            FileProblem: It cannot be written; nothing was.
        """
        row = (
            entry.plan_digest,
            entry.part,
            entry.sid,
            entry.h3,
            entry.agreement,
            entry.agreement_version,
            entry.question,
            json.dumps(entry.councils),
            time_text(entry.opened_at),
        )
        with plain_errors(self._path, NAME), transaction(self._connection):
            self.check_unopened(entry.plan_digest, entry.part)
            # Not REPLACE, which deletes without asking the trigger.
            self._connection.execute(f"INSERT INTO opened ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608 - our own words

    def entries(self) -> tuple[OpenedSum, ...]:
        """Everything that was opened, oldest first.

        Raises:
            FileProblem: The file is damaged.
        """
        with plain_errors(self._path, NAME):
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM opened ORDER BY rowid").fetchall()  # noqa: S608 - our own words
        try:
            return tuple(_entry(row) for row in rows)
        except (QueryError, ValueError, TypeError, RecursionError) as error:
            raise FileProblem(
                f"The {NAME} {self._path} cannot be read: it is damaged.", remedy="Restore it from a backup."
            ) from error


def _check_kept(path: Path, found: str, *, good: bool) -> None:
    if not good:
        raise FileProblem(
            f"The {NAME} {path} {found}, though `mask-holder init` made one.",
            remedy="Put the newest copy back. Without one, nobody knows what was opened: make a new mask holder, whose "
            "key a new version of the agreement names (docs/mask-holder.md).",
        )


def _check_form(path: Path, connection: sqlite3.Connection) -> None:
    """Refuse a damaged record, and one that no longer refuses changes: it could have forgotten something."""
    with plain_errors(path, NAME):
        (sound,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        found = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    if sound != "ok" or {sql for (sql,) in found} != set(_DEFINITIONS):
        raise FileProblem(
            f"The {NAME} {path} is damaged, or its tables were altered.", remedy="Restore it from a backup."
        )


def _entry(row: tuple[bytes, int, bytes, bytes, str, int, str, str, str]) -> OpenedSum:
    plan_digest, part, sid, h3, agreement, version, question, councils, opened_at = row
    return OpenedSum(
        plan_digest=Digest(plan_digest),
        part=part,
        sid=RoundId(sid),
        h3=Digest(h3),
        agreement=agreement,
        agreement_version=version,
        question=question,
        councils=tuple(CouncilId(str(council)) for council in json.loads(councils)),
        opened_at=parse_time(opened_at),
    )
