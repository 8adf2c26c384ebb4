"""Extracts: what a tiny independent reader finds in the file is what the writer says it holds."""

import csv
import json
from collections import Counter
from datetime import date

import pytest
import yaml

from federated.errors import QueryError
from federated.schema import ColumnType, load_schema
from federated.synthetic import TIDY, Mess, style_of, styles, synthesise, write_extract, write_mapping

CASE = load_schema().dataset("case")
BY_STYLE = {
    "options_online": "E06000001",
    "spreadsheet": "E06000002",
    "legacy_export": "E06000003",
    "housing_register": "E06000004",
}
CANARY = "CANARY-5f3a"
UNTIDY = Mess(blank=0.05, outside_list=0.05, unreadable_date=0.05, duplicated=0.1, opted_out=0.1, respelled=0.5)


def read_date(text, dates):
    parts = text.split("/")[::-1] if dates == "day_first" else text.split("-")
    return date(*(int(part) for part in parts))


def read_back(extract, mapping):
    """The whole reader: headings, dates, spellings; what it cannot read is not known."""
    document = yaml.safe_load(mapping.read_text(encoding="utf-8"))

    def read(name, entry, text):
        column = CASE.column(name)
        if column.type is ColumnType.CATEGORY:
            spellings = {key.strip().casefold(): code for key, code in entry["codes"].items()}
            return spellings.get(text.strip().casefold(), "not_known")
        if column.type is not ColumnType.DATE:
            return text
        try:
            return read_date(text, document["dates"]).isoformat()
        except (ValueError, TypeError):
            return ""

    with extract.open(encoding="utf-8", newline="") as file:
        return [
            {name: read(name, entry, row[entry["from"]]) for name, entry in document["columns"].items()}
            for row in csv.DictReader(file)
        ]


def without_la_code(records):
    return [{name: text for name, text in record.items() if name != "la_code"} for record in records]


def write_both(tmp_path, council, **options):
    cases = synthesise(council, 5)
    recorded = write_extract(cases, tmp_path / "extract.csv", seed=5, **options)
    write_mapping(tmp_path / "mapping.yaml", style_of(council))
    return cases, recorded, read_back(tmp_path / "extract.csv", tmp_path / "mapping.yaml")


def as_sorted(records):
    return sorted(json.dumps(record, sort_keys=True) for record in records)


def test_each_style_is_some_councils():
    assert {name: style_of(council).name for name, council in BY_STYLE.items()} == {name: name for name in styles()}


@pytest.mark.parametrize("council", BY_STYLE.values(), ids=BY_STYLE)
@pytest.mark.parametrize("mess", [Mess(), UNTIDY], ids=["usual", "untidy"])
def test_reading_back_gives_what_was_recorded(tmp_path, council, mess):
    _, recorded, read = write_both(tmp_path, council, mess=mess, canary=CANARY)
    assert read == without_la_code(recorded.rows())


@pytest.mark.parametrize("council", BY_STYLE.values(), ids=BY_STYLE)
def test_a_tidy_extract_holds_the_cases_themselves(tmp_path, council):
    cases, _, read = write_both(tmp_path, council, mess=TIDY)
    assert as_sorted(read) == as_sorted(without_la_code(cases.rows()))


def test_the_usual_mess_is_there(tmp_path):
    cases = synthesise("E08000021", 5)
    recorded = write_extract(cases, tmp_path / "extract.csv", seed=5)
    with (tmp_path / "extract.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    headings = style_of("E08000021").headings
    repeated = Counter(tuple(row.values()) for row in rows)
    assert sum(count - 1 for count in repeated.values()) == len(recorded) - len(cases) > 0
    reasons = [row[headings["reason_loss"]] for row in rows]
    assert "" in reasons
    assert any(reason != reason.strip() for reason in reasons)
    assert any(reason.isupper() for reason in reasons)
    assert len({row[headings["opted_out"]].strip().casefold() for row in rows}) == 2
    assert "" in recorded.columns["assessment_date"]
    unknown = (recorded.columns["main_age_band"] == "not_known").mean()
    assert unknown > (cases.columns["main_age_band"] == "not_known").mean()


def test_an_objection_stands_in_every_row_of_the_household(tmp_path):
    _, recorded, _ = write_both(tmp_path, "E06000004", mess=UNTIDY)
    answers = {}
    for record in recorded.rows():
        answers.setdefault(record["household_key"], set()).add(record["opted_out"])
    assert all(len(found) == 1 for found in answers.values())
    assert 0.05 < sum(found == {"yes"} for found in answers.values()) / len(answers) < 0.15


def test_booleans_are_written_in_several_ways_side_by_side(tmp_path):
    write_both(tmp_path, "E06000002")
    heading = style_of("E06000002").headings["section21_notice"]
    with (tmp_path / "extract.csv").open(encoding="utf-8", newline="") as file:
        found = {row[heading].strip().casefold() for row in csv.DictReader(file)}
    assert {"yes", "y", "1", "no", "n", "0"} <= found


def test_dates_follow_the_style(tmp_path):
    for council, dates in (("E06000004", "day_first"), ("E06000001", "iso")):
        write_both(tmp_path, council, mess=TIDY)
        heading = style_of(council).headings["assessment_date"]
        with (tmp_path / "extract.csv").open(encoding="utf-8", newline="") as file:
            assert all(read_date(row[heading], dates) > date(2024, 9, 1) for row in csv.DictReader(file))


def test_the_canary_is_planted_where_nothing_may_carry_it_out(tmp_path):
    cases, recorded, read = write_both(tmp_path, "E06000003", canary=CANARY)
    style = style_of("E06000003")
    with (tmp_path / "extract.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    never_read = set(style.never_read.values())
    for heading in never_read | {style.headings["household_key"], style.headings["case_key"]}:
        carrying = sum(CANARY in row[heading] for row in rows)
        assert 0 < carrying < len(rows)
    elsewhere = set(style.headings.values()) - {style.headings["household_key"], style.headings["case_key"]}
    assert not any(CANARY in row[heading] for row in rows for heading in elsewhere)
    assert len({record["household_key"] for record in read}) == len(set(cases.columns["household_key"].tolist()))
    assert len(set(recorded.columns["case_key"].tolist())) == len(cases)


def test_no_canary_unless_asked(tmp_path):
    write_both(tmp_path, "E06000003")
    assert "CANARY" not in (tmp_path / "extract.csv").read_text(encoding="utf-8")


def test_no_mapping_names_a_column_that_is_never_read(tmp_path):
    for style in styles().values():
        write_mapping(tmp_path / "mapping.yaml", style)
        document = yaml.safe_load((tmp_path / "mapping.yaml").read_text(encoding="utf-8"))
        mapped = {entry["from"] for entry in document["columns"].values()}
        assert mapped.isdisjoint(style.never_read.values())
        assert len(mapped) == len(document["columns"])
        assert len(style.never_read) == 6


@pytest.mark.parametrize("style", styles().values(), ids=styles())
def test_a_mapping_has_the_agreed_shape_and_covers_every_code(tmp_path, style):
    write_mapping(tmp_path / "mapping.yaml", style.name, file="cases.csv")
    document = yaml.safe_load((tmp_path / "mapping.yaml").read_text(encoding="utf-8"))
    assert list(document) == ["mapping", "dataset", "file", "dates", "columns"]
    assert (document["mapping"], document["dataset"], document["file"]) == (1, "case", "cases.csv")
    assert document["dates"] in {"day_first", "iso"}
    for name, entry in document["columns"].items():
        column = CASE.column(name)
        assert set(entry) == ({"from", "codes"} if column.type is ColumnType.CATEGORY else {"from"})
        spellings = entry.get("codes", {})
        assert set(spellings.values()) == set(column.code_list)
        assert all(isinstance(text, str) for text in spellings)
        assert len({text.strip().casefold() for text in spellings}) == len(spellings)
    write_mapping(tmp_path / "bare.yaml", style, file=None)
    assert "file" not in yaml.safe_load((tmp_path / "bare.yaml").read_text(encoding="utf-8"))


def test_styles_differ_and_an_unknown_one_is_refused(tmp_path):
    headings = [set(style.headings.values()) for style in styles().values()]
    assert all(first.isdisjoint(second) for first in headings for second in headings if first is not second)
    with pytest.raises(QueryError, match="no style 'jigsaw'"):
        write_mapping(tmp_path / "mapping.yaml", "jigsaw")


def test_identifying_texts_cannot_belong_to_anyone(tmp_path):
    write_both(tmp_path, "E06000004")
    style = style_of("E06000004")
    with (tmp_path / "extract.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            assert row[style.never_read["national_insurance"]].startswith("QQ")
            assert row[style.never_read["phone"]].startswith("01632 960")
            assert row[style.never_read["name"]].startswith("Testperson")
            assert row[style.never_read["address"]].endswith("Sampleton")


def test_the_seed_decides_the_file(tmp_path):
    cases = synthesise("E06000001", 5)
    files = []
    for seed in (1, 1, 2):
        write_extract(cases, tmp_path / "extract.csv", seed=seed)
        files.append((tmp_path / "extract.csv").read_bytes())
    assert files[0] == files[1] != files[2]
