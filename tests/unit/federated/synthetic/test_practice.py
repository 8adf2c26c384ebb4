"""A preview's tables: the exact figures of made-up records with the noise of the plan, and nothing without an end."""

import os
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from federated.errors import QueryError
from federated.query import parse_query
from federated.synthetic import synthesise, true_table, with_journeys
from federated.synthetic.practice import MOST_NUMBERS, SEED, practise
from tests.integration.coordinator_federation import QUESTION, Federation

HEAD = QUESTION.partition("tables:")[0]


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    made = Federation(tmp_path_factory.mktemp("practice"))
    yield made
    made.store.close()


def planned(federation, text):
    return federation.plan(question=text)


def test_the_figures_are_the_truth_with_the_noise_of_the_plan(federation):
    plan = planned(federation, QUESTION)
    found = practise(plan, go_on=lambda: True, rng=os.urandom)
    cases = [with_journeys(synthesise(c, SEED, period=plan.question.period), SEED) for c in plan.eligible]
    truth = true_table(cases, plan.question.tables[0], plan.question.period)
    (table,) = found.tables
    exact = np.array([float(truth.get(cell.codes, Fraction(0))) for cell in table.cells])
    estimates = np.array([cell.estimate for cell in table.cells])
    assert exact.sum() > 1000
    assert np.abs(estimates - exact).max() < 12 * table.planned_sd
    # Two previews differ, as two answers would: the noise is drawn anew.
    again = practise(plan, go_on=lambda: True, rng=os.urandom).tables[0]
    assert [cell.estimate for cell in again.cells] != list(estimates)
    assert found.councils == tuple(sorted(plan.eligible))


@pytest.mark.parametrize(
    "table",
    [
        "{name: rows, count: rows, max_cells: 2}",
        "{name: months, count: households, by: [household_type, {column: assessment_date, part: month}]}",
    ],
)
def test_other_tables_have_a_preview_too(federation, table):
    plan = planned(federation, f"{HEAD}tables:\n  - {table}\n")
    (found,) = practise(plan, go_on=lambda: True, rng=os.urandom).tables
    assert len(found.cells) == plan.tables[0].layout.printed_cells
    assert sum(cell.estimate for cell in found.cells) > 1000


def test_a_sum_over_placements_has_one(federation):
    text = (
        HEAD.replace("dataset: case", "dataset: ta_placement").replace("assessment_date", "start")
        + "tables:\n  - {name: cost, mean: nightly_cost_gbp, clip: [0, 200], by: [ta_type], max_cells: 2}\n"
    )
    (found,) = practise(planned(federation, text), go_on=lambda: True, rng=os.urandom).tables
    assert any(20 < (cell.estimate or 0) < 120 for cell in found.cells)


def test_what_has_no_preview_is_said(federation):
    plan = planned(federation, QUESTION)
    with pytest.raises(QueryError, match="too long"):
        practise(plan, go_on=lambda: False, rng=os.urandom)
    question = parse_query(QUESTION.encode())
    for change, words in (
        ({"dataset": "rough_sleeping"}, "no made-up records"),
        ({"tables": (replace(question.tables[0], rounds=3),)}, "several rounds"),
    ):
        with pytest.raises(QueryError, match=words):
            practise(replace(plan, question=replace(question, **change)), go_on=lambda: True, rng=os.urandom)
    assert plan.cells < MOST_NUMBERS
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("federated.synthetic.practice.MOST_NUMBERS", plan.cells - 1)
        with pytest.raises(QueryError, match="at most"):
            practise(plan, go_on=lambda: True, rng=os.urandom)


def test_a_household_beyond_the_bound_is_no_silent_error(federation):
    text = HEAD.replace("dataset: case", "dataset: ta_placement").replace("assessment_date", "start")
    plan = planned(federation, f"{text}tables:\n  - {{name: stays, count: households, by: [ta_type], max_cells: 1}}\n")
    with pytest.raises(QueryError, match="more cells than a table allows"):
        practise(plan, go_on=lambda: True, rng=os.urandom)
