"""Linear regression against a fit of the rows themselves, under the real noise laws."""

from fractions import Fraction
from math import prod

import numpy as np
import pytest

from federated.errors import QueryError
from federated.privacy import Mechanism
from federated.query import Dimension, Equals, Level, Measured, Points, Table, Value, measured
from federated.statistics import linear
from federated.statistics.least_squares import Fit
from federated.statistics.moments import Moments
from federated.statistics.propagation import noise_size
from federated.statistics.without_noise import NEXT_TO_NONE
from tests.spec.council import case_dataset, layout_of, question
from tests.spec.statistics.linear import SPECIFICATION
from tests.unit.federated.statistics.simulated import BUDGETS, agrees, by_figure, drawn, holds, noise_at, repeated

TIMES = 1500
MARK = Points(base=0, terms=((Equals(column="main_sex", value="male"), 1),))
CHILDREN = measured("dependent_children_n", 0, 6)
TABLE = Table(
    name="t",
    statistic="linear",
    level=Level.REGION,
    measures=(
        Measured(measure=Value(column="dependent_children_n"), low=0, high=14),
        CHILDREN,
        Measured(measure=MARK, low=0, high=1),
        Measured(measure=MARK, low=0, high=1),
    ),
)
GAUSSIAN = Mechanism.DISCRETE_GAUSSIAN
SUMS = len(Moments.of(TABLE.measures).pairs)


def people(number, seed, rare=0.3):
    """Rows of children, a mark, a mark that is rarer, and an outcome that is linear in them with residuals -2 to 2."""
    rng = np.random.default_rng(seed)
    children = np.minimum(rng.geometric(0.5, number) - 1, 6)
    first, second = rng.random(number) < 0.4, rng.random(number) < rare * (0.5 + children / 6)
    outcome = 4 + children - 2 * first + 2 * second + rng.integers(-2, 3, number)
    return np.stack([outcome, children, first, second]).astype(np.int64)


def exact_sums(rows, table=TABLE):
    """The vector of blocks, straight from the form that a node evaluates."""
    rule = linear.contribution(table)
    values = [rows[place] for place in (*range(1, len(table.measures)), 0)]
    clipped = [np.clip(value, item.low, item.high) for value, item in zip(values, rule.measures, strict=True)]
    ones = np.ones(rows.shape[1], dtype=np.int64)
    return np.array(
        [
            sum(
                int((term.coefficient * prod((clipped[item] for item in term.factors), start=ones)).sum())
                for term in block
            )
            for block in rule.blocks
        ]
    )


def exact_fit(rows):
    """Coefficients, residual spread, R squared and rows, by a solver that sees the rows."""
    outcome, *features = rows
    design = np.stack([np.ones(rows.shape[1]), *features], axis=1)
    found, *_ = np.linalg.lstsq(design, outcome.astype(float), rcond=None)
    residual = ((outcome - design @ found) ** 2).sum()
    total = ((outcome - outcome.mean()) ** 2).sum()
    names = ["intercept", *(f"x{place}" for place in range(1, len(found)))]
    return {
        **dict(zip(names, found, strict=True)),
        "residual_sd": np.sqrt(residual / (rows.shape[1] - len(found))),
        "r_squared": 1 - residual / total,
        "rows": rows.shape[1],
    }


def released(sums, noise, seed, table=TABLE, times=TIMES):
    plain = Table(name="t", statistic="linear", measures=table.measures)
    layout = repeated(layout_of(plain, question(plain)), times)
    totals = np.broadcast_to(sums, (times, sums.shape[-1])).T + drawn(noise, (sums.shape[-1], times), seed)
    return by_figure(linear.decode(table, layout, totals.reshape(-1), noise))


NOISES = [noise_at(GAUSSIAN, epsilon, linear.sensitivity(TABLE), cells=SUMS) for epsilon in BUDGETS] + [
    noise_at(Mechanism.DISCRETE_LAPLACE, Fraction(2), linear.sensitivity(TABLE), contributors=10)
]
each_noise = pytest.mark.parametrize("noise", NOISES, ids=lambda noise: f"{noise.mechanism.value}-{noise.sd:.0f}")
WORLDS = {"many": people(20_000, 1), "a rare mark": people(20_000, 2, rare=0.03), "few": people(2500, 3)}


@pytest.mark.drawn(3)
@each_noise
@pytest.mark.parametrize("world", WORLDS)
def test_intervals_for_the_noise_hold_the_exact_fit_as_often_as_declared(world, noise):
    rows = WORLDS[world]
    found = released(exact_sums(rows), noise, 5)
    for figure, truth in exact_fit(rows).items():
        assert agrees(found[figure], [truth] * TIMES, over=0.01, under=0.01), (
            figure,
            holds(found[figure], [truth] * TIMES),
        )
    said = holds(found["x1"], [0] * TIMES)[3]
    assert said == 1 or world != "many" or noise.sd > 200


@pytest.mark.parametrize("noise", NOISES[1:3], ids=lambda noise: f"{noise.sd:.0f}")
def test_intervals_for_noise_and_chance_hold_what_the_rows_were_drawn_from(noise):
    sums = np.stack([exact_sums(people(3000, 100 + place)) for place in range(TIMES // 3)])
    found = released(sums, noise, 7, times=TIMES // 3)
    for name, truth in {"intercept": 4, "x1": 1, "x2": -2, "x3": 2}.items():
        cells = found[f"{name}_sampling"]
        assert agrees(cells, [truth] * len(cells), over=0.01), (name, holds(cells, [truth] * len(cells)))


def test_standard_errors_are_the_spread_of_the_estimates_and_their_mean_is_the_exact_fit():
    rows, noise = WORLDS["many"], NOISES[2]
    found, truth = released(exact_sums(rows), noise, 9), exact_fit(rows)
    for figure, value in truth.items():
        estimates = np.array([cell.estimate for cell in found[figure]])
        assert abs(estimates.mean() - value) < 4 * estimates.std() / np.sqrt(TIMES), figure
        assert np.median([cell.standard_error for cell in found[figure]]) == pytest.approx(estimates.std(), rel=0.12)


def test_close_to_the_limit_the_noise_would_bend_the_fit_if_its_bias_were_left_in():
    rows, noise = people(2200, 4), NOISES[1]
    sums, size, moments = exact_sums(rows), noise_size(noise), Moments.of((*TABLE.measures[1:], TABLE.measures[0]))
    truth = Fit.of(moments, sums.astype(float), noise_size(noise_at(GAUSSIAN, Fraction(50), linear.sensitivity(TABLE))))
    ours, plain = [], []
    for one in sums + drawn(noise, (4 * TIMES, len(sums)), 11):
        fit = Fit.of(moments, one, size)
        if fit is not None:
            ours.append(fit.coefficients)
            matrix = moments.matrix(one)
            plain.append(np.linalg.solve(matrix[:-1, :-1], matrix[:-1, -1]))
    assert len(ours) > 3 * TIMES
    ours, plain = (np.array(item) - truth.coefficients for item in (ours, plain))
    errors = ours.std(axis=0) / np.sqrt(len(ours))
    assert np.abs(ours.mean(axis=0) / errors).max() < 6
    assert np.abs(plain.mean(axis=0) / errors).max() > 1.5 * np.abs(ours.mean(axis=0) / errors).max()


def test_exact_sums_with_next_to_no_noise_give_the_fit_of_the_rows():
    rows = people(4000, 6)
    truth = exact_fit(rows)
    plain = Table(name="t", statistic="linear", measures=TABLE.measures)
    cells = linear.decode(plain, layout_of(plain, question(plain)), exact_sums(rows).astype(float), NEXT_TO_NONE)
    found = {cell.codes[0]: cell.estimate for cell in cells}
    for figure, value in truth.items():
        assert found[figure] == pytest.approx(value, rel=1e-7), figure
    assert [cell.codes[0] for cell in cells] == list(layout_of(plain, question(plain)).figures[0].codes)


def test_the_manual_page_compares_with_the_fit_of_its_rows():
    rng = np.random.default_rng(12)
    children = np.minimum(rng.geometric(0.45, 20_000) - 1, 6)
    male = rng.random(20_000) < 0.42 / (1 + children)
    days = np.clip(np.rint(rng.gamma(4, 7, 20_000) + 2 * children + 4 * male), 0, 60)
    rows = np.stack([days, children, male]).astype(np.int64)
    fit = exact_fit(rows)
    for figure in ("intercept", "x1", "x2", "residual_sd", "r_squared"):
        assert f"{fit[figure]:.4f}" in SPECIFICATION.reading
    (totals,) = SPECIFICATION.totals.values()
    assert np.abs(np.array(totals) - exact_sums(rows, SPECIFICATION.asked.tables[0])).max() < 4 * SPECIFICATION.noise.sd


def test_nothing_is_said_where_a_feature_does_not_move():
    rows = people(20_000, 1)
    rows[3] = 0
    found = released(exact_sums(rows), NOISES[1], 13, times=20)
    for figure in ("intercept", "x1", "x3", "x3_sampling", "residual_sd", "r_squared"):
        assert all(np.isnan(cell.estimate) and cell.coverage == 1 for cell in found[figure])
    assert all(abs(cell.estimate - 20_000) < 300 for cell in found["rows"])


def test_a_weight_off_the_diagonal_would_cost_more_than_it_gains():
    # protocol.md's 99/70: the noise of every sum in units of the largest, with and without, for boxes of q coordinates.
    for q in range(2, 10):
        plain = np.sqrt(q * (q + 1) / 2)
        weighted = np.sqrt(q + (99 / 70) ** 2 * q * (q - 1) / 2)
        assert plain / (weighted / (99 / 70)) <= np.sqrt(1 + 1 / q) * 1.001
        assert weighted / plain > 1.15


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"measures": (CHILDREN,)}, "takes from 2 to 32 measures"),
        ({"by": (Dimension(column="main_sex"),)}, "a fit has none"),
        ({"edges": (1,)}, "takes no edges"),
    ],
)
def test_tables_that_fit_nothing_are_refused(fields, words):
    table = Table(**{"name": "t", "statistic": "linear", "measures": TABLE.measures, **fields})
    with pytest.raises(QueryError, match=words):
        linear.check(table, case_dataset())
