"""What `coordinator status` says: read from the store and the state folder, whether the server runs or not."""

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from coordinator.connections import Connections
from coordinator.roster import load_membership
from coordinator.settings import Settings
from coordinator.store import Store
from federated.timestamps import time_text

__all__ = ["Status", "read_status"]

RELEASES_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A coordinator at one moment; fit for JSON.

    Attributes:
        connected: Councils that were connected when the server last looked; empty when it is not running.
        mask_holders: Mask holders that agreements name, and whether each was connected then.
        waiting_for_receipt: Release digest → councils that have yet to acknowledge it.
    """

    coordinator: str
    at: str
    roster_epoch: int | None
    roster_ends: str | None
    councils: int
    connected: tuple[str, ...]
    mask_holders: dict[str, bool]
    agreements: tuple[str, ...]
    enrolments_pending: int
    proposals: dict[str, int]
    releases: tuple[dict[str, str | int], ...]
    waiting_for_receipt: dict[str, tuple[str, ...]]
    problems: tuple[str, ...]

    def canonical(self) -> dict[str, object]:
        """As JSON, version 1."""
        return {"version": 1, **asdict(self)}


def read_status(settings: Settings, store: Store, now: datetime) -> Status:
    """Put together where things stand."""
    membership = load_membership(settings, store, now)
    here = Connections.read(Path(settings.state))
    roster = membership.roster
    agreement_ids = {signed.agreement.id for signed in membership.agreements.values()}
    releases = store.releases.page(agreement_ids, offset=0, size=RELEASES_SHOWN)
    owed = {
        row.digest.hex(): tuple(item.council for item in store.releases.deliveries(row.digest) if item.receipt is None)
        for row in releases
    }
    return Status(
        coordinator=settings.id,
        at=time_text(now),
        roster_epoch=None if roster is None else roster.epoch,
        roster_ends=None if roster is None else roster.not_after.isoformat(),
        councils=0 if roster is None else len(roster.councils),
        connected=tuple(sorted(here.connected)),
        mask_holders={holder: holder in here.holders for holder in sorted(membership.holders)},
        agreements=tuple(sorted(agreement_ids)),
        enrolments_pending=sum(row.state == "pending" for row in store.membership.enrolments()),
        proposals=store.proposals.counts(),
        releases=tuple(
            {
                "digest": row.digest.hex(),
                "title": row.title,
                "released_at": time_text(row.created_at),
                "councils_in": row.contributed,
                "councils_asked": row.asked,
                "deleted_at": "" if row.deleted_at is None else time_text(row.deleted_at),
            }
            for row in releases
        ),
        waiting_for_receipt={digest: councils for digest, councils in owed.items() if councils},
        problems=membership.problems,
    )
