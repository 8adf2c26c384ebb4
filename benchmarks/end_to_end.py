"""Query to release with real node processes on loopback, beside the bare cryptography of that round.

`python -m benchmarks.end_to_end --councils 50` prints every stage's seconds and the ratio.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from pathlib import Path

from benchmarks.bare_round import bare_round_seconds
from benchmarks.questions import DAY, about_households
from benchmarks.targets import AT_MOST, Target, add_record_option, tell
from federated.client import Client
from federated.demo.papers import manifest_payload
from federated.demo.run import StageClock
from federated.demo.world import build_world
from federated.plan import Plan
from federated.query import DatePart, Dimension, Query, Table

CORES = os.cpu_count() or 1
TARGET = 2.0
BUDGETED = 8


def question(epsilon: Fraction) -> Query:
    """About a thousand cells in two tables."""
    month = Dimension(column=DAY, part=DatePart.MONTH)
    outcome, reason, age = (Dimension(column=c) for c in ("assessment_outcome", "reason_loss", "main_age_band"))
    return about_households(
        "Benchmark of about a thousand cells",
        Table(name="reasons", statistic="households", by=(reason, outcome, month)),
        Table(name="ages", statistic="households", by=(age, reason)),
        epsilon=epsilon,
    )


def ask(client: Client, query: Query) -> tuple[Plan, float, dict[str, float]]:
    """Ask afresh; seconds from handing in the plan to the release, and by stage."""
    manifest = manifest_payload("benchmark", query, today=date.today())  # noqa: DTZ011 - a manifest's day
    plan = client.plan(query, agreement=None, manifest=manifest)
    clock = StageClock("accepted")
    begun = time.perf_counter()
    released = begun
    for step in client.submit(plan, manifest, refresh=True):
        clock.at(step.stage)
        if step.release_digest:
            released = time.perf_counter()
    return plan, released - begun, clock.seconds()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--councils", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    add_record_option(parser)
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.rounds < BUDGETED:
        parser.error(f"--rounds must be from 1 to {BUDGETED - 1}: the agreement's budget allows no more")
    epsilon = Fraction(1)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        build_world(Path(name), count=chosen.councils, epsilon=epsilon, seed=1) as world,
        world.client() as client,
    ):
        query = question(epsilon)
        ask(client, query)  # warm: libraries and noise tables
        pairs = []
        for _ in range(chosen.rounds):
            plan, seconds, stages = ask(client, query)
            thresholds = plan.rules.thresholds(len(plan.eligible))
            floor = bare_round_seconds(thresholds, cells=plan.cells, bits=plan.ring.bits, cores=CORES)
            pairs.append((seconds, floor, stages))
            print(f"query {seconds:.2f} s, bare cryptography {floor:.2f} s, ratio {seconds / floor:.2f}", flush=True)
    stages = {stage: statistics.median(item[2].get(stage, 0.0) for item in pairs) for stage in pairs[0][2]}
    row = Target(
        name=f"query end to end, {chosen.councils} node processes, {plan.cells} cells",
        samples=[seconds / floor for seconds, floor, _ in pairs],
        target=TARGET,
        direction=AT_MOST,
        command=f"python -m benchmarks.end_to_end --councils {chosen.councils} --rounds {chosen.rounds}",
        figures={
            "seconds": round(statistics.median(item[0] for item in pairs), 3),
            "floor_seconds": round(statistics.median(item[1] for item in pairs), 3),
            "stage_seconds": {stage: round(spent, 3) for stage, spent in stages.items()},
            "cores": CORES,
        },
    ).row()
    tell(row, kept=chosen.record)


if __name__ == "__main__":
    main()
