"""Drafts: what an analyst is still writing on the pages. Each is its owner's alone, and nothing is charged for it."""

from datetime import datetime

from sqlalchemy import delete, func, select, update

from coordinator.store.book import Book
from coordinator.store.records import DraftRow, column_value, read_row
from coordinator.store.tables import drafts

__all__ = ["DraftBook"]


class DraftBook(Book):
    """Drafts. Whoever asks for one names its owner: another account's draft is as if it were not there."""

    def begin(self, row: DraftRow, *, most: int) -> bool:
        """Keep a new draft; False when the account has `most` already."""
        with self._begin() as connection:
            if not self._put_new(connection, drafts, row):
                return False
            # Counted after the first change, which locks SQLite: two at once cannot both be the last.
            kept = connection.execute(select(func.count()).where(drafts.c.account == row.account)).scalar_one()
            if kept > most:
                connection.rollback()
                return False
        return True

    def get(self, draft: str, *, account: str) -> DraftRow | None:
        """One draft of an account."""
        wanted = select(drafts).where(drafts.c.draft == draft, drafts.c.account == account)
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().first()
        return None if found is None else read_row(DraftRow, found)

    def of(self, account: str) -> tuple[DraftRow, ...]:
        """Every draft of an account, the one changed last first."""
        wanted = select(drafts).where(drafts.c.account == account).order_by(drafts.c.changed_at.desc(), drafts.c.draft)
        with self._begin() as connection:
            return tuple(read_row(DraftRow, row) for row in connection.execute(wanted).mappings())

    def keep(self, row: DraftRow, *, changed_at: datetime) -> bool:
        """Write what a draft says now; False when it is gone."""
        mine = (drafts.c.draft == row.draft, drafts.c.account == row.account)
        values = {
            "question": row.question,
            "manifest": row.manifest,
            "changed_at": column_value("changed_at", changed_at),
        }
        with self._begin() as connection:
            changed = update(drafts).where(*mine).values(values).returning(drafts.c.draft)
            return connection.execute(changed).first() is not None

    def delete(self, draft: str, *, account: str) -> None:
        """Delete a draft of an account."""
        with self._begin() as connection:
            connection.execute(delete(drafts).where(drafts.c.draft == draft, drafts.c.account == account))
