"""A round as it is ordered, and what is said about it afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Self, TypeAlias

from coordinator.progress import RunStage
from federated.iteration import Iteration
from federated.plan import Plan
from federated.roster import Roster
from federated.round_context import round_context
from protocols.encoding import Json, canonical_json
from protocols.identifiers import CouncilId, RandomSource, RoundId
from protocols.secagg import RoundContext, SecureSum, round_id

__all__ = ["Outcome", "RoundOrder", "RoundReport", "StageEnd", "StageTime", "Standing"]

NONCE_SIZE: Final = 32

Outcome: TypeAlias = Literal["contributed", "refused", "unreachable", "dropped"]
"""What became of a council, in the words of a release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundOrder:
    """A round to be driven.

    Attributes:
        plan: Signed and opened.
        roster: In force, and the one the plan names.
        councils: Those that approved.
        attempt: From 1.
        nonce: 32 fresh random bytes.
        sid: Session id, from the above and the next.
        iteration: Which round this is and what it is counted at, where the plan takes several.
        holder_advert: The mask holder's advert for this round; empty before it holds, and where the plan names none.
    """

    plan: Plan
    roster: Roster
    councils: tuple[CouncilId, ...]
    attempt: int
    nonce: bytes
    sid: RoundId
    iteration: Iteration | None = None
    holder_advert: bytes = b""

    @classmethod
    def make(
        cls,
        plan: Plan,
        roster: Roster,
        councils: Sequence[CouncilId],
        *,
        attempt: int,
        rng: RandomSource,
        iteration: Iteration | None = None,
    ) -> Self:
        """Draw a nonce and name the round."""
        nonce = rng(NONCE_SIZE)
        sid = round_id(
            plan_digest=plan.digest,
            roster_digest=roster.digest,
            coordinator_id=roster.coordinator_id,
            attempt=attempt,
            nonce=nonce,
            counted_at=b"" if iteration is None else iteration.encode(),
        )
        return cls(
            plan=plan,
            roster=roster,
            councils=tuple(councils),
            attempt=attempt,
            nonce=nonce,
            sid=sid,
            iteration=iteration,
        )

    def context(self) -> RoundContext:
        """The round as the protocol knows it.

        Raises:
            PolicyRefusal: `mask_holder`: the advert is not the one that every council asks for.
        """
        return round_context(self.plan, self.roster, self.sid, self.holder_advert)

    def held(self, advert: bytes) -> Self:
        """The same round, with the mask holder's advert."""
        return replace(self, holder_advert=advert)

    def key(self, council: CouncilId) -> bytes:
        """A council's public key in the roster."""
        return self.roster.councils[council].public_key

    def invitation(self) -> bytes:
        """Payload of the INVITE."""
        held = {"holder_advert": self.holder_advert.hex()} if self.holder_advert else {}
        return canonical_json({**self._chosen(), **held})

    def hold_request(self, plan_envelope: bytes) -> bytes:
        """Payload of the HOLD: the signed plan, and all that was chosen about this round."""
        return canonical_json({"version": 1, "plan": plan_envelope.decode(), "invitation": self._chosen()})

    def _chosen(self) -> dict[str, Json]:
        several: dict[str, Json] = {} if self.iteration is None else {"iteration": self.iteration.canonical()}
        return {
            **several,
            "version": 1,
            "plan_digest": self.plan.digest.hex(),
            "attempt": self.attempt,
            "nonce": self.nonce.hex(),
            "roster_epoch": self.roster.epoch,
            "coordinator_id": self.roster.coordinator_id,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What became of one council that was invited.

    Attributes:
        joined: It is in U1.
        outcome: As releases say it.
        stage: Where it was lost, or the last stage.
        rule: Its rule or fault code, where it gave one.
        reason: In words.
    """

    joined: bool
    outcome: Outcome
    stage: RunStage
    rule: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEnd:
    """How a round stands where a stage has ended and another follows.

    Attributes:
        answered: Councils whose reply of this stage counts.
        lost: Those lost so far.
    """

    order: RoundOrder
    stage: RunStage
    answered: frozenset[CouncilId]
    lost: Mapping[CouncilId, Standing]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """How long one stage took, in microseconds."""

    stage: RunStage
    microseconds: int
    asked: int
    answered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundReport:
    """How a round went.

    Attributes:
        order: What was ordered.
        result: The sum over U3; None when the round ended without one.
        standings: Of every council invited.
        stage: The stage it ended in.
        charged: Some council may have spent its budget on it.
        rule: Why it ended without a sum, by name.
        reason: The same in words.
        times: Of each stage entered.
    """

    order: RoundOrder
    result: SecureSum | None = field(repr=False)
    standings: Mapping[CouncilId, Standing]
    stage: RunStage
    charged: bool
    rule: str
    reason: str
    times: tuple[StageTime, ...]
