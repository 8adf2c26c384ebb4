"""What a council's people want to know at a glance: what waits for them, what was decided, what has been spent."""

from dataclasses import dataclass
from datetime import datetime

from rich.table import Table as Grid

from council_node.decision_records import Decision, Verdict, read_decision
from council_node.ledger import Ledger
from council_node.node_store import DocumentKind, NodeStore
from council_node.overdue import Overdue, overdue_answers
from council_node.policy_file import read_policy
from council_node.settings import Settings
from federated.budget_statement import BudgetStatement
from federated.ledger_entries import LedgerRound
from federated.privacy import remaining
from federated.shell import output
from protocols.identifiers import CouncilId

__all__ = ["NodeStatus", "node_status", "print_status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """Where a council stands.

    Attributes:
        council: Its name.
        paused: Whether it answers nothing for now.
        decisions: The latest decision on each proposed question, newest first.
        budget: What its ledger says; None before the node first ran.
        overdue: Answers that should have come by now, the longest first.
    """

    council: str
    paused: bool
    decisions: tuple[Decision, ...]
    budget: BudgetStatement | None
    overdue: tuple[Overdue, ...]

    def as_json(self) -> dict[str, object]:
        """For a program."""
        return {
            "version": 1,
            "council": self.council,
            "paused": self.paused,
            "decisions": [item.as_json() for item in self.decisions],
            "budget": None if self.budget is None else self.budget.canonical(),
            "overdue": [item.as_json() for item in self.overdue],
        }


def node_status(settings: Settings, now: datetime) -> NodeStatus:
    """Read the status at a time (UTC) from the node's files; works while the node runs."""
    budget, rounds = None, tuple[LedgerRound, ...]()
    if settings.ledger_file.exists():
        with Ledger.read_only(settings.ledger_file, CouncilId(settings.council.id)) as ledger:
            budget, rounds = ledger.statement(now), ledger.rounds()
    with NodeStore.open(settings.store_file) as store:
        documents = store.all_latest(DocumentKind.DECISION)
        overdue = overdue_answers(store, rounds, now)
    decisions = sorted((read_decision(item.body) for item in documents), key=lambda item: item.decided_at, reverse=True)
    return NodeStatus(
        council=settings.council.name,
        paused=read_policy(settings.policy).paused,
        decisions=tuple(decisions),
        budget=budget,
        overdue=overdue,
    )


def print_status(found: NodeStatus) -> None:
    """Print it for a person."""
    output.print(f"{found.council}{' is paused.' if found.paused else ' takes part.'}", markup=False)
    grid = Grid("Question", "Decision", "Why", "Plan", title="Questions")
    for item in found.decisions:
        why = f"{item.rule}: {item.reason}" if item.rule else item.reason
        grid.add_row(item.title, item.verdict.value, why, item.plan_digest.hex()[:12])
    output.print(grid)
    waiting = sum(item.verdict is Verdict.PENDING for item in found.decisions)
    if waiting:
        output.print(f"{waiting} question(s) wait for you: council-node approve PLAN, or refuse PLAN.", markup=False)
    for late in found.overdue:
        output.print(
            f"The answer to '{late.title}' was promised by {late.promised_by:%d %B %Y} and has not come. "
            "Ask the contact in the agreement.",
            style="bold",
            markup=False,
        )
    if found.budget is None:
        output.print("Nothing has been spent: the node has not run yet.")
        return
    for period in found.budget.periods:
        left = remaining(period.spent, period.budget)
        spent, budget = f"{float(period.equivalent):.4f}", f"{float(period.budget.epsilon):g}"
        output.print(
            f"{period.agreement}, {period.period}: ε = {spent} of {budget} spent in {period.rounds} round(s). "
            f"A pure question of up to ε = {float(left.epsilon):.4f} still fits.",
            markup=False,
        )
    if found.budget.exhausted:
        output.print("The ledger takes no charge until your privacy reviewer has reconciled it.", style="bold")
    if found.budget.closed:
        output.print("The ledger is closed for good: another council took this one's place.", style="bold")
