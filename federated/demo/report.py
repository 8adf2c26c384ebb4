"""What the demo prints: estimates beside published figures, coverage, budgets, seconds."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table as Grid

from federated.commands.planning import print_plan
from federated.commands.review import print_budgets
from federated.demo.run import Answer, DemoResult, truth_of
from federated.plan_summary import summarise
from federated.presentation import margin
from federated.release import TableRecord, labels_of
from federated.roster import Roster
from federated.schema import Council
from federated.synthetic import ATTRIBUTION, published_marginal

__all__ = ["print_result"]

ROWS_SHOWN = 14


def print_result(result: DemoResult, roster: Roster, output: Console) -> None:
    """Print everything."""
    for answer in result.answers:
        _print_answer(result, answer, output)
    cells = sum(answer.cells for answer in result.answers)
    covered = sum(answer.covered for answer in result.answers)
    output.print(
        f"\nHeld against the synthetic truth: {covered} of {cells} intervals hold it "
        f"({100 * covered / cells:.1f}%; each is made to hold at least 95 times in 100)."
    )
    output.print("\nThe reviewer's view: what every council has spent, signed by its own node", style="bold")
    print_budgets(roster, dict(result.budgets))
    _print_seconds(result, output)
    output.print(f"\nCases are synthetic. {ATTRIBUTION}", markup=False)


def _print_answer(result: DemoResult, answer: Answer, output: Console) -> None:
    release = answer.release
    output.print(f"\n{release.title}", style="bold")
    print_plan(summarise(answer.plan))
    missing = [record.name for record in release.councils if record.outcome != "contributed"]
    output.print(
        f"{release.level_label}: {release.contributed} of {len(release.councils)} councils contributed"
        + (f"; missing: {', '.join(missing)}" if missing else "")
        + f". {release.note}",
        markup=False,
    )
    for table in release.tables:
        if table.name in answer.question.published or table.statistic in {"sum", "mean"}:
            if table.caveat:
                output.print(table.caveat, markup=False)
            output.print(_grid(result, answer, table))
    output.print(f"{answer.covered} of {answer.cells} intervals of this answer hold the synthetic truth.")


def _grid(result: DemoResult, answer: Answer, table: TableRecord) -> Grid:
    asked = next(item for item in answer.question.query.tables if item.name == table.name)
    truth = truth_of(result.world, answer.question, asked, answer.release)
    column = answer.question.published.get(table.name)
    published = {} if column is None else _published(column, result.world.councils.values())
    grid = Grid(
        *(axis.name for axis in table.axes), "Estimate", "Margin ±", "Truth (synthetic)", "Published", title=table.name
    )
    for cell in table.cells[:ROWS_SHOWN]:
        exact = truth.get(cell.codes)
        grid.add_row(
            *labels_of(table.axes, cell.codes),
            "not available" if cell.estimate is None else f"{cell.estimate:,.2f}",
            f"{margin(cell):.2f}",
            "–" if exact is None else f"{float(exact):,.2f}",
            f"{published[cell.codes[-1]]:,}" if cell.codes and cell.codes[-1] in published else "",
        )
    if len(table.cells) > ROWS_SHOWN:
        grid.add_row(f"… and {len(table.cells) - ROWS_SHOWN} more", *[""] * (len(table.axes) + 3))
    return grid


def _published(column: str, councils: Iterable[Council]) -> dict[str, int]:
    """Published figures added over the councils asked; categories with a missing one are left out."""
    totals: dict[str, int] = {}
    hidden: set[str] = set()
    for council in councils:
        for code, figure in published_marginal(column, council.id).items():
            if figure is None:
                hidden.add(code)
            else:
                totals[code] = totals.get(code, 0) + figure
    return {code: total for code, total in totals.items() if code not in hidden}


def _print_seconds(result: DemoResult, output: Console) -> None:
    stages = list(dict.fromkeys(stage for answer in result.answers for stage in answer.stage_seconds))
    grid = Grid("Question", *(stage.replace("_", " ") for stage in stages), "all", title="Seconds by step")
    for answer in result.answers:
        spent = (f"{answer.stage_seconds.get(stage, 0):.2f}" for stage in stages)
        grid.add_row(answer.question.id, *spent, f"{answer.seconds:.2f}")
    output.print(grid)
    output.print(f"Each council sent about {result.bytes_per_council:,.0f} bytes a question.")
