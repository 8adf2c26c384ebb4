"""Shares: of the right whole, with intervals that hold the truth as often as declared, sparse cells included."""

import numpy as np
import pytest

from federated.analysis import noisy_table
from federated.analysis.null_law import noise_draws
from federated.analysis.share import pair_law, share
from federated.errors import QueryError
from federated.query import Dimension, Table, measured
from federated.schema import load_schema
from federated.statistics.share_interval import share_intervals
from tests.unit.federated.analysis.releases import LAWS, again, errors_off, narrowed, planned, released

SCHEMA = load_schema()
BY = {name: Dimension(column=name) for name in ("assessment_outcome", "main_sex")}
OUTCOMES, SEXES = (len(SCHEMA.dataset("case").column(name).codes) for name in BY)
ONE = Table(name="t", statistic="households", by=(BY["assessment_outcome"],))
TWO = Table(name="t", statistic="households", by=tuple(BY.values()))
SKEWED = np.array([900, 400, 30, 2, 0, 1, 5, 70])[:OUTCOMES]


def table(*tables, truth=SKEWED, exact=False, **changes):
    return noisy_table(released(planned(*(tables or (ONE,)), **changes), {"t": truth}, exact=exact), "t")


def test_shares_of_the_whole_table_add_up():
    found = share(table(exact=True))
    assert [cell.estimate for cell in found.cells] == pytest.approx(100 * SKEWED / SKEWED.sum())
    assert all(cell.low <= cell.estimate <= cell.high for cell in found.cells)


def test_shares_along_an_axis_add_up_within_each_category_of_the_others():
    truth = np.arange(1, OUTCOMES * SEXES + 1).reshape(OUTCOMES, SEXES) * 10
    found = share(table(TWO, truth=truth, exact=True), ["main_sex"])
    values = np.array([cell.estimate for cell in found.cells]).reshape(OUTCOMES, SEXES)
    assert values == pytest.approx(100 * truth / truth.sum(axis=1, keepdims=True))
    other = share(table(TWO, truth=truth, exact=True), ["assessment_outcome"])
    values = np.array([cell.estimate for cell in other.cells]).reshape(OUTCOMES, SEXES)
    assert values.sum(axis=0) == pytest.approx(100)


@pytest.mark.parametrize(
    ("source", "along", "said"),
    [
        (table, ["sex"], "no axis 'sex'"),
        (lambda: table(Table(name="t", statistic="households"), truth=[5]), [], "at least two categories"),
        (
            lambda: table(
                Table(name="t", statistic="sum", measures=(measured("dependent_children_n", -1, 6),), by=ONE.by)
            ),
            [],
            "below zero",
        ),
    ],
)
def test_what_has_no_shares_is_refused(source, along, said):
    with pytest.raises(QueryError, match=said):
        share(source(), along)


def test_a_household_counted_several_times_is_said():
    several = Table(name="t", statistic="households", by=ONE.by, max_cells=3)
    assert any("up to 3 times" in note for note in share(table(several)).notes)
    assert not any("times" in note for note in share(table()).notes)


def test_nothing_is_said_where_there_is_only_noise():
    cells = share(table(truth=np.zeros(OUTCOMES, dtype=int), exact=True)).cells
    assert {(cell.estimate, cell.low, cell.high, cell.coverage) for cell in cells} == {(None, 0, 100, 1)}


CASES = {
    "skewed": SKEWED,
    "sparse": np.array([60, 12, 4, 1, 0, 0, 1, 0])[:OUTCOMES],
    "even": np.full(OUTCOMES, 300),
}


@pytest.mark.drawn(3)
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("case", CASES)
def test_shares_hold_the_truth_as_often_as_declared(law, case):
    mechanism, epsilon = LAWS[law]
    truth = CASES[case]
    source = table(mechanism=mechanism, epsilon=epsilon)
    rng = np.random.default_rng(80)
    cells = share(again(source, truth, 800, rng), ["assessment_outcome"]).cells
    truths = np.tile(100 * truth / truth.sum(), 800)
    assert all(cell.coverage >= 0.95 for cell in cells)
    assert abs(errors_off(cells, truths)) < 4
    assert errors_off([narrowed(cell) for cell in cells], truths) < -4


@pytest.mark.drawn(4)
@pytest.mark.parametrize("share_of_whole", [0.0, 0.1, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("times", [0.7, 1.3, 2.0])
def test_near_the_limit_shares_stay_within_what_is_documented(share_of_whole, times):
    law = table(epsilon=LAWS["Laplace, 1/4"][1]).law
    rest = law.of_cells(9)
    pair = pair_law(law, rest)
    limit = pair.distance(np.array([0.0, 1.0]), 0.95).max() / max(share_of_whole, 1 - share_of_whole)
    part, other = (round(times * limit * factor) for factor in (share_of_whole, 1 - share_of_whole))
    rng = np.random.default_rng(5)
    noisy = (part + noise_draws(law, (3000,), rng), other + noise_draws(rest, (3000,), rng))
    found = share_intervals(pair, *(sums.astype(float) for sums in noisy), coverage=0.95)
    held = np.mean((found.low <= part / (part + other)) & (part / (part + other) <= found.high))
    spread = 4 * np.sqrt(0.95 * 0.05 / 3000)
    assert held >= 0.95 - spread
    assert found.coverage.mean() - held < 0.03 + spread
