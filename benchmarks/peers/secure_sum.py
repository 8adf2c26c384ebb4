"""Our side of every secure-sum comparison: all parties in this process, as the peer's are in its own."""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.vectors import council_names, exact_sum, write_vectors
from protocols.identifiers import CouncilId
from protocols.ring import Ring
from protocols.secagg import CohortRules, Profile, run_secure_sum
from protocols.secagg.messages import Stage

__all__ = ["PROFILE", "RING", "Spent", "both_sums", "our_sum", "our_threshold"]

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


def both_sums(
    vectors: NDArray[np.int64], peer: str, their_sum: Callable[[Path, Path], Spent], *, rounds: int, lost: int = 0
) -> list[tuple[Spent, Spent]]:
    """Ours and a peer's in turn, as often as asked, each sum held against the true one.

    Args:
        vectors: One row for each council.
        peer: What it is called.
        their_sum: Sums the vectors in the file that is its second argument; the first is a folder to work in.
        rounds: How often.
        lost: How many councils, the last ones, are gone before they send their vector.

    Raises:
        SystemExit: A sum is wrong.
    """
    pairs = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        path = write_vectors(Path(name), vectors)
        for _ in range(rounds):
            ours, theirs = our_sum(vectors, lost=lost), their_sum(Path(name), path)
            for side, spent in (("ours", ours), (peer, theirs)):
                if spent.total is None or not np.array_equal(spent.total, exact_sum(vectors, lost)):
                    raise SystemExit(f"{side}: not the sum of the vectors that arrived")
            pairs.append((ours, theirs))
            print(f"ours {ours.processor_seconds:.2f} s, {peer} {theirs.processor_seconds:.2f} s", flush=True)
    return pairs
