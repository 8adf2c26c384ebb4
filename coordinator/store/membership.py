"""Who takes part: rosters, agreements, enrolment requests and the councils' budget statements."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update

from coordinator.store.book import Book
from coordinator.store.records import AgreementRow, BudgetRow, EnrolmentRow, RosterRow, column_value, read_row
from coordinator.store.tables import agreements, budget_statements, enrolment_acceptances, enrolments, rosters
from protocols.identifiers import CouncilId, Digest

__all__ = ["MembershipBook"]


class MembershipBook(Book):
    """Signed files about who takes part. Their signatures are checked before they come here."""

    def add_roster(self, row: RosterRow) -> bool:
        """Keep a roster; whether its epoch is new here."""
        with self._begin() as connection:
            return self._put_new(connection, rosters, row)

    def latest_roster(self) -> RosterRow | None:
        """The roster with the highest epoch."""
        with self._begin() as connection:
            found = connection.execute(select(rosters).order_by(rosters.c.epoch.desc()).limit(1)).mappings().first()
        return None if found is None else read_row(RosterRow, found)

    def latest_rosters(self, count: int) -> tuple[RosterRow, ...]:
        """The rosters with the highest epochs, the highest first."""
        with self._begin() as connection:
            found = connection.execute(select(rosters).order_by(rosters.c.epoch.desc()).limit(count)).mappings().all()
        return tuple(read_row(RosterRow, row) for row in found)

    def latest_epoch(self) -> int:
        """Epoch of that roster; 0 without one."""
        with self._begin() as connection:
            return int(connection.execute(select(func.max(rosters.c.epoch))).scalar() or 0)

    def add_agreement(self, row: AgreementRow) -> bool:
        """Keep an agreement; whether it is new here. Of one that is, the signatures that came last are kept."""
        with self._begin() as connection:
            if self._put_new(connection, agreements, row):
                return True
            # Signed again, by a second person or with a new key: what was checked last is what still holds.
            change = update(agreements).where(agreements.c.digest == row.digest.hex())
            connection.execute(change.values(envelope=row.envelope))
            return False

    def agreement(self, digest: Digest) -> AgreementRow | None:
        """The agreement of that digest, in force or not."""
        wanted = select(agreements).where(agreements.c.digest == digest.hex())
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().first()
        return None if found is None else read_row(AgreementRow, found)

    def agreements(self) -> tuple[AgreementRow, ...]:
        """Every agreement kept, by digest."""
        with self._begin() as connection:
            found = connection.execute(select(agreements).order_by(agreements.c.digest)).mappings().all()
        return tuple(read_row(AgreementRow, row) for row in found)

    def ask_enrolment(self, row: EnrolmentRow, *, limit: int) -> EnrolmentRow | None:
        """Record a request, once for each key.

        Args:
            row: The request.
            limit: Most pending requests kept for one council, so that a stranger cannot fill the disk.

        Returns:
            The request as it stands, or None when the council has `limit` others pending.
        """
        mine = enrolments.c.public_key == row.public_key.hex()
        with self._begin() as connection:
            known = connection.execute(select(enrolments).where(mine)).mappings().first()
            if known is not None:
                return read_row(EnrolmentRow, known)
            pending = select(enrolments.c.public_key).where(
                enrolments.c.council == row.council, enrolments.c.state == "pending"
            )
            if len(connection.execute(pending).all()) >= limit:
                return None
            self._put_new(connection, enrolments, row)
        return row

    def enrolments(self) -> tuple[EnrolmentRow, ...]:
        """Every request, oldest first."""
        order = (enrolments.c.requested_at, enrolments.c.council)
        with self._begin() as connection:
            found = connection.execute(select(enrolments).order_by(*order)).mappings().all()
        return tuple(read_row(EnrolmentRow, row) for row in found)

    def decide_enrolment(self, public_key: bytes, *, state: str, now: datetime) -> None:
        """Record what was decided about a request."""
        change = update(enrolments).where(enrolments.c.public_key == public_key.hex())
        asked = delete(enrolment_acceptances).where(enrolment_acceptances.c.public_key == public_key.hex())
        with self._begin() as connection:
            connection.execute(asked)
            connection.execute(change.values(state=state, decided_at=column_value("decided_at", now)))

    def forget_enrolments(self, *, before: datetime) -> int:
        """Delete older requests that were never accepted. Returns how many."""
        old = (enrolments.c.state != "accepted", enrolments.c.requested_at < column_value("requested_at", before))
        theirs = enrolment_acceptances.c.public_key.in_(select(enrolments.c.public_key).where(*old))
        with self._begin() as connection:
            connection.execute(delete(enrolment_acceptances).where(theirs))
            return connection.execute(delete(enrolments).where(*old)).rowcount

    def keep_budgets(self, rows: Sequence[BudgetRow]) -> None:
        """Keep the latest statement of each council.

        Raises:
            DeskLost: Another coordinator has the desk, and later statements with it.
        """
        with self._begin() as connection:
            self._put(connection, budget_statements, rows)
            self._require_turn(connection)

    def budgets(self, councils: Sequence[CouncilId]) -> tuple[BudgetRow, ...]:
        """The latest statement of each of these councils that has ever sent one, by council."""
        wanted = select(budget_statements).where(budget_statements.c.council.in_(councils))
        with self._begin() as connection:
            found = connection.execute(wanted.order_by(budget_statements.c.council)).mappings().all()
        return tuple(read_row(BudgetRow, row) for row in found)
