"""Signed plans that came over the web: they wait here for the coordinator that acts, which says what became of them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select, update

from coordinator.store.audit import AuditedBook
from coordinator.store.records import InboxRow, column_value, read_row, row_values
from coordinator.store.tables import inbox
from protocols.identifiers import Digest

__all__ = ["InboxBook", "Load"]

_DAY: Final = timedelta(days=1)
_UNSETTLED: Final = ("taken", "waiting")

Load = tuple[int, int, int]
"""How many wait of an account, how many it handed in within a day, and how many wait of everybody."""


class InboxBook(AuditedBook):
    """The inbox. What may come in is decided in `coordinator.inbox`."""

    def add(self, row: InboxRow, *, check: Callable[[Load], None]) -> InboxRow:
        """Keep what was handed in, unless it is here already.

        Args:
            row: What was handed in; its number is given here.
            check: Raises when there is too much already; then nothing is kept.

        Returns:
            The row; an earlier one of the account that has the same key, or is the same and still waits.
        """
        with self._begin() as connection:
            # Otherwise the same request sent twice at the same moment would be kept twice, and a flood not be counted.
            self._one_at_a_time(connection, inbox)
            known = self._known(connection, row)
            if known is not None:
                return known
            check(self._load(connection, row))
            values = {name: value for name, value in row_values(row).items() if name != "number"}
            number = connection.execute(insert(inbox).values(values).returning(inbox.c.number)).scalar_one()
            about = row.plan_digest.hex()
            self._note(connection, who=row.account, operation="hand in question", about=about, now=row.received_at)
            return _read(connection, inbox.c.number == number)

    def unsettled(self, *, size: int) -> tuple[InboxRow, ...]:
        """What nobody knows the outcome of, oldest first."""
        wanted = select(inbox).where(inbox.c.state.in_(_UNSETTLED)).order_by(inbox.c.number).limit(size)
        with self._begin() as connection:
            return tuple(read_row(InboxRow, row) for row in connection.execute(wanted).mappings())

    def take(self, number: int, *, now: datetime) -> bool:
        """Write down that this coordinator takes a row, before it acts on it; False when it does not wait.

        Raises:
            DeskLost: Another coordinator acts.
        """
        mine = (inbox.c.number == number, inbox.c.state == "waiting")
        change = update(inbox).where(*mine).values(state="taken", taken_at=column_value("taken_at", now))
        with self._begin() as connection:
            taken = connection.execute(change).rowcount == 1
            self._require_turn(connection)
        return taken

    def settle(
        self, number: int, *, now: datetime, watch: Digest | None = None, rule: str = "", message: str = ""
    ) -> None:
        """Write down what became of a row; what was signed is not kept here any longer.

        Args:
            number: Of the row.
            now: Time.
            watch: Digest of the plan whose run to watch; None when the plan was refused.
            rule: Why it was refused.
            message: The same in a sentence.

        Raises:
            DeskLost: Another coordinator acts.
        """
        values = {
            "state": "settled",
            "settled_at": column_value("settled_at", now),
            "watch_digest": column_value("watch_digest", watch),
            "rule": rule,
            "message": message,
            "plan_envelope": b"",
            "manifest_envelope": b"",
        }
        mine = (inbox.c.number == number, inbox.c.state.in_(_UNSETTLED))
        with self._begin() as connection:
            connection.execute(update(inbox).where(*mine).values(values))
            self._require_turn(connection)

    def latest_of(self, plan_digest: Digest) -> InboxRow | None:
        """The latest row of that plan."""
        wanted = select(inbox).where(inbox.c.plan_digest == plan_digest.hex()).order_by(inbox.c.number.desc()).limit(1)
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().first()
        return None if found is None else read_row(InboxRow, found)

    def first_taken(self, plan_digest: Digest) -> InboxRow | None:
        """The first row by which that plan came to the coordinator; none for one that was refused."""
        digest = plan_digest.hex()
        with self._begin() as connection:
            return _find(connection, inbox.c.plan_digest == digest, inbox.c.watch_digest == digest)

    def forget(self, *, before: datetime) -> int:
        """Delete rows that were settled earlier. Returns how many."""
        old = (inbox.c.state == "settled", inbox.c.settled_at < column_value("settled_at", before))
        with self._begin() as connection:
            return connection.execute(delete(inbox).where(*old)).rowcount

    def _known(self, connection: Connection, row: InboxRow) -> InboxRow | None:
        mine = inbox.c.account == row.account
        if row.key is not None:
            return _find(connection, mine, inbox.c.key == row.key)
        same = inbox.c.body_digest == row.body_digest.hex()
        return _find(connection, mine, same, inbox.c.state.in_(_UNSETTLED))

    def _load(self, connection: Connection, row: InboxRow) -> Load:
        mine, waits = inbox.c.account == row.account, inbox.c.state.in_(_UNSETTLED)
        since = inbox.c.received_at > column_value("received_at", row.received_at - _DAY)
        count = select(func.count()).select_from(inbox)
        asked = (count.where(mine, waits), count.where(mine, since), count.where(waits))
        theirs, today, everybodys = (int(connection.execute(one).scalar_one()) for one in asked)
        return theirs, today, everybodys


def _find(connection: Connection, *conditions: Any) -> InboxRow | None:
    found = connection.execute(select(inbox).where(*conditions).order_by(inbox.c.number)).mappings().first()
    return None if found is None else read_row(InboxRow, found)


def _read(connection: Connection, *conditions: Any) -> InboxRow:
    return read_row(InboxRow, connection.execute(select(inbox).where(*conditions)).mappings().one())
