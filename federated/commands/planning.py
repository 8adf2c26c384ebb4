"""`federated plan`: what a question would cost, how exact its answer would be, and planning backwards from a goal."""

import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table as Grid

from federated.commands.questions import AsJson, Explained, Named, Question, Work, connect, read_manifest
from federated.epsilon_search import Found, Goal, MarginGoal, UsableGoal, least_epsilon
from federated.errors import QueryError
from federated.expected_figures import ExpectedFigures, read_expected
from federated.plan import Plan
from federated.plan_summary import PlanSummary, TableSummary, summarise
from federated.planner import Planner
from federated.query import load_query
from federated.rationals import rational
from federated.shell import output
from federated.usable_cells import TableUse, uses_at_other_levels, uses_of
from federated.workspace import DEFAULT_FILE

__all__ = ["plan", "print_found", "print_plan", "register"]

HUNDRED: Final = Fraction(100)

Expect = Annotated[
    Path | None,
    typer.Option("--expect", help="Public figures to judge by: an earlier release (JSON), or CSV by category."),
]
Within = Annotated[str, typer.Option("--within", help="A cell is usable within this margin of its figure.")]
Margin = Annotated[
    str | None, typer.Option("--margin", help="Find the smallest epsilon with totals within ± this, at 95%.")
]
Usable = Annotated[
    str | None, typer.Option("--usable-cells", help="Find the smallest epsilon with this share of cells usable.")
]
OneTable = Annotated[str | None, typer.Option("--table", help="The table a goal is for; otherwise all of them.")]


def plan(
    question: Question,
    manifest: Explained,
    workspace: Work = DEFAULT_FILE,
    agreement: Named = None,
    expect: Expect = None,
    within: Within = "20%",
    margin: Margin = None,
    usable_cells: Usable = None,
    table: OneTable = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what a question would cost and how exact its answer would be. Spends nothing.

    With a goal it finds the smallest epsilon that meets it.

    Example: federated plan question.yaml --manifest manifest.yaml --expect earlier/release.json
    """
    asked = load_query(question)
    near = part(within, name="--within")
    with connect(workspace) as client:
        planner = client.planner(agreement=agreement, manifest=read_manifest(manifest))
    councils = planner.agreement.group(asked.group).councils
    expected = None if expect is None else read_expected(expect, asked=councils)
    found = None
    if margin is not None or usable_cells is not None:
        # Cells do not depend on epsilon, and the question's own may be too small to plan with.
        most = planner.plan(replace(asked, epsilon=planner.agreement.max_epsilon))
        goal = _goal(most, planner, expected, margin=margin, usable=usable_cells, within=near, table=table)
        found = least_epsilon(asked, goal, planner)
    shown = planner.plan(asked) if found is None else found.plan
    uses = () if expected is None else tuple(_uses(shown, expected, planner, near))
    summary = summarise(shown, uses=uses, within=near, room=planner.room(shown))
    if as_json:
        output.print_json(json.dumps(summary.as_json() | ({} if found is None else {"found": found.as_json()})))
        return
    if found is not None:
        print_found(found)
    print_plan(summary)


def part(text: str, *, name: str) -> Fraction:
    """A share as people write it: ``0.2``, ``1/5`` or ``20%``.

    Raises:
        QueryError: It is not one, or not above 0 and at most 1.
    """
    value = rational(text.removesuffix("%"), name=name) / (HUNDRED if text.endswith("%") else 1)
    if not 0 < value <= 1:
        raise QueryError(f"{name} is {text}; it must be above 0 and at most 100%.")
    return value


def _goal(
    most: Plan,
    planner: Planner,
    expected: ExpectedFigures | None,
    *,
    margin: str | None,
    usable: str | None,
    within: Fraction,
    table: str | None,
) -> Goal:
    """The goal of the options, one of which is given.

    Args:
        most: The plan at the most epsilon that one question may cost.
        planner: What it was planned against.
        expected: Figures to judge by.
        margin: As typed.
        usable: As typed.
        within: Largest margin of a usable cell.
        table: The one table meant.
    """
    if margin is not None and usable is not None:
        raise QueryError("Two goals were given.", remedy="Give --margin or --usable-cells, not both.")
    if margin is not None:
        wanted = rational(margin, name="--margin")
        if wanted <= 0:
            raise QueryError(f"--margin is {margin}; it must be above 0.")
        return MarginGoal(margin=wanted, table=table)
    if usable is None or expected is None:
        raise QueryError("--usable-cells needs figures to judge by.", remedy="Add --expect with public figures.")
    totals = tuple(expected.totals(most, index, planner.schema).totals for index in range(len(most.tables)))
    return UsableGoal(least=part(usable, name="--usable-cells"), within=within, totals=totals, table=table)


def _uses(made: Plan, expected: ExpectedFigures, planner: Planner, within: Fraction) -> Iterator[TableUse]:
    yield from uses_of(made, expected, planner, within=within, level="As asked")
    yield from uses_at_other_levels(made, expected, planner, within=within)


def print_found(found: Found) -> None:
    """The answer of a search for an epsilon."""
    for line in found.lines:
        output.print(line, markup=False)
    output.print("")


def print_plan(summary: PlanSummary) -> None:
    """A plan in words and tables."""
    output.print(summary.headline, markup=False)
    for line in summary.lines:
        output.print(line, markup=False)
    lost = [f"{count} lost" if count else "None lost" for count in summary.losses]
    grid = Grid(
        "Table",
        "Statistic",
        "Cells",
        "Of the cost",
        "Noise sd, all in",
        "Noise sd, fewest",
        *lost,
        "Few join",
        title="Margin of a total (95%), by councils lost in the round",
    )
    for row in summary.tables:
        grid.add_row(*_row(row))
    output.print(grid)
    if not all(row.is_total for row in summary.tables):
        output.print(
            "* The printed figure is made from several totals, whose margin this is. Add --expect for its own.",
            markup=False,
        )
    _print_uses(summary)


def _row(row: TableSummary) -> tuple[str, ...]:
    mark = "" if row.is_total else " *"
    margins = (*row.margins_lost, row.margin_few_joined)
    return (
        row.name,
        f"{row.statistic}{mark}",
        f"{row.cells:,}",
        f"{row.part_of_cost:.0%}",
        f"{row.sd_all:.2f}",
        f"{row.sd_fewest:.2f}",
        *(f"± {margin:.1f}" for margin in margins),
    )


def _print_uses(summary: PlanSummary) -> None:
    if not summary.uses:
        return
    grid = Grid(
        "Asked for",
        "Table",
        "Cells",
        f"Usable within {float(summary.within):.0%}",
        "Typical margin",
        "Widest",
        title="Judged on the figures expected, if every council asked contributes",
    )
    for use in summary.uses:
        if use.problem:
            grid.add_row(use.level, f"not possible: {use.problem}")
            continue
        grid.add_row(
            f"{use.level} (scaled)" if use.scaled else use.level,
            use.table,
            f"{use.cells:,}",
            f"{float(use.usable):.0%}",
            f"± {use.typical:.2f}",
            f"± {use.widest:.2f}",
        )
    output.print(grid)


def register(app: typer.Typer) -> None:
    """Add this command to `federated`."""
    app.command()(plan)
