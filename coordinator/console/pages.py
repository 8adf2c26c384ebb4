"""Every page: its path, what makes it, and what it is for. A test tries each of them with each role.

Who may open a page follows from its operation, by the one table in `coordinator.sign_in.operations`. Where that is
about an agreement, any of the visitor's opens the page, and the page shows what is of theirs alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from coordinator.console import answers, budgets, catalogue, operations, papers
from coordinator.console.desk import Asked, Desk, Download
from coordinator.sign_in.operations import Operation

__all__ = ["PAGES", "Page"]

View: TypeAlias = Callable[[Desk, Asked], str | Download]
"""Makes a page, or a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One row of the table.

    Attributes:
        path: Its address; what stands in braces is given to the view.
        view: Makes it.
        operation: What it is for, and so who may open it.
        method: How it is asked for.
    """

    path: str
    view: View
    operation: Operation = Operation.VIEW_REGISTER
    method: Literal["GET", "POST"] = "GET"


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
