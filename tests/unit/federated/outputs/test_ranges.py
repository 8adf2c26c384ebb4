"""Figures and their ranges as pages and files print them: a sum below zero as it is, no end that promises too much."""

import csv
import io
import json
import re
from dataclasses import replace
from html import unescape
from math import inf

import numpy as np
import pyarrow.parquet as pq
import pytest
from python_calamine import CalamineWorkbook

from council_node.page import answers as council_page
from federated.outputs.chart import chart, chart_words
from federated.outputs.formats import files_of
from federated.outputs.quotes import quote, quoted_interval
from federated.pages import renderer
from federated.pages.figures import question_of, show_records, show_table
from federated.presentation import CONFIDENTIAL, NOT_AVAILABLE, NOT_SHOWN
from federated.query import Level, Measured, Table, Value
from federated.release import AxisRecord, CellRecord, MeasureRecord, TableRecord
from federated.schema import load_schema
from tests.unit.council_node.test_page_site import get
from tests.unit.federated import planning as given
from tests.unit.federated.outputs.answers import release
from tests.unit.federated.released import councils_of, plan_for, release_of

MEASURED = Measured(measure=Value(column="dependent_children_n"), low=-60, high=60)
SUMS = Table(name="sums", statistic="sum", measures=(MEASURED,), level=Level.REGION)
BELOW = {"estimate": -500.0, "standard_error": 10.0, "low": -520.0, "high": -480.0, "coverage": 0.95}
PAGE = (
    """{% from "pages/macros.html" import figures %}{% for table in tables %}{{ figures(table, "All") }}{% endfor %}"""
)


def below_zero(lowest=-60):
    """A release of one sum by region, whose first figure is -500, give or take 20."""
    table = replace(SUMS, measures=(replace(MEASURED, low=lowest),))
    plan = plan_for(given.question(table), councils_of("E12000001", "E12000002", most=14))
    made = release_of(plan, np.full(plan.cells, 1500 * plan.scale))
    (found,) = made.tables
    first, *others = found.cells
    cells = (first.model_copy(update=BELOW), *others)
    return made.model_copy(update={"tables": (found.model_copy(update={"cells": cells}),)})


def page_of(tables):
    """The rows of a page: label, figure and range."""
    text = renderer({}).from_string(PAGE).render(tables=tables)
    rows = re.findall(r'<th scope="row"[^>]*>(.*?)</th>\s*<td[^>]*>(.*?)</td>\s*<td[^>]*>(.*?)</td>', text, re.DOTALL)
    return [tuple(unescape(part) for part in row) for row in rows]


def shown(of):
    question, schema = question_of(of), load_schema()
    return [show_table(of, question, table, schema, address="/", wanted=("", "")) for table in of.tables]


def test_a_sum_below_zero_is_printed_as_it_is_in_every_output(monkeypatch):
    of = below_zero()
    (table,) = of.tables
    assert table.may_be_negative
    assert table.measures[0].clip == (-60, 60)
    cell = table.cells[0]
    files = {made.name: made.content for made in files_of(of, ("csv", "geojson", "parquet", "ods", "html"))}
    assert next(csv.DictReader(io.StringIO(files["sums.csv"].decode())))["presented"] == "-500"
    assert json.loads(files["sums.geojson"])["features"][0]["properties"]["presented"] == "-500"
    assert pq.read_table(io.BytesIO(files["sums.parquet"])).to_pylist()[0]["presented"] == "-500"
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(files["release.ods"])).get_sheet_by_name("Table_1").to_python()
    start = next(place for place, row in enumerate(sheet) if "Figure as printed" in row)
    assert sheet[start + 1][sheet[start].index("Figure as printed")] == -500
    assert quoted_interval(table, cell) == "95% interval -520 to -480"
    assert "an estimated -500 (95% interval -520 to -480)" in quote(of, table, cell)
    assert "-500 (95% interval -520 to -480)" in chart_words(of, table)[1]
    assert "-500 (95% interval -520 to -480)" in unescape(chart(of, table))
    assert "-500</td>" in (note := files["method-note.html"].decode())
    assert "95% interval -520 to -480" in note
    label = table.axes[0].labels[0]
    assert page_of(shown(of))[0] == (label, "-500", "-520 to -480")
    assert page_of(show_records(of.tables, question_of(of), load_schema()))[0] == (label, "-500", "-520 to -480")
    _, body = get(lambda desk, asked: council_page._answer(desk, asked, of, None), monkeypatch)
    assert 'numeric">-500<' in body
    assert "-520 to -480" in body


def test_a_sum_that_cannot_be_below_zero_is_not_printed_so():
    of = below_zero(0)
    (table,) = of.tables
    assert not table.may_be_negative
    assert page_of(shown(of))[0][1:] == ("0", "0 to 0")
    assert quoted_interval(table, table.cells[0]) == "95% interval 0 to 0"


def record(statistic, *cells, lowest=0):
    places = tuple(map(str, range(len(cells))))
    return TableRecord(
        name="t",
        statistic=statistic,
        title="T",
        level="all",
        measures=(MeasureRecord(what="x", clip=(lowest, 60)),),
        max_cells=1,
        axes=(AxisRecord(name="place", codes=places, labels=places),),
        cells=tuple(
            CellRecord.model_validate(cell | {"codes": (place,), "standard_error": None})
            for place, cell in zip(places, cells, strict=True)
        ),
        totals=(),
        scale=1,
        planned_sd=1.0,
    )


def printed(table):
    return page_of(show_records([table], question_of(release()), load_schema()))


@pytest.mark.parametrize(("statistic", "lowest"), [("households", 0), ("sum", 0), ("sum", -60), ("mean", 0)])
def test_page_and_quote_agree_on_fractional_ends_and_hold_the_interval(statistic, lowest):
    rng = np.random.default_rng(20260501)
    size = 10.0 ** rng.uniform(-3, 5, 90) * rng.choice((-1, 1, 1), 90)
    around = abs(size)[:, None] * rng.uniform(0, 0.3, (90, 2))
    cells = [
        {"estimate": float(one), "low": float(one - less), "high": float(one + more), "coverage": 0.95}
        for one, (less, more) in zip(size, around, strict=True)
    ]
    table = record(statistic, *cells, lowest=lowest)
    rows = printed(table)
    assert len(rows) == len(cells)
    compared = 0
    for (_, figure, ends), cell in zip(rows, table.cells, strict=True):
        if figure in NOT_SHOWN:
            assert ends == figure
            continue
        assert quoted_interval(table, cell) == f"95% interval {ends}"
        low, high = (float(end.replace(",", "")) for end in ends.split(" to "))
        least = -inf if statistic == "mean" or lowest < 0 else 0.0
        assert low <= max(least, cell.low) + 1e-9
        assert high >= max(least, cell.high) - 1e-9
        compared += 1
    assert compared >= 20


def test_ends_are_rounded_outwards_on_a_page():
    given = {"estimate": 104.5, "low": 98.6, "high": 110.4, "coverage": 0.95}
    assert printed(record("households", given)) == [("0", "105", "98 to 111")]


def test_no_page_says_inf_and_no_range_stands_beside_what_is_not_shown():
    none = {"estimate": None, "coverage": 1.0}
    small = {"estimate": 4.0, "low": -3.0, "high": 11.0, "coverage": 0.95}
    for statistic in ("households", "sum", "mean", "quantile"):
        rows = printed(record(statistic, none | {"low": 0.0, "high": inf}, none | {"low": -inf, "high": inf}))
        assert [row[1:] for row in rows] == [(NOT_AVAILABLE, NOT_AVAILABLE)] * 2
    assert printed(record("households", small))[0][1:] == (CONFIDENTIAL, CONFIDENTIAL)
    half = {"estimate": 400.0, "low": 300.0, "high": inf, "coverage": 0.95}
    assert printed(record("households", half))[0][1:] == ("400 [u]", "300 to open")
    assert printed(record("mean", half | {"low": -inf, "high": 500.0}))[0][1:] == ("400.00 [u]", "open to 500.00")
    every = [part for table in shown(release()) for part in page_of([table])]
    assert not [row for row in every if "inf" in row[1] or "inf" in row[2]]
