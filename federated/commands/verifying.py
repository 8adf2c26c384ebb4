"""`federated verify`: a release, an evidence pack or a ledger's copy, checked without trusting whoever sent it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from federated.budget_statement import STATEMENT_KIND, read_statement
from federated.commands.files import read_file
from federated.commands.questions import AsJson, Work, connect
from federated.errors import FileProblem
from federated.evidence_check import Finding, check_pack
from federated.evidence_pack import is_pack
from federated.keys import parse_public, trusted_keys
from federated.ledger_copy import check_stands_on, read_ledger_file
from federated.release import open_release
from federated.release_check import check_release
from federated.roster import open_past_roster
from federated.schema import load_schema
from federated.shell import output
from federated.signing import open_envelope, statement_type
from federated.trust import TrustSettings
from federated.workspace import DEFAULT_FILE, Workspace
from federated.yaml_document import read_form

__all__ = ["verify"]


def verify(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A release (release.json, as `submit --out` wrote it), or a council's evidence pack (.zip)."
        ),
    ] = None,
    workspace: Work = DEFAULT_FILE,
    *,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", help="A copy of a council's ledger to check. Needs no connection.")
    ] = None,
    statement: Annotated[
        Path | None, typer.Option("--statement", help="With --ledger: a budget statement the council signed.")
    ] = None,
    council_key: Annotated[
        str | None, typer.Option("--council-key", help="The council's public key, ed25519:..., as you compared it.")
    ] = None,
    trust: Annotated[
        Path | None, typer.Option("--trust", help="With a pack: YAML file with the public keys you believe.")
    ] = None,
    roster: Annotated[
        Path | None,
        typer.Option("--roster", help="With a release: the signed list of councils of its time, where keys changed."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a release, a council's evidence pack or a copy of its ledger, and say what is proven and what is not.

    A release is checked against the councils' own signatures, and its tables are made again from its totals; that asks
    the coordinator for the list of councils. A pack and a ledger are checked offline.

    Example: federated verify evidence.zip --council-key ed25519:0123...
    """
    _print_findings(_findings(path, workspace, ledger, statement, council_key, trust, roster), as_json=as_json)


def _findings(
    path: Path | None,
    workspace: Path,
    ledger: Path | None,
    statement: Path | None,
    council_key: str | None,
    trust: Path | None,
    roster: Path | None,
) -> Iterator[Finding]:
    if (path is None) == (ledger is None):
        raise FileProblem("Name one thing to check.", remedy="Give a release or an evidence pack, or --ledger COPY.")
    key = None if council_key is None else _public(council_key)
    if ledger is not None:
        yield from check_ledger(ledger, statement=statement, council_key=key)
    elif path is not None and is_pack(path):
        yield from check_pack(path, council_key=key, trust=None if trust is None else _read_trust(trust))
    elif path is not None:
        yield from _check_release(path, workspace, roster)


def _check_release(path: Path, workspace: Path, roster: Path | None) -> Iterator[Finding]:
    release = open_release(read_file(path, "release"))
    with connect(workspace) as client:
        trusted = client.trusted()
    listed = trusted.roster
    if roster is not None:
        listed = open_past_roster(read_file(roster, "list of councils"), Workspace.load(workspace).trust)
    for line in check_release(release, roster=listed, agreements=trusted.agreements, schema=load_schema()):
        yield Finding(proven=True, words=line)


def check_ledger(path: Path, *, statement: Path | None, council_key: bytes | None) -> Iterator[Finding]:
    """Check a copy of a ledger, and a budget statement against it where there is one."""
    copy = read_ledger_file(path)
    yield Finding(proven=True, words=copy.summary())
    if (statement is None) != (council_key is None):
        raise FileProblem(
            "A budget statement is checked with the council's key.", remedy="Give both --statement and --council-key."
        )
    if statement is None or council_key is None:
        words = (
            "That it is the council's, and its newest: no signature is on the ledger itself. Give a budget statement."
        )
        yield Finding(proven=False, words=words)
        return
    envelope = read_file(statement, "budget statement")
    opened = open_envelope(envelope, statement_type(STATEMENT_KIND), trusted_keys(council_key))
    yield Finding(proven=True, words=check_stands_on(read_statement(opened.payload, council=copy.state.council), copy))


def _public(line: str) -> bytes:
    try:
        return parse_public(line)
    except ValueError as error:
        raise FileProblem(f"--council-key {error}.", remedy="Copy the line from the list of councils.") from error


def _read_trust(path: Path) -> TrustSettings:
    return read_form(
        TrustSettings,
        read_file(path, "trust file"),
        source=str(path),
        remedy="It lists roster_keys and agreement_keys, as in a node's settings.",
    )


def _print_findings(findings: Iterator[Finding], *, as_json: bool) -> None:
    if as_json:
        output.print_json(json.dumps([{"proven": item.proven, "words": item.words} for item in findings]))
        return
    for item in findings:
        output.print(f"{'ok        ' if item.proven else 'not proven'}  {item.words}", markup=False)
