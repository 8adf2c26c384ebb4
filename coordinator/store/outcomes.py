"""The turning points of a proposal, each one transaction over every table it concerns, so that no crash splits it."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select, update

from coordinator.store.audit import AuditedBook
from coordinator.store.records import (
    DecisionRow,
    DeliveryRow,
    ProposalRow,
    ReleaseRow,
    RoundCouncilRow,
    RoundRow,
    StageRow,
    row_values,
)
from coordinator.store.tables import (
    decisions,
    deliveries,
    proposals,
    releases,
    round_councils,
    round_progress,
    round_stages,
    rounds,
)
from federated.errors import InternalError
from protocols.identifiers import CouncilId

__all__ = ["OutcomeBook"]


class OutcomeBook(AuditedBook):
    """Moves of a proposal together with what moved it.

    `before` is the state the caller believes the proposal to be in; a move returns False, and writes nothing, when
    somebody else (an operator who withdraws it) has moved it meanwhile. It raises `DeskLost`, and writes nothing, when
    the coordinator that makes it no longer has the desk.
    """

    def moved(self, row: ProposalRow, *, before: str, kept: Sequence[DecisionRow] = ()) -> bool:
        """Record a proposal's new state, with the decisions that led to it."""
        with self._begin() as connection:
            if not self._move(connection, row, before):
                return False
            self._put(connection, decisions, kept)
        return True

    def withdrawn(self, row: ProposalRow, *, before: str, by: str) -> bool:
        """Record that somebody took a proposal back, and who."""
        with self._begin() as connection:
            if not self._move(connection, row, before):
                return False
            self._note(
                connection, who=by, operation="withdraw question", about=row.plan_digest.hex(), now=row.changed_at
            )
        return True

    def opened(self, row: ProposalRow, opened: RoundRow, *, before: str) -> bool:
        """Record that a round is about to begin, before its invitations leave.

        Raises:
            InternalError: The session id has been used.
        """
        with self._begin() as connection:
            if not self._move(connection, row, before):
                return False
            if not self._put_new(connection, rounds, opened):
                raise InternalError("A round was about to start under a session id that has been used.")
        return True

    def went_on(self, rows: Sequence[RoundCouncilRow]) -> None:
        """Record how the councils stand in a round under way, where a stage of it has ended."""
        with self._begin() as connection:
            self._put(connection, round_progress, rows)
            self._require_turn(connection)
            # What comes late is not kept: with the round went its progress.
            going = select(rounds.c.sid).where(rounds.c.outcome == "running")
            mine = round_progress.c.sid.in_(sorted({row.sid.hex() for row in rows}))
            connection.execute(delete(round_progress).where(mine, round_progress.c.sid.not_in(going)))

    def aborted(
        self,
        row: ProposalRow,
        ended: RoundRow,
        *,
        before: str,
        councils: Sequence[RoundCouncilRow] = (),
        stages: Sequence[StageRow] = (),
    ) -> bool:
        """Record a round that ended without a release."""
        with self._begin() as connection:
            if not self._move(connection, row, before):
                return False
            self._end(connection, ended, councils, stages)
        return True

    def released(
        self,
        row: ProposalRow,
        ended: RoundRow,
        release: ReleaseRow,
        *,
        before: str,
        councils: Sequence[RoundCouncilRow],
        stages: Sequence[StageRow],
        owed_to: Sequence[CouncilId],
    ) -> bool:
        """Record a release with what is owed to the councils: nobody can have the answer before they are due it."""
        with self._begin() as connection:
            if not self._move(connection, row, before):
                return False
            self._end(connection, ended, councils, stages)
            self._put_new(connection, releases, release)
            owed = [DeliveryRow(release_digest=release.digest, council=council) for council in owed_to]
            self._put(connection, deliveries, owed)
        return True

    def _move(self, connection: Connection, row: ProposalRow, before: str) -> bool:
        mine = (proposals.c.plan_digest == row.plan_digest.hex(), proposals.c.state == before)
        moved = connection.execute(update(proposals).where(*mine).values(row_values(row))).rowcount == 1
        self._require_turn(connection)
        return moved

    def _end(
        self,
        connection: Connection,
        ended: RoundRow,
        councils: Sequence[RoundCouncilRow],
        stages: Sequence[StageRow],
    ) -> None:
        self._put(connection, rounds, [ended])
        self._put(connection, round_councils, councils)
        self._put(connection, round_stages, stages)
        connection.execute(delete(round_progress).where(round_progress.c.sid == ended.sid.hex()))
