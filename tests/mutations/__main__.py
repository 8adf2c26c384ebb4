"""`python -m tests.mutations`: take each guard out of a copy of the project, and see its tests turn red."""

import argparse
import random
import sys
from collections.abc import Sequence
from functools import partial

from tests.evidence import record
from tests.mutations.listed import Mutation, listed, rows_of_security, unlisted
from tests.mutations.trial import Outcome, fates, try_all


def main() -> int:
    """Try the list.

    Returns:
        0 when every test named was red without its guard.
    """
    arguments = _arguments()
    mutations = [found for found in listed() if all(word in found.label for word in arguments.only)]
    if arguments.sample:
        quick = [found for found in mutations if not found.slow]
        mutations = random.Random(arguments.seed).sample(quick, min(arguments.sample, len(quick)))
    if not mutations:
        print("No guard of the list is called that.", file=sys.stderr)
        return 2
    outcomes = []
    for number, outcome in enumerate(try_all(mutations, jobs=arguments.jobs, tell=partial(print, flush=True)), start=1):
        outcomes.append(outcome)
        print(f"{number:4}/{len(mutations)} {outcome.seconds:6.1f} s  {outcome.told}", flush=True)
    green = [outcome for outcome in outcomes if not outcome.red]
    print(f"{len(outcomes) - len(green)} of {len(outcomes)} guards were missed when they were gone.")
    print("; ".join(f"{what}: {number}" for what, number in fates(outcomes).items()))
    if arguments.record and not green:
        _record(mutations, outcomes)
    return 1 if green else 0


def _record(mutations: Sequence[Mutation], outcomes: Sequence[Outcome]) -> None:
    tests = {test for found in mutations for test in found.tests}
    figures = {
        "rows of SECURITY.md": len(rows_of_security()),
        "rows without a mutation": len(unlisted()),
        "guards removed": len(mutations),
        "tests seen red": len(tests),
        "guards whose absence was not noticed": sum(not outcome.red for outcome in outcomes),
        **fates(outcomes),
    }
    record("guards removed", figures, command=["make", "mutate-guards"], n=len(mutations))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("only", nargs="*", help="words that the name of the guard holds; none: all of them")
    parser.add_argument("--jobs", type=int, default=2, help="how many copies to try at once")
    parser.add_argument("--sample", type=int, default=0, help="only so many, drawn by chance")
    parser.add_argument("--seed", type=int, default=0, help="of that draw")
    parser.add_argument("--record", action="store_true", help="write the result to docs/evidence.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
