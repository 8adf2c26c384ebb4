"""Deleting stored answers when their time is over, with a signed record of what, who and why (requirement R24).

Answers go, and the signed questions that can no longer be asked. Decisions, receipts, records and the privacy ledger
stay: they say what the council did, and hold no answer.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from council_node.ledger_book import LedgerBook
from council_node.node_store import Document, DocumentKind, NodeStore
from council_node.receipts import receipts
from federated.errors import FederatedError
from federated.keys import SigningKey
from federated.plan import PLAN_TYPE
from federated.signing import sign_statement, unsafe_payload
from federated.timestamps import parse_time, time_text
from protocols.encoding import Json, sha256
from protocols.identifiers import CouncilId

__all__ = ["PURGE_KIND", "Purge", "Scope", "purge"]

PURGE_KIND: Final = "purge-record"
"""Kind of signed statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which answers are deleted: all, or those kept here before a day, or those whose manifest says their time is over.

    Attributes:
        before: Answers that came before this day, UTC; None for no such limit.
        expired_on: Answers that their manifest lets be kept until an earlier day than this; None for no such limit.
    """

    before: date | None = None
    expired_on: date | None = None

    @property
    def words(self) -> str:
        """For the record."""
        if self.before is not None:
            return f"answers that came before {self.before}"
        if self.expired_on is not None:
            return f"answers that were to be kept until a day before {self.expired_on}"
        return "all answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """What was deleted."""

    answers: int
    questions: int
    record: bytes

    @property
    def words(self) -> str:
        """For whoever asked for it."""
        if not self.record:
            return "There is nothing to delete: no stored answer fits."
        return (
            f"Deleted {self.answers} answer(s) and {self.questions} finished question(s), with a signed record. "
            "Copies in backups go when the backups do; the disk itself may keep old blocks, so keep it encrypted."
        )


def purge(
    store: NodeStore,
    ledger: LedgerBook,
    key: SigningKey,
    scope: Scope,
    *,
    by: str,
    role: str,
    reason: str,
    now: datetime,
) -> Purge:
    """Delete stored answers. Run by `council-node purge`.

    Args:
        store: The node's store.
        ledger: Its ledger, only to say in the record where it stood.
        key: Signs the record.
        scope: Which answers.
        by: Who decided it.
        role: In which role.
        reason: Why.
        now: Time, UTC.

    Returns:
        What was deleted. Nothing is written when there is nothing to delete.
    """
    answers = tuple(_answers(store, scope))
    questions = tuple(_finished_questions(store, scope, now))
    if not answers and not questions:
        return Purge(answers=0, questions=0, record=b"")
    body: dict[str, Json] = {
        "version": 1,
        "council": CouncilId(ledger.council),
        "time": time_text(now),
        "by": by,
        "role": role,
        "reason": reason,
        "scope": scope.words,
        "removed": [_line(document) for document in (*answers, *questions)],
        "ledger_counter": ledger.counter,
        "ledger_head": ledger.head.hex(),
    }
    record = sign_statement(PURGE_KIND, body, key)
    kept = Document(kind=DocumentKind.PURGE, name="purge", revision=0, saved_at=now, body=record)
    store.remove([(document.kind, document.name) for document in (*answers, *questions)], kept)
    store.compact()
    return Purge(answers=len(answers), questions=len(questions), record=record)


def _answers(store: NodeStore, scope: Scope) -> Iterator[Document]:
    until = {receipt.sid: receipt.purpose.kept_until for receipt in receipts(store) if receipt.purpose is not None}
    for document in store.all_latest(DocumentKind.RELEASE):
        kept_until = until.get(document.name)
        over = scope.expired_on is None or (
            kept_until is not None and date.fromisoformat(kept_until) < scope.expired_on
        )
        if over and _old_enough(document, scope):
            yield document


def _old_enough(document: Document, scope: Scope) -> bool:
    return scope.before is None or document.saved_at.date() < scope.before


def _finished_questions(store: NodeStore, scope: Scope, now: datetime) -> Iterator[Document]:
    """Signed questions past their last day: they can never be asked again. Their manifest is told of in the receipt."""
    for document in store.all_latest(DocumentKind.PROPOSAL):
        if scope.expired_on is None and _old_enough(document, scope) and _over(document.body, now):
            yield document


def _over(body: bytes, now: datetime) -> bool:
    try:
        envelope = json.loads(body)["plan"].encode("utf-8")
        terms: Any = json.loads(unsafe_payload(envelope, PLAN_TYPE))["terms"]
        return parse_time(terms["not_after"]) < now
    except (FederatedError, ValueError, KeyError, TypeError, AttributeError):
        return False  # kept by other software: left alone


def _line(document: Document) -> Json:
    return {
        "kind": document.kind.value,
        "name": document.name,
        "size": len(document.body),
        "sha256": sha256(document.body).hex(),
        "saved_at": time_text(document.saved_at),
    }
