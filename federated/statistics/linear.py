"""Linear regression by least squares: a bounded measure of each row on one or more others, with a constant.

The first measure is the outcome, the others are the features; an indicator is `Points` of 0 and 1. Rows where one of
them is not known are left out. Released are the sums of products that `moments` says; `least_squares` fits from them.

Sensitivity. With u_i within [-U_i, U_i], a row adds u_i u_j to the sum of the pair (i, j), at most U_i U_j in absolute
value, and exactly that in all of them at once when every measure is at a bound. Adding or removing a household changes
the sums by at most kappa = `max_cells` rows, which may all be at one corner: the l1 distance is
kappa sum U_i U_j and the squared l2 distance is kappa^2 sum (U_i U_j)^2, over the pairs released. Both are reached.

What is printed: each coefficient in the measures' own units, with an interval for the noise alone (what the exact fit
of the councils' bounded records would be) and one for noise and chance together (`..._sampling`: independent rows with
residuals of one spread); the spread of the residuals, R squared and the number of rows, for the noise alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.errors import QueryError
from federated.privacy.laws import ReleasedNoise
from federated.query.measures import Measured
from federated.query.model import MAX_MEASURES, Level, Period, Table
from federated.query.words import measure_words
from federated.schema import Dataset
from federated.statistics.base import Axis, CellEstimate, Contribution, Figures, Layout, Sensitivity
from federated.statistics.least_squares import Fit
from federated.statistics.moments import Moments
from federated.statistics.propagation import (
    Floats,
    NoiseSize,
    noise_size,
    ratio_interval,
    reach,
    said,
    unsaid,
)
from federated.statistics.tables import check_breakdowns, check_takes, table_layout

code: Final = "linear"
title: Final = "Linear regression"
figures: Final = Figures.FRACTION
CHANCE: Final = "_sampling"
_REST: Final = ("residual_sd", "r_squared", "rows")
_REST_LABELS: Final = ("Standard deviation of the residuals", "R squared", "Rows")


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse a fit without a feature, or one for each of many cells."""
    check_takes(table, measures=range(2, MAX_MEASURES + 1))
    check_breakdowns(table, one_cell_each=False)
    if table.by:
        raise QueryError(
            f"Table '{table.name}' asks for a fit by {len(table.by)} breakdowns; a fit has none.",
            remedy="Add the categories as features, for example points of 1 where main_sex equals male.",
        )


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """One number for each pair of coordinates; printed is one column of figures (for each region)."""
    moments = Moments.of(_ordered(table))
    names = _names(table)
    blocks = tuple(f"{names[left]}*{names[right]}" for left, right in moments.pairs)
    counted = table_layout(table, dataset, period, regions, blocks=blocks)
    words = ("the constant", *(measure_words(item.measure) for item in table.measures[1:]))
    column = Axis(
        name="figure",
        codes=(*names[:-1], *(f"{name}{CHANCE}" for name in names[:-1]), *_REST),
        labels=(
            *(f"Coefficient of {item} (interval for the noise alone)" for item in words),
            *(f"Coefficient of {item} (interval for noise and chance)" for item in words),
            *_REST_LABELS,
        ),
    )
    return Layout(axes=counted.axes, blocks=blocks, figures=(*counted.axes, column))


def _ordered(table: Table) -> tuple[Measured, ...]:
    """The features, and the outcome last."""
    return (*table.measures[1:], table.measures[0])


def _names(table: Table) -> tuple[str, ...]:
    return ("intercept", *(f"x{number}" for number in range(1, len(table.measures))), "y")


def contribution(table: Table) -> Contribution:
    """Every product of two coordinates, for each of at most `max_cells` rows."""
    ordered = _ordered(table)
    return Contribution(per="row", max_cells=table.max_cells, measures=ordered, blocks=Moments.of(ordered).terms())


def sensitivity(table: Table) -> Sensitivity:
    """Kappa rows, at worst all at one corner of the bounds."""
    largest = Moments.of(_ordered(table)).largest()
    return Sensitivity(
        l1=table.max_cells * sum(largest), l2_squared=table.max_cells**2 * sum(item**2 for item in largest)
    )


def decode(table: Table, layout: Layout, totals: NDArray[np.float64], noise: ReleasedNoise) -> tuple[CellEstimate, ...]:
    """The fit of every region (or of all councils asked).

    Shapes:
        `totals` is `(blocks * regions,)`; the result has one entry for each printed figure, region after region.
    """
    by_region = table.level is Level.REGION
    regions = [(item,) for item in layout.axes[0].codes] if by_region else [()]
    sums = totals.reshape(len(layout.blocks), len(regions)).T
    moments, size = Moments.of(_ordered(table)), noise_size(noise)
    return tuple(
        cell
        for region, part in zip(regions, sums, strict=True)
        for cell in _figures(table, region, Outcome(moments=moments, sums=part, size=size))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One region's sums.

    Attributes:
        moments: Which they are.
        sums: With their noise.
        size: Of the noise.
    """

    moments: Moments
    sums: Floats
    size: NoiseSize

    @property
    def rows(self) -> float:
        """How many rows: the sum of squares of the constant over its square."""
        return float(self.sums[0]) / self.constant**2

    @property
    def constant(self) -> int:
        """L."""
        return self.moments.coordinates[0].reach

    def spread(self, moves: Floats) -> float:
        """Variance of the noise in a figure that moves so with the sums."""
        return self.size.variance * float(moves @ moves)

    def far(self, moves: Floats, chance: float = 0.0) -> float:
        """How far such a figure goes from its truth."""
        fourth = self.size.excess_kurtosis * self.size.variance**2 * float(np.sum(moves**4))
        return reach(self.spread(moves) + chance, fourth)

    def own_units(self) -> tuple[Floats, float]:
        """The matrix from scaled coefficients to those of the measures' own units, and what the constant adds."""
        *features, outcome = self.moments.coordinates
        found = np.zeros((len(features), len(features)))
        for place, feature in enumerate(features):
            found[place, place] = (feature.slope if place else feature.start) / outcome.slope
            found[0, place] = feature.start / outcome.slope
        return found, -outcome.start / outcome.slope


def _figures(table: Table, region: tuple[str, ...], found: Outcome) -> Iterator[CellEstimate]:
    names = _names(table)[:-1]
    fit = Fit.of(found.moments, found.sums, found.size)
    free = found.rows - len(names)
    if fit is None or free < 1 or not fit.residual > 0:
        yield from (unsaid((*region, name + kind)) for kind in ("", CHANCE) for name in names)
        outcome = table.measures[0]
        widest = ((0.0, float(outcome.high - outcome.low)), (0.0, 1.0))
        yield from (unsaid((*region, name), interval) for name, interval in zip(_REST, widest, strict=False))
    else:
        yield from _coefficients(region, names, found, fit)
        yield from _residuals(region, found, fit)
    one = np.zeros(len(found.sums))
    one[0] = 1 / found.constant**2
    far = found.far(one)
    yield said((*region, "rows"), found.rows, float(np.sqrt(found.spread(one))), (found.rows - far, found.rows + far))


def _coefficients(region: tuple[str, ...], names: Sequence[str], found: Outcome, fit: Fit) -> Iterator[CellEstimate]:
    units, shift = found.own_units()
    values = units @ fit.coefficients
    values[0] += shift
    moves = units @ fit.moves
    by_chance = fit.residual / (found.rows - len(names)) * np.diag(units @ fit.inverse @ units.T)
    for kind, chances in (("", np.zeros(len(names))), (CHANCE, by_chance)):
        for name, value, move, chance in zip(names, values, moves, chances, strict=True):
            far = found.far(move, float(chance))
            error = float(np.sqrt(found.spread(move) + chance))
            yield said((*region, name + kind), float(value), error, (float(value) - far, float(value) + far))


def _residuals(region: tuple[str, ...], found: Outcome, fit: Fit) -> Iterator[CellEstimate]:
    free = found.rows - len(fit.coefficients)
    unit = abs(found.moments.coordinates[-1].slope)
    variance = fit.residual / free
    moves = fit.residual_moves / free
    moves[0] -= variance / free / found.constant**2
    far = found.far(moves)
    spread = float(np.sqrt(variance)) / unit
    low, high = (float(np.sqrt(max(0.0, end))) / unit for end in (variance - far, variance + far))
    yield said(
        (*region, "residual_sd"), spread, float(np.sqrt(found.spread(moves))) / (2 * spread * unit**2), (low, high)
    )
    left, right = fit.residual_moves, fit.total_moves
    share = fit.residual / fit.total if fit.total > 0 else 1.0
    both = left - share * right
    error = float(np.sqrt(found.spread(both)))
    c0, c1, c2 = (found.size.variance * float(item) for item in (left @ left, -2 * left @ right, right @ right))
    interval = ratio_interval(fit.residual, fit.total, (c0, c1, c2), found.far(both) / error) if error > 0 else None
    if interval is None or interval[0] > 1 or interval[1] < 0:
        yield unsaid((*region, "r_squared"), (0.0, 1.0))
        return
    ends = (max(0.0, 1 - interval[1]), min(1.0, 1 - interval[0]))
    yield said((*region, "r_squared"), 1 - share, error / fit.total, ends)
