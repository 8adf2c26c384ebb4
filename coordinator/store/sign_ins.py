"""Tries at signing in, and sign-ins that are under way at the OpenID provider. Nothing here is kept for long."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, insert, or_, select, update

from coordinator.store.book import Book
from coordinator.store.records import StartRow, column_value, read_row, row_values
from coordinator.store.tables import openid_starts, sign_in_attempts
from federated.timestamps import parse_time

__all__ = ["SignInBook", "Try"]

KEPT: Final = timedelta(days=1)
MOST_STARTS: Final = 1_000
"""Anybody can begin a sign-in; of more than this the oldest are forgotten."""

Try = tuple[datetime, bool]
"""When a password was tried, and whether it was right."""


class SignInBook(Book):
    """Attempts and starts."""

    def attempt(
        self,
        *,
        pigeonhole: str,
        address: str,
        now: datetime,
        wait: Callable[[Sequence[Try], Sequence[Try]], datetime | None],
    ) -> int | datetime:
        """Count a try before the password is looked at, so that a thousand at once are a thousand tries.

        Args:
            pigeonhole: Of the name that was given; known and unknown names are kept alike.
            address: Where the try comes from.
            now: Time.
            wait: Gives, from earlier tries for the name and from the address, until when no further one is taken.

        Returns:
            The try's number, to be marked once the password was right; or until when to wait. A try that has to wait
            is not counted, so that somebody who keeps knocking does not keep the owner out for longer.
        """
        row = {"pigeonhole": pigeonhole, "address": address, "succeeded": False, "tried_at": _text(now)}
        table = sign_in_attempts
        with self._begin() as connection:
            # Otherwise tries at the same moment would not see each other, and all of them would pass.
            self._one_at_a_time(connection, table)
            connection.execute(delete(table).where(table.c.tried_at < _text(now - KEPT)))
            same = or_(table.c.pigeonhole == pigeonhole, table.c.address == address)
            found = connection.execute(select(table).where(same).order_by(table.c.number)).mappings().all()
            earlier = [(row, (parse_time(row["tried_at"]), bool(row["succeeded"]))) for row in found]
            until = wait(
                [tried for row, tried in earlier if row["pigeonhole"] == pigeonhole],
                [tried for row, tried in earlier if row["address"] == address],
            )
            if until is not None:
                return until
            return int(connection.execute(insert(table).values(row).returning(table.c.number)).scalar_one())

    def succeeded(self, number: int) -> None:
        """Mark a try whose password was right."""
        with self._begin() as connection:
            mine = sign_in_attempts.c.number == number
            connection.execute(update(sign_in_attempts).where(mine).values(succeeded=True))

    def succeeded_from(self, address: str) -> None:
        """Mark the latest try from there that had not come to anything."""
        table = sign_in_attempts
        open_ = select(func.max(table.c.number)).where(table.c.address == address, table.c.succeeded.is_(False))
        with self._begin() as connection:
            mine = table.c.number == open_.scalar_subquery()
            connection.execute(update(table).where(mine).values(succeeded=True))

    def forget(self, pigeonhole: str) -> None:
        """Forget the tries for a name, so that its owner need not wait."""
        with self._begin() as connection:
            connection.execute(delete(sign_in_attempts).where(sign_in_attempts.c.pigeonhole == pigeonhole))

    def begin_start(self, row: StartRow, *, ended_before: datetime) -> None:
        """Write down that somebody was sent to the provider."""
        table = openid_starts
        with self._begin() as connection:
            connection.execute(delete(table).where(table.c.started_at < _text(ended_before)))
            connection.execute(insert(table).values(row_values(row)))
            count = connection.execute(select(func.count()).select_from(table)).scalar_one()
            if count > MOST_STARTS:
                oldest = select(table.c.state_hash).order_by(table.c.started_at).limit(count - MOST_STARTS)
                connection.execute(delete(table).where(table.c.state_hash.in_(oldest)))

    def take_start(self, state_hash: bytes) -> StartRow | None:
        """What was written down, once."""
        mine = delete(openid_starts).where(openid_starts.c.state_hash == state_hash.hex())
        with self._begin() as connection:
            found = connection.execute(mine.returning(openid_starts)).mappings().first()
        return None if found is None else read_row(StartRow, found)


def _text(moment: datetime) -> str:
    return str(column_value("tried_at", moment))
