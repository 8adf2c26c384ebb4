"""When is a question a repeat of one that people here decided on, and does their approval cover it (requirement R95)?

A repeat is the same question under the same agreement, with a manifest that differs in its dates and version alone,
for another period of the same length. A new use, recipient, column or word is not a repeat (requirements R20, R104).
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from council_node.decisions import Act, Decision, Decisions, Verdict
from federated.agreement import Agreement
from federated.manifest import Manifest
from federated.query import Period, Query
from federated.timestamps import parse_time
from protocols.encoding import Json, canonical_json, digest
from protocols.identifiers import Digest

__all__ = ["SaidOfRepeats", "repeat_digest", "said_of_repeats"]

NOT_COMPARED: Final = frozenset({"version", "collect_by", "return_by", "expires_on"})
"""Fields of a manifest that a repeat may change; and `retention.until`, which must follow them."""


def repeat_digest(question: Query, manifest: Manifest, agreement: Agreement) -> Digest:
    """What a repeat has in common with the question it repeats."""
    asked: dict[str, Json] = {
        **question.canonical(),
        "period": {"column": question.period.column, "length": _length(question.period)},
    }
    purpose = manifest.model_dump(mode="json", exclude=set(NOT_COMPARED))
    del purpose["retention"]["until"]
    return digest("repeat/v1", canonical_json(asked), canonical_json(purpose), agreement.digest)


def _length(period: Period) -> str:
    """In whole months where it is such, since quarters differ in days; in days otherwise."""
    start, end = period.start, period.end
    if start.day == 1 and end.day == monthrange(end.year, end.month)[1]:
        return f"{(end.year - start.year) * 12 + end.month - start.month + 1} months"
    return f"{(end - start).days + 1} days"


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidOfRepeats:
    """What people here said of the other questions that a question repeats, or that repeat it.

    Attributes:
        approval: The newest approval, of those by all who are needed today.
        refusal: The newest refusal or withdrawal.
    """

    approval: Decision | None
    refusal: Decision | None

    def refused(self) -> Decision | None:
        """The last refusal or withdrawal, unless they approved one since."""
        return self.refusal if self._standing() is None else None

    def covering(self, *, days: int, now: datetime) -> Decision | None:
        """The approval that covers this question as a repeat, if there is one that still stands.

        It ends at the first repeat that people here refuse, or take back: who signs questions could otherwise sign
        the same once more.

        Args:
            days: How long an approval covers repeats.
            now: Time, UTC.
        """
        approval = self._standing()
        return None if approval is None or now - _when(approval) > timedelta(days=days) else approval

    def _standing(self) -> Decision | None:
        if self.approval is None or self.refusal is None:
            return self.approval
        return self.approval if _when(self.approval) > _when(self.refusal) else None


def said_of_repeats(decisions: Decisions, plan_digest: Digest, repeat: str) -> SaidOfRepeats:
    """Look through what was decided here.

    Args:
        decisions: Of this council.
        plan_digest: The question, which is not a repeat of itself.
        repeat: Its `repeat_digest`, as hexadecimal digits.
    """
    approvals: list[Decision] = []
    refusals: list[Decision] = []
    for latest in decisions.all_latest():
        if latest.repeat != repeat or latest.plan_digest == plan_digest:
            continue
        history = decisions.history(latest.plan_digest)
        refusals += [item for item in history if item.act in {Act.REFUSE, Act.WITHDRAW}]
        if latest.verdict is Verdict.APPROVED:
            approvals += decisions.full_approval(history)
    return SaidOfRepeats(
        approval=max(approvals, key=_when, default=None), refusal=max(refusals, key=_when, default=None)
    )


def _when(item: Decision) -> datetime:
    return parse_time(item.decided_at)
