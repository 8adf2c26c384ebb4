"""Exact rationals as text: how every privacy parameter is written, stored, sent and shown to a person."""

import re
from fractions import Fraction
from math import ceil, floor

from federated.errors import QueryError

__all__ = ["decimal_down", "decimal_up", "rational", "rational_text"]

# Digits of other scripts can look like a full stop or like nothing: the people who sign would read another number.
_RATIONAL = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40}|/[1-9][0-9]{0,39})?")


def rational(text: object, *, name: str) -> Fraction:
    """Read an exact rational: ``3``, ``0.25`` or ``1/4``.

    Args:
        text: What was written. A YAML number must be quoted, so that it is never a float.
        name: What it is, for the error.

    Raises:
        QueryError: Not a rational of at most 40 digits on each side.
    """
    if not isinstance(text, str) or not _RATIONAL.fullmatch(text):
        raise QueryError(
            f"{name} must be an exact number in quotes, such as '1', '0.25' or '1/4'.",
            remedy="Write it as text: a plain decimal in YAML would be rounded.",
        )
    return Fraction(text)


def rational_text(value: Fraction) -> str:
    """The one text form of a rational: ``3`` or ``1/4``, in lowest terms."""
    return str(value)


def decimal_up(exact: Fraction | str, decimals: int = 4, *, commas: bool = False) -> str:
    """An exact figure for reading: never smaller than it is, and without idle zeros.

    Args:
        exact: The figure, or its text.
        decimals: At most so many.
        commas: Whether thousands are parted by commas.
    """
    return _decimals(ceil(Fraction(exact) * 10**decimals), decimals, commas=commas)


def decimal_down(exact: Fraction | str, decimals: int = 4, *, commas: bool = False) -> str:
    """The same, never larger than it is."""
    return _decimals(floor(Fraction(exact) * 10**decimals), decimals, commas=commas)


def _decimals(scaled: int, decimals: int, *, commas: bool) -> str:
    whole, part = divmod(abs(scaled), 10**decimals)
    before = f"{'-' if scaled < 0 else ''}{whole:{',' if commas else ''}}"
    return f"{before}.{part:0{decimals}d}".rstrip("0").rstrip(".")
