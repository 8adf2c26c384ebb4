"""`federated roster`, `agreement` and `manifest`: the files people sign."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from federated.agreement import AGREEMENT_TYPE, check_schema, parse_agreement
from federated.agreement_words import describe
from federated.errors import ExitStatus, FileProblem
from federated.keys import SigningKey, public_line, read_private_key
from federated.manifest import MANIFEST_TYPE, Severity, lint_payload
from federated.roster import ROSTER_TYPE, check_follows, describe_changes, parse_roster
from federated.schema import load_schema
from federated.shell import new_app, output
from federated.signing import add_signature, sign_payload, signature_count, unsafe_payload

roster = new_app("The list of councils. Two people sign it, neither of them the coordinator.")
agreement = new_app("The data sharing agreement.")
manifest = new_app("The manifest that explains a question.")

Key = Annotated[Path, typer.Option("--key", "-k", help="Your private key.")]
Signed = Annotated[Path, typer.Option("--out", "-o", help="Where to write the signed file.")]
Yes = Annotated[bool, typer.Option("--yes", help="Sign without asking, when you have read the file already.")]
Written = Annotated[Path, typer.Option("--out", "-o", help="Where to write it.")]

SUFFIX = ".dsse"


def read_file(path: Path, what: str) -> bytes:
    """A file's bytes.

    Raises:
        FileProblem: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileProblem(f"{path}: the {what} cannot be read ({error.strerror}).", remedy="Check the name.") from error


def write_file(path: Path, content: bytes, *, quiet: bool = False) -> None:
    """Write a file, and say so unless a program reads what is printed.

    Raises:
        FileProblem: It cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise FileProblem(f"{path}: the file cannot be written ({error.strerror}).") from error
    if not quiet:
        output.print(f"Wrote {path}", markup=False)


def is_signed(content: bytes) -> bool:
    """Whether a file is an envelope with signatures, rather than its plain content."""
    return content.lstrip().startswith(b'{"payload')


def content_of(content: bytes, payload_type: str) -> bytes:
    """The content to show before signing: of a plain file, or of one that others have signed."""
    return unsafe_payload(content, payload_type) if is_signed(content) else content


def _sign(content: bytes, payload_type: str, key: SigningKey) -> bytes:
    return add_signature(content, key) if is_signed(content) else sign_payload(content, payload_type, [key])


def _write_signed(path: Path, envelope: bytes, *, needed: str) -> None:
    write_file(path, envelope)
    output.print(f"Signatures on it now: {signature_count(envelope)}. {needed}", markup=False)


def _confirm(lines: Sequence[str], *, yes: bool) -> None:
    for line in lines:
        output.print(line, markup=False)
    if not yes:
        typer.confirm("Sign this?", abort=True)


@roster.command("sign")
def sign_roster(
    path: Annotated[Path, typer.Argument(help="The drafted roster, or one that somebody else has signed.")],
    key: Key,
    out: Signed,
    previous: Annotated[
        Path | None, typer.Option("--previous", help="The roster before, to show and check what changed.")
    ] = None,
    *,
    yes: Yes = False,
) -> None:
    """Read a roster, and sign it.

    Example: federated roster sign roster.yaml --key mine.key --out roster.dsse
    """
    content = read_file(path, "roster")
    old = None
    if previous is not None:
        old = parse_roster(content_of(read_file(previous, "previous roster"), ROSTER_TYPE), source=str(previous))
    new = parse_roster(content_of(content, ROSTER_TYPE), source=str(path))
    if old is not None:
        check_follows(old, new)
    _confirm(describe_changes(old, new), yes=yes)
    _write_signed(out, _sign(content, ROSTER_TYPE, read_private_key(key)), needed="Two people must sign it.")


@roster.command("show")
def show_roster(path: Annotated[Path, typer.Argument(help="A roster, signed or not.")]) -> None:
    """Show a roster in plain words.

    Example: federated roster show roster.dsse
    """
    found = parse_roster(content_of(read_file(path, "roster"), ROSTER_TYPE), source=str(path))
    for line in describe_changes(None, found):
        output.print(line, markup=False)
    for entry in found.councils.values():
        output.print(f"  {entry.id} {entry.name}\n    {public_line(entry.public_key)}", markup=False, soft_wrap=True)


@agreement.command("new")
def new_agreement(out: Written = Path("agreement.yaml")) -> None:
    """Write a template agreement to fill in.

    Example: federated agreement new --out agreement.yaml
    """
    write_file(out, _template("agreement.yaml"))


@agreement.command("show")
def show_agreement(path: Annotated[Path, typer.Argument(help="An agreement, signed or not.")]) -> None:
    """Say in plain words what an agreement allows.

    Example: federated agreement show agreement.dsse
    """
    found = parse_agreement(content_of(read_file(path, "agreement"), AGREEMENT_TYPE), source=str(path))
    for line in describe(found):
        output.print(line, markup=False)


@agreement.command("sign")
def sign_agreement(
    path: Annotated[Path, typer.Argument(help="The agreement, or one that somebody else has signed.")],
    key: Key,
    out: Signed,
    *,
    yes: Yes = False,
) -> None:
    """Check an agreement, read it, and sign it.

    Example: federated agreement sign agreement.yaml --key mine.key --out agreement.dsse
    """
    content = read_file(path, "agreement")
    found = parse_agreement(content_of(content, AGREEMENT_TYPE), source=str(path))
    check_schema(found, load_schema())
    _confirm(describe(found), yes=yes)
    needed = "Two people must sign it, unless every party's settings say that one is enough."
    _write_signed(out, _sign(content, AGREEMENT_TYPE, read_private_key(key)), needed=needed)


@manifest.command("new")
def new_manifest(out: Written = Path("manifest.yaml")) -> None:
    """Write a template manifest to fill in.

    Example: federated manifest new --out manifest.yaml
    """
    write_file(out, _template("manifest.yaml"))


@manifest.command("lint")
def lint_manifest(path: Annotated[Path, typer.Argument(help="The manifest.")]) -> None:
    """Check that a manifest is complete and clear; vague purposes are refused.

    Example: federated manifest lint manifest.yaml
    """
    findings = lint_payload(content_of(read_file(path, "manifest"), MANIFEST_TYPE))
    for finding in findings:
        output.print(f"{finding.severity.value}: {finding.field}: {finding.problem} {finding.advice}", markup=False)
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    if errors:
        raise typer.Exit(ExitStatus.INPUT)
    output.print("The manifest can be used." if not findings else "The manifest can be used; see the warnings.")


def _template(name: str) -> bytes:
    return resources.files("federated.templates").joinpath(name).read_bytes()
