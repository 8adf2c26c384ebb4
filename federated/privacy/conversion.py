"""From zCDP to (epsilon, delta) and back, on a fixed grid of orders, rounded against us (`protocol.md` 2.3)."""

from fractions import Fraction
from functools import lru_cache
from typing import Final

from federated.privacy.rounding import exact, ln_lower, ln_upper, positive, round_up
from protocols.errors import LocalProtocolError

_MANTISSA_BITS: Final = 12
_LEAST_EXPONENT: Final = -16
_OCTAVES: Final = 48
_GRID_SIZE: Final = _OCTAVES << _MANTISSA_BITS
_RHO_STEP: Final = Fraction(1, 1 << 48)


@lru_cache(maxsize=1024, typed=True)  # typed: a float equal to a cached Fraction must still be refused
def zcdp_epsilon(rho: Fraction, delta: Fraction) -> Fraction:
    """An epsilon for which rho-zCDP implies (epsilon, delta)-DP; an upper bound of the best this formula gives.

    The least over a grid of orders alpha of `rho alpha + ln((alpha-1)/alpha) - (ln delta + ln alpha)/(alpha-1)`
    (Canonne, Kamath and Steinke 2020, Proposition 12). Any alpha above 1 gives a valid bound. The grid has
    4,096 orders in each doubling of alpha - 1 from 2^-16 to 2^32, which loses less than 10^-7 of the result.

    Args:
        rho: At least 0, exact.
        delta: In (0, 1), exact.

    Returns:
        Epsilon, at least 0, rounded up.
    """
    if exact(rho, "rho") < 0:
        raise LocalProtocolError(f"rho must be at least 0, not {rho}")
    _require_delta(delta)
    if rho == 0:
        return Fraction(0)
    return round_up(max(Fraction(0), _bound(rho, delta, _order(_best(rho, delta)))))


def zcdp_rho(epsilon: Fraction, delta: Fraction) -> Fraction:
    """The largest multiple of 2^-48 whose :func:`zcdp_epsilon` is at most `epsilon`: a lower bound of what fits.

    Args:
        epsilon: Above 0, exact.
        delta: In (0, 1), exact.
    """
    return _zcdp_rho(positive(epsilon, "epsilon"), _require_delta(delta))


@lru_cache(maxsize=64)
def _zcdp_rho(epsilon: Fraction, delta: Fraction) -> Fraction:
    # At one order the bound is alpha rho + intercept, so (epsilon - intercept) / alpha fits. The best order for that
    # rho fits no less, and so upwards until the order stays: the greatest over the grid.
    rho, index = epsilon**2 / (4 * ln_upper(1 / delta)), -1
    while rho > 0 and index != (index := _best(rho, delta)):
        rho = (epsilon - _intercept(_order(index), delta)) / _order(index)
    steps = max(0, rho // _RHO_STEP)
    while zcdp_epsilon(steps * _RHO_STEP, delta) > epsilon:
        steps -= 1  # at most once or twice: the logarithms' and the result's own rounding
    return steps * _RHO_STEP


def _require_delta(delta: Fraction) -> Fraction:
    if not 0 < exact(delta, "delta") < 1:
        raise LocalProtocolError(f"delta must lie between 0 and 1, not {delta}")
    return delta


def _order(index: int) -> Fraction:
    """The grid: 1 + 2^e (1 + j / 4096)."""
    octave, step = divmod(index, 1 << _MANTISSA_BITS)
    return 1 + Fraction(2) ** (octave + _LEAST_EXPONENT) * (1 + Fraction(step, 1 << _MANTISSA_BITS))


def _first_rising(rho: Fraction, delta: Fraction) -> int:
    """Index of the first order where the formula no longer falls: its least value is there or one before.

    The derivative in alpha is rho + (ln delta + ln alpha) / (alpha-1)^2. It changes sign once: where
    ln delta + ln alpha is negative the quotient increases with alpha, and afterwards it is not negative.
    """
    low, high = 0, _GRID_SIZE - 1
    while low < high:
        middle = (low + high) // 2
        alpha = _order(middle)
        if rho * (alpha - 1) ** 2 + ln_lower(delta * alpha) >= 0:
            high = middle
        else:
            low = middle + 1
    return low


def _best(rho: Fraction, delta: Fraction) -> int:
    """Index of the order that gives the least bound."""
    rising = _first_rising(rho, delta)
    return min(range(max(rising - 1, 0), rising + 1), key=lambda index: _bound(rho, delta, _order(index)))


def _bound(rho: Fraction, delta: Fraction, alpha: Fraction) -> Fraction:
    return rho * alpha + _intercept(alpha, delta)


def _intercept(alpha: Fraction, delta: Fraction) -> Fraction:
    return ln_upper((alpha - 1) / alpha) - ln_lower(delta * alpha) / (alpha - 1)
