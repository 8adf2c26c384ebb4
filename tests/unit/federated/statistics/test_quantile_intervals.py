"""Quantiles: exact without noise, and intervals that hold the truth as often as declared, under both kinds of noise."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from federated.errors import QueryError
from federated.privacy import Mechanism, gaussian_noise, released_noise, zcdp_rho
from federated.query import Table, measured
from federated.statistics import Axis, Layout, quantile
from federated.statistics.running_totals import PREFIX_BITS, running_totals, sent
from tests.spec.council import QUARTER, case_dataset
from tests.spec.quantiles_by_hand import true_quantiles

LAPLACE, GAUSSIAN = Mechanism.DISCRETE_LAPLACE, Mechanism.DISCRETE_GAUSSIAN
DELTA = Fraction(1, 1_000_000)
BUDGETS = (Fraction(1, 5), Fraction(1), Fraction(3))
CELLS = 2500
HONEST, CONTRIBUTORS = 10, 12


def asking(bands, probabilities=(Fraction(1, 2), Fraction(9, 10))):
    """Weeks up to a year or so, as bands of the same width."""
    return Table(
        name="t",
        statistic="quantile",
        measures=(measured("dependent_children_n", 0, 7 * bands),),
        edges=tuple(range(7, 7 * bands, 7)),
        probabilities=probabilities,
    )


def noise_of(table, mechanism, epsilon):
    """The law of the noise of a question of one table and one cell with that budget."""
    claimed = quantile.sensitivity(table)
    parameter, scale = epsilon / claimed.l1, 1
    if mechanism is GAUSSIAN:
        blocks = [(len(table.edges) + 1, claimed.l2_squared)]
        spec = gaussian_noise(zcdp_rho(epsilon, DELTA), blocks, honest=HONEST)
        parameter, scale = spec.blocks[0].parameter, spec.scale
    return released_noise(mechanism, parameter, scale=scale, honest=HONEST, contributors=CONTRIBUTORS)


def layout_of(table, cells):
    def axis(name, size):
        codes = tuple(map(str, range(size)))
        return Axis(name=name, codes=codes, labels=codes)

    each, bands = axis("cell", cells), axis("band", len(table.edges) + 1)
    return Layout(
        axes=(each, bands), blocks=("households",), figures=(each, axis("quantile", len(table.probabilities)))
    )


def numbers_of(table, mechanism, counts):
    return sent(np.array(counts, dtype=np.int64), len(table.edges) + 1, PREFIX_BITS if mechanism is GAUSSIAN else 0)


def estimates(table, noise, counts, seed, assumed=None):
    """Decoded from drawn noise, in rows of cells; `assumed` is the noise that decoding is told of."""
    exact = numbers_of(table, noise.mechanism, counts)
    first, probabilities = noise.pmf()
    uniform = np.random.default_rng(seed).random((CELLS, len(exact))) * probabilities.sum()
    drawn = first + np.searchsorted(np.cumsum(probabilities), uniform)
    totals = (exact * noise.scale + drawn) / noise.scale
    found = quantile.decode(table, layout_of(table, CELLS), totals.reshape(-1), noise if assumed is None else assumed)
    return np.array(found, dtype=object).reshape(CELLS, len(table.probabilities)).T


def errors_off(cells, truth):
    """Observed less declared coverage, in binomial standard errors, over the cells of which something is said."""
    said = [cell for cell in cells if cell.coverage < 1]
    for cell in cells:
        if cell.coverage == 1:
            assert np.isnan(cell.estimate)
            assert cell.low <= truth <= cell.high
        else:
            assert cell.low <= cell.estimate <= cell.high
    held = np.mean([cell.low - 1e-9 <= truth <= cell.high + 1e-9 for cell in said])
    return (held - 0.95) / np.sqrt(0.95 * 0.05 / len(said))


def skewed(bands, households, seed=3):
    """Most households in the first bands and a long tail, as nights placed are."""
    totals = np.random.default_rng(seed).gamma(0.7, bands / 6, size=households).astype(int)
    return np.bincount(np.minimum(totals, bands - 1), minlength=bands)


@pytest.mark.drawn(4)
@pytest.mark.parametrize("epsilon", BUDGETS)
@pytest.mark.parametrize("mechanism", Mechanism)
@pytest.mark.parametrize("bands", [3, 12, 53])
def test_intervals_of_skewed_cells_hold_the_truth_as_often_as_declared(bands, mechanism, epsilon):
    table, counts = asking(bands), skewed(bands, 20_000)
    found = estimates(table, noise_of(table, mechanism, epsilon), counts, seed=bands)
    for cells, truth in zip(found, true_quantiles(table, counts), strict=True):
        off = errors_off(cells, truth)
        assert off > -4
        # Coarse Laplace noise is declared to be held more often; Gaussian noise has no such excuse.
        assert off < 4 or mechanism is LAPLACE


@pytest.mark.drawn(6)
@pytest.mark.parametrize("epsilon", BUDGETS)
@pytest.mark.parametrize("mechanism", Mechanism)
@pytest.mark.parametrize("households", [2, 5, 40, 300])
@pytest.mark.parametrize("bands", [6, 53])
def test_intervals_of_sparse_cells_hold_the_truth_at_least_as_often(bands, households, mechanism, epsilon):
    table, counts = asking(bands), skewed(bands, households)
    found = estimates(table, noise_of(table, mechanism, epsilon), counts, seed=households)
    for cells, truth in zip(found, true_quantiles(table, counts), strict=True):
        assert errors_off(cells, truth) > -4


def chance_within(noise, weights, reach):
    """P(|sum of weighted independent noises| <= reach) by the exact law; `weights` are (fraction, how many of it)."""
    steps = np.lcm.reduce([weight.denominator for weight, _ in weights])
    whole = [(int(weight * steps), count) for weight, count in weights]
    far = 24 * noise.sd * sum(count * weight**2 for weight, count in whole) ** 0.5
    far += 60 / float(noise.parameter) * max(abs(weight) for weight, _ in whole)
    length = 1 << int(np.ceil(np.log2(far)))
    angle, q = 2 * np.pi * np.arange(length) / length, np.exp(-float(noise.parameter))
    spectrum = np.ones(length)
    for weight, count in whole:
        each = (1 - q) ** 2 / (1 - 2 * q * np.cos(weight * angle) + q * q)
        spectrum *= each ** (count * noise.contributors / noise.honest)
    distance = np.minimum(np.arange(length), length - np.arange(length))
    return np.fft.ifft(spectrum).real[distance <= reach * steps + 1e-9].sum()


def coverages(bands, epsilon, probability, contributors, change=lambda reach: reach):
    """Exact coverage of the test at places of the grid: edges, and parts of bands."""
    noise = released_noise(LAPLACE, epsilon, scale=1, honest=HONEST, contributors=contributors)
    reach = change(quantile._Reach.of(running_totals(bands, 0), noise, float(probability)))
    for band in sorted({0, 1, bands // 4, bands // 2, bands - 1}):
        for part in (Fraction(1, 5), Fraction(1, 2), Fraction(9, 10), Fraction(1)):
            weights = [
                (1 - probability, band),
                (part - probability, 1),
                (-probability, bands - 1 - band),
            ]
            found = reach.at(np.array([band]), np.array([float(part)]))
            yield chance_within(noise, [item for item in weights if item[1] and item[0]], float(found[0]))


EPSILONS = tuple(Fraction(tenths, 10) for tenths in (1, 5, 10, 20, 40))


@pytest.mark.parametrize("probability", [Fraction(1, 2), Fraction(9, 10), Fraction(1, 3)])
@pytest.mark.parametrize("bands", [3, 5, 12, 53])
def test_under_laplace_noise_the_exact_law_gives_no_less_than_declared(bands, probability):
    for epsilon in EPSILONS:
        for contributors in (HONEST, 16):
            found = list(coverages(bands, epsilon, probability, contributors))
            assert min(found) >= 0.95
            # And hardly more, until the noise is of the size of one household.
            assert np.mean(found) < 0.96 or epsilon > Fraction(1, 10)


def test_without_half_a_step_the_exact_law_gives_less():
    found = list(coverages(5, Fraction(1), Fraction(9, 10), 16, change=lambda reach: replace(reach, half_step=0.0)))
    assert min(found) < 0.94


def test_the_exact_law_is_that_of_one_number():
    noise = released_noise(LAPLACE, Fraction(1), scale=1, honest=HONEST, contributors=HONEST)
    q = np.exp(-1)
    assert chance_within(noise, [(Fraction(1, 3), 1)], 2 / 3) == pytest.approx(1 - 2 * q**3 / (1 + q))


@pytest.mark.parametrize("mechanism", Mechanism)
def test_a_quantile_at_the_brink_of_a_gap_is_held(mechanism):
    # Exactly half of the households lie below a stretch with nobody in it: the quantile is its lower end.
    table, counts = asking(20), [0] * 20
    counts[2], counts[15] = 200, 200
    truth = true_quantiles(table, counts)
    assert truth[0] == 21
    for cells, value in zip(estimates(table, noise_of(table, mechanism, Fraction(1)), counts, 5), truth, strict=True):
        assert errors_off(cells, value) > -4


@pytest.mark.parametrize("mechanism", Mechanism)
def test_decoding_that_is_told_of_too_little_noise_is_seen(mechanism):
    table, counts = asking(53), skewed(53, 20_000)
    noise = noise_of(table, mechanism, Fraction(1))
    less = replace(noise, parameter=noise.parameter * (2 if mechanism is LAPLACE else Fraction(1, 4)))
    found = estimates(table, noise, counts, seed=1, assumed=less)
    for cells, truth in zip(found, true_quantiles(table, counts), strict=True):
        assert errors_off(cells, truth) < -10


@pytest.mark.parametrize("mechanism", Mechanism)
def test_standard_error_is_that_of_the_estimates_in_large_cells(mechanism):
    table, counts = asking(53), skewed(53, 20_000)
    found = estimates(table, noise_of(table, mechanism, Fraction(1)), counts, seed=2)
    for cells in found:
        spread = np.std([cell.estimate for cell in cells])
        assert np.mean([cell.standard_error for cell in cells]) == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("mechanism", Mechanism)
@pytest.mark.parametrize("bands", [3, 53, 1025])
def test_without_noise_the_estimate_is_the_quantile(mechanism, bands):
    table = asking(bands, (Fraction(1, 10), Fraction(1, 3), Fraction(1, 2), Fraction(9, 10)))
    rng = np.random.default_rng(bands)
    # Few households: many empty bands, and running totals that are exactly p of all.
    worlds = [*rng.multinomial(6, [1 / bands] * bands, size=40), *rng.multinomial(10**5, [1 / bands] * bands, size=4)]
    totals = np.concatenate([numbers_of(table, mechanism, counts) for counts in worlds]).astype(float)
    found = quantile.decode(table, layout_of(table, len(worlds)), totals, noise_of(table, mechanism, Fraction(1)))
    wanted = [value for counts in worlds for value in true_quantiles(table, counts.tolist())]
    assert [cell.estimate for cell in found] == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("mechanism", Mechanism)
def test_nothing_is_said_of_nobody(mechanism):
    table = asking(8)
    noise = noise_of(table, mechanism, Fraction(1))
    for totals in (np.zeros(8), -numbers_of(table, mechanism, [3] * 8).astype(float)):
        for cell in quantile.decode(table, layout_of(table, 1), totals, noise):
            assert np.isnan(cell.estimate)
            assert np.isnan(cell.standard_error)
            assert (cell.low, cell.high, cell.coverage) == (0, 56, 1)


@pytest.mark.parametrize("mechanism", Mechanism)
def test_more_budget_narrows_and_a_finer_grid_hardly_widens(mechanism):
    widths = {}
    for bands, epsilon in ((52, Fraction(1, 5)), (52, Fraction(2)), (208, Fraction(1, 5))):
        table = asking(bands, (Fraction(1, 2),))
        (cells,) = estimates(table, noise_of(table, mechanism, epsilon), skewed(bands, 20_000), seed=1)
        widths[bands, epsilon] = np.mean([cell.high - cell.low for cell in cells[:200]]) / bands
    wide = widths[52, Fraction(1, 5)]
    assert wide > 5 * widths[52, Fraction(2)]
    assert widths[208, Fraction(1, 5)] < (2.3 if mechanism is LAPLACE else 1.4) * wide


def test_isotonic_regression_is_that_of_scipy():
    rng = np.random.default_rng(4)
    for size in (2, 3, 10, 80):
        below = np.concatenate(([0.0], np.cumsum(rng.normal(0.2, 3, size))))
        wanted = np.maximum(isotonic_regression(below[1:]).x, 0)
        assert quantile.isotonic(below)[1:] == pytest.approx(wanted)


def test_quantiles_are_named_and_numbered():
    table = asking(4, (Fraction(1, 3), Fraction(1, 2), Fraction(9, 10), Fraction(39, 40)))
    layout = quantile.layout(table, case_dataset(), QUARTER, ())
    (axis,) = layout.printed
    assert axis.codes == ("1/3", "0.5", "0.9", "0.975")
    assert axis.labels == ("1/3", "0.5 (median)", "0.9", "0.975")
    assert (layout.shape, layout.cells, layout.printed_cells) == ((4,), 4, 4)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"edges": (7,)}, "takes from 2 to 1024 edges"),
        ({"probabilities": ()}, "takes from 1 to 16 probabilities"),
        ({"measures": ()}, "takes 1 measures"),
        ({"measures": (measured("dependent_children_n", 8, 90),)}, "within the clip bounds"),
        ({"edges": (7, 29)}, "within the clip bounds"),
        ({"max_cells": 2}, "one cell only"),
    ],
)
def test_what_no_quantile_could_be_is_refused(fields, words):
    quantile.check(asking(4), case_dataset())
    with pytest.raises(QueryError) as caught:
        quantile.check(replace(asking(4), **fields), case_dataset())
    assert words in caught.value.diagnostics()
