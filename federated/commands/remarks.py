"""`federated remarks` and `board`: what was said of an answer, what changed as a result, minutes of the reviewers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import Field

from federated.agreement import Agreement
from federated.clauses import Day, Form, Line, Name, Prose
from federated.client import Client, Trusted, pick_agreement
from federated.commands.files import Key, Signed, Yes, is_signed, read_file, write_file
from federated.commands.questions import Named, Work, connect, digest_bytes
from federated.errors import FileProblem, PolicyRefusal, SignatureProblem
from federated.keys import read_private_key
from federated.papers import (
    Comment,
    Minutes,
    OutcomeNote,
    PaperKind,
    Ruling,
    open_comment,
    open_minutes,
    open_outcome,
    quorum,
    sign_minutes,
    sign_outcome,
    unsafe_claims,
    unsafe_minutes,
)
from federated.roster import RosterEntry
from federated.shell import new_app, now_utc, output
from federated.signing import add_signature, signature_count
from federated.workspace import DEFAULT_FILE, Workspace
from federated.yaml_document import read_form
from protocols.identifiers import CouncilId, Digest
from protocols.wire import analyst_pb2 as pb

__all__ = ["author_name", "board", "council_of", "hand_in", "remarks"]

remarks: typer.Typer = new_app("What councils and the department say of an answer: comments, and what changed.")
board: typer.Typer = new_app("Minutes of the reviewers of an agreement, who meet as its board.")

Answer = Annotated[str, typer.Argument(help="Digest of the answer.")]


class RulingForm(Form):
    """One decision of a meeting."""

    about: Line = Field(description="What it is about, in a line.")
    question: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="Digest of the question's plan, if it is about one."
    )
    decision: Line = Field(description="What was decided, in a line.")
    reason: Prose = Field(description="Why.")


class MinutesForm(Form):
    """Minutes as people write them."""

    minutes: Literal[1] = Field(description="Version of this form: always `1`.")
    agreement: Name = Field(description="Id of the agreement.")
    held_on: Day = Field(description="Day of the meeting.")
    present: Annotated[tuple[Line, ...], Field(min_length=1)] = Field(description="Who was there.")
    rulings: Annotated[tuple[RulingForm, ...], Field(min_length=1)] = Field(description="What was decided, and why.")


# Remarks


@remarks.command("bring")
def bring(
    comment: Annotated[Path, typer.Argument(help="A comment that a council's node signed.")],
    workspace: Work = DEFAULT_FILE,
) -> None:
    """Hand in a council's comment on an answer. You carry it: what counts is the council's own signature.

    Example: federated remarks bring comment.dsse
    """
    envelope = read_file(comment, "comment")
    with connect(workspace) as client:
        found = _comment(client.trusted(), envelope)
        hand_in(client, PaperKind.COMMENT, envelope)
    output.print(f"It stands beside answer {found.release.hex()[:16]}.")


@remarks.command("changed")
def changed(
    release: Answer,
    text: Annotated[Path, typer.Option("--text", "-t", help="File with the text, at most 4,000 characters.")],
    workspace: Work = DEFAULT_FILE,
    agreement: Named = None,
) -> None:
    """Say what changed as a result of an answer, signed with your key, for the register and the councils.

    Example: federated remarks changed 9c41… --text outcome.txt
    """
    try:
        words = read_file(text, "text").decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileProblem(f"{text}: the text cannot be read.", remedy="Save it as plain text in UTF-8.") from error
    key = Workspace.load(workspace).signing_key()
    with connect(workspace) as client:
        under = pick_agreement(client.trusted(), agreement)
        note = OutcomeNote(
            agreement=under.id,
            release=Digest(digest_bytes(release)),
            text=words,
            at=now_utc().replace(microsecond=0),
        )
        hand_in(client, PaperKind.OUTCOME, sign_outcome(note, key))


@remarks.command("show")
def show(release: Answer, workspace: Work = DEFAULT_FILE) -> None:
    """Show what was said of an answer; every signature is checked by the roster and the agreements.

    Example: federated remarks show 9c41…
    """
    subject = digest_bytes(release).hex()
    with connect(workspace) as client:
        trusted = client.trusted()
        kinds = (PaperKind.COMMENT, PaperKind.OUTCOME)
        found = [(kind, item) for kind in kinds for item in client.papers(kind, subject=subject)]
    for kind, item in found:
        output.print(_said(trusted, kind, item), markup=False)
    if not found:
        output.print("Nobody has said anything of it.")


def _said(trusted: Trusted, kind: PaperKind, item: pb.Paper) -> str:
    if item.hidden_at:
        return f"{kind} by {author_name(trusted, item.author)}: hidden by the operator. {item.hidden_reason}"
    try:
        if kind is PaperKind.COMMENT:
            comment = _comment(trusted, item.paper)
            seen = "for everybody" if comment.publish else "for the parties alone"
            return f"{author_name(trusted, comment.council)}, {comment.at:%d %B %Y}, {seen}: {comment.text}"
        name = str(unsafe_claims(item.paper, kind).get("agreement"))
        note = open_outcome(item.paper, _in_force(trusted.agreements, name))
    except (SignatureProblem, PolicyRefusal) as problem:
        return f"{kind} by {author_name(trusted, item.author)}: NOT SHOWN, its signature does not hold. {problem}"
    return f"What changed, {note.at:%d %B %Y}: {note.text}"


def _comment(trusted: Trusted, envelope: bytes) -> Comment:
    entry = council_of(trusted, envelope, PaperKind.COMMENT)
    return open_comment(envelope, council=entry.id, public_key=entry.public_key)


def council_of(trusted: Trusted, envelope: bytes, kind: PaperKind) -> RosterEntry:
    """The council that a paper of a council claims to be by, by which its signature is then checked.

    Raises:
        SignatureProblem: It is not in the list of councils.
    """
    entry = trusted.roster.councils.get(CouncilId(str(unsafe_claims(envelope, kind).get("council"))))
    if entry is None:
        raise SignatureProblem(f"The {kind} is by nobody in the list of councils.")
    return entry


def author_name(trusted: Trusted, author: str) -> str:
    """Name of the council that wrote a paper, or the first digits of a person's key."""
    entry = trusted.roster.councils.get(CouncilId(author))
    return f"key {author[:16]}" if entry is None else entry.name


def _in_force(agreements: Mapping[str, Agreement], name: str) -> Agreement:
    if name not in agreements:
        raise PolicyRefusal("agreement", "It is under an agreement that is not in force, or is none of yours.")
    return agreements[name]


def hand_in(client: Client, kind: PaperKind, envelope: bytes) -> None:
    """Bring a signed paper to the coordinator, and say so."""
    digest, added = client.add_paper(kind, envelope)
    output.print(f"{'Handed in' if added else 'It was there already'}: {digest.hex()}")


# Board


@board.command("sign")
def sign(
    minutes: Annotated[Path, typer.Argument(help="The minutes (YAML), or the file that another reviewer has signed.")],
    key: Key,
    out: Signed,
    *,
    yes: Yes = False,
) -> None:
    """Read the minutes of a meeting, and sign them. They count once more than half of the reviewers have signed.

    Example: federated board sign minutes.yaml --key mine.key --out minutes.dsse
    """
    content, signing = read_file(minutes, "minutes"), read_private_key(key)
    signed_before = is_signed(content)
    found = unsafe_minutes(content) if signed_before else _typed(content, minutes)
    for line in _lines(found):
        output.print(line, markup=False)
    if not yes:
        typer.confirm("Sign this?", abort=True)
    signed = add_signature(content, signing) if signed_before else sign_minutes(found, signing)
    write_file(out, signed)
    output.print(f"It carries {signature_count(signed)} signature(s).")


@board.command("bring")
def bring_minutes(
    minutes: Annotated[Path, typer.Argument(help="The signed minutes.")], workspace: Work = DEFAULT_FILE
) -> None:
    """Hand in minutes that a quorum of the reviewers has signed; the register shows them.

    Example: federated board bring minutes.dsse
    """
    envelope = read_file(minutes, "minutes")
    with connect(workspace) as client:
        name = str(unsafe_claims(envelope, PaperKind.MINUTES).get("agreement"))
        open_minutes(envelope, _in_force(client.trusted().agreements, name))
        hand_in(client, PaperKind.MINUTES, envelope)


@board.command("show")
def show_minutes(workspace: Work = DEFAULT_FILE) -> None:
    """Show the minutes of every meeting under your agreements; signatures are checked.

    Example: federated board show
    """
    with connect(workspace) as client:
        trusted, found = client.trusted(), client.papers(PaperKind.MINUTES)
    for item in found:
        if item.hidden_at:
            output.print(f"Minutes hidden by the operator. {item.hidden_reason}", markup=False)
            continue
        try:
            name = str(unsafe_claims(item.paper, PaperKind.MINUTES).get("agreement"))
            agreement = _in_force(trusted.agreements, name)
            read = open_minutes(item.paper, agreement)
        except (SignatureProblem, PolicyRefusal) as problem:
            output.print(f"NOT SHOWN: {problem}", markup=False)
            continue
        output.print(f"Signed by {len(read.signers)} reviewers; {quorum(agreement)} needed.")
        for line in _lines(read):
            output.print(line, markup=False)
    if not found:
        output.print("There are none.")


def _typed(content: bytes, path: Path) -> Minutes:
    form = read_form(MinutesForm, content, source=str(path), remedy="See docs/governance.md.")
    return Minutes(
        agreement=form.agreement,
        held_on=form.held_on,
        present=form.present,
        rulings=tuple(
            Ruling(
                plan=None if item.question is None else Digest(bytes.fromhex(item.question)),
                about=item.about,
                decision=item.decision,
                reason=item.reason,
            )
            for item in form.rulings
        ),
    )


def _lines(minutes: Minutes) -> tuple[str, ...]:
    rulings = (
        f"  {ruling.about}: {ruling.decision} {ruling.reason}"
        + (f" (question {ruling.plan.hex()[:16]})" if ruling.plan is not None else "")
        for ruling in minutes.rulings
    )
    present = ", ".join(minutes.present)
    return (f"Meeting of {minutes.held_on} under {minutes.agreement}. Present: {present}.", *rulings)
