"""Pathways: rows followed one by one, shares of several noisy numbers, and what is refused."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest

from federated.errors import QueryError
from federated.query import Dimension, Equals, Named, Table
from federated.statistics import Axis, pathway, statistic
from federated.statistics.share_interval import PairLaw, share_intervals
from tests.spec.council import QUARTER, case_dataset, layout_of, node_vectors, question
from tests.spec.statistics.pathway import STAGES
from tests.unit.federated.statistics.budgets import NOISES, coverage_found, drawn, laplace

REACHED = {
    "section21_notice": "yes",
    "la_referral_received": "yes",
    "review_requested": "yes",
    "main_duty_decision": "accepted",
}
RUNS = 1500


def table_of(stages, **more):
    conditions = tuple(Named(name=name, where=where) for name, where in STAGES[:stages])
    return Table(name="t", statistic="pathway", conditions=conditions, **more)


def rows_of(marks):
    return [
        {
            "household": f"H{place}",
            "assessment_date": QUARTER.start,
            **{
                name: code if own else "no" if code == "yes" else "none"
                for own, (name, code) in zip(row, REACHED.items(), strict=True)
            },
        }
        for place, row in enumerate(marks)
    ]


def test_the_node_counts_the_steps_that_each_row_took(tmp_path):
    marks = list(product((0, 1), repeat=4))
    table = table_of(4)
    (found,) = node_vectors(tmp_path, rows_of(marks), question(table))
    steps = dict.fromkeys(layout_of(table, question(table)).blocks, 0)
    names = [name for name, _ in STAGES]
    for row in marks:
        way = [name for name, mark in zip(names, row, strict=True) if mark]
        for start, end in pairwise([*way, "no_later_stage"]):
            steps[f"{start}_to_{end}"] += 1
    assert found == list(steps.values())
    assert sum(found) == sum(map(sum, marks))


def decoded(table, numbers, noise):
    layout = layout_of(table, question(table))
    found = statistic("pathway").decode(table, layout, np.array(numbers, dtype=float), noise)
    return {cell.codes[-1]: cell for cell in found}


def test_numbers_and_shares_by_hand():
    found = decoded(table_of(3), (10, 20, 70, 30, 90, 55), laplace(Fraction(1)))
    assert {name: cell.estimate for name, cell in found.items()} == pytest.approx(
        {
            "asked_to_referred": 10,
            "asked_to_referred_share": 0.1,
            "asked_to_reviewed": 20,
            "asked_to_reviewed_share": 0.2,
            "asked_to_no_later_stage": 70,
            "asked_to_no_later_stage_share": 0.7,
            "referred_to_reviewed": 30,
            "referred_to_reviewed_share": 0.25,
            "referred_to_no_later_stage": 90,
            "referred_to_no_later_stage_share": 0.75,
            "reviewed_to_no_later_stage": 55,
        }
    )


def test_cells_of_a_breakdown_keep_their_own_numbers():
    table = table_of(2, by=(Dimension(column="main_sex"),))
    layout = layout_of(table, question(table))
    totals = np.arange(layout.cells, dtype=float) + 50
    cells = statistic("pathway").decode(table, layout, totals, laplace(Fraction(1)))
    assert len(cells) == layout.printed_cells
    first, second, third = totals.reshape(3, -1)
    for place, sex in enumerate(layout.axes[0].codes):
        own = {cell.codes[1]: cell.estimate for cell in cells if cell.codes[0] == sex}
        assert own["asked_to_referred"] == first[place]
        assert own["asked_to_referred_share"] == first[place] / (first[place] + second[place])
        assert own["referred_to_no_later_stage"] == third[place]


def runs_of(numbers, noise, seed, carried=None):
    """Many releases of one pathway of three stages; `noise` is what is said."""
    table = table_of(3)
    layout = layout_of(table, question(table))
    copies = tuple(str(number) for number in range(RUNS))
    axis = Axis(name="run", codes=copies, labels=copies)
    many = replace(layout, axes=(axis,), figures=(axis, *layout.figures))
    noisy = np.array(numbers, dtype=float)[:, None] + drawn(carried or noise, (len(numbers), RUNS), seed)
    found = statistic("pathway").decode(table, many, noisy.reshape(-1), noise)
    names = layout.figures[-1].codes
    return {name: found[place :: len(names)] for place, name in enumerate(names)}


SKEWED = (3000, 60, 0, 900, 4000, 500)


@pytest.mark.drawn(2)
@pytest.mark.parametrize("name", NOISES)
def test_skewed_shares_are_held_as_often_as_declared(name):
    noise = NOISES[name]
    numbers = tuple(round(number * max(1, noise.sd / 4)) for number in SKEWED)
    truth = decoded(table_of(3), numbers, noise)
    for figure, estimates in runs_of(numbers, noise, 21).items():
        found, error = coverage_found(estimates, truth[figure].estimate)
        # Exactly 0 is a jump of the coarse law: held more often than the shares around it, where estimates fall.
        most = 0.03 if truth[figure].estimate == 0 else 0
        assert -4 * error < found < 4 * error + most, figure


@pytest.mark.drawn(4)
@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize(
    "size", [0, 1, pytest.param(2, marks=pytest.mark.long), 4, pytest.param(8, marks=pytest.mark.long)]
)
def test_sparse_shares_keep_their_word(name, size):
    # Numbers from nothing to a few times the limit, where one is as large as all others, or is alone.
    noise = NOISES[name]
    base = size * noise.sd
    numbers = tuple(round(base * part) for part in (2, 1, 1, 0, 3, 1))
    truth = decoded(table_of(3), numbers, noise)
    for figure, estimates in runs_of(numbers, noise, 22).items():
        value = truth[figure].estimate
        if np.isnan(value):
            assert np.mean([cell.coverage == 1 for cell in estimates]) > 0.98
            continue
        found, error = coverage_found(estimates, value)
        held = np.mean([cell.low - 1e-9 <= value <= cell.high + 1e-9 for cell in estimates])
        assert held >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / RUNS), figure
        assert found > -0.025 - 4 * max(error, 0.005), figure


def test_noise_larger_than_said_is_found_by_these_runs():
    said, carried = laplace(Fraction(1, 2)), laplace(Fraction(1, 3))
    truth = decoded(table_of(3), SKEWED, said)["asked_to_referred_share"].estimate
    found, error = coverage_found(runs_of(SKEWED, said, 23, carried=carried)["asked_to_referred_share"], truth)
    assert found < -4 * error


def test_taking_the_others_for_one_number_would_be_seen():
    # Four numbers to compare with carry twice the noise of one: with the law of one, too few intervals hold the share.
    noise, truth = NOISES["gaussian, epsilon 1"], 0.9
    part = 900 + drawn(noise, RUNS, 24)
    rest = 100 + drawn(noise, (4, RUNS), 25).sum(axis=0)
    held = {}
    for others in (1, 4):
        law = PairLaw.of(*noise.pmf(), rest=others)
        found = share_intervals(law, part * noise.scale, rest * noise.scale, coverage=0.95)
        held[others] = np.mean((found.low <= truth) & (truth <= found.high))
    error = np.sqrt(0.95 * 0.05 / RUNS)
    assert abs(held[4] - 0.95) < 4 * error + 0.005
    assert held[1] < 0.95 - 10 * error


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_law_of_one_and_several_against_direct_convolution(share):
    first, probabilities = NOISES["laplace, epsilon 1"].pmf()
    several = np.convolve(np.convolve(probabilities, probabilities), probabilities)
    values, sums = first + np.arange(len(probabilities)), 3 * first + np.arange(len(several))
    figure = np.abs((1 - share) * values[:, None] - share * sums[None, :])
    joint = probabilities[:, None] * several[None, :]
    law = PairLaw.of(first, probabilities, rest=3)
    for distance in (0.0, 1.0, 3.3, 8.0, 20.0):
        exact = (joint[figure < distance - 1e-9].sum(), joint[figure <= distance + 1e-9].sum())
        found = [law.within(np.array([share]), np.array([distance]), closed=closed)[0] for closed in (False, True)]
        assert found == pytest.approx(exact, abs=1e-4)


@pytest.mark.parametrize("others", [1, 2, 5])
def test_the_shares_that_are_kept_make_one_interval(others):
    noise = NOISES["laplace, epsilon 1"]
    law = PairLaw.of(*noise.pmf(), rest=others)
    limit = 2 * law.distance(np.array([0.0, 1.0]), 0.95)
    grid = np.linspace(0, 1, 2001)
    for part, rest in ((limit[0] + 1, 0), (limit[0] + 1, -2), (2, limit[1] + 1), (50, 60), (limit[0] + 1, limit[1])):
        kept = law.within(grid, np.abs((1 - grid) * part - grid * rest), closed=False) < 0.95
        inside = grid[kept]
        assert len(inside) == round((inside[-1] - inside[0]) * 2000) + 1
        found = share_intervals(law, np.array([float(part)]), np.array([float(rest)]), coverage=0.95)
        # An end of 0 or 1 is there by one-sided deviations, which keep more.
        assert found.low[0] == 0 or abs(found.low[0] - inside[0]) < 1e-3
        assert found.high[0] == 1 or abs(found.high[0] - inside[-1]) < 1e-3


@pytest.mark.parametrize(
    ("stages", "names", "words"),
    [
        (1, None, "takes from 2 to 6 conditions"),
        (2, ("a", "no_later_stage"), "no_later_stage"),
    ],
)
def test_tables_it_cannot_give_are_refused(stages, names, words):
    table = table_of(stages)
    if names:
        table = replace(
            table, conditions=tuple(Named(name=name, where=Equals(column="main_sex", value="male")) for name in names)
        )
    with pytest.raises(QueryError, match=words):
        pathway.check(table, case_dataset())
