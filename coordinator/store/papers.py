"""Signed papers of governance: comments and notes on answers, minutes, series of questions, suggested questions."""

from collections.abc import Callable, Collection
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from coordinator.store.audit import AuditedBook
from coordinator.store.book import Place, in_order
from coordinator.store.records import PaperRow, column_value, read_row
from coordinator.store.tables import papers
from protocols.identifiers import Digest

__all__ = ["PaperBook", "paper_place"]


class PaperBook(AuditedBook):
    """Papers. Their signatures are checked before they come here."""

    def add(
        self,
        row: PaperRow,
        *,
        limit: int,
        since: datetime | None = None,
        join: Callable[[bytes], bytes] | None = None,
        by: str = "",
    ) -> bool | None:
        """Keep a paper; of one that is here and shown, the signatures that came with it too.

        Args:
            row: The paper.
            limit: Most papers of one author, so that nobody who may sign fills the disk.
            since: Those that came from then on under the agreement are counted, as the author names what each is about;
                where left out, those about the same thing.
            join: Gives an envelope that is kept the signatures that it lacks; nothing is added where left out.
            by: Account that brings it, which is written down; empty where a key has signed the request.

        Returns:
            Whether it is new here; None where its author has `limit` others.
        """
        with self._begin() as connection:
            # Otherwise papers that come at the same moment would not count each other, nor see each other's signatures.
            self._one_at_a_time(connection, papers)
            known = connection.execute(select(papers).where(papers.c.digest == row.digest.hex())).mappings().first()
            if known is not None:
                changed = join is not None and _grow(connection, read_row(PaperRow, known), join)
            elif self._count(connection, row, since) >= limit:
                return None
            else:
                changed = self._put_new(connection, papers, row)
            if changed and by:
                self._note(connection, who=by, operation="hand in paper", about=row.digest.hex(), now=row.received_at)
            return known is None

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

    def newest_of_each(self, kind: str, *, size: int) -> tuple[PaperRow, ...]:
        """Papers of a kind, newest first: so many of each agreement, so that none takes the place of another's."""
        newest = (papers.c.received_at.desc(), papers.c.digest.desc())
        place = func.row_number().over(partition_by=papers.c.agreement_id, order_by=newest).label("place")
        placed = select(papers, place).where(papers.c.kind == kind).subquery()
        wanted = select(*(placed.c[column.name] for column in papers.columns)).where(placed.c.place <= size)
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().all()
        return tuple(sorted((read_row(PaperRow, row) for row in found), key=paper_place, reverse=True))

    def hide(self, digest: Digest, *, reason: str, now: datetime, by: str) -> bool:
        """Show a paper no more, and write down who did it; whether it was there and shown. What was signed stays."""
        shown = (papers.c.digest == digest.hex(), papers.c.hidden_at.is_(None))
        values = {"hidden_at": column_value("hidden_at", now), "hidden_reason": reason}
        with self._begin() as connection:
            hidden = connection.execute(update(papers).where(*shown).values(**values)).rowcount == 1
            if hidden:
                self._note(connection, who=by, operation="hide paper", about=digest.hex(), now=now)
            return hidden

    @staticmethod
    def _count(connection: Connection, row: PaperRow, since: datetime | None) -> int:
        mine = [papers.c.author == row.author, papers.c.kind == row.kind]
        if since is None:
            mine.append(papers.c.subject == row.subject)
        else:
            began = column_value("received_at", since)
            mine += [papers.c.agreement_id == row.agreement_id, papers.c.received_at >= began]
        return int(connection.execute(select(func.count()).select_from(papers).where(*mine)).scalar_one())


def _grow(connection: Connection, kept: PaperRow, join: Callable[[bytes], bytes]) -> bool:
    if kept.hidden_at is not None or not kept.envelope:
        return False
    joined = join(kept.envelope)
    if joined == kept.envelope:
        return False
    connection.execute(update(papers).where(papers.c.digest == kept.digest.hex()).values(envelope=joined))
    return True


def paper_place(row: PaperRow) -> Place:
    """Where a paper stands among those of its kind."""
    return row.received_at, row.digest
