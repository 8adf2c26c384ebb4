"""`python -m tests.fuzz [TARGET ...] --seconds N`: fuzz targets, or all of them, and say what broke."""

import argparse
import random
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.fuzz.run import Ran, merge, run
from tests.fuzz.table import MOST_KEPT, files_of
from tests.fuzz.targets import TARGETS


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, and end with 1 when something broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="how long each target is run (60)")
    parser.add_argument("--jobs", type=int, default=1, help="how many are run at once (1)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 2**31))
    parser.add_argument("--merge", action="store_true", help="keep what took new paths in tests/fuzz/corpus")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.targets) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    print(f"seed {chosen.seed}", flush=True)

    def each(name: str) -> Ran:
        ran = run(TARGETS[name], seconds=chosen.seconds, seed=chosen.seed)
        lines = [f"{name}: {ran.executions:,} inputs, {len(ran.broken)} broke it"]
        for item in ran.broken:
            lines += [f"  {item.file}", *(f"    {line}" for line in item.said.splitlines()[-8:])]
        print("\n".join(lines), flush=True)
        return ran

    with ThreadPoolExecutor(chosen.jobs) as pool:
        ran = list(pool.map(each, chosen.targets or TARGETS))
    if chosen.merge:
        _merge([item.target for item in ran if not item.broken])
    broken = sum(len(item.broken) for item in ran)
    print(f"{len(ran)} targets, {sum(item.executions for item in ran):,} inputs, {broken} faults", flush=True)
    return 1 if broken else 0


def _merge(names: Sequence[str]) -> None:
    """Keep what was found, an equal share of the bytes left for each target; one that broke is mended first."""
    kept = sum(path.stat().st_size for name in TARGETS for path in files_of(name))
    share = max(MOST_KEPT - 1 - kept, 0) // max(len(names), 1)
    for name in names:
        added = merge(TARGETS[name], room=share)
        print(f"{name}: {len(added)} inputs kept in tests/fuzz/corpus", flush=True)


if __name__ == "__main__":
    sys.exit(main())
