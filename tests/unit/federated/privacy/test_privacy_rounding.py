"""Directed rounding: every bound on its side of the truth, tight, and no floats accepted."""

import decimal
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.privacy.rounding import (
    GRID,
    exact,
    exp_fixed_point,
    exp_upper,
    grid_floor,
    ln_lower,
    ln_upper,
    positive,
    round_up,
    whole,
)
from protocols.errors import LocalProtocolError

TIGHT = Fraction(1, 10**45)


def exp_bracket(value: Fraction) -> tuple[Fraction, Fraction]:
    """Independent: the Taylor series of e^x for 0 <= x <= 1 in exact rationals, with its remainder."""
    assert 0 <= value <= 1
    term = total = Fraction(1)
    for k in range(1, 60):
        term = term * value / k
        total += term
    return total, total + term  # the remainder of 60 terms is below the last one


@given(st.fractions(min_value=0, max_value=1, max_denominator=10**6))
@settings(deadline=None)
def test_exponential_bounds_hold_against_an_exact_series(value):
    low, high = exp_bracket(value)
    assert low <= exp_upper(value) <= high * (1 + TIGHT)
    assert 1 / high <= exp_upper(-value) <= (1 + TIGHT) / low


@given(st.fractions(min_value=0, max_value=1, max_denominator=10**6))
@settings(deadline=None)
def test_fixed_point_exponential_is_within_one_unit(value):
    low, high = exp_bracket(value)
    found = exp_fixed_point(-value, bits=200)
    assert Fraction(1 << 200) / high - 1 <= found <= Fraction(1 << 200) / low + 1


def test_fixed_point_exponential_at_the_ends():
    assert exp_fixed_point(Fraction(0), bits=320) == 1 << 320
    assert exp_fixed_point(Fraction(-(10**12)), bits=320) == 0
    with pytest.raises(LocalProtocolError, match="at most 0"):
        exp_fixed_point(Fraction(1), bits=320)


@given(st.fractions(min_value=Fraction(1, 10**9), max_value=10**9).filter(lambda value: value > 0))
@settings(deadline=None)
def test_logarithm_bounds_enclose_the_truth(value):
    with decimal.localcontext(prec=90):
        truth = Fraction((Decimal(value.numerator) / Decimal(value.denominator)).ln())
    low, high = ln_lower(value), ln_upper(value)
    assert low < truth + TIGHT / 10**40
    assert high > truth - TIGHT / 10**40
    assert high - low <= TIGHT * max(1, abs(truth))


def test_bounds_are_strictly_on_their_side_where_decimal_would_round_to_nearest():
    with decimal.localcontext(prec=90):
        for n in range(2, 200):
            truth = Fraction(Decimal(n).ln())
            assert ln_lower(Fraction(n)) < truth < ln_upper(Fraction(n))
            assert exp_upper(Fraction(-n, 7)) > Fraction((Decimal(-n) / 7).exp())


def test_far_exponentials_are_bounded_quickly():
    assert 0 < exp_upper(Fraction(-(10**9))) <= exp_upper(Fraction(-200)) < Fraction(1, 10**86)


@given(st.fractions(min_value=0, max_value=1000))
@settings(deadline=None)
def test_round_up_keeps_short_values_and_never_lowers(value):
    awkward = value + Fraction(1, 3**60)
    assert round_up(value) == value or value.denominator > GRID
    assert awkward <= round_up(awkward) < awkward + Fraction(1, GRID)
    assert round_up(awkward).denominator <= GRID
    assert value - Fraction(1, GRID) < grid_floor(value) <= value


@pytest.mark.parametrize("bad", [0.5, 1, "1", None, Decimal("0.5")])
def test_exact_refuses_everything_but_a_fraction(bad):
    with pytest.raises(LocalProtocolError, match="must be an exact Fraction"):
        exact(bad, "epsilon")


def test_positive_and_whole_name_what_is_wrong():
    with pytest.raises(LocalProtocolError, match="epsilon must be above 0"):
        positive(Fraction(0), "epsilon")
    for bad in (1.0, True, "3", Fraction(3)):
        with pytest.raises(LocalProtocolError, match="cells must be a whole number"):
            whole(bad, "cells", least=1)
    with pytest.raises(LocalProtocolError, match="cells must be at least 1, not 0"):
        whole(0, "cells", least=1)
