"""`federated sign`: sign a question that was written on the coordinator's pages, on the analyst's own computer."""

import os
import textwrap
from pathlib import Path
from typing import Annotated, Final

import typer

from federated.client import Client
from federated.commands.files import read_file, write_file
from federated.commands.planning import print_plan
from federated.commands.questions import Work
from federated.errors import PolicyRefusal, SignatureProblem
from federated.manifest import MANIFEST_TYPE, Severity, check_columns, check_manifest, lint, parse_manifest
from federated.plan import PLAN_TYPE, Plan
from federated.plan_summary import summarise
from federated.query import parse_query
from federated.question_file import QuestionToSign, SignedQuestion
from federated.question_words import question_sections
from federated.shell import now_utc, output
from federated.signing import sign_payload
from federated.workspace import DEFAULT_FILE, Workspace

__all__ = ["register", "sign"]

WIDTH: Final = 110

File = Annotated[Path, typer.Argument(help="The question, as the page gave it.")]
Signed = Annotated[Path, typer.Option("--out", "-o", help="Where to write the signed question.")]
Yes = Annotated[bool, typer.Option("--yes", help="Sign without asking, when you have read the question already.")]
Refresh = Annotated[bool, typer.Option("--refresh", help="Ask afresh at a new charge, even if the answer is stored.")]


def sign(
    file: File,
    out: Signed = Path("signed-question.json"),
    workspace: Work = DEFAULT_FILE,
    *,
    refresh: Refresh = False,
    yes: Yes = False,
) -> None:
    """Show a question written on the pages, sign it with your key, and write one file to hand in there.

    It is planned anew from the signed list of councils and the agreement. Nothing is sent or charged by signing.

    Example: federated sign question-to-sign.json --out signed-question.json
    """
    taken = QuestionToSign.decode(read_file(file, "question"), source=str(file))
    settings = Workspace.load(workspace)
    with Client(settings, clock=now_utc, rng=os.urandom) as client:
        planner = client.planner(agreement=taken.agreement, manifest=taken.manifest.encode("utf-8"))
    plan = planner.plan(parse_query(taken.question.encode("utf-8"), source=str(file)))
    _check(plan, taken)
    planner.check_affordable(plan)
    manifest = parse_manifest(taken.manifest.encode("utf-8"), source=str(file))
    errors = [finding for finding in lint(manifest) if finding.severity is Severity.ERROR]
    if errors:
        raise PolicyRefusal("manifest_wording", f"{errors[0].field}: {errors[0].problem}", remedy=errors[0].advice)
    check_manifest(manifest, planner.agreement)
    check_columns(manifest, dataset=plan.question.dataset, columns=plan.question.columns())
    for number, section in enumerate(question_sections(plan, manifest, planner.agreement, planner.schema), start=1):
        output.print(f"\n{number}. {section.title}", style="bold", markup=False)
        for line in section.lines:
            output.print(textwrap.fill(line, WIDTH, initial_indent="   - ", subsequent_indent="     "), markup=False)
    output.print("")
    print_plan(summarise(plan, room=planner.room(plan)))
    if not yes:
        typer.confirm("\nSign this question with your key?", abort=True)
    key = settings.signing_key()
    signed = SignedQuestion.of(
        sign_payload(plan.encode(), PLAN_TYPE, [key]),
        sign_payload(taken.manifest.encode("utf-8"), MANIFEST_TYPE, [key]),
        refresh=refresh,
    )
    write_file(out, signed.encode())
    output.print(f"Plan {plan.digest.hex()}", markup=False)
    output.print("Hand the file in on the page 'Sign and hand in'. Until then nobody is asked.", markup=False)


def _check(plan: Plan, taken: QuestionToSign) -> None:
    # The pages and this computer may hold different data dictionaries: the same words would then be another question.
    if plan.query_digest.hex() != taken.query_digest:
        raise SignatureProblem(
            "On this computer the question is another than on the page: one of them has an older data dictionary.",
            remedy="Bring the older software up to date, and download the question again.",
        )


def register(app: typer.Typer) -> None:
    """Add the command to `federated`."""
    app.command()(sign)
