"""Collects the evidence pack: what this council decided, answered, spent and deleted, in one signed file.

Never a private key, and never a value of a case: the node keeps none. Never an exact count of the extract either: the
pack is made to be shown, and receipts go into it without them. Settings are listed one by one, so that one that is
added later, and may be secret, is not in the pack by accident.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from council_node.durable_sqlite import connect, plain_errors
from council_node.ledger_file import NAME as LEDGER_NAME
from council_node.node_store import Document, DocumentKind, NodeStore
from council_node.policy_file import Policy, read_policy
from council_node.proof.words import fill
from council_node.receipt_form import open_receipt
from council_node.settings import Settings
from federated.budget_statement import STATEMENT_KIND
from federated.errors import FileProblem
from federated.evidence_pack import write_pack
from federated.keys import SigningKey, fingerprint, public_line, read_private_key
from federated.ledger_copy import LedgerCopy, read_ledger_copy
from federated.roster import ROSTER_TYPE, parse_roster
from federated.signing import sign_statement, unsafe_payload
from federated.timestamps import day
from protocols.identifiers import CouncilId

__all__ = ["collect_evidence", "public_settings", "write_evidence"]

SOFTWARE: Final = f"council-federation {version('council-federation')}"
_SETTINGS: Final[dict[str, Any]] = {
    "settings": True,
    "council": True,
    "coordinator": {"id", "address", "server_name"},
    "trust": True,
    "roles": True,
    "limits": True,
    "log_level": True,
}
"""Settings that go into the pack. Left out: the places of files and keys, and the proxy, whose address can hold a
password."""


def public_settings(settings: Settings) -> dict[str, Any]:
    """The settings that may be shown, and the names of the data sets."""
    shown: dict[str, Any] = settings.model_dump(mode="json", include=_SETTINGS)
    return shown | {"data": sorted(settings.data)}


def write_evidence(settings: Settings, out: Path, *, now: datetime) -> int:
    """Write the evidence pack. Run by `council-node pack evidence`, also while the node runs.

    Args:
        settings: Of the node.
        out: The archive to make; a file that is there is never overwritten.
        now: Time, UTC.

    Returns:
        How many members it has, the signed list aside.

    Raises:
        FileProblem: Something of the node cannot be read, or the archive cannot be written.
    """
    key = read_private_key(settings.keys.identity)
    with NodeStore.open(settings.store_file) as store:
        members = collect_evidence(settings, store, read_policy(settings.policy), key, now=now)
    council = CouncilId(settings.council.id)
    write_pack(out, members, council=council, council_name=settings.council.name, key=key, software=SOFTWARE, now=now)
    return len(members)


def collect_evidence(
    settings: Settings, store: NodeStore, policy: Policy, key: SigningKey, *, now: datetime
) -> dict[str, bytes]:
    """Every member of the pack by name."""
    content = _ledger_bytes(settings.ledger_file)
    ledger = read_ledger_copy(content)
    if ledger.state.council != settings.council.id:
        raise FileProblem(
            f"The ledger is council {ledger.state.council}'s, but the settings name council {settings.council.id}.",
            remedy="Use each council's own state folder.",
        )
    members = {
        "ledger.db": content,
        "budget-statement.dsse": sign_statement(STATEMENT_KIND, ledger.state.statement(now).canonical(), key),
        "settings.json": _json(public_settings(settings)),
        "policy.json": _json(policy.model_dump(mode="json")),
        **dict(_agreements(settings.agreements)),
        **dict(_documents(store)),
    }
    return {"README.md": _readme(settings, key, members, ledger, now), **members}


def _ledger_bytes(path: Path) -> bytes:
    """A consistent copy of the ledger's file, also while the node writes to it."""
    with plain_errors(path, LEDGER_NAME), closing(connect(path, LEDGER_NAME, read_only=True)) as connection:
        return connection.serialize()


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).encode("utf-8") + b"\n"


def _agreements(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.glob("*.dsse")):
        try:
            yield f"agreements/{path.name}", path.read_bytes()
        except OSError as error:
            raise FileProblem(f"The agreement {path} cannot be read: {error.strerror}.") from error


def _documents(store: NodeStore) -> Iterator[tuple[str, bytes]]:
    for document in store.all_latest(DocumentKind.DECISION):
        yield from _decisions(store.history(DocumentKind.DECISION, document.name))
    for document in store.all_latest(DocumentKind.PROPOSAL):
        proposed = json.loads(document.body)
        yield f"questions/{document.name}.plan.dsse", proposed["plan"].encode("utf-8")
        yield f"questions/{document.name}.manifest.dsse", proposed["manifest"].encode("utf-8")
    for document in store.history(DocumentKind.ROSTER, "current"):
        roster = parse_roster(unsafe_payload(document.body, ROSTER_TYPE))
        yield f"rosters/epoch-{roster.epoch}.dsse", document.body
    for document in store.all_latest(DocumentKind.RECEIPT):
        # Two packs held against each other would show one household that joined, and nobody paid for that.
        yield f"receipts/{document.name}.json", open_receipt(document.body).for_others().encode()
    for kind, folder, suffix in (
        (DocumentKind.RELEASE, "releases", "json"),
        (DocumentKind.DELETION, "deletions", "dsse"),
    ):
        for document in store.all_latest(kind):
            yield f"{folder}/{document.name}.{suffix}", document.body
    for document in store.history(DocumentKind.PURGE, "purge"):
        yield f"purges/{document.revision}.dsse", document.body


def _decisions(history: tuple[Document, ...]) -> Iterator[tuple[str, bytes]]:
    """Every act on one question: as it was signed and sent, and as it is kept here with who decided and why."""
    for document in history:
        place = f"decisions/{document.name}/{document.revision}"
        yield f"{place}.json", document.body
        envelope = json.loads(document.body)["envelope"].encode("ascii")
        if envelope:
            yield f"{place}.dsse", envelope
        record = json.loads(document.body).get("record", "").encode("ascii")
        if record:
            yield f"records/{document.name}/{document.revision}.dsse", record


def _readme(settings: Settings, key: SigningKey, members: dict[str, bytes], ledger: LedgerCopy, now: datetime) -> bytes:
    counts = {
        folder: sum(name.startswith(f"{folder}/") for name in members)
        for folder in ("receipts", "releases", "deletions", "purges", "rosters", "agreements", "records")
    }
    values = {
        "council": settings.council.model_dump(),
        "day": day(now),
        "public_key": public_line(key.public),
        "fingerprint": fingerprint(key.public),
        "counts": counts,
        "decisions": sum(name.startswith("decisions/") and name.endswith(".dsse") for name in members),
        "questions": sum(name.endswith(".plan.dsse") for name in members),
        "entries": len(ledger.entries),
        "officer": settings.roles.data_protection_officer,
    }
    return fill("evidence.md", values).encode("utf-8")
