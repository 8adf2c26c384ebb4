"""What the coordinator does next, decided without touching anything: pure functions over what is known.

The round driver and the proposal desk ask here, then act. The coordinator's choices are a convenience: every node
checks the same rules again for itself.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from protocols.identifiers import CouncilId
from protocols.secagg import CohortRuleBroken, CohortRules

__all__ = [
    "AfterRound",
    "Decision",
    "DecisionKind",
    "Opening",
    "after_round",
    "approvals",
    "opening",
    "round_possible",
    "to_ask",
]


class DecisionKind(StrEnum):
    """What a council can answer to a proposal."""

    APPROVED = "approved"
    REFUSED = "refused"
    PENDING = "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One council's current decision, its signature checked.

    Attributes:
        rule: Name of the rule, for a refusal.
        reason: In words.
        extract_date: Date of the extract the council would answer from, where it says.
    """

    council: CouncilId
    kind: DecisionKind
    rule: str = ""
    reason: str = ""
    extract_date: str | None = None


class Opening(StrEnum):
    """Whether a round can be opened."""

    OPEN = "open"
    WAIT = "wait"
    HOPELESS = "hopeless"
    """Too many have refused: not even everybody else's approval would do."""
    EXPIRED = "expired"


class AfterRound(StrEnum):
    """What follows a round that ended without a release."""

    INVITE_AGAIN = "invite again"
    GIVE_UP = "give up"


def round_possible(rules: CohortRules, councils: int) -> str | None:
    """Why that many councils cannot make a round; None when they can."""
    try:
        rules.thresholds(councils)
    except CohortRuleBroken as broken:
        return str(broken)
    return None


def approvals(decisions: Mapping[CouncilId, Decision]) -> tuple[CouncilId, ...]:
    """The councils that approved, sorted."""
    approved = (council for council, decision in decisions.items() if decision.kind is DecisionKind.APPROVED)
    return tuple(sorted(approved))


def opening(
    *,
    eligible: Collection[CouncilId],
    decisions: Mapping[CouncilId, Decision],
    reachable: Collection[CouncilId],
    rules: CohortRules,
    now: datetime,
    patience_until: datetime,
    collect_by: datetime,
    holder_here: bool = True,
) -> Opening:
    """Whether to open the round now.

    It opens when every council has decided and enough approved; after `patience_until` when enough approved, though
    some are silent or still deciding; and never once `collect_by` has passed without enough approvals. Only councils
    within reach count as enough: a round of absent ones would use up an attempt. Where the agreement names a mask
    holder, it is waited for as councils are.

    Args:
        eligible: Councils asked.
        decisions: Current decisions.
        reachable: Councils that could be invited at this moment.
        rules: Of the plan.
        now: Time.
        patience_until: Until then everybody is waited for.
        collect_by: Of the plan: decisions are awaited until then.
        holder_here: Whether the mask holder could be asked, or there is none.
    """
    approved = approvals(decisions)
    refused = sum(decision.kind is DecisionKind.REFUSED for decision in decisions.values())
    here = sum(council in reachable for council in approved)
    enough = round_possible(rules, here) is None
    settled = len(approved) + refused == len(eligible) and here == len(approved)
    if enough and holder_here and (settled or now >= min(patience_until, collect_by)):
        return Opening.OPEN
    if not _ever_possible(rules, len(approved), len(eligible) - refused):
        return Opening.HOPELESS
    return Opening.EXPIRED if now >= collect_by else Opening.WAIT


def _ever_possible(rules: CohortRules, least: int, most: int) -> bool:
    return any(round_possible(rules, councils) is None for councils in range(most, least - 1, -1))


def to_ask(
    *, eligible: Collection[CouncilId], decisions: Mapping[CouncilId, Decision], reachable: Collection[CouncilId]
) -> tuple[CouncilId, ...]:
    """The councils to show a proposal to: within reach, and without a final decision."""
    return tuple(
        council
        for council in sorted(eligible)
        if council in reachable and (council not in decisions or decisions[council].kind is DecisionKind.PENDING)
    )


def after_round(
    *, charged: bool, attempt: int, attempts: int, now: datetime, return_by: datetime, counted: int = 0, rounds: int = 1
) -> AfterRound:
    """What follows a round without a release.

    A round that ended before any masked input was asked for cost nobody anything, and is tried again under a new
    session id. After that point every council that answered is charged, so trying again is not ours to decide. But
    where rounds of the same plan are counted already, giving up would lose what they cost: then it is tried again
    while the plan allows enough rounds.

    Args:
        charged: Some council may have been charged.
        attempt: Of the round that ended, from 1.
        attempts: Most rounds the plan allows.
        now: Time.
        return_by: Of the plan: after it no round starts.
        counted: Rounds of the plan that ended with a sum.
        rounds: That its answer takes.
    """
    if (charged and not counted) or attempts - attempt < rounds - counted or now >= return_by:
        return AfterRound.GIVE_UP
    return AfterRound.INVITE_AGAIN
