"""Signed plans, where each stands, and what each council decided."""

from collections.abc import Collection, Sequence

from sqlalchemy import func, select, true

from coordinator.store.book import Book, Place, in_order
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

    def several(self, plan_digests: Collection[Digest]) -> dict[Digest, ProposalRow]:
        """The proposals of these plans."""
        wanted = select(proposals).where(proposals.c.plan_digest.in_(sorted(digest.hex() for digest in plan_digests)))
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().all()
        rows = (read_row(ProposalRow, row) for row in found)
        return {row.plan_digest: row for row in rows}

    def page(
        self,
        states: Collection[str],
        *,
        size: int,
        start: Place | None = None,
        newer: bool = False,
        agreements: Collection[Digest] | None = None,
    ) -> tuple[ProposalRow, ...]:
        """Proposals in the order in which they came, newest first; reads no more rows than it gives for each state.

        Args:
            states: Those that stand in one of these; in any when empty.
            size: Most rows given.
            start: Where an earlier page ended, which is left out; the newest when left out.
            newer: Give those that came after `start`, and not those before.
            agreements: Only those under these versions of agreements; under any when left out.
        """
        wanted = [proposals.c.state == state for state in sorted(states)] or [true()]
        under = true() if agreements is None else proposals.c.agreement_digest.in_(sorted(d.hex() for d in agreements))
        found: list[ProposalRow] = []
        with self._begin() as connection:
            # One state at a time, as an index is in order within one state only.
            for condition in wanted:
                query = in_order(proposals, "received_at", "plan_digest", start=start, newer=newer)
                rows = connection.execute(query.where(condition, under).limit(size)).mappings().all()
                found += [read_row(ProposalRow, row) for row in rows]
        found.sort(key=lambda row: (row.received_at, row.plan_digest), reverse=not newer)
        return tuple(sorted(found[:size], key=lambda row: (row.received_at, row.plan_digest), reverse=True))

    def place_of(self, plan_digest: bytes) -> Place | None:
        """Where the proposal of that plan stands in the list; None when there is none."""
        return self._place(proposals, "received_at", "plan_digest", plan_digest)

    def of_manifest(self, manifest_id: str, *, size: int, before: Place | None = None) -> tuple[ProposalRow, ...]:
        """Proposals whose manifest has that id, newest first: a question and its repeats.

        Args:
            manifest_id: As the manifest says it. Two agreements may each have a manifest of one id.
            size: Most rows given.
            before: Only those that came before this place.
        """
        query = in_order(proposals, "received_at", "plan_digest", start=before, newer=False)
        with self._begin() as connection:
            found = connection.execute(query.where(proposals.c.manifest_id == manifest_id).limit(size)).mappings().all()
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
            self._require_turn(connection)

    def decisions(self, plan_digest: Digest) -> tuple[DecisionRow, ...]:
        """The current decisions on a plan, by council."""
        wanted = select(decisions).where(decisions.c.plan_digest == plan_digest.hex()).order_by(decisions.c.council)
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().all()
        return tuple(read_row(DecisionRow, row) for row in found)
