"""A round as the protocol knows it, from what every party holds: the plan, the list of councils and the round's id."""

from dataclasses import replace

from federated.errors import PolicyRefusal
from federated.plan import Plan
from federated.roster import Roster
from protocols.errors import RemoteProtocolError
from protocols.identifiers import RoundId
from protocols.secagg import Holder, RoundContext, holder_of

__all__ = ["bare_context", "round_context"]


def round_context(plan: Plan, roster: Roster, sid: RoundId, holder_advert: bytes) -> RoundContext:
    """The context that coordinator and councils each derive for themselves, and must agree on.

    Args:
        plan: As derived from its question.
        roster: The list of councils in force; every council that is asked is in it.
        sid: The round's id.
        holder_advert: The mask holder's advert for this round; empty where the agreement names no mask holder.

    Raises:
        PolicyRefusal: `mask_holder`: the advert is missing, is not signed for this round by the mask holder that the
            agreement names, or the agreement names none.
    """
    return replace(bare_context(plan, roster, sid), holder=_holder(plan, sid, holder_advert))


def bare_context(plan: Plan, roster: Roster, sid: RoundId) -> RoundContext:
    """The round before any mask holder has advertised for it: what the mask holder itself begins with."""
    return RoundContext(
        sid=sid,
        plan_digest=plan.digest,
        eligible=plan.eligible,
        identities={council: roster.councils[council].public_key for council in plan.eligible},
        rules=plan.rules,
        ring=plan.ring,
        cells=plan.cells,
        suite=plan.suite,
        holder=None,
    )


def _holder(plan: Plan, sid: RoundId, advert: bytes) -> Holder | None:
    named = plan.holder
    if named is None:
        if advert:
            raise PolicyRefusal(
                "mask_holder",
                "The invitation brings a mask holder, and the agreement names none.",
                remedy="A mask holder must be named in the agreement; the parties can sign a new version.",
            )
        return None
    if not advert:
        raise PolicyRefusal(
            "mask_holder",
            f"The agreement names {named.name} as mask holder, and the invitation does not bring its key.",
            remedy="The coordinator must ask the mask holder before it invites councils.",
        )
    try:
        return holder_of(advert, sid=sid, id=named.id, identity=named.key, suite=plan.suite)
    except RemoteProtocolError as error:
        raise PolicyRefusal(
            "mask_holder",
            f"The mask holder's key in the invitation is not signed for this round by {named.name}.",
            remedy="The coordinator must ask the mask holder that the agreement names, for this very round.",
        ) from error
