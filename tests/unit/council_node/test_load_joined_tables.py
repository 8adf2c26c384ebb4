"""Tables beside the case table: whose each row is, what is copied, who objects, and that parts add up to the whole."""

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from council_node.counting import Holding
from council_node.sources.extract import Part
from council_node.sources.layout import CaseTable
from council_node.sources.load import load_extract
from federated.errors import FileProblem
from federated.query import DatePart, Days, Dimension, Measured, Period, Query, Table, measured
from federated.schema import load_schema
from federated.statistics import statistic
from tests.spec.council import QUARTER, REGIONS, RUN_KEY, layout_of, mapping_for, question
from tests.spec.joined_council import CASE_HEADINGS, DAYS, NodeDraws, Tables, count, joined, once, random_cases
from tests.spec.reference_evaluator import reference_vector

NEEDS = (*load_schema().dataset("support_need").column("need").code_list[:6], "", "CANARY")
PLACES = (*load_schema().dataset("ta_placement").column("ta_type").code_list[:3], "")
KINDS = load_schema().dataset("event").column("kind").code_list
DATASETS = ("case", "support_need", "ta_placement", "event", "rough_sleeping")


def table_rows(draw: random.Random, dataset: str, cases: list[tuple[str, ...]]) -> tuple[tuple[str, ...], list]:
    """Headings and rows of a table; some name no case, one that is not there, or their household themselves."""
    known = [row[0] for row in cases if row[0]] or ["C0-0"]
    headings, cells = {
        "case": (
            ("case_key", "household_key", "assessment_date", "main_sex", "dependent_children_n", "opted_out"),
            None,
        ),
        "support_need": (("case_key", "need", "opted_out"), lambda: (draw.choice(NEEDS), _objection(draw))),
        "ta_placement": (
            ("case_key", "household_key", "ta_type", "start", "nightly_cost_gbp"),
            lambda: (_unit(draw), draw.choice(PLACES), draw.choice(DAYS), draw.choice(("", "0", "40", "55", "?"))),
        ),
        "event": (("case_key", "kind", "at"), lambda: (draw.choice(KINDS), draw.choice(DAYS))),
        "rough_sleeping": (
            ("person_key", "month", "new", "opted_out"),
            lambda: (draw.choice(DAYS), draw.choice(("yes", "no", "")), _objection(draw)),
        ),
    }[dataset]
    if cells is None:
        sexes = ("female", "male", "")
        return headings, [
            (*row[:3], draw.choice(sexes), draw.choice(("0", "2", "9", "")), row[3]) for row in cases for _ in range(2)
        ]
    first = [f"P{n}" for n in range(4)] if dataset == "rough_sleeping" else [*known, *known, "X1", "X2", ""]
    rows = [(draw.choice(first), *cells()) for _ in range(draw.choice((3, 9, 15)))]
    return headings, [row for row in rows for _ in range(draw.choice((1, 1, 1, 2)))]


def _unit(draw: random.Random) -> str:
    return draw.choice(("", "H1", "K7"))


def _objection(draw: random.Random) -> str:
    return draw.choice(("", "", "", "", "no", "yes"))


def random_tables(draw: random.Random, dataset: str) -> Tables:
    cases = random_cases(draw, draw.choice((1, 3, 6)))
    headings, rows = table_rows(draw, dataset, cases)
    return Tables(dataset=dataset, headings=headings, cases=tuple(cases), rows=tuple(rows))


def asked(draw: random.Random, dataset: str) -> Query:
    period, by, measure = {
        "case": ("assessment_date", "main_sex", "dependent_children_n"),
        "support_need": ("assessment_date", "need", None),
        "ta_placement": ("start", "ta_type", "nightly_cost_gbp"),
        "event": ("at", "kind", None),
        "rough_sleeping": ("month", "new", None),
    }[dataset]
    breakdowns = ((), (Dimension(column=by),), (Dimension(column=by), Dimension(column=period, part=DatePart.MONTH)))
    kinds = ("households", "rows", *(("sum", "mean", "variance") if measure else ()))
    tables = [
        Table(
            name=kind,
            statistic=kind,
            by=draw.choice(breakdowns),
            max_cells=draw.choice((1, 2, 5)),
            **({"measures": (measured(measure, 0, 50),)} if kind in {"sum", "mean", "variance"} else {}),
        )
        for kind in kinds
    ]
    if dataset == "support_need":
        together = {"statistic": "co_occurrence", "by": (Dimension(column=by),), "max_cells": draw.choice((2, 5))}
        tables.append(Table(name="together", **together))
    return question(*tables, dataset=dataset, period=Period(column=period, start=QUARTER.start, end=QUARTER.end))


def expected(tables: Tables, query: Query, draws: NodeDraws) -> list[int]:
    rows = once(joined(tables), query.columns(), tables.dataset)
    dataset = load_schema().dataset(tables.dataset)
    found = []
    for table in query.tables:
        layout = layout_of(table, query)
        found += reference_vector(rows, query, table, layout, dataset, region=REGIONS[0][0], draw=draws)
    return found


MANY = [*range(8), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(8, 100))]


@pytest.mark.parametrize("dataset", DATASETS[1:])
@pytest.mark.parametrize("seed", MANY)
def test_what_is_counted_of_a_joined_table_is_what_the_reference_counts(tmp_path, dataset, seed):
    draw = random.Random(f"{dataset} {seed}")
    tables, query = random_tables(draw, dataset), asked(draw, dataset)
    counted = count(tmp_path, tables, query)
    assert counted.statistic.vector.tolist() == expected(tables, query, NodeDraws())


@pytest.mark.drawn(5)
@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("seed", range(4))
def test_parts_of_the_households_add_up_to_all_of_them(tmp_path, dataset, seed):
    draw = random.Random(f"parts {dataset} {seed}")
    tables, query = random_tables(draw, dataset), asked(draw, dataset)
    whole = count(tmp_path, tables, query)
    for parts in (2, 8):
        again = count(tmp_path, tables, query, parts=parts)
        assert again.statistic.vector.tolist() == whole.statistic.vector.tolist()
        assert again.report == whole.report


@pytest.mark.parametrize("parts", [1, 2, 8])
def test_cost_of_a_night_over_the_nights_of_every_placement(tmp_path, parts):
    """Question 11: what a night costs, by type, over all nights; a placement without a cost or an end is left out."""
    spells = (
        ("C1", "hostel", "2025-01-01", "2025-01-31", "40"),
        ("C1", "hostel", "2025-02-01", "2025-02-11", "55"),
        ("C2", "hostel", "2025-01-01", "2025-12-31", "999"),
        ("C3", "hostel", "2025-01-01", "2025-01-11", ""),
        ("C3", "nightly_paid", "2025-03-01", "", "70"),
        ("C4", "nightly_paid", "2025-03-01", "2025-03-01", "70"),
    )
    tables = Tables(
        dataset="ta_placement",
        headings=("case_key", "ta_type", "start", "end", "nightly_cost_gbp"),
        cases=tuple((f"C{n}", f"H{n}", "", "") for n in range(1, 5)),
        rows=spells,
    )
    table = Table(
        name="cost",
        statistic="weighted_mean",
        by=(Dimension(column="ta_type"),),
        max_cells=3,
        measures=(
            measured("nightly_cost_gbp", 0, 200),
            Measured(measure=Days(start="start", end="end"), low=0, high=92),
        ),
    )
    period = Period(column="start", start=QUARTER.start, end=QUARTER.end)
    vector = count(
        tmp_path, tables, question(table, dataset="ta_placement", period=period), parts=parts
    ).statistic.vector
    codes = load_schema().dataset("ta_placement").column("ta_type").code_list
    step = 3 * 200 * 92 // 128
    # The placement of a year counts for 92 nights, and its cost of 999 for the 200 that a night may cost here.
    above, below = 30 * 40 + 10 * 55 + 92 * 200, 30 * 160 + 10 * 145
    found = vector.reshape(2, len(codes))[:, codes.index("hostel")]
    assert found.tolist() == [round(above / step), round(below / step)]
    assert vector.sum() == found.sum()


def test_a_row_that_names_nobody_is_in_one_part_only(tmp_path):
    # Its pseudonym is drawn anew at every reading; placed by that, it would be in no part or in two.
    rows = tuple(("", f"need {n % 3}", "") for n in range(64))
    tables = Tables(dataset="support_need", headings=("case_key", "need", "opted_out"), cases=(), rows=rows)
    holding = tables.write(tmp_path)
    read = []
    for number in range(8):
        with load_extract(
            holding.mapping,
            holding.dataset,
            ["need"],
            directory=tmp_path,
            run_key=RUN_KEY,
            cases=holding.cases,
            part=Part(number=number, of=8),
        ) as extract:
            read.append(extract.report.rows_read)
    assert sum(read) == 64


def without(tables: Tables, gone: str) -> Tables:
    """The council without one household, or person: its cases, and the rows that are its alone."""
    if tables.dataset == "rough_sleeping":
        return replace(tables, rows=tuple(row for row in tables.rows if f"0:{row[0]}" != gone))
    kept = tuple(row for row in tables.cases if _household(row) != gone)
    still = {row[0] for row in kept}
    lost = {row[0] for row in tables.cases if _household(row) == gone and row[0]}
    if gone.startswith("1:"):
        lost.add(gone[2:])
    lost -= still  # a row of a case that another household has too is that household's as well
    place = tables.headings.index("case_key") if "case_key" in tables.headings else None
    rows = tuple(row for row in tables.rows if place is None or row[place] not in lost)
    return replace(tables, cases=kept, rows=rows)


def _household(row: tuple[str, ...]) -> str:
    return f"0:{row[1]}" if row[1] else f"1:{row[0]}"


@pytest.mark.parametrize("dataset", DATASETS[1:])
@pytest.mark.parametrize("seed", MANY)
def test_one_household_with_all_its_rows_moves_the_figures_by_no_more_than_claimed(tmp_path, dataset, seed):
    draw = random.Random(f"neighbours {dataset} {seed}")
    tables, query = random_tables(draw, dataset), asked(draw, dataset)
    people = {f"0:{row[0]}" for row in tables.rows} if dataset == "rough_sleeping" else set()
    gone = draw.choice(sorted(people or {_household(row) for row in tables.cases if any(row[:2])}) or ["1:X1"])
    one, other = (count(tmp_path, item, query).statistic.vector for item in (tables, without(tables, gone)))
    cuts = np.cumsum([layout_of(table, query).cells for table in query.tables])[:-1]
    for table, difference in zip(query.tables, np.split(one - other, cuts), strict=True):
        claimed = statistic(table.statistic).sensitivity(table)
        assert np.abs(difference).sum() <= claimed.l1, table
        assert (difference**2).sum() <= claimed.l2_squared, table


NEED = ("case_key", "need")
SHOWN = question(
    Table(name="needs", statistic="households", by=(Dimension(column="need"),), max_cells=5), dataset="support_need"
)


def needs(folder, cases, rows, **more):
    tables = Tables(dataset="support_need", headings=NEED, cases=tuple(cases), rows=tuple(rows))
    return count(folder, tables, SHOWN, **more)


def test_the_period_of_a_need_is_that_of_its_case(tmp_path):
    cases = [("C1", "H1", "2025-01-01", ""), ("C2", "H2", "2025-04-01", ""), ("C3", "H3", "", "")]
    counted = needs(tmp_path, cases, [(case, "old_age") for case in ("C1", "C2", "C3", "C4")])
    assert counted.statistic.vector.sum() == 1
    assert counted.report.rows_without_case == 1
    assert "1 rows name a case that is not in the case table" in " ".join(counted.report.warnings())


def test_a_household_that_objects_in_the_case_table_is_dropped_with_its_rows_of_every_case(tmp_path):
    cases = [("C1", "H1", "2025-01-01", ""), ("C2", "H1", "2025-01-01", "yes"), ("C3", "H3", "2025-01-01", "")]
    counted = needs(tmp_path, cases, [(case, "old_age") for case in ("C1", "C2", "C3")])
    assert counted.statistic.vector.sum() == 1
    assert (counted.report.rows_opted_out, counted.report.opt_out_known) == (2, True)


@pytest.mark.parametrize("parts", [1, 2, 8])
def test_an_objection_counts_although_the_row_names_a_case_that_is_not_there(tmp_path, parts):
    # A case number mistyped, or of a case that was closed: the household is named all the same, and it objects.
    gone = [("C9", f"H{n}", "hostel", "2025-01-01") for n in range(0, 20, 2)]
    stays = [(f"X{n}", f"H{n}", "hostel", "2025-01-01") for n in range(1, 20, 2)]
    tables = Tables(
        dataset="ta_placement",
        headings=("case_key", "household_key", "ta_type", "start"),
        cases=tuple((f"C{n}", f"H{n}", "", "" if n % 2 else "yes") for n in range(20) if n != 9),
        rows=(*gone, *stays, ("C9", "H77", "hostel", "2025-01-01")),
    )
    period = Period(column="start", start=QUARTER.start, end=QUARTER.end)
    query = question(Table(name="t", statistic="households"), dataset="ta_placement", period=period)
    counted = count(tmp_path, tables, query, parts=parts)
    assert counted.statistic.vector.tolist() == [11]
    assert (counted.report.rows_opted_out, counted.report.rows_read) == (10, 21)


def test_an_objection_counts_although_the_case_table_is_known_by_household_alone(tmp_path):
    schema = load_schema()
    tables = Tables(
        dataset="ta_placement",
        headings=("household_key", "ta_type", "start"),
        cases=(("C1", "H1", "", "yes"), ("C2", "H2", "", "")),
        rows=(("H1", "hostel", "2025-01-01"), ("H2", "hostel", "2025-01-01")),
    )
    period = Period(column="start", start=QUARTER.start, end=QUARTER.end)
    query = question(Table(name="t", statistic="households"), dataset="ta_placement", period=period)
    assert count(tmp_path, tables, query).statistic.vector.tolist() == [1]
    assert schema.dataset("ta_placement").unit == "household"


def test_a_case_and_a_household_of_the_same_number_are_two(tmp_path):
    cases = [("C1", "7", "2025-01-01", "yes")]
    tables = Tables(
        dataset="event", headings=("case_key", "kind", "at"), cases=tuple(cases), rows=(("7", "other", DAYS[1]),)
    )
    period = Period(column="at", start=QUARTER.start, end=QUARTER.end)
    query = question(Table(name="t", statistic="households"), dataset="event", period=period)
    assert count(tmp_path, tables, query).statistic.vector.tolist() == [1]


def test_people_are_never_joined_to_cases(tmp_path):
    tables = Tables(
        dataset="rough_sleeping",
        headings=("person_key", "month"),
        cases=(("P1", "P1", "2025-01-01", "yes"),),
        rows=(("P1", "2025-01-01"),),
    )
    period = Period(column="month", start=QUARTER.start, end=QUARTER.end)
    query = question(Table(name="t", statistic="households"), dataset="rough_sleeping", period=period)
    holding = tables.write(tmp_path)
    beside = Holding(
        mapping=holding.mapping,
        dataset=holding.dataset,
        directory=tmp_path,
        cases=CaseTable(mapping=mapping_for(CASE_HEADINGS), dataset=load_schema().dataset("case"), directory=tmp_path),
    )
    beside.check_coverage(query.columns())
    assert count(tmp_path, tables, query).statistic.vector.tolist() == [1]


@pytest.mark.parametrize(
    ("own", "cases", "words"),
    [
        (("case_key", "need"), None, ["assessment_date", "data in the settings"]),
        (("need",), CASE_HEADINGS, ["support_need", "no column 'case_key'"]),
        (("case_key", "need"), ("household_key", "assessment_date"), ["'case' has no column 'case_key'"]),
        (("case_key", "need"), ("case_key", "household_key"), ["no column 'assessment_date'"]),
        (("case_key", "need"), (*CASE_HEADINGS, "main_sex"), None),
        (("case_key", "need", "assessment_date"), None, None),
    ],
)
def test_what_the_join_lacks_is_said_before_any_round(tmp_path, own, cases, words):
    tables = Tables(dataset="support_need", headings=own, cases=(), rows=())
    held = tables.write(tmp_path)
    beside = cases and CaseTable(
        mapping=mapping_for([name for name in cases if name in CASE_HEADINGS], file="cases.csv"),
        dataset=load_schema().dataset("case"),
        directory=tmp_path,
    )
    held = Holding(mapping=held.mapping, dataset=held.dataset, directory=tmp_path, cases=beside or None)
    if words is None:
        held.check_coverage(SHOWN.columns())
        return
    with pytest.raises(FileProblem) as caught:
        held.check_coverage(SHOWN.columns())
    assert all(word in caught.value.diagnostics() for word in words)
    assert caught.value.remedy


def test_a_case_table_that_is_missing_is_found_before_any_round(tmp_path):
    held = Tables(dataset="support_need", headings=NEED, cases=(), rows=()).write(tmp_path)
    (tmp_path / "cases.csv").unlink()
    with pytest.raises(FileProblem, match=r"cases\.csv cannot be read"):
        held.check_coverage(SHOWN.columns())


def test_two_dates_of_one_case_are_settled_by_the_dates_alone(tmp_path):
    rows = [("C1", "H1", day, "") for day in ("2025-04-01", "2025-01-01", "", "2025-06-01")]
    for first, second in pairwise([rows, rows[::-1], rows[2:] + rows[:2]]):
        one, other = (needs(tmp_path, cases, [("C1", "old_age")]).statistic.vector for cases in (first, second))
        assert (one.sum(), other.sum()) == (1, 1)


def test_what_does_not_fit_into_memory_is_read_in_more_parts_until_it_does(tmp_path):
    cases = [(f"C{n}", f"H{n % 9000}", "2025-01-01", "") for n in range(120_000)]
    rows = [(case[0], NEEDS[n % 4]) for n, case in enumerate(cases)]
    whole = needs(tmp_path, cases, rows)
    small = needs(tmp_path, cases, rows, memory_mib=22)
    assert whole.parts == 1
    assert small.parts > 1
    assert small.statistic.vector.tolist() == whole.statistic.vector.tolist()
    assert small.report == whole.report
