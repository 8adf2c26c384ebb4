"""Answers that were promised to this council and have not come by their day (requirement R12).

A council gives its part on the promise that the answer comes back to it. What is overdue is found from its own files
alone, so that a coordinator which keeps an answer to itself is noticed whatever it says.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from council_node.node_store import DocumentKind, NodeStore
from council_node.receipts import answer_of
from federated.ledger_entries import LedgerRound, RoundState
from federated.plan import PLAN_TYPE, read_terms
from federated.signing import unsafe_payload
from federated.timestamps import time_text
from protocols.identifiers import Digest

__all__ = ["Overdue", "overdue_answers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A question that this council answered, and whose answer has not come back.

    Attributes:
        title: Of the question.
        plan_digest: Of its plan.
        promised_by: When the answer should have been here.
    """

    title: str
    plan_digest: Digest
    promised_by: datetime

    def as_json(self) -> dict[str, str]:
        """For a program."""
        return {
            "title": self.title,
            "plan_digest": self.plan_digest.hex(),
            "promised_by": time_text(self.promised_by),
        }


def overdue_answers(store: NodeStore, rounds: Iterable[LedgerRound], now: datetime) -> tuple[Overdue, ...]:
    """The answers that are overdue, the longest first.

    Args:
        store: Of the node.
        rounds: Of its ledger. A question counts from the moment a charge for it was spent: then a part of this
            council's was sent, or may have been.
        now: Time, UTC.

    Returns:
        None for a question whose files were deleted here since: nobody knows its day any more.
    """
    waiting: dict[Digest, LedgerRound] = {}
    answered: set[Digest] = set()
    for item in rounds:
        if item.state is RoundState.SPENT:
            waiting[item.plan_digest] = item
            if answer_of(store, item.sid):
                answered.add(item.plan_digest)
    left = [item for digest, item in waiting.items() if digest not in answered]
    return tuple(sorted(_overdue(store, left, now), key=lambda item: item.promised_by))


def _overdue(store: NodeStore, left: Iterable[LedgerRound], now: datetime) -> Iterator[Overdue]:
    for item in left:
        document = store.latest(DocumentKind.PROPOSAL, item.plan_digest.hex())
        if document is None:
            continue
        # Our own file: the plan's signature was checked before it was kept.
        plan = json.loads(unsafe_payload(json.loads(document.body)["plan"].encode(), PLAN_TYPE))
        promised = read_terms(plan["terms"]).return_by
        if now > promised:
            yield Overdue(title=item.title, plan_digest=item.plan_digest, promised_by=promised)
