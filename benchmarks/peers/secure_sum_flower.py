"""Secure sum beside Flower's stock SecAgg+, on the same vectors, all present and with councils lost at the worst stage.

`python -m benchmarks.peers.secure_sum_flower --councils 100 --cells 100000 --lost 10 --rounds 3`

Both run every party in one process and hand messages over in memory, so nobody's transport is in the figures. Flower
gets our lower threshold, the same modulus 2^32, weight 1 and a quantisation step of 1; every council masks with every
other, as ours do. Time is the processor's, all parties together: both run in one process, and what else the machine
does at the moment is not in it. `--shares` gives SecAgg+ its sparser graph: fewer masks, and less collusion withstood.
"""

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.peers.environment import PEERS, run_program, versions
from benchmarks.peers.results import Comparison, keep
from benchmarks.peers.secure_sum import Spent, both_sums, our_threshold
from benchmarks.peers.vectors import make_vectors
from benchmarks.targets import AT_LEAST, add_record_option, record

FLOWER = PEERS["flower"]
TARGET = 30.0
PROGRAM_S = 1800.0


def flower_sum(folder: Path, vectors: Path, *, shares: int, threshold: int, lost: int) -> Spent:
    """The peer's sum of the same vectors, by its own Python."""
    total = folder / "total.npy"
    total.unlink(missing_ok=True)
    options = ["--shares", str(shares), "--threshold", str(threshold), "--lost", str(lost)]
    found = run_program(
        FLOWER,
        "flower_secagg",
        [str(vectors), str(total), *options],
        timeout_s=PROGRAM_S,
        variables={"FLWR_TELEMETRY_ENABLED": "0"},
    )
    return Spent(
        seconds=found["seconds"],
        processor_seconds=found["processor_seconds"],
        total=np.load(total) if found["answered"] else None,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--councils", type=int, default=100)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--lost", type=int, default=10, help="councils that are gone before they send their vector")
    parser.add_argument("--shares", type=int, help="SecAgg+ neighbours, if not everyone")
    parser.add_argument("--rounds", type=int, default=3)
    add_record_option(parser)
    chosen = parser.parse_args(arguments)
    for lost in sorted({0, chosen.lost}):
        row = compare(chosen, lost)
        print(json.dumps(row.row(), indent=2), flush=True)
        if chosen.record:
            keep(row.row())
            if chosen.shares is None:
                record(row.target(TARGET, AT_LEAST).row())


def compare(chosen: argparse.Namespace, lost: int) -> Comparison:
    """Both, in turn, each sum held against the true one."""
    vectors = make_vectors(chosen.councils, chosen.cells)
    threshold = our_threshold(chosen.councils)
    shares = chosen.shares or chosen.councils
    theirs_threshold = threshold if chosen.shares is None else -(-shares * threshold // chosen.councils)
    their_sum = partial(flower_sum, shares=shares, threshold=theirs_threshold, lost=lost)
    pairs = both_sums(vectors, "Flower", their_sum, rounds=chosen.rounds, lost=lost)
    graph = "" if chosen.shares is None else f", SecAgg+ with {shares} neighbours"
    command = "python -m benchmarks.peers.secure_sum_flower"
    options = f" --councils {chosen.councils} --cells {chosen.cells} --lost {chosen.lost} --rounds {chosen.rounds}"
    return Comparison(
        name=f"secure sum beside Flower SecAgg+, {chosen.councils} councils, {chosen.cells} cells, {lost} lost{graph}",
        peer="flower",
        unit="processor seconds",
        ours=[ours.processor_seconds for ours, _ in pairs],
        theirs=[theirs.processor_seconds for _, theirs in pairs],
        command=command + options + (f" --shares {shares}" if chosen.shares else ""),
        versions=versions(FLOWER),
        figures={
            "our_seconds": [round(ours.seconds, 3) for ours, _ in pairs],
            "their_seconds": [round(theirs.seconds, 3) for _, theirs in pairs],
            "our_threshold": threshold,
            "their_threshold": theirs_threshold,
            "their_neighbours": shares,
        },
    )


if __name__ == "__main__":
    main()
