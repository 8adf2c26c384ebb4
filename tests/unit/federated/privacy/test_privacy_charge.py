"""What a question costs: exact, rounded against us, and never a float."""

from fractions import Fraction
from math import exp, pi

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.privacy import (
    Charge,
    Mechanism,
    NoiseBlock,
    NoiseSpec,
    gaussian_charge,
    laplace_charge,
    noise_charge,
    tau_bound,
)
from federated.privacy.rounding import GRID
from protocols.errors import LocalProtocolError

LAPLACE, GAUSSIAN = Mechanism.DISCRETE_LAPLACE, Mechanism.DISCRETE_GAUSSIAN


def spec(mechanism, *blocks, scale=1):
    return NoiseSpec(
        mechanism=mechanism,
        blocks=tuple(NoiseBlock(cells=cells, parameter=Fraction(parameter)) for cells, parameter in blocks),
        scale=scale,
    )


def test_laplace_adds_up_exactly():
    noise = spec(LAPLACE, (10, Fraction(1, 3)), (5, Fraction(1, 12)))
    found = laplace_charge(noise, (2, 4), councils=7)
    assert found == Charge(epsilon=Fraction(1), rho=Fraction(1, 2), draws=2 * 15 * 7)


def test_gaussian_adds_tau_for_every_cell_and_rounds_up():
    noise = spec(GAUSSIAN, (10, 20), (5, 50), scale=4)
    found = gaussian_charge(noise, (1, 4), honest=16, councils=20)
    plain = Fraction(1, 40) + Fraction(4, 100)
    tau = 10 * tau_bound(Fraction(20), 16) + 5 * tau_bound(Fraction(50), 16)
    assert tau > 0
    assert plain + tau <= found.rho < plain + tau + Fraction(1, GRID)
    assert found.rho.denominator <= GRID
    assert found.epsilon is None
    assert found.draws == 15 * 20


def test_tau_matters_when_the_share_is_narrow():
    """At a share variance of 1/4 the published bound is large, and the charge must show it."""
    noise = spec(GAUSSIAN, (1000, 5))
    found = gaussian_charge(noise, (1,), honest=20, councils=20)
    assert found.rho > Fraction(1, 10) + 1000 * 10 * Fraction(exp(-2 * pi**2 * 0.25 / 2)) * Fraction(999, 1000)


@pytest.mark.parametrize("variance", [Fraction(1, 4), Fraction(1), Fraction(4), Fraction(27, 4)])
@pytest.mark.parametrize("honest", [1, 2, 3, 63, 64, 65, 66, 310])
def test_tau_bounds_the_published_sum_closely_from_above(variance, honest):
    published = 10 * sum(exp(-2 * pi**2 * float(variance) * k / (k + 1)) for k in range(1, honest))
    found = tau_bound(variance, honest)
    assert float(found) >= published * (1 - 1e-12)
    assert float(found) <= published * (1.05 if variance < 4 else 1 + 1e-5) + 1e-45
    assert (found == 0) == (honest == 1)


@given(st.integers(2, 400), st.fractions(min_value=1, max_value=100))
@settings(deadline=None)
def test_tau_never_falls_with_more_honest_councils_and_narrower_shares(honest, variance):
    at_all = tau_bound(variance, honest)
    assert tau_bound(variance * honest / (honest - 1), honest - 1) <= at_all  # a smaller round of the same plan
    assert tau_bound(variance, honest + 1) >= at_all
    assert tau_bound(variance + 1, honest) <= at_all


def test_tau_refuses_a_float_even_when_an_equal_fraction_is_kept():
    tau_bound(Fraction(9, 2), 10)
    with pytest.raises(LocalProtocolError, match="exact Fraction"):
        tau_bound(4.5, 10)


def test_noise_charge_follows_the_mechanism():
    laplace, gaussian = spec(LAPLACE, (3, 1)), spec(GAUSSIAN, (3, 20))
    assert noise_charge(laplace, (2,), honest=4, councils=5) == laplace_charge(laplace, (2,), councils=5)
    assert noise_charge(gaussian, (2,), honest=4, councils=5) == gaussian_charge(gaussian, (2,), honest=4, councils=5)


def test_a_charge_needs_its_own_mechanism_and_a_sensitivity_for_every_block():
    laplace, gaussian = spec(LAPLACE, (3, 1), (3, 1)), spec(GAUSSIAN, (3, 20))
    with pytest.raises(LocalProtocolError, match="was asked for"):
        laplace_charge(gaussian, (1,), councils=5)
    with pytest.raises(LocalProtocolError, match="was asked for"):
        gaussian_charge(laplace, (1, 1), honest=4, councils=5)
    with pytest.raises(LocalProtocolError, match="2 noise blocks"):
        laplace_charge(laplace, (1,), councils=5)
    for bad in (0, 1.0, Fraction(1)):
        with pytest.raises(LocalProtocolError, match="sensitivity"):
            laplace_charge(laplace, (1, bad), councils=5)
    with pytest.raises(LocalProtocolError, match="councils"):
        laplace_charge(laplace, (1, 1), councils=0)
    with pytest.raises(LocalProtocolError, match="honest"):
        gaussian_charge(gaussian, (1,), honest=0, councils=5)


@pytest.mark.parametrize("bad", [0.5, 1, None])
def test_a_charge_holds_no_float(bad):
    with pytest.raises(LocalProtocolError, match="rho must be an exact Fraction"):
        Charge(epsilon=None, rho=bad, draws=1)
    if bad is not None:
        with pytest.raises(LocalProtocolError, match="epsilon must be an exact Fraction"):
            Charge(epsilon=bad, rho=Fraction(1), draws=1)
    with pytest.raises(LocalProtocolError, match="draws must be a whole number"):
        Charge(epsilon=None, rho=Fraction(1), draws=1.0)


def test_a_charge_cannot_be_free_or_hide_part_of_its_rho():
    with pytest.raises(LocalProtocolError, match="rho must be above 0"):
        Charge(epsilon=None, rho=Fraction(0), draws=1)
    with pytest.raises(LocalProtocolError, match="epsilon must be above 0"):
        Charge(epsilon=Fraction(0), rho=Fraction(1), draws=1)
    with pytest.raises(LocalProtocolError, match="draws must be at least 0"):
        Charge(epsilon=None, rho=Fraction(1), draws=-1)
    Charge(epsilon=Fraction(1), rho=Fraction(1, 2), draws=1)
    with pytest.raises(LocalProtocolError, match="counts rho 1/2"):
        Charge(epsilon=Fraction(1), rho=Fraction(49, 100), draws=1)
