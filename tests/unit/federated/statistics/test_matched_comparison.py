"""The matched comparison against plain arithmetic, under the real noise laws: coverage, bias, and when it says nothing."""

import numpy as np
import pytest

from federated.errors import QueryError
from federated.privacy import Mechanism
from federated.query import Dimension, Equals, Level, Named, Table
from federated.statistics import Axis, Layout, matched
from federated.statistics.mantel_haenszel import floor_for, pool
from federated.statistics.propagation import noise_size
from tests.spec.council import case_dataset
from tests.unit.federated.statistics.simulated import BUDGETS, agrees, by_figure, drawn, holds, noise_at, repeated

TIMES = 600
HELPED = Named(name="helped", where=Equals(column="intervention_code", value="programme_01"))
RETURNED = Named(name="returned", where=Equals(column="prior_approach_24m", value="one"))
TABLE = Table(
    name="t",
    statistic="matched",
    by=(Dimension(column="main_sex"), Dimension(column="main_age_band")),
    level=Level.REGION,
    conditions=(HELPED, RETURNED),
)
MECHANISMS = (Mechanism.DISCRETE_LAPLACE, Mechanism.DISCRETE_GAUSSIAN)
NOISES = [noise_at(mechanism, epsilon, matched.sensitivity(TABLE)) for mechanism in MECHANISMS for epsilon in BUDGETS]
each_noise = pytest.mark.parametrize("noise", NOISES, ids=lambda noise: f"{noise.mechanism.value}-{noise.sd:.2f}")


class World:
    """Strata of a place: sizes, how likely rows are exposed, and how likely they have the outcome."""

    def __init__(self, shape, mean, exposure, *, difference=0.06, risk=0.2, spread=0.5, seed=3):
        rng = np.random.default_rng(seed)
        size = int(np.prod(shape))
        self.shape = shape
        self.difference = difference
        number = rng.negative_binomial(spread, spread / (spread + mean), size=size)
        self.exposed = rng.binomial(number, rng.beta(*exposure, size=size))
        self.other = number - self.exposed
        self.risk = rng.beta(2, 2 / risk - 2, size=size) * (1 - difference)

    def draw(self, seed, times=None):
        """Counts as `[not exposed, exposed] x [without, with the outcome]` for each stratum."""
        rng = np.random.default_rng(seed)
        more = () if times is None else (times,)
        a = rng.binomial(self.exposed, self.risk + self.difference, size=(*more, len(self.risk)))
        c = rng.binomial(self.other, self.risk, size=(*more, len(self.risk)))
        return np.stack([self.other - c, c, self.exposed - a, a], axis=-1).reshape(*more, *self.shape, 2, 2)


WORLDS = {
    "even": World((4, 5), 300, (4, 8)),
    "skewed": World((4, 9), 120, (0.4, 4)),
    "sparse": World((10, 25), 8, (2, 5)),
    "one large stratum": World((1, 2), 900, (1, 6)),
    "few exposed": World((1, 4), 500, (4, 50), spread=5),
}


def layout_for(shape, times):
    axes = [
        Axis(name=name, codes=tuple(map(str, range(size))), labels=tuple(map(str, range(size))))
        for name, size in zip(("first", "second", "helped", "returned"), (*shape, 2, 2), strict=True)
    ]
    return repeated(Layout(axes=tuple(axes), blocks=("rows",), figures=()), times)


def released(counts, noise, seed, times=TIMES):
    """Many releases of the same counts, or of as many sets of counts as there are releases."""
    shape = counts.shape[-4:]
    totals = np.broadcast_to(counts, (times, *shape)) + drawn(noise, (times, *shape), seed)
    layout = layout_for(shape[:2], times)
    return by_figure(matched.decode(TABLE, layout, totals.reshape(-1), noise))


def exact(counts, noise):
    """Every figure from exact counts by the definition on the manual page, in plain arithmetic."""
    floor = 12 * noise.sd
    over = below = cross = 0.0
    for (d, c), (b, a) in counts.reshape(-1, 2, 2):
        n1, n0 = a + b, c + d
        weight = 1 / (n1 + n0) if n1 + n0 >= floor else (2 - (n1 + n0) / floor) / floor
        over, below, cross = over + weight * a * n0, below + weight * c * n1, cross + weight * n1 * n0
    (d, c), (b, a) = counts.sum(axis=(0, 1))
    n1, n0 = a + b, c + d
    return {
        "risk_difference": (over - below) / cross,
        "risk_ratio": over / below,
        "crude_difference": a / n1 - c / n0,
        "exposed": n1,
        "unexposed": n0,
        "matched": cross * (n1 + n0) / (n1 * n0),
    }


def balance(counts):
    """Standardised difference of each category of the first breakdown."""
    exposed, other = counts.sum(axis=(1, 3))[:, 1], counts.sum(axis=(1, 3))[:, 0]
    share1, share0 = exposed / exposed.sum(), other / other.sum()
    return (share1 - share0) / np.sqrt((share1 * (1 - share1) + share0 * (1 - share0)) / 2)


@pytest.mark.drawn(4)
@each_noise
@pytest.mark.parametrize("world", WORLDS)
def test_intervals_for_the_noise_hold_the_exact_figures_as_often_as_declared(world, noise):
    counts = WORLDS[world].draw(5)
    found = released(counts, noise, 11)
    for figure, truth in exact(counts, noise).items():
        # More often only where the page says so: counts as small as their noise, and much that is unsaid.
        # Less often where a denominator is just above its noise: as `propagation.ratio_interval` says.
        over, under = (0.05, 0.025) if world in {"sparse", "few exposed"} else (0.015, 0.0)
        # The interval of `matched` is rather too wide: its noise is all but quadratic where matching costs little.
        over = 0.05 if figure == "matched" else over
        assert agrees(found[figure], [truth] * TIMES, over=over, under=under), (
            figure,
            holds(found[figure], [truth] * TIMES),
        )
    if counts.shape[0] > 1:
        for category, truth in enumerate(balance(counts)):
            cells = found[f"balance_first_{category}"]
            assert agrees(cells, [truth] * TIMES, over=0.015), (category, holds(cells, [truth] * TIMES))


@pytest.mark.drawn(4)
@each_noise
@pytest.mark.parametrize("world", WORLDS)
def test_intervals_for_noise_and_chance_hold_what_the_counts_were_drawn_from(world, noise):
    place = WORLDS[world]
    found = released(place.draw(7, TIMES), noise, 13)["risk_difference_sampling"]
    truth = [place.difference] * TIMES
    assert agrees(found, truth, over=0.05 if world == "sparse" else 0.015, under=0.025), holds(found, truth)


@pytest.mark.drawn(2)
@each_noise
def test_intervals_of_the_ratio_hold_one_ratio_too(noise):
    place = World((4, 5), 300, (4, 8), difference=0.0)
    found = released(place.draw(8, TIMES), noise, 14)["risk_ratio_sampling"]
    assert agrees(found, [1.0] * TIMES, over=0.015), holds(found, [1.0] * TIMES)


def test_large_dense_tables_are_said_everywhere_and_narrowly():
    # Without this, an interval that is always the widest would pass.
    found = released(WORLDS["even"].draw(5), NOISES[1], 11)
    for figure in ("risk_difference", "risk_ratio", "crude_difference", "matched", "balance_first_0"):
        assert all(cell.coverage < 1 for cell in found[figure])
        assert np.mean([cell.high - cell.low for cell in found[figure]]) < 0.12
        assert all(cell.low <= cell.estimate <= cell.high for cell in found[figure])


@pytest.mark.parametrize("factor", [0.7, 1.8])
def test_noise_of_another_size_is_seen(factor):
    counts, noise = WORLDS["even"].draw(5), NOISES[1]
    found = released(counts, noise, 11)
    truth = exact(counts, noise)["risk_difference"]
    bent = [
        type(cell)(
            codes=cell.codes,
            estimate=cell.estimate,
            standard_error=cell.standard_error,
            low=cell.estimate + factor * (cell.low - cell.estimate),
            high=cell.estimate + factor * (cell.high - cell.estimate),
            coverage=cell.coverage,
        )
        for cell in found["risk_difference"]
    ]
    assert not agrees(bent, [truth] * TIMES)


def test_standard_errors_are_the_spread_of_the_estimates():
    counts, noise = WORLDS["even"].draw(5), NOISES[1]
    found = released(counts, noise, 17)
    for figure in ("risk_difference", "risk_ratio", "crude_difference", "exposed", "balance_first_1"):
        spread = np.std([cell.estimate for cell in found[figure]])
        assert np.median([cell.standard_error for cell in found[figure]]) == pytest.approx(spread, rel=0.15), figure
    matched_spread = np.std([cell.estimate for cell in found["matched"]])
    assert matched_spread < np.median([cell.standard_error for cell in found["matched"]]) < 2 * matched_spread


def pooled_estimates(counts, noise, seed, way):
    strata = counts.reshape(-1, 4)[:, [3, 2, 1, 0]].T
    noisy = strata + drawn(noise, (4 * TIMES, *strata.shape), seed)
    return np.array([way(one) for one in noisy])


def left_out_below_the_floor(strata, noise):
    """What the module does not do: leave out the strata whose noisy size is within noise of zero."""
    a, b, c, d = strata[:, strata.sum(axis=0) > 2 * noise.sd]
    number = a + b + c + d
    return ((a * (c + d) - c * (a + b)) / number).sum() / ((a + b) * (c + d) / number).sum()


def test_sparse_strata_do_not_bias_and_leaving_them_out_by_their_noise_would():
    place = World((20, 60), 8, (2, 5), difference=0.4, risk=0.1, spread=0.2)
    counts, noise = place.draw(9), noise_at(Mechanism.DISCRETE_LAPLACE, BUDGETS[1], matched.sensitivity(TABLE))
    truth = exact(counts, noise)["risk_difference"]
    ours = pooled_estimates(counts, noise, 19, lambda strata: pool(strata, noise_size(noise)).difference().estimate)
    naive = pooled_estimates(counts, noise, 19, lambda strata: left_out_below_the_floor(strata, noise))
    assert abs(ours.mean() - truth) < 4 * ours.std() / np.sqrt(4 * TIMES)
    assert abs(naive.mean() - truth) > 6 * naive.std() / np.sqrt(4 * TIMES)


def test_exact_counts_with_next_to_no_noise_give_the_textbook_figures():
    # Strata and answer as Greenland and Robins' formulas give them, worked by hand: (8/20 - 4/20) and (6/30 - 9/60).
    counts = np.array([[[[16, 4], [12, 8]], [[51, 9], [24, 6]]]])
    noise = noise_at(Mechanism.DISCRETE_LAPLACE, BUDGETS[2] * 10, matched.sensitivity(TABLE), contributors=10)
    found = pool(counts.reshape(-1, 4)[:, [3, 2, 1, 0]].T.astype(float), noise_size(noise)).difference()
    weights = np.array([20 * 20 / 40, 30 * 60 / 90])
    assert found.estimate == pytest.approx(weights @ [8 / 20 - 4 / 20, 6 / 30 - 9 / 60] / weights.sum(), abs=1e-9)
    assert floor_for(noise.sd) == 1


def test_nothing_is_said_of_a_small_cohort():
    noise = NOISES[2]
    counts = np.array([[[[400, 90], [20, 9]], [[300, 80], [0, 0]]]])
    for cells in released(counts, noise, 23, times=20).values():
        assert all(np.isnan(cell.estimate) and cell.coverage == 1 for cell in cells)
    counts[0, 0, 1] = [60, 30]
    assert all(cell.estimate > 60 for cell in released(counts, noise, 23, times=20)["exposed"])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"by": ()}, "names no breakdown"),
        ({"conditions": (HELPED,)}, "takes 2 conditions"),
        ({"conditions": (HELPED, RETURNED, Named(name="third", where=HELPED.where))}, "takes 2 conditions"),
        ({"edges": (1,)}, "takes no edges"),
    ],
)
def test_tables_that_compare_nothing_are_refused(fields, words):
    table = Table(**{"name": "t", "statistic": "matched", "by": TABLE.by, "conditions": TABLE.conditions, **fields})
    with pytest.raises(QueryError, match=words):
        matched.check(table, case_dataset())
