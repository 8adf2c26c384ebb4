"""What a pattern is held against: equal shares, shares by days of the calendar, or shares from a public file."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from math import prod

import numpy as np
from numpy.typing import NDArray

from federated.analysis.source import NoisyTable
from federated.errors import FileProblem, QueryError
from federated.query import Period
from federated.release import AxisRecord
from federated.schema import NOT_KNOWN
from federated.statistics.date_bins import bin_number
from federated.statistics.tables import axis_name

__all__ = ["Expected", "by_days", "equal", "from_figures", "known_codes"]

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Expected = Callable[[NoisyTable, Sequence[AxisRecord]], NDArray[np.float64]]
"""From a table and the axes of the pattern to shares that add up to 1, one for each cell of the axes' known codes."""


def known_codes(axis: AxisRecord) -> tuple[str, ...]:
    """The categories of an axis that are part of a pattern: all but `not_known`."""
    return tuple(code for code in axis.codes if code != NOT_KNOWN)


def equal(source: NoisyTable, axes: Sequence[AxisRecord]) -> NDArray[np.float64]:  # noqa: ARG001 - an `Expected`
    """The same share for every cell."""
    shape = tuple(len(known_codes(axis)) for axis in axes)
    return np.full(shape, 1 / prod(shape))


def by_days(source: NoisyTable, axes: Sequence[AxisRecord]) -> NDArray[np.float64]:
    """In proportion to the days of the period that fall into each category: 31 for January, 13 for some weekdays.

    Axes that are not of days, such as time blocks of equal length, have equal shares.

    Raises:
        QueryError: No axis is of days, or two are: how they go together is not their product.
    """
    weights = [_days_of(axis, source) for axis in axes]
    if sum(found is not None for found in weights) != 1:
        raise QueryError(
            "Shares by days need exactly one axis of dates or weekdays.", remedy="Name it with --along, or use equal."
        )
    shares = np.ones(())
    for axis, found in zip(axes, weights, strict=True):
        part = np.ones(len(known_codes(axis))) if found is None else found
        shares = np.multiply.outer(shares, part)
    scaled: NDArray[np.float64] = shares / shares.sum()
    return scaled


def from_figures(by_code: Mapping[str, int], name: str) -> Expected:
    """In proportion to public figures, one for each category of one axis."""

    def shares(source: NoisyTable, axes: Sequence[AxisRecord]) -> NDArray[np.float64]:  # noqa: ARG001 - as above
        codes = known_codes(axes[0])
        if len(axes) != 1 or set(codes) != set(by_code):
            raise FileProblem(
                f"{name} must have one figure for each category of one axis, `not_known` left out.",
                remedy=f"Name one axis with --along. The codes of '{axes[0].name}' are: {', '.join(codes)}.",
            )
        found = np.array([by_code[code] for code in codes], dtype=np.float64)
        scaled: NDArray[np.float64] = found / found.sum()
        return scaled

    return shares


def _days_of(axis: AxisRecord, source: NoisyTable) -> NDArray[np.float64] | None:
    """Days of each known category; None for an axis that is not of days."""
    codes = known_codes(axis)
    period = source.question.period
    if codes == WEEKDAYS:
        counted = [WEEKDAYS[day.weekday()] for day in _days(period)]
        return np.array([counted.count(code) for code in codes], dtype=np.float64)
    asked = next(table for table in source.question.tables if table.name == source.table.name)
    for dimension in asked.by:
        if axis_name(dimension) == axis.name and dimension.part is not None:
            part = dimension.part
            if dimension.column != period.column:
                raise QueryError(
                    f"The days of '{axis.name}' are not those of the question's period, so their shares are not known.",
                    remedy="Give the expected shares in a file.",
                )
            first = bin_number(period.start, part)
            bins = [bin_number(day, part) - first for day in _days(period)]
            return np.bincount(bins, minlength=len(codes)).astype(np.float64)
    return None


def _days(period: Period) -> list[date]:
    return [period.start + timedelta(days=day) for day in range((period.end - period.start).days + 1)]
