"""One query from its question to its answer, beside Flower's stock deployment and NVIDIA FLARE's federated statistics.

`python -m benchmarks.peers.query --councils 12 --rounds 3 --peers flower nvflare`

The same councils, the same records, the same two tables of 945 cells. Ours: processes, TLS, signatures, policy, ledger
on the disk, messy extract, noise, masks. A peer's councils read a tidy extract and, but for Flower's SecAgg+, send
their exact counts. Every system is up and has answered once before the clock runs.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.end_to_end import ask
from benchmarks.peers.environment import PEERS, run_program, versions
from benchmarks.peers.question import Asked, asked, tidy_extracts, true_counts
from benchmarks.peers.results import Comparison, keep
from benchmarks.peers.traffic import bytes_of, relay_to
from benchmarks.targets import AT_LEAST, add_record_option, record
from federated.demo.world import World, build_world
from federated.release import Release

FLOWER, NVFLARE = PEERS["flower"], PEERS["nvflare"]
TARGET: Final = 20.0
PROGRAM_S: Final = 1800.0
EPSILON: Final = Fraction(1)
MOST_NOISE: Final = 60
"""Households; at epsilon 1 over two tables a cell's noise has a standard deviation of about 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """Our figures.

    Attributes:
        seconds: From handing in the plan to the release, for each repetition.
        processor_seconds: Of every node, the coordinator and the client, for one query.
        council_bytes: Sent and received by one council for one query, TLS included.
    """

    seconds: Sequence[float]
    processor_seconds: float
    council_bytes: int


def our_query(world: World, put: Asked, truth: NDArray[np.int64], rounds: int) -> Ours:
    """Ask through the running federation, and hold every answer against the truth."""
    nodes = [world.processes.running[f"councils/{council}/node"].process.pid for council in world.councils]
    address = (world.folder / "coordinator" / "ready").read_text(encoding="ascii").strip()
    port = int(address.rpartition(":")[2])
    seconds = []
    with world.client() as client:
        ask(client, put.query)
        before, busy = bytes_of(port, nodes), _busy(world)
        for _ in range(rounds):
            plan, spent, _ = ask(client, put.query)
            seconds.append(spent)
            check_counts(client.release(plan_digest=plan.digest), truth)
        spent_bytes = bytes_of(port, nodes) - before
        spent_seconds = _busy(world) - busy
    return Ours(
        seconds=seconds,
        processor_seconds=spent_seconds / rounds,
        council_bytes=spent_bytes // (rounds * len(nodes)),
    )


def _busy(world: World) -> float:
    """Processor seconds so far of this process and of all that the federation runs."""
    ticks = 0
    for running in world.processes.running.values():
        stat = Path(f"/proc/{running.process.pid}/stat").read_text(encoding="utf-8")
        ticks += sum(map(int, stat.rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK") + time.process_time()


def check_counts(release: Release, truth: NDArray[np.int64]) -> None:
    """Refuse a release that is not the counts and some noise."""
    totals = np.concatenate([np.array(table.totals, dtype=np.int64) for table in release.tables])
    if totals.shape != truth.shape or np.abs(totals - truth).max() > MOST_NOISE:
        raise SystemExit("ours: not the counts, however much noise they carry")


def their_answers(found: Sequence[dict[str, Any]], truth: NDArray[np.int64], who: str) -> list[dict[str, Any]]:
    """The peer's repetitions, each answer held against the truth."""
    for answer in found:
        if not np.array_equal(np.array(answer["total"]), truth):
            raise SystemExit(f"{who}: not the counts")
    return list(found)


def flower_query(folder: Path, files: Sequence[str], *, threshold: int, rounds: int) -> dict[str, Any]:
    """Flower's stock deployment, once timed and once for the bytes."""
    program = "flower_deployment"
    options = ["--threshold", str(threshold), "--rounds"]
    found = run_program(FLOWER, program, [_new(folder, "timed"), *files, *options, str(rounds)], timeout_s=PROGRAM_S)
    carried = {}
    for kind in found:
        with relay_to(folder / f"{kind}.port") as relay:
            through = ["--kinds", kind, "--through", str(folder / f"{kind}.port")]
            place = _new(folder, f"counted-{kind}")
            run_program(FLOWER, program, [place, *files, *options, "0", *through], timeout_s=PROGRAM_S)
            carried[kind] = relay.passed
    return {"rounds": found, "bytes": carried}


def nvflare_query(folder: Path, files: Sequence[str], *, rounds: int) -> dict[str, Any]:
    """FLARE's federated statistics."""
    arguments = [_new(folder, "flare"), *files, "--rounds", str(rounds)]
    found: dict[str, Any] = run_program(
        NVFLARE, "nvflare_statistics", arguments, timeout_s=PROGRAM_S, network_alone=True
    )
    return found


def _new(folder: Path, name: str) -> str:
    (folder / name).mkdir()
    return str(folder / name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--councils", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", nargs="+", choices=("flower", "nvflare"), default=["flower", "nvflare"])
    add_record_option(parser)
    chosen = parser.parse_args(arguments)
    put = asked(EPSILON)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "ours").mkdir()
        with build_world(folder / "ours", count=chosen.councils, epsilon=EPSILON, seed=1) as world:
            truth = true_counts(world.cases, put)
            files = [str(put.write(folder / "question.json")), str(tidy_extracts(folder / "tidy", world.cases, put))]
            ours = our_query(world, put, truth, chosen.rounds)
        print(f"ours: {ours.seconds} seconds, {ours.council_bytes} bytes a council", flush=True)
        for peer in chosen.peers:
            rows = (_flower if peer == "flower" else _nvflare)(folder, files, ours, truth, chosen)
            for row in rows:
                print(json.dumps(row.row(), indent=2), flush=True)
                if chosen.record:
                    keep(row.row())
                    if "SecAgg+" in row.name and "messages" in row.name:
                        record(row.target(TARGET, AT_LEAST).row())


def _flower(
    folder: Path, files: Sequence[str], ours: Ours, truth: NDArray[np.int64], chosen: argparse.Namespace
) -> list[Comparison]:
    threshold = chosen.councils * 9 // 10
    found = flower_query(folder, files, threshold=threshold, rounds=chosen.rounds)
    rows = []
    for kind, label in (("protected", "Flower's SecAgg+"), ("plain", "a plain Flower query")):
        answers = their_answers(found["rounds"][kind], truth, label)
        council_bytes = found["bytes"][kind] // chosen.councils  # of one run, the app that it brings included
        for part, what in (("message_seconds", "messages alone"), ("submitted_seconds", "as submitted")):
            times = [answer[part] for answer in answers]
            row = _row(
                f"{label}, {what}",
                FLOWER.name,
                ours=ours,
                times=times,
                council_bytes=council_bytes,
                chosen=chosen,
                extra={"their_processor_seconds": [answer["processor_seconds"] for answer in answers]},
            )
            rows.append(row)
    return rows


def _nvflare(
    folder: Path, files: Sequence[str], ours: Ours, truth: NDArray[np.int64], chosen: argparse.Namespace
) -> list[Comparison]:
    found = nvflare_query(folder, files, rounds=chosen.rounds)
    answers = their_answers(found["rounds"], truth, "NVIDIA FLARE")
    times = [answer["submitted_seconds"] for answer in answers]
    label = "NVIDIA FLARE federated statistics, as submitted"
    extra = {"councils_whose_own_counts_are_in_the_answer": answers[0]["councils_in_answer"]}
    council_bytes = found["bytes"] // chosen.councils
    return [_row(label, NVFLARE.name, ours=ours, times=times, council_bytes=council_bytes, chosen=chosen, extra=extra)]


def _row(
    label: str,
    peer: str,
    *,
    ours: Ours,
    times: Sequence[float],
    council_bytes: int,
    chosen: argparse.Namespace,
    extra: dict[str, Any] | None = None,
) -> Comparison:
    command = "python -m benchmarks.peers.query"
    return Comparison(
        name=f"query of 945 cells beside {label}, {chosen.councils} councils",
        peer=peer,
        unit="seconds",
        ours=ours.seconds,
        theirs=times,
        command=f"{command} --councils {chosen.councils} --rounds {chosen.rounds} --peers {peer}",
        versions=versions(PEERS[peer]),
        figures={
            "our_processor_seconds": round(ours.processor_seconds, 3),
            "our_bytes_a_council": ours.council_bytes,
            "their_bytes_a_council": council_bytes,
            "load_average": os.getloadavg()[0],
            **(extra or {}),
        },
    )


if __name__ == "__main__":
    main()
