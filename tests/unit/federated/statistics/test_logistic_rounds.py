"""The logistic fit in rounds: its curve, its claim over every point, its coverage, and what it does not say."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import statsmodels.api as statsmodels

from federated.errors import QueryError
from federated.query import Table, measured
from federated.query.check import check_query
from federated.schema import load_schema
from federated.statistics import logistic_rounds
from federated.statistics.exponential import FIRST, GRID, ONE
from federated.statistics.fit_in_rounds import LIMIT, largest_of_a_row
from federated.statistics.logistic_curve import logistic_table
from federated.statistics.moments import Scaled
from tests.spec.council import REGIONS, case_dataset, layout_of, node_vectors, question
from tests.spec.reference_evaluator import reference_vector
from tests.unit.federated.statistics.logistic_rows import (
    all_rounds,
    exact_fit,
    exact_sums,
    noise_of_a_round,
    table,
)

TIMES = 80
ASKED = table((0, 60), (0, 6), (0, 1))
ROWS = 60_000


def test_the_curve_is_the_logistic_function_to_the_nearest_unit():
    means, weights = logistic_table()
    assert len(means) == len(weights) == 2 * 8 * GRID + 1
    for place in range(0, len(means), 97):
        exact = 1 / (1 + math.exp(-(place + FIRST) / GRID))
        assert abs(means[place] - ONE * exact) <= 0.5 + 1e-6
        assert abs(weights[place] - ONE * exact * (1 - exact)) <= 1.5
    assert all(mean + mirror == ONE for mean, mirror in zip(means, reversed(means), strict=True))


@pytest.mark.parametrize(
    "bounds", [((0, 2),), ((0, 60), (-3, 4)), pytest.param(((0, 6), (0, 1), (0, 1)), marks=pytest.mark.long)]
)
def test_one_row_reaches_the_claim_before_steps_and_none_at_any_coefficients_exceeds_it(bounds):
    asked = table(*bounds)
    reaches = tuple(item.reach for item in Scaled.all_of(asked.measures))
    claims = largest_of_a_row(reaches, logistic_rounds.family())
    corners = [np.array([corner]) for corner in product(*bounds)]
    inside = [np.array([[low + (high - low) // 3 for low, high in bounds]]), np.array([[10**6 for _ in bounds]])]
    size = len(bounds) + 1
    rng = np.random.default_rng(1)
    wild = [tuple(int(item) for item in rng.integers(-16384, 16385, size)) for _ in range(40)]
    along = [(b0, *(0,) * (size - 1)) for b0 in range(-8192, 8193, 64)]
    found = [0, 0]
    for at in [*wild, *along]:
        for features, outcome in product([*corners, *inside], (0, 1)):
            change = exact_sums(asked, features, np.array([outcome]), at)
            sizes = (sum(map(abs, change)), sum(item**2 for item in change))
            found = [max(pair) for pair in zip(found, sizes, strict=True)]
    assert all(one <= claim for one, claim in zip(found, claims, strict=True))
    # The points between those tried can be a little worse; the l2 claim is reached at the end of the curve.
    assert found[1] == claims[1]
    assert found[0] > 0.999 * claims[0]


def test_the_claim_does_not_hang_on_the_hessian_and_one_that_left_the_curve_out_would_be_wrong():
    # The largest residual and the largest weight never stand at one point; a bound of both at once is far too large.
    slope, bend = 4 * ONE**2, 10 * (ONE // 4) ** 2
    _, claimed = largest_of_a_row((1, 1, 1, 1), logistic_rounds.family())
    assert claimed < slope < slope + bend


def rows(kind, number, seed):
    rng = np.random.default_rng(seed)
    days = np.minimum(rng.geometric(0.15, number), 200) if kind == "skewed" else rng.poisson(25, number)
    children = rng.poisson(1.5, number)
    mark = (rng.random(number) < (0.04 if kind == "sparse" else 0.5)).astype(int)
    predictor = {
        "plain": -1 + 0.03 * days - 0.3 * children + 0.8 * mark,
        "skewed": -2 + 0.05 * np.minimum(days, 60) + 0.4 * children,
        "sparse": -1.5 + 0.02 * days + 0.5 * mark,
    }[kind]
    return np.column_stack([days, children, mark]), (rng.random(number) < 1 / (1 + np.exp(-predictor))).astype(int)


@pytest.mark.drawn(2)
@pytest.mark.parametrize("kind", ["plain", "skewed", "sparse"])
@pytest.mark.parametrize(
    ("epsilon", "number"), [("3", 20_000), ("1", ROWS), pytest.param("1/2", 2 * ROWS, marks=pytest.mark.long)]
)
def test_intervals_for_the_noise_hold_the_exact_fit(kind, epsilon, number):
    features, outcome = rows(kind, number, 1)
    truth, noise = exact_fit(ASKED, features, outcome), noise_of_a_round(ASKED, epsilon)
    known, held, errors, stated = {}, [], [], []
    times = TIMES
    for seed in range(times):
        cells = logistic_rounds.conclude(ASKED, None, all_rounds(ASKED, features, outcome, noise, seed, known))[:4]
        held.append([cell.low <= value <= cell.high for cell, value in zip(cells, truth, strict=True)])
        if cells[0].coverage < 1:
            errors.append([cell.estimate - value for cell, value in zip(cells, truth, strict=True)])
            stated.append([cell.standard_error for cell in cells])
    found = np.mean(held, axis=0)
    assert (found >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / times)).all(), found
    if kind != "sparse":
        assert len(errors) > 0.9 * times
        ratio = np.std(errors, axis=0) / np.mean(stated, axis=0)
        assert (np.abs(ratio - 1) < 4 / np.sqrt(2 * times)).all(), ratio


def test_an_interval_that_left_the_noise_of_a_round_out_would_be_seen():
    features, outcome = rows("plain", 20_000, 1)
    truth, noise = exact_fit(ASKED, features, outcome), noise_of_a_round(ASKED, "3")
    held, known = [], {}
    for seed in range(TIMES // 3):
        found = all_rounds(ASKED, features, outcome, noise, seed, known)
        cells = logistic_rounds.conclude(ASKED, None, found)[:4]
        pairs = zip(cells, truth, strict=True)
        held.append([abs(cell.estimate - value) <= (cell.high - cell.low) / 4 for cell, value in pairs])
    assert (np.mean(held, axis=0) < 0.95 - 4 * np.sqrt(0.95 * 0.05 / len(held))).any()


def test_little_is_said_of_few_rows_and_nothing_wrong():
    features, outcome = rows("plain", 400, 2)
    cells = logistic_rounds.conclude(ASKED, None, all_rounds(ASKED, features, outcome, noise_of_a_round(ASKED, "1"), 5))
    assert all(math.isnan(cell.estimate) and cell.coverage == 1 for cell in cells[:-1])
    assert cells[-1].low <= 400 <= cells[-1].high


def test_coefficients_of_the_next_round_are_always_ones_that_a_node_accepts():
    features, outcome = rows("plain", 50, 3)
    noise = noise_of_a_round(ASKED, "1/2")
    for seed in range(6):
        for found in all_rounds(ASKED, features, outcome, noise, seed):
            assert all(abs(item) <= LIMIT for item in found.coefficients)


def test_rounds_over_other_councils_than_the_last_do_not_count():
    features, outcome = rows("plain", ROWS, 1)
    found = list(all_rounds(ASKED, features, outcome, noise_of_a_round(ASKED, "3"), 1))
    whole = logistic_rounds.conclude(ASKED, None, found)
    # The round before last had other councils, whose rows would have moved it.
    found[4] = replace(found[4], councils=frozenset({"B"}), totals=found[4].totals + 10**6)
    fewer = logistic_rounds.conclude(ASKED, None, found)
    assert abs(fewer[1].estimate - whole[1].estimate) < 6 * whole[1].standard_error
    assert fewer[1].standard_error > whole[1].standard_error
    wrong = [replace(item, councils=frozenset({"A"})) for item in found]
    moved = logistic_rounds.conclude(ASKED, None, wrong)[1].estimate
    assert math.isnan(moved) or abs(moved - whole[1].estimate) > 6 * whole[1].standard_error


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rounds": 1}, "one round"),
        ({"conditions": ()}, "takes 1 conditions"),
        ({"measures": ()}, "takes from 1 to 11 measures"),
    ],
)
def test_what_cannot_be_fitted_in_rounds_is_refused(changes, words):
    asked = replace(ASKED, **({"measures": (measured("dependent_children_n", 0, 6),)} | changes))
    with pytest.raises(QueryError, match=words):
        check_query(question(asked), load_schema())


def test_other_statistics_take_no_rounds_and_a_question_of_rounds_no_other_table():
    with pytest.raises(QueryError, match="does not take several rounds"):
        check_query(question(Table(name="t", statistic="households", rounds=2)), load_schema())
    with pytest.raises(QueryError, match="1 to 8"):
        Table(name="t", statistic="logistic_rounds", rounds=9)
    fit = table((0, 6), rounds=2)
    with pytest.raises(QueryError, match="the only one"):
        question(fit, Table(name="u", statistic="households"))
    children = measured("dependent_children_n", 0, 6)
    assert layout_of(
        Table(name="t", statistic="logistic_rounds", measures=(children,), conditions=fit.conditions, rounds=2),
        question(Table(name="u", statistic="households")),
    ).blocks == ("intercept", "x1", "intercept*intercept", "x1*intercept", "x1*x1")


def test_the_fit_without_noise_and_its_chance_are_those_of_an_established_library():
    features, outcome = rows("plain", 20_000, 1)
    model = statsmodels.Logit(outcome, statsmodels.add_constant(np.clip(features, 0, [60, 6, 1]))).fit(disp=0)
    assert exact_fit(ASKED, features, outcome, ridge=0) == pytest.approx(model.params, abs=1e-8)
    # The public ridge moves no coefficient by more than a tenth of what chance does.
    assert (np.abs(exact_fit(ASKED, features, outcome) - model.params) < model.bse / 10).all()
    found = logistic_rounds.conclude(ASKED, None, all_rounds(ASKED, features, outcome, noise_of_a_round(ASKED, "3"), 2))
    by_noise, both = (np.array([cell.standard_error for cell in part]) for part in (found[:4], found[4:8]))
    assert np.sqrt(both**2 - by_noise**2) == pytest.approx(model.bse, rel=0.1)


@pytest.mark.parametrize("bounds", [(0, 3), (-7, 4), (2, 9), (-(10**6), 10**6), (-(10**6), 7)])
def test_a_node_stands_each_row_at_the_point_that_the_definition_says(bounds, tmp_path):
    fit = replace(table((0, 1), rounds=2), measures=(measured("dependent_children_n", *bounds),))
    asked = question(fit)
    found = [
        {
            "household": f"H{number}",
            "assessment_date": asked.period.start,
            "main_sex": ("male", "female")[number % 2],
            "dependent_children_n": value,
        }
        for number, value in enumerate([*range(7), *range(7), 5, 3, 3, 0, None])
    ]
    rng = np.random.default_rng(1)
    for place in range(6):
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
