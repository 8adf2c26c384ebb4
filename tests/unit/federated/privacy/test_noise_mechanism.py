"""What a plan may say about noise, and the headroom it asks of the ring."""

from fractions import Fraction
from math import sqrt

import pytest

from federated.errors import QueryError
from federated.privacy import Mechanism, NoiseBlock, NoiseSpec, noise_bound, released_noise
from federated.privacy.mechanism import LEAST_LAPLACE_PARAMETER, require_samplable
from protocols.errors import LocalProtocolError

LAPLACE, GAUSSIAN = Mechanism.DISCRETE_LAPLACE, Mechanism.DISCRETE_GAUSSIAN


def spec(mechanism, *parameters, scale=1):
    return NoiseSpec(
        mechanism=mechanism,
        blocks=tuple(NoiseBlock(cells=3, parameter=Fraction(p)) for p in parameters),
        scale=scale,
    )


@pytest.mark.parametrize("bad", [0.5, 1, 1.0, "1", None])
def test_a_noise_parameter_is_never_a_float(bad):
    with pytest.raises(LocalProtocolError, match="noise parameter must be an exact Fraction"):
        NoiseBlock(cells=1, parameter=bad)


@pytest.mark.parametrize("bad", [1.0, True, Fraction(1)])
def test_cells_and_scale_are_integers(bad):
    with pytest.raises(LocalProtocolError, match="must be a whole number"):
        NoiseBlock(cells=bad, parameter=Fraction(1))
    with pytest.raises(LocalProtocolError, match="must be a whole number"):
        NoiseSpec(mechanism=GAUSSIAN, blocks=(NoiseBlock(cells=1, parameter=Fraction(1)),), scale=bad)


def test_impossible_specifications_are_refused():
    with pytest.raises(LocalProtocolError, match="at least one block"):
        NoiseSpec(mechanism=LAPLACE, blocks=(), scale=1)
    with pytest.raises(LocalProtocolError, match="at least 1"):
        NoiseBlock(cells=0, parameter=Fraction(1))
    with pytest.raises(LocalProtocolError, match="above 0"):
        NoiseBlock(cells=1, parameter=Fraction(0))
    with pytest.raises(LocalProtocolError, match="power of two"):
        spec(GAUSSIAN, 20, scale=6)
    with pytest.raises(LocalProtocolError, match="scale 1"):
        spec(LAPLACE, 1, scale=2)


def test_cells_add_up():
    assert spec(LAPLACE, 1, 2).cells == 6


def test_laplace_is_refused_exactly_below_the_largest_table():
    require_samplable(LAPLACE, Fraction(89, 1 << 16), scale=1, honest=1)
    assert Fraction(1, 700) > LEAST_LAPLACE_PARAMETER
    with pytest.raises(QueryError, match="more pure-epsilon noise") as refusal:
        require_samplable(LAPLACE, Fraction(89, (1 << 16) + 1), scale=1, honest=1)
    assert "Gaussian" in refusal.value.remedy


def test_gaussian_is_refused_outside_the_sampler_s_range():
    require_samplable(GAUSSIAN, Fraction(20), scale=2, honest=20)
    with pytest.raises(QueryError, match="must be at least 4"):
        require_samplable(GAUSSIAN, Fraction(20), scale=2, honest=21)
    require_samplable(GAUSSIAN, Fraction(1 << 26), scale=2, honest=1)
    with pytest.raises(QueryError, match="more Gaussian noise"):
        require_samplable(GAUSSIAN, Fraction((1 << 26) + 1), scale=2, honest=1)


def test_gaussian_bound_is_twelve_standard_deviations_of_the_contributors():
    found = noise_bound(spec(GAUSSIAN, 20, 90, scale=8), honest=12, contributors=31)
    assert found - 1 < 12 * 8 * sqrt(90) * sqrt(31 / 12) <= found
    assert noise_bound(spec(GAUSSIAN, 25, scale=4), honest=7, contributors=7) == 12 * 4 * 5


def test_laplace_bound_follows_the_protocol_up_to_twice_the_honest():
    assert noise_bound(spec(LAPLACE, Fraction(1, 3), 2), honest=8, contributors=16) == 192
    assert noise_bound(spec(LAPLACE, 1), honest=4, contributors=12) == 96
    assert noise_bound(spec(LAPLACE, 3), honest=4, contributors=4) == 22


@pytest.mark.parametrize("contributors", [5, 10, 12, 15])
def test_released_noise_never_meets_the_bound_in_practice(contributors):
    law = released_noise(LAPLACE, Fraction(1), scale=1, honest=5, contributors=contributors)
    offset, probabilities = law.pmf()
    bound = noise_bound(spec(LAPLACE, 1), honest=5, contributors=contributors)
    # Beyond 40/a the tail still falls by nearly e^-a a step, so what lies beyond the bound is below 2^-60 and more.
    beyond = probabilities[-offset + 40 :].sum() * 2
    assert beyond < 1e-12
    assert bound >= 64
