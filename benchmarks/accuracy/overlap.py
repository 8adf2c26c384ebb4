"""How well households known to two councils could be counted from keyed sketches.

`python -m benchmarks.accuracy.overlap` prints the error for sketches of several sizes.

The signed sketch of Alon, Matias and Szegedy (1996) under secure aggregation: for each of its households a council adds
+1 or -1, by a hash that all councils share, to one of M numbers. With F1 the households of all councils, each counted
in every council, and F2 the sum of squares of how many councils know each, the pairs are D = (F2 - F1) / 2, and F2 is
estimated by the sum of squares of the noisy numbers less M times the variance of the noise. One household changes one
number by 1. No council's node does this (decision 0010): it would have to read who a household is.
"""

import argparse
import json
from collections.abc import Sequence
from fractions import Fraction
from math import sqrt

import numpy as np

from benchmarks.accuracy.noises import noises
from federated.statistics import Sensitivity

SIZES = (2**8, 2**10, 2**12, 2**15, 2**18)
HOUSEHOLDS = 80_000
"""About the number owed a duty in England in a quarter."""
COUNCILS = 296


def estimates(pairs: int, size: int, *, epsilon: Fraction, repetitions: int, seed: int) -> np.ndarray:
    """Estimated pairs, so often: the noise is that of a full round, the hash is drawn anew each time."""
    rng = np.random.default_rng(seed)
    noise = noises(Sensitivity(l1=1, l2_squared=1), 1, epsilon=epsilon, councils=COUNCILS).law("ours")
    first, probabilities = noise.pmf()
    values = (first + np.arange(len(probabilities))) / noise.scale
    cumulative = np.cumsum(probabilities) / probabilities.sum()
    found = []
    for _ in range(repetitions):
        identity = np.concatenate([np.arange(HOUSEHOLDS), np.arange(pairs)])
        place, sign = rng.integers(0, size, HOUSEHOLDS), rng.choice([-1, 1], HOUSEHOLDS)
        totals = np.bincount(place[identity], weights=sign[identity], minlength=size)
        noisy = totals + values[np.searchsorted(cumulative, rng.random(size))]
        squares = float(noisy @ noisy) - size * noise.sd**2
        found.append((squares - len(identity)) / 2)
    return np.array(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the root mean squared error for each size of sketch and number of pairs."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--repetitions", type=int, default=40)
    reader.add_argument("--epsilon", type=Fraction, nargs="+", default=[Fraction(1, 4), Fraction(1)])
    reader.add_argument("--seed", type=int, default=1)
    chosen = reader.parse_args(arguments)
    for epsilon in chosen.epsilon:
        for pairs in (500, 2_000, 10_000):
            errors = {}
            for size in SIZES:
                drawn = estimates(pairs, size, epsilon=epsilon, repetitions=chosen.repetitions, seed=chosen.seed)
                errors[size] = round(sqrt(float(np.mean((drawn - pairs) ** 2))))
            print(json.dumps({"epsilon": str(epsilon), "pairs": pairs, "error": errors}), flush=True)


if __name__ == "__main__":
    main()
