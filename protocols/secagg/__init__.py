"""Secure aggregation after Bonawitz et al. 2017, active-adversary variant; start reading at `run.py`.

Councils send masked vectors; only their sum comes out, over councils that at least t of them have signed for.
Order of reading: `run`, `transitions`, `messages`, `transcript`, `participant`, `session`,
`aggregator`, `recovery`, `mask_removal`, `mask_holder`.
"""

from protocols.secagg.aggregator import Aggregator
from protocols.secagg.cohort import CohortRules, Profile, Thresholds
from protocols.secagg.context import Holder, LedgerClaim, RoundContext, round_id
from protocols.secagg.errors import BadKeyShare, BelowThreshold, CohortRuleBroken
from protocols.secagg.mask_holder import HolderSession, holder_of
from protocols.secagg.mask_removal import MaskSum, MaskWork, sum_masks
from protocols.secagg.messages import Stage, size_limit
from protocols.secagg.participant import (
    accept_shares,
    advertise,
    confirm_survivors,
    mask_input,
    share_keys,
    unmask,
)
from protocols.secagg.participant_states import (
    Advertised,
    Cohort,
    Confirmed,
    Masked,
    ReadyToMask,
    SharedKeys,
    Unmasked,
)
from protocols.secagg.run import run_secure_sum
from protocols.secagg.secure_sum import SecureSum
from protocols.secagg.session import ParticipantSession
from protocols.secagg.transitions import (
    AggregatorEvent,
    AggregatorState,
    HolderEvent,
    HolderState,
    ParticipantEvent,
    ParticipantState,
)

__all__ = [
    "Advertised",
    "Aggregator",
    "AggregatorEvent",
    "AggregatorState",
    "BadKeyShare",
    "BelowThreshold",
    "Cohort",
    "CohortRuleBroken",
    "CohortRules",
    "Confirmed",
    "Holder",
    "HolderEvent",
    "HolderSession",
    "HolderState",
    "LedgerClaim",
    "MaskSum",
    "MaskWork",
    "Masked",
    "ParticipantEvent",
    "ParticipantSession",
    "ParticipantState",
    "Profile",
    "ReadyToMask",
    "RoundContext",
    "SecureSum",
    "SharedKeys",
    "Stage",
    "Thresholds",
    "Unmasked",
    "accept_shares",
    "advertise",
    "confirm_survivors",
    "holder_of",
    "mask_input",
    "round_id",
    "run_secure_sum",
    "share_keys",
    "size_limit",
    "sum_masks",
    "unmask",
]
