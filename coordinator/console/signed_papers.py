"""Signed papers for programs, a kind at a time: each as a page shows it, and to whoever that page would show it.

What is said of an answer is for whoever may see its figures, as it can quote them, and that it was given is written
down as a reading. Minutes and standing questions are for everybody, as are suggestions that their council published.
"""

from dataclasses import dataclass
from typing import Final

from coordinator.console.answers import Access, access_to, note_reading
from coordinator.console.board import Meeting, meeting_of
from coordinator.console.calendar import latest_versions, series_of
from coordinator.console.desk import Desk, seen_of
from coordinator.console.remarks import NOT_HELD, Remark, remark_of
from coordinator.console.suggestions import seen
from coordinator.console.visitor import Visitor
from coordinator.store import PaperRow, Place, ReleaseRow, paper_place
from federated.agreement import Agreement
from federated.papers import REMARKS, PaperKind
from federated.series import Series
from federated.suggestion import Suggestion
from protocols.identifiers import DIGEST_SIZE, Digest

__all__ = ["Listed", "listed", "place_of_paper"]

BATCH: Final = 100
BOARD: Final = "The reviewers of the agreement"
ASKER: Final = "The body that asks"
DELETED: Final = "The answer that it is about was deleted, as its time was over."


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A paper as somebody may see it.

    Attributes:
        row: As it is kept.
        who: Name of the council, or of what else signed it.
        publish: Whether everybody may see it who may see what it is about.
        content: None where nothing is shown.
        reason: Why nothing is shown; empty where something is.
        about: The answer that it is about, and who may see that; None for other kinds.
    """

    row: PaperRow
    who: str
    publish: bool
    content: Remark | Meeting | Series | Suggestion | None
    reason: str
    about: tuple[ReleaseRow, Access] | None = None


def listed(
    desk: Desk, visitor: Visitor, kind: PaperKind, *, size: int, start: Place | None, how: str
) -> tuple[tuple[Listed, ...], Digest | None]:
    """Papers of a kind that a visitor may see, newest first, and the last of them where there are more.

    Args:
        desk: What pages work with.
        visitor: Who asks.
        kind: Of the papers.
        size: Most papers.
        start: From beyond which place on.
        how: As what the reading of an answer is written down, before what was said of it is given.
    """
    # Of other agreements nothing that is said of answers is for this visitor, so that need not be looked through.
    theirs = visitor.agreements | set(desk.settings.console.publish) if kind in REMARKS else None

    def read(start: Place | None) -> tuple[PaperRow, ...]:
        return desk.store.papers.page(kind.value, size=BATCH, start=start, agreements=theirs)

    found = seen_of(read, _Seeing(desk, visitor), paper_place, size=size + 1, start=start)
    given = found[:size]
    about = {one.about[0].digest: one.about for one in given if one.about is not None and one.content is not None}
    for _, (release, access) in sorted(about.items()):
        note_reading(desk, visitor, release, access, how)
    return given, given[-1].row.digest if len(found) > size else None


def place_of_paper(desk: Desk, visitor: Visitor, kind: PaperKind, paper: Digest) -> Place | None:
    """Where a paper stands among those of its kind; None for one that is not there, or not for the visitor."""
    row = desk.store.papers.get(paper)
    if row is None or row.kind != kind or _Seeing(desk, visitor)(row) is None:
        return None
    return paper_place(row)


class _Seeing:
    """What one visitor sees of papers; remembers the answers and agreements that many of them are about."""

    def __init__(self, desk: Desk, visitor: Visitor) -> None:
        self._desk = desk
        self._visitor = visitor
        self._membership = desk.files.in_force()
        self._answers: dict[str, tuple[ReleaseRow, Access] | None] = {}
        self._versions: dict[str, Agreement] | None = None

    def __call__(self, row: PaperRow) -> Listed | None:
        match PaperKind(row.kind):
            case PaperKind.COMMENT | PaperKind.OUTCOME:
                return self._remark(row)
            case PaperKind.MINUTES:
                meeting = meeting_of(row, self._membership)
                content = None if meeting.minutes is None else meeting
                return Listed(row=row, who=BOARD, publish=True, content=content, reason=meeting.reason)
            case PaperKind.SERIES:
                return self._series(row)
            case PaperKind.SUGGESTION:
                shown = seen(self._desk, self._visitor, row)
                if shown is None:
                    return None
                return Listed(
                    row=row, who=shown.who, publish=shown.publish, content=shown.suggestion, reason=shown.reason
                )

    def _remark(self, row: PaperRow) -> Listed | None:
        about = self._answer(row.subject)
        if about is None or not about[1].open:
            return None
        release, _ = about
        remark = remark_of(self._desk, release, row)
        if not remark.publish and row.agreement_id not in self._visitor.agreements:
            return None
        reason = remark.reason or (DELETED if release.deleted_at is not None else "")
        return Listed(
            row=row,
            who=remark.who,
            publish=remark.publish,
            content=None if reason else remark,
            reason=reason,
            about=about,
        )

    def _answer(self, subject: str) -> tuple[ReleaseRow, Access] | None:
        if subject not in self._answers:
            digest = bytes.fromhex(subject)
            release = self._desk.store.releases.line_of(Digest(digest)) if len(digest) == DIGEST_SIZE else None
            known = None if release is None else (release, access_to(self._desk, self._visitor, release))
            self._answers[subject] = known
        return self._answers[subject]

    def _series(self, row: PaperRow) -> Listed:
        if self._versions is None:
            self._versions = dict(latest_versions(self._desk))
        series = series_of(row, self._versions.get(row.agreement_id))
        reason = "" if series is not None else row.hidden_reason or NOT_HELD
        return Listed(row=row, who=ASKER, publish=True, content=series, reason=reason)
