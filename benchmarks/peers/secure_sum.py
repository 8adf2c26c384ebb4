"""Our side of every secure-sum comparison: all parties in this process, as the peer's are in its own."""

import os
import time
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.vectors import council_names
from protocols.identifiers import CouncilId
from protocols.ring import Ring
from protocols.secagg import CohortRules, Profile, run_secure_sum
from protocols.secagg.messages import Stage

__all__ = ["PROFILE", "RING", "Spent", "our_sum", "our_threshold"]

PROFILE: Final = Profile.CAREFUL
"""Its threshold is the lower of our two, which is the cheaper for a peer that is given the same one."""
RING: Final = Ring(bits=32)
"""As wide as the peer's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Of one secure sum.

    Attributes:
        seconds: From the first message to the sum.
        processor_seconds: The same on the processor, all threads together.
        total: The sum, or None when none came out.
    """

    seconds: float
    processor_seconds: float
    total: NDArray[np.int64] | None


def our_threshold(councils: int) -> int:
    """Shares that rebuild a secret in a round of so many."""
    rules = CohortRules(profile=PROFILE, eligible_count=councils, min_cohort=4, min_honest=2)
    return rules.thresholds(councils).t


def our_sum(vectors: NDArray[np.int64], *, lost: int = 0, stage: Stage = Stage.MASKED_INPUT) -> Spent:
    """Every council's secure sum, the last `lost` of them gone for good before a stage.

    Args:
        vectors: One row for each council.
        lost: How many are gone.
        stage: Of the message that they do not send.

    Raises:
        BelowThreshold: Too few are left.
    """
    names = [CouncilId(name) for name in council_names(len(vectors))]
    gone = frozenset(names[len(names) - lost :])
    begun, busy = time.perf_counter(), time.process_time()
    summed = run_secure_sum(
        dict(zip(names, vectors, strict=True)),
        rng=os.urandom,
        profile=PROFILE,
        ring=RING,
        min_honest=2,
        drop={stage: gone},
    )
    return Spent(seconds=time.perf_counter() - begun, processor_seconds=time.process_time() - busy, total=summed.total)
