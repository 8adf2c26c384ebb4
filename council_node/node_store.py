"""What a council node keeps beside its ledger: proposals, decisions, releases, receipts and the like.

Documents are only ever added: a new one under the same name becomes the latest, and what stood before can still be
shown (requirement R9). Decisions, receipts and records of deletion stay; the rest can be purged when its time is over.
Several programs may have the store open, so that `council-node approve` works while the node runs.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from council_node.durable_sqlite import connect, create_empty, plain_errors, schema_version, transaction
from federated.errors import FileProblem, InternalError
from federated.timestamps import parse_time, time_text

__all__ = ["KEPT", "Document", "DocumentKind", "NodeStore", "StoreConflict"]

NAME: Final = "node store"
FORMAT: Final = 2
DOCUMENT_VERSION: Final = 1


class StoreConflict(FileProblem):
    """Two programs changed one document at the same time; the later one must look again."""


class DocumentKind(StrEnum):
    """What a document is. Its name within the kind is in brackets."""

    PROPOSAL = "proposal"
    """A signed plan and manifest as received (plan digest)."""
    DECISION = "decision"
    """What this council answered to a proposal (plan digest)."""
    INVITATION = "invitation"
    """An invitation to a round (round id)."""
    RELEASE = "release"
    """The answer as sent back (round id)."""
    RECEIPT = "receipt"
    """What happened in a round, for people (round id)."""
    ROSTER = "roster"
    """The latest signed roster (``current``)."""
    AGREEMENT = "agreement"
    """An accepted agreement (agreement id)."""
    PAUSE = "pause"
    """Whether the council takes part at all (``current``)."""
    DELETION = "deletion"
    """What was deleted when a round ended here, signed (round id)."""
    PURGE = "purge"
    """What people had deleted, signed (``purge``, a revision for each time)."""


KEPT: Final = frozenset(
    {
        DocumentKind.DECISION,
        DocumentKind.RECEIPT,
        DocumentKind.PAUSE,
        DocumentKind.DELETION,
        DocumentKind.PURGE,
    }
)
"""Kinds that are never deleted: they say what was decided, by whom, and what left the building."""

_KEPT_TRIGGER: Final = f"""CREATE TRIGGER document_kept BEFORE DELETE ON document
        WHEN OLD.kind IN ({", ".join(f"'{kind.value}'" for kind in sorted(KEPT))})
        BEGIN SELECT RAISE(ABORT, 'this kind of document is never deleted'); END"""
_DEFINITIONS: Final = (
    """CREATE TABLE document (
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        revision INTEGER NOT NULL CHECK (revision > 0),
        version INTEGER NOT NULL,
        saved_at TEXT NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (kind, name, revision)
    )""",
    """CREATE TRIGGER document_never_changes BEFORE UPDATE ON document
        BEGIN SELECT RAISE(ABORT, 'a document is never changed'); END""",
    _KEPT_TRIGGER,
    # REPLACE deletes without firing the trigger above, so a revision may only come after the last one.
    """CREATE TRIGGER document_comes_last BEFORE INSERT ON document
        WHEN NEW.revision <= (
            SELECT coalesce(max(revision), 0) FROM document WHERE kind = NEW.kind AND name = NEW.name)
        BEGIN SELECT RAISE(ABORT, 'a document comes after the last one'); END""",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One stored document.

    Attributes:
        kind: What it is.
        name: Its name within the kind, as hexadecimal digits where it is a digest.
        revision: From 1; the highest is the latest.
        saved_at: When it was stored, UTC.
        body: Its bytes.
    """

    kind: DocumentKind
    name: str
    revision: int
    saved_at: datetime
    body: bytes


class NodeStore:
    """The store of one council node."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Wrap a connection; use `open`."""
        self._path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the store, making an empty one where there is none: unlike the ledger, losing it forgets no charge.

        Raises:
            FileProblem: Damaged, written by newer software, or its folder cannot be written to.
        """
        if not path.is_file():
            create_empty(path, NAME)
        connection = connect(path, NAME)
        store = cls(path, connection)
        try:
            store._prepare()
        except BaseException:
            connection.close()
            raise
        return store

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Enter a block at whose end the store is closed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """All documents put in this block or none of them; they are on the disk when the block has ended, not before.

        Raises:
            FileProblem: The disk is full, the file read-only, and the like; nothing was stored.
        """
        with plain_errors(self._path, NAME), transaction(self._connection):
            yield

    def put(self, kind: DocumentKind, name: str, body: bytes, now: datetime, *, after: int | None = None) -> Document:
        """Store a document; outside `together` it is on the disk when this returns. It is the latest of its name.

        Args:
            kind: What it is.
            name: Its name within the kind.
            body: Its bytes.
            now: Time, UTC.
            after: The revision it was made from; another program's later one then makes this fail. Any when None.

        Raises:
            StoreConflict: There is a later revision than `after`.
            FileProblem: The disk is full, the file read-only, and the like; nothing was stored.
        """
        with plain_errors(self._path, NAME), self._writing():
            revision = self._insert(kind, name, body, now, after)
        return Document(kind=kind, name=name, revision=revision, saved_at=parse_time(time_text(now)), body=body)

    def _writing(self) -> AbstractContextManager[None]:
        return nullcontext() if self._connection.in_transaction else transaction(self._connection)

    def _insert(self, kind: DocumentKind, name: str, body: bytes, now: datetime, after: int | None) -> int:
        (last,) = self._connection.execute(
            "SELECT coalesce(max(revision), 0) FROM document WHERE kind = ? AND name = ?", (kind.value, name)
        ).fetchone()
        if after is not None and after != last:
            raise StoreConflict("Another program changed the same document.", remedy="Look again, then repeat.")
        row = (kind.value, name, last + 1, DOCUMENT_VERSION, time_text(now), body)
        self._connection.execute("INSERT INTO document VALUES (?, ?, ?, ?, ?, ?)", row)
        return int(last) + 1

    def latest(self, kind: DocumentKind, name: str) -> Document | None:
        """The latest document of that name, if any."""
        found = self.history(kind, name)
        return found[-1] if found else None

    def history(self, kind: DocumentKind, name: str) -> tuple[Document, ...]:
        """Every document ever stored under that name, oldest first."""
        return self._select("WHERE kind = ? AND name = ? ORDER BY revision", (kind.value, name))

    def all_latest(self, kind: DocumentKind) -> tuple[Document, ...]:
        """The latest document of each name, in the order stored."""
        newest = "(SELECT max(revision) FROM document AS other WHERE other.kind = d.kind AND other.name = d.name)"
        return self._select(f"AS d WHERE kind = ? AND revision = {newest} ORDER BY d.rowid", (kind.value,))

    def remove(self, documents: Iterable[tuple[DocumentKind, str]], record: Document) -> None:
        """Delete every revision of some documents, overwriting their bytes, and keep the record of it: both or neither.

        Args:
            documents: Kind and name of each.
            record: What is kept in their place, as the next revision of its name; its own `revision` is not used.

        Raises:
            InternalError: Documents of such a kind are kept.
        """
        wanted = [(kind.value, name) for kind, name in documents]
        if any(kind in KEPT for kind, _ in wanted):
            raise InternalError("Documents of a kind that is kept are never deleted.")
        with plain_errors(self._path, NAME), transaction(self._connection):
            self._connection.executemany("DELETE FROM document WHERE kind = ? AND name = ?", wanted)
            self._insert(record.kind, record.name, record.body, record.saved_at, None)

    def compact(self) -> None:
        """Write the file anew without the room that deleted documents took. Run after deleting many."""
        with plain_errors(self._path, NAME):
            # SQLite's working copy would otherwise be a file outside the state folder.
            self._connection.execute("PRAGMA temp_store=MEMORY")
            self._connection.execute("VACUUM")

    def _select(self, where: str, values: Iterable[str]) -> tuple[Document, ...]:
        with plain_errors(self._path, NAME):
            rows = self._connection.execute(
                f"SELECT version, kind, name, revision, saved_at, body FROM document {where}",  # noqa: S608 - our own words
                tuple(values),
            ).fetchall()
        return tuple(self._document(row) for row in rows)

    def _document(self, row: tuple[int, str, str, int, str, bytes]) -> Document:
        version, kind, name, revision, saved_at, body = row
        if version != DOCUMENT_VERSION:
            raise FileProblem(
                f"The {NAME} {self._path} holds a document of version {version}; this software reads version "
                f"{DOCUMENT_VERSION}.",
                remedy="Install the newer software again.",
            )
        return Document(
            kind=DocumentKind(kind), name=name, revision=revision, saved_at=parse_time(saved_at), body=bytes(body)
        )

    def _prepare(self) -> None:
        with plain_errors(self._path, NAME):
            self._connection.execute("PRAGMA secure_delete=ON").fetchone()
        if schema_version(self._connection, self._path, NAME, known=FORMAT) == FORMAT:
            return
        with plain_errors(self._path, NAME), transaction(self._connection):
            # Another program may have made the tables since.
            found = self._connection.execute("PRAGMA user_version").fetchone()[0]
            # Format 1 differs in one thing: it knew fewer kinds that are kept.
            steps = ("DROP TRIGGER document_kept", _KEPT_TRIGGER) if found == 1 else _DEFINITIONS
            for definition in steps if found < FORMAT else ():
                self._connection.execute(definition)
            self._connection.execute(f"PRAGMA user_version={FORMAT}")
