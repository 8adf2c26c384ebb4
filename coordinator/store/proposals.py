"""Signed plans, where each stands, and what each council decided."""

from collections.abc import Sequence

from sqlalchemy import func, select

from coordinator.store.book import Book
from coordinator.store.records import DecisionRow, ProposalRow, read_row
from coordinator.store.tables import decisions, proposals
from protocols.identifiers import Digest

__all__ = ["ProposalBook"]


class ProposalBook(Book):
    """Proposals and decisions."""

    def add(self, row: ProposalRow) -> bool:
        """Keep a proposal; whether its plan is new here.

        Raises:
            DeskLost: Another coordinator has the desk, and would not know of it.
        """
        with self._begin() as connection:
            new = self._put_new(connection, proposals, row)
            self._require_turn(connection)
            return new

    def get(self, plan_digest: Digest) -> ProposalRow | None:
        """The proposal of that plan."""
        wanted = select(proposals).where(proposals.c.plan_digest == plan_digest.hex())
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().first()
        return None if found is None else read_row(ProposalRow, found)

    def in_states(self, states: Sequence[str]) -> tuple[ProposalRow, ...]:
        """Proposals that stand in one of these states, oldest first."""
        wanted = select(proposals).where(proposals.c.state.in_(states)).order_by(proposals.c.received_at)
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().all()
        return tuple(read_row(ProposalRow, row) for row in found)

    def counts(self) -> dict[str, int]:
        """Number of proposals in each state that has any."""
        counted = select(proposals.c.state, func.count()).group_by(proposals.c.state)
        with self._begin() as connection:
            return {state: int(number) for state, number in connection.execute(counted)}

    def keep_decisions(self, rows: Sequence[DecisionRow]) -> None:
        """Keep the current decision of each council, over its earlier one."""
        with self._begin() as connection:
            self._put(connection, decisions, rows)

    def decisions(self, plan_digest: Digest) -> tuple[DecisionRow, ...]:
        """The current decisions on a plan, by council."""
        wanted = select(decisions).where(decisions.c.plan_digest == plan_digest.hex()).order_by(decisions.c.council)
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().all()
        return tuple(read_row(DecisionRow, row) for row in found)
