"""Figures made of several noisy numbers: the law of their noise, their intervals, and what rounding in steps costs."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from federated.privacy import Mechanism, released_noise
from federated.query import Measured, Points, measured
from federated.statistics.bound_distances import above_low, below_high, product_of
from federated.statistics.figure_columns import FigureColumn
from federated.statistics.noise_sums import NoiseSums
from federated.statistics.ratio_interval import Ratio, ratio_intervals
from federated.statistics.steps import in_steps, step_for

LAPLACE, GAUSSIAN = Mechanism.DISCRETE_LAPLACE, Mechanism.DISCRETE_GAUSSIAN
NOISES = {
    "Laplace": released_noise(LAPLACE, Fraction(1, 12), scale=1, honest=8, contributors=8),
    "Laplace, more than needed": released_noise(LAPLACE, Fraction(1, 6), scale=1, honest=4, contributors=9),
    "Gaussian, scaled": released_noise(GAUSSIAN, Fraction(40), scale=2, honest=8, contributors=10),
}
WEIGHTS = ((1.0, 0.0), (1.0, -1.0), (0.3, 0.7), (0.05, 4.0))


def joint(noise):
    """Every pair of values of two draws, in units, with its probability."""
    first, probabilities = noise.pmf()
    values = (first + np.arange(len(probabilities))) / noise.scale
    near = np.abs(values) < 9 * noise.sd
    values, probabilities = values[near], probabilities[near]
    return values[:, None], values[None, :], probabilities[:, None] * probabilities[None, :]


@pytest.mark.parametrize("name", NOISES)
def test_reach_of_a_sum_against_direct_convolution(name):
    noise = NOISES[name]
    x, y, probability = joint(noise)
    reach = NoiseSums.of(noise).reach(np.array(WEIGHTS), 0.95)
    for (a, b), found in zip(WEIGHTS, reach, strict=True):
        figure = np.abs(a * x + b * y)
        # The grid's own jump at the end of the interval is spread evenly: half of it may be missed.
        inside, at_end = (probability[figure <= found + side * 0.51 * (abs(a) + abs(b))].sum() for side in (-1, 1))
        assert inside < 0.95 < at_end
        assert probability[figure <= 0.95 * found].sum() < 0.949
        assert probability[figure <= 1.05 * found].sum() > 0.951


@pytest.mark.parametrize("epsilon", [Fraction(1), Fraction(3)])
def test_reach_of_the_coarsest_noise_is_never_too_short(epsilon):
    noise = released_noise(LAPLACE, epsilon, scale=1, honest=8, contributors=8)
    first, probabilities = noise.pmf()
    x = first + np.arange(len(probabilities))
    for (a, b), found in zip(WEIGHTS, NoiseSums.of(noise).reach(np.array(WEIGHTS), 0.95), strict=True):
        inside = np.abs(a * x[:, None] + b * x[None, :]) <= found
        assert (probabilities[:, None] * probabilities[None, :])[inside].sum() >= 0.95


def test_reach_of_three_laplace_numbers_is_less_than_of_one_and_more_than_normal():
    sums = NoiseSums.of(released_noise(LAPLACE, Fraction(1, 100), scale=1, honest=8, contributors=8))
    weights = np.array([[1.0, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0]])
    one, two, three, none = sums.reach(weights, 0.95) / np.array([1, np.sqrt(2), np.sqrt(3), 1]) / sums.sd
    assert one == pytest.approx(np.log(20) / np.sqrt(2), abs=1e-3)
    # Two Laplace draws: P(|X + Y| > c) = (1 + c/2) e^-c.
    assert (1 + two) * np.exp(-2 * two) == pytest.approx(0.05, abs=2e-4)
    assert 1.96 < three < two
    assert none == 0


def test_what_councils_round_off_is_counted_in():
    noise = NOISES["Laplace"]
    exact, rounded = NoiseSums.of(noise), NoiseSums.of(noise, step=4)
    weights = np.array([[1.0, 0.5]])
    expected = np.sqrt((noise.sd**2 + 8 / 12) / noise.sd**2)
    assert rounded.spread(weights) / exact.spread(weights) == pytest.approx(expected)
    assert (rounded.reach(weights, 0.95) > exact.reach(weights, 0.95)).all()


def test_interval_of_a_ratio_is_the_set_of_ratios_within_reach():
    sums = NoiseSums.of(NOISES["Laplace"])
    ratio = Ratio(
        top=np.array([300.0]),
        bottom=np.array([1000.0]),
        top_weights=np.array([[1.0, 0.0]]),
        bottom_weights=np.array([[0.0, 1.0]]),
    )
    found = ratio_intervals(sums, ratio, possible=(0, 5), coverage=0.95)
    for end in (found.low, found.high):
        distance = np.abs(ratio.top - end * ratio.bottom)
        assert distance == pytest.approx(sums.reach(ratio.figure_weights(end), 0.95), rel=1e-3)
    assert found.low < 0.3 < found.high


@pytest.mark.parametrize("bottom", [-500.0, 0.0, 20.0])
def test_nothing_is_said_of_a_ratio_over_noise(bottom):
    sums = NoiseSums.of(NOISES["Laplace"])
    ratio = Ratio(
        top=np.array([30.0]),
        bottom=np.array([bottom]),
        top_weights=np.array([[1.0, 0.0]]),
        bottom_weights=np.array([[0.0, 1.0]]),
    )
    column = FigureColumn.of_ratio(ratio, sums, possible=(-2, 5))
    assert (column.low[0], column.high[0], column.coverage[0]) == (-2, 5, 1)
    assert np.isnan(column.estimate[0]) == np.isnan(column.standard_error[0]) == (bottom <= 0)


def test_intervals_of_no_cells_are_none():
    assert NoiseSums.of(NOISES["Laplace"]).reach(np.zeros((0, 2)), 0.95).shape == (0,)


@pytest.mark.parametrize("step", [1, 2, 5, 8])
def test_no_change_in_steps_exceeds_what_is_charged(step):
    # Every change of three numbers that add up to 12, from every place between two steps.
    changes = [(a, b, 12 - a - b) for a in range(13) for b in range(13 - a)]
    bound = in_steps(l1=12, l2_squared=144, numbers=3, step=step)
    most = [0, 0]
    for change in changes:
        moved = [
            max((start + k + step // 2) // step - (start + step // 2) // step for start in range(step)) for k in change
        ]
        most = [max(most[0], sum(moved)), max(most[1], sum(k * k for k in moved))]
    assert most[0] <= bound.l1
    assert most[1] <= bound.l2_squared
    assert most[0] > 12 // step or step == 1
    if step == 1:
        assert most == [bound.l1, bound.l2_squared]


@pytest.mark.parametrize(("l1", "step"), [(1, 1), (255, 1), (256, 2), (3600, 28), (10**12, 7_812_500_000)])
def test_a_bound_is_128_to_255_steps_wide(l1, step):
    assert step_for(l1) == step
    assert l1 // step < 256


def test_products_of_distances_are_multiplied_out():
    items = (measured("dependent_children_n", -3, 5), Measured(measure=Points(base=0, terms=()), low=2, high=9))
    terms = product_of(above_low(0, items[0]), below_high(1, items[1]), below_high(0, items[0]), times=3)
    for x, y in product(range(-3, 6), range(2, 10)):
        found = sum(term.coefficient * np.prod([(x, y)[place] for place in term.factors], dtype=int) for term in terms)
        assert found == 3 * (x + 3) * (9 - y) * (5 - x)


def weights_for_a_variance(basis, mean, variance):
    """How (v - mean)^2 - variance is made of a basis of quadratics, given by their values at 0, 1/2 and 1."""
    places = np.array([0.0, 0.5, 1.0])
    return np.linalg.solve(basis, (places - mean) ** 2 - variance)


def worst_error(basis, l1):
    """The largest error of a variance for Laplace noise, over all that can be, in units of range squared."""
    means = np.linspace(0, 1, 21)
    cases = [(mean, part * mean * (1 - mean)) for mean in means for part in (0, 0.25, 0.5, 1)]
    return l1 * max(np.linalg.norm(weights_for_a_variance(basis, *case)) for case in cases)


def test_no_three_numbers_give_a_variance_with_a_smaller_worst_error():
    squares = np.array([[0, 0, 1], [1 / 4, 1 / 2, 1 / 4], [1, 0, 0]])
    assert worst_error(squares, 1.0) == pytest.approx(1.0)

    def moments(count, total):
        middle = np.array([-1.0, 0.0, 1.0])
        return worst_error(np.stack([np.full(3, count), total * middle, middle**2], axis=1), count + total + 1)

    # A count, a sum and a sum of squares, as weighted best (`federated.statistics.variance`).
    best = min(moments(count, total) for count in np.linspace(0.3, 3, 28) for total in np.linspace(0.3, 3, 28))
    assert best == pytest.approx(1.7, abs=0.02)


@pytest.mark.parametrize(("weight", "worst"), [(0.5, 3.06), (1.0, 2.60), (2.0, 3.00)])
def test_worst_error_of_a_variance_beside_a_covariance(weight, worst):
    # Of one measure: each of its ends is two of the four parts of a square; its spread v (1 - v), weighted, is a fifth.
    means = np.linspace(0, 1, 21)
    norms = []
    for mean, part in product(means, (0, 0.25, 0.5, 1)):
        variance = part * mean * (1 - mean)
        upper, lower = (1 - mean) ** 2 - variance, mean**2 - variance
        norms.append(np.sqrt(2 * upper**2 + 2 * lower**2 + 1 / weight**2))
    l1 = 1 + 2 * weight / 4
    assert l1 * max(norms) == pytest.approx(worst, abs=0.01)


def test_sums_turned_by_45_degrees_carry_less_laplace_noise_for_every_ratio():
    # With both parts scaled to 1 both forms have an l1 distance of 2; figures are a - r b (`federated.statistics.ratio`).
    for ratio in np.linspace(0, 3, 13):
        plain, turned = np.array([1, -ratio]), np.array([(1 - ratio) / 2, (1 + ratio) / 2])
        assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm(plain) / np.sqrt(2))
