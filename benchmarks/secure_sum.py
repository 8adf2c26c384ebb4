"""The secure sum beside its own primitives: a node that masks, a node's whole round, and the coordinator's unmasking.

`python -m benchmarks.secure_sum --samples 7` prints a row for each. Measured and floor take turns, and are compared by
the processor's time, in which other work on the machine is not. The coordinator spreads masks over several processes:
its time is that of the one that works longest, and its floor is the masks' time shared out evenly.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bare_round import expand_and_add, expand_and_add_on, node_work, signed
from benchmarks.stand_ins import StandIns
from benchmarks.targets import AT_MOST, Target, add_record_option, tell
from benchmarks.watched import watch_coordinator, watch_node
from coordinator.mask_pool import MaskPool
from federated.threads import threads

CORES = os.cpu_count() or 1
TARGET = 1.3
ONLINE = ("mask", "confirm", "unmask")
"""A node's stages once its figures exist. The earlier ones need no data and can be over before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measurement and its floor, in seconds; `rest` is what else was seen."""

    seconds: float
    floor: float
    rest: dict[str, float]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the wall, and of this process."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def online(councils: int, cells: int) -> Sample:
    """A node from its noised figures to its last answer, on one core and then with its masks on all."""
    alone = watch_node(StandIns(councils, cells=cells))
    spread = watch_node(StandIns(councils, cells=cells), threads(CORES))
    keys = [os.urandom(32) for _ in range(councils)]
    _, floor = timed(lambda: expand_and_add(keys, cells))
    wall_floor, _ = timed(lambda: expand_and_add_on(CORES, keys, cells))
    return Sample(
        seconds=sum(alone.processor[stage] for stage in ONLINE),
        floor=floor,
        rest={
            "masking_seconds": alone.processor["mask"],
            "whole_round_seconds": sum(alone.processor.values()),
            "all_cores_wall_seconds": sum(spread.wall[stage] for stage in ONLINE),
            "all_cores_wall_floor_seconds": wall_floor,
        },
    )


def whole(councils: int, cells: int) -> Sample:
    """A node from advert to last answer."""
    cast = StandIns(councils, cells=cells)
    clock = watch_node(cast)
    signed(councils)
    _, floor = timed(lambda: node_work(councils, cast.thresholds.t, cells, bits=64))
    return Sample(seconds=sum(clock.processor.values()), floor=floor, rest=dict(clock.processor))


def unmasking(councils: int, cells: int, lost: int, pool: MaskPool) -> Sample:
    """The coordinator from the last answer to the sum."""
    before = _helpers_seconds()
    clock = watch_coordinator(StandIns(councils, cells=cells), lost=lost, sum_of=pool)
    helpers = [after - before.get(pid, 0.0) for pid, after in _helpers_seconds().items()]
    keys = [os.urandom(32) for _ in range((lost + 1) * (councils - lost))]
    wall_floor, floor = timed(lambda: expand_and_add_on(CORES, keys, cells))
    return Sample(
        seconds=max([clock.processor["finish"], *helpers]),
        floor=floor / CORES,
        rest={
            "wall_seconds": clock.wall["finish"],
            "wall_floor_seconds": wall_floor,
            "whole_round_seconds": sum(clock.processor.values()) + sum(helpers),
            **{f"{stage}_seconds": seconds for stage, seconds in clock.processor.items()},
            "helper_seconds": max(helpers, default=0.0),
        },
    )


def _helpers_seconds() -> dict[int, float]:
    """Seconds on a processor of each process that sums masks for this one; each works in its one first thread."""
    pids = [child.pid for child in multiprocessing.active_children() if child.pid is not None]
    return {pid: int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9 for pid in pids}


def row_of(name: str, options: str, samples: Sequence[Sample]) -> dict[str, object]:
    """The row of docs/performance.json."""

    def median(values: list[float]) -> float:
        return round(statistics.median(values), 4)

    return Target(
        name=name,
        samples=[sample.seconds / sample.floor for sample in samples],
        target=TARGET,
        direction=AT_MOST,
        command=f"python -m benchmarks.secure_sum {options}",
        figures={
            "seconds": median([sample.seconds for sample in samples]),
            "floor_seconds": median([sample.floor for sample in samples]),
            **{what: median([sample.rest[what] for sample in samples]) for what in samples[0].rest},
            "cores": CORES,
        },
    ).row()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--node", type=int, nargs=2, default=(350, 1_000_000), metavar=("COUNCILS", "CELLS"))
    parser.add_argument("--round", type=int, nargs=2, default=(350, 10_000), metavar=("COUNCILS", "CELLS"))
    parser.add_argument(
        "--coordinator", type=int, nargs=3, default=(310, 100_000, 31), metavar=("COUNCILS", "CELLS", "LOST")
    )
    parser.add_argument("--samples", type=int, default=7)
    add_record_option(parser)
    chosen = parser.parse_args(arguments)
    (councils, cells), (most, fewer), (n, m, lost) = chosen.node, chosen.round, chosen.coordinator
    pool = MaskPool(CORES, worthwhile_bytes=0)
    measurements: tuple[tuple[str, str, Callable[[], Sample]], ...] = (
        (
            f"secure sum, {councils} councils, {cells:,} cells: a node once it has its figures, and its masks alone",
            f"--node {councils} {cells}",
            lambda: online(councils, cells),
        ),
        (
            f"secure sum, {most} councils, {fewer:,} cells: a node's whole round, and its bare primitives",
            f"--round {most} {fewer}",
            lambda: whole(most, fewer),
        ),
        (
            f"secure sum, {n} councils, {m:,} cells, {lost} lost: the coordinator unmasking, and the masks alone",
            f"--coordinator {n} {m} {lost}",
            lambda: unmasking(n, m, lost, pool),
        ),
    )
    try:
        for name, options, measure in measurements:
            measure()  # warm: libraries, processes
            row = row_of(name, f"{options} --samples {chosen.samples}", [measure() for _ in range(chosen.samples)])
            tell(row, kept=chosen.record)
    finally:
        pool.close()


if __name__ == "__main__":
    main()
