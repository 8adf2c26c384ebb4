"""Exact rationals as text: how every privacy parameter is written, stored and sent."""

import re
from fractions import Fraction

from federated.errors import QueryError

_RATIONAL = re.compile(r"-?\d{1,40}(?:\.\d{1,40}|/[1-9]\d{0,39})?")


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
