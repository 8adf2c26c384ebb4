"""`council-node pack`, `purge` and `handover`: what this council can show, delete and hand over.

What they need is imported when they are typed: every start of a node would pay for it otherwise.
"""

import json
import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from council_node.commands.options import DEFAULT, AsJson, By, Node, Reason, Role
from council_node.ledger import Ledger
from council_node.node_store import NodeStore
from council_node.settings import read_bytes, read_settings
from federated.agreement import AGREEMENT_TYPE, Agreement, parse_agreement
from federated.errors import FileProblem
from federated.keys import read_private_key
from federated.shell import new_app, now_utc, output
from federated.signing import unsafe_payload
from protocols.identifiers import CouncilId

if TYPE_CHECKING:
    from council_node.proof.facts import Facts

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
    from council_node.proof.evidence import write_evidence  # noqa: PLC0415 - see the top of this module

    loaded = read_settings(settings)
    count = write_evidence(loaded, out, now=now_utc())
    output.print(f"Wrote {out} with {count} members. Check it with: federated verify {out}", markup=False)


Out = Annotated[Path | None, typer.Option("--out", "-o", help="Write it to this new file.")]
Proposed = Annotated[
    list[Path] | None,
    typer.Option("--agreement", help="Draft from this agreement too, signed or not, before it is accepted."),
]


@app.command("dpia")
def pack_dpia(settings: Node = DEFAULT, out: Out = None, agreement: Proposed = None) -> None:
    """Draft a data protection impact assessment on the seven steps of the Information Commissioner's Office.

    Example: council-node pack dpia --out dpia.md
    """
    _make("dpia", settings, out, agreement)


@app.command("agreement")
def pack_agreement(
    settings: Node = DEFAULT,
    out: Out = None,
    agreement: Proposed = None,
    *,
    diff: Annotated[
        Path | None, typer.Option("--diff", help="Show what changed since this older version, instead.")
    ] = None,
) -> None:
    """Draft a data sharing agreement in words, or show what changed since an older draft.

    Example: council-node pack agreement --diff agreement-january.md
    """
    from council_node.proof.packs import Kind, difference  # noqa: PLC0415 - see the top of this module

    if diff is None:
        _make("agreement", settings, out, agreement)
        return
    found = tuple(difference(diff, Kind.AGREEMENT, _facts(settings, agreement), _today()))
    for line in found:
        output.print(line, markup=False)
    if not found:
        output.print("Nothing has changed.")


@app.command("privacy-notice")
def pack_privacy_notice(settings: Node = DEFAULT, out: Out = None) -> None:
    """Draft the paragraph about statistics for the council's privacy notice.

    Example: council-node pack privacy-notice --out notice.md
    """
    _make("privacy-notice", settings, out, None)


@app.command("register")
def pack_register(settings: Node = DEFAULT, out: Out = None, agreement: Proposed = None) -> None:
    """Draft an entry for the public register of information sharing (Digital Economy Act 2017).

    Example: council-node pack register --out register.md
    """
    _make("register", settings, out, agreement)


@app.command("data-flow")
def pack_data_flow(settings: Node = DEFAULT, out: Out = None, agreement: Proposed = None) -> None:
    """Show how data flows: as text, or as a picture when the file's name ends in .svg.

    Example: council-node pack data-flow --out data-flow.svg
    """
    _make("data-flow", settings, out, agreement)


@app.command("check")
def pack_check(
    file: Annotated[Path, typer.Argument(help="A pack made earlier.")],
    settings: Node = DEFAULT,
    agreement: Proposed = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Say whether a pack still agrees with the settings, and name what changed.

    Example: council-node pack check dpia.md
    """
    from council_node.proof.packs import check_pack_file  # noqa: PLC0415 - see the top of this module

    found = check_pack_file(file, _facts(settings, agreement))
    if as_json:
        output.print_json(
            json.dumps({"pack": found.kind, "made_on": found.made_on, "changed": found.changed, "edited": found.edited})
        )
    else:
        for line in found.changed:
            output.print(line, markup=False)
        if found.edited:
            output.print("Its text was edited by people, or by other software, since: only its facts were compared.")
    if found.changed:
        raise FileProblem(
            f"The pack {file} of {found.made_on} does not agree with the settings any more: {len(found.changed)} "
            "fact(s) changed.",
            remedy="Read what changed, make the pack again, and have it looked at.",
        )
    if not as_json:
        output.print(f"The pack of {found.made_on} agrees with the settings.")


def _make(name: str, settings: Path, out: Path | None, agreement: list[Path] | None) -> None:
    from council_node.proof.packs import Kind, make_pack  # noqa: PLC0415 - see the top of this module

    kind = Kind(name)
    picture = kind is Kind.DATA_FLOW and out is not None and out.suffix.lower() == ".svg"
    text = make_pack(kind, _facts(settings, agreement), _today(), picture=picture)
    if out is None:
        output.print(text, markup=False, end="")
        return
    write_new(out, text)
    output.print(f"Wrote {out}. Later, check it with: council-node pack check {out}", markup=False)


def _facts(settings: Path, agreement: list[Path] | None) -> "Facts":
    from council_node.proof.facts import live_facts  # noqa: PLC0415 - see the top of this module

    return live_facts(read_settings(settings), proposed=[read_proposed(path) for path in agreement or ()])


def _today() -> str:
    return now_utc().date().isoformat()


def read_proposed(path: Path) -> Agreement:
    """An agreement to draft from: signed or a plain draft. Nothing is accepted by it, so no signature is asked for.

    Raises:
        FileProblem: It cannot be read, or is not an agreement.
    """
    content = read_bytes(path, "agreement")
    payload = unsafe_payload(content, AGREEMENT_TYPE) if content.lstrip().startswith(b"{") else content
    return parse_agreement(payload, source=str(path))


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
    from council_node.proof.purge import Scope, purge  # noqa: PLC0415 - see the top of this module

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
    from council_node.proof.handover import handover, handover_text  # noqa: PLC0415 - see the top of this module

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
