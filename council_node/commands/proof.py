"""`council-node pack`, `purge` and `handover`: what this council can show, delete and hand over."""

import json
import os
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from council_node.commands.options import DEFAULT, AsJson, By, Node, Reason, Role
from council_node.ledger import Ledger
from council_node.node_store import NodeStore
from council_node.proof.evidence import write_evidence
from council_node.proof.handover import handover, handover_text
from council_node.proof.purge import Scope, purge
from council_node.settings import read_settings
from federated.errors import FileProblem
from federated.keys import read_private_key
from federated.shell import new_app, now_utc, output
from protocols.identifiers import CouncilId

__all__ = ["app", "register"]

app: typer.Typer = new_app("Packs: evidence, and drafts for data protection made from the live settings.")


@app.command("evidence")
def pack_evidence(
    settings: Node = DEFAULT,
    out: Annotated[Path, typer.Option("--out", "-o", help="The archive to make.")] = Path("evidence.zip"),
) -> None:
    """Write all that this council decided, answered, spent and deleted into one signed archive. No key, no case.

    Example: council-node pack evidence --out evidence.zip
    """
    loaded = read_settings(settings)
    count = write_evidence(loaded, out, now=now_utc())
    output.print(f"Wrote {out} with {count} members. Check it with: federated verify {out}", markup=False)


def purge_answers(
    by: By,
    role: Role,
    reason: Reason,
    settings: Node = DEFAULT,
    *,
    before: Annotated[
        str | None, typer.Option("--before", help="Delete answers that came before this day, such as 2026-01-31.")
    ] = None,
    expired: Annotated[
        bool, typer.Option("--expired", help="Delete answers whose manifest says that their time is over.")
    ] = False,
    all_answers: Annotated[bool, typer.Option("--all-answers", help="Delete every stored answer.")] = False,
) -> None:
    """Delete stored answers, with a signed record of what, who and why. The ledger, decisions and receipts stay.

    Example: council-node purge --expired --by "A Person" --role "data protection officer" --reason "Retention is over"
    """
    if [before is not None, expired, all_answers].count(True) != 1:
        raise FileProblem("Say which answers to delete.", remedy="Give one of --before DATE, --expired, --all-answers.")
    now = now_utc()
    scope = Scope(before=None if before is None else _day(before), expired_on=now.date() if expired else None)
    loaded = read_settings(settings)
    key = read_private_key(loaded.keys.identity)
    with (
        NodeStore.open(loaded.store_file) as store,
        Ledger.read_only(loaded.ledger_file, CouncilId(loaded.council.id)) as ledger,
    ):
        done = purge(store, ledger, key, scope, by=by, role=role, reason=reason, now=now)
    output.print(done.words, markup=False)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise FileProblem(
            "--before is not a date.", remedy="Write it as year-month-day, such as 2026-01-31."
        ) from error


def hand_over(
    settings: Node = DEFAULT,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the report to this file.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print what somebody who takes over this node must know: roles, open decisions, budget, keys, what to do first.

    Example: council-node handover --out handover.md
    """
    report = handover(read_settings(settings), now=now_utc())
    text = json.dumps(report, indent=2) + "\n" if as_json else handover_text(report)
    if out is None:
        output.print(text, markup=False, end="")
    else:
        write_new(out, text)
        output.print(f"Wrote {out}. It names people and places: keep it in the council.", markup=False)


def write_new(path: Path, text: str) -> None:
    """Write a text to a new file that only its owner can read.

    Raises:
        FileProblem: A file is there already, or it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise FileProblem(f"{path} cannot be written: {error.strerror}.", remedy="Choose another name.") from error


def register(node: typer.Typer) -> None:
    """Add the commands."""
    node.command("purge")(purge_answers)
    node.command("handover")(hand_over)
    node.add_typer(app, name="pack")
