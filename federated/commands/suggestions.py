"""`federated suggestions`: questions that councils suggest. A council's node calls nobody, so somebody brings them."""

from pathlib import Path
from typing import Annotated

import typer

from federated.client import Trusted
from federated.commands.files import read_file
from federated.commands.questions import Work, connect
from federated.commands.remarks import author_name, council_of, hand_in
from federated.errors import SignatureProblem
from federated.papers import PaperKind
from federated.query import write_query
from federated.shell import new_app, output
from federated.suggestion import Suggestion, open_suggestion
from federated.workspace import DEFAULT_FILE
from protocols.wire import analyst_pb2 as pb

__all__ = ["app"]

app: typer.Typer = new_app("Questions that councils suggest. You may take one up, or leave it.")


@app.command("bring")
def bring(
    suggestion: Annotated[Path, typer.Argument(help="A suggestion that a council's node signed.")],
    workspace: Work = DEFAULT_FILE,
) -> None:
    """Hand in a question that a council suggests. You carry it: what counts is the council's own signature.

    Example: federated suggestions bring suggestion.dsse
    """
    envelope = read_file(suggestion, "suggestion")
    with connect(workspace) as client:
        found = _opened(client.trusted(), envelope)
        hand_in(client, PaperKind.SUGGESTION, envelope)
    output.print(f"“{found.question.title}” is suggested under {found.agreement}. Nobody was asked.", markup=False)


@app.command("show")
def show(workspace: Work = DEFAULT_FILE) -> None:
    """Show the questions that councils suggest under your agreements; every signature is checked by the roster.

    Example: federated suggestions show
    """
    with connect(workspace) as client:
        trusted, found = client.trusted(), client.papers(PaperKind.SUGGESTION)
    for item in found:
        output.print(_said(trusted, item), markup=False)
    if not found:
        output.print("No council has suggested anything.")


def _said(trusted: Trusted, item: pb.Paper) -> str:
    who = author_name(trusted, item.author)
    if item.hidden_at:
        return f"{who}: hidden by the operator. {item.hidden_reason}"
    try:
        read = _opened(trusted, item.paper)
    except SignatureProblem as problem:
        return f"{who}: NOT SHOWN, its signature does not hold. {problem}"
    seen = "for everybody" if read.publish else "for the parties alone"
    head = f"{who}, {read.at:%d %B %Y}, under {read.agreement}, {seen}: {read.question.title}"
    return f"{head}\n{read.reason}\n\n{write_query(read.question)}"


def _opened(trusted: Trusted, envelope: bytes) -> Suggestion:
    entry = council_of(trusted, envelope, PaperKind.SUGGESTION)
    return open_suggestion(envelope, council=entry.id, public_key=entry.public_key)
