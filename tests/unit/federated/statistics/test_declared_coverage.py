"""Declared coverage is what it says: simulated over thousands of cells, for both mechanisms, means, sizes and losses."""

from fractions import Fraction

import numpy as np
import pytest

from federated.privacy import Mechanism, released_noise
from federated.query import Table, measured
from federated.statistics import Axis, Layout, statistic
from federated.statistics.share_interval import PairLaw, share_intervals
from tests.unit.federated.statistics.simulated import drawn

LAPLACE, GAUSSIAN = Mechanism.DISCRETE_LAPLACE, Mechanism.DISCRETE_GAUSSIAN
NOISES = {
    "Laplace, all present": released_noise(LAPLACE, Fraction(1, 6), scale=1, honest=8, contributors=8),
    "Laplace, more than needed": released_noise(LAPLACE, Fraction(1, 6), scale=1, honest=4, contributors=9),
    "Laplace, coarse": released_noise(LAPLACE, Fraction(1), scale=1, honest=8, contributors=9),
    "Gaussian": released_noise(GAUSSIAN, Fraction(300), scale=1, honest=8, contributors=12),
    "Gaussian, scaled": released_noise(GAUSSIAN, Fraction(20), scale=2, honest=8, contributors=10),
}
CELLS = 4000


def cells_layout(blocks):
    codes = tuple(str(number) for number in range(CELLS))
    return Layout(axes=(Axis(name="cell", codes=codes, labels=codes),), blocks=blocks)


def agreement(estimates, truth):
    """Observed minus declared coverage, in binomial standard errors of the declared."""
    held = np.array([cell.low <= value <= cell.high for cell, value in zip(estimates, truth, strict=True)])
    declared = np.array([cell.coverage for cell in estimates])
    assert np.all(declared >= 0.95)
    return (held.mean() - declared.mean()) * CELLS / max(1e-9, np.sqrt((declared * (1 - declared)).sum()))


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize("code", ["households", "rows", "sum"])
def test_counts_and_sums_hold_the_truth_as_often_as_declared(name, code):
    noise = NOISES[name]
    truth = np.arange(CELLS) % 50
    table = Table(
        name="t", statistic=code, **({"measures": (measured("dependent_children_n", 0, 6),)} if code == "sum" else {})
    )
    estimates = statistic(code).decode(table, cells_layout((code,)), truth + drawn(noise, CELLS, 7), noise)
    assert abs(agreement(estimates, truth)) < 4
    spread = np.std([cell.estimate - value for cell, value in zip(estimates, truth, strict=True)])
    assert spread == pytest.approx(noise.sd, rel=0.08)
    assert {cell.standard_error for cell in estimates} == {noise.sd}


def mean_estimates(noise, clip, counts, totals, seed):
    table = Table(name="t", statistic="mean", measures=(measured("dependent_children_n", *clip),))
    low, high = clip
    exact = np.concatenate([totals - low * counts, high * counts - totals]).astype(float)
    layout = cells_layout(("above_low", "below_high"))
    return statistic("mean").decode(table, layout, exact + drawn(noise, 2 * CELLS, seed), noise)


@pytest.mark.drawn(5)
@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize(
    ("clip", "share"), [((0, 6), 0), ((0, 6), 0.13), ((-3, 3), 0.47), ((10, 11), 0.8), ((-6, -5), 1)]
)
def test_means_hold_the_truth_as_often_as_declared(name, clip, share):
    noise = NOISES[name]
    enough = int(60 * max(noise.sd, 3) / (clip[1] - clip[0]))
    counts = enough + np.arange(CELLS) % 200
    totals = clip[0] * counts + np.rint(share * (clip[1] - clip[0]) * counts).astype(int)
    estimates = mean_estimates(noise, clip, counts, totals, seed=11)
    assert abs(agreement(estimates, totals / counts)) < 4
    assert all(clip[0] <= cell.low <= cell.estimate <= cell.high <= clip[1] for cell in estimates)


def test_standard_error_of_a_mean_is_that_of_its_estimates():
    noise = NOISES["Gaussian"]
    counts, totals = np.full(CELLS, 400), np.full(CELLS, 500)
    estimates = mean_estimates(noise, (0, 6), counts, totals, seed=3)
    spread = np.std([cell.estimate for cell in estimates])
    assert np.mean([cell.standard_error for cell in estimates]) == pytest.approx(spread, rel=0.05)


@pytest.mark.drawn(6)
@pytest.mark.parametrize("share", [0, 0.13, 0.87, 1])
@pytest.mark.parametrize("count", [0, 1, 3, 5, 8, 12])
def test_small_cells_keep_their_word_too(count, share):
    # Around the size from which an interval is shown; a cell of nobody has any mean one likes.
    noise = NOISES["Laplace, all present"]
    counts = np.full(CELLS, count)
    totals = np.full(CELLS, round(6 * share * count))
    estimates = mean_estimates(noise, (0, 6), counts, totals, seed=5)
    truth = totals / np.maximum(counts, 1)
    held = np.mean([cell.low <= value <= cell.high for cell, value in zip(estimates, truth, strict=True)])
    declared = np.mean([cell.coverage for cell in estimates])
    assert held >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / CELLS)
    assert declared - held < 0.01


def test_middle_shares_near_the_limit_stay_within_what_is_documented():
    noise = NOISES["Laplace, all present"]
    for count in (4, 6, 8, 10, 12):
        estimates = mean_estimates(noise, (0, 6), np.full(CELLS, count), np.full(CELLS, 3 * count), seed=count)
        held = np.mean([cell.low <= 3 <= cell.high for cell in estimates])
        assert held >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / CELLS)
        assert np.mean([cell.coverage for cell in estimates]) - held < 0.025 + 0.01


def test_an_exact_half_is_held_at_least_as_often_as_declared_by_the_coarsest_noise():
    # The law of a simple share jumps over 95% by more than that of the shares around it, where the estimate falls.
    counts = 60 + np.arange(CELLS) % 200
    estimates = mean_estimates(NOISES["Laplace, coarse"], (0, 6), counts, 3 * counts, seed=4)
    held = np.mean([cell.low <= 3 <= cell.high for cell in estimates])
    declared = np.mean([cell.coverage for cell in estimates])
    assert -4 * np.sqrt(0.05 * 0.95 / CELLS) < held - declared < 0.03


def test_nothing_is_said_of_a_mean_over_no_one():
    noise = NOISES["Gaussian"]
    estimates = mean_estimates(noise, (0, 6), np.zeros(CELLS), np.zeros(CELLS), seed=2)
    said = [cell for cell in estimates if cell.coverage == 1]
    assert len(said) > 0.999 * CELLS
    assert all((cell.low, cell.high) == (0, 6) for cell in said)
    nobody = [cell for cell in estimates if np.isnan(cell.estimate)]
    assert len(nobody) > CELLS / 3
    assert all(np.isnan(cell.standard_error) for cell in nobody)


def test_a_share_is_exactly_half_when_asked_of_a_coarse_law():
    # Simple fractions are where the law jumps: the end of the interval must not lose them to rounding.
    law = PairLaw.of(-1, np.array([0.25, 0.5, 0.25]))
    found = share_intervals(law, np.array([52.0]), np.array([50.0]), coverage=0.9)
    assert found.low[0] <= 0.5 <= found.high[0]
    assert found.coverage[0] >= 0.9


def test_nothing_is_shown_where_the_sums_cancel():
    # One large sum and one as far below zero: noise of that size is all but impossible, and no share explains it.
    law = PairLaw.of(*NOISES["Gaussian"].pmf())
    found = share_intervals(law, np.array([150.0]), np.array([-140.0]), coverage=0.95)
    assert (found.low[0], found.high[0], found.coverage[0]) == (0, 1, 1)


@pytest.mark.parametrize("name", NOISES)
def test_at_a_bound_the_coverage_is_that_of_one_side(name):
    first, probabilities = NOISES[name].pmf()
    law = PairLaw.of(first, probabilities)
    found = share_intervals(law, np.array([-1.0, 5000.0]), np.array([5000.0, -1.0]), coverage=0.95)
    at_most = np.cumsum(probabilities)
    assert found.coverage == pytest.approx(at_most[at_most >= 0.95][0], abs=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_law_of_a_pair_against_direct_convolution(share):
    first, probabilities = NOISES["Gaussian, scaled"].pmf()
    law = PairLaw.of(first, probabilities)
    values = first + np.arange(len(probabilities))
    figure = np.abs((1 - share) * values[:, None] - share * values[None, :])
    joint = probabilities[:, None] * probabilities[None, :]
    for distance in (0.0, 1.0, 3.3, 8.0, 20.0):
        exact = (joint[figure < distance - 1e-9].sum(), joint[figure <= distance + 1e-9].sum())
        found = [law.within(np.array([share]), np.array([distance]), closed=closed)[0] for closed in (False, True)]
        assert found == pytest.approx(exact, abs=1e-4)


def test_intervals_narrow_as_cells_grow():
    noise = NOISES["Laplace, all present"]
    widths = []
    for count in (20, 80, 320):
        estimates = mean_estimates(noise, (0, 6), np.full(CELLS, count), np.full(CELLS, count), seed=1)
        widths.append(np.mean([cell.high - cell.low for cell in estimates]))
    assert widths[0] > 3 * widths[1] > 9 * widths[2]
