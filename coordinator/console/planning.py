"""What a draft would cost and give, by the planner that `federated plan` uses, from what the store holds.

What councils have left is read from the statements that their nodes signed and the store keeps. The analyst's own
computer plans again before it signs, from fresh statements.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final

from coordinator.console.answers import access_to, note_reading
from coordinator.console.budgets import said_of
from coordinator.console.desk import Desk
from coordinator.console.visitor import Visitor
from coordinator.store import DatabaseProblem
from federated.agreement import Agreement
from federated.budget_statement import committed
from federated.errors import FederatedError, PolicyRefusal, QueryError
from federated.expected_figures import ExpectedFigures
from federated.plan import NONCE_SIZE, Plan
from federated.plan_summary import PlanSummary, summarise
from federated.planner import Planner, terms_for
from federated.presentation import USABLE_MARGIN
from federated.privacy import Totals
from federated.query import Query
from federated.release import open_release
from federated.roster import Roster
from federated.usable_cells import TableUse, uses_at_other_levels, uses_of
from protocols.encoding import sha256
from protocols.identifiers import CouncilId, Digest

__all__ = ["MOST_NUMBERS", "Worked", "planner_for", "work_out"]

MOST_NUMBERS: Final = 200_000
"""Numbers of a question that the pages plan; a larger one is planned by the command."""
DIGEST_DIGITS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What came of planning a draft.

    Attributes:
        summary: The plan in words and figures; None where there is none.
        problem: Why there is none, or why it could not be judged; empty otherwise.
        uses: How much of each table could be used, as shown.
        unstated: Councils asked that have not said what they have left.
    """

    summary: PlanSummary | None
    problem: str = ""
    uses: tuple[tuple[str, str, str, str, str], ...] = ()
    unstated: int = 0


def planner_for(desk: Desk, agreement: Agreement, group: str, manifest: bytes = b"") -> Planner:
    """The planner of a draft; its plans are shown and never signed, so they have no nonce.

    Raises:
        PolicyRefusal: No list of councils is in force, or the agreement has no such group.
    """
    roster = desk.files.in_force().require_roster()
    return Planner(
        agreement=agreement,
        roster=roster,
        schema=desk.schema,
        terms=terms_for(agreement, Digest(sha256(manifest)), now=desk.clock(), nonce=bytes(NONCE_SIZE)),
        committed=_committed(desk, roster, agreement, group),
    )


def _committed(desk: Desk, roster: Roster, agreement: Agreement, group: str) -> Mapping[CouncilId, Totals]:
    """What each council of the group says it has spent this year; without those whose statement does not hold."""
    period = str(desk.clock().year)
    found: dict[CouncilId, Totals] = {}
    for row in desk.store.membership.budgets(sorted(agreement.group(group).councils)):
        statement, _problem = said_of(roster.councils.get(row.council), row)
        if statement is not None:
            found[row.council] = committed(statement, agreement.id, period)
    return found


def work_out(desk: Desk, visitor: Visitor, question: Query, agreement: Agreement, *, judged_by: str = "") -> Worked:
    """Plan a draft and say what it would give.

    Args:
        desk: Of the pages.
        visitor: Who plans.
        question: The draft's.
        agreement: It is under.
        judged_by: Digest of an earlier answer to judge usable cells by; empty for none.

    Raises:
        Closed: Too many people plan at this moment.
    """
    with desk.planning.place():
        try:
            planner = planner_for(desk, agreement, question.group)
            plan = planner.plan(question)
            _check_size(plan)
            summary = summarise(plan, room=planner.room(plan))
        except DatabaseProblem:
            raise  # its own words name the place
        except FederatedError as error:
            return Worked(summary=None, problem=error.diagnostics())
        unstated = sum(council not in planner.committed for council in plan.eligible)
        try:
            uses = _uses(desk, visitor, planner, plan, judged_by)
        except DatabaseProblem:
            raise  # a reading that cannot be written down is not shown
        except FederatedError as error:
            return Worked(summary=summary, problem=error.diagnostics(), unstated=unstated)
        return Worked(summary=summary, uses=uses, unstated=unstated)


def _check_size(plan: Plan) -> None:
    if plan.cells > MOST_NUMBERS:
        raise QueryError(
            f"The question has {plan.cells:,} numbers; these pages plan at most {MOST_NUMBERS:,}.",
            remedy="Ask for fewer breakdowns, or use the command `federated plan`.",
        )


def _uses(
    desk: Desk, visitor: Visitor, planner: Planner, plan: Plan, judged_by: str
) -> tuple[tuple[str, str, str, str, str], ...]:
    if not judged_by:
        return ()
    expected = _expected(desk, visitor, planner, plan, judged_by)
    found = [
        *uses_of(plan, expected, planner, within=USABLE_MARGIN, level="As asked"),
        *uses_at_other_levels(plan, expected, planner, within=USABLE_MARGIN),
    ]
    return tuple(_shown(use) for use in found)


def _expected(desk: Desk, visitor: Visitor, planner: Planner, plan: Plan, judged_by: str) -> ExpectedFigures:
    wrong = PolicyRefusal("release", "There is no such answer to judge by.", remedy="Choose one from the list.")
    if len(judged_by) != DIGEST_DIGITS or not set(judged_by) <= set("0123456789abcdef"):
        raise wrong
    row = desk.store.releases.get(Digest(bytes.fromhex(judged_by)))
    if row is None or row.deleted_at is not None or row.agreement_id != planner.agreement.id:
        raise wrong
    access = access_to(desk, visitor, row)
    if not access.open:
        raise wrong
    # How many cells could be used is worked out from the figures, and tells of them.
    note_reading(desk, visitor, row, access, "judge")
    asked = tuple(plan.eligible)
    return ExpectedFigures(source="The earlier answer", release=open_release(row.content), rows=(), asked=asked)


def _shown(use: TableUse) -> tuple[str, str, str, str, str]:
    if use.problem:
        return use.level, "", "", "", use.problem
    margin = [f"± {value:,.1f}" if isfinite(value) else "none" for value in (use.typical, use.widest)]
    return use.level, use.table, f"{float(use.usable):.0%} of {use.cells:,}", " to ".join(margin), ""
