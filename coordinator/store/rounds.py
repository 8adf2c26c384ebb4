"""Rounds, read back; `coordinator.store.outcomes` opens and ends them."""

from datetime import datetime

from sqlalchemy import delete, select

from coordinator.store.book import Book
from coordinator.store.records import RoundCouncilRow, RoundRow, StageRow, column_value, read_row
from coordinator.store.tables import round_councils, round_stages, rounds
from protocols.identifiers import Digest, RoundId

__all__ = ["RoundBook"]


class RoundBook(Book):
    """Rounds, the councils in them and the time each stage took."""

    def get(self, sid: RoundId) -> RoundRow | None:
        """The round of that session id."""
        with self._begin() as connection:
            found = connection.execute(select(rounds).where(rounds.c.sid == sid.hex())).mappings().first()
        return None if found is None else read_row(RoundRow, found)

    def of_plan(self, plan_digest: Digest) -> tuple[RoundRow, ...]:
        """Every round of a plan, by attempt."""
        wanted = select(rounds).where(rounds.c.plan_digest == plan_digest.hex()).order_by(rounds.c.attempt)
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().all()
        return tuple(read_row(RoundRow, row) for row in found)

    def running(self) -> tuple[RoundRow, ...]:
        """Rounds that have begun and not ended, oldest first."""
        wanted = select(rounds).where(rounds.c.outcome == "running").order_by(rounds.c.started_at)
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().all()
        return tuple(read_row(RoundRow, row) for row in found)

    def forget_stages(self, *, before: datetime) -> int:
        """Delete the timings of rounds that ended earlier. Returns how many."""
        old = select(rounds.c.sid).where(rounds.c.ended_at < column_value("ended_at", before))
        with self._begin() as connection:
            return connection.execute(delete(round_stages).where(round_stages.c.sid.in_(old))).rowcount

    def councils(self, sid: RoundId) -> tuple[RoundCouncilRow, ...]:
        """What became of each council in a round that has ended."""
        wanted = select(round_councils).where(round_councils.c.sid == sid.hex()).order_by(round_councils.c.council)
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().all()
        return tuple(read_row(RoundCouncilRow, row) for row in found)

    def stages(self, sid: RoundId) -> tuple[StageRow, ...]:
        """What each stage of a round took."""
        wanted = select(round_stages).where(round_stages.c.sid == sid.hex())
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().all()
        return tuple(read_row(StageRow, row) for row in found)
