"""`council-node approve`, `refuse`, `withdraw`, `pause` and `resume`: what people decide."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from council_node.commands import questions
from council_node.commands.options import DEFAULT, By, Node, Plan, Reason, Role
from council_node.decisions import Decision, Decisions, red_lines_to_answer
from council_node.node_store import NodeStore
from council_node.policy_file import read_policy, set_paused
from council_node.question_view import find_question
from council_node.settings import read_settings
from federated.errors import FileProblem
from federated.keys import read_private_key
from federated.manifest import RED_LINES
from federated.shell import now_utc, output
from protocols.identifiers import CouncilId, Digest

__all__ = ["register"]

Answers = Annotated[
    list[str] | None,
    typer.Option("--answer", help="Your answer to a red line, such as lawful=yes; once for each of them."),
]
Forum = Annotated[str, typer.Option("--forum", help="Decision of an information governance forum that you follow.")]
_SAID: Final = {"yes": True, "no": False}


@contextmanager
def _decisions(path: Path) -> Iterator[tuple[Decisions, NodeStore]]:
    settings = read_settings(path)
    needed = read_policy(settings.policy).approvals_needed
    with NodeStore.open(settings.store_file) as store:
        yield Decisions(store, CouncilId(settings.council.id), read_private_key(settings.keys.identity), needed), store


def _decided(decision: Decision) -> None:
    said = f" ({decision.rule}: {decision.reason})" if decision.rule else f" {decision.reason}"
    output.print(f"{decision.title}: {decision.verdict.value}{said}".rstrip(), markup=False)


def approve(
    plan: Plan,
    by: By,
    role: Role,
    settings: Node = DEFAULT,
    reason: Reason = "",
    answer: Answers = None,
    forum: Forum = "",
) -> None:
    """Approve a question that waits for a decision. Red lines that no computer can judge are yours to answer.

    Example: council-node approve 3f2a --by "A Person" --role "data protection officer" --answer lawful=yes
    """
    with _decisions(settings) as (decisions, store):
        digest = find_question(store, plan)
        given = _given(answer or ())
        found = decisions.approve(
            digest,
            by=by,
            role=role,
            reason=reason,
            answers=given | _asked(decisions, digest, given),
            forum=forum,
            now=now_utc(),
        )
        _decided(found)


def refuse(
    plan: Plan,
    by: By,
    role: Role,
    reason: Reason,
    settings: Node = DEFAULT,
    answer: Answers = None,
    forum: Forum = "",
) -> None:
    """Refuse a question; the reason is sent to whoever asked.

    Example: council-node refuse 3f2a --by "A Person" --role "data protection officer" --reason "Purpose unclear"
    """
    with _decisions(settings) as (decisions, store):
        digest = find_question(store, plan)
        _decided(
            decisions.refuse(
                digest, by=by, role=role, reason=reason, answers=_given(answer or ()), forum=forum, now=now_utc()
            )
        )


def _given(texts: Sequence[str]) -> dict[str, bool]:
    """Answers as typed: `lawful=yes`."""
    found = {}
    for text in texts:
        name, _, said = text.partition("=")
        if said not in _SAID or name in found:
            raise FileProblem(
                f"--answer {text} is not an answer to one red line.", remedy="Write --answer lawful=yes, one for each."
            )
        found[name] = _SAID[said]
    return found


def _asked(decisions: Decisions, digest: Digest, given: Mapping[str, bool]) -> dict[str, bool]:
    """Answers to the red lines that were not given, asked for where somebody sits at a terminal."""
    latest = decisions.latest(digest)
    if latest is None or latest.checks or not sys.stdin.isatty() or not all(given.values()):
        return {}
    must_be_true = dict(RED_LINES)
    output.print("`council-node question` shows what each of these rests on.")
    return {
        name: typer.confirm(f"{must_be_true[name]} Is that so?")
        for name in red_lines_to_answer(latest)
        if name not in given
    }


def withdraw(plan: Plan, by: By, role: Role, reason: Reason, settings: Node = DEFAULT) -> None:
    """Take an approval back; it holds for every round whose data has not been read yet.

    Example: council-node withdraw 3f2a --by "A Person" --role "data protection officer" --reason "New advice"
    """
    with _decisions(settings) as (decisions, store):
        _decided(decisions.withdraw(find_question(store, plan), by=by, role=role, reason=reason, now=now_utc()))


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
    """Add the commands, those that show what there is to decide first."""
    questions.register(app)
    app.command()(approve)
    app.command()(refuse)
    app.command()(withdraw)
    app.command()(pause)
    app.command()(resume)
