"""A question's review pack: what a forum needs to assess it once for many councils (requirement R33).

It is made from the signed files alone. What is this council's own (its decision, its names, what it has spent) is not
in it, so it may be handed on.
"""

import zipfile
from pathlib import Path
from typing import Final

from council_node.question_view import QuestionView
from federated.agreement import AGREEMENT_TYPE, parse_agreement
from federated.agreement_words import describe
from federated.errors import FileProblem
from federated.manifest import MANIFEST_TYPE
from federated.signing import unsafe_payload
from protocols.encoding import sha256

__all__ = ["pack_files", "write_pack"]

EARLIEST: Final = (1980, 1, 1, 0, 0, 0)
"""Time of every file in the pack, so that the same question gives the same bytes."""


def write_pack(view: QuestionView, path: Path) -> None:
    """Write the pack: one page where the name ends in ``.md``, all files where it ends in ``.zip``.

    Raises:
        FileProblem: The name ends in neither, or the file cannot be written.
    """
    try:
        match path.suffix.lower():
            case ".md":
                path.write_text(review_page(view), encoding="utf-8")
            case ".zip":
                _write_zip(view, path)
            case _:
                raise FileProblem(f"{path}: a pack is a .md or a .zip file.", remedy="Give it such a name.")
    except OSError as error:
        raise FileProblem(f"{path}: the pack cannot be written ({error.strerror}).") from error


def _write_zip(view: QuestionView, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in pack_files(view).items():
            archive.writestr(zipfile.ZipInfo(name, EARLIEST), content)


def pack_files(view: QuestionView) -> dict[str, bytes]:
    """Every file of the pack by name."""
    agreement = parse_agreement(unsafe_payload(view.signed.agreement, AGREEMENT_TYPE))
    files = {
        "review.md": review_page(view).encode("utf-8"),
        "agreement.txt": ("\n\n".join(describe(agreement)) + "\n").encode("utf-8"),
        "manifest.yaml": unsafe_payload(view.signed.manifest, MANIFEST_TYPE),
        "plan.json": view.plan.encode(),
        "signed/plan.dsse": view.signed.plan,
        "signed/manifest.dsse": view.signed.manifest,
        "signed/agreement.dsse": view.signed.agreement,
    }
    sums = "".join(f"{sha256(content).hex()}  {name}\n" for name, content in sorted(files.items()))
    return {"README.txt": _README.encode("utf-8"), **files, "SHA256SUMS": sums.encode("ascii")}


def review_page(view: QuestionView) -> str:
    """The question in plain words, as one page."""
    lines = [f"# {view.plan.question.title}", "", f"Plan {view.plan.digest.hex()}.", ""]
    for section in view.sections:
        lines += [f"## {section.title}", "", *(f"* {' '.join(line.split())}" for line in section.lines), ""]
    lines += [
        "## How a council uses this",
        "",
        "* A forum assesses the question once. Each council still decides for itself, in its own node.",
        '* It names the forum\'s decision with `council-node approve … --forum "…"`, and answers the red lines.',
    ]
    return "\n".join(lines) + "\n"


_README: Final = """\
A question that is put to councils, with all that is needed to judge it. No node and no data are needed.

review.md         the question in plain words: start here
agreement.txt     what the agreement allows, in plain words
manifest.yaml     the manifest as it was signed
plan.json         every figure of the plan, as each node derives it
signed/           the three files with their signatures
SHA256SUMS        checksums of all files

Nothing in this pack is about any one council: no decision, no name of its staff, no figure.
"""
