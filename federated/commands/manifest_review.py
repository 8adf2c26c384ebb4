"""`federated manifest review`: a question in plain words from files alone, before anything is installed (R32)."""

import textwrap
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from federated.agreement import AGREEMENT_TYPE, parse_agreement
from federated.commands.files import content_of, read_file
from federated.manifest import MANIFEST_TYPE, parse_manifest
from federated.plan import NONCE_SIZE, Terms
from federated.planner import choose_mechanism
from federated.privacy import Totals
from federated.query import load_query
from federated.question_words import question_sections
from federated.roster import ROSTER_TYPE, parse_roster
from federated.schema import load_schema
from federated.shell import now_utc, output

__all__ = ["register"]

WIDTH = 110


def review(
    path: Annotated[Path, typer.Argument(help="The manifest, signed or not.")],
    question: Annotated[Path, typer.Option("--question", "-q", help="The question that it explains.")],
    agreement: Annotated[Path, typer.Option("--agreement", "-a", help="The agreement it is under, signed or not.")],
    roster: Annotated[Path, typer.Option("--roster", "-r", help="The list of councils, signed or not.")],
) -> None:
    """Read a question as a council would: benefit, fields, cost, what could be learned, red lines. Needs no node.

    Checks no signature: a node does, for each question.

    Example: federated manifest review manifest.yaml -q question.yaml -a agreement.dsse -r roster.dsse
    """
    written = parse_manifest(content_of(read_file(path, "manifest"), MANIFEST_TYPE), source=str(path))
    under = parse_agreement(content_of(read_file(agreement, "agreement"), AGREEMENT_TYPE), source=str(agreement))
    councils = parse_roster(content_of(read_file(roster, "roster"), ROSTER_TYPE), source=str(roster))
    schema = load_schema()
    now = now_utc().replace(microsecond=0)
    terms = Terms(
        manifest_digest=written.digest,
        not_before=now,
        collect_by=now + timedelta(days=under.decision_days),
        return_by=now + timedelta(days=under.decision_days),
        not_after=now + timedelta(days=under.decision_days),
        attempts=under.attempts,
        nonce=bytes(NONCE_SIZE),
    )
    plan = choose_mechanism(
        load_query(question), agreement=under, roster=councils, schema=schema, terms=terms, worst=Totals()
    )
    output.print(plan.question.title, style="bold", markup=False)
    for number, section in enumerate(question_sections(plan, written, under, schema), start=1):
        output.print(f"\n{number}. {section.title}", style="bold", markup=False)
        for line in section.lines:
            output.print(textwrap.fill(line, WIDTH, initial_indent="   - ", subsequent_indent="     "), markup=False)


def register(app: typer.Typer) -> None:
    """Add the command to `federated manifest`."""
    app.command("review")(review)
