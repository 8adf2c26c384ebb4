"""`council-node ledger statement`, `close` and `inherit`: what a council spent, handed on to its successor."""

from datetime import UTC
from pathlib import Path
from typing import Annotated

import typer

from council_node.commands.options import DEFAULT, By, Node
from council_node.inheritance import read_predecessors
from council_node.ledger import Ledger
from council_node.node_store import DocumentKind, NodeStore
from council_node.settings import Settings, read_settings
from council_node.stored_roster import CURRENT, stored_roster
from federated.budget_statement import STATEMENT_KIND, BudgetStatement
from federated.commands.files import read_file, write_file
from federated.errors import FileProblem
from federated.keys import SigningKey, read_private_key
from federated.ledger_entries import period_of
from federated.roster import Roster, open_roster
from federated.shell import now_utc, output
from federated.signing import sign_statement
from protocols.identifiers import CouncilId

__all__ = ["register"]

ROSTER_ELSEWHERE = "Give the signed list with --roster."


def ledger_statement(
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write it.")] = Path("budget-statement.dsse"),
    settings: Node = DEFAULT,
) -> None:
    """Sign what this council has spent, for its reviewer.

    Example: council-node ledger statement --out budget-statement.dsse
    """
    loaded = read_settings(settings)
    with Ledger.read_only(loaded.ledger_file, CouncilId(loaded.council.id)) as opened:
        statement = opened.statement(now_utc())
    _sign(statement, read_private_key(loaded.keys.identity), out)


def ledger_close(
    by: By,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write it.")] = Path("budget-statement.dsse"),
    settings: Node = DEFAULT,
    roster: Annotated[
        Path | None,
        typer.Option("--roster", help="The signed list that ends this council; the node's own when left out."),
    ] = None,
) -> None:
    """Close the ledger for good and sign its last word, for the council that takes its place. Stop the node first.

    It cannot be undone: this ledger never takes a charge again. So it is done only after this council's last day.

    Example: council-node ledger close --by "A Person" --roster roster.dsse --out budget-statement.dsse
    """
    loaded, now = read_settings(settings), now_utc()
    council, key = CouncilId(loaded.council.id), read_private_key(loaded.keys.identity)
    listed = _roster(loaded, roster).councils.get(council)
    if listed is not None and listed.valid_to >= now.astimezone(UTC).date():
        raise FileProblem(
            f"By the list of councils this council takes part until {listed.valid_to}: its ledger is still needed.",
            remedy="Give the signed list that ends it with --roster, from the day after its last day.",
        )
    with Ledger.open(loaded.ledger_file, council) as opened:
        entry = opened.close_for_good(by=by, now=now)
        statement = opened.statement(now)
    output.print(f"Closed for good as entry {entry.counter}.")
    _sign(statement, key, out)


def _sign(statement: BudgetStatement, key: SigningKey, out: Path) -> None:
    write_file(out, sign_statement(STATEMENT_KIND, statement.canonical(), key))
    output.print(f"It stands at entry {statement.counter} of the ledger.")


def ledger_inherit(
    statements: Annotated[
        list[Path], typer.Option("--from", help="A predecessor's signed budget statement; once for each of them.")
    ],
    by: By,
    settings: Node = DEFAULT,
    roster: Annotated[
        Path | None,
        typer.Option("--roster", help="The signed list of councils; the node's own current one when left out."),
    ] = None,
) -> None:
    """Start from the largest spend of the councils whose place this one took. Stop the node first.

    Example: council-node ledger inherit --from old-1.dsse --from old-2.dsse --by "A Person" --roster roster.dsse
    """
    loaded, now = read_settings(settings), now_utc()
    council = CouncilId(loaded.council.id)
    listed = _roster(loaded, roster)
    with Ledger.open_or_create(loaded.ledger_file, council, now, in_service=_in_service(loaded)) as opened:
        found = read_predecessors(
            [read_file(path, "budget statement") for path in statements],
            listed,
            council,
            inherited=opened.inherited_from(),
            now=now,
        )
        entry = opened.inherit(found, by=by, roster=listed.digest, now=now)
        year = opened.committed_in(period_of(now))
    output.print(f"Inherited from {', '.join(item.council for item in found)} as entry {entry.counter}.", markup=False)
    pure = "no pure ε" if year.epsilon is None else f"ε = {float(year.epsilon):.4g}"
    output.print(f"This year's charges now stand at {pure}, ρ = {float(year.rho):.4g}, over all agreements.")


def _in_service(settings: Settings) -> bool:
    with NodeStore.open(settings.store_file) as store:
        return store.latest(DocumentKind.ROSTER, CURRENT) is not None


def _roster(settings: Settings, path: Path | None) -> Roster:
    """The list named, never older than the one this node knows; or the latter."""
    with NodeStore.open(settings.store_file) as store:
        known = stored_roster(store, settings.trust)
    if path is not None:
        pinned = None if known is None else known.known
        return open_roster(read_file(path, "list of councils"), settings.trust, now_utc(), pinned)
    if known is None:
        raise FileProblem("This node has no list of councils yet.", remedy=ROSTER_ELSEWHERE)
    believed = known.believed()
    believed.check_in_force(now_utc())
    return believed


def register(app: typer.Typer) -> None:
    """Add the commands to `council-node ledger`."""
    app.command("statement")(ledger_statement)
    app.command("close")(ledger_close)
    app.command("inherit")(ledger_inherit)
