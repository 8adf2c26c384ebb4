"""Councils lost for good at each stage: what comes out here, and of Flower's stock SecAgg+.

`python -m benchmarks.peers.dropouts --councils 20 --lost 3`

Both get the same vectors and the same threshold. "lost" councils answer up to the stage before, and then never again.
Flower is run as in `secure_sum_flower`; there a lost council's failure is reported at once, which is the kinder way,
and with `--silent` it says nothing and the workflow goes on after its timeout.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.environment import PEERS, PeerFailure, run_program, versions
from benchmarks.peers.results import commit, keep, machine
from benchmarks.peers.secure_sum import our_sum, our_threshold
from benchmarks.peers.vectors import exact_sum, make_vectors, write_vectors
from protocols.secagg import BelowThreshold
from protocols.secagg.messages import Stage

FLOWER = PEERS["flower"]
PROGRAM_S: Final = 300.0
RIGHT_OF_PRESENT: Final = "the sum of those whose vector arrived"
RIGHT_OF_ALL: Final = "the sum of all, the lost included"
NOTHING: Final = "no answer"
OURS: Final = (Stage.ADVERT, Stage.KEY_SHARES, Stage.MASKED_INPUT, Stage.CONFIRMATION, Stage.UNMASK)
THEIRS: Final = ("setup", "share_keys", "collect_masked_vectors", "unmask")


def told(total: NDArray[np.int64] | None, vectors: NDArray[np.int64], lost: int) -> str:
    """What a total is, held against the vectors."""
    if total is None:
        return NOTHING
    if np.array_equal(total, exact_sum(vectors, 0)):
        return RIGHT_OF_ALL
    return RIGHT_OF_PRESENT if np.array_equal(total, exact_sum(vectors, lost)) else "another figure"


def our_outcome(vectors: NDArray[np.int64], *, lost: int, stage: Stage) -> str:
    """What comes out here when the last `lost` councils never send the message of a stage."""
    try:
        return told(our_sum(vectors, lost=lost, stage=stage).total, vectors, lost)
    except BelowThreshold:
        return NOTHING


def their_outcome(folder: Path, vectors: NDArray[np.int64], *, lost: int, stage: str, silent: bool) -> str:
    """What comes out of SecAgg+ when they never answer a stage."""
    councils = len(vectors)
    total = folder / "total.npy"
    total.unlink(missing_ok=True)
    sizes = ["--shares", str(councils), "--threshold", str(our_threshold(councils)), "--lost", str(lost)]
    try:
        found = run_program(
            FLOWER,
            "flower_secagg",
            [str(folder / "vectors.npy"), str(total), *sizes, "--stage", stage, *(["--silent"] if silent else [])],
            timeout_s=PROGRAM_S,
            variables={"FLWR_TELEMETRY_ENABLED": "0"},
        )
    except PeerFailure as failure:
        return f"no answer: {str(failure).strip().splitlines()[-1]}"
    return told(np.load(total) if found["answered"] else None, vectors, lost)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--councils", type=int, default=20)
    parser.add_argument("--cells", type=int, default=1_000)
    parser.add_argument("--lost", type=int, default=3)
    parser.add_argument("--silent", action="store_true", help="Flower's lost councils say nothing")
    parser.add_argument("--record", action="store_true", help="keep what came out in docs/performance.json")
    chosen = parser.parse_args(arguments)
    row = compare(chosen)
    print(json.dumps(row, indent=2))
    if chosen.record:
        keep(row)


def compare(chosen: argparse.Namespace) -> dict[str, object]:
    """What came out on both sides, by stage."""
    vectors = make_vectors(chosen.councils, chosen.cells)
    ours = {stage.name.lower(): our_outcome(vectors, lost=chosen.lost, stage=stage) for stage in OURS}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = write_vectors(Path(name), vectors).parent
        theirs = {
            stage: their_outcome(folder, vectors, lost=chosen.lost, stage=stage, silent=chosen.silent)
            for stage in THEIRS
        }
    options = f"--councils {chosen.councils} --cells {chosen.cells} --lost {chosen.lost}"
    return {
        "name": f"{chosen.lost} of {chosen.councils} councils lost at each stage beside Flower SecAgg+",
        "peer": FLOWER.name,
        "unit": "what came out",
        "ours": ours,
        "theirs": theirs,
        "command": f"python -m benchmarks.peers.dropouts {options}" + (" --silent" if chosen.silent else ""),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(FLOWER),
        "figures": {"threshold": our_threshold(chosen.councils)},
    }


if __name__ == "__main__":
    main()
