"""Logistic regression of a yes-or-no outcome on numbers, by several rounds under one declared budget.

The condition is the outcome, the measures are the features, row by row; a constant is always there. Rows where a
feature is not known are left out. `logistic` fits closed categories from one small table; numbers, days and points
have no small table. So every round, at public coefficients b, sums the gradient and the Hessian of the log likelihood:
(y - p) u_i and p (1 - p) u_i u_j, with u the features centred and scaled to whole numbers within [-U_i, U_i], U the
largest of these (`moments.Scaled`), and p and p (1 - p) read off a public table at the row's predictor
(`logistic_curve`), in units of 1/R. To have one unit the gradient is multiplied by U.

Sensitivity. Whatever the coefficients are, a row stands at one point of the table. There it adds R y - p in the
gradient, at most max(p, R - p) in absolute value, and w in the Hessian. So the l1 distance of a row is at most the
largest, over the points of the table, of

    max(p, R - p) sum_i U U_i + w sum_{i <= j} U_i U_j,

and the squared l2 distance the same with every factor squared: a maximum of whole numbers over a public table, reached
by rows at a corner of the bounds. Kappa = `max_cells` rows give kappa and kappa^2 times that; steps are counted as
`steps` says. The Hessian costs nothing, or little: where the residual is large the weight is small, and up to 21
coordinates the largest l2 distance is that of the gradient alone. No coefficient that a coordinator could send changes
any of it.

Rounds. Each has the same part of the budget: the first two find the way and later ones all count in the answer
(`newton`). Less for the first two would gain little, and each round's cost would hang on its number, which the
coordinator chooses.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.errors import QueryError
from federated.privacy.laws import ReleasedNoise
from federated.query.measures import Measured, Points
from federated.query.model import MAX_ROUNDS, Level, Period, Table
from federated.query.words import measure_words
from federated.schema import Dataset
from federated.statistics.base import (
    Axis,
    CellEstimate,
    Contribution,
    Curve,
    Figures,
    Layout,
    RoundFigures,
    Sensitivity,
    Term,
    Times,
)
from federated.statistics.logistic_curve import FIRST, GRID, ONE, logistic_table
from federated.statistics.moments import Scaled
from federated.statistics.newton import Fitted, Slope, next_point
from federated.statistics.propagation import Floats, reach, said, unsaid
from federated.statistics.steps import in_steps
from federated.statistics.tables import check_breakdowns, check_takes, table_layout

code: Final = "logistic_rounds"
title: Final = "Logistic regression on numbers"
figures: Final = Figures.FRACTION
CHANCE: Final = "_sampling"
MOST_FEATURES: Final = 11
LIMIT: Final = 16 * GRID
"""Largest coefficient in coordinates from -1 to 1, either way: odds 9 million times as high."""
STEPS: Final = 64
"""Steps that the largest change of one number by one row is cut into."""
_CLOSE_TO_LIMIT: Final = 15.0
_ROUND_ONE_WEIGHT: Final = 0.25


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse a fit without one outcome, without features, by breakdowns or regions, or in one round."""
    check_takes(table, measures=range(1, MOST_FEATURES + 1), conditions=range(1, 2))
    check_breakdowns(table, one_cell_each=False)
    if table.by or table.level is not Level.ALL:
        raise QueryError(
            f"Table '{table.name}' asks for a fit by breakdowns or regions; this fit is over all councils.",
            remedy="Add the categories as features, for example points of 1 where main_sex equals male.",
        )
    if table.rounds == 1:
        raise QueryError(
            f"Table '{table.name}' asks for '{code}' in one round; it takes 2 to {MAX_ROUNDS}.",
            remedy="Write rounds: 6, or use 'logistic' for closed categories.",
        )


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """Gradient, then the lower triangle of the Hessian; printed is one column of figures."""
    names = _names(table)
    blocks = (*names, *(f"{names[row]}*{names[column]}" for column, row in _pairs(len(names))))
    counted = table_layout(table, dataset, period, regions, blocks=blocks)
    words = ("the constant", *(measure_words(item.measure) for item in table.measures))
    column = Axis(
        name="figure",
        codes=(*names, *(f"{name}{CHANCE}" for name in names), "rows"),
        labels=(
            *(f"Logarithm of the odds ratio of {item} (interval for the noise alone)" for item in words),
            *(f"Logarithm of the odds ratio of {item} (interval for noise and chance)" for item in words),
            "Rows",
        ),
    )
    return Layout(axes=counted.axes, blocks=blocks, figures=(*counted.axes, column))


def _names(table: Table) -> tuple[str, ...]:
    return ("intercept", *(f"x{number}" for number in range(1, len(table.measures) + 1)))


def _pairs(size: int) -> list[tuple[int, int]]:
    """(column, row) of the lower triangle, row by row."""
    return [(column, row) for row in range(size) for column in range(row + 1)]


def contribution(table: Table) -> Contribution:
    """Gradient and Hessian of each of at most `max_cells` rows; the outcome is the first measure, as 0 and 1."""
    (outcome,) = table.conditions
    mark = Measured(measure=Points(base=0, terms=((outcome.where, 1),)), low=0, high=1)
    coordinates = Scaled.all_of(table.measures)
    width = coordinates[0].reach
    means, weights = logistic_table()
    gradient = tuple(
        (*_times(_linear(item), width * ONE, Times.ONE, (0,)), *_times(_linear(item), -width, Times.MEAN))
        for item in coordinates
    )
    hessian = tuple(
        _times(_product(coordinates[column], coordinates[row]), 1, Times.WEIGHT)
        for column, row in _pairs(len(coordinates))
    )
    return Contribution(
        per="row",
        max_cells=table.max_cells,
        measures=(mark, *table.measures),
        blocks=(*gradient, *hessian),
        step=_step(width),
        curve=Curve(
            line=tuple(
                (item.slope, item.start, None if item.place is None else item.place + 1) for item in coordinates
            ),
            width=width,
            first=FIRST,
            limit=LIMIT,
            means=means,
            weights=weights,
        ),
    )


def _step(width: int) -> int:
    return -(-ONE * width**2 // STEPS)


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


def sensitivity(table: Table) -> Sensitivity:
    """Kappa rows, at worst all at one corner of the bounds and at the worst point of the curve."""
    reaches = tuple(item.reach for item in Scaled.all_of(table.measures))
    l1, l2_squared = _of_a_row(reaches)
    kappa, size = table.max_cells, len(reaches)
    return in_steps(
        l1=kappa * l1,
        l2_squared=kappa**2 * l2_squared,
        numbers=size + size * (size + 1) // 2,
        step=_step(reaches[0]),
    )


@lru_cache(maxsize=64)
def _of_a_row(reaches: tuple[int, ...]) -> tuple[int, int]:
    """The largest l1 and squared l2 of one row before its steps, over every point of the curve."""
    means, weights = logistic_table()
    width = reaches[0]
    products = [left * right for left, right in combinations_with_replacement(reaches, 2)]
    slope, bend = width * sum(reaches), sum(products)
    slope_squared, bend_squared = width**2 * sum(item**2 for item in reaches), sum(item**2 for item in products)
    points = [(max(mean, ONE - mean), weight) for mean, weight in zip(means, weights, strict=True)]
    return (
        max(residual * slope + weight * bend for residual, weight in points),
        max(residual**2 * slope_squared + weight**2 * bend_squared for residual, weight in points),
    )


def start(table: Table) -> tuple[int, ...]:
    """All zero: every outcome as likely as not."""
    return (0,) * (len(table.measures) + 1)


def advance(table: Table, found: RoundFigures) -> tuple[int, ...]:
    """The nearest allowed coefficients to where a noisy Newton step leads."""
    steps = np.rint(next_point(_slope(table, found)) * GRID)
    return tuple(int(item) for item in np.clip(steps, -LIMIT, LIMIT))


def _slope(table: Table, found: RoundFigures) -> Slope:
    width = Scaled.all_of(table.measures)[0].reach
    return Slope.of(found, grid=GRID, unit=_step(width) / (ONE * width**2))


def decode(table: Table, layout: Layout, totals: NDArray[np.float64], noise: ReleasedNoise) -> tuple[CellEstimate, ...]:
    """What a first round alone would say."""
    found = RoundFigures(coefficients=start(table), totals=totals, noise=noise, councils=frozenset())
    return conclude(table, layout, (found,))


def conclude(
    table: Table,
    layout: Layout,  # noqa: ARG001 - the interface of every statistic in rounds
    rounds: Sequence[RoundFigures],
) -> tuple[CellEstimate, ...]:
    """The fit from all rounds; see `newton`."""
    slopes = [_slope(table, found) for found in rounds]
    same = [found.councils == rounds[-1].councils for found in rounds]
    fitted = Fitted.of(slopes, same=same)
    counted = slopes[0] if same[0] and not any(rounds[0].coefficients) else None
    return (*_coefficients(table, fitted), _rows(counted))


def _coefficients(table: Table, fitted: Fitted | None) -> Iterator[CellEstimate]:
    names = _names(table)
    if fitted is None or float(np.abs(fitted.coefficients).max()) > _CLOSE_TO_LIMIT:
        yield from (unsaid((name + kind,)) for kind in ("", CHANCE) for name in names)
        return
    units = _own_units(table)
    values = units @ fitted.coefficients
    noise, chance = (np.diag(units @ part @ units.T) for part in (fitted.by_noise, fitted.by_chance))
    for kind, variances in (("", noise), (CHANCE, noise + chance)):
        for name, value, variance in zip(names, values, variances, strict=True):
            far = reach(float(variance))
            yield said((name + kind,), float(value), float(np.sqrt(variance)), (float(value) - far, float(value) + far))


def _own_units(table: Table) -> Floats:
    """From coefficients of coordinates from -1 to 1 to those of the measures' own units."""
    constant, *coordinates = Scaled.all_of(table.measures)
    found = np.eye(len(coordinates) + 1)
    for place, item in enumerate(coordinates, start=1):
        found[place, place] = item.slope / constant.reach
        found[0, place] = item.start / constant.reach
    return found


def _rows(first: Slope | None) -> CellEstimate:
    """How many rows: at coefficients of 0 every row has the weight 1/4."""
    if first is None:
        return unsaid(("rows",))
    rows = float(first.hessian[0, 0]) / _ROUND_ONE_WEIGHT
    variance = first.variance / _ROUND_ONE_WEIGHT**2
    far = reach(variance)
    return said(("rows",), rows, float(np.sqrt(variance)), (rows - far, rows + far))
