"""Conversion between zCDP and (epsilon, delta): against OpenDP, against a fine search, and always from above."""

from fractions import Fraction
from math import inf, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.privacy import zcdp_epsilon, zcdp_rho
from federated.privacy.conversion import _GRID_SIZE, _bound, _first_rising, _order
from federated.privacy.opendp_reference import opendp_epsilon
from federated.privacy.rounding import round_up
from protocols.errors import LocalProtocolError

MILLIONTH = Fraction(1, 10**6)
rhos = st.fractions(min_value=Fraction(1, 10**7), max_value=20)
deltas = st.integers(2, 12).map(lambda digits: Fraction(1, 10**digits))


def finely_searched(rho: float, delta: float) -> float:
    """The infimum by golden-section search in log(alpha - 1), in floats."""

    def bound(x: float) -> float:
        alpha = 1 + 2**x
        return rho * alpha + log((alpha - 1) / alpha) - log(delta * alpha) / (alpha - 1)

    low, high, ratio = -16.0, 32.0, (5**0.5 - 1) / 2
    for _ in range(200):
        one, two = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, two) if bound(one) < bound(two) else (one, high)
    return bound((low + high) / 2)


def test_the_published_figure():
    assert float(zcdp_epsilon(Fraction(45, 1000), MILLIONTH)) == pytest.approx(1.39038, abs=5e-6)


@pytest.mark.parametrize("rho", ["1/100000", "1/1000", "9/200", "1/2", "3", "15"])
@pytest.mark.parametrize("delta", ["1/100", "1/1000000", "1/10000000000"])
def test_opendp_agrees_to_a_millionth(rho, delta):
    rho, delta = Fraction(rho), Fraction(delta)
    ours, theirs = float(zcdp_epsilon(rho, delta)), opendp_epsilon(rho, delta)
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert ours >= theirs * (1 - 1e-9)


@given(rhos, deltas)
@settings(max_examples=200, deadline=None)
def test_never_below_the_infimum_and_hardly_above(rho, delta):
    found, infimum = float(zcdp_epsilon(rho, delta)), finely_searched(float(rho), float(delta))
    assert found >= max(0, infimum) - 1e-12
    assert found <= max(0, infimum) + 1e-7 * (1 + float(rho) ** 0.5 * 6)


@given(rhos, deltas, st.fractions(min_value=Fraction(1, 10**9), max_value=1))
@settings(deadline=None)
def test_more_rho_and_less_delta_never_cost_less(rho, delta, more):
    assert zcdp_epsilon(rho + more, delta) >= zcdp_epsilon(rho, delta)
    assert zcdp_epsilon(rho, delta / 2) >= zcdp_epsilon(rho, delta)


@given(st.fractions(min_value=Fraction(1, 100), max_value=20), deltas)
@settings(max_examples=60, deadline=None)
def test_zcdp_rho_is_the_largest_step_that_fits(epsilon, delta):
    rho, step = zcdp_rho(epsilon, delta), Fraction(1, 1 << 48)
    assert rho % step == 0
    assert zcdp_epsilon(rho, delta) <= epsilon < zcdp_epsilon(rho + step, delta)


@given(rhos, deltas)
@settings(deadline=None)
def test_the_least_bound_of_the_whole_grid_is_found(rho, delta):
    """Otherwise a little more rho could cost less, and a refused question could pass with more noise removed."""
    index = _first_rising(rho, delta)
    near = range(max(0, index - 40), index + 40)
    far = range(0, _GRID_SIZE, 9973)
    least = min(_bound(rho, delta, _order(i)) for i in (*near, *far))
    assert zcdp_epsilon(rho, delta) == round_up(max(Fraction(0), least))


@pytest.mark.parametrize("steps", [1 << 40, 3 << 41, 12345678901])
def test_zcdp_rho_steps_back_when_rounding_up_has_the_last_word(steps):
    """An epsilon that a step of rho meets exactly, but for the rounding up of its conversion."""
    rho, step = Fraction(steps, 1 << 48), Fraction(1, 1 << 48)
    index = _first_rising(rho, MILLIONTH)
    epsilon = min(_bound(rho, MILLIONTH, _order(i)) for i in (index - 1, index))
    assert zcdp_epsilon(rho, MILLIONTH) > epsilon
    assert zcdp_rho(epsilon, MILLIONTH) == rho - step


def test_the_extremes():
    assert zcdp_epsilon(Fraction(0), MILLIONTH) == 0
    assert zcdp_epsilon(Fraction(1, 10**15), Fraction(1, 100)) == 0
    assert 1000 < zcdp_epsilon(Fraction(1000), MILLIONTH) < inf
    assert zcdp_rho(Fraction(1, 10**9), Fraction(1, 10**12)) >= 0
    assert zcdp_rho(Fraction(500), MILLIONTH) > 300


@pytest.mark.parametrize("bad", [0.5, 1, "1"])
def test_floats_are_refused(bad):
    for call in (zcdp_epsilon, zcdp_rho):
        call(Fraction(bad), Fraction(1, 2))  # kept, and equal to the float
        with pytest.raises(LocalProtocolError, match="exact Fraction"):
            call(bad, MILLIONTH)
        with pytest.raises(LocalProtocolError, match="delta must be an exact Fraction"):
            call(Fraction(1), bad)


@pytest.mark.parametrize("delta", [Fraction(0), Fraction(1), Fraction(-1), Fraction(2)])
def test_impossible_deltas_are_refused(delta):
    for call in (zcdp_epsilon, zcdp_rho):
        with pytest.raises(LocalProtocolError, match="delta must lie between 0 and 1"):
            call(Fraction(1), delta)


def test_negative_costs_are_refused():
    with pytest.raises(LocalProtocolError, match="at least 0"):
        zcdp_epsilon(Fraction(-1), MILLIONTH)
    with pytest.raises(LocalProtocolError, match="above 0"):
        zcdp_rho(Fraction(0), MILLIONTH)
