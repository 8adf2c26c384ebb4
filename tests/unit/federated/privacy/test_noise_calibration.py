"""From a budget to noise: the least total variance, never more than what was asked, always samplable."""

from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logsumexp

from federated.errors import QueryError
from federated.privacy import (
    Mechanism,
    gaussian_charge,
    gaussian_noise,
    gaussian_scale,
    laplace_charge,
    laplace_noise,
    require_noise,
    split_gaussian,
    split_laplace,
)
from protocols.errors import LocalProtocolError

tables = st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 50)), min_size=1, max_size=6)
budgets = st.fractions(min_value=Fraction(1, 50), max_value=10, max_denominator=10**6)


def laplace_variance(parts, blocks):
    return sum(n * 2 * (l1 / float(part)) ** 2 for part, (n, l1) in zip(parts, blocks, strict=True))


def gaussian_variance(variances, blocks):
    return sum(n * float(variance) for variance, (n, _) in zip(variances, blocks, strict=True))


@given(budgets, tables)
@settings(deadline=None)
def test_laplace_parts_sum_to_what_was_asked_exactly(epsilon, blocks):
    parts = split_laplace(epsilon, blocks)
    assert sum(parts) == epsilon
    assert all(isinstance(part, Fraction) and part > 0 for part in parts)


@given(budgets, tables)
@settings(deadline=None)
def test_laplace_parts_follow_the_cube_root_of_cells_and_squared_sensitivity(epsilon, blocks):
    weights = [(n * l1**2) ** (1 / 3) for n, l1 in blocks]
    for part, weight in zip(split_laplace(epsilon, blocks), weights, strict=True):
        assert float(part) == pytest.approx(float(epsilon) * weight / sum(weights), rel=1e-3)


@given(budgets, tables, st.integers(0, 5), st.integers(0, 5))
@settings(deadline=None)
def test_moving_laplace_budget_between_tables_does_not_help(epsilon, blocks, one, two):
    assume(one % len(blocks) != two % len(blocks))
    parts = list(split_laplace(epsilon, blocks))
    best = laplace_variance(parts, blocks)
    moved = min(parts) / 10
    parts[one % len(blocks)] += moved
    parts[two % len(blocks)] -= moved
    assert laplace_variance(parts, blocks) > best * (1 - 1e-6)


TABLES = ([(5, 1), (66, 1), (210, 2)], [(1, 1), (1000, 6), (12, 16), (40, 1)], [(9, 4)] * 3)


def least_by_search(variance_of_part, blocks):
    """The least total variance over all divisions of a budget of 1, found by a general optimiser."""

    def total(logits):
        parts = np.exp(logits - logsumexp(logits))
        return sum(n * variance_of_part(part, bound) for part, (n, bound) in zip(parts, blocks, strict=True))

    found = minimize(total, np.zeros(len(blocks)), method="BFGS", options={"gtol": 1e-9})
    return found.fun


@pytest.mark.parametrize("blocks", TABLES)
def test_no_other_split_found_by_an_optimiser_has_less_total_variance(blocks):
    laplace = least_by_search(lambda part, l1: 2 * (l1 / part) ** 2, blocks)
    assert laplace_variance(split_laplace(Fraction(1), blocks), blocks) == pytest.approx(laplace, rel=1e-6)
    gaussian = least_by_search(lambda part, kappa: kappa / (2 * part), blocks)
    assert gaussian_variance(split_gaussian(Fraction(1), blocks), blocks) == pytest.approx(gaussian, rel=1e-6)


@pytest.mark.parametrize("blocks", TABLES[:2])
def test_an_even_split_has_more_total_variance_which_the_comparison_would_see(blocks):
    even = [Fraction(1, len(blocks))] * len(blocks)
    assert laplace_variance(even, blocks) > 1.01 * laplace_variance(split_laplace(Fraction(1), blocks), blocks)
    variances = [Fraction(kappa) / (2 * part) for part, (_, kappa) in zip(even, blocks, strict=True)]
    assert gaussian_variance(variances, blocks) > 1.01 * gaussian_variance(split_gaussian(Fraction(1), blocks), blocks)


@pytest.mark.parametrize("epsilon", [Fraction(1, 10), Fraction(1)])
@pytest.mark.parametrize("blocks", TABLES)
def test_the_continuous_split_is_within_a_thousandth_of_the_best_for_the_lattice_law(epsilon, blocks):
    """The discrete Laplace variance is 2 e^-a / (1 - e^-a)^2, which 2 / a^2 exceeds by at most 1/6."""

    def lattice(part, l1):
        a = float(epsilon) * part / l1
        return 2 * np.exp(-a) / np.expm1(-a) ** 2

    best = least_by_search(lattice, blocks)
    parts = [float(part / epsilon) for part in split_laplace(epsilon, blocks)]
    ours = sum(n * lattice(part, l1) for part, (n, l1) in zip(parts, blocks, strict=True))
    assert best <= ours * (1 + 1e-6)
    assert ours <= best * 1.001


@pytest.mark.parametrize("split", [split_laplace, split_gaussian])
def test_even_the_least_table_gets_a_part(split):
    parts = split(Fraction(1), [(1, 1), (10**6, 10**12)])
    assert all(part > 0 for part in parts)


def test_equal_tables_and_single_tables_get_plain_numbers():
    assert split_laplace(Fraction(1), [(12, 1)]) == (1,)
    assert split_laplace(Fraction(1), [(12, 1)] * 3) == (Fraction(1, 3),) * 3


@given(budgets, tables)
@settings(deadline=None)
def test_the_laplace_plan_charges_exactly_what_was_asked(epsilon, blocks):
    try:
        noise = laplace_noise(epsilon, blocks)
    except QueryError:
        assume(False)
    assert laplace_charge(noise, [l1 for _, l1 in blocks], councils=3).epsilon == epsilon
    require_noise(noise, honest=7)


def test_an_epsilon_with_a_long_denominator_is_never_exceeded():
    awkward = Fraction(1, 3**60) + 1
    noise = laplace_noise(awkward, [(10, 1), (7, 2)])
    charged = laplace_charge(noise, (1, 2), councils=3).epsilon
    assert charged <= awkward
    assert awkward - charged < Fraction(1, 1 << 60)


@given(st.fractions(min_value=Fraction(1, 1000), max_value=5), tables)
@settings(deadline=None)
def test_gaussian_variances_follow_the_published_split(rho, blocks):
    total = sum(sqrt(kappa * n) for n, kappa in blocks)
    for variance, (n, kappa) in zip(split_gaussian(rho, blocks), blocks, strict=True):
        assert float(variance) == pytest.approx(sqrt(kappa / n) * total / (2 * float(rho)), rel=1e-3)


@given(st.fractions(min_value=Fraction(1, 1000), max_value=5), tables, st.integers(0, 5), st.integers(0, 5))
@settings(deadline=None)
def test_moving_gaussian_budget_between_tables_does_not_help(rho, blocks, one, two):
    assume(one % len(blocks) != two % len(blocks))
    variances = split_gaussian(rho, blocks)
    parts = [kappa / (2 * variance) for variance, (_, kappa) in zip(variances, blocks, strict=True)]
    moved = min(parts) / 10
    parts[one % len(blocks)] += moved
    parts[two % len(blocks)] -= moved
    other = [kappa / (2 * part) for part, (_, kappa) in zip(parts, blocks, strict=True)]
    assert gaussian_variance(other, blocks) > gaussian_variance(variances, blocks) * (1 - 1e-6)


@given(st.fractions(min_value=Fraction(1, 1000), max_value=5), tables, st.integers(1, 310))
@settings(deadline=None)
def test_the_gaussian_plan_never_charges_more_than_was_asked_and_hardly_less(rho, blocks, honest):
    try:
        noise = gaussian_noise(rho, blocks, honest=honest)
    except QueryError:
        assume(False)
    for present in {honest, max(1, honest // 2)}:  # a smaller round must not cost more than was planned
        charged = gaussian_charge(noise, [kappa for _, kappa in blocks], honest=present, councils=310).rho
        assert rho * (1 - Fraction(1, 10**6)) < charged <= rho
        require_noise(noise, honest=present)


@given(st.fractions(min_value=Fraction(1, 1000), max_value=5), tables)
@settings(deadline=None)
def test_variances_are_short_rationals_not_below_what_was_asked_for(rho, blocks):
    variances = split_gaussian(rho, blocks)
    assert all((1 << 32) % variance.denominator == 0 for variance in variances)
    assert sum(kappa / (2 * variance) for variance, (_, kappa) in zip(variances, blocks, strict=True)) < rho


def test_too_little_to_pay_for_tau_is_refused():
    with pytest.raises(QueryError, match="too small to share between 1,000,000 cells"):
        split_gaussian(Fraction(1, 10**11), [(10**6, 1)])
    with pytest.raises(QueryError, match="too small"):
        split_gaussian(Fraction(1, 1 << 65), [(1, 1)])
    with pytest.raises(QueryError, match="too small"):
        split_laplace(Fraction(1, 10**30), [(1, 1)])


@pytest.mark.parametrize(
    ("variance", "honest", "scale"),
    [(20, 5, 1), (20, 6, 2), (20, 20, 2), (20, 21, 4), (20, 264, 8), (Fraction(1, 100), 264, 512)],
)
def test_the_scale_is_the_smallest_power_of_two_that_gives_a_share_variance_of_four(variance, honest, scale):
    found = gaussian_scale([Fraction(variance), Fraction(variance) * 7], honest)
    assert found == scale
    assert scale**2 * Fraction(variance) / honest >= 4
    assert found == 1 or (found / 2) ** 2 * variance / honest < 4


def test_noise_beyond_the_sampler_s_table_is_refused_with_what_to_do():
    assert gaussian_scale([Fraction(1 << 24)], 1) == 1
    with pytest.raises(QueryError, match="4,096") as refusal:
        gaussian_scale([Fraction((1 << 24) + 1)], 1)
    assert "clipping" in refusal.value.remedy
    with pytest.raises(QueryError, match="too different"):
        gaussian_scale([Fraction(1, 10), Fraction(10**7)], 100)
    with pytest.raises(QueryError, match="more pure-epsilon noise"):
        laplace_noise(Fraction(1), [(5, 800)])
    assert laplace_noise(Fraction(1), [(5, 700)]).blocks[0].parameter == Fraction(1, 700)


def test_plans_name_their_mechanism_and_cells():
    laplace = laplace_noise(Fraction(1), [(5, 1), (3, 2)])
    gaussian = gaussian_noise(Fraction(1, 40), [(5, 1), (3, 2)], honest=17)
    assert (laplace.mechanism, laplace.scale, laplace.cells) == (Mechanism.DISCRETE_LAPLACE, 1, 8)
    assert (gaussian.mechanism, gaussian.cells) == (Mechanism.DISCRETE_GAUSSIAN, 8)


@pytest.mark.parametrize("split", [split_laplace, split_gaussian])
def test_floats_and_impossible_tables_are_refused(split):
    with pytest.raises(LocalProtocolError, match="exact Fraction"):
        split(0.5, [(5, 1)])
    with pytest.raises(LocalProtocolError, match="cells of a table"):
        split(Fraction(1), [(0, 1)])
    with pytest.raises(LocalProtocolError, match="sensitivity must be a whole number"):
        split(Fraction(1), [(5, 1.0)])


@pytest.mark.parametrize("split", [split_laplace, split_gaussian])
def test_a_table_in_small_coin_takes_nothing_from_the_one_beside_it(split):
    # The same two tables, the second in pounds and then in pence: every bound is a hundred times as large.
    def both(coin):
        power = 1 if split is split_laplace else 2
        return split(Fraction(1), [(5, 1), (5, (3 * coin) ** power)], [1, 3 * coin])

    pounds, pence = both(1), both(100)
    first, second = (float(a / b) for a, b in zip(pounds, pence, strict=True))
    assert first == pytest.approx(1, rel=1e-6)
    assert second == pytest.approx(1 if split is split_laplace else 1e-4, rel=1e-6)
    # Without their units the second would leave the first next to nothing.
    plain = split(Fraction(1), [(5, 1), (5, 300 if split is split_laplace else 300**2)])
    worse = float(pounds[0] / plain[0]) if split is split_laplace else float(plain[0] / pounds[0])
    assert worse > 10
