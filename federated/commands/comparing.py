"""`federated agreement diff` and `manifest diff`: what a new version changes, what got wider first, and who signed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from federated.agreement import AGREEMENT_TYPE, Agreement, parse_agreement
from federated.commands.files import content_of, is_signed, read_file
from federated.differences import Way, compare, version_warnings
from federated.errors import SignatureProblem
from federated.manifest import MANIFEST_TYPE, parse_manifest
from federated.manifest_form import Manifest
from federated.shell import errors, output
from federated.signing import open_envelope, signature_count
from federated.workspace import Workspace

__all__ = ["register_agreement", "register_manifest", "signature_words"]

Old = Annotated[Path, typer.Argument(help="The earlier version, signed or not.")]
New = Annotated[Path, typer.Argument(help="The later version, signed or not.")]
Pinned = Annotated[
    Path | None,
    typer.Option("--workspace", "-w", help="Workspace file, to check the signatures by the keys that it trusts."),
]
Under = Annotated[
    Path | None,
    typer.Option("--agreement", "-a", help="The agreement, to check that its analysts signed."),
]


def diff_agreements(old: Old, new: New, workspace: Pinned = None) -> None:
    """Say in plain words what changed between two versions: what got wider or looser first, and who signed each.

    Example: federated agreement diff agreement-1.dsse agreement-2.dsse --workspace federated.yaml
    """
    contents = [read_file(path, "agreement") for path in (old, new)]
    before, after = (
        parse_agreement(content_of(content, AGREEMENT_TYPE), source=str(path))
        for content, path in zip(contents, (old, new), strict=True)
    )
    trust = None if workspace is None else Workspace.load(workspace).trust
    keys, threshold = (None, 1) if trust is None else (trust.agreement, trust.agreement_threshold)
    for item, content in zip((before, after), contents, strict=True):
        _head(item, signature_words(content, AGREEMENT_TYPE, keys, threshold, name="--workspace"))
    _print(before, after)


def diff_manifests(old: Old, new: New, agreement: Under = None) -> None:
    """Say in plain words what changed between two versions: new uses, recipients and columns first, and who signed.

    Example: federated manifest diff manifest-1.dsse manifest-2.dsse --agreement agreement.dsse
    """
    contents = [read_file(path, "manifest") for path in (old, new)]
    before, after = (
        parse_manifest(content_of(content, MANIFEST_TYPE), source=str(path))
        for content, path in zip(contents, (old, new), strict=True)
    )
    keys = None
    if agreement is not None:
        payload = content_of(read_file(agreement, "agreement"), AGREEMENT_TYPE)
        keys = parse_agreement(payload, source=str(agreement)).analyst_keys
    for item, content in zip((before, after), contents, strict=True):
        _head(item, signature_words(content, MANIFEST_TYPE, keys, 1, name="--agreement"))
    _print(before, after)


def signature_words(
    content: bytes, payload_type: str, trusted: Mapping[str, bytes] | None, threshold: int, *, name: str
) -> str:
    """Who signed a file, in a sentence.

    Args:
        content: The file.
        payload_type: What it must have been signed as.
        trusted: Keys that count, by key id; None where none are known.
        threshold: How many of them must have signed.
        name: The option by which somebody can say whose keys count.
    """
    if not is_signed(content):
        return "Not signed."
    if trusted is None:
        return f"Carries {signature_count(content)} signature(s), not checked: name the keys with {name}."
    try:
        signers = open_envelope(content, payload_type, trusted, threshold).signers
    except SignatureProblem as problem:
        return f"NOT VALIDLY SIGNED. {problem}"
    return f"Validly signed with {len(signers)} trusted key(s); {threshold} needed."


def _head(item: Agreement | Manifest, signed: str) -> None:
    output.print(f"{item.id}, version {item.version} ({item.digest.hex()[:16]}). {signed}", markup=False)


def _print(before: Agreement | Manifest, after: Agreement | Manifest) -> None:
    for warning in version_warnings(before, after):
        errors.print(f"Warning: {warning}", style="yellow", markup=False)
    found = compare(before, after)
    for difference in found:
        output.print(difference.line, markup=False)
    looser = sum(difference.way is Way.LOOSER for difference in found)
    output.print(f"{len(found)} change(s), {looser} of them wider or looser." if found else "Nothing changed.")


def register_agreement(app: typer.Typer) -> None:
    """Add the command to `federated agreement`."""
    app.command("diff")(diff_agreements)


def register_manifest(app: typer.Typer) -> None:
    """Add the command to `federated manifest`."""
    app.command("diff")(diff_manifests)
