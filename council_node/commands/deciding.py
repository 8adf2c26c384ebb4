"""`council-node approve`, `refuse`, `withdraw`, `pause` and `resume`: what people decide."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from council_node.commands.options import DEFAULT, By, Node, Plan, Reason, Role
from council_node.decisions import Decision, Decisions
from council_node.node_store import DocumentKind, NodeStore
from council_node.policy_file import read_policy, set_paused
from council_node.settings import read_settings
from federated.errors import FileProblem
from federated.keys import read_private_key
from federated.shell import now_utc, output
from protocols.identifiers import CouncilId, Digest

__all__ = ["register"]


@contextmanager
def _decisions(path: Path) -> Iterator[tuple[Decisions, NodeStore]]:
    settings = read_settings(path)
    needed = read_policy(settings.policy).approvals_needed
    with NodeStore.open(settings.store_file) as store:
        yield Decisions(store, CouncilId(settings.council.id), read_private_key(settings.keys.identity), needed), store


def _plan_digest(store: NodeStore, text: str) -> Digest:
    """The proposal whose digest begins so."""
    found = [item.name for item in store.all_latest(DocumentKind.DECISION) if item.name.startswith(text.lower())]
    if len(found) != 1:
        raise FileProblem(
            f"{len(found)} proposed questions have a digest that begins with '{text}'.",
            remedy="`council-node status` lists them; give more digits.",
        )
    return Digest(bytes.fromhex(found[0]))


def _decided(decision: Decision) -> None:
    said = f" ({decision.rule}: {decision.reason})" if decision.rule else f" {decision.reason}"
    output.print(f"{decision.title}: {decision.verdict.value}{said}".rstrip(), markup=False)


def approve(plan: Plan, by: By, role: Role, settings: Node = DEFAULT, reason: Reason = "") -> None:
    """Approve a question that waits for a decision.

    Example: council-node approve 3f2a --by "A Person" --role "data protection officer"
    """
    with _decisions(settings) as (decisions, store):
        _decided(decisions.approve(_plan_digest(store, plan), by=by, role=role, reason=reason, now=now_utc()))


def refuse(plan: Plan, by: By, role: Role, reason: Reason, settings: Node = DEFAULT) -> None:
    """Refuse a question; the reason is sent to whoever asked.

    Example: council-node refuse 3f2a --by "A Person" --role "data protection officer" --reason "Purpose unclear"
    """
    with _decisions(settings) as (decisions, store):
        _decided(decisions.refuse(_plan_digest(store, plan), by=by, role=role, reason=reason, now=now_utc()))


def withdraw(plan: Plan, by: By, role: Role, reason: Reason, settings: Node = DEFAULT) -> None:
    """Take an approval back; it holds for every round whose data has not been read yet.

    Example: council-node withdraw 3f2a --by "A Person" --role "data protection officer" --reason "New advice"
    """
    with _decisions(settings) as (decisions, store):
        _decided(decisions.withdraw(_plan_digest(store, plan), by=by, role=role, reason=reason, now=now_utc()))


def pause(settings: Node = DEFAULT) -> None:
    """Answer nothing from now on; the node stays connected and says so.

    Example: council-node pause
    """
    set_paused(read_settings(settings).policy, paused=True)
    output.print("Paused. Questions are refused until `council-node resume`.")


def resume(settings: Node = DEFAULT) -> None:
    """Take part again.

    Example: council-node resume
    """
    set_paused(read_settings(settings).policy, paused=False)
    output.print("This council takes part again.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(approve)
    app.command()(refuse)
    app.command()(withdraw)
    app.command()(pause)
    app.command()(resume)
