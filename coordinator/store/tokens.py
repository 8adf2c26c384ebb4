"""Tokens of programs: of each only the hash, so that a copy of the store lets nobody in."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, insert, select, update

from coordinator.store.audit import AuditedBook
from coordinator.store.records import AccountRow, TokenRow, column_value, read_row, row_values
from coordinator.store.tables import accounts, tokens

__all__ = ["TokenBook"]

KEPT: Final = timedelta(days=30)
"""So long an owner still sees a token that is over."""


class TokenBook(AuditedBook):
    """Tokens. What they are good for is decided in `coordinator.sign_in`."""

    def add(self, row: TokenRow, *, most: int) -> bool:
        """Keep a token, unless its account has so many that are not over; forgets old ones."""
        theirs = tokens.c.account == row.account
        now = column_value("until", row.created_at)
        live = select(func.count()).select_from(tokens).where(theirs, tokens.c.revoked_at.is_(None))
        with self._begin() as connection:
            # Also takes the one lock of SQLite, and the account's on PostgreSQL, so that each counts what others made.
            old = column_value("until", row.created_at - KEPT)
            connection.execute(delete(tokens).where(theirs, tokens.c.until < old))
            connection.execute(select(accounts.c.name).where(accounts.c.name == row.account).with_for_update())
            if int(connection.execute(live.where(tokens.c.until > now)).scalar_one()) >= most:
                return False
            connection.execute(insert(tokens).values(row_values(row)))
            self._note(connection, who=row.made_by, operation="make token", about=row.prefix, now=row.created_at)
        return True

    def find(self, token_hash: bytes) -> tuple[AccountRow, TokenRow] | None:
        """A token, with its account as it is now."""
        mine = tokens.c.token_hash == token_hash.hex()
        with self._begin() as connection:
            found = connection.execute(select(tokens).where(mine)).mappings().first()
            if found is None:
                return None
            owner = connection.execute(select(accounts).where(accounts.c.name == found["account"])).mappings().one()
        return read_row(AccountRow, owner), read_row(TokenRow, found)

    def of_account(self, name: str) -> tuple[TokenRow, ...]:
        """The tokens of an account, newest first."""
        wanted = select(tokens).where(tokens.c.account == name)
        with self._begin() as connection:
            found = connection.execute(wanted.order_by(tokens.c.created_at.desc(), tokens.c.prefix)).mappings()
            return tuple(read_row(TokenRow, row) for row in found)

    def touch(self, token_hash: bytes, *, now: datetime) -> None:
        """Write down that a token is in use."""
        with self._begin() as connection:
            mine = tokens.c.token_hash == token_hash.hex()
            connection.execute(update(tokens).where(mine).values(used_at=column_value("used_at", now)))

    def revoke(self, prefix: str, *, account: str, by: str, now: datetime) -> bool:
        """Take a token of an account back; False when there is none that goes by these first characters."""
        mine = (tokens.c.prefix == prefix, tokens.c.account == account, tokens.c.revoked_at.is_(None))
        with self._begin() as connection:
            gone = update(tokens).where(*mine).values(revoked_at=column_value("revoked_at", now))
            if connection.execute(gone.returning(tokens.c.token_hash)).first() is None:
                return False
            self._note(connection, who=by, operation="revoke token", about=prefix, now=now)
        return True
