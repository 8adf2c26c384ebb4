"""An invitation to a round: all that a coordinator chooses about it, strictly read and held against the plan.

A council is invited with it, and the mask holder asked to hold: both work the round's id out for themselves.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from federated.errors import PolicyRefusal
from federated.iteration import Iteration
from federated.plan import NONCE_SIZE, Plan
from federated.roster import Roster
from protocols.identifiers import Digest, RoundId
from protocols.secagg import round_id

__all__ = ["Invitation"]

MAX_ATTEMPT: Final = 2**32 - 1
"""What a round's id has room for; plans allow far fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What the coordinator chooses about a round; everything else comes from the plan."""

    plan_digest: Digest
    attempt: int
    nonce: bytes
    iteration: Iteration | None = None
    holder_advert: bytes = b""

    @classmethod
    def read(cls, content: bytes, *, coordinator: str, epoch: int) -> "Invitation":
        """Read an invitation strictly.

        Raises:
            PolicyRefusal: `invitation`: another form, another coordinator, or another roster than ours.
        """
        try:
            body = json.loads(content)
            expected = {"version": 1, "coordinator_id": coordinator, "roster_epoch": epoch}
            differing = [name for name, value in expected.items() if body.pop(name) != value]
            read = cls(**{name: _INVITATION_FIELDS[name](value) for name, value in body.items()})
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise PolicyRefusal("invitation", "The invitation to the round cannot be read.") from error
        if differing:
            raise PolicyRefusal("invitation", f"The invitation's {differing[0]} is not the one expected here.")
        if len(read.nonce) != NONCE_SIZE or not 1 <= read.attempt <= MAX_ATTEMPT:
            raise PolicyRefusal("invitation", "The invitation has no proper nonce or attempt number.")
        return read

    def check(self, plan: Plan, roster: Roster, sid: RoundId) -> None:
        """The round's id must follow from what it was invited to, and the attempt must be one the plan allows.

        Args:
            plan: The plan of `plan_digest`.
            roster: In force here.
            sid: The round as the coordinator names it.

        Raises:
            PolicyRefusal: `invitation` or `attempts`.
        """
        expected = round_id(
            plan_digest=plan.digest,
            roster_digest=plan.roster_digest,
            coordinator_id=roster.coordinator_id,
            attempt=self.attempt,
            nonce=self.nonce,
            # In the id, so that no two councils of one round can count at different coefficients.
            counted_at=b"" if self.iteration is None else self.iteration.encode(),
        )
        if expected != sid:
            raise PolicyRefusal("invitation", "The round's identifier does not follow from its plan and nonce.")
        plan.check_iteration(self.iteration)
        if self.attempt > plan.most_rounds:
            raise PolicyRefusal("attempts", f"The plan allows {plan.most_rounds} attempt(s).")


_INVITATION_FIELDS: Final[dict[str, Callable[[Any], Any]]] = {
    "plan_digest": lambda text: Digest(bytes.fromhex(text)),
    "attempt": int,
    "nonce": bytes.fromhex,
    "iteration": Iteration.read,
    "holder_advert": bytes.fromhex,
}
