"""Whether a pattern over time is even, or as the calendar or a public file has it: a test that knows about the noise.

Statistic. With T the noisy totals of the cells, N their sum and p the expected shares, S = sum of (T_i - N p_i)^2.

Null law. Households fall into the cells independently with probabilities p, and the release's own noise is added to
each cell; S of such tables is simulated. How many households there are is known only through the noise, so the number
is taken at the upper end of an interval that misses with probability at most 1 in 1,000, where S is largest, and that
1/1,000 is added to the p-value (Berger and Boos 1994): the test keeps its size for small tables too.

Contributions. One household may be in the table up to kappa = `max_cells` times. Its k <= kappa contributions may all
lean the same way; whatever they do, their covariance is at most k^2 (diag p - p p'), since (sum of k terms)^2 <= k
times the sum of squares. So the null is simulated as if all came in groups of kappa that fall into one cell together:
the covariance of the departures is then at least as large in every direction. For kappa = 1 the law is exact; above, it
is an upper bound in the limit of many households, and the test loses power for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import NDArray

from federated.analysis.derived import DerivedCell, DerivedTable, Finding, codes_along
from federated.analysis.expected_shares import Expected, equal, known_codes
from federated.analysis.noise_law import NoiseLaw
from federated.analysis.null_law import DRAWS, SEED, PValue, generator, in_blocks, noise_draws, p_value
from federated.analysis.share import pair_law
from federated.analysis.source import TARGET_COVERAGE, NoisyTable
from federated.errors import QueryError
from federated.release import AxisRecord
from federated.statistics.tables import REGION_AXIS

__all__ = ["uniformity"]

MISSED = Fraction(1, 1000)
"""Chance that the number of households is larger than the null law takes it to be."""
SIGNIFICANT = 0.05
SWING = 0.2
"""The pattern that the test's power is told for: every other cell 20% above and below what is expected."""
COUNTS = frozenset({"households", "rows"})
SEVERAL = (
    "One household may be in the table {} times, and all of them may lean the same way: the test allows for that, "
    "and finds less."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pattern:
    """What is tested.

    Attributes:
        axes: Axes of the pattern.
        totals: Noisy totals of its known cells, in steps.
        law: Law of the noise in each.
        expected: Expected shares.
        clump: Contributions that may fall together.
    """

    axes: tuple[AxisRecord, ...]
    totals: NDArray[np.int64]
    law: NoiseLaw
    expected: NDArray[np.float64]
    clump: int

    @property
    def households(self) -> float:
        """Noisy number of contributions."""
        return float(self.totals.sum()) / self.law.scale

    @property
    def most_households(self) -> float:
        """Its upper end: the noise in the sum is lower still with probability `MISSED` at most."""
        reach, _ = self.law.of_cells(len(self.totals)).half_width(1 - 2 * MISSED)
        return self.households + reach

    def simulated(
        self, shares: NDArray[np.float64], households: float, draws: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """S of tables in which so many fall by these shares, in groups of `clump`, rounded up; noise included."""
        groups = ceil(max(0.0, households) / self.clump)
        found = []
        for size in in_blocks(draws, len(shares)):
            counts = self.clump * rng.multinomial(groups, shares, size=size)
            tables = counts * self.law.scale + noise_draws(self.law, counts.shape, rng)
            found.append(_statistic(tables, self.expected))
        return np.concatenate(found)


def uniformity(
    source: NoisyTable,
    along: Sequence[str] = (),
    *,
    expected: Expected = equal,
    seed: int = SEED,
    draws: int = DRAWS,
) -> DerivedTable:
    """Test whether counts follow expected shares along some axes.

    Args:
        source: A table of counts.
        along: Axes of the pattern; all but the region when none are named. The others are added up.
        expected: The shares expected: `equal`, `by_days`, or `from_figures` of a public file.
        seed: Of the simulation; the same seed gives the same p-value.
        draws: Tables simulated.

    Returns:
        Each cell's departure from what is expected, with an interval for the noise alone, and the test's findings.

    Raises:
        QueryError: Not a table of counts, no such axis, or fewer than two known categories.
    """
    if source.table.statistic not in COUNTS:
        raise QueryError(
            f"The table '{source.table.name}' holds sums; whether a pattern is even can be tested for counts only.",
            remedy="Choose a table of households or rows.",
        )
    names = list(along) or [axis.name for axis in source.table.axes if axis.name != REGION_AXIS]
    pattern = _pattern(source, names, expected)
    rng = generator(seed, draws)
    null = pattern.simulated(pattern.expected, pattern.most_households, draws, rng)
    statistic = float(_statistic(pattern.totals, pattern.expected))
    power = _power(pattern, null, rng)
    return DerivedTable(
        caveat=source.table.caveat,
        name=f"{source.table.name}_uniformity",
        title=f"{source.release.title} – {source.table.name}, pattern along {', '.join(names)}",
        unit="as the table, above or below what was expected",
        method=(
            "Each estimate less its expected share of the sum, with an interval for the noise alone; "
            "the test counts chance as well."
        ),
        axes=tuple(_known(axis) for axis in pattern.axes),
        cells=_departures(pattern),
        findings=_findings(statistic / pattern.law.scale**2, p_value(statistic, null), power),
        notes=(
            *([SEVERAL.format(source.table.max_cells)] if source.table.max_cells > 1 else []),
            f"Simulated {draws:,} times with seed {seed}.",
            *source.coverage_notes(),
        ),
        releases=(source.release.digest.hex(),),
    )


def _pattern(source: NoisyTable, names: Sequence[str], expected: Expected) -> _Pattern:
    """The known cells along the axes named, added up over the others."""
    kept = {source.axis(name) for name in names}
    sums, law, axes = source.summed_over([place for place in range(source.steps.ndim) if place not in kept])
    for place, axis in enumerate(axes):
        sums = np.take(sums, [axis.codes.index(code) for code in known_codes(axis)], axis=place)
    if sums.size < 2:  # noqa: PLR2004 - a pattern has two places at least
        raise QueryError(
            f"The table '{source.table.name}' has no pattern along these axes: fewer than two known categories.",
            remedy="Name another axis with --along.",
        )
    shares = expected(source, axes).ravel()
    return _Pattern(axes=axes, totals=sums.ravel(), law=law, expected=shares, clump=source.table.max_cells)


def _known(axis: AxisRecord) -> AxisRecord:
    kept = [(code, label) for code, label in zip(axis.codes, axis.labels, strict=True) if code in known_codes(axis)]
    return AxisRecord(name=axis.name, codes=tuple(code for code, _ in kept), labels=tuple(label for _, label in kept))


def _statistic(totals: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """S, in squared steps, along the last axis."""
    departures = totals - totals.sum(axis=-1, keepdims=True) * shares
    found: NDArray[np.float64] = (departures**2).sum(axis=-1)
    return found


def _power(pattern: _Pattern, null: NDArray[np.float64], rng: np.random.Generator) -> float:
    """How often a swing of 20% would be found in a table of this size."""
    swung = pattern.expected * (1 + SWING * np.where(np.arange(len(pattern.expected)) % 2, -1, 1))
    swings = pattern.simulated(swung / swung.sum(), pattern.households, len(null), rng)
    critical = np.quantile(null, 1 - SIGNIFICANT + float(MISSED), method="higher")
    return float((swings > critical).mean())


def _departures(pattern: _Pattern) -> tuple[DerivedCell, ...]:
    """T_i - N p_i has the noise (1 - p_i) X - p_i Y, Y being that of all other cells: the law a share has."""
    law, shares = pattern.law, pattern.expected
    rest = law.of_cells(len(shares) - 1)
    pair = pair_law(law, rest)
    coverage = float(TARGET_COVERAGE)
    reach = pair.distance(shares, coverage)
    covers = pair.within(shares, reach, closed=True)
    values = pattern.totals - pattern.totals.sum() * shares
    errors = np.hypot((1 - shares) * law.sd, shares * rest.sd)
    columns = zip(
        codes_along([_known(axis) for axis in pattern.axes]),
        (values / law.scale).tolist(),
        errors.tolist(),
        (reach / law.scale).tolist(),
        covers.tolist(),
        strict=True,
    )
    return tuple(
        DerivedCell(
            codes=codes,
            estimate=value,
            standard_error=error,
            low=value - half,
            high=value + half,
            coverage=covered,
        )
        for codes, value, error, half, covered in columns
    )


def _findings(statistic: float, found: PValue, power: float) -> tuple[Finding, ...]:
    value = min(1.0, found.value + float(MISSED))
    said = (
        "The pattern is not the expected one: chance and noise together would depart as far"
        if value < SIGNIFICANT
        else "Chance and noise together explain the pattern, which does not show that it is even: they depart as far"
    )
    return (
        Finding(name="statistic", value=statistic, sentence=f"Sum of squared departures: {statistic:,.1f}."),
        Finding(
            name="p_value",
            value=value,
            sentence=(
                f"{said} in at most {1000 * value:.0f} of 1,000 tables "
                f"(p = {value:.4f}, simulated with a standard error of {found.standard_error:.4f})."
            ),
        ),
        Finding(
            name="p_value_standard_error",
            value=found.standard_error,
            sentence=f"Standard error of the p-value, from the simulation: {found.standard_error:.4f}.",
        ),
        Finding(
            name="power_at_20_per_cent",
            value=power,
            sentence=(
                f"Had every other category been 20% above and below what is expected, "
                f"the test would have found it in {100 * power:.0f} of 100 tables."
            ),
        ),
    )
