"""Three ways to send bands for quantiles, at the same privacy cost: plain, as a tree, and by the square root.

`python -m benchmarks.accuracy.quantiles` prints two tables. All three ways are unbiased and exact without noise, and
what is made of their noisy numbers is by least squares (plain and square root: the only unbiased way there is; tree:
every node of a tree of groups is sent, and the consistent answer is taken, as Hay and others 2010; the best of the
branchings 2, 4, 8, 16 and 32 is shown for each figure, which favours the tree a little).

*Noise of a running total*: the standard deviation in households of the worst running total, and of the worst running
total less half of all, which the median hangs on. Exact, from the noise's variance.

*Error of a quantile*: root mean squared error in bands, over drawn noise, of the median and the ninth tenth of skewed
totals, each way followed by isotonic regression.

Pure: epsilon 1, Laplace noise. zCDP: the same epsilon at delta 10^-6, Gaussian noise.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from federated.privacy import Mechanism, zcdp_rho
from federated.statistics import quantile
from federated.statistics.running_totals import PREFIX_BITS, running_totals, sent

EPSILON = Fraction(1)
DELTA = Fraction(1, 1_000_000)
BANDS = (12, 52, 104, 256, 1024)
BRANCHINGS = (2, 4, 8, 16, 32)
HOUSEHOLDS = 5_000
PROBABILITIES = (0.5, 0.9)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What is sent, and how running totals are made of it.

    Attributes:
        sums: `(numbers sent, B)`: what is sent of the bands.
        weights: `(B, numbers sent)`: running totals of the noisy numbers.
    """

    sums: Floats = field(repr=False)
    weights: Floats = field(repr=False)

    @property
    def l1(self) -> int:
        """Sensitivity for Laplace noise."""
        return int(np.abs(self.sums).sum(axis=0).max())

    @property
    def l2_squared(self) -> int:
        """Sensitivity for Gaussian noise."""
        return int((self.sums**2).sum(axis=0).max())

    def sd(self, mechanism: Mechanism) -> float:
        """Standard deviation of the noise of one number that is sent."""
        if mechanism is Mechanism.DISCRETE_LAPLACE:
            a = float(EPSILON / self.l1)
            return sqrt(2 * np.exp(-a)) / -np.expm1(-a)
        return sqrt(self.l2_squared / (2 * float(zcdp_rho(EPSILON, DELTA))))

    def worst(self, mechanism: Mechanism, part: float) -> float:
        """Of all running totals less a part of all, the largest standard deviation."""
        weights = self.weights - part * self.weights[-1]
        return self.sd(mechanism) * sqrt(float((weights**2).sum(axis=1).max()))

    def errors(self, mechanism: Mechanism, counts: Floats, repeats: int, rng: np.random.Generator) -> list[float]:
        """Root mean squared error of each quantile, in bands."""
        numbers, sd = self.weights.shape[1], self.sd(mechanism)
        if mechanism is Mechanism.DISCRETE_LAPLACE:
            share = -np.expm1(-float(EPSILON / self.l1))
            noise = (rng.geometric(share, (repeats, numbers)) - rng.geometric(share, (repeats, numbers))).astype(float)
        else:
            noise = np.rint(rng.normal(0, sd, (repeats, numbers)))
        truth = np.concatenate(([0.0], np.cumsum(counts)))
        below = np.concatenate([np.zeros((repeats, 1)), truth[1:] + noise @ self.weights.T], axis=1)
        rising = np.array([quantile.isotonic(row) for row in below])
        found = []
        for probability in PROBABILITIES:
            exact = quantile.first_reaching(truth[None, :], probability)
            off = quantile.first_reaching(rising, probability) - exact
            found.append(sqrt(float(np.mean(off**2))))
        return found


def plain(bands: int) -> Way:
    """The bands as they are."""
    return Way(sums=np.eye(bands), weights=running_totals(bands, 0).weights[1:])


def square_root(bands: int) -> Way:
    """As `federated.statistics.running_totals` sends them under Gaussian noise."""
    each = sent(np.eye(bands, dtype=np.int64), bands, PREFIX_BITS)
    return Way(sums=each.T.astype(float), weights=running_totals(bands, PREFIX_BITS).weights[1:])


def trees(bands: int) -> list[Way]:
    """Groups of b bands, groups of b such groups, and so on below the whole; a household is in one node of each."""
    found = []
    for branching in (item for item in BRANCHINGS if item < bands):
        nodes, width = [], 1
        while width < bands:
            for start in range(0, bands, width):
                node = np.zeros(bands)
                node[start : start + width] = 1
                nodes.append(node)
            width *= branching
        sums = np.array(nodes)
        weights = np.tril(np.ones((bands, bands))) @ np.linalg.solve(sums.T @ sums, sums.T)
        found.append(Way(sums=sums, weights=weights))
    return found


def skewed(bands: int, rng: np.random.Generator) -> Floats:
    """Households by band: most in the first and a long tail, as nights placed are."""
    totals = np.minimum(rng.gamma(0.7, bands / 6, size=HOUSEHOLDS).astype(int), bands - 1)
    return np.bincount(totals, minlength=bands).astype(float)


def noise_rows(bands: int) -> list[str]:
    """Rows of the first table, one for each mechanism."""
    rows = []
    for mechanism in Mechanism:
        cells = []
        for ways in ([plain(bands)], trees(bands), [square_root(bands)]):
            cells += [min(way.worst(mechanism, part) for way in ways) for part in (0.0, 0.5)]
        rows.append(f"| {_law(mechanism)} | {bands} | {' | '.join(f'{cell:.1f}' for cell in cells)} |")
    return rows


def error_rows(bands: int, repeats: int, seed: int) -> list[str]:
    """Rows of the second table, one for each mechanism."""
    rows = []
    for mechanism in Mechanism:
        cells: list[float] = []
        for ways in ([plain(bands)], trees(bands), [square_root(bands)]):
            rng = np.random.default_rng(seed)
            counts = skewed(bands, rng)
            each = [way.errors(mechanism, counts, repeats, rng) for way in ways]
            cells += [min(errors[place] for errors in each) for place in range(len(PROBABILITIES))]
        rows.append(f"| {_law(mechanism)} | {bands} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")
    return rows


def _law(mechanism: Mechanism) -> str:
    return "Laplace" if mechanism is Mechanism.DISCRETE_LAPLACE else "Gaussian"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, with these arguments or the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    heads = ("running total", "less half of all"), ("median", "ninth tenth")
    for pair, rows in zip(
        heads,
        (
            [row for bands in BANDS for row in noise_rows(bands)],
            [row for bands in BANDS for row in error_rows(bands, chosen.repeats, chosen.seed)],
        ),
        strict=True,
    ):
        columns = [f"{way}: {figure}" for way in ("plain", "best tree", "square root") for figure in pair]
        print(f"| Noise | Bands | {' | '.join(columns)} |")
        print("|" + "---|" * (len(columns) + 2))
        print("\n".join(rows))
        print()


if __name__ == "__main__":
    main()
