"""The text that a cell would be in a CSV file of the same cases, whatever it was before.

One writing for every kind of source is what makes a council's figures the same, to the bit, however its cases are kept.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Final

__all__ = ["EPOCH_1904", "cell_text", "day_text"]

EPOCH_1900: Final = date(1899, 12, 30)
EPOCH_1904: Final = date(1904, 1, 1)
"""Day 0 of workbooks that count their days as the first Macintosh did."""
EXACT: Final = 10**15
"""Below this a spreadsheet's numbers are exact."""
SERIALS: Final = (10_000, 80_000)
"""Day numbers that are taken as dates, as for CSV files (`council_node.sources.canonical`)."""


def cell_text(value: object) -> str:
    """A value as text; nothing is an empty text.

    Dates are written 2025-01-31, with the time after a blank unless it is midnight; truth as true and false; numbers
    in full, without a fraction where they are whole. Text stays as it is, formulas or not: it is never evaluated.
    """
    match value:
        case None:
            text = ""
        case str():
            text = value
        case bool():
            text = "true" if value else "false"
        case int() | float() | Decimal():
            text = _number(value)
        case datetime():
            text = _moment(value)
        case bytes() | bytearray() | memoryview():
            text = bytes(value).decode("utf-8", "replace")
        case _:  # a date among them, which Python writes as it should be
            text = str(value)
    # Half a character, which some drivers give for broken bytes, cannot be stored: it becomes a question mark.
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def day_text(value: object, epoch: date) -> str:
    """The text of a cell of a column of dates: a bare day number becomes the day it means in this workbook.

    Args:
        value: The cell.
        epoch: Day 0 of the workbook.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return cell_text(value)
    moved = value + (epoch - EPOCH_1900).days
    return cell_text(moved if SERIALS[0] <= moved <= SERIALS[1] else value)


def _number(value: float | Decimal) -> str:
    if isinstance(value, Decimal) and not value.is_finite():
        return str(value)
    whole = -EXACT < value < EXACT and value == int(value)
    return str(int(value)) if whole else str(value)


def _moment(value: datetime) -> str:
    # The time as the wall clock showed it: a case is dated by the day it was there.
    if (value.hour, value.minute, value.second) == (0, 0, 0):
        return value.date().isoformat()
    return value.replace(tzinfo=None, microsecond=0).isoformat(sep=" ")
