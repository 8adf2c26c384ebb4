"""Running totals: what is sent is whole, what is made of it is exact, and rounding costs next to nothing."""

from fractions import Fraction
from itertools import pairwise
from math import floor, sqrt

import numpy as np
import pytest

from federated.privacy import Mechanism
from federated.query import Table, measured
from federated.statistics import statistic
from federated.statistics.running_totals import (
    PREFIX_BITS,
    column_norm_squared,
    counted,
    root_column,
    running_totals,
    sent,
    spread,
)

SIZES = (3, 12, 53, 257, 1025)


def true_column(bands):
    column = [Fraction(1)]
    for k in range(1, bands):
        column.append(column[-1] * Fraction(2 * k - 1, 2 * k))
    return column


def matrix(column):
    bands = len(column)
    return np.array([[column[row - band] if row >= band else 0 for band in range(bands)] for row in range(bands)])


def worst(weights, column):
    """Standard deviation of the worst running total for a squared l2 sensitivity of 1 and noise to match."""
    return np.sqrt((weights**2).sum(axis=1).max() * float(sum(entry * entry for entry in column)))


def test_entries_are_the_true_ones_to_the_nearest_step():
    steps = [floor(entry * 2**PREFIX_BITS + Fraction(1, 2)) for entry in true_column(400)]
    assert list(root_column(400, PREFIX_BITS)) == steps
    assert steps[:4] == [64, 32, 24, 20]


def test_the_unrounded_matrix_is_a_square_root_of_adding_up():
    root = matrix([float(entry) for entry in true_column(60)])
    assert root @ root == pytest.approx(np.tril(np.ones((60, 60))))


@pytest.mark.parametrize("bands", SIZES)
@pytest.mark.parametrize("bits", [0, PREFIX_BITS])
def test_without_noise_running_totals_are_exact(bands, bits):
    rng = np.random.default_rng(bands)
    counts = rng.integers(0, 5000, size=(4, bands))
    counts[2] = 0
    numbers = sent(counts, bands, bits)
    assert numbers.dtype == np.int64
    found = numbers @ running_totals(bands, bits).weights.T
    assert found[:, 0] == pytest.approx(0)
    assert found[:, 1:] == pytest.approx(np.cumsum(counts, axis=1), abs=1e-6)
    # The unrounded weights in place of the right ones would be biased: this test can fail.
    if bits and bands > 12:
        biased = numbers @ matrix([float(entry) for entry in true_column(bands)]).T / 2**bits
        assert np.abs(biased - np.cumsum(counts, axis=1)).max() > 10


@pytest.mark.parametrize("bands", SIZES)
def test_sending_is_a_matrix_product_cell_by_cell_and_can_be_undone(bands):
    counts = np.random.default_rng(1).integers(0, 90, size=3 * bands)
    numbers = sent(counts, bands, PREFIX_BITS)
    by_hand = counts.reshape(3, bands) @ matrix(root_column(bands, PREFIX_BITS)).T
    assert numbers.tolist() == by_hand.reshape(-1).tolist()
    assert counted(numbers, bands, PREFIX_BITS).tolist() == counts.tolist()
    assert sent(counts, bands, 0).tolist() == counted(counts, bands, 0).tolist() == counts.tolist()


@pytest.mark.parametrize("bands", SIZES)
def test_the_largest_column_is_the_first(bands):
    columns = matrix(root_column(bands, PREFIX_BITS)).T
    norms = (columns.astype(object) ** 2).sum(axis=1)
    assert norms.max() == norms[0] == column_norm_squared(bands, PREFIX_BITS)
    assert all(one >= other for one, other in pairwise(norms))


@pytest.mark.parametrize("bands", [*range(3, 40), *SIZES, 104, 365, 700])
def test_six_bits_lose_less_than_a_hundredth_of_the_noise(bands):
    column = [float(entry) for entry in true_column(bands)]
    # The rows of the root are those of the unrounded weights: A R^-1 = R.
    unrounded = float(sum(entry * entry for entry in column))
    rounded = worst(running_totals(bands, PREFIX_BITS).weights, root_column(bands, PREFIX_BITS))
    assert rounded < 1.01 * unrounded
    assert bands < 1000 or worst(running_totals(bands, 3).weights, root_column(bands, 3)) > 1.4 * unrounded


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("bits", [0, PREFIX_BITS])
def test_noise_of_a_running_total_less_its_part_of_all(probability, bits):
    sums = running_totals(30, bits)
    weights = sums.weights - probability * sums.weights[-1]
    at_edges, between = sums.noise_squares(probability)
    assert at_edges == pytest.approx((weights**2).sum(axis=1))
    assert between == pytest.approx((weights[:-1] * weights[1:]).sum(axis=1))


def test_spread_is_one_but_for_running_totals():
    measures = (measured("dependent_children_n", 0, 100),)
    bands = Table(name="t", statistic="distribution", measures=measures, edges=tuple(range(1, 64)))
    quantiles = Table(
        name="t", statistic="quantile", measures=measures, edges=bands.edges, probabilities=(Fraction(1, 2),)
    )
    for mechanism in Mechanism:
        assert spread(statistic("distribution").contribution(bands), mechanism) == 1
    found = {item: spread(statistic("quantile").contribution(quantiles), item) for item in Mechanism}
    assert found[Mechanism.DISCRETE_LAPLACE] == pytest.approx(sqrt(64) / 2)
    reach = found[Mechanism.DISCRETE_GAUSSIAN] * sqrt(column_norm_squared(64, PREFIX_BITS))
    assert 2 < reach < 2.5
