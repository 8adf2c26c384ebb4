"""Signed papers of governance: comments and notes on answers, minutes, series of questions, suggested questions."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select, update

from coordinator.store.audit import AuditedBook
from coordinator.store.book import Place, in_order
from coordinator.store.records import PaperRow, column_value, read_row
from coordinator.store.tables import papers
from protocols.identifiers import Digest

__all__ = ["PaperBook", "paper_place"]


class PaperBook(AuditedBook):
    """Papers. Their signatures are checked before they come here."""

    def add(self, row: PaperRow, *, limit: int, by: str = "") -> bool | None:
        """Keep a paper.

        Args:
            row: The paper.
            limit: Most papers of one author about one thing, so that nobody who may sign fills the disk.
            by: Account that brings it, which is written down; empty where a key has signed the request.

        Returns:
            Whether it is new here; None where its author has `limit` others about this.
        """
        mine = (papers.c.author == row.author, papers.c.subject == row.subject, papers.c.kind == row.kind)
        with self._begin() as connection:
            known = connection.execute(select(papers.c.digest).where(papers.c.digest == row.digest.hex())).first()
            if known is not None:
                return False
            if int(connection.execute(select(func.count()).select_from(papers).where(*mine)).scalar() or 0) >= limit:
                return None
            added = self._put_new(connection, papers, row)
            if added and by:
                self._note(connection, who=by, operation="hand in paper", about=row.digest.hex(), now=row.received_at)
            return added

    def of_request(self, request: str) -> Digest | None:
        """The paper that came by a request; None where none did."""
        with self._begin() as connection:
            found = connection.execute(select(papers.c.digest).where(papers.c.request == request)).scalar()
        return None if found is None else Digest(bytes.fromhex(found))

    def get(self, digest: Digest) -> PaperRow | None:
        """The paper of that digest, hidden or not."""
        with self._begin() as connection:
            found = connection.execute(select(papers).where(papers.c.digest == digest.hex())).mappings().first()
        return None if found is None else read_row(PaperRow, found)

    def about(self, subject: str, kinds: Collection[str]) -> tuple[PaperRow, ...]:
        """Papers of these kinds about one thing, oldest first."""
        wanted = select(papers).where(papers.c.subject == subject, papers.c.kind.in_(sorted(kinds)))
        with self._begin() as connection:
            found = connection.execute(wanted.order_by(papers.c.received_at, papers.c.digest)).mappings().all()
        return tuple(read_row(PaperRow, row) for row in found)

    def page(
        self,
        kind: str,
        *,
        size: int,
        start: Place | None = None,
        newer: bool = False,
        agreements: Collection[str] | None = None,
    ) -> tuple[PaperRow, ...]:
        """Papers of a kind, newest first, under these agreements or all; other arguments as in `ProposalBook.page`."""
        query = in_order(papers, "received_at", "digest", start=start, newer=newer).where(papers.c.kind == kind)
        if agreements is not None:
            query = query.where(papers.c.agreement_id.in_(sorted(agreements)))
        with self._begin() as connection:
            found = connection.execute(query.limit(size)).mappings().all()
        rows = [read_row(PaperRow, row) for row in found]
        return tuple(sorted(rows, key=paper_place, reverse=True))

    def hide(self, digest: Digest, *, reason: str, now: datetime, by: str) -> bool:
        """Show a paper no more, and write down who did it; whether it was there and shown. What was signed stays."""
        shown = (papers.c.digest == digest.hex(), papers.c.hidden_at.is_(None))
        values = {"hidden_at": column_value("hidden_at", now), "hidden_reason": reason}
        with self._begin() as connection:
            hidden = connection.execute(update(papers).where(*shown).values(**values)).rowcount == 1
            if hidden:
                self._note(connection, who=by, operation="hide paper", about=digest.hex(), now=now)
            return hidden


def paper_place(row: PaperRow) -> Place:
    """Where a paper stands among those of its kind."""
    return row.received_at, row.digest
