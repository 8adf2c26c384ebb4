"""Accounts of the people who sign in to the pages, and the sessions they have open.

Every change is in the audit, in the same transaction. Whatever changes what an account may do ends its sessions: the
next one begins with a new token and with the rights as they are then.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from coordinator.store.audit import AuditedBook
from coordinator.store.records import AccountRow, SessionRow, column_value, read_row, row_values
from coordinator.store.tables import accounts, drafts, sessions, tokens

__all__ = ["AccountBook"]


class AccountBook(AuditedBook):
    """Accounts and sessions. Who may do what is decided in `coordinator.sign_in`, not here."""

    def add(self, row: AccountRow, *, by: str) -> bool:
        """Make an account; False when the name was ever used."""
        with self._begin() as connection:
            made = self._put_new(connection, accounts, row)
            if made:
                self._note(connection, who=by, operation="add account", about=row.name, now=row.created_at)
        return made

    def get(self, name: str) -> AccountRow | None:
        """The account of that name, whatever its state."""
        with self._begin() as connection:
            found = connection.execute(select(accounts).where(accounts.c.name == name)).mappings().first()
        return None if found is None else read_row(AccountRow, found)

    def all(self) -> tuple[AccountRow, ...]:
        """Every account that was not removed, by name."""
        wanted = select(accounts).where(accounts.c.state != "removed").order_by(accounts.c.name)
        with self._begin() as connection:
            return tuple(read_row(AccountRow, row) for row in connection.execute(wanted).mappings())

    def set_rights(self, name: str, *, roles: str, agreements: str, by: str, now: datetime) -> None:
        """Give an account other roles and agreements."""
        self._change(name, "change roles", {"roles": roles, "agreements": agreements}, by=by, now=now)

    def set_state(self, name: str, state: str, *, by: str, now: datetime) -> None:
        """Lock, unlock or remove an account; one that is removed keeps its name alone, so that nobody gets it again.

        Its drafts are deleted with it.
        """
        change: dict[str, Any] = {"state": state}
        if state == "removed":
            change |= {"roles": "", "agreements": "", "password_hash": None, "code_hash": None, "code_until": None}
        operation = {"active": "unlock account", "locked": "lock account", "removed": "remove account"}[state]
        with self._begin() as connection:
            self._update(connection, name, change, now)
            if state == "removed":
                # Nobody else may see them, and nobody will come back for them.
                connection.execute(delete(drafts).where(drafts.c.account == name))
            self._note(connection, who=by, operation=operation, about=name, now=now)

    def set_code(self, name: str, *, code_hash: bytes, until: datetime, by: str, now: datetime) -> None:
        """Put a one-time code in the place of the password, which is gone, and take every token back."""
        change = {"password_hash": None, "code_hash": code_hash, "code_until": until}
        theirs = (tokens.c.account == name, tokens.c.revoked_at.is_(None))
        with self._begin() as connection:
            self._update(connection, name, change, now)
            # Whoever had the password may have made them.
            connection.execute(update(tokens).where(*theirs).values(revoked_at=column_value("revoked_at", now)))
            self._note(connection, who=by, operation="reset password", about=name, now=now)

    def take_code(self, name: str, *, code_hash: bytes, password_hash: str, now: datetime) -> bool:
        """Use up a code for a password; False when it is another code, or was used a moment ago."""
        change = update(accounts).where(
            accounts.c.name == name, accounts.c.code_hash == code_hash.hex(), accounts.c.state == "active"
        )
        values = {"password_hash": password_hash, "code_hash": None, "code_until": None, "changed_at": now}
        with self._begin() as connection:
            taken = connection.execute(change.values(_columns(values)).returning(accounts.c.name)).first() is not None
            if taken:
                connection.execute(delete(sessions).where(sessions.c.account == name))
                self._note(connection, who=name, operation="set password", about=name, now=now)
        return taken

    def set_password(self, name: str, password_hash: str, *, before: str, new: SessionRow, now: datetime) -> bool:
        """Give an account another password; `new` is the one session that it has afterwards.

        Args:
            name: Of the account.
            password_hash: Of the new password.
            before: Of the password that its owner has just given.
            new: The session.
            now: Time.

        Returns:
            False when it was reset or locked meanwhile, so that `before` no longer counts; then nothing is changed.
        """
        mine = (accounts.c.name == name, accounts.c.password_hash == before, accounts.c.state == "active")
        values = _columns({"password_hash": password_hash, "changed_at": now})
        change = update(accounts).where(*mine).values(values).returning(accounts.c.name)
        with self._begin() as connection:
            changed = connection.execute(change).first() is not None
            if changed:
                connection.execute(delete(sessions).where(sessions.c.account == name))
                connection.execute(insert(sessions).values(row_values(new)))
                self._note(connection, who=name, operation="set password", about=name, now=now)
        return changed

    def rehash(self, name: str, *, before: str, after: str) -> None:
        """Keep the same password under stronger parameters, unless it was changed meanwhile."""
        change = update(accounts).where(accounts.c.name == name, accounts.c.password_hash == before)
        with self._begin() as connection:
            connection.execute(change.values(password_hash=after))

    def signed_in_by_provider(self, row: AccountRow) -> bool:
        """Make or renew the account of a person whom the OpenID provider vouches for.

        Returns:
            False when the name is somebody else's, or the account is locked or was removed.
        """
        with self._begin() as connection:
            found = connection.execute(select(accounts).where(accounts.c.name == row.name)).mappings().first()
            if found is None:
                made = self._put_new(connection, accounts, row)
                if made:
                    self._note(connection, who=row.name, operation="add account", about=row.name, now=row.created_at)
                return made
            known = read_row(AccountRow, found)
            if (known.kind, known.subject_hash, known.state) != (row.kind, row.subject_hash, "active"):
                return False
            if (known.roles, known.agreements) != (row.roles, row.agreements):
                self._update(connection, row.name, {"roles": row.roles, "agreements": row.agreements}, row.changed_at)
                self._note(connection, who=row.name, operation="change roles", about=row.name, now=row.changed_at)
            return True

    def open_session(self, row: SessionRow, *, ended_before: datetime) -> None:
        """Begin a session, and forget those that began before a time; the audit has that they were there."""
        with self._begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.started_at < column_value("started_at", ended_before)))
            connection.execute(insert(sessions).values(row_values(row)))
            self._note(connection, who=row.account, operation="sign in", about=row.account, now=row.started_at)

    def session(self, token_hash: bytes) -> tuple[AccountRow, SessionRow] | None:
        """The session of a token, with its account as it is now."""
        with self._begin() as connection:
            found = (
                connection.execute(select(sessions).where(sessions.c.token_hash == token_hash.hex())).mappings().first()
            )
            if found is None:
                return None
            owner = connection.execute(select(accounts).where(accounts.c.name == found["account"])).mappings().one()
        return read_row(AccountRow, owner), read_row(SessionRow, found)

    def sessions_of(self, name: str) -> tuple[SessionRow, ...]:
        """The sessions of an account, newest first."""
        wanted = select(sessions).where(sessions.c.account == name).order_by(sessions.c.started_at.desc())
        with self._begin() as connection:
            return tuple(read_row(SessionRow, row) for row in connection.execute(wanted).mappings())

    def touch(self, token_hash: bytes, *, now: datetime) -> None:
        """Write down that a session is in use; its time never goes back."""
        seen = column_value("seen_at", now)
        mine = (sessions.c.token_hash == token_hash.hex(), sessions.c.seen_at < seen)
        with self._begin() as connection:
            connection.execute(update(sessions).where(*mine).values(seen_at=seen))

    def end_session(self, token_hash: bytes, *, now: datetime) -> None:
        """End one session."""
        gone = delete(sessions).where(sessions.c.token_hash == token_hash.hex()).returning(sessions.c.account)
        with self._begin() as connection:
            account = connection.execute(gone).scalar()
            if account is not None:
                self._note(connection, who=account, operation="sign out", about=account, now=now)

    def end_sessions(self, name: str, *, by: str, now: datetime) -> None:
        """End every session of an account."""
        with self._begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.account == name))
            self._note(connection, who=by, operation="sign out everywhere", about=name, now=now)

    def _change(self, name: str, operation: str, change: dict[str, Any], *, by: str, now: datetime) -> None:
        with self._begin() as connection:
            self._update(connection, name, change, now)
            self._note(connection, who=by, operation=operation, about=name, now=now)

    def _update(self, connection: Connection, name: str, change: dict[str, Any], now: datetime) -> None:
        """Change an account and end its sessions."""
        values = _columns({**change, "changed_at": now})
        connection.execute(update(accounts).where(accounts.c.name == name).values(values))
        connection.execute(delete(sessions).where(sessions.c.account == name))


def _columns(values: dict[str, Any]) -> dict[str, Any]:
    return {name: column_value(name, value) for name, value in values.items()}
