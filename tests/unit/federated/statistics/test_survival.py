"""Survival: the estimators against individuals followed one by one, derivatives, intervals, and what is refused."""

from dataclasses import replace
from datetime import date
from fractions import Fraction

import numpy as np
import pytest

from federated.errors import QueryError
from federated.query import Days, Equals, In, Measured, Named, Not, Table, Value
from federated.statistics import Axis, Layout, statistic, survival
from tests.spec.council import QUARTER, case_dataset, layout_of, node_vectors, question
from tests.unit.federated.statistics.budgets import NOISES, coverage_found, drawn, laplace

UNTIL = date(2025, 6, 30)
EDGES = (7, 14, 28, 56, 112)
CLOSE = 1e-9


def table_of(edges=EDGES, causes=2, high=None, **more):
    """A table with so many named ways of ending."""
    ways = tuple(
        Named(name=f"way_{place}", where=Equals(column="relief_end_reason", value=reason))
        for place, reason in enumerate(("secured", "withdrew", "contact_lost")[:causes])
    )
    measure = Measured(measure=Days(start="relief_start", end="relief_end", until=UNTIL), low=0, high=high or edges[-1])
    return Table(name="t", statistic="survival", edges=edges, conditions=ways, measures=(measure,), **more)


def people(count, seed, *, mean=40.0, stops=300.0, causes=3):
    """(days, way) of each: way 0 is not ended, the last is another way than those named."""
    draw = np.random.default_rng(seed)
    ends, stop = draw.exponential(mean, count).astype(int), draw.uniform(0, stops, count).astype(int)
    ways = 1 + draw.choice(causes, count, p=np.array([0.6, *[0.4 / (causes - 1)] * (causes - 1)][:causes]))
    return [(min(e, s), int(w) if e <= s else 0) for e, s, w in zip(ends, stop, ways, strict=True)]


def cells_of(individuals, edges, ways):
    """Bands by endings, the not ended first."""
    cells = np.zeros((len(edges) + 1, 1 + ways))
    for days, way in individuals:
        cells[sum(days >= edge for edge in edges), way] += 1
    return cells


def vector_of(cells):
    """As the node lays it out: a band before the start, and the ways of ending from the last to the first."""
    turned = np.concatenate([cells[:, :1], cells[:, :0:-1]], axis=1)
    return np.concatenate([np.zeros((1, turned.shape[1])), turned]).reshape(-1)


def decoded(table, cells, noise):
    """Estimates by name."""
    layout = layout_of(table, question(table))
    return {cell.codes[-1]: cell for cell in statistic("survival").decode(table, layout, vector_of(cells), noise)}


def followed(individuals, last, ways):
    """Kaplan-Meier and Aalen-Johansen day by day, by looking at who is still there."""
    alive, cumulative, curve = 1.0, [0.0] * ways, []
    for day in range(last + 1):
        curve.append((alive, tuple(cumulative)))
        there = sum(days >= day for days, _ in individuals)
        if there:
            shares = [sum(days == day and way == w for days, way in individuals) / there for w in range(1, ways + 1)]
            cumulative = [so_far + alive * share for so_far, share in zip(cumulative, shares, strict=True)]
            alive *= 1 - sum(shares)
    return curve


def test_on_a_grid_of_days_the_curves_are_those_of_the_individuals():
    individuals = people(300, 1, mean=15, stops=40)
    edges = tuple(range(1, 31))
    found = decoded(table_of(edges), cells_of(individuals, edges, 3), laplace(Fraction(1)))
    curve = followed(individuals, 30, 3)
    for edge in edges:
        alive, ways = curve[edge]
        assert found[f"surviving_at_{edge}"].estimate == pytest.approx(alive, abs=CLOSE)
        names = [f"cumulative_{name}_at_{edge}" for name in ("way_0", "way_1", "other")]
        assert [found[name].estimate for name in names] == pytest.approx(ways, abs=CLOSE)
    median = found["median"].estimate
    before, after = curve[int(median)][0], curve[int(median) + 1][0]
    assert before + (median - int(median)) * (after - before) == pytest.approx(0.5)
    area = sum((curve[day][0] + curve[day + 1][0]) / 2 for day in range(30))
    assert found["restricted_mean"].estimate == pytest.approx(area)
    assert found["started"].estimate == 300


def test_counting_those_whose_count_stopped_as_still_there_would_be_seen():
    individuals = people(300, 1, mean=15, stops=40)
    never_stopped = [(days if way else 999, way) for days, way in individuals]
    assert abs(followed(individuals, 30, 3)[30][0] - followed(never_stopped, 30, 3)[30][0]) > 0.05


def test_ways_of_ending_and_not_ending_add_up_to_one():
    found = decoded(table_of(), cells_of(people(5000, 2), EDGES, 3), laplace(Fraction(1)))
    for edge in EDGES:
        names = (f"surviving_at_{edge}", *(f"cumulative_{way}_at_{edge}" for way in ("way_0", "way_1", "other")))
        assert sum(found[name].estimate for name in names) == pytest.approx(1)


def test_without_named_ways_only_the_share_not_ended_is_printed():
    table = table_of(causes=0)
    assert layout_of(table, question(table)).figures[-1].codes == (
        "started",
        *(f"surviving_at_{edge}" for edge in EDGES),
        "median",
        "restricted_mean",
    )


def test_standard_errors_are_those_of_the_figures_under_small_changes():
    noise, cells = laplace(Fraction(1)), cells_of(people(4000, 3), EDGES, 3)
    found = decoded(table_of(), cells, noise)
    squares = dict.fromkeys(found, 0.0)
    for place in np.ndindex(cells.shape):
        step = np.zeros_like(cells)
        step[place] = 1e-4
        up, down = decoded(table_of(), cells + step, noise), decoded(table_of(), cells - step, noise)
        for name in squares:
            squares[name] += ((up[name].estimate - down[name].estimate) / 2e-4) ** 2
    for name, square in squares.items():
        assert found[name].standard_error == pytest.approx(noise.sd * np.sqrt(square), rel=2e-3), name


def test_standard_errors_are_the_spread_of_the_estimates():
    noise, cells = laplace(Fraction(1, 2)), cells_of(people(2000, 4), EDGES, 3)
    runs = [decoded(table_of(), cells + drawn(noise, cells.shape, seed), noise) for seed in range(400)]
    for name in ("surviving_at_28", "cumulative_way_0_at_56", "median", "restricted_mean", "started"):
        spread = np.std([run[name].estimate for run in runs])
        # 400 draws give a standard deviation to 3.5%: four of these.
        assert np.mean([run[name].standard_error for run in runs]) == pytest.approx(spread, rel=0.14), name


SKEWED = {"count": 3000, "mean": 40.0}
RUNS = 800


def runs_of(table, cells, noise, seed, times=RUNS, carried=None):
    """Many releases of one table, by way of a table with as many cells of its breakdown; `noise` is what is said."""
    layout = layout_of(table, question(table))
    copies = tuple(str(number) for number in range(times))
    many = replace(
        layout,
        axes=(Axis(name="run", codes=copies, labels=copies), *layout.axes),
        figures=(Axis(name="run", codes=copies, labels=copies), *layout.figures),
    )
    noisy = vector_of(cells)[None] + drawn(carried or noise, (times, layout.cells), seed)
    found = statistic("survival").decode(table, many, noisy.reshape(-1), noise)
    names = layout.figures[-1].codes
    return {name: found[place :: len(names)] for place, name in enumerate(names)}


@pytest.mark.drawn(2)
@pytest.mark.parametrize("name", NOISES)
def test_skewed_curves_are_held_as_often_as_declared(name):
    noise = NOISES[name]
    cells = cells_of(people(round(300 * max(noise.sd, 5)), 5), EDGES, 3)
    truth = decoded(table_of(), cells, noise)
    for figure, estimates in runs_of(table_of(), cells, noise, 6).items():
        found, error = coverage_found(estimates, truth[figure].estimate)
        # Half a step of the coarsest noise is added to a margin: documented, and only upwards.
        assert -4 * error < found < 4 * error + 0.025, figure
        assert all(cell.coverage < 1 for cell in estimates)


def test_noise_larger_than_said_is_found_by_these_runs():
    said, carried = laplace(Fraction(1, 2)), laplace(Fraction(1, 3))
    cells = cells_of(people(3000, 5), EDGES, 3)
    truth = decoded(table_of(), cells, said)["surviving_at_28"].estimate
    found, error = coverage_found(runs_of(table_of(), cells, said, 6, carried=carried)["surviving_at_28"], truth)
    assert found < -4 * error


@pytest.mark.drawn(4)
@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize("share", [0.5, 1.1, 1.5, 4])
def test_sparse_cells_keep_their_word(name, share):
    # At risk from the start are `share` times what is asked for; their numbers run out later, or at once.
    noise = NOISES[name]
    cells = cells_of(people(round(share * survival.CLEAR * np.sqrt(24) * noise.sd), 7, stops=120), EDGES, 3)
    truth = decoded(table_of(), cells, noise)
    for figure, estimates in runs_of(table_of(), cells, noise, 8, times=400).items():
        if np.isnan(truth[figure].estimate):
            continue
        held = np.mean([cell.low - CLOSE <= truth[figure].estimate <= cell.high + CLOSE for cell in estimates])
        # First order is right to one percentage point here.
        assert held >= 0.94 - 4 * np.sqrt(0.95 * 0.05 / 400), figure


def test_where_people_run_out_figures_are_bounded_by_what_was_known_before():
    noise = laplace(Fraction(1))
    cells = np.array([[0, 400], [0, 200], [3, 2], [0, 0]], dtype=float)
    found = decoded(table_of((7, 14, 28), causes=0), cells, noise)
    known, bounded = found["surviving_at_14"], found["surviving_at_28"]
    assert known.estimate == pytest.approx(5 / 605)
    assert (bounded.low, bounded.high) == (0, known.high)
    assert np.isnan(bounded.standard_error)
    assert bounded.coverage == 0.95
    assert found["restricted_mean"].high < 28
    ways = decoded(table_of((7, 14, 28), causes=1), np.insert(cells, 2, 0, axis=1), noise)
    low, high = ways["cumulative_way_0_at_14"], ways["cumulative_way_0_at_28"]
    assert high.low == pytest.approx(low.low)
    assert high.high >= low.high


def test_nothing_is_said_of_nobody():
    noise = laplace(Fraction(1))
    found = decoded(table_of(high=200), drawn(noise, (6, 4), 9), noise)
    said = {name: (cell.low, cell.high, cell.coverage) for name, cell in found.items() if name != "started"}
    shares = {name for name in said if "_at_" in name}
    assert {said[name] for name in shares} == {(0, 1, 1)}
    assert said["median"] == (3.5, 200, 1)
    assert said["restricted_mean"] == (3.5, 112, 1)
    exact = decoded(table_of(), np.zeros((6, 4)), noise)
    assert np.isnan(exact["surviving_at_7"].estimate)
    assert np.isnan(exact["median"].estimate)


def test_a_median_that_is_not_reached_is_after_the_last_edge():
    cells = cells_of(people(3000, 10, mean=500), EDGES, 3)
    found = decoded(table_of(high=365), cells, laplace(Fraction(1)))["median"]
    assert np.isnan(found.estimate)
    assert (found.low, found.high) == (112, 365)


def test_estimates_of_exact_counts_do_not_hang_on_the_noise():
    # A council sees its own figures by the same decoder, whatever noise the answer carries.
    cells = cells_of(people(60, 11), EDGES, 3)
    little, much = (decoded(table_of(), cells, laplace(epsilon)) for epsilon in (Fraction(10), Fraction(1, 50)))
    for name in little:
        assert little[name].estimate == pytest.approx(much[name].estimate, nan_ok=True)


def test_the_first_way_that_is_true_counts_and_an_unknown_one_does_not(tmp_path):
    ways = (
        Named(name="other_way", where=Not(condition=Equals(column="relief_end_reason", value="secured"))),
        Named(name="either", where=In(column="relief_end_reason", values=("secured", "withdrew"))),
        Named(name="unsaid", where=Equals(column="relief_end_reason", value="not_known")),
    )
    table = replace(table_of((7,), causes=0), conditions=ways)
    ending = ("withdrew", "secured", "not_known", "not_known")
    rows = [
        {
            "household": f"H{place}",
            "assessment_date": QUARTER.start,
            "relief_start": QUARTER.start,
            "relief_end": None if place == 3 else QUARTER.start,
            "relief_end_reason": reason,
        }
        for place, reason in enumerate(ending)
    ]
    (found,) = node_vectors(tmp_path, rows, question(table))
    assert np.array(found).reshape(3, 5).tolist() == [[0] * 5, [0, 0, 1, 1, 1], [1, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"measures": (Measured(measure=Value(column="dependent_children_n"), low=0, high=112),)}, "must count days"),
        (
            {"measures": (Measured(measure=Days(start="relief_start", end="relief_end"), low=0, high=112),)},
            "must count days",
        ),
        ({"edges": (0, 7)}, "from day 1"),
        ({"edges": (7, 400)}, "last edge"),
        ({"edges": ()}, "takes from 1 to 104 edges"),
        ({"conditions": (Named(name="other", where=Equals(column="main_sex", value="male")),)}, "'other'"),
    ],
)
def test_tables_it_cannot_give_are_refused(fields, words):
    with pytest.raises(QueryError, match=words):
        survival.check(replace(table_of(), **fields), case_dataset())


def test_a_layout_prints_figures_inside_the_breakdowns():
    table = table_of((7,), causes=1)
    layout = layout_of(table, question(table))
    assert isinstance(layout, Layout)
    assert layout.shape == (3, 3)
    assert layout.axes[0].labels == ("before the start", "0 to 6", "7 and over")
    assert layout.axes[1].labels == ("not ended", "other", "way 0")
