"""What masks that withstand a quantum computer cost: whole rounds in one process, beside the same rounds with X25519.

Run: ``python -m benchmarks.hybrid_masks``. Both kinds are timed in turn, so that what else the machine does falls on
both. The seconds are those of every party together; bytes are those that one council sends before its masked input.
"""

import argparse
import os
import statistics
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.targets import AT_MOST, Target, add_record_option, tell
from protocols.identifiers import CouncilId
from protocols.secagg import Stage, run_secure_sum
from protocols.suite import Suite

LOST_SHARE = 10
"""One council in so many is lost before its masked input."""
TARGET = 2.0
"""Our own: no design asks for one."""


def round_seconds(councils: int, cells: int, suite: Suite) -> float:
    """Processor seconds of a round from the first advert to the sum."""
    names = [CouncilId(f"E{number:08d}") for number in range(1, councils + 1)]
    inputs = dict.fromkeys(names, np.ones(cells, dtype=np.int64))
    lost = frozenset(names[::LOST_SHARE])
    began = time.process_time()
    found = run_secure_sum(inputs, rng=os.urandom, suite=suite, drop={Stage.MASKED_INPUT: lost})
    took = time.process_time() - began
    if found.total[0] != councils - len(lost):
        raise RuntimeError("The sum is wrong, so its time says nothing.")
    return took


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--councils", type=int, default=100)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    add_record_option(parser)
    given = parser.parse_args(arguments)
    seconds: dict[Suite, list[float]] = {suite: [] for suite in Suite}
    for _ in range(given.repeats):
        for suite in Suite:
            seconds[suite].append(round_seconds(given.councils, given.cells, suite))
    ratios = [hybrid / usual for hybrid, usual in zip(seconds[Suite.HYBRID], seconds[Suite.X25519], strict=True)]
    row = Target(
        name=f"Masks against quantum computers, {given.councils} councils of {given.cells:,} cells, 10% lost",
        samples=ratios,
        target=TARGET,
        direction=AT_MOST,
        command=f"python -m benchmarks.hybrid_masks --councils {given.councils} --cells {given.cells}",
        figures={suite.value: round(statistics.median(found), 3) for suite, found in seconds.items()},
    )
    tell(row.row(), kept=given.record)


if __name__ == "__main__":
    main()
