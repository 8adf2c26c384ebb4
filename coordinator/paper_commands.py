"""`coordinator paper`: signed papers of governance, and hiding one. Nobody can alter one."""

import json
from typing import Annotated

import typer
from rich.table import Table

from coordinator.opened import AsJson, SettingsFile, opened
from coordinator.paper_intake import MOST_LISTED
from coordinator.settings import DEFAULT_FILE
from coordinator.store.audit import COMMAND_LINE
from federated.errors import FileProblem, QueryError
from federated.papers import PaperKind
from federated.shell import new_app, now_utc, output
from federated.timestamps import time_text
from protocols.identifiers import DIGEST_SIZE, Digest

__all__ = ["app"]

app = new_app("Signed comments, notes, minutes, series and suggestions.")
REASON_LIMIT = 300


@app.command("list")
def list_papers(
    kind: Annotated[PaperKind, typer.Argument(help="Which kind.")],
    *,
    settings: SettingsFile = DEFAULT_FILE,
    json_: AsJson = False,
) -> None:
    """List papers of a kind by digest, newest first; their texts are on the pages.

    Example: coordinator paper list comment
    """
    with opened(settings) as (_, store):
        rows = store.papers.page(kind.value, size=MOST_LISTED)
    if json_:
        found = [
            {
                "digest": row.digest.hex(),
                "agreement": row.agreement_id,
                "subject": row.subject,
                "author": row.author,
                "received_at": time_text(row.received_at),
                "hidden_at": None if row.hidden_at is None else time_text(row.hidden_at),
            }
            for row in rows
        ]
        output.print_json(json.dumps(found))
        return
    table = Table("Paper", "Author", "About", "Received", "Hidden")
    for row in rows:
        hidden = "" if row.hidden_at is None else time_text(row.hidden_at)
        table.add_row(row.digest.hex(), row.author[:16], row.subject[:16], time_text(row.received_at), hidden)
    output.print(table)


@app.command("hide")
def hide(
    paper: Annotated[str, typer.Argument(help="Digest of the paper, 64 hexadecimal digits.")],
    reason: Annotated[str, typer.Option(help="Why, for everybody; it is shown in place of the text.")],
    settings: SettingsFile = DEFAULT_FILE,
) -> None:
    """Show a paper no more, with the reason in its place. It cannot be shown again, and is not deleted.

    Example: coordinator paper hide 3f2a… --reason "It names a household"
    """
    if not 0 < len(reason.strip()) <= REASON_LIMIT:
        raise QueryError(f"The reason needs 1 to {REASON_LIMIT} characters.")
    try:
        digest = bytes.fromhex(paper)
    except ValueError:
        digest = b""
    with opened(settings) as (_, store):
        shown = len(digest) == DIGEST_SIZE and store.papers.hide(
            Digest(digest), reason=reason.strip(), now=now_utc(), by=COMMAND_LINE
        )
    if not shown:
        raise FileProblem("There is no such paper, or it is hidden already.", remedy="See 'coordinator paper list'.")
    output.print("It is hidden, and the reason stands in its place.")
