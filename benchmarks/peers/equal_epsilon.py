"""National error at equal epsilon: ours beside central OpenDP, OpenDP in each council, SmartNoise SQL in each council.

`python -m benchmarks.peers.equal_epsilon --councils 10 100 --rounds 5`

One table, one household in one cell, standard profile, every council present. The error is the root of the mean
squared difference from the true sum over all cells. Central OpenDP needs every record in one place: it is the floor.
"""

import argparse
import json
import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.peers.environment import PEERS, run_program, versions
from benchmarks.peers.results import Comparison, keep
from benchmarks.targets import AT_MOST, add_record_option, record
from federated.privacy import laplace_noise, sample_noise_share
from protocols.identifiers import RandomSource
from protocols.secagg import CohortRules, Profile, Thresholds

OPENDP, SMARTNOISE = PEERS["opendp"], PEERS["smartnoise"]
SMALL_COHORT: Final = 100
TARGET_SMALL, TARGET_LARGE = 1.12, 1.10
PROGRAM_S: Final = 900.0
COUNCIL_CELLS: Final = 10_000
SMARTNOISE_CELLS: Final = 200
BLOCK: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Root mean squared errors of one repetition."""

    ours: float
    central: float
    opendp_summed: float
    smartnoise_summed: float


def thresholds(councils: int) -> Thresholds:
    """The numbers of a full round under the standard profile."""
    rules = CohortRules(profile=Profile.STANDARD, eligible_count=councils, min_cohort=10, min_honest=3)
    return rules.thresholds(councils)


def our_error(councils: int, *, cells: int, epsilon: Fraction, rng: RandomSource) -> float:
    """Every council's own noise share, added: what a release of this many councils carries."""
    honest = thresholds(councils).h
    squares = 0.0
    for start in range(0, cells, BLOCK):
        width = min(BLOCK, cells - start)
        spec = laplace_noise(epsilon, ((width, 1),))
        total = sum(
            (sample_noise_share(spec, honest=honest, rng=rng) for _ in range(councils)), np.zeros(width, dtype=np.int64)
        )
        squares += float(np.sum(total.astype(np.float64) ** 2))
    return math.sqrt(squares / cells)


def measure(councils: int, *, cells: int, epsilon: Fraction, folder: Path, seed: int) -> Errors:
    """All four, once."""
    ours = our_error(councils, cells=cells, epsilon=epsilon, rng=os.urandom)
    stated = ["--epsilon", str(float(epsilon))]
    sizes = ["--councils", str(councils), "--cells", str(cells), "--council-cells", str(min(cells, COUNCIL_CELLS))]
    opendp = run_program(OPENDP, "opendp_counts", [*stated, *sizes], timeout_s=PROGRAM_S)
    counts = np.random.default_rng(seed).integers(1, 40, size=(councils, SMARTNOISE_CELLS))
    np.save(folder / "counts.npy", counts)
    asked = [*stated, "--counts", str(folder / "counts.npy")]
    smartnoise = run_program(SMARTNOISE, "smartnoise_counts", asked, timeout_s=PROGRAM_S)
    return Errors(
        ours=ours,
        central=math.sqrt(opendp["central"]),
        opendp_summed=math.sqrt(opendp["summed"]),
        smartnoise_summed=math.sqrt(smartnoise["summed"]),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--councils", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--cells", type=int, default=1_000_000, help="that ours and central OpenDP are judged on")
    parser.add_argument("--epsilon", type=Fraction, default=Fraction(1))
    parser.add_argument("--rounds", type=int, default=5)
    add_record_option(parser)
    chosen = parser.parse_args(arguments)
    for councils in chosen.councils:
        for row in compare(councils, chosen):
            print(json.dumps(row.row(), indent=2), flush=True)
            if chosen.record:
                keep(row.row())
                if row.peer == "opendp" and "central" in row.name:
                    target = TARGET_SMALL if councils < SMALL_COHORT else TARGET_LARGE
                    record(row.target(target, AT_MOST, ours_over_theirs=True).row())


def compare(councils: int, chosen: argparse.Namespace) -> list[Comparison]:
    """A row for each peer."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        found = [
            measure(councils, cells=chosen.cells, epsilon=chosen.epsilon, folder=Path(name), seed=seed)
            for seed in range(chosen.rounds)
        ]
    ours = [errors.ours for errors in found]
    beside = {
        ("central OpenDP", OPENDP): [errors.central for errors in found],
        ("OpenDP in each council", OPENDP): [errors.opendp_summed for errors in found],
        ("SmartNoise SQL in each council", SMARTNOISE): [errors.smartnoise_summed for errors in found],
    }
    numbers = thresholds(councils)
    options = f"--councils {councils} --cells {chosen.cells} --epsilon {chosen.epsilon} --rounds {chosen.rounds}"
    return [
        Comparison(
            name=f"national error beside {label}, {councils} councils, epsilon {chosen.epsilon}",
            peer=peer.name,
            unit="households",
            ours=ours,
            theirs=theirs,
            command=f"python -m benchmarks.peers.equal_epsilon {options}",
            versions=versions(peer),
            figures={"n": numbers.n, "t": numbers.t, "h": numbers.h},
        )
        for (label, peer), theirs in beside.items()
    ]


if __name__ == "__main__":
    main()
