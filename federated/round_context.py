"""A round as the protocol knows it, from what every party holds: the plan, the list of councils and the round's id."""

from federated.plan import Plan
from federated.roster import Roster
from protocols.identifiers import RoundId
from protocols.secagg import RoundContext

__all__ = ["round_context"]


def round_context(plan: Plan, roster: Roster, sid: RoundId) -> RoundContext:
    """The context that coordinator and councils each derive for themselves, and must agree on.

    Args:
        plan: As derived from its question.
        roster: The list of councils in force; every council that is asked is in it.
        sid: The round's id.
    """
    return RoundContext(
        sid=sid,
        plan_digest=plan.digest,
        eligible=plan.eligible,
        identities={council: roster.councils[council].public_key for council in plan.eligible},
        rules=plan.rules,
        ring=plan.ring,
        cells=plan.cells,
        suite=plan.suite,
    )
