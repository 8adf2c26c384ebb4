"""Questions that councils suggest: who suggests what, why, what it would cost, and a draft begun from it.

Suggesting asks nobody anything. A text of a council is a stranger's: it is shown only while its signature holds, and
escaped as all text is. Everybody sees what its council published; the rest is for the parties of its agreement alone.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from coordinator.console.desk import Asked, Desk, Moved, cut, digest_of, place_asked, seen_of
from coordinator.console.drafting import Faults, conditions_of
from coordinator.console.drafts import fitting, new_draft, table_words, writing
from coordinator.console.manifest_pages import begun_document
from coordinator.console.planning import Worked, work_out
from coordinator.console.remarks import NOT_HELD, council_of
from coordinator.console.visitor import Visitor
from coordinator.sign_in.audit import allow
from coordinator.sign_in.operations import Operation, may
from coordinator.store import PaperRow, Place, paper_place
from federated.agreement import Agreement
from federated.errors import FederatedError, FileProblem, SignatureProblem
from federated.papers import PaperKind
from federated.query import Query
from federated.query.check import check_query
from federated.query.words import condition_words
from federated.rationals import rational_text
from federated.suggestion import Suggestion, open_suggestion
from federated.timestamps import time_text
from federated.yaml_document import write_document
from protocols.identifiers import Digest

__all__ = ["Shown", "begin_draft", "place_for", "seen", "show_list", "show_one", "shown_to"]

SIZE: Final = 50
REMEMBERED: Final = 500
NO_AGREEMENT: Final = "Its agreement is not in force, so nobody can ask it now."


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A suggestion as somebody may see it.

    Attributes:
        row: As it is kept.
        who: Name of the council.
        suggestion: None where it is hidden or its signature does not hold.
        publish: Whether everybody may see it.
        hidden_at: Since when an operator hides it; empty otherwise.
        reason: Why nothing is shown; empty where something is.
    """

    row: PaperRow
    who: str
    suggestion: Suggestion | None
    publish: bool
    hidden_at: str
    reason: str

    @property
    def paper(self) -> str:
        """Its digest, in hexadecimal."""
        return self.row.digest.hex()

    @property
    def title(self) -> str:
        """Of the question."""
        return "A suggestion that is not shown" if self.suggestion is None else self.suggestion.question.title


@dataclass(frozen=True, slots=True, kw_only=True)
class InWords:
    """A suggested question in words.

    Attributes:
        records: What kind of records.
        councils: The group that would be asked.
        period: What the period is about.
        tables: A line for each.
        conditions: Which rows count; all when empty.
    """

    records: str
    councils: str
    period: str
    tables: tuple[str, ...]
    conditions: tuple[str, ...]


def shown_to(
    desk: Desk, visitor: Visitor, *, size: int, start: Place | None = None, newer: bool = False
) -> tuple[Shown, ...]:
    """Suggestions that a visitor may see, newest first; arguments as in `ProposalBook.page`."""

    def read(start: Place | None) -> tuple[PaperRow, ...]:
        return desk.store.papers.page(PaperKind.SUGGESTION, size=SIZE, start=start, newer=newer)

    return seen_of(read, lambda row: seen(desk, visitor, row), paper_place, size=size, start=start, newer=newer)


def seen(desk: Desk, visitor: Visitor, row: PaperRow) -> Shown | None:
    """A suggestion as the visitor sees it; None where it is not for them."""
    found = _shown(desk, row)
    public = found.publish or may(visitor, Operation.VIEW_SUGGESTIONS, agreement=row.agreement_id)
    return found if public else None


def _shown(desk: Desk, row: PaperRow) -> Shown:
    try:
        read, reason = _read(desk, row), ""
    except SignatureProblem:
        read, reason = None, NOT_HELD
    hidden = row.hidden_at is not None
    return Shown(
        row=row,
        who=desk.council_name(row.author),
        suggestion=None if hidden else read,
        # One that is hidden leaves its reason with everybody who could see it.
        publish=read is not None and read.publish,
        hidden_at="" if row.hidden_at is None else time_text(row.hidden_at),
        reason=row.hidden_reason if hidden else reason,
    )


def _read(desk: Desk, row: PaperRow) -> Suggestion:
    entry = council_of(desk, row)
    return _opened_before(row.envelope, council=entry.id, public_key=entry.public_key)


_opened_before = lru_cache(REMEMBERED)(open_suggestion)
"""The same bytes under the same key hold for good, and what does not hold is not kept."""


def show_list(desk: Desk, asked: Asked) -> str:
    """What councils suggest asking, newest first."""
    start, newer = place_asked(asked.wanted, lambda paper: place_for(desk, asked.visitor, paper))
    found = shown_to(desk, asked.visitor, size=SIZE + 1, start=start, newer=newer)
    shown, pages = cut(
        found, SIZE, start=start, newer=newer, identity=lambda one: one.row.digest, address="/suggestions?"
    )
    return desk.page(
        "suggestions.html",
        asked.visitor,
        title="Questions that councils suggest",
        current="/questions",
        items=shown,
        pages=pages,
    )


def place_for(desk: Desk, visitor: Visitor, paper: Digest) -> Place | None:
    """Where a suggestion stands in the list; None for one that is not there, or not for the visitor.

    A part of the list that went on from the place of one would tell that it is there.
    """
    found = _seen(desk, visitor, paper)
    return None if found is None else paper_place(found.row)


def _seen(desk: Desk, visitor: Visitor, paper: Digest) -> Shown | None:
    """A suggestion; one that is not for the visitor is as if it were not there."""
    row = desk.store.papers.get(paper)
    return None if row is None or row.kind != PaperKind.SUGGESTION else seen(desk, visitor, row)


def _found(desk: Desk, asked: Asked) -> Shown:
    found = _seen(desk, asked.visitor, digest_of(asked.names["paper"], "suggestion"))
    if found is None:
        raise FileProblem("There is no such suggestion here.", remedy="The list of suggestions has all you may see.")
    return found


def show_one(desk: Desk, asked: Asked) -> str:
    """One suggestion: what would be asked, why, and for those of its agreement what it would cost."""
    return _page(desk, asked, _found(desk, asked), "")


def _page(desk: Desk, asked: Asked, found: Shown, problem: str) -> str:
    signed = desk.files.in_force().agreement_of(found.row.agreement_id)
    agreement = None if signed is None else signed.agreement
    question = None if found.suggestion is None else _affordable(found.suggestion.question, agreement)
    words: InWords | None = None
    worked: Worked | None = None
    if question is not None:
        try:
            words = _in_words(desk, question, agreement)
        except FederatedError as error:
            problem = problem or error.diagnostics()
        # Beside the cost stands what councils have left, which is for those who may see budgets.
        if words and agreement and may(asked.visitor, Operation.VIEW_BUDGETS, agreement=agreement.id):
            worked = work_out(desk, asked.visitor, question, agreement)
    asks = desk.deciding is not None and may(asked.visitor, Operation.PROPOSE, agreement=found.row.agreement_id)
    return desk.page(
        "suggestion.html",
        asked.visitor,
        title=found.title,
        current="/questions",
        found=found,
        agreement=agreement,
        question=question,
        epsilon=None if question is None else rational_text(question.epsilon),
        words=words,
        worked=worked,
        asks=asks and words is not None and agreement is not None,
        problem=problem or ("" if agreement else NO_AGREEMENT),
    )


def _affordable(question: Query, agreement: Agreement | None) -> Query:
    """The question at the cost it names, or the most that its agreement allows one question."""
    return question if agreement is None else replace(question, epsilon=min(question.epsilon, agreement.max_epsilon))


def _in_words(desk: Desk, question: Query, agreement: Agreement | None) -> InWords:
    """A question in words.

    Raises:
        FederatedError: The data dictionary does not know what it names.
    """
    dataset = check_query(question, desk.schema)
    groups = {} if agreement is None else {group.name: group.label for group in agreement.groups}
    return InWords(
        records=dataset.title,
        councils=groups.get(question.group, question.group),
        period=dataset.column(question.period.column).label,
        tables=tuple(table_words(table, dataset) for table in question.tables),
        conditions=tuple(condition_words(item) for item in conditions_of(question)),
    )


def begin_draft(desk: Desk, asked: Asked) -> str | Moved:
    """A draft of the visitor's own with the suggested question; where the agreement does not allow that, why."""
    found = _found(desk, asked)
    allow(writing(desk), asked.visitor, Operation.PROPOSE, agreement=found.row.agreement_id, now=desk.clock())
    signed = desk.files.in_force().agreement_of(found.row.agreement_id)
    if found.suggestion is None or signed is None:
        return _page(desk, asked, found, "")
    try:
        affordable = _affordable(found.suggestion.question, signed.agreement)
        question = fitting(desk, signed.agreement.id, affordable, "question")
    except Faults as faults:
        return _page(desk, asked, found, faults.errors["question"])
    # A manifest is public: it names the council only where that wants to be named.
    who = found.who if found.publish else "A council of the agreement"
    document = begun_document(desk, question, signed.agreement, desk.schema.dataset(question.dataset))
    document["need"] = {"who_asked": f"{who}, which suggested this question."}
    manifest = write_document(document)
    return Moved(to=new_draft(desk, asked, signed.agreement.id, question, manifest=manifest))
