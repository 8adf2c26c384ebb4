"""The law of the noise in a release, against closed forms and direct sums."""

from fractions import Fraction
from math import exp, sqrt

import numpy as np
import pytest
from scipy.stats import nbinom

from federated.errors import QueryError
from federated.privacy import Mechanism, released_noise
from protocols.errors import LocalProtocolError

LAPLACE, GAUSSIAN = Mechanism.DISCRETE_LAPLACE, Mechanism.DISCRETE_GAUSSIAN
NINETY_FIVE = Fraction(95, 100)


def laplace(a=1, honest=17, contributors=17):
    return released_noise(LAPLACE, Fraction(a), scale=1, honest=honest, contributors=contributors)


def gaussian(variance=20, scale=4, honest=17, contributors=20):
    return released_noise(GAUSSIAN, Fraction(variance), scale=scale, honest=honest, contributors=contributors)


@pytest.mark.parametrize("a", ["1/700", "1/10", "1", "4"])
def test_as_many_contributors_as_honest_give_exact_discrete_laplace(a):
    offset, probabilities = laplace(a, honest=30, contributors=30).pmf()
    q = exp(-float(Fraction(a)))
    k = np.arange(offset, offset + len(probabilities))
    assert np.abs(probabilities - (1 - q) / (1 + q) * q ** np.abs(k)).max() < 1e-12


@pytest.mark.parametrize(("honest", "contributors"), [(17, 19), (4, 12), (5, 3)])
def test_more_contributors_give_the_difference_of_negative_binomials(honest, contributors):
    offset, probabilities = laplace(Fraction(1, 3), honest, contributors).pmf()
    side = nbinom.pmf(np.arange(400), contributors / honest, 1 - exp(-1 / 3))
    direct = np.convolve(side, side[::-1])  # from -399 to 399
    centre = 399 + offset
    assert np.abs(probabilities[: direct.size - centre] - direct[centre : centre + probabilities.size]).max() < 1e-12


@pytest.mark.parametrize(("scale", "honest", "contributors"), [(4, 17, 20), (2, 20, 20), (8, 264, 310), (1, 5, 1)])
def test_gaussian_law_is_the_convolution_of_the_shares(scale, honest, contributors):
    law = gaussian(20, scale, honest, contributors)
    offset, probabilities = law.pmf()
    variance = scale**2 * 20 / honest
    reach = int(10 * sqrt(variance)) + 1
    share = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * variance))
    share /= share.sum()
    direct = share
    for _ in range(contributors - 1):
        direct = np.convolve(direct, share)
    centre = reach * contributors
    width = min(-offset, centre)
    assert (
        np.abs(probabilities[-offset - width : -offset + width + 1] - direct[centre - width : centre + width + 1]).max()
        < 1e-12
    )


laws = [
    laplace(),
    laplace("1/700", 10, 25),
    laplace(3, 4, 11),
    gaussian(),
    gaussian(20, 8, 264, 310),
    gaussian(10**6, 1, 7, 21),
]


@pytest.mark.parametrize("law", laws, ids=str)
def test_the_pmf_is_whole_symmetric_and_has_the_stated_standard_deviation(law):
    offset, probabilities = law.pmf()
    k = np.arange(offset, offset + len(probabilities))
    assert len(probabilities) == 1 - 2 * offset
    assert probabilities.sum() == pytest.approx(1, abs=1e-11)
    assert np.array_equal(probabilities, probabilities[::-1])
    assert sqrt((probabilities * k.astype(float) ** 2).sum()) / law.scale == pytest.approx(law.sd, rel=1e-7)
    with pytest.raises(ValueError, match="read-only"):
        probabilities[0] = 1


def test_released_sd_grows_with_the_root_of_the_excess():
    assert laplace(1, 17, 17).sd == pytest.approx(1.3569625, abs=1e-7)
    assert laplace(1, 17, 20).sd == pytest.approx(1.3569625 * sqrt(20 / 17), abs=1e-6)
    assert gaussian(20, 4, 17, 17).sd == pytest.approx(sqrt(20))
    assert gaussian(20, 4, 17, 20).sd == pytest.approx(sqrt(20 * 20 / 17))


@pytest.mark.parametrize("law", laws, ids=str)
@pytest.mark.parametrize("coverage", [Fraction(1, 2), NINETY_FIVE, Fraction(999, 1000)])
def test_half_width_is_the_narrowest_that_covers(law, coverage):
    width, covered = law.half_width(coverage)
    offset, probabilities = law.pmf()
    steps = width * law.scale
    assert isinstance(width, Fraction)
    assert steps.denominator == 1
    steps = int(steps)
    inside = probabilities[-offset - steps : -offset + steps + 1].sum()
    assert covered == pytest.approx(inside, abs=1e-12)
    assert covered >= coverage
    assert inside - probabilities[-offset + steps] * 2 < coverage or steps == 0


def test_known_widths():
    """Discrete Laplace at a = 1: P(|X| <= w) = 1 - 2 e^-(w+1) / (1 + e^-1), so w = 3 covers 97.3 %."""
    width, covered = laplace().half_width(NINETY_FIVE)
    assert width == 3
    assert covered == pytest.approx(1 - 2 * exp(-4) / (1 + exp(-1)), abs=1e-12)
    width, covered = gaussian(20, 8, 264, 264).half_width(NINETY_FIVE)
    assert width == pytest.approx(1.96 * sqrt(20), abs=1 / 8)
    assert width.denominator in {1, 2, 4, 8}


def test_coverage_never_falls_short_by_rounding():
    """Asked for exactly the coverage of a width, computed in floats, the next width is as good an answer; never less."""
    for steps in range(6):
        exact = Fraction(1 - 2 * exp(-(steps + 1)) / (1 + exp(-1)))
        assert laplace().half_width(exact + Fraction(1, 10**10))[0] == steps + 1
        assert laplace().half_width(exact - Fraction(1, 10**9))[0] == steps


def test_what_makes_no_sense_is_refused():
    for coverage in (Fraction(0), Fraction(1), Fraction(-1)):
        with pytest.raises(LocalProtocolError, match="between 0 and 1"):
            laplace().half_width(coverage)
    with pytest.raises(LocalProtocolError, match="exact Fraction"):
        laplace().half_width(0.95)
    with pytest.raises(LocalProtocolError, match="too near 1"):
        laplace().half_width(1 - Fraction(1, 10**12))
    with pytest.raises(LocalProtocolError, match="contributors"):
        laplace(contributors=0)
    with pytest.raises(LocalProtocolError, match="more than 64 times"):
        laplace(honest=1, contributors=65)
    with pytest.raises(LocalProtocolError, match="exact Fraction"):
        released_noise(LAPLACE, 1.0, scale=1, honest=1, contributors=1)
    with pytest.raises(LocalProtocolError, match="scale"):
        released_noise(GAUSSIAN, Fraction(20), scale=1.0, honest=1, contributors=1)
    with pytest.raises(QueryError):
        laplace("1/1000")
