"""`federated budgets`, `readers`, `verify` and `export`: what a reviewer checks, without trusting the coordinator."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as Grid

from federated.budget_statement import BudgetStatement, PeriodStatement
from federated.client import Trusted
from federated.commands.boundaries import CODE_PROPERTY, CodeProperty, boundaries_of
from federated.commands.files import content_of, read_file
from federated.commands.questions import AsJson, Work, connect, digest_bytes
from federated.commands.verifying import verify
from federated.errors import QueryError
from federated.keys import parse_public, trusted_keys
from federated.manifest import MANIFEST_TYPE, parse_manifest
from federated.privacy import Totals, remaining
from federated.release import open_release
from federated.roster import Roster
from federated.shell import errors, output
from federated.statement_memory import StatementMemory
from federated.workspace import DEFAULT_FILE
from protocols.identifiers import CouncilId

__all__ = ["budget_rows", "print_budgets", "register"]


def budgets(workspace: Work = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """Show what every council has spent, from statements that the councils' own nodes signed.

    Example: federated budgets
    """
    with connect(workspace) as client:
        trusted = client.trusted()
        statements = client.budgets(trusted)
    kept = StatementMemory(workspace.with_suffix(".budgets.json"))
    for warning in kept.take(statements, trusted.roster):
        errors.print(f"Warning: {warning}", style="yellow", markup=False)
    if as_json:
        rows = [row for council, found in statements.items() for row in budget_rows(council, found)]
        output.print_json(json.dumps(rows))
    else:
        print_budgets(trusted.roster, dict(statements))


def export(
    path: Annotated[Path, typer.Argument(help="A release (release.json).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write into.")],
    formats: Annotated[
        str | None,
        typer.Option("--format", "-f", help="Some of csv,ods,parquet,geojson,json,svg,png,html; otherwise all."),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", "-m", help="The question's manifest, for decision, recipients and contacts."),
    ] = None,
    boundaries: Annotated[
        Path | None, typer.Option("--boundaries", help="GeoJSON boundaries of your own, for the maps.")
    ] = None,
    code_property: CodeProperty = CODE_PROPERTY,
) -> None:
    """Write a release in formats that anyone can open, with a note on method. Needs no connection.

    Example: federated export answer/release.json --out tables --format csv,ods
    """
    from federated.outputs.formats import FORMATS, chosen_formats  # noqa: PLC0415 - brings Jinja, as few commands need
    from federated.outputs.writing import export_release  # noqa: PLC0415 - as above

    release = open_release(read_file(path, "release"))
    chosen = FORMATS if formats is None else chosen_formats(formats)
    explained = None
    if manifest is not None:
        explained = parse_manifest(content_of(read_file(manifest, "manifest"), MANIFEST_TYPE), source=str(manifest))
    shapes = None if boundaries is None else boundaries_of(boundaries, code_property)
    files = export_release(release, out, chosen, manifest=explained, boundaries=shapes)
    if not files:
        raise QueryError(
            "No table of this release has a file of that format.",
            remedy="GeoJSON is of tables by region, and a chart of a table that is not too long for one.",
        )
    for written in files:
        output.print(f"Wrote {written}", markup=False)


def budget_rows(council: CouncilId, statement: BudgetStatement | None) -> list[dict[str, object]]:
    """A council's statement as plain rows, one for each agreement and year; exact rationals as text."""
    if statement is None:
        return [{"council": council, "statement": None}]
    return [
        {
            "council": council,
            "agreement": item.agreement,
            "period": item.period,
            "budget_epsilon": str(item.budget.epsilon),
            "delta": str(item.budget.delta),
            "spent_epsilon": None if item.spent.epsilon is None else str(item.spent.epsilon),
            "spent_rho": str(item.spent.rho),
            "equivalent_epsilon": float(item.equivalent),
            "remaining_epsilon": float(_left(item)),
            "rounds": item.rounds,
            "ledger_entries": statement.counter,
            "ledger_head": statement.head.hex(),
            "exhausted": statement.exhausted,
        }
        for item in statement.periods
    ] or [{"council": council, "ledger_entries": statement.counter, "ledger_head": statement.head.hex(), "rounds": 0}]


def _left(item: PeriodStatement) -> Fraction:
    used = Totals(epsilon=item.spent.epsilon, rho=item.spent.rho, draws=item.spent.draws)
    return remaining(used, item.budget).epsilon


def print_budgets(roster: Roster, statements: dict[CouncilId, BudgetStatement | None]) -> None:
    """Budgets as a table for a reviewer."""
    grid = Grid(
        "Council",
        "Agreement",
        "Year",
        "Budget ε",
        "Spent (as ε)",
        "Spent ρ",
        "Left (one pure question)",
        "Rounds",
        "Ledger",
    )
    for council, statement in statements.items():
        name = roster.councils[council].name
        if statement is None:
            grid.add_row(name, "no statement: the council did not answer", *[""] * 7)
            continue
        ledger = f"entry {statement.counter}, {statement.head.hex()[:8]}{', EXHAUSTED' if statement.exhausted else ''}"
        for item in statement.periods:
            grid.add_row(
                name,
                item.agreement,
                item.period,
                f"{float(item.budget.epsilon):g}",
                f"{float(item.equivalent):.4f}",
                f"{float(item.spent.rho):.5f}",
                f"{float(_left(item)):.4f}",
                str(item.rounds),
                ledger,
            )
        if not statement.periods:
            grid.add_row(name, "nothing spent", *[""] * 6, ledger)
    output.print(grid)


def readers(
    release_digest: Annotated[str, typer.Argument(help="Digest of the release.")],
    workspace: Work = DEFAULT_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Show who was given a release: the people who fetched it, and the councils it was brought to. For reviewers.

    It is the coordinator's own record. That a council has its answer is shown by that council's signed receipt.

    Example: federated readers 9c41…
    """
    with connect(workspace) as client:
        trusted = client.trusted()
        found = client.reads(digest_bytes(release_digest))
    names = _names(trusted)
    if as_json:
        rows = [
            {"reader": item.reader, "name": names.get(item.reader), "how": item.how, "at": item.at} for item in found
        ]
        output.print_json(json.dumps(rows))
        return
    grid = Grid("Who", "How", "When")
    for item in found:
        grid.add_row(names.get(item.reader, f"key {item.reader[:16]}, in no agreement in force"), item.how, item.at)
    output.print(grid)


def _names(trusted: Trusted) -> dict[str, str]:
    """Councils by code, and the people of the agreements by key id."""
    names: dict[str, str] = {council: entry.name for council, entry in trusted.roster.councils.items()}
    for agreement in trusted.agreements.values():
        for person in (*agreement.analysts, *agreement.reviewers):
            [keyid] = trusted_keys(parse_public(person.public_key))
            names[keyid] = f"{person.name}, {person.organisation}"
    return names


def register(app: typer.Typer) -> None:
    """Add these commands to `federated`."""
    app.command()(budgets)
    app.command()(readers)
    app.command()(verify)
    app.command()(export)
