"""Long lists, a page at a time."""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Pages", "part_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Where one is in a list that has several pages."""

    number: int
    last: int
    before: str | None
    after: str | None


def part_of(total: int, size: int, wanted: str, address: Callable[[int], str]) -> tuple[slice, Pages]:
    """The part of a long list that a page shows.

    Args:
        total: Entries of the list.
        size: Entries of a page.
        wanted: Number of the page as asked for, from 1; anything else is the first.
        address: Gives the address of a page.
    """
    last = max(1, -(-total // size))
    digits = wanted.isascii() and wanted.isdecimal() and len(wanted) < 10  # noqa: PLR2004 - no list is that long
    number = min(max(1, int(wanted)), last) if digits else 1
    before = address(number - 1) if number > 1 else None
    after = address(number + 1) if number < last else None
    return slice((number - 1) * size, number * size), Pages(number=number, last=last, before=before, after=after)
