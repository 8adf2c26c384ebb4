"""Dates as categories: whole calendar months, quarters or years, fixed by the period asked about, never by the data."""

from collections.abc import Iterator
from datetime import date
from typing import Final

from federated.query.model import DatePart, Period
from federated.schema import NOT_KNOWN

__all__ = ["MONTHS_IN", "bin_number", "date_bins"]

MONTHS_IN: Final = {DatePart.MONTH: 1, DatePart.QUARTER: 3, DatePart.YEAR: 12}
"""Length of a bin in months. Quarters and years are those of the calendar, as in the published statistics."""

_MONTHS: Final = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905 - a list of twelve strings is harder to read
)


def bin_number(day: date, part: DatePart) -> int:
    """Number of the bin a day falls in, counted from the year 0; consecutive bins have consecutive numbers."""
    return (day.year * 12 + day.month - 1) // MONTHS_IN[part]


def date_bins(period: Period, part: DatePart, *, of_period_column: bool) -> Iterator[tuple[str, str]]:
    """(code, label) of each bin that the period touches, in order.

    Args:
        period: The question's period.
        part: Month, quarter or year.
        of_period_column: Whether the dates cut are those the period is about. Then a bin the period only partly
            covers says so; otherwise the bins are whole, and one more holds unknown dates and dates outside them.
    """
    first, last = bin_number(period.start, part), bin_number(period.end, part)
    for number in range(first, last + 1):
        code, label = _name(number, part)
        if of_period_column and not _covered(number, part, period):
            label += " (part)"
        yield code, label
    if not of_period_column:
        yield NOT_KNOWN, "Not known, or outside the period"


def _first_day(number: int, part: DatePart) -> date:
    year, month = divmod(number * MONTHS_IN[part], 12)
    return date(year, month + 1, 1)


def _covered(number: int, part: DatePart, period: Period) -> bool:
    begins = _first_day(number, part)
    # A period that ends with the bin is followed by a day of the next bin, or by the end of the calendar.
    ends_inside = period.end < date.max and bin_number(date.fromordinal(period.end.toordinal() + 1), part) == number
    return period.start <= begins and not ends_inside


def _name(number: int, part: DatePart) -> tuple[str, str]:
    begins = _first_day(number, part)
    match part:
        case DatePart.MONTH:
            return f"{begins:%Y-%m}", f"{_MONTHS[begins.month - 1]} {begins.year}"
        case DatePart.QUARTER:
            first, last = _MONTHS[begins.month - 1], _MONTHS[begins.month + 1]
            return f"{begins:%Y}-Q{(begins.month + 2) // 3}", f"{first} to {last} {begins.year}"
        case DatePart.YEAR:
            return f"{begins:%Y}", f"{begins.year}"
