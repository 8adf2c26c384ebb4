"""Synthetic cases: the counts are the published ones, the records are of the schema, the seed decides everything."""

from collections import Counter
from datetime import date

import numpy as np
import pytest

from federated.errors import QueryError
from federated.query.model import Period
from federated.schema import ColumnType, load_schema
from federated.synthetic import PUBLISHED_QUARTER, margins, published_columns, published_marginal, synthesise

SCHEMA = load_schema()
CASE = SCHEMA.dataset("case")
NORTH_EAST = [council.id for council in SCHEMA.councils.values() if council.region == "E12000001"]
START, END = PUBLISHED_QUARTER.start.isoformat(), PUBLISHED_QUARTER.end.isoformat()


def in_quarter(cases):
    return [record for record in cases.rows() if START <= record["assessment_date"] <= END]


@pytest.fixture(scope="module")
def england():
    return {council: synthesise(council, 7) for council in SCHEMA.councils}


@pytest.mark.parametrize("council", NORTH_EAST)
def test_every_published_column_is_exact_in_the_north_east(council):
    cases = synthesise(council, 2025)
    assert cases.imputed == ()
    records = in_quarter(cases)
    for name, column in published_columns().items():
        counted = Counter(record[name] for record in records if record["assessment_outcome"] in column.outcomes)
        expected = {code: figure for code, figure in published_marginal(name, council).items() if figure}
        assert dict(counted) == expected, name


@pytest.mark.parametrize("council", NORTH_EAST)
@pytest.mark.parametrize("name", ["reason_loss", "accommodation_at_application", "household_type"])
@pytest.mark.parametrize("outcome", ["prevention_owed", "relief_owed"])
def test_prevention_and_relief_are_exact_apart(council, name, outcome):
    records = in_quarter(synthesise(council, 11))
    counted = Counter(record[name] for record in records if record["assessment_outcome"] == outcome)
    expected = published_marginal(name, council, outcome=outcome)
    assert dict(counted) == {code: figure for code, figure in expected.items() if figure}


def test_all_of_england_is_exact_where_published_and_marked_where_not(england):
    for council, cases in england.items():
        records = in_quarter(cases)
        for name, column in published_columns().items():
            figures = published_marginal(name, council)
            assert (None in figures.values()) == (name in cases.imputed), (council, name)
            counted = Counter(record[name] for record in records if record["assessment_outcome"] in column.outcomes)
            assert all(counted[code] == figure for code, figure in figures.items() if figure is not None)
            assert set(counted) <= set(figures)


def test_councils_without_a_return_have_their_regions_typical_size(england):
    missing = {council for council, cases in england.items() if cases.return_missing}
    assert missing == {"E09000021", "E06000027"}
    for council in missing:
        region = SCHEMA.councils[council].region
        sizes = [
            len(in_quarter(cases))
            for other, cases in england.items()
            if SCHEMA.councils[other].region == region and other not in missing
        ]
        assert abs(len(in_quarter(england[council])) - np.mean(sizes)) < 3


def test_suppressed_figures_are_filled_to_the_published_total(england):
    records = in_quarter(england["E06000053"])
    assert len(records) == 3
    assert "household_type" in england["E06000053"].imputed
    assert "reason_loss" not in england["E06000053"].imputed


def test_only_the_missing_figures_of_a_table_are_drawn(monkeypatch):
    column = published_columns()["main_sexual_orientation"]
    known = {
        "heterosexual": 4,
        "gay_or_lesbian": None,
        "bisexual": 1,
        "other": 0,
        "prefer_not_to_say": None,
        "not_known": 0,
    }
    regional = margins.regional(column.column, 0, "E12000001")
    assert (regional > 0).all()
    monkeypatch.setattr(margins, "part_marginal", lambda *_: known)
    monkeypatch.setattr(margins, "regional", lambda *_: regional)
    counts, imputed = margins.completed(
        column=column,
        part=column.parts[0],
        council=NORTH_EAST[0],
        region="E12000001",
        households=105,
        rng=np.random.default_rng(1),
    )
    drawn = dict(zip(margins.codes_of(column), counts.tolist(), strict=True))
    assert imputed
    assert sum(drawn.values()) == 105
    assert {code: drawn[code] for code, figure in known.items() if figure is not None} == {
        code: figure for code, figure in known.items() if figure is not None
    }
    assert drawn["prefer_not_to_say"] > drawn["gay_or_lesbian"]


def test_records_are_of_the_schema(england):
    for cases in (england["E06000001"], england["E09000001"]):
        for record in cases.rows():
            for name, text in record.items():
                column = CASE.column(name)
                match column.type:
                    case ColumnType.CATEGORY:
                        assert text in column.code_list
                    case ColumnType.DATE:
                        assert date.fromisoformat(text)
                    case ColumnType.INTEGER:
                        assert text == "" or column.low <= int(text) <= column.high
                    case ColumnType.KEY:
                        assert text


def test_one_household_has_one_case_in_the_quarter_and_some_came_before(england):
    recurring = 0
    for cases in england.values():
        records = in_quarter(cases)
        now = {record["household_key"] for record in records}
        assert len(now) == len(records)
        assert len({record["case_key"] for record in cases.rows()}) == len(cases)
        before = {record["household_key"] for record in cases.rows() if record["assessment_date"] < START}
        recurring += len(now & before)
        came = {record["household_key"] for record in records if record["prior_approach_24m"] != "none"}
        assert now & before <= came
    assert recurring > 5_000


def test_rows_of_other_periods(england):
    cases = england["E08000021"]
    asked = len(in_quarter(cases))
    earlier = sum(record["assessment_date"] < START for record in cases.rows())
    later = sum(record["assessment_date"] > END for record in cases.rows())
    assert earlier == round(0.6 * asked)
    assert later == round(0.03 * asked)
    assert {record["assessment_date"][:7] for record in cases.rows()} == {
        f"{year}-{month:02d}"
        for year, month in [(2024, 10), (2024, 11), (2024, 12), (2025, 1), (2025, 2), (2025, 3), (2025, 4)]
    }


def test_dates_are_working_days_and_applications_come_first(england):
    for record in england["E06000047"].rows():
        assessed = date.fromisoformat(record["assessment_date"])
        assert assessed.weekday() < 5
        assert 0 <= (assessed - date.fromisoformat(record["application_date"])).days <= 28


def test_columns_that_follow_from_others_agree(england):
    with_children = CASE.column("household_with_children").derivation
    for record in england["E09000030"].rows():
        match with_children[record["household_type"]]:
            case "with_children":
                assert int(record["dependent_children_n"]) >= 1
            case "without_children":
                assert record["dependent_children_n"] == "0"
            case _:
                assert record["dependent_children_n"] == ""
        if record["household_type"].endswith("_male"):
            assert record["main_sex"] == "male"
        assert (record["la_referral_received"] == "yes") == (record["referral_source"] == "another_authority")
        assert record["la_code"] == "E09000030"


def test_employment_leans_on_age(england):
    retired = [
        record["main_age_band"]
        for cases in england.values()
        for record in in_quarter(cases)
        if record["main_employment"] == "retired" and record["assessment_outcome"] in {"prevention_owed", "relief_owed"}
    ]
    assert sum(age in {"age_65_74", "age_75_over"} for age in retired) > 0.6 * len(
        retired
    )  # 5% of applicants are 65 or over
    assert "age_16_17" not in retired


def test_the_seed_decides_everything():
    first, again, other = (synthesise("E06000004", seed) for seed in (1, 1, 2))
    assert [*first.rows()] == [*again.rows()]
    assert [*first.rows()] != [*other.rows()]
    assert synthesise("E06000005", 1).columns["reason_loss"].tolist() != first.columns["reason_loss"].tolist()


def test_another_period_moves_the_dates_alone():
    period = Period(column="assessment_date", start=date(2025, 4, 1), end=date(2025, 6, 30))
    moved = synthesise("E06000001", 3, period=period)
    dates = moved.columns["assessment_date"].tolist()
    asked = sum("2025-04-01" <= day <= "2025-06-30" for day in dates)
    assert asked == sum(published_marginal("assessment_outcome", "E06000001").values())
    assert min(dates) >= "2024-12-31"


def test_an_unknown_council_is_refused():
    with pytest.raises(QueryError, match="no council with the code 'E06000999'"):
        synthesise("E06000999", 1)
