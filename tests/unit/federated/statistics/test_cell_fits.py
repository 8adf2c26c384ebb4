"""Logistic and Poisson regression from noisy tables, against maximum likelihood on the exact ones."""

from fractions import Fraction
from functools import lru_cache

import numpy as np
import pytest
from scipy.optimize import minimize

from federated.errors import QueryError
from federated.privacy import Mechanism
from federated.query import Dimension, Equals, Level, Named, Table, measured
from federated.statistics import Axis, Layout, logistic, poisson, statistic
from federated.statistics.cell_fit import with_figures
from tests.spec.council import case_dataset
from tests.unit.federated.statistics.simulated import BUDGETS, agrees, by_figure, drawn, holds, noise_at, repeated

TIMES = 300
SEX, AGE = Dimension(column="main_sex"), Dimension(column="main_age_band")
RETURNED = Named(name="returned", where=Equals(column="prior_approach_24m", value="one"))
WIDTH = 6
TABLES = {
    "logistic": Table(name="t", statistic="logistic", by=(SEX, AGE), level=Level.REGION, conditions=(RETURNED,)),
    "poisson": Table(
        name="t",
        statistic="poisson",
        by=(SEX, AGE),
        level=Level.REGION,
        measures=(measured("dependent_children_n", 0, WIDTH),),
    ),
}
MECHANISMS = (Mechanism.DISCRETE_LAPLACE, Mechanism.DISCRETE_GAUSSIAN)


class World:
    """Cells of two breakdowns, and a model of an outcome over them."""

    def __init__(self, shape, mean, *, base, slopes=0.5, spread=1.0, tilt=0.0, seed=3):
        rng = np.random.default_rng(seed)
        shares = [np.exp(-tilt * np.arange(size)) for size in shape]
        size = mean * np.multiply.outer(*(share / share.mean() for share in shares))
        self.number = rng.poisson(size * rng.gamma(spread, 1 / spread, shape))
        self.rows, self.columns = (np.concatenate([[0], rng.normal(0, slopes, size - 1)]) for size in shape)
        self.predictor = base + self.rows[:, None] + self.columns[None, :]
        self.base = base

    def draw(self, code, seed, times=None):
        """Both totals of every cell."""
        rng = np.random.default_rng(seed)
        shape = self.number.shape if times is None else (times, *self.number.shape)
        if code == "logistic":
            above = rng.binomial(self.number, 1 / (1 + np.exp(-self.predictor)), shape)
            return np.stack([above, self.number - above])
        above = rng.poisson(self.number * np.exp(self.predictor), shape)
        return np.stack([above, WIDTH * self.number - above])

    def true_coefficients(self):
        return {
            "intercept": self.base,
            **{f"first_{place}": value for place, value in enumerate(self.rows)},
            **{f"second_{place}": value for place, value in enumerate(self.columns)},
        }


WORLDS = {
    "even": World((3, 5), 400, base=-0.8),
    "skewed": World((4, 8), 500, base=-1.5, tilt=0.35, spread=0.7),
    "sparse": World((8, 15), 40, base=-1.0, spread=0.3),
    "empty categories": World((4, 5), 1500, base=-1.0),
}
LARGE = {
    "even": World((3, 5), 3000, base=-0.8, slopes=0.3),
    "skewed": World((4, 6), 3000, base=-0.5, slopes=0.3, tilt=0.2),
}
WORLDS["empty categories"].number[3] = 0
WORLDS["empty categories"].number[:, 0] = 0


def noises(code):
    claimed = statistic(code).sensitivity(TABLES[code])
    return [noise_at(mechanism, epsilon, claimed) for mechanism in MECHANISMS for epsilon in BUDGETS]


EACH = [
    pytest.param(code, noise, id=f"{code}-{noise.mechanism.value}-{noise.sd:.2f}")
    for code in TABLES
    for noise in noises(code)
]


def released(code, totals, noise, seed, times=TIMES):
    shape = totals.shape[-2:]
    axes = tuple(
        Axis(name=name, codes=tuple(map(str, range(size))), labels=tuple(map(str, range(size))))
        for name, size in zip(("first", "second"), shape, strict=True)
    )
    table = Table(name="t", statistic=code)
    layout = repeated(with_figures(Layout(axes=axes, blocks=("above", "below")), table, "what"), times)
    spread = np.broadcast_to(totals if totals.ndim == 4 else totals[:, None], (2, times, *shape))
    noisy = spread + drawn(noise, spread.shape, seed)
    return by_figure(statistic(code).decode(TABLES[code], layout, noisy.reshape(-1), noise))


def shown_of(found, place, sizes):
    """Which categories a release speaks of."""
    return tuple(
        tuple(item for item in range(size) if not np.isnan(found[f"{name}_{item}"][place].estimate))
        for name, size in zip(("first", "second"), sizes, strict=True)
    )


def most_likely(code, totals, shown):
    """Maximum likelihood over the categories shown, by a general optimiser."""
    above, below = (part[np.ix_(*shown)] for part in totals)
    sizes = [len(item) for item in shown]

    def split(beta):
        first = np.concatenate([[0], beta[1 : sizes[0]]])
        second = np.concatenate([[0], beta[sizes[0] :]])
        return first, second, beta[0] + first[:, None] + second[None, :]

    def loss(beta):
        *_, predictor = split(beta)
        if code == "logistic":
            lost = above * np.logaddexp(0, -predictor) + below * np.logaddexp(0, predictor)
            residual = (above + below) / (1 + np.exp(-predictor)) - above
        else:
            expected = (above + below) / WIDTH * np.exp(predictor)
            lost, residual = expected - above * predictor, expected - above
        gradient = np.concatenate([[residual.sum()], residual.sum(axis=1)[1:], residual.sum(axis=0)[1:]])
        return lost.sum() / above.sum(), gradient / above.sum()

    found = minimize(loss, np.zeros(sum(sizes) - 1), jac=True, method="BFGS", options={"gtol": 1e-9})
    first, second, _ = split(found.x)
    return {
        "intercept": found.x[0],
        **{f"first_{place}": value for place, value in zip(shown[0], first, strict=True)},
        **{f"second_{place}": value for place, value in zip(shown[1], second, strict=True)},
    }


def exact_for(code, totals, found, times=TIMES):
    """For every figure, what the exact fit is over the categories that each release speaks of."""
    sizes = totals.shape[1:]
    fit = lru_cache(maxsize=None)(lambda shown: most_likely(code, totals, shown))
    truths = {name: [] for name in found if not name.endswith("_sampling") and name != "households"}
    for place in range(times):
        shown = shown_of(found, place, sizes)
        exact = fit(shown) if all(shown) else {}
        for name, values in truths.items():
            values.append(exact.get(name, 0.0))
    return truths


@pytest.mark.drawn(8)
@pytest.mark.parametrize(("code", "noise"), EACH)
@pytest.mark.parametrize("world", WORLDS)
def test_intervals_for_the_noise_hold_the_exact_fit_as_often_as_declared(world, code, noise):
    totals = WORLDS[world].draw(code, 5)
    found = released(code, totals, noise, 11)
    for figure, truth in exact_for(code, totals, found).items():
        # Fewer only near the limit of a category, as the page says.
        assert agrees(found[figure], truth, over=0.01, under=0.04), (figure, holds(found[figure], truth))
    number = totals.sum() * (1 if code == "logistic" else 1 / WIDTH)
    assert agrees(found["households"], [number] * TIMES, over=0.02)


@pytest.mark.drawn(4)
@pytest.mark.parametrize(("code", "noise"), EACH)
@pytest.mark.parametrize("world", LARGE)
def test_intervals_for_noise_and_chance_hold_the_model(world, code, noise):
    place = LARGE[world]
    found = released(code, place.draw(code, 7, TIMES), noise, 13)
    truth = place.true_coefficients()
    for figure in ("intercept", "first_1", "first_2", "second_1", "second_4"):
        cells = found[f"{figure}_sampling"]
        # Categories are all spoken of here, so that the reference is the model's.
        assert all(cell.coverage < 1 for cell in cells)
        assert agrees(cells, [truth[figure]] * TIMES, over=0.01), (figure, holds(cells, [truth[figure]] * TIMES))


@pytest.mark.drawn(5)
@pytest.mark.parametrize("code", TABLES)
@pytest.mark.parametrize("size", [6, 7, 8, 9, 11, 15])
def test_near_the_limit_of_a_category_coverage_is_what_is_documented(size, code):
    noise = noises(code)[1]
    place = World((3, 4), 1, base=-1.0, slopes=0.4)
    place.number[:] = 240 * noise.sd / (1 if code == "logistic" else WIDTH)
    outcome = 1 / (1 + np.exp(1.0)) if code == "logistic" else np.exp(-1.0)
    place.number[2] = round(size * noise.sd * 2 / outcome / 4)
    totals = place.draw(code, 5)
    found = released(code, totals, noise, 21)
    truth = exact_for(code, totals, found)["first_2"]
    assert agrees(found["first_2"], truth, over=0.015, under=0.04), holds(found["first_2"], truth)


@pytest.mark.parametrize("code", TABLES)
def test_large_cells_are_said_everywhere_and_narrowly(code):
    found = released(code, LARGE["even"].draw(code, 5), noises(code)[1], 11)
    for figure in ("intercept", "first_1", "second_4"):
        assert all(cell.coverage < 1 and cell.high - cell.low < 0.5 for cell in found[figure])
    assert all((cell.estimate, cell.coverage) == (0, 1) for cell in found["first_0"])


@pytest.mark.parametrize("code", TABLES)
def test_an_empty_category_is_not_spoken_of_and_the_first_that_is_becomes_the_reference(code):
    found = released(code, WORLDS["empty categories"].draw(code, 5), noises(code)[1], 11, times=50)
    assert all(np.isnan(cell.estimate) and cell.coverage == 1 for cell in found["first_3"] + found["second_0"])
    assert all(cell.estimate == 0 for cell in found["second_1"])
    assert all(cell.coverage < 1 for cell in found["second_2"])


@pytest.mark.parametrize("code", TABLES)
def test_nothing_is_said_of_a_table_within_its_noise(code):
    found = released(code, WORLDS["sparse"].draw(code, 5) // 20, noises(code)[0], 11, times=50)
    assert all(np.isnan(cell.estimate) for name, cells in found.items() if name != "households" for cell in cells)


@pytest.mark.parametrize("code", TABLES)
def test_small_cells_do_not_bend_the_fit_and_their_maximum_likelihood_would(code):
    # What is usual with noisy tables: set negative counts to zero, then maximise the likelihood.
    place = World((6, 10), {"logistic": 250, "poisson": 1200}[code], base=-2.0, spread=0.15)
    totals, noise = place.draw(code, 9), noises(code)[1]
    found = released(code, totals, noise, 17)
    truth = exact_for(code, totals, found)
    always = [name for name in truth if all(cell.standard_error > 0 for cell in found[name])]
    gaps = np.array([[cell.estimate for cell in found[name]] for name in always]) - [truth[name] for name in always]
    everything = tuple(tuple(range(size)) for size in totals.shape[1:])
    exact = most_likely(code, totals, everything)
    clipped = [
        most_likely(code, np.maximum(totals + drawn(noise, totals.shape, 1000 + seed), 0), everything)
        for seed in range(250)
    ]
    others = np.array([[item[name] - exact[name] for item in clipped] for name in always])
    bent, usual = (np.abs(item.mean(axis=1)) / item.std(axis=1) * np.sqrt(item.shape[1]) for item in (gaps, others))
    assert len(always) > 2
    assert bent.max() < 4.5
    assert usual.max() > 6


@pytest.mark.parametrize("code", TABLES)
def test_standard_errors_are_the_spread_of_the_estimates(code):
    found = released(code, WORLDS["skewed"].draw(code, 5), noises(code)[1], 19)
    for figure in ("intercept", "first_1", "first_3", "second_3"):
        spread = np.nanstd([cell.estimate for cell in found[figure]])
        assert np.nanmedian([cell.standard_error for cell in found[figure]]) == pytest.approx(spread, rel=0.15), figure


def test_a_measure_that_may_be_negative_has_no_logarithm():
    table = Table(name="t", statistic="poisson", by=(SEX,), measures=(measured("dependent_children_n", -1, 6),))
    with pytest.raises(QueryError, match="as low as -1"):
        poisson.check(table, case_dataset())


@pytest.mark.parametrize(
    ("code", "fields", "words"),
    [
        ("logistic", {"conditions": ()}, "takes 1 conditions"),
        ("logistic", {"by": ()}, "names no breakdown"),
        ("poisson", {"by": ()}, "names no breakdown"),
        ("poisson", {"measures": ()}, "takes 1 measures"),
        ("logistic", {"probabilities": (Fraction(1, 2),)}, "takes no probabilities"),
    ],
)
def test_tables_that_explain_nothing_are_refused(code, fields, words):
    given = {"by": (SEX,), "conditions": TABLES[code].conditions, "measures": TABLES[code].measures, **fields}
    with pytest.raises(QueryError, match=words):
        {"logistic": logistic, "poisson": poisson}[code].check(Table(name="t", statistic=code, **given), case_dataset())
