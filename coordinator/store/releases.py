"""Releases as published, who is owed a copy, and who has read one."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update

from coordinator.store.audit import READ, AuditedBook
from coordinator.store.book import Place, in_order
from coordinator.store.records import DeliveryRow, ReleaseRow, column_value, read_row
from coordinator.store.tables import deliveries, papers, proposals, release_reads, releases
from federated.papers import REMARKS
from federated.timestamps import parse_time
from protocols.identifiers import CouncilId, Digest

__all__ = ["ReleaseBook"]

DELETED_WITH = "Deleted with the answer, whose time was over."
LINE = tuple(column for column in releases.c if column.name != "content")
"""What is read of a release where its content is not wanted."""


class ReleaseBook(AuditedBook):
    """Releases, deliveries and the record of readings, which are in the audit too."""

    def get(self, digest: Digest) -> ReleaseRow | None:
        """The release of that digest."""
        return self._newest(releases.c.digest == digest.hex())

    def of_plan(self, plan_digest: Digest) -> ReleaseRow | None:
        """The newest release of that plan."""
        return self._newest(releases.c.plan_digest == plan_digest.hex())

    def of_question(self, query_digest: Digest) -> ReleaseRow | None:
        """The newest release of the identical question whose content is still kept."""
        return self._newest(releases.c.query_digest == query_digest.hex(), releases.c.deleted_at.is_(None))

    def later_than(self, row: ReleaseRow) -> ReleaseRow | None:
        """The newest release of the identical question under that agreement, if its records are of a later day."""
        if row.data_cut_off is None:
            return None
        return self._newest(
            releases.c.query_digest == row.query_digest.hex(),
            releases.c.agreement_id == row.agreement_id,
            releases.c.data_cut_off > row.data_cut_off,
            releases.c.created_at > column_value("created_at", row.created_at),
            releases.c.deleted_at.is_(None),
        )

    def agreements_of(self, digests: Collection[bytes]) -> dict[bytes, str]:
        """Release → id of its agreement, for those of these that there are."""
        wanted = select(releases.c.digest, releases.c.agreement_id)
        with self._begin() as connection:
            found = connection.execute(wanted.where(releases.c.digest.in_(sorted(item.hex() for item in digests))))
            return {bytes.fromhex(digest): name for digest, name in found}

    def digests_of(self, plan_digests: Collection[Digest]) -> dict[Digest, Digest]:
        """Plan → its newest release, for those of these plans that have one; their contents are not read."""
        wanted = (
            select(releases.c.plan_digest, releases.c.digest)
            .where(releases.c.plan_digest.in_(sorted(digest.hex() for digest in plan_digests)))
            .order_by(releases.c.created_at)
        )
        with self._begin() as connection:
            rows = connection.execute(wanted).all()
        return {Digest(bytes.fromhex(plan)): Digest(bytes.fromhex(digest)) for plan, digest in rows}

    def page(self, agreement_ids: Collection[str], *, offset: int, size: int) -> tuple[ReleaseRow, ...]:
        """Releases under these agreements, newest first."""
        wanted = (
            select(releases)
            .where(releases.c.agreement_id.in_(sorted(agreement_ids)))
            .order_by(releases.c.created_at.desc(), releases.c.digest)
            .offset(offset)
            .limit(size)
        )
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().all()
        return tuple(read_row(ReleaseRow, row) for row in found)

    def made_since(self, agreement_ids: Collection[str], since: datetime) -> tuple[tuple[Digest, str, datetime], ...]:
        """(digest, title, time) of releases under these agreements made since; their contents are not read."""
        wanted = select(releases.c.digest, releases.c.title, releases.c.created_at).where(
            releases.c.agreement_id.in_(sorted(agreement_ids)),
            releases.c.created_at >= column_value("created_at", since),
            releases.c.deleted_at.is_(None),
        )
        with self._begin() as connection:
            found = connection.execute(wanted.order_by(releases.c.created_at)).all()
        return tuple((Digest(bytes.fromhex(digest)), title, parse_time(at)) for digest, title, at in found)

    def waits(self) -> tuple[tuple[datetime, datetime, datetime | None], ...]:
        """(question handed in, answer made, answer promised by) of every answer, oldest first; None if not known."""
        columns = (proposals.c.received_at, releases.c.created_at, proposals.c.return_by)
        joined = select(*columns).join(proposals, proposals.c.plan_digest == releases.c.plan_digest)
        with self._begin() as connection:
            found = connection.execute(joined.order_by(releases.c.created_at)).all()
        return tuple((parse_time(asked), parse_time(made), parse_time(by) if by else None) for asked, made, by in found)

    def copies(
        self, agreement_ids: Collection[str], before: datetime
    ) -> tuple[tuple[CouncilId, datetime, datetime | None], ...]:
        """(council, answer made, receipt here) of every copy owed of answers under these agreements made before."""
        columns = (deliveries.c.council, releases.c.created_at, deliveries.c.received_at)
        joined = select(*columns).join(releases, releases.c.digest == deliveries.c.release_digest)
        wanted = joined.where(
            releases.c.agreement_id.in_(sorted(agreement_ids)),
            releases.c.created_at <= column_value("created_at", before),
        )
        with self._begin() as connection:
            found = connection.execute(wanted).all()
        return tuple(
            (CouncilId(council), parse_time(made), parse_time(at) if at else None) for council, made, at in found
        )

    def listed(self, *, size: int, start: Place | None = None) -> tuple[ReleaseRow, ...]:
        """Lines of releases, newest first, without their contents, which are not read; from beyond `start` on."""
        query = in_order(releases, "created_at", "digest", start=start, newer=False)
        with self._begin() as connection:
            found = connection.execute(query.with_only_columns(*LINE).limit(size)).mappings().all()
        return tuple(_line(row) for row in found)

    def line_of(self, digest: Digest) -> ReleaseRow | None:
        """The line of a release, without its content, which is not read; None when there is none."""
        with self._begin() as connection:
            found = connection.execute(select(*LINE).where(releases.c.digest == digest.hex())).mappings().first()
        return None if found is None else _line(found)

    def place_of(self, digest: bytes) -> Place | None:
        """Where the release of that digest stands in the list; None when there is none."""
        return self._place(releases, "created_at", "digest", digest)

    def keep_receipts(self, rows: Sequence[DeliveryRow]) -> None:
        """Settle deliveries with the councils' signed receipts.

        Raises:
            DeskLost: Another coordinator has the desk, and brings the councils what they are owed.
        """
        with self._begin() as connection:
            self._put(connection, deliveries, rows)
            self._require_turn(connection)

    def owed(self, council: CouncilId) -> tuple[ReleaseRow, ...]:
        """Releases whose receipt by this council is outstanding, oldest first."""
        wanted = (
            select(releases)
            .join(deliveries, deliveries.c.release_digest == releases.c.digest)
            .where(deliveries.c.council == council, deliveries.c.receipt.is_(None), releases.c.deleted_at.is_(None))
            .order_by(releases.c.created_at)
        )
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().all()
        return tuple(read_row(ReleaseRow, row) for row in found)

    def deliveries(self, digest: Digest) -> tuple[DeliveryRow, ...]:
        """To whom a release is owed and who has acknowledged it, by council."""
        wanted = select(deliveries).where(deliveries.c.release_digest == digest.hex()).order_by(deliveries.c.council)
        with self._begin() as connection:
            found = connection.execute(wanted).mappings().all()
        return tuple(read_row(DeliveryRow, row) for row in found)

    def note_read(self, digest: Digest, *, reader: str, how: str, now: datetime) -> None:
        """Write down who read a release, and by which request."""
        read_at = column_value("read_at", now)
        with self._begin() as connection:
            connection.execute(
                insert(release_reads).values(release_digest=digest.hex(), reader=reader, how=how, read_at=read_at)
            )
            self._note(connection, who=reader, operation=READ, about=digest.hex(), now=now)

    def note_read_of_the_day(self, digest: Digest, *, reader: str, how: str, now: datetime) -> None:
        """Write down a reading, unless the same one is written down for this day; in the audit one in whatever form.

        Both say the day alone, as its first moment.
        """
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        read_at = column_value("read_at", day)
        table = release_reads.c
        theirs = (table.release_digest == digest.hex(), table.reader == reader, table.read_at >= read_at)
        with self._begin() as connection:
            known = set(connection.execute(select(table.how).where(*theirs).distinct()).scalars())
            if how not in known:
                row = {"release_digest": digest.hex(), "reader": reader, "how": how, "read_at": read_at}
                connection.execute(insert(release_reads).values(row))
            if not known:
                self._note(connection, who=reader, operation=READ, about=digest.hex(), now=day)

    def reads(self, digest: Digest, *, begin: int = 0, most: int | None = None) -> tuple[tuple[str, str, str], ...]:
        """(reader, request, time) of the readings of a release, oldest first.

        Args:
            digest: Of the release.
            begin: How many to leave out. Counted among its own: a number of the table would tell of other readings.
            most: Most of them; all when left out.
        """
        columns = (release_reads.c.reader, release_reads.c.how, release_reads.c.read_at)
        wanted = select(*columns).where(release_reads.c.release_digest == digest.hex()).order_by(release_reads.c.number)
        wanted = wanted.offset(begin).limit(most)
        with self._begin() as connection:
            return tuple((reader, how, at) for reader, how, at in connection.execute(wanted))

    def with_manifests(self) -> tuple[tuple[Digest, bytes], ...]:
        """Each release whose content is kept, with the signed manifest of its plan."""
        columns = (releases.c.digest, proposals.c.manifest_envelope)
        joined = select(*columns).join(proposals, proposals.c.plan_digest == releases.c.plan_digest)
        with self._begin() as connection:
            found = connection.execute(joined.where(releases.c.deleted_at.is_(None))).all()
        return tuple((Digest(bytes.fromhex(digest)), manifest) for digest, manifest in found)

    def delete_contents(self, digests: Collection[Digest], *, now: datetime) -> int:
        """Delete the contents of releases, and what was said of them; their lines stay. Returns how many."""
        wanted = releases.c.digest.in_([digest.hex() for digest in digests])
        change = update(releases).where(wanted, releases.c.deleted_at.is_(None))
        with self._begin() as connection:
            deleted = connection.execute(change.values(content=b"", deleted_at=column_value("deleted_at", now)))
            # A comment can quote the figures, so it goes with them; one that came meanwhile goes the next time.
            over = select(releases.c.digest).where(releases.c.deleted_at.is_not(None))
            said = update(papers).where(
                papers.c.subject.in_(over), papers.c.kind.in_(sorted(REMARKS)), papers.c.envelope != b""
            )
            gone = {"envelope": b"", "hidden_at": column_value("hidden_at", now), "hidden_reason": DELETED_WITH}
            connection.execute(said.values(**gone))
        return deleted.rowcount

    def forget_reads(self, *, before: datetime) -> int:
        """Delete the record of older readings. Returns how many."""
        with self._begin() as connection:
            old = delete(release_reads).where(release_reads.c.read_at < column_value("read_at", before))
            return connection.execute(old).rowcount

    def _newest(self, *conditions: object) -> ReleaseRow | None:
        wanted = select(releases).where(*conditions)  # type: ignore[arg-type]  # column comparisons
        with self._begin() as connection:
            found = connection.execute(wanted.order_by(releases.c.created_at.desc()).limit(1)).mappings().first()
        return None if found is None else read_row(ReleaseRow, found)


def _line(found: Mapping[Any, Any]) -> ReleaseRow:
    return read_row(ReleaseRow, {**found, "content": b""})
