"""An analyst's drafts: begun, changed step by step, planned at once, and deleted. They are their owner's alone.

Nothing here asks a council anything, and nothing is charged: that takes a plan that the analyst signs elsewhere.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from coordinator.console.desk import Asked, Desk, Moved
from coordinator.console.drafting import (
    Faults,
    Ground,
    add_condition,
    add_table,
    begin,
    conditions_of,
    remove_condition,
    remove_table,
    set_epsilon,
    set_scope,
    table_form,
)
from coordinator.console.planning import Worked, work_out
from coordinator.sign_in.audit import allow
from coordinator.sign_in.operations import Operation
from coordinator.store import DraftRow, Store
from federated.agreement import Agreement
from federated.errors import FederatedError, FileProblem, PolicyRefusal
from federated.query import Level, Query, Table, parse_query, write_query
from federated.query.words import condition_words
from federated.rationals import rational_text
from federated.schema import Column, ColumnType, Dataset
from federated.statistics import statistic

__all__ = [
    "CODES",
    "TEXT_LIMIT",
    "Draft",
    "add_filter",
    "begin_draft",
    "delete",
    "fitting",
    "keep",
    "keep_cost",
    "keep_scope",
    "keep_table",
    "keep_text",
    "new_draft",
    "open_draft",
    "pasted",
    "remove_filter",
    "remove_one_table",
    "show_begin",
    "show_filters",
    "show_list",
    "show_one",
    "show_scope",
    "show_table",
    "show_text",
    "table_words",
    "text_page",
    "writing",
]

MOST_DRAFTS: Final = 50
ID_BYTES: Final = 16
TEXT_LIMIT: Final = 64 * 1024
"""Most bytes of a question or a manifest that is kept as a draft."""
NEW: Final = "new"
CODES: Final = 100
"""Codes offered as boxes to tick; of a longer list people paste the question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A draft that its owner has opened."""

    row: DraftRow
    question: Query
    ground: Ground

    @property
    def address(self) -> str:
        """Path of its page."""
        return f"/ask/drafts/{self.row.draft}"


def writing(desk: Desk) -> Store:
    """The store, for what analysts write.

    Raises:
        FileProblem: Nobody can sign in, so nobody can ask.
    """
    if desk.deciding is None:
        raise FileProblem("Nobody can ask here.", remedy="Use the command `federated submit`.")
    return desk.deciding


def open_draft(desk: Desk, asked: Asked) -> Draft:
    """The draft of an address, if it is the visitor's own.

    Raises:
        FileProblem: There is no such draft of this account.
        PolicyRefusal: Its agreement is not in force, or is no longer the visitor's.
    """
    row = _mine(desk, asked)
    allow(writing(desk), asked.visitor, Operation.PROPOSE, agreement=row.agreement_id, now=desk.clock())
    question = parse_query(row.question.encode("utf-8"))
    return Draft(row=row, question=question, ground=_ground(desk, row.agreement_id, question.dataset))


def _mine(desk: Desk, asked: Asked) -> DraftRow:
    row = writing(desk).drafts.get(asked.names["draft"], account=asked.visitor.name)
    if row is None:
        raise FileProblem("You have no such draft.", remedy="The page 'Ask' lists your drafts.")
    return row


def keep(desk: Desk, draft: Draft, *, question: Query | None = None, manifest: str | None = None) -> Draft:
    """Write down what a draft says now.

    Raises:
        FileProblem: It is too long, or was deleted meanwhile.
    """
    changed = question or draft.question
    row = replace(
        draft.row,
        question=draft.row.question if question is None else write_query(question),
        manifest=draft.row.manifest if manifest is None else manifest,
    )
    if max(len(row.question.encode()), len(row.manifest.encode())) > TEXT_LIMIT:
        raise FileProblem(f"A draft holds at most {TEXT_LIMIT:,} bytes.", remedy="Make it shorter.")
    if not writing(desk).drafts.keep(row, changed_at=desk.clock()):
        raise FileProblem("The draft was deleted meanwhile.", remedy="Begin another one.")
    return Draft(row=row, question=changed, ground=_ground(desk, row.agreement_id, changed.dataset))


def _ground(desk: Desk, agreement: str, dataset: str) -> Ground:
    return Ground(agreement=_agreement(desk, agreement), dataset=desk.schema.dataset(dataset), schema=desk.schema)


def _agreement(desk: Desk, name: str) -> Agreement:
    signed = desk.files.in_force().agreement_of(name)
    if signed is None:
        remedy = "Begin a draft under another one."
        raise PolicyRefusal("agreement", f"No agreement '{name}' is in force.", remedy=remedy)
    return signed.agreement


# The list, and a new one


def show_list(desk: Desk, asked: Asked) -> str:
    """The visitor's drafts."""
    rows = writing(desk).drafts.of(asked.visitor.name)
    in_force = {item.agreement.id for item in desk.files.in_force().agreements.values()}
    usable = in_force & asked.visitor.agreements
    drafts = [(row, parse_query(row.question.encode("utf-8")).title, row.agreement_id in usable) for row in rows]
    return desk.page("ask.html", asked.visitor, title="Ask a question", current="/ask", drafts=drafts)


def show_begin(desk: Desk, asked: Asked) -> str:
    """The form for a new draft."""
    writing(desk)
    return _begin_page(desk, asked, {}, {})


def _begin_page(desk: Desk, asked: Asked, form: Mapping[str, str], errors: Mapping[str, str]) -> str:
    found = [item.agreement for item in desk.files.in_force().agreements.values()]
    choices = [
        (f"{agreement.id}/{name}", desk.schema.dataset(name).title, agreement.title)
        for agreement in sorted(found, key=lambda agreement: agreement.title)
        if agreement.id in asked.visitor.agreements
        for name in agreement.datasets
    ]
    return desk.page(
        "ask_new.html",
        asked.visitor,
        title="Begin a question",
        current="/ask",
        errors=errors,
        form=form,
        choices=choices,
    )


def begin_draft(desk: Desk, asked: Asked) -> str | Moved:
    """Keep a new draft, and go on to its first step."""
    store, form = writing(desk), asked.form
    agreement, _, dataset = form.get("dataset", "").partition("/")
    try:
        allow(store, asked.visitor, Operation.PROPOSE, agreement=agreement, now=desk.clock())
        ground = _ground(desk, agreement, dataset)
        question = begin(form.get("title", ""), ground, desk.clock().date())
    except Faults as found:
        return _begin_page(desk, asked, form, found.errors)
    except FederatedError:
        return _begin_page(desk, asked, form, {"dataset": "Choose what the question is about."})
    return Moved(to=f"{new_draft(desk, asked, agreement, question)}/scope")


def new_draft(desk: Desk, asked: Asked, agreement: str, question: Query, *, manifest: str = "") -> str:
    """Keep a new draft of the visitor's; path of its page.

    Raises:
        FileProblem: They have too many.
    """
    now = desk.clock()
    row = DraftRow(
        draft=desk.rng(ID_BYTES).hex(),
        account=asked.visitor.name,
        agreement_id=agreement,
        question=write_query(question),
        manifest=manifest,
        created_at=now,
        changed_at=now,
    )
    if not writing(desk).drafts.begin(row, most=MOST_DRAFTS):
        raise FileProblem(f"You have {MOST_DRAFTS} drafts already.", remedy="Delete one first.")
    return f"/ask/drafts/{row.draft}"


def delete(desk: Desk, asked: Asked) -> Moved:
    """Delete a draft."""
    row = _mine(desk, asked)
    writing(desk).drafts.delete(row.draft, account=row.account)
    return Moved(to="/ask")


# One draft


def show_one(desk: Desk, asked: Asked) -> str:
    """What a draft asks, and what that would cost and give."""
    return _one(desk, asked, open_draft(desk, asked), {})


def _one(desk: Desk, asked: Asked, draft: Draft, errors: Mapping[str, str]) -> str:
    question, dataset = draft.question, draft.ground.dataset
    judged_by = asked.wanted.get("judge", "")
    worked: Worked = work_out(desk, asked.visitor, draft.question, draft.ground.agreement, judged_by=judged_by)
    return desk.page(
        "draft.html",
        asked.visitor,
        title=question.title,
        current="/ask",
        errors=errors,
        draft=draft,
        group=draft.ground.agreement.group(question.group).label,
        period_column=dataset.column(question.period.column).label,
        tables=[(place, table.name, table_words(table, dataset)) for place, table in enumerate(question.tables)],
        conditions=[condition_words(item) for item in conditions_of(question)],
        epsilon=asked.form.get("epsilon", rational_text(question.epsilon)),
        most=draft.ground.agreement.max_epsilon_per_query,
        worked=worked,
        judges=_judges(desk, asked, draft),
        judged_by=judged_by,
    )


def _judges(desk: Desk, asked: Asked, draft: Draft) -> list[tuple[str, str]]:
    """Earlier answers of the agreement that the visitor may see: what new margins can be judged by."""
    rows = desk.store.releases.page([draft.row.agreement_id], offset=0, size=10)
    mine = [row for row in rows if row.deleted_at is None and row.agreement_id in asked.visitor.agreements]
    return [(row.digest.hex(), f"{row.title}, {row.created_at:%d %B %Y}") for row in mine]


def table_words(table: Table, dataset: Dataset) -> str:
    """A table in a line."""
    by = " and ".join(
        f"{dataset.column(item.column).label}{'' if item.part is None else f', by {item.part.value}'}"
        for item in table.by
    )
    region = "; one figure for each region" if table.level is Level.REGION else ""
    return f"{statistic(table.statistic).title}{f' by {by}' if by else ''}{region}"


def keep_cost(desk: Desk, asked: Asked) -> str | Moved:
    """Another epsilon."""
    return _changed(
        desk,
        asked,
        lambda draft: set_epsilon(draft.question, asked.form.get("epsilon", ""), draft.ground),
        lambda draft, errors: _one(desk, asked, draft, errors),
        section="#cost",
    )


def _changed(
    desk: Desk,
    asked: Asked,
    change: Callable[[Draft], Query],
    again: Callable[[Draft, Mapping[str, str]], str],
    *,
    section: str = "",
) -> str | Moved:
    """Keep a change and go back to the draft, or show the form again with what is wrong in it."""
    draft = open_draft(desk, asked)
    try:
        changed = change(draft)
    except Faults as found:
        return again(draft, found.errors)
    keep(desk, draft, question=changed)
    return Moved(to=f"{draft.address}{section}")


# Its steps


def show_scope(desk: Desk, asked: Asked) -> str:
    """The form for title, councils and period."""
    draft = open_draft(desk, asked)
    period = draft.question.period
    form = {
        "title": draft.question.title,
        "group": draft.question.group,
        "column": period.column,
        "from": period.start.isoformat(),
        "to": period.end.isoformat(),
    }
    return _scope_page(desk, asked, draft, form, {})


def _scope_page(desk: Desk, asked: Asked, draft: Draft, form: Mapping[str, str], errors: Mapping[str, str]) -> str:
    groups = draft.ground.agreement.groups
    return desk.page(
        "draft_scope.html",
        asked.visitor,
        title="Councils and period",
        current="/ask",
        errors=errors,
        draft=draft,
        form=form,
        groups=[(group.name, f"{group.label} ({len(group.councils)} councils)") for group in groups],
        dates=[(column.name, column.label) for column in draft.ground.columns(ColumnType.DATE)],
    )


def keep_scope(desk: Desk, asked: Asked) -> str | Moved:
    """Another title, group or period."""
    return _changed(
        desk,
        asked,
        lambda draft: set_scope(draft.question, asked.form, draft.ground),
        lambda draft, errors: _scope_page(desk, asked, draft, asked.form, errors),
    )


def show_table(desk: Desk, asked: Asked) -> str:
    """The form for one table."""
    draft = open_draft(desk, asked)
    place = _place(asked.names["table"], len(draft.question.tables))
    if place is None:
        form: dict[str, str] | None = {"level": Level.ALL.value, "max_cells": "1"}
    else:
        form = table_form(draft.question.tables[place])
    return _table_page(desk, asked, draft, form, {})


def _table_page(
    desk: Desk, asked: Asked, draft: Draft, form: Mapping[str, str] | None, errors: Mapping[str, str]
) -> str:
    return desk.page(
        "draft_table.html",
        asked.visitor,
        title="Add a table" if asked.names["table"] == NEW else "Change a table",
        current="/ask",
        errors=errors,
        draft=draft,
        form=form,
        place=asked.names["table"],
        several=len(draft.question.tables) > 1,
        statistics=draft.ground.statistics(),
        breakdowns=draft.ground.breakdowns(),
        numbers=[(column.name, column.label) for column in draft.ground.columns(ColumnType.INTEGER)],
        most_cells=draft.ground.allowed.max_cells,
    )


def keep_table(desk: Desk, asked: Asked) -> str | Moved:
    """One more table, or another in the place of one."""
    return _changed(
        desk,
        asked,
        lambda draft: add_table(
            draft.question, _place(asked.names["table"], len(draft.question.tables)), asked.form, draft.ground
        ),
        lambda draft, errors: _table_page(desk, asked, draft, asked.form, errors),
        section="#margins",
    )


def remove_one_table(desk: Desk, asked: Asked) -> Moved:
    """Remove a table."""
    draft = open_draft(desk, asked)
    place = _place(asked.names["table"], len(draft.question.tables))
    if place is None:
        raise FileProblem("There is no such table.", remedy="Go back to the draft.")
    keep(desk, draft, question=remove_table(draft.question, place))
    return Moved(to=draft.address)


def _place(text: str, most: int) -> int | None:
    """The place of a table or condition, from an address or form; None for a new one."""
    if text == NEW:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and int(text) < most):
        raise FileProblem("There is no such part of the question.", remedy="Go back to the draft.")
    return int(text)


def show_filters(desk: Desk, asked: Asked) -> str:
    """The conditions that rows must meet, and the form for one more."""
    return _filters_page(desk, asked, open_draft(desk, asked), {"column": asked.wanted.get("column", "")}, {})


def _filters_page(desk: Desk, asked: Asked, draft: Draft, form: Mapping[str, str], errors: Mapping[str, str]) -> str:
    kinds = (ColumnType.CATEGORY, ColumnType.DATE, ColumnType.INTEGER)
    columns = [column for column in draft.ground.columns(*kinds) if len(column.codes) <= CODES]
    chosen: Column | None = next((item for item in columns if item.name == form.get("column")), None)
    return desk.page(
        "draft_filters.html",
        asked.visitor,
        title="Which rows count",
        current="/ask",
        errors=errors,
        draft=draft,
        form=form,
        columns=[(column.name, column.label) for column in columns],
        chosen=chosen,
        conditions=[condition_words(item) for item in conditions_of(draft.question)],
    )


def add_filter(desk: Desk, asked: Asked) -> str | Moved:
    """One more condition."""
    return _changed(
        desk,
        asked,
        lambda draft: add_condition(draft.question, asked.form, draft.ground),
        lambda draft, errors: _filters_page(desk, asked, draft, asked.form, errors),
        section="#rows",
    )


def remove_filter(desk: Desk, asked: Asked) -> Moved:
    """Remove a condition."""
    draft = open_draft(desk, asked)
    place = _place(asked.form.get("condition", ""), len(conditions_of(draft.question)))
    if place is None:
        raise FileProblem("There is no such condition.", remedy="Go back to the draft.")
    keep(desk, draft, question=remove_condition(draft.question, place))
    return Moved(to=f"{draft.address}#rows")


def show_text(desk: Desk, asked: Asked) -> str:
    """The question in its own language, to change or replace."""
    draft = open_draft(desk, asked)
    return text_page(desk, asked, draft, draft.row.question, {}, what="question")


def text_page(desk: Desk, asked: Asked, draft: Draft, text: str, errors: Mapping[str, str], *, what: str) -> str:
    """The form for a question or a manifest as text; `what` says which of the two."""
    return desk.page(
        "draft_text.html",
        asked.visitor,
        title=f"The {what} as text",
        current="/ask",
        errors=errors,
        draft=draft,
        what=what,
        text=text,
    )


def pasted(asked: Asked) -> str:
    """What was typed or pasted as text; browsers send lines with a carriage return (HTML, section 4.10.22)."""
    return asked.form.get("text", "").replace("\r\n", "\n")


def fitting(desk: Desk, agreement: str, question: Query, field: str) -> Query:
    """A question that was written elsewhere, once the agreement allows it.

    Raises:
        Faults: It does not; beside that field.
    """
    try:
        ground = _ground(desk, agreement, question.dataset)
        ground.agreement.group(question.group)
        ground.agreement.check_epsilon(question.epsilon)
    except FederatedError as error:
        raise Faults({field: error.diagnostics()}) from error
    return ground.checked(question, field)


def keep_text(desk: Desk, asked: Asked) -> str | Moved:
    """The question as pasted, after the same checks."""
    text = pasted(asked)

    def read(draft: Draft) -> Query:
        try:
            question = parse_query(text.encode("utf-8"))
        except FederatedError as error:
            raise Faults({"text": error.diagnostics()}) from error
        return fitting(desk, draft.row.agreement_id, question, "text")

    return _changed(
        desk, asked, read, lambda draft, errors: text_page(desk, asked, draft, text, errors, what="question")
    )
