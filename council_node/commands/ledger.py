"""`council-node ledger`: the privacy ledger, shown, checked, restored and reconciled."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as Grid

from council_node.commands import succession
from council_node.commands.options import DEFAULT, AsJson, By, Node, Reason
from council_node.ledger import Ledger
from council_node.lost_charges import lost_in_words, open_last_statement, write_back_lost
from council_node.settings import read_settings
from federated.commands.files import read_file
from federated.errors import FileProblem
from federated.keys import parse_public, read_private_key, read_public_key
from federated.ledger_copy import read_ledger_file
from federated.shell import new_app, now_utc, output
from protocols.identifiers import CouncilId

__all__ = ["app"]


app: typer.Typer = new_app("The privacy ledger: what every question has cost this council's residents.")
succession.register(app)


@app.command("show")
def ledger_show(settings: Node = DEFAULT, *, as_json: AsJson = False) -> None:
    """Show every entry of the ledger.

    Example: council-node ledger show
    """
    with _ledger(settings) as opened:
        entries = opened.entries()
    if as_json:
        rows = [{"counter": e.counter, "kind": e.kind.value, "hash": e.hash.hex(), **e.body} for e in entries]
        output.print_json(json.dumps(rows))
        return
    grid = Grid("Entry", "Time", "What", "Question", "ε", "ρ", "Hash")
    for entry in entries:
        body = {name: str(value) for name, value in entry.body.items()}
        grid.add_row(
            str(entry.counter),
            body.get("time", ""),
            entry.kind.value,
            body.get("title", body.get("reason", body.get("sid", "")[:16])),
            body.get("epsilon", ""),
            _short(body.get("rho", "")),
            entry.hash.hex()[:12],
        )
    output.print(grid)


def _short(rho: str) -> str:
    return f"{float(Fraction(rho)):.6f}" if rho else ""


@app.command("verify")
def ledger_verify(
    settings: Node = DEFAULT,
    *,
    file: Annotated[Path | None, typer.Option("--file", help="A copy of a ledger, instead of this node's own.")] = None,
) -> None:
    """Walk the whole chain and recompute every hash. A copy is checked without settings or a connection.

    Example: council-node ledger verify --file ledger-tuesday.db
    """
    if file is not None:
        output.print(read_ledger_file(file).summary(), markup=False)
        return
    with _ledger(settings) as opened:
        opened.verify()
        output.print(f"The ledger is whole: {opened.counter} entries, last hash {opened.head.hex()}.")


@app.command("reconcile")
def ledger_reconcile(
    by: By,
    reason: Reason,
    settings: Node = DEFAULT,
    lost: Annotated[
        Path | None,
        typer.Option("--lost", help="This council's last signed budget statement: what it has spent is written back."),
    ] = None,
    signed_by: Annotated[
        str | None,
        typer.Option("--signed-by", help="Public key that signed it, or its file, where the node has another now."),
    ] = None,
) -> None:
    """Let an exhausted ledger take charges again. For the council's privacy reviewer; stop the node first.

    With --lost it may be a new ledger too: the whole statement then counts, beside what the new one has charged.

    Example: council-node ledger reconcile --by "A Person" --reason "Restored from a backup; nothing was asked since"
    """
    loaded, now = read_settings(settings), now_utc()
    council = CouncilId(loaded.council.id)
    if lost is None:
        with Ledger.open(loaded.ledger_file, council) as opened:
            entry = opened.reconcile(by=by, reason=reason, now=now)
        output.print(f"Reconciled as entry {entry.counter}.")
        return
    key = read_private_key(loaded.keys.identity).public if signed_by is None else _public_key(signed_by)
    statement = open_last_statement(read_file(lost, "budget statement"), council=council, key=key)
    found, entry = write_back_lost(loaded.ledger_file, council, statement, by=by, reason=reason, now=now)
    for charge in found:
        output.print(lost_in_words(charge), markup=False)
    output.print(f"Reconciled as entry {entry.counter}.")


def _public_key(given: str) -> bytes:
    """A public key given as its line, or as the file that holds it."""
    if not given.startswith("ed25519:"):
        return read_public_key(Path(given))
    try:
        return parse_public(given)
    except ValueError as error:
        raise FileProblem(
            f"'{given[:80]}' is not a public key.", remedy="It is a line that 'keys show' prints."
        ) from error


@app.command("restore")
def ledger_restore(
    backup: Annotated[Path, typer.Argument(help="The copy to put back.")], settings: Node = DEFAULT
) -> None:
    """Put a ledger back from a backup. It takes no charge until the reviewer has reconciled it.

    Example: council-node ledger restore ledger-tuesday.db
    """
    loaded = read_settings(settings)
    Ledger.restore(backup, loaded.ledger_file, CouncilId(loaded.council.id), now_utc()).close()
    output.print("Restored. It takes no charge until `council-node ledger reconcile`.")


@contextmanager
def _ledger(path: Path) -> Iterator[Ledger]:
    """The ledger for reading, also while the node runs."""
    settings = read_settings(path)
    with Ledger.read_only(settings.ledger_file, CouncilId(settings.council.id)) as opened:
        yield opened
