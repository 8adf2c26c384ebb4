"""Who did what on the pages and with accounts: only ever added to; the database itself refuses to change a line."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select

from coordinator.store.book import Book
from coordinator.store.records import AuditRow, column_value, read_row, row_values
from coordinator.store.tables import audit

__all__ = ["COMMAND_LINE", "READ", "AuditBook", "AuditedBook"]

COMMAND_LINE: Final = "command line"
"""Stands for whoever has an account on the machine; no account of ours can have a space in its name."""
READ: Final = "read release"
"""What the audit calls a reading of figures."""


class AuditedBook(Book):
    """A book whose changes are in the audit, in the same transaction: neither is there without the other."""

    def _note(self, connection: Connection, *, who: str, operation: str, about: str, now: datetime) -> None:
        row = AuditRow(done_at=now, who=who, operation=operation, object=about)
        connection.execute(insert(audit).values(row_values(row)))


class AuditBook(Book):
    """What is only read and refused has no other place; and the reading of it all."""

    def note(self, row: AuditRow) -> None:
        """Add a line."""
        with self._begin() as connection:
            connection.execute(insert(audit).values(row_values(row)))

    def note_refused(self, row: AuditRow, *, since: datetime, most: int) -> None:
        """Add a line on something refused, unless the same, or so many of the same person, are there since a time."""
        theirs = (
            audit.c.who == row.who,
            audit.c.outcome == "refused",
            audit.c.done_at >= column_value("done_at", since),
        )
        wanted = select(audit.c.operation, audit.c.object).where(*theirs).order_by(audit.c.number.desc()).limit(most)
        with self._begin() as connection:
            known = connection.execute(wanted).all()
            if len(known) < most and (row.operation, row.object) not in {(found[0], found[1]) for found in known}:
                connection.execute(insert(audit).values(row_values(row)))

    def latest(self, *, size: int, before: int | None = None) -> tuple[tuple[int, AuditRow], ...]:
        """Lines with their numbers, newest first.

        Args:
            size: Most of them.
            before: Only lines with a smaller number than this.
        """
        wanted = select(audit).order_by(audit.c.number.desc()).limit(size)
        if before is not None:
            wanted = wanted.where(audit.c.number < before)
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().all()
        return tuple((row["number"], read_row(AuditRow, row)) for row in found)

    def about(self, digest: str) -> tuple[AuditRow, ...]:
        """Every line about one thing, oldest first."""
        wanted = select(audit).where(audit.c.object == digest).order_by(audit.c.number)
        with self._begin() as connection:
            return tuple(read_row(AuditRow, row) for row in connection.execute(wanted).mappings())
