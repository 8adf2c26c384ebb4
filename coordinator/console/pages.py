"""Every page: its path, what makes it, and who may see it. A test tries each of them with each role."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from coordinator.console import agreements, answers, board, budgets, calendar, catalogue, measures, operations, papers
from coordinator.console.desk import AUDIT_READERS, BUDGET_READERS, OPERATORS, Asked, Desk, Download
from coordinator.console.visitor import Role

__all__ = ["PAGES", "Page"]

View: TypeAlias = Callable[[Desk, Asked], str | Download]
"""Makes a page, or a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One row of the table.

    Attributes:
        path: Its address; what stands in braces is given to the view.
        view: Makes it.
        roles: Who may see it; None: everybody.
        method: How it is asked for.
    """

    path: str
    view: View
    roles: frozenset[Role] | None = None
    method: Literal["GET", "POST"] = "GET"


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
    Page(path="/was-my-data-used", view=papers.was_my_data_used),
    Page(path="/contact", view=papers.contact),
    Page(path="/privacy", view=papers.privacy),
    Page(path="/glossary", view=papers.glossary),
    Page(path="/accessibility", view=papers.accessibility),
    Page(path="/budgets", view=budgets.show_list, roles=BUDGET_READERS),
    Page(path="/budgets/{council}", view=budgets.show_one, roles=BUDGET_READERS),
    Page(path="/budgets/{council}/verify", view=budgets.verify, roles=BUDGET_READERS, method="POST"),
    Page(path="/operations", view=operations.show, roles=OPERATORS),
    Page(path="/operations/councils", view=operations.show_councils, roles=OPERATORS),
    Page(path="/operations/councils/{key}/{act}", view=operations.decide, roles=OPERATORS, method="POST"),
    Page(path="/operations/rounds", view=operations.show_rounds, roles=OPERATORS),
    Page(path="/audit", view=operations.show_audit, roles=AUDIT_READERS),
)
