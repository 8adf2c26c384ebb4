"""Packs: drafts for data protection, made from the live facts, each with its facts in it so that it can be checked.

A pack is a Markdown page, or for the data flow a picture too, that ends with the facts it was made from. `make_pack`
makes it from facts alone; `check_pack_file` compares the facts in it with those of today, and says what changed.
"""

import difflib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from jinja2 import TemplateError

from council_node.proof.data_flow import FACTS_ID, data_flow_svg
from council_node.proof.facts import Facts
from council_node.proof.pack_words import values_of
from council_node.proof.words import fill
from federated.agreement_words import changes
from federated.errors import FileProblem
from protocols.encoding import canonical_json, sha256
from protocols.errors import LocalProtocolError

__all__ = ["Kind", "MadeFrom", "PackCheck", "check_pack_file", "difference", "facts_for", "make_pack"]

PACK_LIMIT: Final = 16 * 1024 * 1024
_MARK: Final = "## The facts this page was made from"
_FENCE: Final = re.compile(r"\n```json\n(\{.*?\n\})\n```\n*\Z", re.DOTALL)
_NO_PACK: Final = "Make it again with `council-node pack`, or check the file's name."


class Kind(StrEnum):
    """What a pack is."""

    DPIA = "dpia"
    AGREEMENT = "agreement"
    PRIVACY_NOTICE = "privacy-notice"
    REGISTER = "register"
    DATA_FLOW = "data-flow"


_SECTIONS: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.DPIA: ("council", "coordinator", "roles", "policy", "trust", "data", "agreements"),
    Kind.AGREEMENT: ("council", "policy", "data", "agreements"),
    Kind.PRIVACY_NOTICE: ("council", "roles", "data", "agreements"),
    Kind.REGISTER: ("council", "agreements"),
    Kind.DATA_FLOW: ("council", "coordinator", "data", "agreements"),
}
"""Sections of the facts that each kind is made from. A template that names anything else cannot be filled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFrom:
    """What a pack says it was made from.

    Attributes:
        kind: What it is.
        made_on: Day, as ``2026-01-31``.
        facts: The facts.
        text: The whole pack.
    """

    kind: Kind
    made_on: str
    facts: Facts
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackCheck:
    """How a pack stands today.

    Attributes:
        kind: What it is.
        made_on: When it was made.
        changed: What is different now, one sentence each; empty when nothing is.
        edited: Whether people changed its text since, so that only its facts could be compared.
    """

    kind: Kind
    made_on: str
    changed: tuple[str, ...]
    edited: bool


def facts_for(kind: Kind, facts: Facts) -> Facts:
    """The sections that a kind of pack is made from, every name in alphabetical order, as they are embedded."""
    used: Facts = json.loads(canonical_json({section: facts[section] for section in _SECTIONS[kind]}))
    return used


def make_pack(kind: Kind, facts: Facts, made_on: str, *, picture: bool = False) -> str:
    """Make a pack. The same facts and day give the same text.

    Args:
        kind: What to make.
        facts: From `live_facts`.
        made_on: Day, as ``2026-01-31``.
        picture: Whether to draw it; for the data flow only.
    """
    used = facts_for(kind, facts)
    embedded = _embedded(kind, used, made_on)
    if picture:
        return data_flow_svg(used, made_on, embedded)
    text = fill(f"{kind.value}.md", values_of(used, made_on)).rstrip()
    return (
        f"{text}\n\n{_MARK}\n\n`council-node pack check` compares them with the settings of today. Leave this part as "
        f"it is.\n\n```json\n{embedded}\n```\n"
    )


def _embedded(kind: Kind, facts: Facts, made_on: str) -> str:
    digest = sha256(canonical_json(facts)).hex()
    body = {"version": 1, "pack": kind.value, "made_on": made_on, "sha256": digest, "facts": facts}
    return json.dumps(body, indent=1, sort_keys=True, ensure_ascii=True)


def read_pack(path: Path) -> MadeFrom:
    """What a pack was made from.

    Raises:
        FileProblem: Not a pack, or its facts were changed by hand.
    """
    try:
        with path.open("rb") as file:
            text = file.read(PACK_LIMIT).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileProblem(f"The pack {path} cannot be read.", remedy=_NO_PACK) from error
    try:
        body: Any = json.loads(_facts_text(text))
        facts, made_on, kind = body["facts"], str(body["made_on"]), Kind(body["pack"])
        whole = isinstance(facts, dict) and body["version"] == 1
        whole = whole and body["sha256"] == sha256(canonical_json(facts)).hex()
    except (ValueError, KeyError, TypeError, RecursionError, LocalProtocolError) as error:
        raise FileProblem(f"{path} holds no facts of a pack.", remedy=_NO_PACK) from error
    if not whole or set(facts) != set(_SECTIONS[kind]):
        raise _changed_by_hand(path)
    return MadeFrom(kind=kind, made_on=made_on, facts=facts, text=text)


def _facts_text(text: str) -> str:
    found = _FENCE.search(text)
    if found is not None:
        return found.group(1)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # nothing of ours has one, and entities can be made to explode
        raise ValueError
    try:
        element = ET.fromstring(text).find(f".//*[@id='{FACTS_ID}']")  # noqa: S314 - no entity is left in it
    except ET.ParseError as error:
        raise ValueError from error
    if element is None or not element.text:
        raise ValueError
    return element.text


def check_pack_file(path: Path, facts: Facts) -> PackCheck:
    """Compare a pack with the facts of today. Run by `council-node pack check`.

    Args:
        path: The pack.
        facts: From `live_facts`.

    Raises:
        FileProblem: Not a pack, or its facts were changed by hand.
    """
    made = read_pack(path)
    with _of_our_form(path):
        again = make_pack(made.kind, made.facts, made.made_on, picture=made.text.lstrip().startswith("<"))
        changed = changes(made.facts, facts_for(made.kind, facts))
    return PackCheck(kind=made.kind, made_on=made.made_on, changed=changed, edited=again != made.text)


@contextmanager
def _of_our_form(path: Path) -> Iterator[None]:
    """Facts with a new checksum that are not of the form that a pack is made from are told in a sentence too."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, TemplateError) as error:
        raise _changed_by_hand(path) from error


def _changed_by_hand(path: Path) -> FileProblem:
    return FileProblem(f"The facts in {path} were changed by hand, or by other software.", remedy=_NO_PACK)


def difference(path: Path, kind: Kind, facts: Facts, made_on: str) -> Iterator[str]:
    """What is different between an older version of a pack, edited or not, and one made now.

    Yields:
        Each fact that changed, then each line of the text that did.

    Raises:
        FileProblem: Not a pack of that kind.
    """
    old = read_pack(path)
    if old.kind is not kind:
        raise FileProblem(f"{path} is a pack of kind '{old.kind}', not '{kind}'.", remedy=_NO_PACK)
    with _of_our_form(path):
        changed = changes(old.facts, facts_for(kind, facts))
    yield from changed
    before, after = (text.split(_MARK)[0].splitlines() for text in (old.text, make_pack(kind, facts, made_on)))
    for line in difflib.unified_diff(before, after, n=0, lineterm=""):
        if line.startswith(("+", "-")) and not line.startswith(("+++", "---")) and line[1:].strip():
            yield f"{'now' if line[0] == '+' else 'was'}  {line[1:]}"
