"""`federated submit`, `watch`, `show`, `releases`, `export`: the analyst's way from question to answer."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as Grid

from federated.client import Client
from federated.errors import FileProblem, QueryError, RoundAborted
from federated.manifest import Manifest, parse_manifest
from federated.plan import Plan
from federated.privacy import Charge
from federated.query import Query, load_query
from federated.release import Release
from federated.shell import now_utc, output
from federated.terminal_tables import print_release
from federated.workspace import DEFAULT_FILE, Workspace
from protocols.encoding import sha256
from protocols.wire import analyst_pb2 as pb

Question = Annotated[Path, typer.Argument(help="The question, a YAML file.")]
Work = Annotated[Path, typer.Option("--workspace", "-w", help="Workspace file: whom to ask and whom to trust.")]
Explained = Annotated[Path, typer.Option("--manifest", "-m", help="The manifest that explains the question.")]
Named = Annotated[str | None, typer.Option("--agreement", help="Id of the agreement, when several are in force.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
Folder = Annotated[Path | None, typer.Option("--out", "-o", help="Write the release in every format into this folder.")]


def connect(workspace: Path) -> Client:
    """The client of a workspace file, with the system's clock and entropy."""
    return Client(Workspace.load(workspace), clock=now_utc, rng=os.urandom)


def submit(
    question: Question,
    manifest: Explained,
    workspace: Work = DEFAULT_FILE,
    agreement: Named = None,
    out: Folder = None,
    *,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask afresh at a new charge, even if the answer is stored.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask the councils, follow their answers, and print the release.

    Example: federated submit question.yaml --manifest manifest.yaml --out answer
    """
    content = read_manifest(manifest)
    with connect(workspace) as client:
        trusted = client.trusted()
        planned = client.plan(load_query(question), agreement=agreement, manifest=content, trusted=trusted)
        names = {str(council): entry.name for council, entry in trusted.roster.councils.items()}
        if not as_json:
            output.print(f"Plan {planned.digest.hex()}")
        release = follow(client, client.submit(planned, content, refresh=refresh), names=names, quiet=as_json)
    # The stored answer to the identical question may have been asked with another manifest, which is not at hand.
    explained = parse_manifest(content) if sha256(content).hex() == release.manifest_digest else None
    _deliver(release, out, manifest=explained, as_json=as_json)


def watch(
    plan_digest: Annotated[str, typer.Argument(help="Digest of the plan.")], workspace: Work = DEFAULT_FILE
) -> None:
    """Follow a question handed in before.

    Example: federated watch 3f2a…
    """
    with connect(workspace) as client:
        names = {str(council): entry.name for council, entry in client.trusted().roster.councils.items()}
        follow(client, client.watch(digest_bytes(plan_digest)), names=names, quiet=False)


def show(
    release_digest: Annotated[str, typer.Argument(help="Digest of the release.")],
    workspace: Work = DEFAULT_FILE,
    out: Folder = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Fetch a release and print it; costs nothing.

    Example: federated show 9c41… --out answer
    """
    with connect(workspace) as client:
        release = client.release(release_digest=digest_bytes(release_digest))
    _deliver(release, out, as_json=as_json)


def releases(workspace: Work = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """List every release, newest first.

    Example: federated releases
    """
    with connect(workspace) as client:
        found = list(client.releases())
    if as_json:
        rows = [
            {
                "release": item.release_digest.hex(),
                "title": item.title,
                "at": item.released_at,
                "councils_in": item.councils_in,
                "councils_asked": item.councils_asked,
            }
            for item in found
        ]
        output.print_json(json.dumps(rows))
        return
    grid = Grid("Release", "Released", "Councils", "Title")
    for item in found:
        grid.add_row(
            item.release_digest.hex()[:16], item.released_at, f"{item.councils_in} of {item.councils_asked}", item.title
        )
    output.print(grid)


def read_manifest(path: Path) -> bytes:
    """A manifest's bytes.

    Raises:
        FileProblem: The file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileProblem(f"{path}: the manifest cannot be read ({error.strerror}).") from error


def digest_bytes(text: str) -> bytes:
    """A digest typed by a person, in full."""
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 32:  # noqa: PLR2004 - SHA-256
        raise QueryError(
            "A digest has 64 hexadecimal digits.", remedy="Copy it in full from `federated releases --json`."
        )
    return value


def follow(client: Client, steps: Iterable[pb.Progress], *, names: dict[str, str], quiet: bool) -> Release:
    """Print each step of a run as it comes, and fetch the release at its end.

    Raises:
        RoundAborted: The run ended without a release.
    """
    last: pb.Progress | None = None
    for step in steps:
        last = step
        if not quiet:
            who = names.get(step.council_id, step.council_id)
            where = pb.RunStage.Name(step.stage).removeprefix("RUN_STAGE_").replace("_", " ").lower()
            rule = f" [{step.rule}]" if step.rule else ""
            output.print(f"{where:18} {who:28} {step.message}{rule}".rstrip(), markup=False)
    if last is None or not last.release_digest:
        reason = last.message if last is not None else "the coordinator said nothing"
        raise RoundAborted(
            f"There is no release: {reason}", remedy="See docs/guides/analyst.md, “When there is no answer”."
        )
    return client.release(release_digest=last.release_digest)


def _deliver(release: Release, out: Path | None, *, as_json: bool, manifest: Manifest | None = None) -> None:
    from federated.outputs.writing import export_release  # noqa: PLC0415 - brings Jinja, which few commands need

    if as_json:
        output.print_json(release.encode().decode())
    else:
        print_release(release)
        output.print(f"\nRelease {release.digest.hex()}")
    if out is not None:
        for path in export_release(release, out, manifest=manifest):
            if not as_json:
                output.print(f"Wrote {path}", markup=False)


def cost_words(charge: Charge) -> str:
    """A charge as a person reads it."""
    rho = f"ρ = {float(charge.rho):.4g}"
    return rho if charge.epsilon is None else f"ε = {float(charge.epsilon):.4g} (pure), {rho}"


def register(app: typer.Typer) -> None:
    """Add these commands to `federated`."""
    for command in (submit, watch, show, releases):
        app.command()(command)


__all__ = [
    "Plan",
    "Query",
    "connect",
    "cost_words",
    "follow",
    "register",
]
