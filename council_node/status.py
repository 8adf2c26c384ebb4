"""What a council's people want to know at a glance: what waits for them, what was decided, what has been spent."""

from dataclasses import dataclass

from rich.table import Table as Grid

from council_node.decision_records import Decision, Verdict, read_decision
from council_node.ledger import Ledger
from council_node.node_store import DocumentKind, NodeStore
from council_node.policy_file import read_policy
from council_node.settings import Settings
from federated.budget_statement import BudgetStatement
from federated.privacy import remaining
from federated.shell import now_utc, output
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
    """

    council: str
    paused: bool
    decisions: tuple[Decision, ...]
    budget: BudgetStatement | None

    def as_json(self) -> dict[str, object]:
        """For a program."""
        return {
            "version": 1,
            "council": self.council,
            "paused": self.paused,
            "decisions": [item.as_json() for item in self.decisions],
            "budget": None if self.budget is None else self.budget.canonical(),
        }


def node_status(settings: Settings) -> NodeStatus:
    """Read the status from the node's files; works while the node runs."""
    with NodeStore.open(settings.store_file) as store:
        documents = store.all_latest(DocumentKind.DECISION)
    decisions = sorted((read_decision(item.body) for item in documents), key=lambda item: item.decided_at, reverse=True)
    budget = None
    if settings.ledger_file.exists():
        with Ledger.read_only(settings.ledger_file, CouncilId(settings.council.id)) as ledger:
            budget = ledger.statement(now_utc())
    return NodeStatus(
        council=settings.council.name,
        paused=read_policy(settings.policy).paused,
        decisions=tuple(decisions),
        budget=budget,
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
