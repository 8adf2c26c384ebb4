"""How one node's and the coordinator's work grows with cells and councils, and the law that fits it.

`python -m benchmarks.growth` climbs to 1,000,000 cells and 1,000 councils; `--cells` and `--councils` choose the rungs.
One party is real and the other councils are stand-ins. Seconds are the processor's. A law is a sum of terms with one
factor each, fitted by least squares on relative errors; the largest relative error is told beside it.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.stand_ins import StandIns
from benchmarks.targets import PERFORMANCE, add_record_option
from benchmarks.watched import watch_coordinator, watch_node

ROOT = Path(__file__).resolve().parents[1]
CELLS = (10, 1_000, 100_000, 300_000, 1_000_000)
COUNCILS = (10, 30, 100, 300, 1_000)
FEW_CELLS = 1_000
MANY_CELLS = 100_000
MANY_COUNCILS = 100
LOST = 1
MEMORY_COUNCILS = (50, 200)

Terms = Mapping[str, Callable[[int, int, int], float]]
"""What a law adds up, by name; each of councils n, threshold t and cells m."""

NODE: Terms = {"1": lambda _n, _t, _m: 1, "m": lambda _n, _t, m: m}
NODE_BY_COUNCILS: Terms = {"n": lambda n, _t, _m: n, "n t": lambda n, t, _m: n * t}
COORDINATOR_BY_COUNCILS: Terms = {
    "n m": lambda n, _t, m: n * m,
    "n n": lambda n, _t, _m: n * n,
    "n n n": lambda n, _t, _m: n**3,  # each is delivered what each dealt and signed: a leaf for each
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One size, and what it cost."""

    councils: int
    threshold: int
    cells: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """A party at several sizes, and the law to fit."""

    party: str
    sizes: Sequence[tuple[int, int]]
    law: Terms


def node_seconds(councils: int, cells: int) -> Rung:
    """A node's whole round."""
    cast = StandIns(councils, cells=cells)
    return _rung(cast, sum(watch_node(cast).processor.values()))


def coordinator_seconds(councils: int, cells: int) -> Rung:
    """The coordinator's whole round, one council lost."""
    cast = StandIns(councils, cells=cells)
    return _rung(cast, sum(watch_coordinator(cast, lost=LOST).processor.values()))


def _rung(cast: StandIns, seconds: float) -> Rung:
    return Rung(councils=len(cast.names), threshold=cast.thresholds.t, cells=cast.context.cells, seconds=seconds)


PARTIES = {"node": node_seconds, "coordinator": coordinator_seconds}


def climb(ladder: Ladder, samples: int) -> list[Rung]:
    """Every size, the median of so many."""
    measure = PARTIES[ladder.party]
    return [
        sorted((measure(*size) for _ in range(samples)), key=lambda rung: rung.seconds)[samples // 2]
        for size in ladder.sizes
    ]


def fit(rungs: Sequence[Rung], law: Terms) -> dict[str, object]:
    """The factor of each term in nanoseconds, and the largest relative error."""
    rows = [[term(rung.councils, rung.threshold, rung.cells) for term in law.values()] for rung in rungs]
    costs = np.array([rung.seconds for rung in rungs])
    relative = np.array(rows, dtype=np.float64) / costs[:, None]
    factors, *_ = np.linalg.lstsq(relative, np.ones(len(rungs)), rcond=None)
    errors = np.abs(relative @ factors - 1)
    return {
        "nanoseconds": {name: round(float(factor) * 1e9, 3) for name, factor in zip(law, factors, strict=True)},
        "worst_relative_error": round(float(errors.max()), 3),
    }


def peak_of_coordinator(councils: int, cells: int) -> int:
    """MiB of a process in which a coordinator and its stand-ins run one round."""
    program = (
        "import sys; from benchmarks.growth import coordinator_seconds; from benchmarks.memory import peak_mib; "
        "coordinator_seconds(int(sys.argv[1]), int(sys.argv[2])); print(peak_mib())"
    )
    command = [sys.executable, "-c", program, str(councils), str(cells)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)


def memory(cells: Sequence[int]) -> list[dict[str, int]]:
    """Peak memory at several sizes, at two numbers of councils."""
    return [
        {"councils": councils, "cells": size, "peak_mib": peak_of_coordinator(councils, size)}
        for councils in MEMORY_COUNCILS
        for size in cells
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=CELLS)
    parser.add_argument("--councils", type=int, nargs="+", default=COUNCILS)
    parser.add_argument("--samples", type=int, default=3)
    add_record_option(parser)
    chosen = parser.parse_args(arguments)
    by_cells = [(MANY_COUNCILS, cells) for cells in chosen.cells]
    ladders = {
        "a node by cells": Ladder(party="node", sizes=by_cells, law=NODE),
        "a node by councils": Ladder(
            party="node", sizes=[(councils, FEW_CELLS) for councils in chosen.councils], law=NODE_BY_COUNCILS
        ),
        "the coordinator by cells": Ladder(party="coordinator", sizes=by_cells, law=NODE),
        "the coordinator by councils": Ladder(
            party="coordinator",
            sizes=[(councils, MANY_CELLS) for councils in chosen.councils],
            law=COORDINATOR_BY_COUNCILS,
        ),
    }
    found: dict[str, object] = {}
    for name, ladder in ladders.items():
        rungs = climb(ladder, chosen.samples)
        found[name] = {
            "rungs": [
                {"councils": rung.councils, "cells": rung.cells, "seconds": round(rung.seconds, 4)} for rung in rungs
            ],
            **fit(rungs, ladder.law),
        }
        print(json.dumps({name: found[name]}, indent=2), flush=True)
    found["the coordinator's memory"] = memory(chosen.cells)
    print(json.dumps(found["the coordinator's memory"], indent=2))
    if chosen.record:
        keep(found)


def keep(found: Mapping[str, object], path: Path = PERFORMANCE) -> None:
    """Keep the figures beside the targets."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    kept["growth"] = dict(found)
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
