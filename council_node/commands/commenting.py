"""`council-node comment`: what the council says of an answer it took part in, signed with the node's own key."""

from pathlib import Path
from typing import Annotated

import typer

from council_node.commands.options import DEFAULT, Node
from council_node.node_store import DocumentKind, NodeStore
from council_node.settings import read_settings
from federated.errors import FileProblem
from federated.keys import read_private_key
from federated.papers import Comment, sign_comment
from federated.release import Release, open_release
from federated.shell import now_utc, output
from protocols.identifiers import CouncilId

__all__ = ["read_words", "register"]


def comment(
    release: Annotated[str, typer.Argument(help="Digest or round id of the answer, or its first digits.")],
    text: Annotated[Path, typer.Option("--text", "-t", help="File with the text, at most 4,000 characters.")],
    settings: Node = DEFAULT,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the signed comment.")] = Path("comment.dsse"),
    staff_minutes: Annotated[
        int | None, typer.Option(help="Working minutes that the question took the council, if you want to say so.")
    ] = None,
    *,
    publish: Annotated[
        bool, typer.Option("--publish", help="It may stand beside the answer for everybody; otherwise for the parties.")
    ] = False,
) -> None:
    """Sign a comment on an answer this council took part in. Sends nothing: an analyst or reviewer hands it in.

    Example: council-node comment 9c41 --text comment.txt --publish
    """
    loaded = read_settings(settings)
    with NodeStore.open(loaded.store_file) as store:
        found = [open_release(document.body) for document in store.all_latest(DocumentKind.RELEASE)]
    answer = _answer(found, release)
    made = Comment(
        council=CouncilId(loaded.council.id),
        release=answer.digest,
        text=read_words(text),
        publish=publish,
        staff_minutes=staff_minutes,
        at=now_utc().replace(microsecond=0),
    )
    signed = sign_comment(made, read_private_key(loaded.keys.identity))
    try:
        out.write_bytes(signed)
    except OSError as error:
        raise FileProblem(f"{out}: the comment cannot be written ({error.strerror}).") from error
    seen = "everybody, once the figures are public" if publish else "the parties of the agreement alone"
    output.print(f"Wrote {out}, about “{answer.title}”. It will be shown to {seen}.", markup=False)
    output.print("Give it to an analyst or reviewer: federated remarks bring comment.dsse", markup=False)


def read_words(path: Path) -> str:
    """What somebody wrote for others to read.

    Raises:
        FileProblem: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileProblem(f"{path}: the text cannot be read.", remedy="Save it as plain text in UTF-8.") from error


def _answer(found: list[Release], digits: str) -> Release:
    wanted = digits.lower()
    matching = [
        item for item in found if wanted and (item.digest.hex().startswith(wanted) or item.sid.startswith(wanted))
    ]
    if len({release.digest for release in matching}) != 1:
        raise FileProblem(
            "This node holds no answer, or several, whose digest or round id begins so.",
            remedy="See 'council-node receipt' for the round id.",
        )
    return matching[0]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(comment)
