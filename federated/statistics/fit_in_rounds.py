"""What fits of an outcome on numbers by several rounds share: a row's sums, their sensitivity, and the fit at the end.

Every round, at public coefficients b, sums the gradient and the Hessian of the log likelihood: (y - m) u_i and
w u_i u_j, with y the outcome, within 0 and T; u the features centred and scaled to whole numbers within [-U_i, U_i], U
the largest of these (`moments.Scaled`); and the mean m and the weight w read off a public table at the row's predictor,
in units of 1/R. To have one unit the gradient is multiplied by U. A family may multiply it by F as well: the Hessian
then costs less, and its noise is F times as large.

Sensitivity. Whatever the coefficients are, a row stands at one point of the table. There it adds R y - m in the
gradient, at most max(m, R T - m) in absolute value, and w in the Hessian. So the l1 distance of a row is at most the
largest, over the points of the table, of

    F max(m, R T - m) sum_i U U_i + w sum_{i <= j} U_i U_j,

and the squared l2 distance the same with every factor squared: a maximum of whole numbers over a public table, reached
by rows at a corner of the bounds. Kappa = `max_cells` rows give kappa and kappa^2 times that; steps are counted as
`steps` says. No coefficient that a coordinator could send changes any of it.

Rounds. Each has the same part of the budget: the first two find the way and later ones all count in the answer
(`newton`). Less for the first two would gain little, and each round's cost would hang on its number, which the
coordinator chooses.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations_with_replacement
from typing import Final

import numpy as np

from federated.errors import QueryError
from federated.query.measures import Measured
from federated.query.model import MAX_ROUNDS, Level, Period, Table
from federated.query.words import measure_words
from federated.schema import Dataset
from federated.statistics.base import (
    Axis,
    CellEstimate,
    Contribution,
    Curve,
    Layout,
    RoundFigures,
    Sensitivity,
    Term,
    Times,
)
from federated.statistics.exponential import FIRST, GRID, ONE
from federated.statistics.moments import Scaled
from federated.statistics.newton import Fitted, Slope, next_point
from federated.statistics.propagation import Floats, reach, said, unsaid
from federated.statistics.steps import in_steps
from federated.statistics.tables import check_breakdowns, table_layout

__all__ = ["LIMIT", "MOST_FEATURES", "Family", "Fit", "check_in_rounds", "largest_of_a_row"]

CHANCE: Final = "_sampling"
MOST_FEATURES: Final = 11
LIMIT: Final = 16 * GRID
"""Largest coefficient in coordinates from -1 to 1, either way: e^16, 9 million times as much."""
STEPS: Final = 64
"""Steps that the largest change of one number by one row is cut into."""
_CLOSE_TO_LIMIT: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What one kind of fit says of its outcome.

    Attributes:
        says: What a coefficient is the logarithm of.
        largest: T, the largest outcome; the smallest is 0.
        means: By point of the public table, from that of -8 upwards, in units of 1/R.
        weights: By point, likewise.
        lift: F, what the gradient is multiplied by beside the Hessian.
        rises: Whether the mean is the exponential of the predictor. Then a step may follow that (`newton`); and the end
            of the table is not flat, so that nothing is said of a fit under which a row could stand beyond it.
    """

    says: str
    largest: int
    means: tuple[int, ...] = field(repr=False)
    weights: tuple[int, ...] = field(repr=False)
    lift: int
    rises: bool


def check_in_rounds(table: Table, *, instead: str) -> None:
    """Refuse a fit by breakdowns or regions, or in one round.

    Args:
        table: The table asked for.
        instead: The statistic that fits closed categories in one round.
    """
    check_breakdowns(table, one_cell_each=False)
    if table.by or table.level is not Level.ALL:
        raise QueryError(
            f"Table '{table.name}' asks for a fit by breakdowns or regions; this fit is over all councils.",
            remedy="Add the categories as features, for example points of 1 where main_sex equals male.",
        )
    if table.rounds == 1:
        raise QueryError(
            f"Table '{table.name}' asks for '{table.statistic}' in one round; it takes 2 to {MAX_ROUNDS}.",
            remedy=f"Write rounds: 6, or use '{instead}' for closed categories.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One table's fit.

    Attributes:
        outcome: From 0 to the family's largest.
        features: Row by row; a constant is always there.
        family: The kind of fit.
    """

    outcome: Measured
    features: tuple[Measured, ...]
    family: Family

    @property
    def coordinates(self) -> tuple[Scaled, ...]:
        """The constant and the features; a place is among the features, one less than among all measures."""
        return Scaled.all_of(self.features)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the coefficients."""
        return ("intercept", *(f"x{number}" for number in range(1, len(self.features) + 1)))

    def layout(self, table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
        """Gradient, then the lower triangle of the Hessian; printed is one column of figures."""
        names = self.names
        blocks = (*names, *(f"{names[row]}*{names[column]}" for column, row in _pairs(len(names))))
        counted = table_layout(table, dataset, period, regions, blocks=blocks)
        words = ("the constant", *(measure_words(item.measure) for item in self.features))
        column = Axis(
            name="figure",
            codes=(*names, *(f"{name}{CHANCE}" for name in names), "rows"),
            labels=(
                *(f"{self.family.says} of {item} (interval for the noise alone)" for item in words),
                *(f"{self.family.says} of {item} (interval for noise and chance)" for item in words),
                "Rows",
            ),
        )
        return Layout(axes=counted.axes, blocks=blocks, figures=(*counted.axes, column))

    def contribution(self, max_cells: int) -> Contribution:
        """Gradient and Hessian of each of at most that many rows; the outcome is the first measure."""
        coordinates = self.coordinates
        width = coordinates[0].reach
        larger = self.family.lift * width
        gradient = tuple(
            (
                *_times(_linear(item), larger * ONE, Times.ONE, (0,)),
                *_times(_linear(item), -larger, Times.MEAN),
            )
            for item in coordinates
        )
        hessian = tuple(
            _times(_product(coordinates[column], coordinates[row]), 1, Times.WEIGHT)
            for column, row in _pairs(len(coordinates))
        )
        return Contribution(
            per="row",
            max_cells=max_cells,
            measures=(self.outcome, *self.features),
            blocks=(*gradient, *hessian),
            step=self.step,
            curve=Curve(
                line=tuple(
                    (item.slope, item.start, None if item.place is None else item.place + 1) for item in coordinates
                ),
                width=width,
                first=FIRST,
                limit=LIMIT,
                means=self.family.means,
                weights=self.family.weights,
            ),
        )

    @property
    def step(self) -> int:
        """As in `Contribution`."""
        width = self.coordinates[0].reach
        return -(-self.family.lift * self.family.largest * ONE * width**2 // STEPS)

    def sensitivity(self, max_cells: int) -> Sensitivity:
        """Kappa rows, at worst all at one corner of the bounds and at the worst point of the curve."""
        reaches = tuple(item.reach for item in self.coordinates)
        l1, l2_squared = largest_of_a_row(reaches, self.family)
        size = len(reaches)
        return in_steps(
            l1=max_cells * l1,
            l2_squared=max_cells**2 * l2_squared,
            numbers=size + size * (size + 1) // 2,
            step=self.step,
        )

    def start(self) -> tuple[int, ...]:
        """All zero: the same mean for every row."""
        return (0,) * (len(self.features) + 1)

    def advance(self, found: RoundFigures) -> tuple[int, ...]:
        """The nearest allowed coefficients to where a noisy step leads."""
        steps = np.rint(next_point(self._slope(found), rises=self.family.rises) * GRID)
        return tuple(int(item) for item in np.clip(steps, -LIMIT, LIMIT))

    def conclude(self, rounds: Sequence[RoundFigures]) -> tuple[CellEstimate, ...]:
        """The fit from all rounds; see `newton`."""
        slopes = [self._slope(found) for found in rounds]
        same = [found.councils == rounds[-1].councils for found in rounds]
        fitted = Fitted.of(slopes, same=same)
        if fitted is not None and self.family.rises and not self._within_the_table(fitted.coefficients):
            fitted = None
        counted = slopes[0] if same[0] and not any(rounds[0].coefficients) else None
        return (*self._coefficients(fitted), self._rows(counted))

    def _within_the_table(self, coefficients: Floats) -> bool:
        """Whether no row within the bounds has a predictor beyond the table's first or last point.

        There the mean is held and its weight is not 0, so that the Hessian is no derivative of the gradient: the rounds
        would settle slowly and the interval be too narrow.
        """
        constant, *coordinates = self.coordinates
        middle = float(coefficients[0])
        far = sum(
            abs(float(value)) * item.reach / constant.reach
            for value, item in zip(coefficients[1:], coordinates, strict=True)
        )
        last = FIRST + len(self.family.means) - 1
        return middle - far >= FIRST / GRID and middle + far <= last / GRID

    def _slope(self, found: RoundFigures) -> Slope:
        width, lift = self.coordinates[0].reach, self.family.lift
        return Slope.of(found, grid=GRID, unit=self.step / (lift * ONE * width**2), lift=lift)

    def _coefficients(self, fitted: Fitted | None) -> Iterator[CellEstimate]:
        if fitted is None or float(np.abs(fitted.coefficients).max()) > _CLOSE_TO_LIMIT:
            yield from (unsaid((name + kind,)) for kind in ("", CHANCE) for name in self.names)
            return
        units = self.own_units()
        values = units @ fitted.coefficients
        noise, chance = (np.diag(units @ part @ units.T) for part in (fitted.by_noise, fitted.by_chance))
        for kind, variances in (("", noise), (CHANCE, noise + chance)):
            for name, value, variance in zip(self.names, values, variances, strict=True):
                far, code = reach(float(variance)), (name + kind,)
                yield said(code, float(value), float(np.sqrt(variance)), (float(value) - far, float(value) + far))

    def own_units(self) -> Floats:
        """From coefficients of coordinates from -1 to 1 to those of the measures' own units.

        Shapes:
            For d coordinates `(d, d)`.
        """
        constant, *coordinates = self.coordinates
        found = np.eye(len(coordinates) + 1)
        for place, item in enumerate(coordinates, start=1):
            found[place, place] = item.slope / constant.reach
            found[0, place] = item.start / constant.reach
        return found

    def _rows(self, first: Slope | None) -> CellEstimate:
        """How many rows: at coefficients of 0 every row has the same weight."""
        if first is None:
            return unsaid(("rows",))
        weight = self.family.weights[min(-FIRST, len(self.family.weights) - 1)] / ONE
        rows = float(first.hessian[0, 0]) / weight
        variance = first.bend_variance / weight**2
        far = reach(variance)
        return said(("rows",), rows, float(np.sqrt(variance)), (rows - far, rows + far))


def _pairs(size: int) -> list[tuple[int, int]]:
    """(column, row) of the lower triangle, row by row."""
    return [(column, row) for row in range(size) for column in range(row + 1)]


def _linear(item: Scaled) -> dict[tuple[int, ...], int]:
    """U as a sum of products of measures, whose places are one higher than among the features."""
    parts = {(): item.start} if item.place is None else {(): item.start, (item.place + 1,): item.slope}
    return {factors: number for factors, number in parts.items() if number}


def _product(left: Scaled, right: Scaled) -> dict[tuple[int, ...], int]:
    found: dict[tuple[int, ...], int] = {}
    for one, first in _linear(left).items():
        for other, second in _linear(right).items():
            factors = tuple(sorted((*one, *other)))
            found[factors] = found.get(factors, 0) + first * second
    return found


def _times(
    parts: dict[tuple[int, ...], int], number: int, times: Times, more: tuple[int, ...] = ()
) -> tuple[Term, ...]:
    return tuple(
        Term(coefficient=coefficient * number, factors=(*more, *factors), times=times)
        for factors, coefficient in sorted(parts.items())
        if coefficient
    )


@lru_cache(maxsize=64)
def largest_of_a_row(reaches: tuple[int, ...], family: Family) -> tuple[int, int]:
    """The largest l1 and squared l2 of one row before its steps, over every point of the family's table."""
    width, top = reaches[0], family.largest * ONE
    products = [left * right for left, right in combinations_with_replacement(reaches, 2)]
    slope, bend = width * sum(reaches), sum(products)
    slope_squared, bend_squared = width**2 * sum(item**2 for item in reaches), sum(item**2 for item in products)
    points = [
        (family.lift * max(mean, top - mean), weight) for mean, weight in zip(family.means, family.weights, strict=True)
    ]
    return (
        max(residual * slope + weight * bend for residual, weight in points),
        max(residual**2 * slope_squared + weight**2 * bend_squared for residual, weight in points),
    )
