"""Printed figures follow from the noisy figure alone; the unrounded one stays in the file."""

import csv
import io

import pytest

from federated.presentation import CONFIDENTIAL, NOT_AVAILABLE, UNRELIABLE, margin, presented
from federated.release import CellRecord, MeasureRecord, TableRecord


def cell(estimate, half=1.0):
    middle = 0.0 if estimate is None else estimate
    return CellRecord(
        codes=(), estimate=estimate, standard_error=1.0, low=middle - half, high=middle + half, coverage=0.95
    )


def table_of(statistic, level="all", lowest=0, caveat=""):
    measures = (MeasureRecord(what="x", clip=(lowest, 60)),)
    return TableRecord.model_construct(statistic=statistic, level=level, measures=measures, caveat=caveat)


@pytest.mark.parametrize(
    ("estimate", "half", "statistic", "level", "national", "printed"),
    [
        (1234.0, 3, "households", "all", True, "1,230"),
        (1234.0, 3, "households", "all", False, "1,235"),
        (1234.0, 3, "households", "region", False, "1,230"),
        (9.9, 0.1, "households", "all", True, CONFIDENTIAL),
        (-3.0, 3, "rows", "all", True, CONFIDENTIAL),
        (-3.0, 0.1, "sum", "all", True, "0"),
        (100.0, 21, "households", "all", True, f"100 {UNRELIABLE}"),
        (100.0, 20, "households", "all", True, "100"),
        (None, 3, "mean", "all", True, NOT_AVAILABLE),
        (1.256, 0.1, "mean", "all", True, "1.26"),
    ],
)
def test_a_figure_is_printed_by_these_rules(estimate, half, statistic, level, national, printed):
    assert presented(table_of(statistic, level), cell(estimate, half), national=national) == printed


@pytest.mark.parametrize(
    ("lowest", "estimate", "printed"),
    [(-60, -500.0, "-500"), (-60, -503.0, "-505"), (-60, -0.4, f"0 {UNRELIABLE}"), (0, -500.0, "0")],
)
def test_a_sum_is_below_zero_where_its_bounds_are_and_only_there(lowest, estimate, printed):
    assert presented(table_of("sum", lowest=lowest), cell(estimate), national=False) == printed


def test_a_count_is_not_below_zero_whatever_its_bounds():
    assert presented(table_of("distribution", lowest=-60), cell(-500.0), national=True) == CONFIDENTIAL


def test_the_margin_is_half_the_interval():
    assert margin(cell(5.0, 2.5)) == 2.5


def test_negative_estimates_stay_in_the_file():
    from federated.outputs.csv_table import table_csv
    from federated.release import Release

    table = TableRecord.model_construct(name="t", statistic="households", level="all", axes=(), cells=(cell(-3.0),))
    release = Release.model_construct(period="2025-01-01/2025-03-31", level_label="England", tables=(table,))
    (row,) = csv.DictReader(io.StringIO(table_csv(release, table)))
    assert row["estimate"] == "-3"
    assert row["presented"] == CONFIDENTIAL


def test_a_chart_keeps_its_scale_where_nothing_is_said():
    from federated.outputs.chart import chart
    from federated.release import AxisRecord, Release

    axis = AxisRecord(name="figure", codes=("a", "b"), labels=("First", "Second"))
    cells = (
        CellRecord(codes=("a",), estimate=0.5, standard_error=0.1, low=0.3, high=0.7, coverage=0.95),
        CellRecord(codes=("b",), estimate=None, standard_error=None, low=-1e9, high=1e9, coverage=1.0),
    )
    release = Release.model_construct(title="R", level_label="England", note="N", period="2025-01-01/2025-03-31")
    table = TableRecord.model_construct(name="t", title="T", statistic="mean", level="all", axes=(axis,), cells=cells)
    picture = chart(release, table)
    assert "First" in picture
    assert "0.7" in picture
    assert "1,000,000,000" not in picture
    assert "<svg" in chart(release, table.model_copy(update={"cells": cells[1:]}))
