"""`council-node map`: what it writes, what it asks, what it leaves out, and that nothing of a case stays behind."""

import csv
from datetime import date

import pytest
import yaml
from typer.testing import CliRunner

from council_node.cli import app
from council_node.mapping.content import content_findings
from council_node.sources import load_extract
from federated.errors import FileProblem
from federated.schema import load_schema
from federated.synthetic import synthesise, write_extract
from federated.synthetic.styles import styles
from tests.spec.council import RUN_KEY, case_dataset
from tests.unit.council_node.mapping_shop import map_extract
from tests.unit.council_node.workbooks import save_xlsx

CANARY = "CANARY-7f3a"
HEADINGS = ("Case ref", "HH ref", "Assessment date", "Household type", "Sex", "Opt out", "Surname", "NI number")
ROWS = [
    (f"C{n}", f"H{n % 40}", f"{n % 28 + 1:02d}/0{n % 9 + 1}/2025", kind, sex, "N", f"{CANARY} Person", f"QQ{n:06d}A")
    for n, (kind, sex) in enumerate(
        [("Single mother", "F"), ("Single man", "M"), (f"{CANARY} typed by hand", "X")] * 20
    )
]


def write(path, headings=HEADINGS, rows=ROWS):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([headings, *rows])
    return path


def test_it_writes_a_mapping_that_loads(tmp_path):
    made = map_extract(write(tmp_path / "extract.csv"))
    assert made.headings() == {
        "case_key": "Case ref", "household_key": "HH ref", "assessment_date": "Assessment date",
        "household_type": "Household type", "main_sex": "Sex", "opted_out": "Opt out",
    }  # fmt: skip
    with load_extract(
        made.mapping, case_dataset(), ("household_type", "main_sex"), directory=tmp_path, run_key=RUN_KEY
    ) as extract:
        assert extract.report.unknown_codes == {"household_type": 20, "main_sex": 20}
    assert made.report["columns"]["household_type"]["rows_not_known"] == 20


def test_no_text_of_a_case_is_left_in_the_file_or_in_json(tmp_path):
    made = map_extract(write(tmp_path / "extract.csv"))
    assert CANARY not in made.path.read_text(encoding="utf-8")
    assert CANARY not in made.said
    assert {path.name for path in tmp_path.iterdir()} == {"extract.csv", "case-mapping.yaml"}


def test_people_see_wordings_but_never_those_of_identifying_columns(tmp_path):
    made = map_extract(write(tmp_path / "extract.csv"), answers="0\n" * 9)
    assert f"20 rows: {CANARY} typed by hand" in made.said
    assert f"{CANARY} Person" not in made.said
    assert "QQ0000" not in made.said
    assert "'Surname' looks like a name" in made.said


def test_only_what_is_uncertain_is_asked(tmp_path):
    headings = (*HEADINGS[:4], "Accommodation now", *HEADINGS[5:])
    rows = [(*row[:4], ("Living with family", "Lives with friends")[n % 2], *row[5:]) for n, row in enumerate(ROWS)]
    path = write(tmp_path / "extract.csv", headings, rows)
    left = map_extract(path)
    assert "accommodation_at_application" not in left.headings()
    assert "accommodation_at_application" in left.report["left_out"]
    made = map_extract(path, answers="1\n1\n" + "0\n" * 9)
    assert made.said.count("Which heading holds") == len(left.report["left_out"])
    assert made.headings()["accommodation_at_application"] == "Accommodation now"
    assert made.code("accommodation_at_application", "lives with friends") == "living_with_friends"
    assert "you said so" in made.said


def test_a_file_that_is_there_is_kept_unless_forced(tmp_path):
    path, out = write(tmp_path / "extract.csv"), tmp_path / "m.yaml"
    out.write_text("mine")
    done = CliRunner().invoke(app, ["map", str(path), "--out", str(out), "--yes"])
    assert isinstance(done.exception, FileProblem)
    assert out.read_text() == "mine"
    assert CliRunner().invoke(app, ["map", str(path), "--out", str(out), "--yes", "--force"]).exit_code == 0
    assert yaml.safe_load(out.read_text())["mapping"] == 1


def test_an_extract_of_nothing_that_is_known_writes_no_file(tmp_path):
    path = write(tmp_path / "extract.csv", ("Zeta", "Eta"), [("1x", "2x")] * 30)
    with pytest.raises(FileProblem, match="no mapping file was written"):
        map_extract(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_case_in_the_place_of_headings_is_refused_and_not_shown(tmp_path):
    """Headings are printed, and go into JSON that may be logged: a first case must not go there with them."""
    path, book = write(tmp_path / "bare.csv", ROWS[0], ROWS[1:]), tmp_path / "cases.xlsx"
    save_xlsx(book, {"Cases": [list(HEADINGS), *map(list, ROWS)]})
    few = write(tmp_path / "few.csv", (CANARY, "Single man", "F"), [(f"C{n}", "Single man", "M") for n in range(30)])
    unknown = write(tmp_path / "unknown.csv", (CANARY, "Zeta"), [("1x", "2x")] * 30)
    for line in ([path], [few], [unknown], [book, "--heading-row", "2"]):
        for how in ("--yes", "--json"):
            out = str(tmp_path / "m.yaml")
            done = CliRunner().invoke(app, ["map", *map(str, line), "--out", out, how])
            assert isinstance(done.exception, FileProblem), line
            said = done.output + done.exception.diagnostics()
            assert ("looks like a case" in said) is (line != [unknown])
            assert not any(cell in said for cell in (CANARY, *ROWS[0]) if len(cell) > 1)
    assert not (tmp_path / "m.yaml").exists()


def test_one_odd_heading_among_known_ones_is_no_case(tmp_path):
    rows = [(f"C{n}", "Male", "x") for n in range(30)]
    made = map_extract(write(tmp_path / "extract.csv", ("Case ref", "Sex", "Code 202425"), rows))
    assert set(made.headings()) == {"case_key", "main_sex"}


@pytest.mark.parametrize(
    ("texts", "dates", "month_first"),
    [
        ([f"{n:02d}/01/2025" for n in range(1, 29)], "day_first", []),
        ([f"2025-01-{n:02d}" for n in range(1, 29)], "iso", []),
        ([f"2025-01-{n:02d}" for n in range(1, 15)] + [f"{n:02d}/01/2025" for n in range(1, 15)], "day_first", []),
        ([f"01/{n:02d}/2025" for n in range(1, 29)], "day_first", ["Assessment date"]),
    ],
)
def test_the_order_of_dates_is_found(tmp_path, texts, dates, month_first):
    rows = [(f"C{n}", text) for n, text in enumerate(texts)]
    made = map_extract(write(tmp_path / "extract.csv", ("Case ref", "Assessment date"), rows))
    assert made.report["dates"] == dates
    assert made.report["month_first"] == month_first
    assert ("assessment_date" in made.headings()) is not bool(month_first)


def test_columns_that_identify_by_content_are_refused_whatever_their_heading(tmp_path):
    headings = ("Case ref", "Sex", "Application date", "Ethnic group")
    rows = [
        (f"C{n}", f"ZZ{n} 1AB", f"{n % 28 + 1:02d}/{n % 12 + 1:02d}/{1950 + n % 50}", "White British")
        for n in range(60)
    ]
    made = map_extract(write(tmp_path / "extract.csv", headings, rows))
    assert set(made.headings()) == {"case_key", "main_ethnic_group"}
    kinds = {item["heading"]: item["kind"] for item in made.report["never_read"]}
    assert kinds == {"Sex": "a postcode", "Application date": "a date of birth"}


def test_a_national_insurance_number_as_household_reference_is_warned_about(tmp_path):
    rows = [(f"C{n}", f"QQ{n:06d}A", "Male") for n in range(60)]
    path = write(tmp_path / "extract.csv", ("Case ref", "Household ref", "Sex"), rows)
    made = map_extract(path, answers="0\n")
    assert made.headings()["household_key"] == "Household ref"
    assert "holds what looks like a National Insurance number" in made.said
    findings = content_findings(made.mapping, case_dataset(), directory=tmp_path, today=date(2025, 4, 1))
    assert [(item.column, item.refuse) for item in findings] == [("household_key", False)]


def test_ages_become_bands_those_not_seen_yet_too(tmp_path):
    rows = [(f"C{n}", str(20 + n % 3)) for n in range(60)]
    made = map_extract(write(tmp_path / "extract.csv", ("Case ref", "Age"), rows))
    assert made.code("main_age_band", "21") == "age_18_24"
    assert made.code("main_age_band", "93") == "age_75_over"
    assert made.code("main_age_band", "15") is None


def test_characters_that_cannot_be_seen_do_not_reach_the_file(tmp_path):
    rows = [(f"C{n}", ("Male", "Fe\u200bmale")[n % 2]) for n in range(60)]
    made = map_extract(write(tmp_path / "extract.csv", ("Case ref", "Sex"), rows))
    assert made.code("main_sex", "Fe\u200bmale") is None


def test_a_spreadsheet_with_titles_and_several_sheets_is_mapped(tmp_path):
    path = tmp_path / "cases.xlsx"
    save_xlsx(
        path, {"Cover": [["Homelessness team"]], "Cases": [["Printed today"], [], list(HEADINGS), *map(list, ROWS)]}
    )
    made = map_extract(path)
    assert made.headings()["household_type"] == "Household type"
    assert made.mapping.file == "cases.xlsx"


def test_the_extract_may_lie_elsewhere(tmp_path):
    (tmp_path / "export").mkdir()
    path, out = write(tmp_path / "export/extract.csv"), tmp_path / "m.yaml"
    assert CliRunner().invoke(app, ["map", str(path), "--out", str(out), "--yes"]).exit_code == 0
    assert yaml.safe_load(out.read_text())["file"] == str(path)


# Content of columns that are mapped, for `council-node check`


def test_nothing_is_found_in_the_practice_extracts(tmp_path):
    cases = synthesise("E06000002", 2)
    for name, style in styles().items():
        path = tmp_path / f"{name}.csv"
        write_extract(cases, path, seed=2, style=style)
        made = map_extract(path)
        assert content_findings(made.mapping, case_dataset(), directory=tmp_path, today=date(2025, 4, 1)) == ()


@pytest.mark.parametrize(
    ("texts", "refuse", "words"),
    [
        ([f"ZZ{n} 1AB" for n in range(60)], True, "holds what looks like a postcode"),
        (["Male"] * 59 + ["Ring 01632 960123"], False, "1 of 60 cells hold what looks like a telephone number"),
        ([f"Wording {n}" for n in range(500)], False, "500 different texts"),
    ],
)
def test_identifying_content_of_a_mapped_column_is_found_and_never_quoted(tmp_path, texts, refuse, words):
    path = write(tmp_path / "extract.csv", ("Case ref", "Sex"), [(f"C{n}", "Male") for n in range(60)])
    mapping = map_extract(path).mapping
    write(path, ("Case ref", "Sex"), [(f"C{n}", text) for n, text in enumerate(texts)])
    (finding,) = content_findings(mapping, load_schema().dataset("case"), directory=tmp_path, today=date(2025, 4, 1))
    assert (finding.column, finding.heading, finding.refuse) == ("main_sex", "Sex", refuse)
    assert words in finding.sentence
    assert not any(text in finding.sentence + finding.remedy for text in texts if text != "Male")
