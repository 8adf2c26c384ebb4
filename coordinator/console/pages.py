"""Every page: its path, what makes it, and what it is for. A test tries each of them with each role.

Who may open a page follows from its operation, by the one table in `coordinator.sign_in.operations`. Where that is
about an agreement, any of the visitor's opens the page, and the page shows what is of theirs alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from coordinator.console import (
    agreements,
    answers,
    board,
    budgets,
    calendar,
    catalogue,
    drafts,
    handing_in,
    manifest_pages,
    measures,
    operations,
    papers,
    suggestions,
    watching,
)
from coordinator.console.desk import Asked, Desk, Download, Moved, Refreshing
from coordinator.console.guard import FORM_LIMIT, MOST_FIELDS, UPLOAD_PATH
from coordinator.sign_in.operations import Operation
from federated.question_file import SIGNED_LIMIT

__all__ = ["PAGES", "Page"]

View: TypeAlias = Callable[[Desk, Asked], str | Download | Moved | Refreshing]
"""Makes a page, or a file, or sends people on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One row of the table.

    Attributes:
        path: Its address; what stands in braces is given to the view.
        view: Makes it.
        operation: What it is for, and so who may open it.
        method: How it is asked for.
        form_limit: Most bytes of its form.
        most_fields: Most fields of its form.
    """

    path: str
    view: View
    operation: Operation = Operation.VIEW_REGISTER
    method: Literal["GET", "POST"] = "GET"
    form_limit: int = FORM_LIMIT
    most_fields: int = MOST_FIELDS


LONG_FORM: Final = 3 * drafts.TEXT_LIMIT
"""Bytes of a form that holds a whole question or manifest: a character takes up to three."""
UPLOAD_FORM: Final = SIGNED_LIMIT + 8 * 1024
CODE_BOXES: Final = drafts.CODES + MOST_FIELDS
MANIFEST_FIELDS: Final = 400

PAGES: Final = (
    Page(path="/", view=papers.start),
    Page(path="/questions", view=catalogue.show_list),
    Page(path="/questions/{plan}", view=catalogue.show_one),
    Page(path="/releases/{digest}", view=answers.show_one),
    Page(path="/releases/{digest}/release.json", view=answers.exact_file),
    Page(path="/releases/{digest}/remarks.json", view=answers.remarks_file),
    Page(path="/releases/{digest}/{file}", view=answers.made_file),
    Page(path="/agreements", view=agreements.show_list),
    Page(path="/agreements/{agreement}", view=agreements.show_one),
    Page(path="/calendar", view=calendar.show),
    Page(path="/calendar.ics", view=calendar.calendar_file),
    Page(path="/standing", view=calendar.show_standing),
    Page(path="/measures", view=measures.show),
    Page(path="/measures.json", view=measures.as_json),
    Page(path="/measures.csv", view=measures.as_csv),
    Page(path="/board", view=board.show),
    Page(path="/suggestions", view=suggestions.show_list),
    Page(path="/suggestions/{paper}", view=suggestions.show_one),
    Page(path="/suggestions/{paper}/draft", view=suggestions.begin_draft, operation=Operation.PROPOSE, method="POST"),
    Page(path="/was-my-data-used", view=papers.was_my_data_used),
    Page(path="/contact", view=papers.contact),
    Page(path="/privacy", view=papers.privacy),
    Page(path="/glossary", view=papers.glossary),
    Page(path="/accessibility", view=papers.accessibility),
    Page(path="/ask", view=drafts.show_list, operation=Operation.PROPOSE),
    Page(path="/ask/new", view=drafts.show_begin, operation=Operation.PROPOSE),
    Page(path="/ask/new", view=drafts.begin_draft, operation=Operation.PROPOSE, method="POST"),
    Page(path=UPLOAD_PATH, view=handing_in.show_hand_in, operation=Operation.PROPOSE),
    Page(path=UPLOAD_PATH, view=handing_in.take, operation=Operation.PROPOSE, method="POST", form_limit=UPLOAD_FORM),
    Page(path="/ask/drafts/{draft}", view=drafts.show_one, operation=Operation.PROPOSE),
    Page(path="/ask/drafts/{draft}/delete", view=drafts.delete, operation=Operation.PROPOSE, method="POST"),
    Page(path="/ask/drafts/{draft}/cost", view=drafts.keep_cost, operation=Operation.PROPOSE, method="POST"),
    Page(path="/ask/drafts/{draft}/scope", view=drafts.show_scope, operation=Operation.PROPOSE),
    Page(path="/ask/drafts/{draft}/scope", view=drafts.keep_scope, operation=Operation.PROPOSE, method="POST"),
    Page(path="/ask/drafts/{draft}/tables/{table}", view=drafts.show_table, operation=Operation.PROPOSE),
    Page(path="/ask/drafts/{draft}/tables/{table}", view=drafts.keep_table, operation=Operation.PROPOSE, method="POST"),
    Page(
        path="/ask/drafts/{draft}/tables/{table}/remove",
        view=drafts.remove_one_table,
        operation=Operation.PROPOSE,
        method="POST",
    ),
    Page(path="/ask/drafts/{draft}/filters", view=drafts.show_filters, operation=Operation.PROPOSE),
    Page(
        path="/ask/drafts/{draft}/filters",
        view=drafts.add_filter,
        operation=Operation.PROPOSE,
        method="POST",
        most_fields=CODE_BOXES,
    ),
    Page(
        path="/ask/drafts/{draft}/filters/remove", view=drafts.remove_filter, operation=Operation.PROPOSE, method="POST"
    ),
    Page(path="/ask/drafts/{draft}/text", view=drafts.show_text, operation=Operation.PROPOSE),
    Page(
        path="/ask/drafts/{draft}/text",
        view=drafts.keep_text,
        operation=Operation.PROPOSE,
        method="POST",
        form_limit=LONG_FORM,
    ),
    Page(path="/ask/drafts/{draft}/preview", view=handing_in.preview, operation=Operation.PROPOSE, method="POST"),
    Page(path="/ask/drafts/{draft}/manifest", view=manifest_pages.show, operation=Operation.PROPOSE),
    Page(path="/ask/drafts/{draft}/manifest/text", view=manifest_pages.show_text, operation=Operation.PROPOSE),
    Page(
        path="/ask/drafts/{draft}/manifest/text",
        view=manifest_pages.keep_text,
        operation=Operation.PROPOSE,
        method="POST",
        form_limit=LONG_FORM,
    ),
    Page(path="/ask/drafts/{draft}/manifest/{section}", view=manifest_pages.show_section, operation=Operation.PROPOSE),
    Page(
        path="/ask/drafts/{draft}/manifest/{section}",
        view=manifest_pages.keep_section,
        operation=Operation.PROPOSE,
        method="POST",
        form_limit=LONG_FORM,
        most_fields=MANIFEST_FIELDS,
    ),
    Page(path="/ask/drafts/{draft}/sign", view=handing_in.show_sign, operation=Operation.PROPOSE),
    Page(path="/ask/drafts/{draft}/question-to-sign.json", view=handing_in.to_sign, operation=Operation.PROPOSE),
    Page(path="/asked/{plan}", view=watching.show, operation=Operation.WATCH),
    Page(path="/asked/{plan}/withdraw", view=watching.take_back, operation=Operation.WITHDRAW, method="POST"),
    Page(path="/budgets", view=budgets.show_list, operation=Operation.VIEW_BUDGETS),
    Page(path="/budgets/{council}", view=budgets.show_one, operation=Operation.VIEW_BUDGETS),
    Page(path="/budgets/{council}/verify", view=budgets.verify, operation=Operation.VIEW_BUDGETS, method="POST"),
    Page(path="/operations", view=operations.show, operation=Operation.VIEW_OPERATIONS),
    Page(path="/operations/councils", view=operations.show_councils, operation=Operation.VIEW_OPERATIONS),
    *(
        Page(path=f"/operations/councils/{{key}}/{act}", view=view, operation=operation, method="POST")
        for act, operation, view in operations.DECISIONS
    ),
    Page(path="/operations/rounds", view=operations.show_rounds, operation=Operation.VIEW_OPERATIONS),
    Page(path="/audit", view=operations.show_audit, operation=Operation.VIEW_AUDIT),
)
