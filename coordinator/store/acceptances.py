"""Enrolments that one operator wants accepted: they wait here for a second one."""

from datetime import datetime

from sqlalchemy import delete, select, update

from coordinator.store.audit import AuditedBook
from coordinator.store.records import AcceptanceRow, column_value, read_row
from coordinator.store.tables import enrolment_acceptances, enrolments

__all__ = ["AcceptanceBook"]


class AcceptanceBook(AuditedBook):
    """Acceptances that wait. Who may ask and who may confirm is decided in `coordinator.sign_in.second_person`."""

    def ask(self, row: AcceptanceRow) -> None:
        """Write down what the first operator wants; what was asked for the same key before is replaced."""
        with self._begin() as connection:
            self._put(connection, enrolment_acceptances, [row])
            key = row.public_key.hex()
            self._note(connection, who=row.asked_by, operation="ask acceptance", about=key, now=row.asked_at)

    def get(self, public_key: bytes) -> AcceptanceRow | None:
        """What waits for a key."""
        wanted = select(enrolment_acceptances).where(enrolment_acceptances.c.public_key == public_key.hex())
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().first()
        return None if found is None else read_row(AcceptanceRow, found)

    def all(self) -> tuple[AcceptanceRow, ...]:
        """Everything that waits, oldest first."""
        wanted = select(enrolment_acceptances).order_by(enrolment_acceptances.c.asked_at)
        with self._begin() as connection:
            return tuple(read_row(AcceptanceRow, row) for row in connection.execute(wanted).mappings())

    def confirm(self, row: AcceptanceRow, *, by: str, now: datetime) -> bool:
        """Accept the key as the second operator; another accepted key of its council is set aside.

        Returns:
            False when this acceptance or the enrolment moved on at the same moment; then nothing is changed.
        """
        key = row.public_key.hex()
        waiting = enrolment_acceptances.c
        gone = delete(enrolment_acceptances).where(
            waiting.public_key == key,
            waiting.asked_by == row.asked_by,
            waiting.asked_at == column_value("asked_at", row.asked_at),
        )
        pending = (enrolments.c.public_key == key, enrolments.c.state == "pending")
        decided_at = column_value("decided_at", now)
        with self._begin() as connection:
            council = connection.execute(select(enrolments.c.council).where(*pending)).scalar()
            if council is None or connection.execute(gone.returning(waiting.public_key)).first() is None:
                return False
            accepted = (enrolments.c.council == council, enrolments.c.state == "accepted")
            connection.execute(update(enrolments).where(*accepted).values(state="rejected", decided_at=decided_at))
            connection.execute(update(enrolments).where(*pending).values(state="accepted", decided_at=decided_at))
            self._note(connection, who=by, operation="confirm acceptance", about=key, now=now)
        return True

    def reject(self, public_key: bytes, *, by: str, now: datetime) -> bool:
        """Reject a key that waits, and whatever was asked for it; False when it no longer waits."""
        key = public_key.hex()
        pending = update(enrolments).where(enrolments.c.public_key == key, enrolments.c.state == "pending")
        change = pending.values(state="rejected", decided_at=column_value("decided_at", now))
        with self._begin() as connection:
            if connection.execute(change.returning(enrolments.c.public_key)).first() is None:
                return False
            connection.execute(delete(enrolment_acceptances).where(enrolment_acceptances.c.public_key == key))
            self._note(connection, who=by, operation="reject enrolment", about=key, now=now)
        return True
