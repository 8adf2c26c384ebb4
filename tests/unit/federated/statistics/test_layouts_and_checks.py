"""Cells of a table: public, closed and in order; and what a table may not ask for."""

from datetime import date

import pytest

from federated.errors import QueryError
from federated.query import DatePart, Dimension, Level, Period, Table
from federated.statistics import STATISTICS, statistic
from tests.spec.council import QUARTER, REGIONS, case_dataset, layout_of, question


def axis_of(dimension, period):
    asked = question(Table(name="t", statistic="households", by=(dimension,)), period=period)
    (axis,) = layout_of(asked.tables[0], asked).axes
    return axis


def test_region_comes_first_then_breakdowns_as_written():
    by = (Dimension(column="main_sex"), Dimension(column="assessment_date", part=DatePart.MONTH))
    table = Table(name="t", statistic="mean", by=by, level=Level.REGION, column="dependent_children_n", clip=(0, 6))
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


SUM = {"statistic": "sum", "column": "dependent_children_n", "clip": (0, 6)}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"statistic": "households", "column": "dependent_children_n"}, "no column"),
        ({"statistic": "rows", "clip": (0, 1)}, "no clip"),
        ({"statistic": "households", "max_cells": 2}, "one cell only"),
        ({**SUM, "max_cells": 2}, "one cell only"),
        ({**SUM, "column": None}, "needs 'column'"),
        ({**SUM, "clip": None}, "needs 'clip'"),
        ({**SUM, "column": "main_sex"}, "not a whole number"),
        ({**SUM, "clip": (3, 3)}, "rise"),
        ({**SUM, "clip": (0, 2_000_000)}, "1,000,000"),
        ({**SUM, "statistic": "mean", "clip": (6, 0)}, "rise"),
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
    measure = {"column": "dependent_children_n", "clip": (0, 6)} if code in {"sum", "mean"} else {}
    statistic(code).check(Table(name="t", statistic=code, **measure), case_dataset())
    by = (Dimension(column="main_sex"),)
    statistic(code).check(Table(name="t", statistic=code, by=by, max_cells=2, **measure), case_dataset())


def test_an_unknown_statistic_is_answered_with_the_known_ones():
    with pytest.raises(QueryError) as caught:
        statistic("median")
    assert "households, rows, sum, mean" in caught.value.diagnostics()
