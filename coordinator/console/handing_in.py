"""From a draft to a question that waits for the coordinator: previewed, taken away, signed elsewhere, handed in.

No key that councils trust is here. The analyst's own computer plans anew and signs; what comes back is checked as every
question is, and waits for the coordinator that acts (`coordinator.inbox`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from coordinator.console.desk import Asked, Desk, Download, Moved
from coordinator.console.drafts import Draft, open_draft, writing
from coordinator.console.manifest_pages import document_of, errors_in, problems_of
from coordinator.console.planning import planner_for, work_out
from coordinator.inbox import HandedIn, hand_in
from federated.errors import FederatedError, PolicyRefusal
from federated.pages.figures import TableShown, show_records
from federated.question_file import QuestionToSign, SignedQuestion
from federated.synthetic.practice import MOST_COUNCILS, practise
from federated.yaml_document import write_document

__all__ = ["PREVIEW_S", "preview", "show_hand_in", "show_sign", "take", "to_sign"]

PREVIEW_S: Final = 10.0
"""Seconds after which a preview is given up; looked at before each council's records and each share of noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Until:
    end: float
    clock: Callable[[], float]

    def __call__(self) -> bool:
        return self.clock() < self.end


def preview(desk: Desk, asked: Asked) -> str:
    """The draft's tables on made-up records."""
    draft = open_draft(desk, asked)
    tables: list[TableShown] = []
    problem, councils = "", 0
    with desk.practising.place():
        try:
            plan = planner_for(desk, draft.ground.agreement, draft.question.group).plan(draft.question)
            go_on = _Until(end=time.monotonic() + PREVIEW_S, clock=time.monotonic)
            found = practise(plan, go_on=go_on, rng=desk.rng)
            tables = show_records(found.tables, draft.question, desk.schema)
            councils = len(found.councils)
        except FederatedError as error:
            problem = error.diagnostics()
    return desk.page(
        "practice.html",
        asked.visitor,
        title="Preview on made-up records",
        current="/ask",
        draft=draft,
        tables=tables,
        problem=problem,
        councils=councils,
        most=MOST_COUNCILS,
    )


# Signing


def show_sign(desk: Desk, asked: Asked) -> str:
    """What to do to have the question signed, or what is still to mend."""
    draft = open_draft(desk, asked)
    text = _manifest_text(desk, draft)
    errors = errors_in(problems_of(draft, text))
    worked = work_out(desk, asked.visitor, draft.question, draft.ground.agreement)
    room = None if worked.summary is None else worked.summary.room
    return desk.page(
        "sign.html",
        asked.visitor,
        title="Sign and hand in",
        current="/ask",
        draft=draft,
        problem=worked.problem or ("" if room is None else room.refusal),
        unfinished=len(errors),
    )


def _manifest_text(desk: Desk, draft: Draft) -> str:
    return write_document(document_of(desk, draft))


def to_sign(desk: Desk, asked: Asked) -> Download:
    """The question and its manifest as one file, for the analyst's own computer.

    Raises:
        PolicyRefusal: The manifest is not finished.
    """
    draft = open_draft(desk, asked)
    text = _manifest_text(desk, draft)
    if errors_in(problems_of(draft, text)):
        raise PolicyRefusal("manifest_wording", "The manifest is not finished.", remedy="Its page says what to mend.")
    file = QuestionToSign(
        question=draft.row.question,
        manifest=text,
        agreement=draft.row.agreement_id,
        query_digest=draft.question.digest(desk.schema.digest).hex(),
    )
    return Download(name="question-to-sign.json", kind="application/json", content=file.encode())


# Handing in


def show_hand_in(desk: Desk, asked: Asked) -> str:
    """The form for the signed file."""
    writing(desk)
    return _form(desk, asked, "")


def _form(desk: Desk, asked: Asked, problem: str) -> str:
    errors = {"file": problem} if problem else {}
    return desk.page("hand_in.html", asked.visitor, title="Hand in a signed question", current="/ask", errors=errors)


def take(desk: Desk, asked: Asked) -> str | Moved:
    """Take a signed question to where the coordinator takes it from."""
    store = writing(desk)
    try:
        signed = SignedQuestion.decode(asked.file)
        plan, manifest = signed.envelopes
        row = hand_in(
            store,
            HandedIn(plan_envelope=plan, manifest_envelope=manifest, refresh=signed.refresh),
            visitor=asked.visitor,
            membership=desk.files.in_force(),
            schema=desk.schema,
            now=desk.clock(),
        )
    except FederatedError as error:
        return _form(desk, asked, error.diagnostics())
    return Moved(to=f"/asked/{row.plan_digest.hex()}")
