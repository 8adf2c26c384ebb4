"""Shares: each category's part of the sum along chosen axes, with an interval for the ratio of two noisy sums.

A category's total A carries the noise X of one cell; the rest of its slice, C, carries the sum Y of the noise of all
its other cells. For every share p the figure (1 - p)(A + X) - p (C + Y) is noise alone exactly when p is the true
share, and the law of that noise is known: the interval is the set of shares that it does not rule out (Fieller 1954, on
the exact law; `federated.statistics.share_interval`). Both noises are in it, and no normal curve.

An interval is shown where either sum is clearly more than its noise, and 0 to 100 elsewhere. Near that limit the noise
that lifts a cell over it is partly the noise in its share: up to 3 percentage points fewer of those cells are held than
declared. Over all of them, those of which nothing is said included, it is never fewer than 95 in 100.
"""

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from federated.analysis.derived import DerivedCell, DerivedTable, codes_along
from federated.analysis.noise_law import NoiseLaw
from federated.analysis.source import TARGET_COVERAGE, NoisyTable
from federated.errors import QueryError
from federated.statistics.share_interval import OneLaw, PairLaw, share_intervals

__all__ = ["pair_law", "share", "share_errors"]

PER_CENT = 100


def share(source: NoisyTable, along: Sequence[str] = ()) -> DerivedTable:
    """Shares, in per cent.

    Args:
        source: A table of counts, or of sums whose lower bound is not below 0.
        along: Axes whose categories make up the whole; all when none are named. Within each combination of the
            other axes the shares add up to 100.

    Raises:
        QueryError: No such axis, an axis with one category, or sums that may be negative.
    """
    if source.table.may_be_negative:
        raise QueryError(
            f"The sums of the table '{source.table.name}' may be below zero, so they have no shares.",
            remedy="Choose a table of counts, or one whose lower bound is 0.",
        )
    names = list(along) or [axis.name for axis in source.table.axes]
    places = sorted({source.axis(name) for name in names})
    categories = prod(source.steps.shape[place] for place in places)
    if categories == 1:
        raise QueryError(
            f"A share needs at least two categories, and the table '{source.table.name}' has one along these axes.",
            remedy="Name another axis with --along.",
        )
    whole = np.broadcast_to(source.steps.sum(axis=tuple(places), keepdims=True), source.steps.shape)
    part, rest = source.steps.ravel(), (whole - source.steps).ravel()
    cells = _cells(source, part, rest, source.law.of_cells(categories - 1))
    return DerivedTable(
        caveat=source.table.caveat,
        name=f"{source.table.name}_share",
        title=f"{source.release.title} – {source.table.name}, shares along {', '.join(names)}",
        unit="per cent",
        method=(
            "Each estimate divided by the sum along the axes named; "
            "the interval holds every share that the exact law of both noises does not rule out."
        ),
        axes=source.table.axes,
        cells=cells,
        notes=(*source.coverage_notes(), *_contribution_notes(source)),
        releases=(source.release.digest.hex(),),
    )


def pair_law(part: NoiseLaw, rest: NoiseLaw) -> PairLaw:
    """The laws of two independent noises on one grid, as `share_intervals` takes them."""
    return PairLaw(part=OneLaw.of(part.first, part.probabilities), rest=OneLaw.of(rest.first, rest.probabilities))


def share_errors(
    value: NDArray[np.float64], both: NDArray[np.float64], part_sd: float, rest_sd: float
) -> NDArray[np.float64]:
    """First-order standard error of a share of `both`; not a number where that is not positive."""
    positive = np.where(both > 0, both, np.nan)
    errors: NDArray[np.float64] = np.sqrt(((1 - value) * part_sd) ** 2 + (value * rest_sd) ** 2) / positive
    return errors


def _cells(
    source: NoisyTable, part: NDArray[np.int64], rest: NDArray[np.int64], rest_law: NoiseLaw
) -> tuple[DerivedCell, ...]:
    found = share_intervals(
        pair_law(source.law, rest_law),
        part.astype(np.float64),
        rest.astype(np.float64),
        coverage=float(TARGET_COVERAGE),
    )
    both = part + rest
    value = np.clip(part / np.where(both > 0, both, 1), 0, 1)
    error = share_errors(value, both / source.law.scale, source.law.sd, rest_law.sd)
    columns = zip(
        codes_along(source.table.axes), both, value, error, found.low, found.high, found.coverage, strict=True
    )
    return tuple(
        DerivedCell(
            codes=codes,
            estimate=PER_CENT * float(middle) if total > 0 else None,
            standard_error=PER_CENT * float(spread) if total > 0 else None,
            low=PER_CENT * float(low),
            high=PER_CENT * float(high),
            coverage=float(covers),
        )
        for codes, total, middle, spread, low, high, covers in columns
    )


def _contribution_notes(source: NoisyTable) -> tuple[str, ...]:
    if source.table.max_cells == 1:
        return ()
    most = f"up to {source.table.max_cells} times"
    return (f"One household may be in the table {most}: the shares are of what was counted, not of households.",)
