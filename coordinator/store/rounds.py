"""Rounds, read back; `coordinator.store.outcomes` opens and ends them."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, select

from coordinator.store.book import Book, Place, in_order
from coordinator.store.records import RoundCouncilRow, RoundRow, StageRow, column_value, read_row
from coordinator.store.tables import round_councils, round_progress, round_stages, rounds
from protocols.identifiers import CouncilId, Digest, RoundId

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

    def progress(self, sid: RoundId) -> tuple[RoundCouncilRow, ...]:
        """How each council stood in a round under way when a stage of it last ended; `answered` when it goes on."""
        wanted = select(round_progress).where(round_progress.c.sid == sid.hex()).order_by(round_progress.c.council)
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().all()
        return tuple(read_row(RoundCouncilRow, row) for row in found)

    def page(self, *, size: int, start: Place | None = None, newer: bool = False) -> tuple[RoundRow, ...]:
        """Rounds newest first; as `ProposalBook.page`."""
        query = in_order(rounds, "started_at", "sid", start=start, newer=newer).limit(size)
        with self._begin() as connection:
            found = connection.execute(query).mappings().all()
        return tuple(sorted((read_row(RoundRow, row) for row in found), key=_place, reverse=True))

    def place_of(self, sid: bytes) -> Place | None:
        """Where the round of that identity stands in the list; None when there is none."""
        return self._place(rounds, "started_at", "sid", sid)

    def of_council(
        self, council: CouncilId, *, size: int, start: Place | None = None, newer: bool = False
    ) -> tuple[tuple[RoundRow, RoundCouncilRow], ...]:
        """Rounds that a council was invited to and that have ended, newest first, with what became of it.

        The database looks at every round of this council, of which its budget allows no more than some hundreds, and
        at no other.
        """
        query = (
            in_order(rounds, "started_at", "sid", start=start, newer=newer)
            .join(round_councils, round_councils.c.sid == rounds.c.sid)
            .where(round_councils.c.council == council)
            .limit(size)
        )
        with self._begin() as connection:
            found = [read_row(RoundRow, row) for row in connection.execute(query).mappings().all()]
            names = [row.sid.hex() for row in found]
            wanted = select(round_councils).where(round_councils.c.sid.in_(names), round_councils.c.council == council)
            parts = [read_row(RoundCouncilRow, row) for row in connection.execute(wanted).mappings().all()]
        of_round = {part.sid: part for part in parts}
        return tuple((row, of_round[row.sid]) for row in sorted(found, key=_place, reverse=True))

    def stages_of(self, sids: Collection[RoundId]) -> dict[RoundId, tuple[StageRow, ...]]:
        """What each stage of these rounds took."""
        wanted = select(round_stages).where(round_stages.c.sid.in_(sorted(sid.hex() for sid in sids)))
        with self._begin() as connection:
            rows = [read_row(StageRow, row) for row in connection.execute(wanted).mappings().all()]
        return {sid: tuple(row for row in rows if row.sid == sid) for sid in sids}

    def stages(self, sid: RoundId) -> tuple[StageRow, ...]:
        """What each stage of a round took."""
        wanted = select(round_stages).where(round_stages.c.sid == sid.hex())
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().all()
        return tuple(read_row(StageRow, row) for row in found)


def _place(row: RoundRow) -> Place:
    return row.started_at, row.sid
