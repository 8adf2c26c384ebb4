"""Every page: its path, what makes it, and who may see it. A test tries each of them with each role."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from coordinator.console import answers, budgets, catalogue, operations, papers
from coordinator.console.desk import AUDIT_READERS, BUDGET_READERS, OPERATORS, Asked, Desk, Download, Moved
from coordinator.console.guard import FORM_LIMIT, MOST_FIELDS
from coordinator.console.visitor import Role

__all__ = ["PAGES", "Page"]

View: TypeAlias = Callable[[Desk, Asked], str | Download | Moved]
"""Makes a page, or a file, or sends people on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One row of the table.

    Attributes:
        path: Its address; what stands in braces is given to the view.
        view: Makes it.
        roles: Who may see it; None: everybody.
        method: How it is asked for.
        form_limit: Most bytes of its form.
        most_fields: Most fields of its form.
    """

    path: str
    view: View
    roles: frozenset[Role] | None = None
    method: Literal["GET", "POST"] = "GET"
    form_limit: int = FORM_LIMIT
    most_fields: int = MOST_FIELDS


PAGES: Final = (
    Page(path="/", view=papers.start),
    Page(path="/questions", view=catalogue.show_list),
    Page(path="/questions/{plan}", view=catalogue.show_one),
    Page(path="/releases/{digest}", view=answers.show_one),
    Page(path="/releases/{digest}/release.json", view=answers.exact_file),
    Page(path="/releases/{digest}/{file}", view=answers.made_file),
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
