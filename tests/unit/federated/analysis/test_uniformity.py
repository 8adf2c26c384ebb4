"""The test of a pattern: rarely wrong about an even one, whatever the budget and size; sees an uneven one; counts clumps."""

from dataclasses import replace
from datetime import date
from math import sqrt

import numpy as np
import pytest

from federated.analysis import noisy_table
from federated.analysis.expected_shares import by_days, equal, from_figures
from federated.analysis.null_law import in_blocks, noise_draws, p_value
from federated.analysis.uniformity import uniformity
from federated.errors import FileProblem, QueryError
from federated.query import DatePart, Dimension, Level, Period, Table, measured
from tests.unit.federated.analysis.releases import LAWS, errors_off, narrowed, planned, quarter, released

TIMES, DRAWS = 240, 199
WEEK = (Dimension(column="weekday"), Dimension(column="time_block"))
PERIOD = Period(column="at", start=date(2025, 1, 1), end=date(2025, 3, 31))


def events(max_cells=1, **changes):
    table = Table(name="t", statistic="rows", by=WEEK, max_cells=max_cells)
    plan = planned(table, dataset="event", period=PERIOD, **changes)
    return noisy_table(released(plan, {"t": np.zeros((8, 7), dtype=int)}), "t")


def months(**changes):
    table = Table(name="t", statistic="households", by=(Dimension(column="assessment_date", part=DatePart.MONTH),))
    return noisy_table(released(planned(table, period=quarter(2025), **changes), {"t": [0, 0, 0]}), "t")


def filled(source, counts, rng):
    """The table with these counts in its known cells, and fresh noise of its own law in all."""
    truth = np.zeros(source.steps.shape, dtype=np.int64)
    truth[tuple(slice(0, size) for size in counts.shape)] = counts
    return replace(source, steps=truth * source.law.scale + noise_draws(source.law, truth.shape, rng))


def rejected(source, shares, households, *, clump=1, expected=equal, times=TIMES, seed=4):
    """Share of tables in which the test finds a pattern at 5%, households falling by these shares."""
    rng = np.random.default_rng(seed)
    found = 0
    for number in range(times):
        counts = clump * rng.multinomial(households // clump, shares.ravel()).reshape(shares.shape)
        made = uniformity(filled(source, counts, rng), expected=expected, seed=number, draws=DRAWS)
        found += made.finding("p_value") <= 0.05
    return found / times


TOO_OFTEN = 0.05 + 4 * sqrt(0.05 * 0.95 / TIMES)
EVEN = np.full((7, 6), 1 / 42)


@pytest.mark.drawn(2)
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("households", [0, 40, 3000])
def test_an_even_pattern_is_called_uneven_no_more_than_one_time_in_twenty(law, households):
    mechanism, epsilon = LAWS[law]
    assert rejected(events(mechanism=mechanism, epsilon=epsilon), EVEN, households) < TOO_OFTEN


@pytest.mark.drawn(1)
@pytest.mark.parametrize("law", LAWS)
def test_a_pattern_by_days_of_the_month_is_called_another_no_more_than_one_time_in_twenty(law):
    mechanism, epsilon = LAWS[law]
    by_month = np.array([31, 28, 31]) / 90
    assert rejected(months(mechanism=mechanism, epsilon=epsilon), by_month, 60_000, expected=by_days) < TOO_OFTEN
    # The same tables held against equal shares are far off: the days matter.
    assert rejected(months(mechanism=mechanism, epsilon=epsilon), by_month, 60_000, times=20) == 1


def test_the_size_is_used_up_where_noise_is_small():
    # A test that never finds anything would be valid too.
    assert rejected(months(epsilon=LAWS["Laplace, 1"][1]), np.full(3, 1 / 3), 900) > 0.01


def test_a_null_law_without_the_releases_noise_is_seen_to_be_wrong(monkeypatch):
    source = events(epsilon=LAWS["Laplace, 1/4"][1])
    monkeypatch.setattr(
        "federated.analysis.uniformity.noise_draws", lambda law, shape, rng: np.zeros(shape, dtype=np.int64)
    )
    assert rejected(source, EVEN, 40, times=60) > 0.9


WEEKENDS = np.repeat([[1.0]] * 5 + [[1.6]] * 2, 6, axis=1)


@pytest.mark.parametrize("law", LAWS)
def test_a_pattern_that_is_there_is_found(law):
    mechanism, epsilon = LAWS[law]
    source = events(mechanism=mechanism, epsilon=epsilon)
    assert rejected(source, WEEKENDS / WEEKENDS.sum(), 6000, times=60) > 0.9


def test_the_power_told_is_the_power_there_is():
    source = events(epsilon=LAWS["Laplace, 1/4"][1])
    swung = (EVEN.ravel() * (1 + 0.2 * np.where(np.arange(42) % 2, -1, 1))).reshape(7, 6)
    rng = np.random.default_rng(3)
    counts = rng.multinomial(900, EVEN.ravel()).reshape(7, 6)
    told = uniformity(filled(source, counts, rng), draws=3999).finding("power_at_20_per_cent")
    found = rejected(source, swung / swung.sum(), 900)
    assert 0.1 < told < 0.95
    assert abs(found - told) < 0.02 + 4 * sqrt(told * (1 - told) / TIMES)


def test_contributions_that_fall_together_do_not_make_a_pattern():
    assert rejected(events(max_cells=5), EVEN, 3000, clump=5) < TOO_OFTEN
    # The same tables read as if each household were there once.
    several = events(max_cells=5)
    once = replace(several, table=several.table.model_copy(update={"max_cells": 1}))
    assert rejected(once, EVEN, 3000, clump=5, times=60) > 0.5


def test_pairs_of_cells_that_go_together_do_not_make_a_pattern():
    # Two different cells for each household, always the same two: what `households` with max_cells 2 allows.
    source = events(max_cells=2)
    rng = np.random.default_rng(6)
    found = 0
    for number in range(TIMES):
        pairs = rng.multinomial(1500, np.full(21, 1 / 21))
        made = uniformity(filled(source, np.repeat(pairs, 2).reshape(7, 6), rng), seed=number, draws=DRAWS)
        found += made.finding("p_value") <= 0.05
    assert found / TIMES < TOO_OFTEN


def test_the_same_seed_gives_the_same_figures_and_several_times_are_said():
    rng = np.random.default_rng(1)
    source = filled(events(max_cells=3), 3 * rng.multinomial(150, EVEN.ravel()).reshape(7, 6), rng)
    one, other = (uniformity(source, seed=5, draws=999) for _ in range(2))
    assert one == other
    assert uniformity(source, seed=6, draws=999).finding("p_value") != one.finding("p_value")
    assert "in the table 3 times" in one.notes[0]
    assert "999 times with seed 5" in one.notes[1]
    error = one.finding("p_value_standard_error")
    assert error == pytest.approx(p_value(0.0, np.zeros(0)).standard_error + error)


def test_not_known_is_no_part_of_a_pattern():
    counts = np.full((7, 6), 50)
    source = events()
    truth = np.zeros((8, 7), dtype=np.int64)
    truth[:7, :6] = counts
    truth[7, :] = truth[:, 6] = 4000
    made = uniformity(replace(source, steps=truth), draws=399)
    assert len(made.cells) == 42
    assert {cell.estimate for cell in made.cells} == {0}
    assert made.finding("p_value") > 0.9


def test_axes_not_named_are_added_up_with_their_noise():
    source = events()
    truth = np.arange(56).reshape(8, 7) * 10
    made = uniformity(replace(source, steps=truth), ["weekday"], draws=399)
    by_day = truth[:7].sum(axis=1)
    assert [cell.estimate for cell in made.cells] == pytest.approx(by_day - by_day.mean())
    assert made.cells[0].standard_error == pytest.approx(source.law.sd * sqrt(7) * sqrt(6 / 7))


def test_regions_are_added_up():
    table = Table(name="t", statistic="households", by=(Dimension(column="main_sex"),), level=Level.REGION)
    source = noisy_table(released(planned(table), {"t": [[5, 5, 5]]}), "t")
    assert [axis.name for axis in uniformity(source, draws=99).axes] == ["main_sex"]


@pytest.mark.parametrize("law", LAWS)
def test_departures_hold_those_of_the_counts_as_often_as_declared(law):
    mechanism, epsilon = LAWS[law]
    source = events(mechanism=mechanism, epsilon=epsilon)
    rng = np.random.default_rng(8)
    cells, truths = [], []
    for _ in range(60):
        counts = rng.multinomial(300, WEEKENDS.ravel() / WEEKENDS.sum()).reshape(7, 6)
        cells += uniformity(filled(source, counts, rng), draws=99).cells
        truths += (counts - counts.sum() / 42).ravel().tolist()
    # The truth of a departure may be on the edge of its interval to the last bit.
    truths = [
        min(max(t, c.low), c.high) if min(abs(t - c.low), abs(t - c.high)) < 1e-9 else t
        for t, c in zip(truths, cells, strict=True)
    ]
    assert abs(errors_off(cells, truths)) < 4
    assert errors_off([narrowed(cell) for cell in cells], truths) < -4


# Expected shares


def test_days_of_months_and_of_weekdays_are_those_of_the_calendar():
    assert by_days(months(), months().table.axes) == pytest.approx(np.array([31, 28, 31]) / 90)
    week = by_days(events(), events().table.axes)
    assert week.shape == (7, 6)
    assert week[:, 0] * 6 * 90 == pytest.approx([13, 12, 13, 13, 13, 13, 13])  # 1 January 2025 was a Wednesday
    assert np.ptp(week, axis=1) == pytest.approx(0)


def test_a_month_of_which_the_period_has_a_part_has_fewer_days():
    table = Table(name="t", statistic="households", by=(Dimension(column="assessment_date", part=DatePart.MONTH),))
    period = Period(column="assessment_date", start=date(2025, 1, 22), end=date(2025, 2, 10))
    source = noisy_table(released(planned(table, period=period), {"t": [0, 0]}), "t")
    assert by_days(source, source.table.axes) == pytest.approx([0.5, 0.5])


def test_public_figures_give_the_shares_of_one_axis():
    source = months()
    by_code = {"2025-01": 1, "2025-02": 1, "2025-03": 2}
    assert from_figures(by_code, "x.csv")(source, source.table.axes) == pytest.approx([0.25, 0.25, 0.5])
    with pytest.raises(FileProblem, match="one figure for each category"):
        from_figures({"2025-01": 1}, "x.csv")(source, source.table.axes)
    with pytest.raises(FileProblem, match="of one axis"):
        from_figures(by_code, "x.csv")(events(), events().table.axes)


def other_dates():
    by = Dimension(column="prevention_end", part=DatePart.MONTH)
    table = Table(name="t", statistic="households", by=(by,))
    return noisy_table(released(planned(table, period=quarter(2025)), {"t": [0, 0, 0, 0]}), "t")


def one_region():
    table = Table(name="t", statistic="households", level=Level.REGION)
    return noisy_table(released(planned(table), {"t": [0]}), "t")


def sums():
    table = Table(
        name="t",
        statistic="sum",
        measures=(measured("dependent_children_n", 0, 6),),
        by=(Dimension(column="main_sex"),),
    )
    return noisy_table(released(planned(table), {"t": [0, 0, 0]}), "t")


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        (sums, {}, "holds sums"),
        (one_region, {}, "fewer than two known categories"),
        (events, {"along": ["day"]}, "no axis 'day'"),
        (events, {"along": ["time_block"], "expected": by_days}, "exactly one axis of dates"),
        (other_dates, {"expected": by_days}, "not those of the question's period"),
        (events, {"draws": 98}, "at least 99 draws"),
        (events, {"seed": -1}, "not below 0"),
    ],
)
def test_what_cannot_be_tested_is_refused(source, options, said):
    with pytest.raises(QueryError, match=said):
        uniformity(source(), **options)


def test_a_simulation_in_blocks_has_every_draw():
    assert in_blocks(10, 300_000) == [3, 3, 3, 1]
    assert in_blocks(2, 5_000_000) == [1, 1]
    assert in_blocks(9_999, 7) == [9_999]
