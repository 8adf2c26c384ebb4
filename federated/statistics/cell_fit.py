"""Fits of an outcome on categories, from two noisy totals for each combination of them: shared by logistic and Poisson.

A cell's expected outcome m is linked to a constant and one coefficient for each category but the reference of every
breakdown (no interactions). The exact fit of the records solves X' (S - n m) = 0, with S the outcome and n the number
in each cell (maximum likelihood; McCullagh and Nelder 1989, section 2.5). With noisy totals in place of S and n:

* For the coefficients of the exact fit, S - n m is linear in the totals, so that its noise has mean zero and a known
  law. So nothing is bent by solving with noisy totals, however small or empty a cell is. Weights that turn down cells
  of few would lessen the spread, but answer another question wherever the model is not exactly true; and all cells
  carry the same noise, so none dominates.
* To second order the noise bends the solution, by its part in the information matrix and by the curve of the link
  (Cox and Snell 1968, with the noise's cumulants in place of the sample's). Both are worked out and taken off.
* The spread is the sandwich of the inverse information around the noise of the equations.

A category is part of the fit where both its totals exceed `CLEAR` standard deviations of their noise; the others'
households are left out of the fit, and nothing is said of them. The reference is the first category that is part of it.
Nothing is said at all where no solution is found, or the noise of the information matrix is not small beside it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from federated.errors import QueryError
from federated.privacy.laws import ReleasedNoise
from federated.query.model import MAX_DIMENSIONS, Level, Table
from federated.statistics.base import Axis, CellEstimate, Layout
from federated.statistics.propagation import Floats, NoiseSize, noise_size, reach, said, unsaid

__all__ = ["CHANCE", "Family", "check_explained", "fit_estimates", "with_figures"]

CLEAR: Final = 8
"""Standard deviations by which both totals of a category must exceed zero: logarithms are nearly straight there."""

MOST_NOISE: Final = 0.5
"""Root mean square of the noise matrix beside the information matrix, above which nothing is said."""

SINGULAR: Final = 1e-9
"""Smallest eigenvalue beside the largest, below which a matrix is not inverted."""

CHANCE: Final = "_sampling"
_STEPS: Final = 50
_DONE: Final = 1e-9
_HALVINGS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What the two totals of a cell mean, and how the expected outcome follows from the linear predictor.

    Attributes:
        mean: m from the predictor.
        first: d m / d predictor, from m.
        second: The second derivative, from m.
        link: The predictor from m.
        above: What the first total adds to S - n m, from m.
        below: What the second adds.
        per_total: What one unit of either total adds to n.
    """

    mean: Callable[[Floats], Floats]
    first: Callable[[Floats], Floats]
    second: Callable[[Floats], Floats]
    link: Callable[[float], float]
    above: Callable[[Floats], Floats]
    below: Callable[[Floats], Floats]
    per_total: float


def check_explained(table: Table) -> None:
    """Refuse a fit that explains by nothing."""
    if not table.by:
        raise QueryError(
            f"Table '{table.name}' asks for a fit, but names no breakdown to explain the outcome by.",
            remedy=f"Add 1 to {MAX_DIMENSIONS} columns under 'by'.",
        )


def with_figures(layout: Layout, table: Table, what: str) -> Layout:
    """The layout with a column of coefficients to print (for each region).

    Args:
        layout: The cells counted.
        table: The table asked for.
        what: What a coefficient is, in words.
    """
    by_region = table.level is Level.REGION
    categories = [
        (f"{axis.name}_{category}", f"{axis.name}: {label}")
        for axis in layout.axes[by_region:]
        for category, label in zip(axis.codes, axis.labels, strict=True)
    ]
    named = [("intercept", "constant"), *categories]
    column = Axis(
        name="figure",
        codes=(*(name for name, _ in named), *(f"{name}{CHANCE}" for name, _ in named), "households"),
        labels=(
            *(f"{what}, {label} (interval for the noise alone)" for _, label in named),
            *(f"{what}, {label} (interval for noise and chance)" for _, label in named),
            "Households",
        ),
    )
    return Layout(axes=layout.axes, blocks=layout.blocks, figures=(*layout.axes[:by_region], column))


def fit_estimates(
    table: Table, layout: Layout, totals: Floats, noise: ReleasedNoise, family: Family
) -> tuple[CellEstimate, ...]:
    """The fit of every region (or of all councils asked).

    Shapes:
        `totals` is `(2 * layout.categories,)`; the result has one entry for each printed figure, region after region.
    """
    by_region = table.level is Level.REGION
    regions = [(item,) for item in layout.axes[0].codes] if by_region else [()]
    axes = layout.axes[by_region:]
    parts = totals.reshape(2, len(regions), *(len(axis.codes) for axis in axes))
    size = noise_size(noise)
    return tuple(
        cell
        for place, region in enumerate(regions)
        for cell in _region_figures(region, axes, parts[:, place], size, family)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Design:
    """The cells that are part of the fit, and the columns of their predictor.

    Attributes:
        shown: For each breakdown, which categories are part of the fit.
        columns: Constant, then every shown category but the first of each breakdown.
        cells: Places of the cells in the table, row-major.
    """

    shown: tuple[tuple[int, ...], ...]
    columns: Floats
    cells: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, totals: Floats, variance: float) -> Self | None:
        """Find the categories whose totals both exceed their noise; None where a breakdown is left with none."""
        shape = totals.shape[1:]
        shown = []
        for place, number in enumerate(shape):
            rest = tuple(other + 1 for other in range(len(shape)) if other != place)
            spread = np.sqrt(variance * np.prod(shape) / number)
            shown.append(tuple(np.flatnonzero(totals.sum(axis=rest).min(axis=0) > CLEAR * spread).tolist()))
        if not all(shown):
            return None
        cells = tuple(np.meshgrid(*shown, indexing="ij"))
        marks = [np.ones(cells[0].size)]
        for places, categories in zip(cells, shown, strict=True):
            marks += [(places.reshape(-1) == category).astype(np.float64) for category in categories[1:]]
        return cls(
            shown=tuple(shown),
            columns=np.stack(marks, axis=1),
            cells=tuple(tuple(item.reshape(-1).tolist()) for item in cells),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Solved:
    """Coefficients with what moves them.

    Attributes:
        coefficients: Without the noise's bias.
        moves: How each moves with both totals of every cell.
        chance: Variance of each by chance alone.
    """

    coefficients: Floats
    moves: Floats
    chance: Floats


def _region_figures(
    region: tuple[str, ...], axes: tuple[Axis, ...], totals: Floats, size: NoiseSize, family: Family
) -> Iterator[CellEstimate]:
    design = _Design.of(totals, size.variance)
    solved = None if design is None else _solve(design, totals, size, family)
    for kind in ("", CHANCE):
        if design is None or solved is None:
            yield unsaid((*region, f"intercept{kind}"))
            yield from (unsaid((*region, f"{axis.name}_{item}{kind}")) for axis in axes for item in axis.codes)
            continue
        column = 0
        yield _coefficient((*region, f"intercept{kind}"), solved, column, size, chance=bool(kind))
        for axis, shown in zip(axes, design.shown, strict=True):
            for place, item in enumerate(axis.codes):
                codes = (*region, f"{axis.name}_{item}{kind}")
                if place not in shown:
                    yield unsaid(codes)
                elif place == shown[0]:
                    # The reference: 0 by definition, and certain.
                    yield CellEstimate(codes=codes, estimate=0.0, standard_error=0.0, low=0.0, high=0.0, coverage=1.0)
                else:
                    column += 1
                    yield _coefficient(codes, solved, column, size, chance=bool(kind))
    number = family.per_total * float(totals.sum())
    variance = family.per_total**2 * totals.size * size.variance
    far = reach(variance, size.excess_kurtosis * variance**2 / totals.size)
    yield said((*region, "households"), number, float(np.sqrt(variance)), (number - far, number + far))


def _coefficient(
    codes: tuple[str, ...], solved: _Solved, column: int, size: NoiseSize, *, chance: bool
) -> CellEstimate:
    moves, value = solved.moves[column], float(solved.coefficients[column])
    variance = size.variance * float(moves @ moves) + (float(solved.chance[column]) if chance else 0.0)
    far = reach(variance, size.excess_kurtosis * size.variance**2 * float(np.sum(moves**4)))
    return said(codes, value, float(np.sqrt(variance)), (value - far, value + far))


def _solve(design: _Design, totals: Floats, size: NoiseSize, family: Family) -> _Solved | None:
    above, below = (part[design.cells] for part in totals)
    number = family.per_total * (above + below)
    columns = design.columns
    found = _roots(columns, above, below, family)
    if found is None:
        return None
    mean = family.mean(columns @ found)
    slope = family.first(mean)
    information = columns.T @ ((number * slope)[:, None] * columns)
    if not _positive(information):
        return None
    inverse = np.linalg.inv(information)
    width = np.einsum("ci,ij,cj->c", columns, inverse, columns)
    count_variance = 2 * size.variance * family.per_total**2
    if np.sqrt(count_variance * np.sum((slope * width) ** 2)) > MOST_NOISE:
        return None
    weights = np.concatenate([family.above(mean)[:, None] * columns, family.below(mean)[:, None] * columns])
    moves: Floats = inverse @ weights.T
    spread = size.variance * moves @ moves.T
    curve = number * family.second(mean) * np.einsum("ci,ij,cj->c", columns, spread, columns) / 2
    together = size.variance * family.per_total * (family.above(mean) + family.below(mean)) * slope * width
    return _Solved(
        coefficients=found + inverse @ (columns.T @ (curve + together)), moves=moves, chance=np.diag(inverse)
    )


def _roots(columns: Floats, above: Floats, below: Floats, family: Family) -> Floats | None:
    """Newton's method on X' (S - n m) = 0, with halved steps where the equations would get worse."""
    number = family.per_total * (above + below)
    zero = np.zeros(1)
    # S is what is left of S - n m at m = 0; above and below are straight in m.
    share = float((above * family.above(zero) + below * family.below(zero)).sum() / number.sum())
    found = np.zeros(columns.shape[1])
    found[0] = family.link(share)

    def equations(at: Floats) -> tuple[Floats, Floats]:
        mean = family.mean(columns @ at)
        left = columns.T @ (above * family.above(mean) + below * family.below(mean))
        return left, columns.T @ ((number * family.first(mean))[:, None] * columns)

    left, information = equations(found)
    for _ in range(_STEPS):
        if not _positive(information):
            return None
        step = np.linalg.solve(information, left)
        if float(step @ left) < _DONE:
            return found
        for _ in range(_HALVINGS):
            trial, trial_information = equations(found + step)
            if np.all(np.isfinite(trial)) and float(trial @ trial) < float(left @ left):
                break
            step = step / 2
        else:
            return None
        found, left, information = found + step, trial, trial_information
    return None


def _positive(matrix: Floats) -> bool:
    if not np.all(np.isfinite(matrix)):
        return False
    values = np.linalg.eigvalsh(matrix)
    return bool(values[0] > SINGULAR * values[-1])
