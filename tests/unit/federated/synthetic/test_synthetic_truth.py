"""The true answer to a question, on a few records that can be counted by eye, then against the published figures."""

from datetime import date
from fractions import Fraction

import numpy as np
import pytest

from federated.query import (
    And,
    Between,
    DatePart,
    Dimension,
    Equals,
    In,
    Level,
    Not,
    Or,
    Period,
    Table,
    Unknown,
    measured,
)
from federated.schema import load_schema
from federated.synthetic import (
    PUBLISHED_QUARTER,
    TIDY,
    Cases,
    published_marginal,
    synthesise,
    true_table,
    write_extract,
)
from federated.synthetic.truth import meets

QUARTER = PUBLISHED_QUARTER
NORTH_EAST = [council.id for council in load_schema().councils.values() if council.region == "E12000001"]
FIELDS = ("household_key", "assessment_date", "application_date", "household_type", "dependent_children_n", "opted_out")
ROWS = (
    ("h1", "2025-01-02", "2024-12-20", "single_parent_male", "2", "no"),
    ("h1", "2025-01-02", "2024-12-20", "single_parent_male", "2", "no"),  # the same row again
    ("h1", "2025-03-31", "2025-03-01", "single_parent_male", "3", "no"),
    ("h2", "2025-02-10", "2025-02-01", "single_adult_male", "0", "no"),
    ("h3", "2024-12-31", "2024-12-01", "single_adult_male", "0", "no"),  # the day before
    ("h4", "2025-04-01", "2025-03-01", "single_adult_male", "0", "no"),  # the day after
    ("h5", "2025-01-01", "", "not_known", "", "no"),
    ("h6", "2025-01-09", "2025-01-09", "single_adult_male", "0", "yes"),
    ("h6", "2025-01-10", "2025-01-10", "single_adult_male", "0", "no"),  # the household objects in another row
    ("h7", "", "2025-01-01", "single_adult_male", "0", "no"),  # no readable date
)


def small(council="E06000001", rows=ROWS):
    columns = {name: np.array(texts) for name, texts in zip(FIELDS, zip(*rows, strict=True), strict=True)}
    columns["case_key"] = np.array([f"{row[0]}-{row[1]}" for row in rows])
    return Cases(council=council, period=QUARTER, columns=columns, imputed=())


def answer(*, where=None, cases=None, period=QUARTER, **table):
    recorded = [small()] if cases is None else cases
    return true_table(recorded, Table(name="t", **table), period, where)


BY_TYPE = (Dimension(column="household_type"),)


def test_households_are_counted_once_each():
    expected = {("single_parent_male",): 1, ("single_adult_male",): 1, ("not_known",): 1}
    assert answer(statistic="households", by=BY_TYPE) == expected
    assert answer(statistic="households") == {(): 3}


def test_rows_count_a_repeated_row_once():
    expected = {("single_parent_male",): 2, ("single_adult_male",): 1, ("not_known",): 1}
    assert answer(statistic="rows", by=BY_TYPE) == expected


def test_sums_clip_the_households_total_and_leave_unknown_numbers_out():
    def children(low, high):
        return (measured("dependent_children_n", low, high),)

    sums = {("single_parent_male",): 5, ("single_adult_male",): 0}
    assert answer(statistic="sum", measures=children(0, 6), by=BY_TYPE) == sums
    held = {("single_parent_male",): 4, ("single_adult_male",): 1}
    assert answer(statistic="sum", measures=children(1, 4), by=BY_TYPE) == held
    assert answer(statistic="mean", measures=children(0, 6)) == {(): Fraction(5, 2)}


def test_derived_columns_and_regions():
    by = (Dimension(column="household_with_children"),)
    two = [small(), small("E09000001")]
    expected = {
        (region, code): 1
        for region in ("E12000001", "E12000007")
        for code in ("with_children", "without_children", "not_known")
    }
    assert answer(statistic="households", by=by, level=Level.REGION, cases=two) == expected


def test_the_same_reference_in_two_councils_is_two_households():
    assert answer(statistic="households", cases=[small(), small("E06000002")]) == {(): 6}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (DatePart.MONTH, {("2025-01",): 2, ("2025-02",): 1, ("2025-03",): 1}),
        (DatePart.QUARTER, {("2025-Q1",): 3}),
        (DatePart.YEAR, {("2025",): 3}),
    ],
)
def test_dates_are_cut_into_periods(part, expected):
    assert answer(statistic="households", by=(Dimension(column="assessment_date", part=part),)) == expected


def test_other_dates_outside_the_period_or_unknown_are_not_known():
    by = (Dimension(column="application_date", part=DatePart.MONTH),)
    assert answer(statistic="households", by=by) == {("not_known",): 2, ("2025-02",): 1, ("2025-03",): 1}


@pytest.mark.parametrize(
    ("where", "households"),
    [
        (Equals(column="household_type", value="not_known"), 1),
        (In(column="household_type", values=("single_parent_male", "single_adult_male")), 2),
        (Not(condition=Equals(column="household_type", value="single_adult_male")), 2),
        (Between(column="dependent_children_n", low="3", high="6"), 1),
        (Equals(column="dependent_children_n", value="0"), 1),
        (Between(column="assessment_date", low="2025-02-10", high="2025-02-10"), 1),
        (Unknown(column="dependent_children_n"), 1),
        (Not(condition=Unknown(column="dependent_children_n")), 2),
        (
            And(
                conditions=(
                    Equals(column="household_type", value="single_parent_male"),
                    Equals(column="dependent_children_n", value="0"),
                )
            ),
            0,
        ),
        (
            Or(
                conditions=(
                    Equals(column="household_type", value="single_parent_male"),
                    Equals(column="dependent_children_n", value="0"),
                )
            ),
            2,
        ),
    ],
)
def test_conditions(where, households):
    assert answer(statistic="households", where=where).get((), 0) == households


def test_an_unknown_number_meets_neither_a_condition_nor_its_opposite():
    unknown = {"dependent_children_n": "", "household_type": "not_known"}
    few = Between(column="dependent_children_n", low="0", high="2")
    other = Equals(column="household_type", value="not_known")
    assert meets(unknown, few) is None
    assert meets(unknown, Unknown(column="dependent_children_n")) is True
    assert meets(unknown, Not(condition=few)) is None
    assert meets(unknown, And(conditions=(few, other))) is None
    assert meets(unknown, And(conditions=(few, Not(condition=other)))) is False
    assert meets(unknown, Or(conditions=(few, other))) is True
    assert meets(unknown, Or(conditions=(few, Not(condition=other)))) is None
    owed = answer(statistic="households", where=Not(condition=few))
    assert owed == {(): 1}


def test_numbers_compare_as_numbers():
    record = {"dependent_children_n": "10"}
    assert meets(record, Between(column="dependent_children_n", low="2", high="12")) is True


def test_tidy_extracts_of_the_north_east_add_up_to_the_published_figures(tmp_path):
    recorded = [write_extract(synthesise(council, 3), tmp_path / "x.csv", seed=3, mess=TIDY) for council in NORTH_EAST]
    owed = In(column="assessment_outcome", values=("prevention_owed", "relief_owed"))
    for name in ("reason_loss", "main_age_band", "main_ethnic_group_6"):
        table = Table(name="t", statistic="households", by=(Dimension(column=name),))
        truth = true_table(recorded, table, QUARTER, owed)
        marginals = [published_marginal(name, council) for council in NORTH_EAST]
        expected = {(code,): sum(marginal[code] for marginal in marginals) for code in marginals[0]}
        assert truth == {cell: figure for cell, figure in expected.items() if figure}


def test_the_usual_mess_moves_the_truth_a_little(tmp_path):
    recorded = [write_extract(synthesise(council, 3), tmp_path / "x.csv", seed=3) for council in NORTH_EAST]
    table = Table(name="t", statistic="households")
    truth = true_table(recorded, table, QUARTER)[()]
    marginal = sum(sum(published_marginal("assessment_outcome", council).values()) for council in NORTH_EAST)
    assert 0.98 * marginal < truth < marginal


def test_repeat_households_are_one_over_two_quarters():
    cases = synthesise("E08000021", 3)
    half_year = Period(column="assessment_date", start=date(2024, 10, 1), end=QUARTER.end)
    households = answer(statistic="households", cases=[cases], period=half_year)[()]
    rows = answer(statistic="rows", cases=[cases], period=half_year)[()]
    assert households < rows
