"""What a coordinator sends to have a round held: the plan as signed, and all that it chose about the round."""

import json
from dataclasses import dataclass, field

from council_node.invitation import Invitation
from federated.errors import PolicyRefusal
from federated.roster import Roster
from protocols.encoding import canonical_json

__all__ = ["HoldRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRequest:
    """A request to hold, read and not yet believed.

    Attributes:
        plan: The plan's envelope.
        invitation: What every council of the round is going to be invited with.
    """

    plan: bytes = field(repr=False)
    invitation: Invitation

    @classmethod
    def read(cls, content: bytes, roster: Roster) -> "HoldRequest":
        """Read a request strictly.

        Raises:
            PolicyRefusal: `invitation`: another form, another coordinator, or another list of councils than ours.
        """
        try:
            body = json.loads(content)
            if set(body) != {"version", "plan", "invitation"} or body["version"] != 1:
                raise PolicyRefusal("invitation", "The request to hold a round is not of version 1.")
            plan, invited = body["plan"].encode("utf-8"), canonical_json(body["invitation"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise PolicyRefusal("invitation", "The request to hold a round cannot be read.") from error
        invitation = Invitation.read(invited, coordinator=roster.coordinator_id, epoch=roster.epoch)
        if invitation.holder_advert:
            raise PolicyRefusal("invitation", "The request to hold a round brings a mask holder's key already.")
        return cls(plan=plan, invitation=invitation)
