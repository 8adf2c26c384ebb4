"""Exact rationals and the few logarithms and exponentials we need of them, rounded the safe way.

`decimal` is used for these because its `exp` and `ln` are correctly rounded; the step to the next
representable number then turns a rounded value into a bound. No float is involved anywhere.
"""

import decimal
from decimal import Decimal
from fractions import Fraction
from typing import Final

from protocols.errors import LocalProtocolError

GRID: Final = 1 << 64
"""Largest denominator a stored privacy figure may have; finer ones are rounded to a multiple of 1/GRID."""

_DIGITS: Final = 50
_MOST_NEGATIVE_EXPONENT: Final = -200
_DOWN = decimal.Context(prec=_DIGITS, rounding=decimal.ROUND_FLOOR)
_UP = decimal.Context(prec=_DIGITS, rounding=decimal.ROUND_CEILING)


def exact(value: object, name: str) -> Fraction:
    """Pass an exact rational on; refuse everything else, a float above all.

    Raises:
        LocalProtocolError: Not a `Fraction`. A float has already been rounded, and not against us.
    """
    if not isinstance(value, Fraction):
        raise LocalProtocolError(
            f"{name} must be an exact Fraction, not {type(value).__name__}: privacy parameters are never rounded"
        )
    return value


def positive(value: object, name: str) -> Fraction:
    """An exact rational above 0.

    Raises:
        LocalProtocolError: Not a `Fraction`, or not above 0.
    """
    if (number := exact(value, name)) <= 0:
        raise LocalProtocolError(f"{name} must be above 0, not {number}")
    return number


def whole(value: object, name: str, *, least: int) -> int:
    """A whole number of at least `least`.

    Raises:
        LocalProtocolError: Not an `int` (a bool is not one), or too small.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise LocalProtocolError(f"{name} must be a whole number, not {type(value).__name__}")
    if value < least:
        raise LocalProtocolError(f"{name} must be at least {least}, not {value}")
    return value


def round_up(value: Fraction) -> Fraction:
    """The value itself while its denominator is at most `GRID`, otherwise the next multiple of 1/GRID above.

    Without it a year of charges with unrelated denominators would make sums of unbounded length.
    """
    return value if value.denominator <= GRID else -grid_floor(-value)


def grid_floor(value: Fraction) -> Fraction:
    """The largest multiple of 1/GRID that is not above the value."""
    return Fraction(value.numerator * GRID // value.denominator, GRID)


def ln_upper(value: Fraction) -> Fraction:
    """An upper bound of the natural logarithm, within 1e-48 relative."""
    above = _UP.divide(Decimal(value.numerator), Decimal(value.denominator))
    return Fraction(_UP.next_plus(_UP.ln(above)))


def ln_lower(value: Fraction) -> Fraction:
    """A lower bound of the natural logarithm, within 1e-48 relative."""
    below = _DOWN.divide(Decimal(value.numerator), Decimal(value.denominator))
    return Fraction(_DOWN.next_minus(_DOWN.ln(below)))


def exp_upper(value: Fraction) -> Fraction:
    """An upper bound of the exponential, within 1e-48 relative from e^-200 upwards (and e^-200 below that)."""
    clamped = max(value, Fraction(_MOST_NEGATIVE_EXPONENT))
    above = _UP.divide(Decimal(clamped.numerator), Decimal(clamped.denominator))
    return Fraction(_UP.next_plus(_UP.exp(above)))


def exp_fixed_point(value: Fraction, *, bits: int) -> int:
    """The exponential of a value of at most 0, times 2^bits, within one unit either way.

    The working precision leaves 20 decimal digits beyond `bits`, so that the rounded argument (relative error
    10^-prec, times a value that matters only while above -bits), `exp` itself and the last multiplication stay
    far below one unit together.
    """
    if value > 0:
        raise LocalProtocolError(f"the exponent must be at most 0, not {value}")
    context = decimal.Context(prec=bits * 302 // 1000 + 20)
    exponent = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    return int(context.multiply(context.exp(exponent), Decimal(1 << bits)))
