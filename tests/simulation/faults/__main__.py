"""Run histories by hand: `python -m tests.simulation.faults --seed 7 --trace`, or `--first 0 --histories 1000`."""

import argparse
import sys
import time

from tests.simulation.faults.history import live_through
from tests.simulation.faults.many import Found, live_on_every_core
from tests.simulation.faults.memory import remembered
from tests.simulation.faults.sqlite_files import simulated_disks


def main() -> int:
    """Run, print what was found, and give 1 where something was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.faults", description=__doc__)
    parser.add_argument("--seed", type=int, action="append", help="this history alone; may be given again")
    parser.add_argument("--trace", action="store_true", help="print everything that happened in it")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--histories", type=int, default=100)
    chosen = parser.parse_args()
    return one_by_one(chosen.seed, trace=chosen.trace) if chosen.seed else many(chosen.first, chosen.histories)


def one_by_one(seeds: list[int], *, trace: bool) -> int:
    """Single histories, with the digest that two runs must agree on."""
    wrong = 0
    with simulated_disks(), remembered():
        for seed in seeds:
            outcome = live_through(seed, trace=trace)
            for line in outcome.lines:
                print(line)
            for violation in outcome.violations:
                print(f"seed {seed}: {violation}")
            print(f"seed {seed}: digest {outcome.digest} after {outcome.seconds:.1f} simulated seconds")
            wrong += bool(outcome.violations)
    return int(wrong > 0)


def many(first: int, histories: int) -> int:
    """Many histories on every core."""
    began = time.perf_counter()
    found = Found()
    for part in live_on_every_core(first, histories):
        found.add(part)
        if part.violations:
            print(part.told(), flush=True)
    passed = time.perf_counter() - began
    print(f"{found.histories} histories in {passed:.1f} s, {len(found.violations)} with a violation")
    for name, number in sorted(found.counts.items()):
        print(f"  {name}: {number}")
    return int(bool(found.violations))


if __name__ == "__main__":
    sys.exit(main())
