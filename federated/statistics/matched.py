"""Matched comparison: the outcome of rows exposed to something beside that of rows alike but not exposed.

The first condition says which rows are exposed (helped, on a programme), the second which have the outcome. Rows are
compared only with rows of the same combination of breakdowns: strata by coarsened exact matching (Iacus, King and Porro
2012), pooled as `mantel_haenszel` says. Whom the question is about is its own `where`. What comes out is an
association: nothing here knows what else sets the two groups apart.

Sensitivity. A row adds 1 to one of the four counts of one stratum. Adding or removing a household changes the table by
at most kappa = `max_cells` rows, which may all be in one count: the l1 distance is kappa and the squared l2 distance is
kappa squared (`protocol.md` 3, rows "tables" and "matched comparison").

What is printed: the pooled risk difference and risk ratio, each with an interval for the noise alone (`..._difference`,
`..._ratio`: what a perfect reading of the councils' records would give) and with one for noise and chance together
(`..._sampling`: what would be found again in other households of the same kind); the difference without matching; how
many are exposed and not; how much of the comparison's size is left after matching (`matched`); and for each category of
each breakdown how far apart the two groups stand in it, in standard deviations (`balance_...`). Standard errors beside
`_sampling` hold both parts, all others the noise alone. Where fewer than 30 may be exposed, nothing is said at all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.errors import QueryError
from federated.privacy.laws import ReleasedNoise
from federated.query.measures import marked
from federated.query.model import MAX_DIMENSIONS, Level, Period, Table
from federated.schema import Dataset
from federated.statistics.base import Axis, Banding, CellEstimate, Contribution, Figures, Layout, Sensitivity, Term
from federated.statistics.mantel_haenszel import Pooled, Ratio, pool
from federated.statistics.propagation import (
    ANY,
    Floats,
    Interval,
    NoiseSize,
    added,
    noise_size,
    ratio_interval,
    reach,
    said,
    unsaid,
)
from federated.statistics.tables import banded, check_breakdowns, check_takes, table_layout

code: Final = "matched"
title: Final = "Matched comparison (an association)"
figures: Final = Figures.FRACTION
BLOCKS: Final = ("rows",)
FEWEST_EXPOSED: Final = 30
"""Nothing is said of fewer: public, and judged by the noisy number alone."""

CLEAR: Final = 8
"""Standard deviations by which each total behind a balance figure must exceed zero."""

_MARK: Final = (1,)
_RISKS: Final = ("risk_difference", "risk_difference_sampling", "risk_ratio", "risk_ratio_sampling")
_CRUDE: Final = ("crude_difference", "crude_difference_sampling")
_LABELS: Final = (
    "Pooled risk difference (association; interval for the noise alone)",
    "Pooled risk difference (association; interval for noise and chance)",
    "Pooled risk ratio (association; interval for the noise alone)",
    "Pooled risk ratio (association; interval for noise and chance)",
    "Risk difference without matching (interval for the noise alone)",
    "Risk difference without matching (interval for noise and chance)",
    "Rows exposed",
    "Rows not exposed",
    "Share of the comparison's size that is left after matching",
)
_CODES: Final = (*_RISKS, *_CRUDE, "exposed", "unexposed", "matched")
_SHARE: Final = (0.0, 1.0)
_DIFFERENCE: Final = (-1.0, 1.0)
_RATIO: Final = (0.0, ANY)


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse a comparison without strata, or without exactly an exposure and an outcome."""
    check_takes(table, conditions=range(2, 3))
    check_breakdowns(table, one_cell_each=False)
    if not table.by:
        raise QueryError(
            f"Table '{table.name}' compares rows that are alike, but names no breakdown in which they must be.",
            remedy=f"Add 1 to {MAX_DIMENSIONS} columns under 'by', for example household_type.",
        )


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """Four counts for each stratum; printed is one column of figures (for each region)."""
    exposed, outcome = table.conditions
    strata = table_layout(table, dataset, period, regions, blocks=BLOCKS)
    counted = banded(
        banded(strata, exposed.name, (f"not {exposed.name}", exposed.name)),
        outcome.name,
        (f"not {outcome.name}", outcome.name),
    )
    by_region = table.level is Level.REGION
    balance = [
        (f"balance_{axis.name}_{category}", f"Standardised difference in {axis.name}: {label}")
        for axis in strata.axes[by_region:]
        for category, label in zip(axis.codes, axis.labels, strict=True)
    ]
    column = Axis(
        name="figure",
        codes=(*_CODES, *(category for category, _ in balance)),
        labels=(*_LABELS, *(label for _, label in balance)),
    )
    return replace(counted, figures=(*strata.axes[:by_region], column))


def contribution(table: Table) -> Contribution:
    """1 in the stratum's count of rows of this exposure and outcome, for each of at most `max_cells` rows."""
    return Contribution(
        per="row",
        measures=tuple(marked(condition.where) for condition in table.conditions),
        max_cells=table.max_cells,
        bands=(Banding(measure=0, edges=_MARK), Banding(measure=1, edges=_MARK)),
        blocks=((Term(coefficient=1),),),
    )


def sensitivity(table: Table) -> Sensitivity:
    """Kappa rows, at worst all in one count."""
    return Sensitivity(l1=table.max_cells, l2_squared=table.max_cells**2)


def decode(
    table: Table,
    layout: Layout,
    totals: NDArray[np.float64],
    noise: ReleasedNoise,
) -> tuple[CellEstimate, ...]:
    """The comparison of every region (or of all councils asked), from the noisy counts of its strata.

    Shapes:
        `totals` is `(layout.categories,)`; the result has one entry for each printed figure, region after region.
    """
    by_region = table.level is Level.REGION
    regions = [(item,) for item in layout.axes[0].codes] if by_region else [()]
    axes = layout.axes[by_region:-2]
    strata = totals.reshape(len(regions), *(len(axis.codes) for axis in axes), 2, 2)
    return tuple(
        chain.from_iterable(_figures(region, part, axes, noise) for region, part in zip(regions, strata, strict=True))
    )


def _figures(
    region: tuple[str, ...], strata: Floats, axes: tuple[Axis, ...], noise: ReleasedNoise
) -> Iterator[CellEstimate]:
    size = noise_size(noise)
    # Counts as a, b, c, d: exposed with and without the outcome, then not exposed.
    counts = strata.reshape(-1, 4)[:, [3, 2, 1, 0]].T
    sums = counts.sum(axis=1)
    number = counts.shape[1]
    exposed = added((*region, "exposed"), float(sums[0] + sums[1]), 2 * number, noise)
    if exposed.low < FEWEST_EXPOSED:
        widest = (*([_DIFFERENCE] * 2), *([_RATIO] * 2), *([_DIFFERENCE] * 2), *([_RATIO] * 2), _SHARE)
        yield from (unsaid((*region, name), interval) for name, interval in zip(_CODES, widest, strict=True))
        yield from (unsaid((*region, name)) for name in _balance_codes(axes))
        return
    all_strata, one = pool(counts, size), pool(sums[:, None], _of_sum(size, number))
    yield from _risks(region, _RISKS[:2], all_strata.difference(), _DIFFERENCE)
    yield from _risks(region, _RISKS[2:], all_strata.ratio(), _RATIO)
    yield from _risks(region, _CRUDE, one.difference(), _DIFFERENCE)
    yield exposed
    yield added((*region, "unexposed"), float(sums[2] + sums[3]), 2 * number, noise)
    yield _matched((*region, "matched"), all_strata, one, size)
    groups = strata.sum(axis=-1)
    for place, axis in enumerate(axes):
        rest = tuple(other for other in range(len(axes)) if other != place)
        cells = prod(groups.shape[other] for other in rest)
        for category, pair in zip(axis.codes, groups.sum(axis=rest), strict=True):
            others = groups.sum(axis=tuple(range(len(axes)))) - pair
            pairs = np.array([pair[1], others[1], pair[0], others[0]])
            variances = 2 * size.variance * cells * np.array([1, len(axis.codes) - 1] * 2)
            yield _balance((*region, f"balance_{axis.name}_{category}"), pairs, variances)


def _of_sum(size: NoiseSize, number: int) -> NoiseSize:
    return NoiseSize(variance=number * size.variance, excess_kurtosis=size.excess_kurtosis / number)


def _risks(region: tuple[str, ...], names: Sequence[str], found: Ratio, widest: Interval) -> Iterator[CellEstimate]:
    both = ((found.error, found.interval), (found.chance_error, found.chance_interval))
    low, high = widest
    for name, (error, interval) in zip(names, both, strict=True):
        if interval is None or interval[0] > high or interval[1] < low:
            yield unsaid((*region, name), widest)
        else:
            yield said((*region, name), *_within(found.estimate, interval, widest, error))


def _matched(codes: tuple[str, ...], matched: Pooled, crude: Pooled, size: NoiseSize) -> CellEstimate:
    """Sum n1 n0 / N over strata, over that of all rows taken together: 1 where matching costs nothing."""
    (top, top_moves), (bottom, bottom_moves) = matched.overlap(), crude.overlap()
    if not bottom > 0:
        return unsaid(codes, _SHARE)
    value = top / bottom
    c0, c1, c2 = (
        size.variance * float(np.sum(left * right))
        for left, right in (
            (top_moves, top_moves),
            (-2 * top_moves, bottom_moves),
            (bottom_moves, bottom_moves + 0 * top_moves),
        )
    )
    # Where matching costs little the gradients all but cancel, and the noise squared, whose law is skew, is left:
    # its variance is at most twice `excess`. Three times that keeps the interval rather too wide than too narrow.
    c0 += 6 * float(matched.excess[2, 2])
    spread = float(np.sqrt(c0 + c1 * value + c2 * value**2))
    interval = ratio_interval(top, bottom, (c0, c1, c2), reach(spread**2) / spread)
    if interval is None or interval[0] > 1 or interval[1] < 0:
        return unsaid(codes, _SHARE)
    return said(codes, *_within(value, interval, _SHARE, spread / bottom))


def _within(value: float, interval: Interval, widest: Interval, error: float) -> tuple[float, float, Interval]:
    """Estimate, error and interval, held within what the figure can be at all."""
    low, high = widest
    return min(max(low, value), high), error, (max(low, interval[0]), min(high, interval[1]))


def _balance_codes(axes: tuple[Axis, ...]) -> Iterator[str]:
    return (f"balance_{axis.name}_{category}" for axis in axes for category in axis.codes)


def _balance(codes: tuple[str, ...], pairs: Floats, variances: Floats) -> CellEstimate:
    """The difference of two shares in standard deviations of the category's mark (Austin 2009).

    Args:
        codes: Of the figure.
        pairs: Exposed in the category and outside it, then not exposed.
        variances: Of the noise in each.
    """
    together, spreads = pairs[:2] + pairs[2:], np.sqrt(variances[:2] + variances[2:])
    groups, group_spreads = pairs[[0, 2]] + pairs[[1, 3]], np.sqrt(variances[[0, 2]] + variances[[1, 3]])
    if np.any(together < CLEAR * spreads) or np.any(groups < CLEAR * group_spreads):
        return unsaid(codes)
    value, moves = _standardised(pairs)
    if not np.isfinite(value):
        return unsaid(codes)
    variance = float(moves**2 @ variances)
    far = reach(variance)
    return said(codes, value, float(np.sqrt(variance)), (value - far, value + far))


def _standardised(pairs: Floats) -> tuple[float, Floats]:
    """The figure and how it moves with each of the four totals; not a number where a share leaves [0, 1] too far."""
    (inside1, outside1, inside0, outside0) = (float(item) for item in pairs)
    number1, number0 = inside1 + outside1, inside0 + outside0
    share1, share0 = inside1 / number1, inside0 / number0
    middle = (share1 * (1 - share1) + share0 * (1 - share0)) / 2
    if middle <= 0:
        return np.nan, np.zeros(4)
    value = (share1 - share0) / np.sqrt(middle)
    by_share1 = 1 / np.sqrt(middle) - value * (1 - 2 * share1) / (4 * middle)
    by_share0 = -1 / np.sqrt(middle) - value * (1 - 2 * share0) / (4 * middle)
    return float(value), np.array(
        [
            by_share1 * outside1 / number1**2,
            -by_share1 * inside1 / number1**2,
            by_share0 * outside0 / number0**2,
            -by_share0 * inside0 / number0**2,
        ]
    )
