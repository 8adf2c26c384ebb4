"""The noise that is drawn has the law that is claimed: against the exact law and against OpenDP, with power shown.

Every comparison is two-sided and comes with the same comparison at a scale 10 % off either way, which must be
rejected; a test that could not tell the two apart would prove nothing. Our shares are drawn from fixed keys, so only
the comparisons with OpenDP, whose entropy is the system's, can fail by chance: less than once in 10^9 runs.
"""

import hashlib
from fractions import Fraction
from math import sqrt

import numpy as np
import opendp.prelude as dp
import pytest
from scipy.stats import chi2

from federated.privacy import Mechanism, NoiseBlock, NoiseSpec, ReleasedNoise, released_noise, sample_noise_share

LAPLACE, GAUSSIAN = Mechanism.DISCRETE_LAPLACE, Mechanism.DISCRETE_GAUSSIAN
ACCEPT, REJECT = 1e-9, 1e-6
OFF = [Fraction(9, 10), Fraction(11, 10)]
LEAST_EXPECTED = 20


def keys(seed):
    """A random source that gives a fresh, fixed key at each call."""
    count = iter(range(10**6))
    return lambda size: hashlib.shake_256(f"{seed}/{next(count)}".encode()).digest(size)


def spec(mechanism, parameter, scale, cells):
    return NoiseSpec(mechanism=mechanism, blocks=(NoiseBlock(cells=cells, parameter=parameter),), scale=scale)


def summed_shares(mechanism, parameter, *, scale, honest, contributors, cells, seed="fixed"):
    rng, noise = keys(seed), spec(mechanism, parameter, scale, cells)
    return sum(sample_noise_share(noise, honest=honest, rng=rng) for _ in range(contributors))


def widened(mechanism, parameter, factor):
    """The parameter whose noise has a scale `factor` times as large."""
    return parameter / factor if mechanism is LAPLACE else parameter * factor**2


def bins(probabilities, size):
    """Consecutive runs of atoms expected to hold at least LEAST_EXPECTED of `size` draws: their first indices."""
    starts, held = [0], 0.0
    for index, probability in enumerate(probabilities):
        if held * size >= LEAST_EXPECTED:
            starts.append(index)
            held = 0.0
        held += probability
    return starts[:-1] if held * size < LEAST_EXPECTED and len(starts) > 1 else starts


def counts_in(values, offset, starts):
    edges = np.array([offset + start for start in starts[1:]])
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(starts))


def against_law(values, law):
    """p-value of the goodness-of-fit chi-squared test."""
    offset, probabilities = law.pmf()
    starts = bins(probabilities, values.size)
    expected = np.add.reduceat(probabilities, starts) * values.size
    expected *= values.size / expected.sum()
    statistic = ((counts_in(values, offset, starts) - expected) ** 2 / expected).sum()
    return chi2.sf(statistic, len(starts) - 1)


def two_samples(one, two, law):
    """p-value of the two-sample chi-squared test, with the bins of `law` at the smaller sample's size."""
    offset, probabilities = law.pmf()
    starts = bins(probabilities, min(one.size, two.size))
    a, b = counts_in(one, offset, starts), counts_in(two, offset, starts)
    k = sqrt(two.size / one.size)
    statistic = ((k * a - b / k) ** 2 / np.maximum(a + b, 1)).sum()
    return chi2.sf(statistic, len(starts) - 1)


CASES = [
    pytest.param(LAPLACE, Fraction(1), 1, 5, 5, id="laplace-as-planned"),
    pytest.param(LAPLACE, Fraction(1), 1, 5, 9, id="laplace-more-contributors"),
    pytest.param(LAPLACE, Fraction(1, 20), 1, 8, 8, id="laplace-wide"),
    pytest.param(LAPLACE, Fraction(3), 1, 1, 1, id="laplace-one-honest"),
    pytest.param(GAUSSIAN, Fraction(41, 2), 2, 17, 17, id="gaussian-as-planned"),
    pytest.param(GAUSSIAN, Fraction(41, 2), 2, 17, 20, id="gaussian-more-contributors"),
    pytest.param(GAUSSIAN, Fraction(4), 1, 1, 1, id="gaussian-narrowest-share"),
    pytest.param(GAUSSIAN, Fraction(10**5), 1, 6, 6, id="gaussian-wide"),
]


@pytest.mark.parametrize(("mechanism", "parameter", "scale", "honest", "contributors"), CASES)
def test_summed_shares_follow_the_exact_law_and_a_scale_ten_percent_off_is_seen(
    mechanism, parameter, scale, honest, contributors
):
    values = summed_shares(mechanism, parameter, scale=scale, honest=honest, contributors=contributors, cells=60_000)

    def law(claimed):  # built directly, since no plan could claim some of the narrower ones
        return ReleasedNoise(
            mechanism=mechanism, parameter=claimed, scale=scale, honest=honest, contributors=contributors
        )

    assert against_law(values, law(parameter)) > 1e-4
    for factor in OFF:
        assert against_law(values, law(widened(mechanism, parameter, factor))) < REJECT


@pytest.mark.parametrize("mechanism", [LAPLACE, GAUSSIAN])
def test_one_share_missing_is_seen(mechanism):
    parameter = Fraction(1) if mechanism is LAPLACE else Fraction(41, 2)
    law = released_noise(mechanism, parameter, scale=1, honest=5, contributors=5)
    values = summed_shares(mechanism, parameter, scale=1, honest=5, contributors=4, cells=60_000)
    assert against_law(values, law) < REJECT


@pytest.mark.parametrize("mechanism", [LAPLACE, GAUSSIAN])
def test_released_variance_is_the_planned_one_in_proportion_to_the_contributors(mechanism):
    parameter = Fraction(1) if mechanism is LAPLACE else Fraction(41, 2)
    for contributors in (5, 8):
        law = released_noise(mechanism, parameter, scale=1, honest=5, contributors=contributors)
        values = summed_shares(mechanism, parameter, scale=1, honest=5, contributors=contributors, cells=100_000)
        assert values.std() == pytest.approx(law.sd, rel=0.03)


def opendp_draws(mechanism, parameter, size):
    dp.enable_features("contrib")
    domain = dp.vector_domain(dp.atom_domain(T="i64"))
    if mechanism is LAPLACE:
        measurement = dp.m.make_laplace(domain, dp.l1_distance(T="i64"), scale=float(1 / parameter))
    else:
        measurement = dp.m.make_gaussian(domain, dp.l2_distance(T="f64"), scale=sqrt(parameter))
    return np.array(measurement([0] * size))


REFERENCE_CASES = [
    pytest.param(LAPLACE, Fraction(1), 4, id="laplace-4"),
    pytest.param(LAPLACE, Fraction(1, 12), 1, id="laplace-wide"),
    pytest.param(GAUSSIAN, Fraction(41, 2), 5, id="gaussian-5"),
    pytest.param(GAUSSIAN, Fraction(6), 1, id="gaussian-1"),
]


def compare_with_opendp(mechanism, parameter, honest, size):
    law = released_noise(mechanism, parameter, scale=1, honest=honest, contributors=honest)
    ours = summed_shares(mechanism, parameter, scale=1, honest=honest, contributors=honest, cells=10 * size)
    assert two_samples(ours, opendp_draws(mechanism, parameter, size), law) > ACCEPT
    for factor in OFF:
        theirs = opendp_draws(mechanism, widened(mechanism, parameter, factor), size)
        assert two_samples(ours, theirs, law) < REJECT


@pytest.mark.drawn(2)
@pytest.mark.parametrize(("mechanism", "parameter", "honest"), REFERENCE_CASES)
def test_opendp_draws_from_the_same_law_and_a_scale_ten_percent_off_is_seen(mechanism, parameter, honest):
    compare_with_opendp(mechanism, parameter, honest, 30_000)


@pytest.mark.long
@pytest.mark.parametrize(("mechanism", "parameter", "honest"), REFERENCE_CASES)
def test_opendp_draws_from_the_same_law_at_full_size(mechanism, parameter, honest):
    compare_with_opendp(mechanism, parameter, honest, 300_000)


def test_single_gaussian_shares_agree_with_opendp_in_scaled_steps():
    """The share itself, not only the sum: s^2 sigma^2 / h is what it must have."""
    share = sample_noise_share(spec(GAUSSIAN, Fraction(41, 2), 8, 300_000), honest=100, rng=keys("share"))
    variance = Fraction(64 * 41, 200)
    law = released_noise(GAUSSIAN, variance, scale=1, honest=1, contributors=1)
    assert two_samples(share, opendp_draws(GAUSSIAN, variance, 30_000), law) > ACCEPT
    for factor in OFF:
        theirs = opendp_draws(GAUSSIAN, widened(GAUSSIAN, variance, factor), 30_000)
        assert two_samples(share, theirs, law) < REJECT


def test_cells_of_one_share_are_independent():
    for mechanism, parameter in ((LAPLACE, Fraction(1, 20)), (GAUSSIAN, Fraction(100))):
        share = sample_noise_share(spec(mechanism, parameter, 1, 200_000), honest=2, rng=keys("cells"))
        for lag in (1, 2, 65_536, 100_000):
            r = np.corrcoef(share[:-lag], share[lag:])[0, 1]
            assert abs(r) < 5 / sqrt(share.size - lag)
