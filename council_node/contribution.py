"""Steps 4 to 6 of 8, in their one legal order. In: `ChargedPlan`. Out: the masked input's bytes.

Noise before mask, mask before send, and all of it after the charge: each step takes the type that only the step
before it makes, so leaving one out does not type-check.

    ApprovedPlan --charge--> ChargedPlan --compute--> LocalStatistic --add noise--> NoisedStatistic --mask--> bytes
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from council_node.ledger import Ledger
from council_node.local_statistic import LocalStatistic
from federated.iteration import Iteration
from federated.plan import Plan
from federated.privacy import sample_noise_share
from protocols.identifiers import RandomSource, RoundId
from protocols.secagg import ParticipantSession

__all__ = ["ApprovedPlan", "ChargedPlan", "NoisedStatistic", "add_noise", "charge", "contribute", "mask"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedPlan:
    """A plan that passed every check of step 3, with the cost of this round reserved under its id.

    Attributes:
        plan: The plan.
        sid: The round.
        iteration: Which round it is, where the plan takes several.
    """

    plan: Plan
    sid: RoundId
    iteration: Iteration | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargedPlan:
    """An approved plan whose cost is durably spent; only `charge` makes one."""

    approved: ApprovedPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisedStatistic:
    """`s * x + noise share`, unreduced integers. Protects nothing by itself: it must still be masked.

    Shapes:
        `vector` is `(plan.cells,)`.
    """

    vector: NDArray[np.int64] = field(repr=False)


def charge(approved: ApprovedPlan, ledger: Ledger, now: datetime) -> ChargedPlan:
    """Mark the reservation spent, durably, before any data of the question is read (`protocol.md` 1.3, R2)."""
    ledger.spend(approved.sid, now)
    return ChargedPlan(approved=approved)


def add_noise(statistic: LocalStatistic, charged: ChargedPlan, *, honest: int, rng: RandomSource) -> NoisedStatistic:
    """Step 5 of 8: scale the statistic and add this council's noise share.

    Args:
        statistic: The council's exact figures.
        charged: The plan, which says how much noise.
        honest: h, the honest contributors the round guarantees; it follows from |U1| and the cohort's limit.
        rng: The system's entropy.
    """
    plan = charged.approved.plan
    noised = statistic.vector * plan.scale
    share = sample_noise_share(plan.noise, honest=honest, rng=rng)
    noised += share
    share.fill(0)
    return NoisedStatistic(vector=noised)


def mask(noised: NoisedStatistic, session: ParticipantSession) -> bytes:
    """Step 6 of 8: add the self mask and the pairwise masks; the result is indistinguishable from random words."""
    return session.mask(noised.vector)


def contribute(
    charged: ChargedPlan,
    *,
    compute: Callable[[ApprovedPlan], LocalStatistic],
    session: ParticipantSession,
    rng: RandomSource,
) -> bytes:
    """Run steps 4 to 6. The figures and the noise are overwritten in memory as soon as they are masked.

    Args:
        charged: The plan, already paid for.
        compute: Step 4 over the council's own data (`council_node.local_statistic`).
        session: The council's end of the round, ready to mask.
        rng: The system's entropy.

    Returns:
        The masked input message.
    """
    statistic = compute(charged.approved)
    noised = add_noise(statistic, charged, honest=session.cohort.thresholds.h, rng=rng)
    try:
        return mask(noised, session)
    finally:
        # Memory that is let go of keeps what was in it until something else is written there.
        statistic.vector.fill(0)
        noised.vector.fill(0)
