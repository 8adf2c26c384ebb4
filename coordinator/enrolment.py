"""Enrolment at the coordinator: keys wait here until a person has compared fingerprints with the council.

Accepting one here only puts it into the next roster's draft. It counts once two roster signers have signed that.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from coordinator.store import EnrolmentRow, Store
from federated.errors import FileProblem, PolicyRefusal
from federated.keys import fingerprint
from protocols.identifiers import CouncilId

__all__ = ["decide", "find", "record_key"]

PENDING_PER_COUNCIL: Final = 5
"""Anybody can ask in any council's name; more than this is somebody filling the list."""


def record_key(store: Store, clock: Callable[[], datetime]) -> Callable[[CouncilId, bytes], str]:
    """What the enrolment service calls for each proven key; gives the fingerprint to read out."""

    def record(council: CouncilId, public_key: bytes) -> str:
        row = EnrolmentRow(
            public_key=public_key,
            council=council,
            fingerprint=fingerprint(public_key),
            state="pending",
            requested_at=clock(),
        )
        kept = store.membership.ask_enrolment(row, limit=PENDING_PER_COUNCIL)
        if kept is None:
            raise PolicyRefusal(
                "too_many_enrolments",
                f"{council} has {PENDING_PER_COUNCIL} keys waiting already.",
                remedy="Ask the coordinator's operator to reject those that are not yours.",
            )
        if kept.council != council:
            raise PolicyRefusal(
                "key_in_use",
                "This key was enrolled for another council.",
                remedy="Make a new key with 'council-node init'.",
            )
        return kept.fingerprint

    return record


def find(store: Store, wanted: str) -> EnrolmentRow:
    """The one request that a council's code or a fingerprint names.

    Args:
        store: Where requests wait.
        wanted: Fingerprint, with or without its spaces, or a council's code when it has a single pending request.

    Raises:
        FileProblem: None, or several.
    """
    rows = store.membership.enrolments()
    digits = wanted.replace(" ", "").replace("-", "")
    found = [row for row in rows if row.fingerprint.replace(" ", "") == digits]
    found = found or [row for row in rows if row.council == wanted and row.state == "pending"]
    if len(found) != 1:
        raise FileProblem(
            f"{len(found) or 'No'} enrolment requests fit '{wanted}'; one was expected.",
            remedy="'coordinator enrol list' shows them all: name one by its fingerprint.",
        )
    return found[0]


def decide(store: Store, row: EnrolmentRow, *, accept: bool, now: datetime) -> None:
    """Accept or reject a request; accepting a council's new key sets its other accepted ones aside."""
    if accept:
        for other in store.membership.enrolments():
            if other.council == row.council and other.state == "accepted":
                store.membership.decide_enrolment(other.public_key, state="rejected", now=now)
    store.membership.decide_enrolment(row.public_key, state="accepted" if accept else "rejected", now=now)
