"""`council-node suggest`: a question that the council would like to see asked, signed with the node's own key."""

from pathlib import Path
from typing import Annotated

import typer

from council_node.commands.commenting import read_words
from council_node.commands.options import DEFAULT, Node
from council_node.practice_papers import pinned_agreement
from council_node.settings import read_settings
from federated.agreement import AGREEMENT_TYPE, Agreement, parse_agreement
from federated.errors import FederatedError, FileProblem
from federated.keys import read_private_key
from federated.query import Query, load_query
from federated.query.check import check_query
from federated.schema import load_schema
from federated.shell import now_utc, output
from federated.signing import unsafe_payload
from federated.suggestion import Suggestion, sign_suggestion
from protocols.identifiers import CouncilId

__all__ = ["register"]


def suggest(
    question: Annotated[Path, typer.Argument(help="The question (YAML), in the form of every question.")],
    text: Annotated[Path, typer.Option("--text", "-t", help="File that says why, in at most 4,000 characters.")],
    settings: Node = DEFAULT,
    agreement: Annotated[
        str | None, typer.Option("--agreement", help="Id of the agreement, when several were accepted.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the signed suggestion.")] = Path(
        "suggestion.dsse"
    ),
    *,
    publish: Annotated[
        bool, typer.Option("--publish", help="Everybody may see it in the register; otherwise the parties alone.")
    ] = False,
) -> None:
    """Sign a question that you suggest. Sends nothing: an analyst or reviewer hands it in, and analysts may take it up.

    See first what its answer would look like: `council-node dry-run question.yaml --practice`.

    Example: council-node suggest question.yaml --text why.txt --agreement north-east-2026 --publish
    """
    loaded = read_settings(settings)
    found = load_query(question)
    check_query(found, load_schema())
    pinned = pinned_agreement(loaded, agreement, found.group)
    # Our own pinned file: who had signed it was checked when it was accepted.
    under = parse_agreement(unsafe_payload(pinned.read_bytes(), AGREEMENT_TYPE), source=str(pinned))
    made = Suggestion(
        council=CouncilId(loaded.council.id),
        agreement=under.id,
        question=found,
        reason=read_words(text),
        publish=publish,
        at=now_utc().replace(microsecond=0),
    )
    signed = sign_suggestion(made, read_private_key(loaded.keys.identity))
    try:
        out.write_bytes(signed)
    except OSError as error:
        raise FileProblem(f"{out}: the suggestion cannot be written ({error.strerror}).") from error
    seen = "everybody" if publish else "the parties of the agreement alone"
    output.print(f"Wrote {out}: “{found.title}”. It will be shown to {seen}.", markup=False)
    for line in _in_the_way(found, under):
        output.print(line, markup=False)
    output.print("Give it to an analyst or reviewer: federated suggestions bring suggestion.dsse", markup=False)


def _in_the_way(question: Query, agreement: Agreement) -> tuple[str, ...]:
    """What the agreement does not allow as it stands; the next version of it may."""
    try:
        agreement.group(question.group)
        agreement.check_allowed(
            dataset=question.dataset,
            unit=question.unit,
            columns=question.columns(),
            statistics={table.statistic for table in question.tables},
            max_cells=max(table.max_cells for table in question.tables),
        )
        agreement.check_epsilon(question.epsilon)
    except FederatedError as refusal:
        return (f"The agreement does not allow it as it stands. {refusal}",)
    return ()


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(suggest)
