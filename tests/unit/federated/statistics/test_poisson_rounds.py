"""The Poisson fit in rounds: its curve, its claim over every point, its coverage, and what it does not say."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import statsmodels.api as statsmodels

from federated.errors import QueryError
from federated.query import Equals, Named, measured
from federated.query.check import check_query
from federated.schema import load_schema
from federated.statistics import poisson_rounds
from federated.statistics.exponential import FIRST, GRID, ONE
from federated.statistics.fit_in_rounds import LIMIT, largest_of_a_row
from federated.statistics.moments import Scaled
from federated.statistics.poisson_curve import poisson_means
from tests.spec.council import REGIONS, case_dataset, layout_of, node_vectors, question
from tests.spec.reference_evaluator import reference_vector
from tests.unit.federated.statistics.logistic_rows import all_rounds, exact_sums, noise_of_a_round
from tests.unit.federated.statistics.poisson_rows import MOST, exact_fit, table

TIMES = 40
ASKED = table((0, 60), (0, 6), (0, 1))
ROWS = 20_000


@pytest.mark.parametrize("most", [1, 2, 3, 10, 1000])
def test_the_curve_is_the_exponential_function_to_the_nearest_unit_up_to_half_of_the_bound(most):
    means = poisson_means(most * ONE // 2)
    for place, mean in enumerate(means[:-1]):
        exact = ONE * math.exp((place + FIRST) / GRID)
        # What is left is the error of the float here, not of the table.
        assert abs(mean - exact) <= 0.5 + 1e-14 * exact
    assert list(means) == sorted(means)
    assert means[-1] == most * ONE // 2
    last = (len(means) - 1 + FIRST) / GRID
    assert math.exp(last - 1 / GRID) < most / 2 <= math.exp(last) * (1 + 1e-12)


@pytest.mark.parametrize(
    ("bounds", "most"), [(((0, 2),), 1), (((0, 2),), 7), (((0, 60), (-3, 4)), 2), (((0, 6), (0, 1), (0, 1)), 7)]
)
def test_one_row_reaches_the_claim_before_steps_and_none_at_any_coefficients_exceeds_it(bounds, most):
    asked = table(*bounds, most=most)
    reaches = tuple(item.reach for item in Scaled.all_of(asked.measures[1:]))
    claims = largest_of_a_row(reaches, poisson_rounds.fit(asked).family)
    corners = [np.array([corner]) for corner in product(*bounds)]
    inside = [np.array([[low + (high - low) // 3 for low, high in bounds]]), np.array([[10**6 for _ in bounds]])]
    size = len(bounds) + 1
    rng = np.random.default_rng(1)
    wild = [tuple(int(item) for item in rng.integers(-LIMIT, LIMIT + 1, size)) for _ in range(12)]
    along = [(b0, *(0,) * (size - 1)) for b0 in range(-8192, 8193, 2048)]
    found = [0, 0]
    for at in [*wild, *along]:
        for features, outcome in product([*corners, *inside], (0, 1, most)):
            change = exact_sums(asked, features, np.array([outcome]), at)
            sizes = (sum(map(abs, change)), sum(item**2 for item in change))
            found = [max(pair) for pair in zip(found, sizes, strict=True)]
    assert found == list(claims)


@pytest.mark.parametrize("size", range(2, 13))
@pytest.mark.parametrize("most", [1, 10, 1000])
def test_the_hessian_costs_nothing_and_would_with_a_smaller_factor_or_means_up_to_the_bound(most, size):
    family = poisson_rounds.family(most, size)
    alone = size * (family.lift * most * ONE) ** 2
    # At the first point the mean is e^-8 and not quite 0.
    assert 0.999 * alone < largest_of_a_row((1,) * size, family)[1] <= alone
    means = poisson_means(most * ONE)
    whole = replace(family, means=means, weights=means)
    assert largest_of_a_row((1,) * size, whole)[1] > 1.2 * alone
    if family.lift > 1:
        smaller = replace(family, lift=family.lift - 1)
        assert largest_of_a_row((1,) * size, smaller)[1] > size * (smaller.lift * most * ONE) ** 2


def rows(kind, number, seed):
    rng = np.random.default_rng(seed)
    days = np.minimum(rng.geometric(0.08, number), 200) if kind == "skewed" else rng.integers(0, 61, number)
    children = rng.poisson(1.5, number)
    mark = (rng.random(number) < (0.06 if kind == "sparse" else 0.5)).astype(int)
    predictor = {
        "plain": -0.8 + 0.02 * days - 0.2 * children + 0.5 * mark,
        "skewed": -0.5 + 0.02 * np.minimum(days, 60) + 0.1 * children,
        "sparse": -0.8 + 0.01 * days + 0.4 * mark,
        "steep": -2 + 0.06 * days - 0.2 * children + 0.5 * mark,
    }[kind]
    return np.column_stack([days, children, mark]), np.minimum(rng.poisson(np.exp(predictor)), MOST)


@pytest.mark.drawn(3)
@pytest.mark.parametrize("kind", ["plain", "skewed", "sparse"])
@pytest.mark.parametrize(("epsilon", "number"), [("3", ROWS), ("1", 2 * ROWS), ("1/2", 3 * ROWS)])
def test_intervals_for_the_noise_hold_the_exact_fit(kind, epsilon, number):
    features, outcome = rows(kind, number, 1)
    truth, noise = exact_fit(ASKED, features, outcome), noise_of_a_round(ASKED, epsilon)
    known, held, errors, stated = {}, [], [], []
    for seed in range(TIMES):
        found = all_rounds(ASKED, features, outcome, noise, [kind == "skewed", number, seed], known)
        *cells, rows_said = poisson_rounds.conclude(ASKED, None, found)
        pairs = zip((*cells[:4], rows_said), (*truth, number), strict=True)
        held.append([cell.low <= value <= cell.high for cell, value in pairs])
        if cells[0].coverage < 1:
            errors.append([cell.estimate - value for cell, value in zip(cells[:4], truth, strict=True)])
            stated.append([cell.standard_error for cell in cells[:4]])
    found = np.mean(held, axis=0)
    assert (found >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / TIMES)).all(), found
    assert len(errors) > 0.8 * TIMES
    ratio = np.std(errors, axis=0) / np.mean(stated, axis=0)
    assert (np.abs(ratio - 1) < 4 / np.sqrt(2 * len(errors))).all(), ratio


def test_an_interval_that_left_the_noise_of_a_round_out_would_be_seen():
    features, outcome = rows("plain", ROWS, 1)
    truth, noise = exact_fit(ASKED, features, outcome), noise_of_a_round(ASKED, "3")
    held, known = [], {}
    for seed in range(TIMES // 2):
        found = all_rounds(ASKED, features, outcome, noise, seed, known)
        cells = poisson_rounds.conclude(ASKED, None, found)[:4]
        pairs = zip(cells, truth, strict=True)
        held.append([abs(cell.estimate - value) <= (cell.high - cell.low) / 4 for cell, value in pairs])
    assert (np.mean(held, axis=0) < 0.95 - 4 * np.sqrt(0.95 * 0.05 / len(held))).any()


def test_nothing_is_said_where_a_row_could_stand_beyond_the_largest_mean_and_would_be_wrong(monkeypatch):
    features, outcome = rows("steep", ROWS, 1)
    found = all_rounds(ASKED, features, outcome, noise_of_a_round(ASKED, "3"), 3)
    cells = poisson_rounds.conclude(ASKED, None, found)
    assert all(math.isnan(cell.estimate) and cell.coverage == 1 for cell in cells[:-1])
    assert not math.isnan(cells[-1].estimate)
    # Without the guard the fit is said, and misses the usual one by far more than its interval.
    usual = statsmodels.GLM(
        outcome, statsmodels.add_constant(np.clip(features, 0, [60, 6, 1])), family=statsmodels.families.Poisson()
    ).fit()
    monkeypatch.setattr(type(poisson_rounds.fit(ASKED)), "_within_the_table", lambda *_: True)
    wrong = poisson_rounds.conclude(ASKED, None, found)[:4]
    off = [abs(cell.estimate - value) / cell.standard_error for cell, value in zip(wrong, usual.params, strict=True)]
    assert max(off) > 6


def test_little_is_said_of_few_rows_and_nothing_wrong():
    features, outcome = rows("plain", 400, 2)
    cells = poisson_rounds.conclude(ASKED, None, all_rounds(ASKED, features, outcome, noise_of_a_round(ASKED, "1"), 5))
    assert all(math.isnan(cell.estimate) and cell.coverage == 1 for cell in cells[:-1])
    assert cells[-1].low <= 400 <= cells[-1].high


def test_rows_are_counted_where_the_first_round_stands_at_the_largest_mean_already():
    asked = table((0, 60), (0, 6), (0, 1), most=1)
    features, outcome = rows("plain", ROWS, 4)
    found = all_rounds(asked, features, np.minimum(outcome, 1), noise_of_a_round(asked, "3"), 4)
    counted = poisson_rounds.conclude(asked, None, found)[-1]
    assert counted.low <= ROWS <= counted.high
    assert counted.high - counted.low < ROWS / 20


def test_coefficients_of_the_next_round_are_always_ones_that_a_node_accepts():
    features, outcome = rows("plain", 50, 3)
    noise = noise_of_a_round(ASKED, "1/2")
    for seed in range(6):
        for found in all_rounds(ASKED, features, outcome, noise, seed):
            assert all(abs(item) <= LIMIT for item in found.coefficients)


@pytest.mark.parametrize(("most", "mean"), [(1, 0.05), (1, 0.3), (10, 0.1), (10, 4), (100, 30), (1000, 150), (1000, 3)])
def test_the_first_two_rounds_find_the_way_from_any_mean_without_noise(most, mean):
    asked, number = table((0, 60), (0, 1), most=most, rounds=4), 40_000
    rng = np.random.default_rng(2)
    days, mark = rng.integers(0, 61, number), rng.integers(0, 2, number)
    outcome = np.minimum(rng.poisson(mean * np.exp(0.01 * (days - 30) + 0.3 * (mark - 0.5)) / 1.2), most)
    quiet = replace(noise_of_a_round(asked, "3"), honest=1, contributors=1)
    at, features = poisson_rounds.start(asked), np.column_stack([days, mark])
    step = poisson_rounds.contribution(asked).step
    truth = np.linalg.solve(poisson_rounds.fit(asked).own_units(), exact_fit(asked, features, outcome))
    for _ in range(2):
        totals = np.array([item / step for item in exact_sums(asked, features, outcome, at)])
        found = all_rounds(replace(asked, rounds=2), features, outcome, quiet, 1)[0]
        at = poisson_rounds.advance(asked, replace(found, coefficients=at, totals=totals))
    assert np.abs(np.array(at) / GRID - truth).sum() < 0.3


def test_the_fit_without_noise_and_its_chance_are_those_of_an_established_library():
    features, outcome = rows("plain", ROWS, 1)
    known = statsmodels.add_constant(np.clip(features, 0, [60, 6, 1]))
    model = statsmodels.GLM(outcome, known, family=statsmodels.families.Poisson()).fit()
    assert exact_fit(ASKED, features, outcome, ridge=0) == pytest.approx(model.params, abs=1e-8)
    # The public ridge moves no coefficient by more than a tenth of what chance does.
    assert (np.abs(exact_fit(ASKED, features, outcome) - model.params) < model.bse / 10).all()
    found = poisson_rounds.conclude(ASKED, None, all_rounds(ASKED, features, outcome, noise_of_a_round(ASKED, "3"), 2))
    by_noise, both = (np.array([cell.standard_error for cell in part]) for part in (found[:4], found[4:8]))
    assert np.sqrt(both**2 - by_noise**2) == pytest.approx(model.bse, rel=0.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rounds": 1}, "one round"),
        ({"conditions": (Named(name="a", where=Equals(column="main_sex", value="male")),)}, "takes no conditions"),
        ({"measures": (measured("dependent_children_n", 0, 6),)}, "takes from 2 to 12 measures"),
        ({"measures": (measured("dependent_children_n", 1, 6),) * 2}, "clipped to 1 to 6"),
        ({"measures": (measured("dependent_children_n", -1, 6),) * 2}, "clipped to -1 to 6"),
        ({"measures": (measured("dependent_children_n", 0, 1001),) * 2}, "clipped to 0 to 1001"),
        (
            {
                "measures": (
                    measured("dependent_children_n", 0, 1000),
                    measured("dependent_children_n", -(10**6), 10**6),
                )
            },
            "too wide",
        ),
    ],
)
def test_what_cannot_be_fitted_in_rounds_is_refused(changes, words):
    fine = replace(ASKED, measures=(measured("dependent_children_n", 0, 1000),) * 2)
    check_query(question(fine), load_schema())
    with pytest.raises(QueryError, match=words):
        check_query(question(replace(fine, **changes)), load_schema())


@pytest.mark.parametrize(("most", "bounds"), [(1, (0, 3)), (5, (-7, 4)), (1000, (-370_000, 370_000))])
def test_a_node_stands_each_row_at_the_point_that_the_definition_says(most, bounds, tmp_path):
    mark = measured("dependent_children_n", *bounds)
    fit = replace(table((0, 1), rounds=2), measures=(measured("dependent_children_n", 0, most), mark))
    asked = question(fit)
    found = [
        {
            "household": f"H{number}",
            "assessment_date": asked.period.start,
            "main_sex": "male",
            "dependent_children_n": value,
        }
        for number, value in enumerate([*range(7), *range(7), 5, 3, 3, 0, None])
    ]
    rng = np.random.default_rng(1)
    for place in range(4):
        at = tuple(int(item) for item in rng.choice([-16384, -3, 1, 16384, int(rng.integers(-9000, 9000))], 2))
        folder = tmp_path / str(place)
        folder.mkdir()
        [sent] = node_vectors(folder, found, asked, coefficients=at)
        assert sent == reference_vector(
            found,
            asked,
            fit,
            layout_of(fit, asked),
            case_dataset(),
            region=REGIONS[0][0],
            draw=lambda household, identity: hash((household, identity)),
            coefficients=at,
        )
        assert any(sent)
