"""The command `council-node`: everything a council does with its node."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as Grid

from council_node.agreements import accept_agreement
from council_node.decisions import Decision, Decisions
from council_node.ledger import Ledger
from council_node.node_store import DocumentKind, NodeStore
from council_node.policy_file import Class2, read_policy, set_paused
from council_node.receipts import find_receipt, receipt_text
from council_node.service import enrol_node, run_node
from council_node.settings import Settings, read_settings
from council_node.setup import NewNode, make_node
from council_node.status import node_status, print_status
from federated.agreement import Agreement
from federated.agreement_words import describe
from federated.errors import FileProblem
from federated.keys import fingerprint, public_line, read_private_key
from federated.shell import main_of, new_app, now_utc, output
from protocols.identifiers import CouncilId, Digest

__all__ = ["app", "main"]

app = new_app("A council's node: answers approved questions from the council's own extract. No record leaves.")
ledger = new_app("The privacy ledger: what every question has cost this council's residents.")
app.add_typer(ledger, name="ledger")

Node = Annotated[Path, typer.Option("--settings", "-s", help="The node's settings file.")]
DEFAULT = Path("node.yaml")
Plan = Annotated[str, typer.Argument(help="Digest of the plan, or its first digits.")]
By = Annotated[str, typer.Option("--by", help="Your name.")]
Role = Annotated[str, typer.Option("--role", help="Your role, for example 'data protection officer'.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in a sentence; it is kept.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder to make.")],
    council: Annotated[str, typer.Option("--council", help="The council's GSS code, for example E06000001.")],
    coordinator: Annotated[str, typer.Option("--coordinator", help="Id of the coordinator.")],
    address: Annotated[str, typer.Option("--address", help="Its host and port.")],
    trust: Annotated[Path, typer.Option("--trust", help="YAML file with the public keys to believe.")],
    mapping: Annotated[Path, typer.Option("--mapping", help="Mapping file of the case extract.")],
    ca_file: Annotated[Path | None, typer.Option("--ca-file", help="Certificate authority of the coordinator.")] = None,
    server_name: Annotated[str | None, typer.Option("--server-name", help="Name its certificate is for.")] = None,
    *,
    automatic: Annotated[
        bool, typer.Option("--automatic", help="Answer what passes every check without asking.")
    ] = False,
    class_2: Annotated[
        Class2, typer.Option("--class-2", help="The most sensitive columns an agreement allows: ask a person, or not.")
    ] = Class2.PERSON,
    enrol_now: Annotated[bool, typer.Option("--enrol", help="Send the new public key to the coordinator too.")] = False,
    agreement: Annotated[
        Path | None, typer.Option("--agreement", help="Accept this signed agreement too; you have read it.")
    ] = None,
) -> None:
    """Make a node: settings, key, policy and folders.

    Example: council-node init node --council E06000001 --coordinator pilot --address coordinator.example:443
    --trust trust.yaml --mapping case-mapping.yaml
    """
    new = NewNode(
        folder=folder,
        council=council,
        coordinator=coordinator,
        address=address,
        trust=trust,
        mapping=mapping,
        ca_file=ca_file,
        server_name=server_name,
        automatic=automatic,
        class_2=class_2,
    )
    settings, key = make_node(new)
    output.print(f"Made a node for {settings.council.name} in {folder}.", markup=False)
    output.print(f"Public key: {public_line(key.public)}")
    output.print(f"Fingerprint, to read out by telephone: {fingerprint(key.public)}")
    if agreement is not None:
        _accept(agreement, settings, yes=True)
    if enrol_now:
        enrol(folder / "node.yaml")
    else:
        output.print("Next: council-node enrol, then accept the agreement, then run.")


@app.command()
def enrol(settings: Node = DEFAULT) -> None:
    """Send this council's public key to the coordinator, to be put on the list of councils.

    Example: council-node enrol
    """
    output.print(
        f"Sent. Read this fingerprint out by telephone to the people who sign the list: {enrol_node(settings)}"
    )


@app.command()
def accept(
    agreement: Annotated[Path, typer.Argument(help="The signed agreement.")],
    settings: Node = DEFAULT,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Accept without asking, when you have read it already.")] = False,
) -> None:
    """Read a signed agreement in plain words, and accept it for this council.

    Example: council-node accept agreement.dsse
    """
    _accept(agreement, read_settings(settings), yes=yes)


def _accept(path: Path, settings: Settings, *, yes: bool) -> None:
    def confirm(found: Agreement) -> bool:
        for line in describe(found):
            output.print(line, markup=False)
        return yes or typer.confirm("Does this council accept it?")

    accepted = accept_agreement(path, settings, confirm=confirm, now=now_utc())
    said = "Nothing was accepted." if accepted is None else f"Accepted: {accepted.id}, version {accepted.version}."
    output.print(said, markup=False)


@app.command()
def run(settings: Node = DEFAULT) -> None:
    """Connect to the coordinator and answer until stopped.

    Example: council-node run --settings node.yaml
    """
    run_node(settings)


@contextmanager
def _decisions(path: Path) -> Iterator[tuple[Decisions, NodeStore]]:
    settings = read_settings(path)
    needed = read_policy(settings.policy).approvals_needed
    with NodeStore.open(settings.store_file) as store:
        yield Decisions(store, CouncilId(settings.council.id), read_private_key(settings.keys.identity), needed), store


def _plan_digest(store: NodeStore, text: str) -> Digest:
    """The proposal whose digest begins so."""
    found = [item.name for item in store.all_latest(DocumentKind.DECISION) if item.name.startswith(text.lower())]
    if len(found) != 1:
        raise FileProblem(
            f"{len(found)} proposed questions have a digest that begins with '{text}'.",
            remedy="`council-node status` lists them; give more digits.",
        )
    return Digest(bytes.fromhex(found[0]))


def _decided(decision: Decision) -> None:
    said = f" ({decision.rule}: {decision.reason})" if decision.rule else f" {decision.reason}"
    output.print(f"{decision.title}: {decision.verdict.value}{said}".rstrip(), markup=False)


@app.command()
def approve(plan: Plan, by: By, role: Role, settings: Node = DEFAULT, reason: Reason = "") -> None:
    """Approve a question that waits for a decision.

    Example: council-node approve 3f2a --by "A Person" --role "data protection officer"
    """
    with _decisions(settings) as (decisions, store):
        _decided(decisions.approve(_plan_digest(store, plan), by=by, role=role, reason=reason, now=now_utc()))


@app.command()
def refuse(plan: Plan, by: By, role: Role, reason: Reason, settings: Node = DEFAULT) -> None:
    """Refuse a question; the reason is sent to whoever asked.

    Example: council-node refuse 3f2a --by "A Person" --role "data protection officer" --reason "Purpose unclear"
    """
    with _decisions(settings) as (decisions, store):
        _decided(decisions.refuse(_plan_digest(store, plan), by=by, role=role, reason=reason, now=now_utc()))


@app.command()
def withdraw(plan: Plan, by: By, role: Role, reason: Reason, settings: Node = DEFAULT) -> None:
    """Take an approval back; it holds for every round whose data has not been read yet.

    Example: council-node withdraw 3f2a --by "A Person" --role "data protection officer" --reason "New advice"
    """
    with _decisions(settings) as (decisions, store):
        _decided(decisions.withdraw(_plan_digest(store, plan), by=by, role=role, reason=reason, now=now_utc()))


@app.command()
def pause(settings: Node = DEFAULT) -> None:
    """Answer nothing from now on; the node stays connected and says so.

    Example: council-node pause
    """
    set_paused(read_settings(settings).policy, paused=True)
    output.print("Paused. Questions are refused until `council-node resume`.")


@app.command()
def resume(settings: Node = DEFAULT) -> None:
    """Take part again.

    Example: council-node resume
    """
    set_paused(read_settings(settings).policy, paused=False)
    output.print("This council takes part again.")


@app.command()
def status(settings: Node = DEFAULT, *, as_json: AsJson = False) -> None:
    """Show what waits for a decision, what was decided, and what has been spent. Works while the node runs.

    Example: council-node status
    """
    found = node_status(read_settings(settings))
    if as_json:
        output.print_json(json.dumps(found.as_json()))
    else:
        print_status(found)


@app.command()
def receipt(
    sid: Annotated[str | None, typer.Argument(help="Round id, or its first digits; the latest when left out.")] = None,
    settings: Node = DEFAULT,
    *,
    as_json: AsJson = False,
) -> None:
    """Show the receipt of a question: what was read, what left the building, what it cost.

    Example: council-node receipt
    """
    with NodeStore.open(read_settings(settings).store_file) as store:
        found = find_receipt(store, sid)
    output.print(found.encode().decode() if as_json else receipt_text(found), markup=False)


@ledger.command("show")
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


@ledger.command("verify")
def ledger_verify(settings: Node = DEFAULT) -> None:
    """Walk the whole chain and recompute every hash.

    Example: council-node ledger verify
    """
    with _ledger(settings) as opened:
        opened.verify()
        output.print(f"The ledger is whole: {opened.counter} entries, last hash {opened.head.hex()}.")


@ledger.command("reconcile")
def ledger_reconcile(by: By, reason: Reason, settings: Node = DEFAULT) -> None:
    """Let an exhausted ledger take charges again. For the council's privacy reviewer; stop the node first.

    Example: council-node ledger reconcile --by "A Person" --reason "Restored from a backup; nothing was asked since"
    """
    loaded = read_settings(settings)
    with Ledger.open(loaded.ledger_file, CouncilId(loaded.council.id)) as opened:
        entry = opened.reconcile(by=by, reason=reason, now=now_utc())
    output.print(f"Reconciled as entry {entry.counter}.")


@ledger.command("restore")
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


main = main_of(app)
