"""Where a proposal can stand, and what can move it: the whole life of a signed plan as one table.

Pure: no clock, no store. `coordinator.proposals` is the shell that moves proposals along this table.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from federated.errors import InternalError

__all__ = ["OPEN", "TERMINAL", "WAITING", "ProposalEvent", "ProposalState", "next_state"]


class ProposalState(StrEnum):
    """Where a proposal stands."""

    RECEIVED = "received"
    """Kept, and not yet shown to the councils."""
    COLLECTING = "collecting"
    """The councils decide; a person may take days."""
    READY = "ready"
    """Enough councils have approved for a round."""
    RUNNING = "running"
    """A round is under way."""
    RELEASED = "released"
    """The answer is published."""
    FAILED = "failed"
    """A round ended without a release, or never began; what was charged stays charged."""
    WITHDRAWN = "withdrawn"
    """Taken back before a round had begun."""
    EXPIRED = "expired"
    """Too few councils had decided in time, or what the plan was made from has changed."""
    REFUSED = "refused"
    """So many councils refused that no round is possible."""


class ProposalEvent(StrEnum):
    """What can move a proposal."""

    CIRCULATED = "circulated"
    ENOUGH_APPROVED = "enough approved"
    TOO_MANY_REFUSED = "too many refused"
    TIME_OVER = "time over"
    WITHDRAWN = "withdrawn"
    OVERTAKEN = "overtaken"
    """Roster, agreement or schema is another than the plan's, so every node would refuse it now."""
    ROUND_OPENED = "round opened"
    ROUND_FREE_FAILURE = "round abandoned before any charge"
    ROUND_FAILED = "round failed"
    ROUND_COUNTED = "round counted"
    """One of several; the answer comes with the last."""
    ROUNDS_LOST = "rounds lost"
    """Earlier rounds of several were lost with a coordinator that stopped, and too few are left."""
    NOT_HELD = "not held"
    """The mask holder that the agreement names refused the round, or was away until it was too late."""
    PUBLISHED = "published"
    ASKED_AGAIN = "asked again"


S = ProposalState
E = ProposalEvent

_TABLE: Final[Mapping[tuple[ProposalState, ProposalEvent], ProposalState]] = MappingProxyType(
    {
        (S.RECEIVED, E.CIRCULATED): S.COLLECTING,
        (S.RECEIVED, E.WITHDRAWN): S.WITHDRAWN,
        (S.RECEIVED, E.TIME_OVER): S.EXPIRED,
        (S.RECEIVED, E.OVERTAKEN): S.EXPIRED,
        (S.COLLECTING, E.ENOUGH_APPROVED): S.READY,
        (S.COLLECTING, E.TOO_MANY_REFUSED): S.REFUSED,
        (S.COLLECTING, E.TIME_OVER): S.EXPIRED,
        (S.COLLECTING, E.OVERTAKEN): S.EXPIRED,
        (S.COLLECTING, E.WITHDRAWN): S.WITHDRAWN,
        (S.READY, E.ROUND_OPENED): S.RUNNING,
        (S.READY, E.TIME_OVER): S.EXPIRED,
        (S.READY, E.OVERTAKEN): S.EXPIRED,
        (S.READY, E.WITHDRAWN): S.WITHDRAWN,
        (S.RUNNING, E.PUBLISHED): S.RELEASED,
        (S.RUNNING, E.ROUND_FREE_FAILURE): S.READY,
        (S.RUNNING, E.ROUND_FAILED): S.FAILED,
        (S.RUNNING, E.ROUND_COUNTED): S.READY,
        (S.READY, E.ROUNDS_LOST): S.FAILED,
        (S.READY, E.NOT_HELD): S.FAILED,
        # Never by itself: a further round may be charged again, so the analyst has to hand the plan in once more.
        (S.FAILED, E.ASKED_AGAIN): S.COLLECTING,
    }
)

TERMINAL: Final = frozenset({S.RELEASED, S.WITHDRAWN, S.EXPIRED, S.REFUSED})
"""From these no event leads anywhere."""
WAITING: Final = frozenset({S.RECEIVED, S.COLLECTING, S.READY})
"""No round is under way, so a restart can simply go on."""
OPEN: Final = WAITING | {S.RUNNING}
"""Somebody is still working on it."""


def next_state(state: ProposalState, event: ProposalEvent) -> ProposalState:
    """Where an event leads.

    Raises:
        InternalError: The table has no such step.
    """
    following = _TABLE.get((state, event))
    if following is None:
        raise InternalError(f"A proposal that is {state} was told '{event}', which cannot follow.")
    return following
