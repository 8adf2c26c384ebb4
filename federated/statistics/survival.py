"""How long until something ends, and how it ends: survival, cumulative incidence, median and restricted mean.

Each row counts the days from a start to an end, up to a public day `until` on which everybody's count stops. The days
are cut at public edges. The row counts once, in the cell of its band and of how it ended by then: in the first named
way (condition) that is true of it, in another way, or not at all (censored). Rows that end, or stop, before they start
fall in a band of their own, which no figure uses.

From the noisy cells x of bands k and endings c, with d[k, c] the endings and N[k] = the sum of all cells of bands k and
later, the number still waiting as band k begins (at-risk counts by suffix sums, `protocol.md` 3):

* surviving at edge k + 1 (Kaplan and Meier 1958): S[k + 1] = S[k] (1 - sum_c d[k, c] / N[k]), with S[0] = 1;
* cumulative incidence of c (Aalen and Johansen 1978): F_c[k + 1] = F_c[k] + S[k] d[k, c] / N[k];
* the median, where the straight lines between (edge, S) first reach one half, and the restricted mean, the area under
  these lines up to the last edge (Andersen, Borgan, Gill and Keiding 1993, IV.3).

Within a band endings come before censorings, as in the Kaplan-Meier rule for ties: on a grid of single days that is the
estimator itself, on a coarser one it takes the censored as waiting until the end of their band.

Sensitivity. Adding or removing a household changes the table by at most kappa = `max_cells` rows, which may all be in
one cell: the l1 distance is kappa and the squared l2 distance is kappa squared (`protocol.md` 3, row "tables"; all the
figures are made of the same noisy cells, and cost nothing more).

Intervals are about the noise: what the same figures of the exact cells are. How far other households than these would
have waited otherwise (Greenwood's sampling error) is not in them. Standard errors are of first order, by the exact
derivatives of the figures (`linear_noise`), for figures whose at-risk counts all exceed ten standard deviations of
their own noise. A later figure is only bounded, by the last edge for which that is so: who had not ended by then may
have ended at any time and in any way, so that S lies from 0 to S there, and F_c from F_c to F_c + S there. Both ends
then carry their own noise, and the standard error is not a number. The median's interval holds all times whose S
cannot be told from one half (Brookmeyer and Crowley 1982); where S may stay above it, up to the upper clip bound.

The coverage declared is 95%, and 1 where nothing is said and the interval is all that is possible. More than declared
is held where a figure is only bounded (one of its ends is then certain, or errs alone), by a median that may not be
reached (likewise), and by up to 2.5 percentage points where the exact share is 0 or 1, as no interval goes beyond them.
For at-risk counts near the limit the noise that lifts a count over it also moves the figure: intervals given only by
such luck hold the truth less often than declared. Over all intervals of such a cell, those that say nothing among them,
at most 5 percentage points fewer hold it than declared, and 95% do to within one percentage point: those that miss are
among the 5% that would miss if all were given, and first order is that near to the truth there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from federated.errors import QueryError
from federated.privacy.laws import ReleasedNoise
from federated.query.conditions import And, Between, Condition
from federated.query.measures import Days, Measured, Points
from federated.query.model import Period, Table
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
from federated.statistics.linear_noise import reach_of
from federated.statistics.offsets import TARGET_COVERAGE, cell_codes
from federated.statistics.tables import band_labels, banded, check_breakdowns, check_takes, table_layout

code: Final = "survival"
title: Final = "Time until an ending"
figures: Final = Figures.FRACTION
BLOCKS: Final = ("rows",)
FIGURE_AXIS: Final = "figure"
OTHER: Final = "other"
MOST_EDGES: Final = 104
MOST_CAUSES: Final = 8
CLEAR: Final = 10
"""At-risk counts below so many standard deviations of their noise are taken for unknown."""
PARTS: Final = 8
"""Each band is cut so finely when the median is looked for."""
_TINY: Final = 1e-30
_HALF: Final = 0.5

Floats: TypeAlias = NDArray[np.float64]
Perturbed: TypeAlias = NDArray[np.complex128]
Numbers = TypeVar("Numbers", NDArray[np.float64], NDArray[np.complex128])


def check(table: Table, dataset: Dataset) -> None:  # noqa: ARG001 - the interface of every statistic
    """Refuse anything but the days to one ending, counted up to a public day and cut at edges above 0."""
    check_takes(table, measures=1, edges=range(1, MOST_EDGES + 1), conditions=range(MOST_CAUSES + 1))
    check_breakdowns(table, one_cell_each=False)
    (measured,) = table.measures
    _ended(table)
    if table.edges[0] < 1 or measured.low != 0 or measured.high < table.edges[-1]:
        raise QueryError(
            f"Table '{table.name}' needs edges from day 1 on, and days clipped from 0 to the last edge or beyond.",
            remedy="Write for example edges: {from: 7, to: 364, step: 7} and clip: [0, 364].",
        )
    if any(cause.name == OTHER for cause in table.conditions):
        raise QueryError(
            f"Table '{table.name}' names a kind of ending '{OTHER}', which is what all unnamed endings are called.",
            remedy="Give it another name.",
        )


def layout(table: Table, dataset: Dataset, period: Period, regions: Sequence[tuple[str, str]]) -> Layout:
    """Bands of days by kinds of ending inside every cell; printed are the figures made of them."""
    cells = table_layout(table, dataset, period, regions, blocks=BLOCKS)
    inner = banded(cells, "days", ("before the start", *band_labels((0, *table.edges))[1:]))
    counted = banded(inner, "ending", ("not ended", *(_label(name) for name in reversed(_causes(table)))))
    named = tuple(_figures(table))
    axis = Axis(name=FIGURE_AXIS, codes=tuple(name for name, _ in named), labels=tuple(label for _, label in named))
    return replace(counted, figures=(*cells.axes, axis))


def contribution(table: Table) -> Contribution:
    """1 in the band and ending of each of at most `max_cells` rows of a household.

    The ending is one number: 1 for having ended by the last day, and for each way a power of 2, the first way having
    the largest. Between which powers it lies says which is the first way that is true, whatever else is true too.
    """
    (measured,) = table.measures
    ended = _ended(table)
    causes = len(table.conditions)
    ways = (
        (And(conditions=(ended, cause.where)), 1 << (causes - place)) for place, cause in enumerate(table.conditions)
    )
    mark = Points(base=0, terms=((ended, 1), *ways))
    return Contribution(
        per="row",
        measures=(replace(measured, low=-1), Measured(measure=mark, low=0, high=(2 << causes) - 1)),
        max_cells=table.max_cells,
        bands=(
            Banding(measure=0, edges=(0, *table.edges)),
            Banding(measure=1, edges=tuple(1 << place for place in range(causes + 1))),
        ),
        blocks=((Term(coefficient=1),),),
    )


def sensitivity(table: Table) -> Sensitivity:
    """Kappa rows, at worst all in one cell."""
    return Sensitivity(l1=table.max_cells, l2_squared=table.max_cells**2)


def decode(table: Table, layout: Layout, totals: Floats, noise: ReleasedNoise) -> tuple[CellEstimate, ...]:
    """The curves of each cell of the breakdowns, with intervals about the noise.

    Shapes:
        `totals` is `(layout.categories,)`.
    """
    bands, endings = layout.shape[-2:]
    # Rows that stop before they start are left out, and the ways of ending put back into the question's order.
    counts = totals.reshape(-1, bands, endings)[:, 1:]
    counts = np.concatenate([counts[..., :1], counts[..., :0:-1]], axis=-1)
    cells = cell_codes(layout.printed[:-1])
    names = layout.printed[-1].codes
    return tuple(
        replace(estimate, codes=(*codes, name))
        for codes, own in zip(cells, counts, strict=True)
        for name, estimate in zip(names, _estimates(table, own, noise), strict=True)
    )


def _ended(table: Table) -> Condition:
    """Rows that ended by the last day counted."""
    (measured,) = table.measures
    days = measured.measure
    if not isinstance(days, Days) or days.until is None:
        raise QueryError(
            f"Table '{table.name}' must count days from a start to an end, up to a day on which every count stops.",
            remedy="Write days: {from: …, to: …, until: …}, with the date of the oldest extract that will answer.",
        )
    return Between(column=days.end, low=date.min.isoformat(), high=days.until.isoformat())


def _causes(table: Table) -> tuple[str, ...]:
    """The kinds of ending, in the question's order."""
    return (*(cause.name for cause in table.conditions), OTHER)


def _label(cause: str) -> str:
    return cause.replace("_", " ")


def _figures(table: Table) -> Iterator[tuple[str, str]]:
    """(code, label) of everything printed for one cell."""
    yield "started", "Rows counted"
    for edge in table.edges:
        yield f"surviving_at_{edge}", f"Share not ended by day {edge}"
    # Where no kinds are told apart, what has ended is what does not survive.
    for cause in _causes(table) if table.conditions else ():
        for edge in table.edges:
            yield f"cumulative_{cause}_at_{edge}", f"Share ended by day {edge}: {_label(cause)}"
    yield "median", "Median number of days"
    yield "restricted_mean", f"Mean number of days within the first {table.edges[-1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Linear:
    """Figures with their derivatives by each count.

    Shapes:
        `values` is `(figures,)`, `weights` `(figures, counts)`.
    """

    values: Floats
    weights: Floats

    def combined(self, matrix: Floats) -> "_Linear":
        """Linear combinations of the figures, one for each row of the matrix."""
        return _Linear(values=matrix @ self.values, weights=matrix @ self.weights)

    def plus(self, other: "_Linear") -> "_Linear":
        """The sum, figure by figure."""
        return _Linear(values=self.values + other.values, weights=self.weights + other.weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounded:
    """Figures of one cell: as estimated, and between which others they lie; those are the same where enough is known.

    Attributes:
        estimates: As the counts give them; nan where they give nothing.
        low: What they are not below.
        high: What they are not above.
        known: Whether `low` and `high` are the figure itself.
    """

    estimates: Floats
    low: _Linear
    high: _Linear
    known: NDArray[np.bool_]

    def combined(self, matrix: Floats) -> "_Bounded":
        """Linear combinations with no negative weight, one for each row of the matrix."""
        used = matrix != 0
        return _Bounded(
            # A figure of weight 0 counts for nothing, be it not a number.
            estimates=np.where(used, matrix * np.where(used, self.estimates, 0.0), 0.0).sum(axis=-1),
            low=self.low.combined(matrix),
            high=self.high.combined(matrix),
            known=(~used | self.known).all(axis=-1),
        )


def _estimates(table: Table, counts: Floats, noise: ReleasedNoise) -> Iterator[CellEstimate]:
    """The estimates of one cell, in the order of `_figures`.

    Shapes:
        `counts` is `(edges + 1, 1 + causes)`: bands from day 0, the censored first.
    """
    whole = _Linear(values=counts.sum(keepdims=True)[0], weights=np.ones((1, counts.size)))
    started = _Bounded(estimates=whole.values, low=whole, high=whole, known=np.ones(1, dtype=np.bool_))
    yield from _within(started, noise, -np.inf, np.inf)
    surviving, causes = _curves(counts, noise)
    last = len(table.edges)
    yield from _within(surviving.combined(np.eye(last + 1)[1:]), noise, 0.0, 1.0)
    for cumulative in causes if table.conditions else ():
        yield from _within(cumulative, noise, 0.0, 1.0)
    yield _median(table, surviving, noise)
    width = np.diff((0, *table.edges))
    area = np.concatenate([width, [0]]) / 2 + np.concatenate([[0], width]) / 2
    yield from _within(surviving.combined(area[None]), noise, _earliest(table), float(table.edges[-1]))


def _earliest(table: Table) -> float:
    """Median and mean if all ended in the first band, over which they are taken to end evenly."""
    return table.edges[0] / 2


def _within(figures: _Bounded, noise: ReleasedNoise, lowest: float, highest: float) -> Iterator[CellEstimate]:
    """Estimates with their intervals, held within what is possible."""
    below, above = reach_of(figures.low.weights, noise), reach_of(figures.high.weights, noise)
    lows = np.clip(figures.low.values - below.half_width, lowest, highest)
    highs = np.clip(figures.high.values + above.half_width, lowest, highest)
    spreads = np.where(figures.known, below.sd, np.nan)
    for value, sd, low, high in zip(figures.estimates, spreads, lows, highs, strict=True):
        yield CellEstimate(
            codes=(),
            # Exact counts give figures within their bounds, so this changes none of those.
            estimate=float(np.clip(value, low, high)),
            standard_error=float(sd),
            low=float(low),
            high=float(high),
            coverage=_coverage((low, high) == (lowest, highest)),
        )


def _coverage(nothing_said: bool) -> float:  # noqa: FBT001 - its one argument
    return 1.0 if nothing_said else float(TARGET_COVERAGE)


def _curves(counts: Floats, noise: ReleasedNoise) -> tuple[_Bounded, list[_Bounded]]:
    """Surviving at day 0 and at every edge, and the cumulative incidence of every cause at every edge."""
    exact, shared = _kaplan_meier(counts[None].astype(np.complex128))
    # A step along each count in the imaginary direction: its image is the derivative, without any cancellation.
    steps = np.eye(counts.size).reshape(counts.size, *counts.shape) * (_TINY * 1j)
    moved, shares_moved = _kaplan_meier(counts + steps)
    enough = _at_risk(counts)[:-1] > CLEAR * noise.sd * np.sqrt(_at_risk(np.ones_like(counts))[:-1])
    known = np.concatenate([[True], np.logical_and.accumulate(enough)])
    at = np.minimum(np.arange(len(known)), known.sum() - 1)
    reached = _Linear(values=exact[0].real[at], weights=(moved.imag.T / _TINY)[at])
    nothing = np.where(known, 1.0, 0.0)
    surviving = _Bounded(estimates=exact[0].real, low=reached.combined(np.diag(nothing)), high=reached, known=known)
    left = reached.combined(np.diag(1 - nothing)[1:])
    causes = []
    for place in range(counts.shape[-1] - 1):
        values = np.concatenate([[0.0], shared[0, :, place].real])
        weights = np.concatenate([np.zeros((1, counts.size)), shares_moved[..., place].imag.T / _TINY])
        ended = _Linear(values=values[at][1:], weights=weights[at][1:])
        causes.append(_Bounded(estimates=values[1:], low=ended, high=ended.plus(left), known=known[1:]))
    return surviving, causes


def _at_risk(counts: Numbers) -> Numbers:
    """Rows that reach each band, by suffix sums."""
    return np.flip(np.cumsum(np.flip(counts.sum(axis=-1), axis=-1), axis=-1), axis=-1)


def _kaplan_meier(counts: Perturbed) -> tuple[Perturbed, Perturbed]:
    """Surviving at day 0 and every edge, and the cumulative incidence of every cause at every edge.

    Where nobody is left at risk nothing can be said (nan), unless all have ended: then all stay so.

    Shapes:
        `(tables, edges + 1, 1 + causes)` to `(tables, edges + 1)` and `(tables, edges, causes)`.
    """
    at_risk = _at_risk(counts)[:, :-1, None]
    somebody = at_risk.real > 0
    hazards = np.where(somebody, counts[:, :-1, 1:] / np.where(somebody, at_risk, 1.0), 0.0)
    stay = np.where(somebody[..., 0], 1 - hazards.sum(axis=-1), np.nan)
    stay = np.where(np.logical_or.accumulate(stay == 0, axis=-1), 0.0, stay)
    surviving = np.concatenate([np.ones((len(counts), 1)), np.cumprod(stay, axis=-1)], axis=-1)
    return surviving, np.cumsum(surviving[:, :-1, None] * hazards, axis=1)


def _median(table: Table, surviving: _Bounded, noise: ReleasedNoise) -> CellEstimate:
    """The median, with all times whose share surviving cannot be told from one half."""
    edges = np.array((0, *table.edges), dtype=np.float64)
    places = np.arange(PARTS * len(table.edges) + 1) / PARTS
    times = np.interp(places, np.arange(len(edges)), edges)
    curve = surviving.combined(np.maximum(1 - np.abs(places[:, None] - np.arange(len(edges))), 0.0))
    below, above = reach_of(curve.low.weights, noise), reach_of(curve.high.weights, noise)
    highest = float(table.measures[0].high)
    # The last time before which all is clearly above one half, and the first after which all is clearly below.
    low = _first_fall(times, curve.low.values - below.half_width - _HALF, float(times[-1]))
    high = _last_fall(times, curve.high.values + above.half_width - _HALF, highest)
    estimate = _first_fall(times, curve.estimates - _HALF, np.nan)
    return CellEstimate(
        codes=(),
        estimate=float(np.clip(estimate, low, high)),
        standard_error=_median_sd(estimate, times, curve, below.sd),
        low=low,
        high=high,
        coverage=_coverage((low, high) == (_earliest(table), highest)),
    )


def _first_fall(times: Floats, above: Floats, never: float) -> float:
    """When a line that starts above zero first reaches it; not a number where it gets lost before."""
    place = int(np.argmin(above > 0))
    if above[place] > 0:
        return never
    return _root(times, above, place - 1)


def _last_fall(times: Floats, above: Floats, never: float) -> float:
    """When a line that starts above zero last falls through it."""
    place = int(np.flatnonzero(above >= 0)[-1])
    return never if place == len(times) - 1 else _root(times, above, place)


def _root(times: Floats, values: Floats, place: int) -> float:
    """Where the line from a point to the next passes zero."""
    start, end = values[place], values[place + 1]
    return float(times[place] + (times[place + 1] - times[place]) * start / (start - end))


def _median_sd(estimate: float, times: Floats, curve: _Bounded, sd: Floats) -> float:
    """By the slope of the curve at the median; not a number where it does not fall there, or is only bounded."""
    if np.isnan(estimate):
        return np.nan
    place = int(np.clip(np.searchsorted(times, estimate), 1, len(times) - 1))
    slope = (curve.estimates[place - 1] - curve.estimates[place]) / (times[place] - times[place - 1])
    return float(np.interp(estimate, times, sd) / slope) if slope > 0 and curve.known[place] else np.nan
