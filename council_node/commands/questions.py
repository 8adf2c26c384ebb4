"""`council-node questions` and `question`: what waits for a decision, and all that is needed to take it."""

import json
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as Grid

from council_node.commands.options import DEFAULT, AsJson, Node, Plan
from council_node.decision_records import Verdict
from council_node.node_store import NodeStore
from council_node.question_pack import write_pack
from council_node.question_view import QuestionView, find_question, view_question, waiting_first
from council_node.settings import read_settings
from federated.question_words import Section
from federated.shell import now_utc, output

__all__ = ["register"]

WIDTH = 110

Export = Annotated[
    Path | None,
    typer.Option("--export", help="Write a review pack for a forum: one page (.md), or all files (.zip)."),
]


def questions(settings: Node = DEFAULT, *, as_json: AsJson = False) -> None:
    """List every question proposed to this council, those that wait for a decision first.

    Example: council-node questions
    """
    with NodeStore.open(read_settings(settings).store_file) as store:
        found = waiting_first(store)
    if as_json:
        output.print_json(json.dumps([item.as_json() for item in found]))
        return
    grid = Grid("Question", "Decision", "Why", "Plan")
    for item in found:
        grid.add_row(item.title, item.verdict.value, f"{item.rule} {item.reason}".strip(), item.plan_digest.hex()[:12])
    output.print(grid)
    output.print("Read one with `council-node question PLAN`.")


def question(plan: Plan, settings: Node = DEFAULT, export: Export = None, *, as_json: AsJson = False) -> None:
    """Show one question as its decider needs it: benefit, fields, cost, what could be learned, red lines.

    Example: council-node question 3f2a --export pack.zip
    """
    loaded = read_settings(settings)
    with NodeStore.open(loaded.store_file) as store:
        view = view_question(loaded, store, find_question(store, plan), now_utc())
    if export is not None:
        write_pack(view, export)
        output.print(f"Wrote {export}. It holds nothing of this council's own.", markup=False)
    elif as_json:
        output.print_json(json.dumps(view.as_json()))
    else:
        _print(view)


def _print(view: QuestionView) -> None:
    standing = view.decision.verdict.value
    output.print(f"{view.plan.question.title} ({standing}, {view.plan.digest.hex()[:12]})", style="bold", markup=False)
    _print_sections((*view.sections, *view.own))
    digits = view.plan.digest.hex()[:8]
    if view.decision.verdict is Verdict.APPROVED:
        output.print(f'To take it back: council-node withdraw {digits} --by "…" --role "…" --reason "…"', markup=False)
        return
    options = " ".join(f"--answer {name}=yes" for name in view.to_answer)
    output.print(f'To approve: council-node approve {digits} --by "…" --role "…" {options}'.rstrip(), markup=False)
    output.print(f'To refuse: council-node refuse {digits} --by "…" --role "…" --reason "…"', markup=False)


def _print_sections(sections: Iterable[Section]) -> None:
    for number, section in enumerate(sections, start=1):
        output.print(f"\n{number}. {section.title}", style="bold", markup=False)
        for line in section.lines:
            output.print(textwrap.fill(line, WIDTH, initial_indent="   - ", subsequent_indent="     "), markup=False)
    output.print()


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(questions)
    app.command()(question)
