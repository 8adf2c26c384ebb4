"""`coordinator purge`: what is kept no longer, and what stays of it.

An answer goes when its manifest says so; its line in the list of releases stays, with digest, title and dates, so that
nobody can say it never was. Enrolment requests that came to nothing, readings, stage timings and lines of the inbox go
by the settings.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from coordinator.settings import RetentionSettings
from coordinator.store import ReleaseRow, Store
from federated.errors import FederatedError, PolicyRefusal
from federated.manifest import MANIFEST_TYPE, parse_manifest
from federated.signing import unsafe_payload

__all__ = ["Purged", "purge", "require_kept"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """How much was deleted.

    Attributes:
        unreadable: Releases whose manifest could not be read, and which are kept.
    """

    releases: int
    enrolments: int
    reads: int
    timings: int
    inbox: int
    unreadable: int

    @property
    def anything(self) -> bool:
        """Whether there is something to say."""
        return any((self.releases, self.enrolments, self.reads, self.timings, self.inbox, self.unreadable))


def purge(store: Store, settings: RetentionSettings, now: datetime) -> Purged:
    """Delete everything whose time is over; run by `coordinator purge`, and once a day by the one that serves."""
    over, unreadable = [], 0
    for digest, manifest in store.releases.with_manifests():
        until = _kept_until(manifest)
        if until is None:
            unreadable += 1
        elif until < now.date():
            over.append(digest)
    return Purged(
        releases=store.releases.delete_contents(over, now=now),
        enrolments=store.membership.forget_enrolments(before=now - timedelta(days=settings.enrolments)),
        reads=store.releases.forget_reads(before=now - timedelta(days=settings.reads)),
        timings=store.rounds.forget_stages(before=now - timedelta(days=settings.timings)),
        inbox=store.inbox.forget(before=now - timedelta(days=settings.inbox)),
        unreadable=unreadable,
    )


def require_kept(row: ReleaseRow) -> None:
    """See that an answer is still there.

    Raises:
        PolicyRefusal: `deleted`.
    """
    if row.deleted_at is not None:
        raise PolicyRefusal(
            "deleted",
            f"The answer was deleted on {row.deleted_at:%d %B %Y}, when its time was over.",
            remedy="Its line in the list of releases stays.",
        )


def _kept_until(envelope: bytes) -> date | None:
    """The last day on which a manifest lets its answer be kept; its signature was checked when it came."""
    try:
        return parse_manifest(unsafe_payload(envelope, MANIFEST_TYPE)).retention.until
    except FederatedError:  # of a form that this software no longer reads
        return None
