"""One act on a proposed question, as it is stored here and as it is signed and sent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from federated.errors import FileProblem
from protocols.encoding import Json, canonical_json
from protocols.errors import LocalProtocolError
from protocols.identifiers import CouncilId, Digest

__all__ = ["Act", "Decision", "Verdict", "read_decision"]

_VERSION: Final = 2
_TEXTS: Final = ("title", "rule", "reason", "extract_date", "decided_at", "by", "role", "note", "checks")
_TEXTS_OF_2: Final = ("forum", "basis", "repeat")
RECORDS_KEPT: Final = 1024
"""Decisions read once: each question is compared with every earlier one, and their records never change."""


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
        red_lines: Where each red line stands by computation, by name; empty in a record of version 1.
        answers: What was said to red lines: by the person whose act this is, or by the policy where nobody decided.
        forum: A forum's decision that the person relied on, in their words.
        basis: On what an approval rests that no person gave; empty where a person did.
        repeat: What a repeat of this question has in common with it, as hexadecimal digits.
        envelope: The signed decision, ready to send.
        record: The same with names, answers and forum, signed to be kept here.
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
    red_lines: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    forum: str = ""
    basis: str = ""
    repeat: str = ""
    envelope: bytes = b""
    record: bytes = b""

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

    def as_json(self) -> dict[str, object]:
        """For a program: where the question stands, without names."""
        return {
            "plan_digest": self.plan_digest.hex(),
            "title": self.title,
            "decision": self.verdict.value,
            "rule": self.rule,
            "reason": self.reason,
            "decided_at": self.decided_at,
        }

    def full_statement(self, council: CouncilId) -> dict[str, Json]:
        """What is signed and kept here: the decision with who took it and on what."""
        return {
            **self.statement(council),
            "act": self.act.value,
            "by": self.by,
            "role": self.role,
            "note": self.note,
            "forum": self.forum,
            "basis": self.basis,
            "red_lines": dict(self.red_lines),
            "answers": dict(self.answers),
        }

    def encode(self, version: int = _VERSION) -> bytes:
        """As it is stored; version 1 has no red lines, answers, forum, basis and record."""
        body: dict[str, Json] = {name: getattr(self, name) for name in _TEXTS}
        body |= {
            "version": version,
            "plan_digest": self.plan_digest.hex(),
            "verdict": self.verdict.value,
            "act": self.act.value,
            "automatic": self.automatic,
            "envelope": self.envelope.decode("ascii"),
        }
        if version == _VERSION:
            body |= {name: getattr(self, name) for name in _TEXTS_OF_2}
            body |= {
                "red_lines": dict(self.red_lines),
                "answers": dict(self.answers),
                "record": self.record.decode("ascii"),
            }
        return canonical_json(body)


@lru_cache(maxsize=RECORDS_KEPT)
def read_decision(content: bytes) -> Decision:
    """Read a stored decision.

    Raises:
        FileProblem: Not a decision of version 1 or 2.
    """
    try:
        body = json.loads(content)
        version = body["version"]
        decision = Decision(
            plan_digest=Digest(bytes.fromhex(body["plan_digest"])),
            verdict=Verdict(body["verdict"]),
            act=Act(body["act"]),
            automatic=body["automatic"] is True,
            envelope=body["envelope"].encode("ascii"),
            **_texts(body, version),
        )
        readable = version in {1, _VERSION} and decision.encode(version) == content
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, LocalProtocolError) as error:
        raise _unreadable() from error
    if not readable:
        raise _unreadable()
    return decision


def _texts(body: Mapping[str, Any], version: int) -> dict[str, Any]:
    """The texts, and what version 2 added."""
    texts: dict[str, Any] = {name: str(body[name]) for name in _TEXTS}
    if version != _VERSION:
        return texts
    return {
        **texts,
        **{name: str(body[name]) for name in _TEXTS_OF_2},
        "red_lines": {str(name): str(value) for name, value in body["red_lines"].items()},
        "answers": {str(name): str(value) for name, value in body["answers"].items()},
        "record": body["record"].encode("ascii"),
    }


def _unreadable() -> FileProblem:
    return FileProblem(
        "The node store holds a decision that is not of version 1 or 2.", remedy="Restore the store from a backup."
    )
