"""Minutes of the review board: meetings of the reviewers of an agreement, signed by a quorum of them."""

from dataclasses import dataclass

from coordinator.console.desk import Asked, Desk
from coordinator.roster import Membership
from coordinator.store import PaperRow
from federated.agreement import Agreement
from federated.errors import SignatureProblem
from federated.keys import keyid, parse_public
from federated.papers import Minutes, PaperKind, open_minutes
from federated.timestamps import time_text

__all__ = ["Meeting", "meeting_of", "show"]

MEETINGS_READ = 100
"""Minutes of each agreement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """Minutes as the page shows them.

    Attributes:
        agreement: Under which the board met; None where it is not in force any more.
        minutes: None where nothing is shown.
        signers: Names of the reviewers who signed.
        reason: Why nothing is shown; empty otherwise.
        received: When they came, UTC.
    """

    agreement: Agreement | None
    minutes: Minutes | None
    signers: tuple[str, ...]
    reason: str
    received: str


def show(desk: Desk, asked: Asked) -> str:
    """Every meeting whose minutes are here, the latest first."""
    membership = desk.files.in_force()
    rows = desk.store.papers.newest_of_each(PaperKind.MINUTES.value, size=MEETINGS_READ)
    meetings = [meeting_of(row, membership) for row in rows]
    return desk.page("board.html", asked.visitor, title="Minutes of the review board", meetings=meetings)


def meeting_of(row: PaperRow, membership: Membership) -> Meeting:
    """Minutes as they are shown to everybody, checked with the keys of today."""
    signed = membership.agreement_of(row.agreement_id)
    agreement = None if signed is None else signed.agreement
    minutes: Minutes | None = None
    signers: tuple[str, ...] = ()
    reason = row.hidden_reason
    if row.hidden_at is None:
        if agreement is None:
            reason = "The agreement is not in force any more, so its signatures cannot be checked."
        else:
            try:
                minutes = open_minutes(row.envelope, agreement)
                signers = _names(agreement, minutes)
            except SignatureProblem:
                reason = "They are not signed by enough of the reviewers of today, so they are not shown."
    return Meeting(
        agreement=agreement, minutes=minutes, signers=signers, reason=reason, received=time_text(row.received_at)
    )


def _names(agreement: Agreement, minutes: Minutes) -> tuple[str, ...]:
    names = {keyid(parse_public(person.public_key)): person.name for person in agreement.reviewers}
    return tuple(names[signer] for signer in minutes.signers)
