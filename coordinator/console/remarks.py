"""What councils and the department say of an answer: comments, and what changed as a result.

Their texts are strangers'. Each is shown only while its signature holds, escaped as all text is, and never written to a
log. Nobody here can alter one; an operator can hide one, and then the reason is shown in its place.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from coordinator.console.desk import Desk
from coordinator.store import PaperRow, ReleaseRow
from federated.agreement import Agreement
from federated.errors import SignatureProblem
from federated.papers import REMARKS, PaperKind, open_comment, open_outcome
from federated.roster import RosterEntry
from federated.timestamps import time_text
from protocols.identifiers import CouncilId

__all__ = ["NOT_HELD", "Remark", "council_of", "remark_of", "remarks_on"]

NOT_HELD: Final = "Its signature does not hold with the keys of today, so it is not shown."


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One remark as it is shown.

    Attributes:
        kind: `comment` or `outcome`.
        who: Name of the council, or of the body that asked.
        at: When it was signed, UTC.
        text: In paragraphs; none where it is hidden or its signature does not hold.
        publish: Whether it may stand beside the answer for everybody.
        hidden_at: Since when an operator hides it; empty otherwise.
        reason: Why nothing is shown; empty where something is.
    """

    kind: str
    who: str
    at: str
    text: tuple[str, ...]
    publish: bool
    hidden_at: str
    reason: str


def remarks_on(desk: Desk, row: ReleaseRow, *, parties: bool) -> tuple[Remark, ...]:
    """Everything said of an answer, oldest first.

    Args:
        desk: For papers, keys and names.
        row: The answer.
        parties: Whether whoever asks is of the answer's agreement, and so sees what is not for everybody.
    """
    found = [remark_of(desk, row, paper) for paper in desk.store.papers.about(row.digest.hex(), REMARKS)]
    return tuple(remark for remark in found if parties or remark.publish)


def remark_of(desk: Desk, row: ReleaseRow, paper: PaperRow) -> Remark:
    """One paper said of an answer; whether it is for whoever asks, the caller looks at."""
    who = desk.council_name(paper.author) if paper.kind == PaperKind.COMMENT else "The body that asked"
    try:
        at, text, publish = _read(desk, row, paper)
        reason = ""
    except SignatureProblem:
        at, text, publish, reason = time_text(paper.received_at), (), False, NOT_HELD
    hidden = paper.hidden_at is not None
    return Remark(
        kind=paper.kind,
        who=who,
        at=at,
        text=() if hidden else text,
        publish=publish,
        hidden_at="" if paper.hidden_at is None else time_text(paper.hidden_at),
        reason=paper.hidden_reason if hidden else reason,
    )


def _read(desk: Desk, row: ReleaseRow, paper: PaperRow) -> tuple[str, tuple[str, ...], bool]:
    """When it was signed, its paragraphs, and whether it is for everybody.

    Raises:
        SignatureProblem: Its signature does not hold.
    """
    if paper.kind == PaperKind.COMMENT:
        entry = council_of(desk, paper)
        comment = open_comment(paper.envelope, council=entry.id, public_key=entry.public_key)
        return time_text(comment.at), _paragraphs(comment.text), comment.publish
    for agreement in _agreements(desk, row):
        try:
            note = open_outcome(paper.envelope, agreement)
        except SignatureProblem:
            continue
        return time_text(note.at), _paragraphs(note.text), True
    raise SignatureProblem("No analyst of the agreement signed it.")


def council_of(desk: Desk, paper: PaperRow) -> RosterEntry:
    """The council by which a paper is kept, with the key of today.

    Raises:
        SignatureProblem: It is not in the list of councils any more.
    """
    roster = desk.files.roster()
    entry = None if roster is None else roster.councils.get(CouncilId(paper.author))
    if entry is None:
        raise SignatureProblem("The council is not in the list of councils any more.")
    return entry


def _agreements(desk: Desk, row: ReleaseRow) -> Iterator[Agreement]:
    """Versions of the answer's agreement by whose analysts a note may be signed: those in force, and the question's."""
    signed = desk.files.in_force().agreement_of(row.agreement_id)
    if signed is not None:
        yield signed.agreement
    proposal = desk.store.proposals.get(row.plan_digest)
    found = None if proposal is None else desk.files.agreement(proposal.agreement_digest)
    if found is not None:
        yield found


def _paragraphs(text: str) -> tuple[str, ...]:
    return tuple(line for line in text.splitlines() if line)
