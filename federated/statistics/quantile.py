"""Quantiles of households' totals in a cell: the median, the ninth tenth, of nights or days or children.

A household's values in a cell are added up, held within the bounds, and the household counts in the band of the public
grid that its total lies in. Inside a band totals are taken as spread evenly: the p-quantile is where the running total
of households, drawn as a straight line across each band, first reaches p times all of them. The first band begins at
the lower clip bound, the last ends at the upper. So a quantile of exact records is known to within its band, and the
grid says how wide that is.

What is sent hangs on the noise (`federated.statistics.running_totals`): the bands as they are under Laplace noise, and
under Gaussian noise the bands through the square root of adding up, rounded to whole numbers.

Sensitivity. Adding or removing a household changes at most kappa = `max_cells` different cells of the breakdowns, and
in each one band by 1.
Laplace noise: the l1 distance is kappa. Gaussian noise: with the bands x of one cell the councils send R x, R lower
triangular with the whole-number columns c_j = (0, .., 0, r_0, .., r_(B-1-j)). A household in band j changes that cell's
numbers by c_j, whose squared norm is at most that of c_0, r_0^2 + .. + r_(B-1)^2, reached in the first band. Different
cells are different parts of the vector, so their squared norms add up: at most kappa |c_0|^2, reached by a household
in the first band of kappa cells. (`protocol.md` 3 has kappa^2 for several bands of one cell, whose columns overlap;
here no household is in two.)

Interval. For a place v on the grid, a share t into band k, let D(v) be the running total there less p times all: a sum
of the noisy numbers with known weights. At the true quantile D is noise alone, whose law is known. So the set of all v
whose |D(v)| is no more than that noise reaches in 95 of 100 cases holds the true quantile in 95 of 100 cases, whatever
the bands are (Fieller 1954; a test is inverted, and no density has to be estimated). The interval is the smallest that
holds that set: it can only cover more, and does so by much only where the set has gaps, in cells with few households.
Under Gaussian noise D is normal. Under Laplace noise what D reaches follows from its fourth cumulant (Cornish and
Fisher 1938). It is widened by half of the largest weight, because the noise is in whole households and D moves in
steps of its weights (a continuity correction); so such intervals hold a little more often than they declare, and much
more where the noise is hardly larger than one household. Held against the exact law, none fell short.

The interval is about the noise, not about sampling. The standard error is that of normal noise with as wide an
interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from typing import Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federated.errors import QueryError
from federated.privacy.laws import ReleasedNoise
from federated.privacy.mechanism import Mechanism
from federated.query.model import MAX_EDGES, Period, Table
from federated.rationals import rational_text
from federated.schema import Dataset
from federated.statistics.base import (
    Axis,
    Banding,
    CellEstimate,
    Contribution,
    Figures,
    Layout,
    Sensitivity,
    Term,
)
from federated.statistics.offsets import NORMAL_POINT, TARGET_COVERAGE, cell_codes, longer_tail
from federated.statistics.running_totals import PREFIX_BITS, RunningTotals, column_norm_squared, running_totals
from federated.statistics.tables import band_labels, banded, check_breakdowns, check_takes, table_layout

code: Final = "quantile"
title: Final = "Quantiles"
figures: Final = Figures.FRACTION
BLOCKS: Final = ("households",)
BAND_AXIS: Final = "band"
QUANTILE_AXIS: Final = "quantile"
MOST_PROBABILITIES: Final = 16
BISECTIONS: Final = 40
SLACK: Final = 1e-6
"""Households. Running totals this close are equal: what is decoded from exact numbers is exact but for rounding."""
NAMES: Final = {Fraction(1, 4): "lower quartile", Fraction(1, 2): "median", Fraction(3, 4): "upper quartile"}

Floats: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.int64]


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse quantiles without a measure or a grid, and a grid that reaches beyond the clip bounds."""
    check_takes(table, measures=1, edges=range(2, MAX_EDGES + 1), probabilities=range(1, MOST_PROBABILITIES + 1))
    check_breakdowns(table, one_cell_each=True)
    (measured,) = table.measures
    if not measured.low <= table.edges[0] < table.edges[-1] <= measured.high:
        raise QueryError(
            f"Table '{table.name}' has edges from {table.edges[0]} to {table.edges[-1]}, but its measure is clipped to "
            f"{measured.low} to {measured.high}.",
            remedy="Choose edges within the clip bounds: a band outside them is always empty.",
        )


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """One number per cell and band, the bands last; printed are the quantiles of each cell."""
    cells = table_layout(table, dataset, period, regions, blocks=BLOCKS)
    quantiles = Axis(
        name=QUANTILE_AXIS,
        codes=tuple(map(_code, table.probabilities)),
        labels=tuple(map(_label, table.probabilities)),
    )
    return replace(banded(cells, BAND_AXIS, band_labels(table.edges)), figures=(*cells.axes, quantiles))


def contribution(table: Table) -> Contribution:
    """1 in the band of the household's total, for each of at most `max_cells` different cells."""
    return Contribution(
        per="household",
        measures=table.measures,
        max_cells=table.max_cells,
        bands=(Banding(measure=0, edges=table.edges),),
        blocks=((Term(coefficient=1),),),
        prefix_bits=PREFIX_BITS,
    )


def sensitivity(table: Table) -> Sensitivity:
    """Kappa cells: in each, one band by 1 (Laplace), or one column of the rounded matrix (Gaussian)."""
    squared = column_norm_squared(len(table.edges) + 1, PREFIX_BITS)
    return Sensitivity(l1=table.max_cells, l2_squared=table.max_cells * squared)


def decode(table: Table, layout: Layout, totals: NDArray[np.float64], noise: ReleasedNoise) -> tuple[CellEstimate, ...]:
    """Each quantile of each cell, with the interval of the module's first lines.

    The estimate is read off the running totals after isotonic regression and lies within the interval. Where the noisy
    number of all households is not above zero nothing is said: the estimate is not a number, and the interval is the
    clip range, which holds the quantile with certainty.

    Shapes:
        `totals` is `(layout.categories,)`; the result has one entry for each cell and probability.
    """
    (measured,) = table.measures
    points = np.array([measured.low, *table.edges, measured.high], dtype=np.float64)
    bits = contribution(table).under(noise.mechanism).prefix_bits
    sums = running_totals(len(table.edges) + 1, bits)
    below = totals.reshape(-1, sums.bands) @ sums.weights.T
    rising = np.array([isotonic(row) for row in below])
    found = [
        _quantiles(below, rising, _Reach.of(sums, noise, float(probability)), points)
        for probability in table.probabilities
    ]
    codes = cell_codes(layout.printed)
    return tuple(
        CellEstimate(
            codes=codes[cell * len(found) + place],
            estimate=float(values[cell]),
            standard_error=float((high[cell] - low[cell]) / (2 * NORMAL_POINT))
            if np.isfinite(values[cell])
            else float("nan"),
            low=float(low[cell]),
            high=float(high[cell]),
            coverage=float(TARGET_COVERAGE) if np.isfinite(values[cell]) else 1.0,
        )
        for cell, (place, (values, low, high)) in product(range(len(below)), enumerate(found))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reach:
    """How far from zero the noise in D goes, at any place of the grid.

    Attributes:
        probability: p.
        sd: Standard deviation of the noise of one number.
        excess: Excess kurtosis of that noise; 0 where it is near enough to normal.
        half_step: Half of the largest step in which D moves; 0 where the steps are too fine to matter.
        at_edges: Variance of D at each edge, in units of `sd` squared.
        between: Covariance of D at each edge and the next.
    """

    probability: float
    sd: float
    excess: float
    half_step: float
    at_edges: Floats
    between: Floats

    @classmethod
    def of(cls, sums: RunningTotals, noise: ReleasedNoise, probability: float) -> Self:
        at_edges, between = sums.noise_squares(probability)
        excess, half_step = 0.0, 0.0
        if noise.mechanism is Mechanism.DISCRETE_LAPLACE:
            excess = noise.excess_kurtosis
            half_step = max(probability, 1 - probability) / 2
        return cls(
            probability=probability,
            sd=noise.sd,
            excess=excess,
            half_step=half_step,
            at_edges=at_edges,
            between=between,
        )

    def at(self, band: Places, part: Floats) -> Floats:
        """What |D| stays within, a share `part` into each of these bands."""
        p, bands = self.probability, len(self.between)
        squares = (
            (1 - part) ** 2 * self.at_edges[band]
            + 2 * part * (1 - part) * self.between[band]
            + part**2 * self.at_edges[band + 1]
        )
        # Fourth powers of the weights of bands that are sent as they are; where they are not, `excess` is 0.
        fourths = band * (1 - p) ** 4 + (part - p) ** 4 + (bands - 1 - band) * p**4
        tail = longer_tail(self.excess * fourths / squares**2)
        reach: Floats = self.sd * (NORMAL_POINT + tail) * np.sqrt(squares) + self.half_step
        return reach


def _quantiles(below: Floats, rising: Floats, reach: _Reach, points: Floats) -> tuple[Floats, Floats, Floats]:
    """Estimates and the ends of their intervals, on the scale of the measure.

    Shapes:
        `below` and `rising` are `(cells, B + 1)`, `points` `(B + 1,)`; the results `(cells,)`.
    """
    bands = below.shape[1] - 1
    ahead = below - reach.probability * below[:, -1:]
    edges = np.arange(bands + 1)
    band = np.minimum(edges, bands - 1)
    limit = reach.at(band, (edges - band).astype(np.float64))
    said = below[:, -1] > SLACK
    # First edge that is not clearly below the quantile, and last that is not clearly above it.
    first = np.argmax(ahead >= -limit, axis=1)
    last = bands - np.argmax((ahead <= limit)[:, ::-1], axis=1)
    low = np.where(first == 0, 0.0, _crossing(ahead, reach, np.maximum(first - 1, 0), side=-1))
    high = np.where(last == bands, float(bands), _crossing(ahead, reach, np.minimum(last, bands - 1), side=1))
    estimate = np.clip(first_reaching(rising, reach.probability), low, high)
    values, ends = np.interp(estimate, edges, points), np.interp([low, high], edges, points)
    return (
        np.where(said, values, np.nan),
        np.where(said, ends[0], points[0]),
        np.where(said, ends[1], points[-1]),
    )


def _crossing(ahead: Floats, reach: _Reach, band: Places, *, side: int) -> Floats:
    """Where in its band |D| crosses what noise reaches: from below it on the lower side, past it on the upper.

    D is a straight line in a band and the reach is convex there, so there is one crossing; the end returned is outside.
    """
    cells = np.arange(len(ahead))
    start, end = ahead[cells, band], ahead[cells, band + 1]
    inside, outside = (1.0, 0.0) if side < 0 else (0.0, 1.0)
    kept, left = np.full(len(cells), inside), np.full(len(cells), outside)
    for _ in range(BISECTIONS):
        middle = (kept + left) / 2
        within = side * (start + middle * (end - start)) <= reach.at(band, middle)
        kept, left = np.where(within, middle, kept), np.where(within, left, middle)
    place: Floats = band + left
    return place


def first_reaching(rising: Floats, probability: float) -> Floats:
    """Where rising running totals first reach p times their last, as a place on the grid: edges and parts of bands.

    Shapes:
        `rising` is `(cells, B + 1)`, the first of each row 0; the result is `(cells,)`, in [0, B].
    """
    level = probability * rising[:, -1:]
    band = np.maximum(np.argmax(rising >= level - SLACK, axis=1), 1) - 1
    cells = np.arange(len(rising))
    start, end = rising[cells, band], rising[cells, band + 1]
    rise = np.maximum(end - start, SLACK)
    place: Floats = band + np.clip((level[:, 0] - start) / rise, 0, 1)
    return place


def isotonic(below: Floats) -> Floats:
    """The rising running totals nearest to these (pool adjacent violators); the first is 0, and none is less.

    Shapes:
        `(B + 1,)`, both.
    """
    means: list[float] = []
    sizes: list[int] = []
    for value in below[1:]:
        mean, size = float(value), 1
        while means and means[-1] > mean:
            before = sizes.pop()
            mean = (mean * size + means.pop() * before) / (size + before)
            size += before
        means.append(mean)
        sizes.append(size)
    return np.concatenate(([0.0], np.maximum(np.repeat(means, sizes), 0.0)))


def _code(probability: Fraction) -> str:
    """As a decimal where it is one, ``0.9``; else as a fraction, ``1/3``."""
    digits = next((digits for digits in range(1, 7) if (probability * 10**digits).denominator == 1), None)
    return rational_text(probability) if digits is None else f"{float(probability):.{digits}f}"


def _label(probability: Fraction) -> str:
    name = NAMES.get(probability)
    return _code(probability) if name is None else f"{_code(probability)} ({name})"
