"""Change between two releases of one table: difference, ratio, and difference-in-differences of two groups.

The two releases have noise of their own, independent of each other. A difference carries the sum of both, whose law is
a convolution; so does a difference of differences, of four. A ratio has the interval that the law of both noises does
not rule out, as a share has: if p is the later figure's share of both together, the ratio is p / (1 - p).

The intervals are about noise alone. Numbers of cases also rise and fall by chance, and for reasons of their own; so
every output calls what it shows an association, unless a design is declared that says more.
"""

from collections.abc import Sequence
from math import hypot
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from federated.analysis.comparable import compared_axes, require_comparable
from federated.analysis.derived import DerivedCell, DerivedTable, Finding, codes_along
from federated.analysis.noise_law import NoiseLaw
from federated.analysis.share import pair_law
from federated.analysis.source import TARGET_COVERAGE, NoisyTable
from federated.errors import QueryError
from federated.statistics.share_interval import share_intervals

__all__ = ["ASSOCIATION", "NO_BASELINE", "change", "difference_in_differences"]

ASSOCIATION = "Association only: no design was declared, so this does not say what caused a change."
NO_BASELINE = "The earlier release was not checked against a frozen baseline."
NOISE_ALONE = "The interval is about the noise alone; numbers of cases also rise and fall by chance."
Measure = Literal["difference", "ratio"]


def change(
    before: NoisyTable,
    after: NoisyTable,
    *,
    measure: Measure = "difference",
    allow_different_councils: bool = False,
    design: str | None = None,
    baseline: str | None = None,
) -> DerivedTable:
    """The change of every cell from one release to another.

    Args:
        before: Table of the earlier release.
        after: The same table of the later one.
        measure: Later less earlier, or later over earlier.
        allow_different_councils: Compare although not the same councils contributed.
        design: What makes more of it than an association, in words; printed.
        baseline: Name of the frozen baseline that the earlier release was checked against.

    Raises:
        QueryError: They cannot be compared, or sums that may be negative have no ratio.
    """
    notes = require_comparable(before, after, allow_different_councils=allow_different_councils)
    cells = _differences(before, after) if measure == "difference" else _ratios(before, after)
    words = {
        "difference": "The later estimate less the earlier; the interval is from the law of both noises together.",
        "ratio": (
            "The later estimate over the earlier; "
            "the interval holds every ratio that the law of both noises does not rule out."
        ),
    }
    return DerivedTable(
        caveat=after.table.caveat,
        name=f"{after.table.name}_{measure}",
        title=f"{after.release.title} – {after.table.name}, {measure} between two periods",
        unit="as the table" if measure == "difference" else "times the earlier figure",
        method=words[measure],
        axes=compared_axes(before, after),
        cells=cells,
        findings=(_beyond_noise(cells, 0 if measure == "difference" else 1),),
        notes=(*_what_it_shows(design, baseline), *notes, *after.coverage_notes()),
        releases=(before.release.digest.hex(), after.release.digest.hex()),
    )


def difference_in_differences(
    before: NoisyTable,
    after: NoisyTable,
    *,
    axis: str,
    one: str,
    other: str,
    allow_different_councils: bool = False,
    design: str | None = None,
    baseline: str | None = None,
) -> DerivedTable:
    """How much more one category changed than another, in every combination of the other axes.

    Args:
        before: Table of the earlier release.
        after: The same table of the later one.
        axis: Axis of the two groups, for example ``region``.
        one: Code of the group whose change is looked at.
        other: Code of the group it is held against.
        allow_different_councils: Compare although not the same councils contributed.
        design: What makes more of it than an association, in words; printed.
        baseline: Name of the frozen baseline that the earlier release was checked against.

    Raises:
        QueryError: They cannot be compared, or there is no such axis or category, or it is given twice.
    """
    notes = require_comparable(before, after, allow_different_councils=allow_different_councils)
    place = after.axis(axis)
    codes = compared_axes(before, after)[place].codes
    chosen = [_category(codes, code, axis) for code in (one, other)]
    if chosen[0] == chosen[1]:
        raise QueryError("The two groups are the same.", remedy="Name two different categories.")
    figures = [np.take(source.totals, group, axis=place) for group in chosen for source in (before, after)]
    one_before, one_after, other_before, other_after = figures
    law = before.law.of_cells(2).combined(after.law.of_cells(2))
    values = (one_after - one_before) - (other_after - other_before)
    axes = tuple(item for number, item in enumerate(compared_axes(before, after)) if number != place)
    cells = _offset_cells(codes_along(axes), values.ravel(), law)
    return DerivedTable(
        caveat=after.table.caveat,
        name=f"{after.table.name}_difference_in_differences",
        title=f"{after.release.title} – {after.table.name}, change of {one} less change of {other}",
        unit="as the table",
        method=(
            "The change in the first group less the change in the second; "
            "the interval is from the law of all four noises together."
        ),
        axes=axes,
        cells=cells,
        findings=(*_four_figures(figures, one, other), _beyond_noise(cells, 0)),
        notes=(
            *_what_it_shows(design, baseline),
            "It is an effect only if both groups would have changed by the same number without it.",
            *notes,
            *after.coverage_notes(),
        ),
        releases=(before.release.digest.hex(), after.release.digest.hex()),
    )


def _differences(before: NoisyTable, after: NoisyTable) -> tuple[DerivedCell, ...]:
    law = before.law.combined(after.law)
    codes = codes_along(compared_axes(before, after))
    return _offset_cells(codes, (after.totals - before.totals).ravel(), law)


def _offset_cells(
    codes: Sequence[tuple[str, ...]], values: NDArray[np.float64], law: NoiseLaw
) -> tuple[DerivedCell, ...]:
    half_width, coverage = law.half_width(TARGET_COVERAGE)
    return tuple(
        DerivedCell(
            codes=cell,
            estimate=value,
            standard_error=law.sd,
            low=value - half_width,
            high=value + half_width,
            coverage=coverage,
        )
        for cell, value in zip(codes, values.tolist(), strict=True)
    )


def _ratios(before: NoisyTable, after: NoisyTable) -> tuple[DerivedCell, ...]:
    if after.table.may_be_negative:
        raise QueryError(
            f"The sums of the table '{after.table.name}' may be below zero, so they have no ratio.",
            remedy="Look at their difference.",
        )
    law = before.law.combined(after.law)
    earlier, later = (source.law.on_scale(law.scale) for source in (before, after))
    below, above = (np.rint(source.totals.ravel() * law.scale) for source in (before, after))
    found = share_intervals(pair_law(later, earlier), above, below, coverage=float(TARGET_COVERAGE))
    columns = zip(
        codes_along(compared_axes(before, after)),
        (below / law.scale).tolist(),
        (above / law.scale).tolist(),
        _odds(found.low),
        _odds(found.high),
        found.coverage.tolist(),
        strict=True,
    )
    return tuple(
        DerivedCell(
            codes=codes,
            estimate=max(0.0, top / bottom) if bottom > 0 else None,
            standard_error=hypot(later.sd, earlier.sd * max(0.0, top / bottom)) / bottom if bottom > 0 else None,
            low=low,
            high=high,
            coverage=covers,
        )
        for codes, bottom, top, low, high, covers in columns
    )


def _odds(share: NDArray[np.float64]) -> list[float]:
    """Ratios of two parts by the share of one of them; infinite at 1."""
    rest = 1 - share
    odds = np.where(rest > 0, share / np.where(rest > 0, rest, 1), np.inf)
    return [float(value) for value in odds]


def _category(codes: Sequence[str], code: str, axis: str) -> int:
    if code not in codes:
        raise QueryError(
            f"The axis '{axis}' has no category '{code}'.", remedy=f"Its categories are: {', '.join(codes)}."
        )
    return codes.index(code)


def _beyond_noise(cells: Sequence[DerivedCell], nothing: float) -> Finding:
    outside = sum(not cell.low <= nothing <= cell.high for cell in cells)
    by_chance = sum(1 - cell.coverage for cell in cells)
    return Finding(
        name="cells_beyond_noise",
        value=float(outside),
        sentence=(
            f"{outside} of {len(cells)} intervals leave out no change at all; "
            f"noise alone would do that to about {by_chance:.2f} of them."
        ),
    )


def _four_figures(figures: Sequence[NDArray[np.float64]], one: str, other: str) -> tuple[Finding, ...]:
    """The estimates the difference is made of, added up over the other axes."""
    names = [(name, group, when) for name, group in (("one", one), ("other", other)) for when in ("before", "after")]
    return tuple(
        Finding(
            name=f"{name}_{when}",
            value=float(values.sum()),
            sentence=f"Estimate of {group} {when}: {values.sum():,.2f}.",
        )
        for (name, group, when), values in zip(names, figures, strict=True)
    )


def _what_it_shows(design: str | None, baseline: str | None) -> tuple[str, ...]:
    return (
        ASSOCIATION if design is None else f"Design declared by the analyst: {design}",
        NOISE_ALONE,
        NO_BASELINE if baseline is None else f"The earlier release is the frozen baseline '{baseline}'.",
    )
