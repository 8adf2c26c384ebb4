"""Cells of a table: public, closed and in order; and what a table may not ask for."""

from datetime import date
from fractions import Fraction

import pytest

from federated.errors import QueryError
from federated.query import (
    And,
    DatePart,
    Days,
    Dimension,
    Equals,
    Level,
    Measured,
    Named,
    Or,
    Period,
    Points,
    Table,
    Unknown,
    Value,
    measured,
)
from federated.query.check import check_query
from federated.schema import load_schema
from federated.statistics import STATISTICS, statistic
from tests.spec.council import QUARTER, REGIONS, case_dataset, layout_of, question
from tests.spec.statistics import specifications


def axis_of(dimension, period):
    asked = question(Table(name="t", statistic="households", by=(dimension,)), period=period)
    (axis,) = layout_of(asked.tables[0], asked).axes
    return axis


def test_region_comes_first_then_breakdowns_as_written():
    by = (Dimension(column="main_sex"), Dimension(column="assessment_date", part=DatePart.MONTH))
    table = Table(
        name="t", statistic="mean", by=by, level=Level.REGION, measures=(measured("dependent_children_n", 0, 6),)
    )
    layout = layout_of(table, question(table))
    assert [axis.name for axis in layout.axes] == ["region", "main_sex", "assessment_date_month"]
    sexes = case_dataset().column("main_sex").code_list
    assert layout.shape == (len(REGIONS), len(sexes), 3)
    assert layout.categories == len(REGIONS) * len(sexes) * 3
    assert layout.cells == 2 * layout.categories
    assert layout.axes[0].labels[0] == "North East"


def test_every_code_of_a_list_is_a_category_retired_ones_too():
    column = case_dataset().column("reason_loss")
    axis = axis_of(Dimension(column="reason_loss"), QUARTER)
    assert axis.codes == column.code_list
    assert any(code.retired_from for code in column.codes)
    assert "not_known" in axis.codes


def test_no_breakdown_is_one_cell():
    table = Table(name="t", statistic="households")
    assert layout_of(table, question(table)).cells == 1


@pytest.mark.parametrize(
    ("part", "start", "end", "codes", "labels"),
    [
        (DatePart.MONTH, "2024-12-01", "2025-01-31", ("2024-12", "2025-01"), ("December 2024", "January 2025")),
        (
            DatePart.MONTH,
            "2025-01-02",
            "2025-02-27",
            ("2025-01", "2025-02"),
            ("January 2025 (part)", "February 2025 (part)"),
        ),
        (
            DatePart.QUARTER,
            "2025-01-01",
            "2025-04-01",
            ("2025-Q1", "2025-Q2"),
            ("January to March 2025", "April to June 2025 (part)"),
        ),
        (DatePart.QUARTER, "2024-10-01", "2024-12-31", ("2024-Q4",), ("October to December 2024",)),
        (DatePart.YEAR, "2024-01-01", "2025-12-30", ("2024", "2025"), ("2024", "2025 (part)")),
        (DatePart.YEAR, "9999-01-01", "9999-12-31", ("9999",), ("9999",)),
    ],
)
def test_bins_of_the_period_column_are_fixed_by_the_period(part, start, end, codes, labels):
    period = Period(column="assessment_date", start=date.fromisoformat(start), end=date.fromisoformat(end))
    axis = axis_of(Dimension(column="assessment_date", part=part), period)
    assert (axis.codes, axis.labels) == (codes, labels)


def test_another_date_has_whole_bins_and_one_for_the_rest():
    period = Period(column="assessment_date", start=date(2025, 1, 15), end=date(2025, 2, 10))
    axis = axis_of(Dimension(column="application_date", part=DatePart.MONTH), period)
    assert axis.codes == ("2025-01", "2025-02", "not_known")
    assert axis.labels[:2] == ("January 2025", "February 2025")


SEX = Equals(column="main_sex", value="male")
THREE_CONDITIONS = tuple(Named(name=name, where=SEX) for name in ("a", "b", "c"))
BELOW_ZERO = (measured("dependent_children_n", 0, 6), measured("dependent_children_n", -1, 6))
SUM = {"statistic": "sum", "measures": (measured("dependent_children_n", 0, 6),)}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({**SUM, "statistic": "households"}, "takes no measures"),
        ({"statistic": "rows", "edges": (1, 2)}, "takes no edges"),
        ({"statistic": "rows", "probabilities": (Fraction(1, 2),)}, "takes no probabilities"),
        ({"statistic": "households", "conditions": (Named(name="a", where=SEX),)}, "takes no conditions"),
        ({"statistic": "households", "max_cells": 2}, "one cell only"),
        ({**SUM, "max_cells": 2}, "one cell only"),
        ({**SUM, "measures": ()}, "takes 1 measures; it has 0"),
        ({**SUM, "statistic": "mean", "measures": SUM["measures"] * 2}, "takes 1 measures; it has 2"),
        ({**SUM, "statistic": "variance", "measures": ()}, "takes 1 measures; it has 0"),
        ({**SUM, "statistic": "variance", "max_cells": 2}, "one cell only"),
        ({"statistic": "share"}, "takes from 1 to 2 conditions; it has 0"),
        ({"statistic": "share", "conditions": THREE_CONDITIONS}, "takes from 1 to 2 conditions; it has 3"),
        ({"statistic": "missing"}, "takes from 1 to 64 conditions; it has 0"),
        ({**SUM, "statistic": "ratio"}, "takes 2 measures; it has 1"),
        ({"statistic": "ratio", "measures": SUM["measures"] * 2}, "the ratio could be anything"),
        ({**SUM, "statistic": "weighted_mean"}, "takes 2 measures; it has 1"),
        ({"statistic": "weighted_mean", "measures": BELOW_ZERO}, "has weights from -1"),
        ({**SUM, "statistic": "covariance"}, "takes 2 measures; it has 1"),
        ({**SUM, "by": (Dimension(column="main_sex"), Dimension(column="main_sex"))}, "twice"),
        ({"statistic": "rows", "by": (Dimension(column="main_sex"), Dimension(column="main_sex"))}, "twice"),
    ],
)
def test_tables_no_statistic_can_give_are_refused(fields, words):
    table = Table(name="t", **fields)
    with pytest.raises(QueryError, match=words):
        statistic(table.statistic).check(table, case_dataset())


@pytest.mark.parametrize("code", STATISTICS)
def test_ordinary_tables_are_not(code):
    (tables,) = [item.universes for item in specifications() if item.code == code]
    for universe in tables:
        statistic(code).check(universe.table, case_dataset())


def test_an_unknown_statistic_is_answered_with_the_known_ones():
    with pytest.raises(QueryError) as caught:
        statistic("median")
    assert "households, rows, sum, mean" in caught.value.diagnostics()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"edges": (1, 1)}, "do not rise"),
        ({"edges": tuple(range(1025))}, "at most 1024"),
        ({"edges": (0, 1_000_002)}, "beyond 1,000,001"),
        ({"edges": (-(2**63) + 1, 0)}, "beyond 1,000,001"),
        ({"probabilities": (Fraction(1, 2), Fraction(1, 4))}, "do not rise"),
        ({"probabilities": (Fraction(1),)}, "do not rise"),
        ({"conditions": (Named(name="a", where=SEX),) * 2}, "two conditions of one name"),
        ({"measures": SUM["measures"] * 33}, "at most 32"),
    ],
)
def test_lists_that_make_no_sense_are_refused_at_once(fields, words):
    with pytest.raises(QueryError, match=words):
        Table(name="t", statistic="households", **fields)


@pytest.mark.parametrize(("low", "high"), [(3, 3), (6, 0), (0, 2_000_000), (-1_000_001, 0)])
def test_bounds_of_a_measure_rise_and_are_not_too_wide(low, high):
    with pytest.raises(QueryError, match="1,000,000"):
        measured("dependent_children_n", low, high)


@pytest.mark.parametrize(
    ("measure", "words"),
    [
        (Value(column="main_sex"), "not a whole number"),
        (Days(start="main_sex", end="application_date"), "needs a date"),
        (Days(start="application_date", end="dependent_children_n"), "needs a date"),
        (Points(base=0, terms=((Equals(column="main_sex", value="nobody"), 1),)), "no code 'nobody'"),
        (Points(base=0, terms=((Unknown(column="main_sex"), 1),)), "'unknown' needs a date or an integer"),
        (Points(base=0, terms=((Unknown(column="household_key"), 1),)), "'unknown' needs a date or an integer"),
        (Value(column="nothing"), "no column 'nothing'"),
    ],
)
def test_measures_are_held_against_the_schema(measure, words):
    table = Table(name="t", statistic="sum", measures=(Measured(measure=measure, low=0, high=1),))
    with pytest.raises(QueryError, match=words):
        check_query(question(table), load_schema())


def test_points_are_bounded():
    with pytest.raises(QueryError, match="at most 64 terms"):
        Points(base=0, terms=((SEX, 1),) * 65)
    with pytest.raises(QueryError, match="1,000,000"):
        Points(base=1_000_001, terms=())


def test_every_column_that_a_table_reads_is_known():
    points = Points(base=0, terms=((SEX, 1),))
    days = Days(start="relief_start", end="relief_end")
    table = Table(
        name="t",
        statistic="sum",
        by=(Dimension(column="main_age_band"),),
        measures=(Measured(measure=points, low=0, high=1), Measured(measure=days, low=0, high=1)),
        conditions=(Named(name="a", where=Equals(column="household_type", value="not_known")),),
    )
    assert table.columns() == {"main_sex", "relief_start", "relief_end", "main_age_band", "household_type"}
    assert table.columns() <= question(table).columns()


@pytest.mark.parametrize("kind", [And, Or])
def test_a_condition_too_long_to_be_written_is_refused_before_the_charge(kind):
    asked = question(Table(name="t", statistic="households"), where=kind(conditions=(SEX,) * 399))
    check_query(asked, load_schema())
    longer = question(Table(name="t", statistic="households"), where=kind(conditions=(kind(conditions=(SEX,) * 399),)))
    with pytest.raises(QueryError, match="more than 400 parts"):
        check_query(longer, load_schema())
