"""One act on a proposed question, as it is stored here and as it is signed and sent."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from federated.errors import FileProblem
from protocols.encoding import Json, canonical_json
from protocols.identifiers import CouncilId, Digest

__all__ = ["Act", "Decision", "Verdict", "read_decision"]

_TEXTS: Final = ("title", "rule", "reason", "extract_date", "decided_at", "by", "role", "note", "checks")


class Verdict(StrEnum):
    """A decision as it is sent."""

    APPROVED = "approved"
    REFUSED = "refused"
    PENDING = "pending"


class Act(StrEnum):
    """What happened; `REVIEW` is the checks, the rest are people."""

    REVIEW = "review"
    APPROVE = "approve"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Where a proposal stands after one act.

    Attributes:
        plan_digest: The plan.
        title: Title of the question.
        verdict: What is sent.
        rule: With `refused`, the rule; else empty.
        reason: What is sent in words.
        extract_date: Date of the extract the council would answer from, if it has one.
        decided_at: When this act happened, as `federated.timestamps` writes it.
        act: What was done.
        by: Who did it; empty for the checks. Stays here.
        role: In which role. Stays here.
        note: What they wrote. Stays here when they approved.
        checks: Rule by which the checks last refused, or empty.
        automatic: Whether the checks alone may approve.
        envelope: The signed decision, ready to send.
    """

    plan_digest: Digest
    title: str
    verdict: Verdict
    rule: str
    reason: str
    extract_date: str
    decided_at: str
    act: Act
    by: str = ""
    role: str = ""
    note: str = ""
    checks: str = ""
    automatic: bool = False
    envelope: bytes = b""

    def statement(self, council: CouncilId) -> dict[str, Json]:
        """What is signed and sent."""
        return {
            "version": 1,
            "council": council,
            "plan_digest": self.plan_digest.hex(),
            "decision": self.verdict.value,
            "rule": self.rule,
            "reason": self.reason,
            "extract_date": self.extract_date,
            "decided_at": self.decided_at,
        }

    def encode(self) -> bytes:
        """As it is stored."""
        fields: dict[str, Json] = {name: getattr(self, name) for name in _TEXTS}
        return canonical_json(
            {
                "version": 1,
                **fields,
                "plan_digest": self.plan_digest.hex(),
                "verdict": self.verdict.value,
                "act": self.act.value,
                "automatic": self.automatic,
                "envelope": self.envelope.decode("ascii"),
            }
        )


def read_decision(content: bytes) -> Decision:
    """Read a stored decision.

    Raises:
        FileProblem: Not a decision of version 1.
    """
    try:
        body = json.loads(content)
        decision = Decision(
            plan_digest=Digest(bytes.fromhex(body["plan_digest"])),
            verdict=Verdict(body["verdict"]),
            act=Act(body["act"]),
            automatic=body["automatic"] is True,
            envelope=body["envelope"].encode("ascii"),
            **{name: str(body[name]) for name in _TEXTS},
        )
        readable = body["version"] == 1 and decision.encode() == content
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable() from error
    if not readable:
        raise _unreadable()
    return decision


def _unreadable() -> FileProblem:
    return FileProblem(
        "The node store holds a decision that is not of version 1.", remedy="Restore the store from a backup."
    )
