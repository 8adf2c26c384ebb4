"""What nodes say besides the protocol's own messages: decisions, refusals, complaints, receipts, faults.

All but faults are signed by the council's identity key and opened here against the roster. Their words are shown to
people, so they are cut to a length and to printable characters; nothing else in them is believed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from coordinator.choices import Decision, DecisionKind
from federated.budget_statement import STATEMENT_KIND
from federated.errors import SignatureProblem
from federated.keys import trusted_keys
from federated.signing import open_statement
from protocols.identifiers import CouncilId, Digest, RoundId

__all__ = [
    "Objection",
    "read_budget_statement",
    "read_complaint",
    "read_decision",
    "read_fault",
    "read_receipt",
    "read_refusal",
]

STATEMENT_LIMIT: Final = 2 * 1024 * 1024
RULE_MAX: Final = 64
REASON_MAX: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why a council will not go on.

    Attributes:
        rule: Name of its rule, or the code of its fault.
        reason: In its words.
        evidence: For a complaint about another council's message, that message, base64.
    """

    rule: str
    reason: str
    evidence: str = ""


def read_decision(envelope: bytes, *, council: CouncilId, key: bytes, plan_digest: Digest) -> Decision:
    """A council's decision on a plan.

    Args:
        envelope: Payload of its DECISION.
        council: Who sent it.
        key: Its key in the roster.
        plan_digest: The plan it was asked about.

    Raises:
        SignatureProblem: Not signed by that key, about another plan or council, or not of this form.
    """
    body = _open("decision", envelope, council, key)
    _expect(body, "plan_digest", plan_digest.hex(), council)
    try:
        kind = DecisionKind(str(body.get("decision")))
    except ValueError as error:
        raise SignatureProblem(f"The decision of {council} is none of approved, refused and pending.") from error
    return Decision(
        council=council,
        kind=kind,
        rule=_words(body.get("rule"), RULE_MAX),
        reason=_words(body.get("reason"), REASON_MAX),
        extract_date=_day(body.get("extract_date")),
    )


def read_refusal(envelope: bytes, *, council: CouncilId, key: bytes, sid: RoundId) -> Objection:
    """Why a council refuses a round it was invited to; raises `SignatureProblem` as `read_decision` does."""
    return _objection("refusal", envelope, council, key, sid)


def read_complaint(envelope: bytes, *, council: CouncilId, key: bytes, sid: RoundId) -> Objection:
    """What a council holds against a message of a round; raises `SignatureProblem` as `read_decision` does."""
    return _objection("complaint", envelope, council, key, sid)


def read_receipt(envelope: bytes, *, council: CouncilId, key: bytes, release_digest: Digest) -> None:
    """Check that a council acknowledges this very release; raises `SignatureProblem` otherwise."""
    body = _open("receipt", envelope, council, key)
    _expect(body, "release_digest", release_digest.hex(), council)


def read_budget_statement(envelope: bytes, *, council: CouncilId, key: bytes) -> None:
    """Check that a budget statement is the council's own; raises `SignatureProblem` otherwise."""
    _open(STATEMENT_KIND, envelope, council, key)


def read_fault(payload: bytes) -> Objection:
    """Why a node could not serve a request. Not signed: it concerns nobody but the node itself."""
    try:
        body = json.loads(payload)
        return Objection(rule=_words(body["code"], RULE_MAX), reason=_words(body["message"], REASON_MAX))
    except (ValueError, KeyError, TypeError, RecursionError):
        return Objection(rule="fault", reason="The node could not serve the request and did not say why.")


def _objection(kind: str, envelope: bytes, council: CouncilId, key: bytes, sid: RoundId) -> Objection:
    body = _open(kind, envelope, council, key)
    _expect(body, "sid", sid.hex(), council)
    evidence = body.get("evidence")
    return Objection(
        rule=_words(body.get("rule"), RULE_MAX),
        reason=_words(body.get("reason"), REASON_MAX),
        evidence=evidence if isinstance(evidence, str) else "",
    )


def _open(kind: str, envelope: bytes, council: CouncilId, key: bytes) -> Mapping[str, Any]:
    body = open_statement(kind, envelope, trusted_keys(key), limit=STATEMENT_LIMIT)
    _expect(body, "council", council, council)
    return body


def _expect(body: Mapping[str, Any], name: str, value: str, council: CouncilId) -> None:
    # A statement recorded elsewhere must not count here.
    if body.get(name) != value:
        raise SignatureProblem(f"A statement of {council} is about another {name.replace('_', ' ')}.")


def _words(value: object, limit: int) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(character if character.isprintable() else " " for character in text[:limit]).strip()


def _day(value: object) -> str | None:
    try:
        return date.fromisoformat(value).isoformat() if isinstance(value, str) else None
    except ValueError:
        return None
