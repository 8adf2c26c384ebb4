"""Many queries at once over real node processes on loopback, beside the same query asked alone in the same run.

`python -m benchmarks.concurrent_queries --councils 50 --queries 20` prints how many answers came a minute, and the
slowest query's time against one alone. A ratio of as many as were asked is what asking them one by one would give the
last.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from fractions import Fraction
from pathlib import Path

from benchmarks.end_to_end import question
from benchmarks.memory import peak_mib
from benchmarks.targets import AT_MOST, Target, add_record_option, tell
from federated.client import Client
from federated.demo.papers import YEARLY_QUESTIONS, manifest_payload
from federated.demo.world import World, build_world
from federated.plan import Plan

COST = Fraction(1, 8)
MOST = int(YEARLY_QUESTIONS / COST)
WARM_UP = 1


def planned(client: Client) -> tuple[Plan, bytes]:
    """A plan of its own for the one question, ready to be handed in."""
    query = question(COST)
    manifest = manifest_payload("benchmark", query, today=date.today())  # noqa: DTZ011 - a manifest's day
    return client.plan(query, agreement=None, manifest=manifest), manifest


def seconds_to_release(client: Client, plan: Plan, manifest: bytes) -> float:
    """Seconds from handing in a plan to its release."""
    begun = time.perf_counter()
    for step in client.submit(plan, manifest, refresh=True):
        if step.release_digest:
            return time.perf_counter() - begun
    raise SystemExit(f"a query got no answer: {step.message}")


def together(world: World, plans: Sequence[tuple[Plan, bytes]]) -> list[float]:
    """Every plan handed in at the same moment, each over its own connection; seconds of each."""
    start = threading.Barrier(len(plans))

    def one(prepared: tuple[Plan, bytes]) -> float:
        with world.client() as client:
            client.trusted()  # connects
            start.wait()
            return seconds_to_release(client, *prepared)

    with ThreadPoolExecutor(len(plans)) as pool:
        return list(pool.map(one, plans))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--councils", type=int, default=50)
    parser.add_argument("--queries", type=int, default=20, help="how many at once")
    parser.add_argument("--repeats", type=int, default=3)
    add_record_option(parser)
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.repeats * (chosen.queries + 1) + WARM_UP <= MOST:
        parser.error(f"--repeats times (--queries + 1) must be below {MOST}: the agreement's budget allows no more")
    alone, slowest, middle, fastest = [], [], [], []
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        build_world(Path(name), count=chosen.councils, epsilon=Fraction(1), seed=1) as world,
        world.client() as client,
    ):
        plan, manifest = planned(client)
        seconds_to_release(client, plan, manifest)  # warm: libraries and noise tables
        for _ in range(chosen.repeats):
            plan, manifest = planned(client)
            alone.append(seconds_to_release(client, plan, manifest))
            found = together(world, [planned(client) for _ in range(chosen.queries)])
            slowest.append(max(found))
            middle.append(statistics.median(found))
            fastest.append(min(found))
            print(f"one alone {alone[-1]:.2f} s, the slowest of {chosen.queries} {slowest[-1]:.2f} s", flush=True)
        coordinator = world.processes.running["coordinator-serve"].process.pid
        nodes = [one.process.pid for name, one in world.processes.running.items() if name.startswith("councils/")]
        memory = peak_mib(coordinator), max(peak_mib(pid) for pid in nodes)
    row = Target(
        name=f"{chosen.queries} queries at once, {chosen.councils} node processes: the slowest against one alone",
        samples=[late / single for late, single in zip(slowest, alone, strict=True)],
        target=float(chosen.queries),
        direction=AT_MOST,
        command=f"python -m benchmarks.concurrent_queries --councils {chosen.councils} --queries {chosen.queries} "
        f"--repeats {chosen.repeats}",
        figures={
            "cells": plan.cells,
            "one_alone_seconds": round(statistics.median(alone), 3),
            "fastest_seconds": round(statistics.median(fastest), 3),
            "median_seconds": round(statistics.median(middle), 3),
            "slowest_seconds": round(statistics.median(slowest), 3),
            "answers_a_minute": round(60 * chosen.queries / statistics.median(slowest), 1),
            "answers_a_minute_one_by_one": round(60 / statistics.median(alone), 1),
            "coordinator_peak_mib": memory[0],
            "node_peak_mib": memory[1],
            "cores": os.cpu_count(),
        },
    ).row()
    tell(row, kept=chosen.record)


if __name__ == "__main__":
    main()
