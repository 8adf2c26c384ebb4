"""Intervals of spreads and shares hold the exact truth as often as they declare: simulated for both mechanisms.

Every cell has its own households, drawn at random; twelve councils add them up and round as their table says, and noise
of the released law is added. Three budgets; values that are skewed, far apart, and all the same; few households and many.
"""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from federated.privacy import Mechanism, gaussian_noise, released_noise, zcdp_rho
from federated.query import Equals, Named, Table, Unknown, measured
from federated.statistics import Axis, statistic
from tests.spec.council import QUARTER, case_dataset

COUNCILS = 12
HONEST = 10
DELTA = Fraction(1, 1_000_000)
CELLS = 1000
CODES = tuple(str(number) for number in range(CELLS))
CELL = Axis(name="cell", codes=CODES, labels=CODES)
LAPLACE, GAUSSIAN = Mechanism.DISCRETE_LAPLACE, Mechanism.DISCRETE_GAUSSIAN
BUDGETS = [(Fraction(1, 2), LAPLACE), (Fraction(1), GAUSSIAN), (Fraction(1), LAPLACE), (Fraction(3), GAUSSIAN)]
IDS = [f"{law.value}, epsilon {epsilon}" for epsilon, law in BUDGETS]
under_each_noise = pytest.mark.parametrize(("epsilon", "mechanism"), BUDGETS, ids=IDS)


def noise_of(table, epsilon, mechanism):
    claimed = statistic(table.statistic).sensitivity(table)
    if mechanism is LAPLACE:
        return released_noise(mechanism, epsilon / claimed.l1, scale=1, honest=HONEST, contributors=COUNCILS)
    spec = gaussian_noise(zcdp_rho(epsilon, DELTA), [(10, claimed.l2_squared)], honest=HONEST)
    return released_noise(mechanism, spec.blocks[0].parameter, scale=spec.scale, honest=HONEST, contributors=COUNCILS)


def many_cells(table):
    """The table's layout with the cells that are simulated in place of its one."""
    plain = statistic(table.statistic).layout(table, case_dataset(), QUARTER, ())
    return replace(plain, axes=(CELL,), figures=None if plain.figures is None else (CELL, *plain.figures))


def exact_totals(table, values):
    """What the councils send, without noise.

    Shapes:
        `values` is `(measures of the contribution, CELLS, items)`, within bounds.
    """
    rule = statistic(table.statistic).contribution(table)
    totals = []
    for block in rule.blocks:
        item = sum(
            term.coefficient * np.prod([values[place] for place in term.factors], axis=0, initial=1) for term in block
        )
        councils = np.array_split(item * np.ones(values.shape[1:], dtype=np.int64), COUNCILS, axis=1)
        totals.append(sum((part.sum(axis=1) + rule.step // 2) // rule.step for part in councils))
    return np.concatenate(totals).astype(float)


def decoded(table, values, epsilon, mechanism, *, seed):
    noise = noise_of(table, epsilon, mechanism)
    exact = exact_totals(table, values)
    first, probabilities = noise.pmf()
    uniform = np.random.default_rng(seed).random(len(exact)) * probabilities.sum()
    drawn = (first + np.searchsorted(np.cumsum(probabilities), uniform)) / noise.scale
    layout = many_cells(table)
    found = statistic(table.statistic).decode(table, layout, exact + drawn, noise)
    return np.array(found, dtype=object).reshape(CELLS, -1)


def held(estimates, truth):
    """Whether each interval holds the truth, but for the rounding of floats."""
    slack = 1e-9 * (1 + np.abs(truth))
    ends = np.array([(cell.low, cell.high) for cell in estimates])
    return (ends[:, 0] - slack <= truth) & (truth <= ends[:, 1] + slack)


def errors_off(estimates, truth):
    """Observed less declared coverage, in binomial standard errors of the declared (of 95%, where all are certain)."""
    inside = held(estimates, truth)
    declared = np.array([cell.coverage for cell in estimates])
    assert np.all(declared >= 0.95)
    assert inside[declared == 1].all()
    return (inside.sum() - declared.sum()) / np.sqrt(max(0.05 * 0.95, (declared * (1 - declared)).sum()))


def keeps_its_word(estimates, truth):
    """In cells of any size: at least 95 in 100 hold the truth, and 2.5 fewer than declared at most, as documented."""
    observed, declared = held(estimates, truth).mean(), np.mean([cell.coverage for cell in estimates])
    error = np.sqrt(0.95 * 0.05 / CELLS)
    return observed >= 0.95 - 4 * error and declared - observed < 0.025 + 4 * error


def said(estimates):
    """Share of cells of which something is said."""
    return np.mean([cell.coverage < 1 for cell in estimates])


def skewed(rng, high, items):
    """Most values small, some large: like children, or days in temporary accommodation."""
    return np.minimum(high, rng.geometric(min(0.5, 6 / high), (CELLS, items)) - 1)


@pytest.mark.drawn(3)
@pytest.mark.parametrize("high", [6, 90])
@under_each_noise
def test_spreads_of_skewed_values(epsilon, mechanism, high):
    table = Table(name="t", statistic="variance", measures=(measured("dependent_children_n", 0, high),))
    values = skewed(np.random.default_rng(1), high, 250)
    found = decoded(table, values[None], epsilon, mechanism, seed=2)
    truths = (values.mean(axis=1), values.var(axis=1), values.std(axis=1))
    for estimates, truth in zip(found.T, truths, strict=True):
        assert said(estimates) == 1
        assert abs(errors_off(estimates, truth)) < 4
    errors = np.array([cell.estimate for cell in found[:, 1]]) - truths[1]
    declared = np.mean([cell.standard_error for cell in found[:, 1]])
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(declared, rel=0.12)


@pytest.mark.drawn(3)
@pytest.mark.parametrize("kind", ["both ends", "all at the middle", "all at an end"])
@under_each_noise
def test_spreads_of_the_widest_and_the_narrowest_values(epsilon, mechanism, kind):
    table = Table(name="t", statistic="variance", measures=(measured("dependent_children_n", -4, 4),))
    rng = np.random.default_rng(3)
    values = {
        "both ends": np.where(rng.random((CELLS, 250)) < 0.4, -4, 4),
        "all at the middle": np.zeros((CELLS, 250), dtype=np.int64),
        "all at an end": np.full((CELLS, 250), -4),
    }[kind]
    found = decoded(table, values[None], epsilon, mechanism, seed=4)
    off = errors_off(found[:, 0], values.mean(axis=1)), errors_off(found[:, 1], values.var(axis=1))
    # Beside a bound that no figure passes, only one side can miss: held 97.5 times in 100 is 3.6 errors too often.
    at_bound = kind == "all at an end", kind != "both ends"
    for errors, more in zip(off, at_bound, strict=True):
        assert -4 < errors < (6 if more else 4)


@pytest.mark.drawn(4)
@pytest.mark.parametrize("items", [0, 3, 12, 30, 60])
@under_each_noise
def test_spreads_of_few_households(epsilon, mechanism, items):
    # Around the size from which an interval is given. What is held less often there is documented: 2.5 in 100.
    table = Table(name="t", statistic="variance", measures=(measured("dependent_children_n", 0, 6),))
    values = skewed(np.random.default_rng(5), 6, items)
    found = decoded(table, values[None], epsilon, mechanism, seed=6)
    if items == 0:
        assert max(said(estimates) for estimates in found.T) < 0.01
        return
    for estimates, truth in zip(found.T, (values.mean(axis=1), values.var(axis=1)), strict=False):
        assert keeps_its_word(estimates, truth)


def test_noise_half_as_large_again_is_seen():
    table = Table(name="t", statistic="variance", measures=(measured("dependent_children_n", 0, 6),))
    values = skewed(np.random.default_rng(7), 6, 250)
    noise = noise_of(table, Fraction(1), LAPLACE)
    more = noise_of(table, Fraction(2, 3), LAPLACE)
    first, probabilities = more.pmf()
    exact = exact_totals(table, values[None])
    drawn = np.random.default_rng(8).choice(
        first + np.arange(len(probabilities)), len(exact), p=probabilities / probabilities.sum()
    )
    found = statistic(table.statistic).decode(table, many_cells(table), exact + drawn, noise)
    estimates = np.array(found, dtype=object).reshape(CELLS, -1)
    for column, truth in ((0, values.mean(axis=1)), (1, values.var(axis=1))):
        assert errors_off(estimates[:, column], truth) < -4


def marks(rng, chance, items):
    return (rng.random((CELLS, items)) < chance).astype(np.int64)


@pytest.mark.drawn(5)
@pytest.mark.parametrize("chance", [0.0, 0.02, 0.5])
@under_each_noise
def test_shares(epsilon, mechanism, chance):
    conditions = (
        Named(name="part", where=Equals(column="main_sex", value="male")),
        Named(name="whole", where=Equals(column="household_type", value="single_adult_male")),
    )
    table = Table(name="t", statistic="share", conditions=conditions)
    rng = np.random.default_rng(9)
    whole = marks(rng, 0.7, 400)
    part = whole * marks(rng, chance, 400)
    found = decoded(table, np.stack([part, whole]), epsilon, mechanism, seed=10)
    assert said(found[:, 0]) == 1
    assert -4 < errors_off(found[:, 0], part.sum(axis=1) / whole.sum(axis=1)) < (4 if chance else 6)


@under_each_noise
def test_missing_values(epsilon, mechanism):
    conditions = (
        Named(name="sex", where=Equals(column="main_sex", value="not_known")),
        Named(name="children", where=Unknown(column="dependent_children_n")),
    )
    table = Table(name="t", statistic="missing", conditions=conditions)
    rng = np.random.default_rng(11)
    values = np.stack([marks(rng, 0.03, 300), marks(rng, 0.4, 300)])
    found = decoded(table, values, epsilon, mechanism, seed=12)
    for place, value in enumerate(values):
        assert abs(errors_off(found[:, 2 * place], value.sum(axis=1))) < 4
        assert abs(errors_off(found[:, 2 * place + 1], value.mean(axis=1))) < 4


def test_nothing_is_said_of_shares_of_nothing():
    table = Table(name="t", statistic="share", conditions=(Named(name="a", where=Unknown(column="application_date")),))
    found = decoded(table, np.zeros((2, CELLS, 0), dtype=np.int64), Fraction(1), LAPLACE, seed=13)[:, 0]
    assert said(found) < 0.01
    nobody = [cell for cell in found if np.isnan(cell.estimate)]
    assert len(nobody) > CELLS / 4
    assert all((cell.low, cell.high, cell.coverage) == (0, 1, 1) for cell in nobody)


def two_measures(code, first, second):
    bounds = [measured("dependent_children_n", *first), measured("dependent_children_n", *second)]
    return Table(name="t", statistic=code, measures=tuple(bounds))


@pytest.mark.drawn(3)
@pytest.mark.parametrize(("first", "second"), [((0, 6), (1, 4)), ((-30, 500), (1, 90))])
@under_each_noise
def test_ratios(epsilon, mechanism, first, second):
    table = two_measures("ratio", first, second)
    rng = np.random.default_rng(14)
    top, bottom = skewed(rng, first[1], 400), 1 + skewed(rng, second[1] - 1, 400)
    found = decoded(table, np.stack([top, bottom]), epsilon, mechanism, seed=15)[:, 0]
    assert said(found) > 0.99
    assert abs(errors_off(found, top.sum(axis=1) / bottom.sum(axis=1))) < 4


@pytest.mark.parametrize("items", [1, 4, 16])
@under_each_noise
def test_ratios_of_few_households(epsilon, mechanism, items):
    table = two_measures("ratio", (0, 6), (1, 4))
    rng = np.random.default_rng(16)
    top, bottom = skewed(rng, 6, items), 1 + skewed(rng, 3, items)
    found = decoded(table, np.stack([top, bottom]), epsilon, mechanism, seed=17)[:, 0]
    assert keeps_its_word(found, top.sum(axis=1) / bottom.sum(axis=1))
    silent = [cell for cell in found if cell.coverage == 1]
    assert all((cell.low, cell.high) == (0, 6) for cell in silent)
    assert silent or items > 1


@pytest.mark.drawn(3)
@pytest.mark.parametrize(("value", "weight"), [((0, 4), (0, 20)), ((10, 300), (0, 92))])
@under_each_noise
def test_weighted_means(epsilon, mechanism, value, weight):
    table = two_measures("weighted_mean", value, weight)
    rng = np.random.default_rng(18)
    values, weights = value[0] + skewed(rng, value[1] - value[0], 700), skewed(rng, weight[1], 700)
    found = decoded(table, np.stack([values, weights]), epsilon, mechanism, seed=19)
    assert said(found[:, 0]) > 0.99
    assert abs(errors_off(found[:, 0], (values * weights).sum(axis=1) / weights.sum(axis=1))) < 4
    assert abs(errors_off(found[:, 1], weights.sum(axis=1))) < 4


@pytest.mark.drawn(4)
@pytest.mark.parametrize(("first", "second"), [((0, 6), (1, 4)), ((0, 90), (0, 7))])
@pytest.mark.parametrize("together", [0.0, 0.5, 0.95])
@under_each_noise
def test_relations(epsilon, mechanism, first, second, together):
    table = two_measures("covariance", first, second)
    rng = np.random.default_rng(20)
    shared = rng.random((CELLS, 800)) < together
    common, own, other = rng.random((3, CELLS, 800))
    x = first[0] + np.floor((first[1] - first[0] + 1) * np.where(shared, common, own)).astype(np.int64)
    y = second[0] + np.floor((second[1] - second[0] + 1) * np.where(shared, common, other)).astype(np.int64)
    found = decoded(table, np.stack([x, y]), epsilon, mechanism, seed=21)
    covariance = (x * y).mean(axis=1) - x.mean(axis=1) * y.mean(axis=1)
    correlation = covariance / (x.std(axis=1) * y.std(axis=1))
    assert said(found[:, 0]) > 0.99
    assert abs(errors_off(found[:, 0], covariance)) < 4
    assert errors_off(found[:, 1], correlation) > -4


@pytest.mark.drawn(3)
@pytest.mark.parametrize("items", [5, 40, 120])
@under_each_noise
def test_relations_of_few_households(epsilon, mechanism, items):
    table = two_measures("covariance", (0, 6), (1, 4))
    rng = np.random.default_rng(22)
    x = skewed(rng, 6, items)
    y = 1 + np.minimum(3, x // 2 + (rng.random((CELLS, items)) < 0.3))
    found = decoded(table, np.stack([x, y]), epsilon, mechanism, seed=23)
    covariance = (x * y).mean(axis=1) - x.mean(axis=1) * y.mean(axis=1)
    spread = x.std(axis=1) * y.std(axis=1)
    correlation = np.divide(covariance, spread, out=np.zeros(CELLS), where=spread > 0)
    for estimates, truth in zip(found.T, (covariance, correlation), strict=True):
        assert keeps_its_word(estimates, truth)


@pytest.mark.drawn(2)
@pytest.mark.parametrize("epsilon", [Fraction(1), Fraction(3)])
@pytest.mark.parametrize("code", ["variance", "covariance"])
def test_marks_of_0_and_1_under_the_coarsest_noise_are_held_at_least_as_often_as_declared(code, epsilon):
    # The noise spans one grid point or two, so half a point is added for each number: conservative, as documented.
    rng = np.random.default_rng(24)
    x = marks(rng, 0.3, 250)
    y = np.where(marks(rng, 0.5, 250), x, marks(rng, 0.4, 250))
    one = code == "variance"
    table = (
        Table(name="t", statistic=code, measures=(measured("dependent_children_n", 0, 1),))
        if one
        else two_measures(code, (0, 1), (0, 1))
    )
    found = decoded(table, x[None] if one else np.stack([x, y]), epsilon, LAPLACE, seed=25)
    covariance = (x * y).mean(axis=1) - x.mean(axis=1) * y.mean(axis=1)
    truths = (x.mean(axis=1), x.var(axis=1)) if one else (covariance, covariance / (x.std(axis=1) * y.std(axis=1)))
    for estimates, truth in zip(found.T, truths, strict=False):
        assert said(estimates) > 0.99
        assert errors_off(estimates, truth) > -4
