"""Dates as extracts write them, read one by one: to tell how a column writes them, never to load it."""

import re
from datetime import date, timedelta
from enum import Enum, auto
from typing import Final

__all__ = ["Written", "read_date", "written_as"]

SERIAL_DAY_ZERO: Final = date(1899, 12, 30)
SERIALS: Final = range(10_000, 80_000)
"""Spreadsheet day numbers that are taken as dates, as `council_node.sources.canonical` does."""
CENTURY: Final = 100

_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})([T ].*)?")
_NUMBERS = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})( .*)?")
_WORDS = re.compile(r"(\d{1,2})[ -]([A-Za-z]{3})[a-z]*[ -](\d{4}|\d{2})( .*)?")
_SERIAL = re.compile(r"(\d{5})(\.\d+)?")
_MONTHS: Final = "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905 - twelve quoted words are harder to read


class Written(Enum):
    """How a text writes a date."""

    ISO = auto()
    """2025-02-19."""
    DAY_FIRST = auto()
    """19/02/2025, or with the month in letters."""
    EITHER = auto()
    """04/03/2025: the day could be either number."""
    MONTH_FIRST = auto()
    """02/19/2025: no day-first date."""
    SERIAL = auto()
    """45707: a spreadsheet's number of a day."""


def written_as(text: str) -> Written | None:
    """How a text writes a date; None when it is no date."""
    if _ISO.fullmatch(text):
        return Written.ISO if _parts(text) else None
    if found := _NUMBERS.fullmatch(text):
        return _order(int(found[1]), int(found[2]))
    if found := _SERIAL.fullmatch(text):
        return Written.SERIAL if int(found[1]) in SERIALS else None
    found = _WORDS.fullmatch(text)
    return Written.DAY_FIRST if found and found[2].lower() in _MONTHS else None


def _order(first: int, second: int) -> Written | None:
    months = range(1, len(_MONTHS) + 1)
    if second in months:
        return Written.EITHER if first in months else Written.DAY_FIRST
    return Written.MONTH_FIRST if first in months else None


def read_date(text: str, *, today: date) -> date | None:
    """The date a text means, day first; years of two digits are those not after this one."""
    parts = _parts(text)
    if parts is None:
        found = _SERIAL.fullmatch(text)
        serial = found is not None and int(found[1]) in SERIALS
        return SERIAL_DAY_ZERO + timedelta(days=int(found[1])) if found is not None and serial else None
    year, month, day = parts
    if year < CENTURY:
        year += today.year - today.year % CENTURY - (CENTURY if year > today.year % CENTURY else 0)
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _parts(text: str) -> tuple[int, int, int] | None:
    if found := _ISO.fullmatch(text):
        return int(found[1]), int(found[2]), int(found[3])
    if found := _NUMBERS.fullmatch(text):
        return int(found[3]), int(found[2]), int(found[1])
    found = _WORDS.fullmatch(text)
    if found is None or found[2].lower() not in _MONTHS:
        return None
    return int(found[3]), _MONTHS.index(found[2].lower()) + 1, int(found[1])
