"""Secure sum beside MPyC, on the same vectors.

`python -m benchmarks.peers.secure_sum_mpyc --parties 3 5 10 --cells 100000`

MPyC runs every party as a process of its own (`-M`), each holding one council's vector, over sockets on loopback; the
clock runs from the first share to the opened sum, connections already made. Ours runs all parties in one process. Time
is the processor's, all parties together.
MPyC's own author advises against many parties (github.com/lschoe/mpyc/issues/4), so the sizes are smaller here.
"""

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.peers.environment import PEERS, run_program, versions
from benchmarks.peers.results import Comparison, keep
from benchmarks.peers.secure_sum import Spent, both_sums
from benchmarks.peers.vectors import make_vectors
from benchmarks.targets import add_record_option

MPYC = PEERS["mpyc"]
PROGRAM_S = 900.0
FEWEST = 4
"""No round of ours has fewer councils."""


def mpyc_sum(folder: Path, vectors: Path, *, parties: int, threshold: int | None) -> Spent:
    """The peer's sum of the same vectors, by its own Python."""
    total = folder / "total.npy"
    total.unlink(missing_ok=True)
    options = [f"-M{parties}", "--no-log", *([] if threshold is None else [f"-T{threshold}"])]
    found = run_program(MPYC, "mpyc_sum", [str(vectors), str(total), *options], timeout_s=PROGRAM_S, network_alone=True)
    return Spent(seconds=found["seconds"], processor_seconds=found["processor_seconds"], total=np.load(total))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parties", type=int, nargs="+", default=[5, 10])
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--threshold", type=int, help="MPyC's -T; its default is the largest below half the parties")
    parser.add_argument("--rounds", type=int, default=3)
    add_record_option(parser)
    chosen = parser.parse_args(arguments)
    if min(chosen.parties) < FEWEST:
        parser.error(f"no round of ours has fewer than {FEWEST} councils")
    for parties in chosen.parties:
        row = compare(parties, chosen.cells, chosen.threshold, chosen.rounds).row()
        print(json.dumps(row, indent=2), flush=True)
        if chosen.record:
            keep(row)


def compare(parties: int, cells: int, threshold: int | None, rounds: int) -> Comparison:
    """Both, in turn, each sum held against the true one."""
    vectors = make_vectors(parties, cells)
    pairs = both_sums(vectors, "MPyC", partial(mpyc_sum, parties=parties, threshold=threshold), rounds=rounds)
    chosen = f", threshold {threshold}" if threshold is not None else ""
    option = f" --threshold {threshold}" if threshold is not None else ""
    command = "python -m benchmarks.peers.secure_sum_mpyc"
    return Comparison(
        name=f"secure sum beside MPyC, {parties} parties, {cells} cells{chosen}",
        peer="mpyc",
        unit="processor seconds",
        ours=[ours.processor_seconds for ours, _ in pairs],
        theirs=[theirs.processor_seconds for _, theirs in pairs],
        command=f"{command} --parties {parties} --cells {cells}{option} --rounds {rounds}",
        versions=versions(MPYC),
        figures={
            "our_seconds": [round(ours.seconds, 3) for ours, _ in pairs],
            "their_seconds": [round(theirs.seconds, 3) for _, theirs in pairs],
        },
    )


if __name__ == "__main__":
    main()
