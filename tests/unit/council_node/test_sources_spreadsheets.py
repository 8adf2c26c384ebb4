"""Spreadsheets as officers keep them: titles, sheets, merged cells and dates of every kind, within stated sizes."""

import json
import subprocess
import time as clock
import zipfile
from datetime import date, datetime, time

import pytest

from council_node.cells import reader
from council_node.cells.text import EPOCH_1904, cell_text, day_text
from council_node.mapping import ExtractMapping
from council_node.sources import check_coverage, load_extract, spreadsheet
from federated.errors import FileProblem, InternalError
from tests.spec.council import RUN_KEY, case_dataset
from tests.unit.council_node.workbooks import save_ods, save_xls, save_xlsx

HEADINGS = {"household_key": "HH Ref", "main_sex": "Sex", "assessment_date": "Date assessed", "dependent_children_n": "No of children"}  # fmt: skip
COLUMNS = ("main_sex", "assessment_date", "dependent_children_n")
HEADING_ROW = list(HEADINGS.values())
GOOD = ["H1", "Female", date(2025, 2, 3), 2]
SAVED = {"xlsx": save_xlsx, "xls": save_xls, "ods": save_ods}
FEMALE = case_dataset().column("main_sex").code_list.index("female")


def mapping_of(file, *, headings=None, **more):
    columns = {name: {"from": heading} for name, heading in (headings or HEADINGS).items()}
    document = {"mapping": 1, "dataset": "case", "file": file, "columns": columns, **more}
    return ExtractMapping.model_validate_json(json.dumps(document))


def load(directory, mapping):
    return load_extract(mapping, case_dataset(), COLUMNS, directory=directory, run_key=RUN_KEY)


def values(directory, mapping, names=COLUMNS):
    check_coverage(mapping, case_dataset(), COLUMNS, directory=directory)
    with load(directory, mapping) as extract:
        place = {name: at for at, name in enumerate(extract.rows().columns)}
        rows = extract.rows().run(extract.connection).fetchall()
        return [tuple(row[place[name]] for name in names) for row in rows], extract.report


@pytest.mark.parametrize("kind", SAVED)
def test_titles_blank_rows_and_blank_columns(tmp_path, kind):
    rows = [
        ["Homelessness cases, quarter 4"],
        [],
        ["", "Printed", date(2025, 4, 1)],
        ["", *HEADING_ROW[:2], "", *HEADING_ROW[2:]],
        [],
        ["", "H1", "Female", "", date(2025, 2, 3), 2],
        [],
        ["", "H2", "woman?", "", "31/01/2025", "3"],
        ["", "", "", "", "", ""],
    ]
    SAVED[kind](tmp_path / f"cases.{kind}", {"Cases": rows})
    found, report = values(tmp_path, mapping_of(f"cases.{kind}"))
    assert sorted(found, key=str) == sorted([(FEMALE, date(2025, 2, 3), 2), (2, date(2025, 1, 31), 3)], key=str)
    assert (report.rows_read, report.unknown_codes["main_sex"]) == (2, 1)


@pytest.mark.parametrize("kind", SAVED)
def test_the_sheet_is_found_by_its_headings_or_by_name(tmp_path, kind):
    notes = [["Notes"], ["Sex", "as the person says"]]
    path = tmp_path / f"cases.{kind}"
    SAVED[kind](path, {"Read me": notes, "Old": [["HH Ref", "Sex"]], "Cases": [HEADING_ROW, GOOD]})
    assert values(tmp_path, mapping_of(path.name))[0] == [(FEMALE, date(2025, 2, 3), 2)]
    SAVED[kind](path, {"2024": [HEADING_ROW], "2025": [HEADING_ROW, GOOD]})
    with pytest.raises(FileProblem, match="'2024', '2025'") as caught:
        values(tmp_path, mapping_of(path.name))
    assert "sheet:" in caught.value.remedy
    assert values(tmp_path, mapping_of(path.name, sheet="2025"))[0] == [(FEMALE, date(2025, 2, 3), 2)]
    with pytest.raises(FileProblem, match="sheet '2026'"):
        values(tmp_path, mapping_of(path.name, sheet="2026"))


@pytest.mark.parametrize("kind", ["xlsx", "xls"])
def test_headings_merged_over_two_rows(tmp_path, kind):
    rows = [["HH Ref", "Applicant", "", "Dates"], ["", "Sex", "No of children", "Date assessed"]]
    rows.append(["H1", "Female", 2, date(2025, 2, 3)])
    SAVED[kind](tmp_path / f"cases.{kind}", {"Cases": rows}, merged=[(0, 0, 1, 0), (0, 1, 0, 2)])
    assert values(tmp_path, mapping_of(f"cases.{kind}"))[0] == [(FEMALE, date(2025, 2, 3), 2)]


def test_a_stated_row_of_headings_is_taken(tmp_path):
    save_xlsx(tmp_path / "cases.xlsx", {"Cases": [HEADING_ROW, ["what", "it", "all", "means"], HEADING_ROW, GOOD]})
    assert len(values(tmp_path, mapping_of("cases.xlsx"))[0]) == 3
    assert len(values(tmp_path, mapping_of("cases.xlsx", heading_row=3))[0]) == 1
    with pytest.raises(FileProblem, match="row 2"):
        values(tmp_path, mapping_of("cases.xlsx", heading_row=2))


def test_no_case_takes_the_place_of_the_headings(tmp_path):
    rows = [["Sex", "Date assessed", "No of children", "HH Ref"], *([[*HEADING_ROW]] * 3), GOOD]
    save_xlsx(tmp_path / "cases.xlsx", {"Cases": rows})
    found, report = values(tmp_path, mapping_of("cases.xlsx"))
    assert report.rows_read == 4
    assert len(found) == 4


@pytest.mark.parametrize("kind", SAVED)
def test_cells_of_every_kind(tmp_path, kind):
    written = [
        (date(2025, 2, 3), 2),
        (datetime(2025, 2, 3, 14, 30), 2.0),  # noqa: DTZ001 - as a sheet holds it
        ("03/02/2025", "2"),
        ("3 Feb 2025", " 2 "),
        (45691, "2.0"),
        (45691.75, 2.2),
        ("2025-02-03", "£2"),
    ]
    rows = [["H", "Female", day, number] for day, number in written]
    SAVED[kind](tmp_path / f"cases.{kind}", {"Cases": [HEADING_ROW, *rows]})
    found, report = values(tmp_path, mapping_of(f"cases.{kind}"))
    assert found == [(FEMALE, date(2025, 2, 3), 2)] * len(written)
    assert sum(report.unreadable.values()) == 0


def test_what_cannot_be_read_is_unknown_and_stops_nothing(tmp_path):
    rows = [
        ["H", "#N/A", "#REF!", "#DIV/0!"],
        ["H", "=1+1", '=HYPERLINK("http://CANARY")', "=2+2"],
        ["H", True, time(3, 4), 1e308],
        ["H", 7, True, "@SUM(1)"],
        ["H", "x" * 32_000, "-", "+"],
    ]  # fmt: skip
    save_xlsx(tmp_path / "cases.xlsx", {"Cases": [HEADING_ROW, *rows]})
    found, report = values(tmp_path, mapping_of("cases.xlsx"))
    assert found == [(2, None, None)] * len(rows)
    assert report.rows_read == len(rows)
    assert "CANARY" not in str(report)


@pytest.mark.parametrize("kind", ["xlsx", "xls"])
def test_workbooks_that_count_days_from_1904(tmp_path, kind):
    rows = [["H1", "Female", date(2025, 2, 3), 2]]
    SAVED[kind](tmp_path / f"cases.{kind}", {"Cases": [HEADING_ROW, *rows]}, from_1904=True)
    assert values(tmp_path, mapping_of(f"cases.{kind}"))[0] == [(FEMALE, date(2025, 2, 3), 2)]


def test_a_bare_day_number_counts_from_the_workbooks_own_day(tmp_path):
    serial = (date(2025, 2, 3) - EPOCH_1904).days
    save_xlsx(tmp_path / "cases.xlsx", {"Cases": [HEADING_ROW, ["H1", "Female", serial, 2]]}, from_1904=True)
    assert values(tmp_path, mapping_of("cases.xlsx"))[0] == [(FEMALE, date(2025, 2, 3), 2)]
    assert day_text(5, EPOCH_1904) == "5"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (3.0, "3"),
        (-0.0, "0"),
        (2.5, "2.5"),
        (1e308, "1e+308"),
        (float("nan"), "nan"),
        (date(2025, 1, 2), "2025-01-02"),
        (datetime(2025, 1, 2), "2025-01-02"),  # noqa: DTZ001 - as a sheet holds it
        (datetime(2025, 1, 2, 3, 4, 5, 6), "2025-01-02 03:04:05"),  # noqa: DTZ001 - as above
        ("=1+1", "=1+1"),
        (b"caf\xe9", "caf�"),
        ("\ud800", "?"),
    ],
)
def test_a_cell_is_the_text_it_would_be_in_a_csv_file(value, text):
    assert cell_text(value) == text


def refused(directory, mapping):
    with pytest.raises(FileProblem) as caught:
        check_coverage(mapping, case_dataset(), COLUMNS, directory=directory)
    assert caught.value.remedy
    assert "CANARY" not in caught.value.diagnostics()
    return str(caught.value)


def test_files_that_are_no_spreadsheet(tmp_path):
    path = tmp_path / "cases.xlsx"
    mapping = mapping_of(path.name)
    assert "cannot be read" in refused(tmp_path, mapping)
    for content in (b"", b"CANARY", b"PK\x03\x04CANARY", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1CANARY", bytes(4096)):
        path.write_bytes(content)
        assert "not a spreadsheet" in refused(tmp_path, mapping)
    save_xlsx(path, {"Cases": [HEADING_ROW, GOOD]})
    whole = path.read_bytes()
    for part in (0.3, 0.6, 0.99):
        path.write_bytes(whole[: int(len(whole) * part)])
        assert "not a spreadsheet" in refused(tmp_path, mapping)
    path.unlink()
    path.mkdir()
    assert "not a file" in refused(tmp_path, mapping)


def test_headings_that_are_not_there(tmp_path):
    save_xlsx(tmp_path / "cases.xlsx", {"Cases": [["CANARY", "x"], ["y", "z"]]})
    assert "none of the mapped headings" in refused(tmp_path, mapping_of("cases.xlsx"))
    save_xlsx(tmp_path / "cases.xlsx", {"Cases": [[], HEADING_ROW[:3], ["CANARY"]]})
    assert "sheet 'Cases', row 2: there is no heading 'No of children'" in refused(tmp_path, mapping_of("cases.xlsx"))
    save_xlsx(tmp_path / "cases.xlsx", {"Cases": [[*HEADING_ROW, "SEX"], ["CANARY"]]})
    assert "2 times" in refused(tmp_path, mapping_of("cases.xlsx"))


def test_a_small_file_that_asks_for_all_memory_is_refused(tmp_path):
    save_xlsx(tmp_path / "cases.xlsx", {"Cases": [HEADING_ROW, GOOD]}, stray=("XFD1048576", "CANARY"))
    assert "too large" in refused(tmp_path, mapping_of("cases.xlsx"))


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path):
    path = tmp_path / "cases.xlsx"
    save_xlsx(path, {"Cases": [HEADING_ROW, GOOD]})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as packed, packed.open("xl/media/image.bin", "w") as part:
        for _ in range(520):
            part.write(bytes(1024 * 1024))
    assert path.stat().st_size < 2_000_000
    assert "too large" in refused(tmp_path, mapping_of("cases.xlsx"))


def test_too_many_rows_and_too_many_bytes_are_refused_with_advice(tmp_path, monkeypatch):
    save_xlsx(tmp_path / "cases.xlsx", {"Cases": [HEADING_ROW, GOOD]}, stray=("A200002", "x"))
    assert "200,000 rows" in refused(tmp_path, mapping_of("cases.xlsx"))
    monkeypatch.setattr(spreadsheet, "FILE_BYTES", 100)
    assert "too large" in refused(tmp_path, mapping_of("cases.xlsx"))


def test_a_row_with_too_much_text_is_left_out_and_counted(tmp_path):
    rows = [["H1", "x" * 1_100_000, "", ""], ["H2", "x" * 900_000, "", ""], GOOD]
    save_ods(tmp_path / "cases.ods", {"Cases": [HEADING_ROW, *rows]})
    found, report = values(tmp_path, mapping_of("cases.ods"))
    assert (report.rows_read, report.rows_unreadable) == (2, 1)
    assert (FEMALE, date(2025, 2, 3), 2) in found


def test_a_reader_that_hangs_is_ended(tmp_path, monkeypatch):
    save_xlsx(tmp_path / "cases.xlsx", {"Cases": [HEADING_ROW, GOOD]})
    started = []

    def sleeping(command, **options):
        started.append(subprocess.Popen(["sleep", "15"], **options))
        return started[0]

    monkeypatch.setattr(spreadsheet, "TIMEOUT_S", 0.2)
    monkeypatch.setattr(
        spreadsheet, "subprocess", type("Processes", (), {**vars(subprocess), "Popen": staticmethod(sleeping)})
    )
    began = clock.monotonic()
    assert "too large" in refused(tmp_path, mapping_of("cases.xlsx"))
    assert clock.monotonic() - began < 10
    assert started[0].returncode is not None


def test_a_spreadsheet_that_is_replaced_in_between_is_a_fault_without_its_content(tmp_path, monkeypatch):
    path = tmp_path / "cases.xlsx"
    save_xlsx(path, {"Cases": [HEADING_ROW, GOOD]})
    honest = spreadsheet.SpreadsheetSource.reading

    def replaced(self, wanted):
        path.write_bytes(b"PK\x03\x04CANARY")
        return honest(self, wanted)

    monkeypatch.setattr(spreadsheet.SpreadsheetSource, "reading", replaced)
    with pytest.raises(InternalError) as caught:
        load(tmp_path, mapping_of(path.name))
    assert "CANARY" not in caught.value.diagnostics()


def test_the_reader_is_given_nothing_of_the_nodes_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("CANARY", "CANARY")
    save_xlsx(tmp_path / "cases.xlsx", {"Cases": [HEADING_ROW, GOOD]})
    given = []
    honest = subprocess.Popen

    def watched(command, **options):
        given.append((command, options))
        return honest(command, **options)

    monkeypatch.setattr(
        spreadsheet, "subprocess", type("Processes", (), {**vars(subprocess), "Popen": staticmethod(watched)})
    )
    values(tmp_path, mapping_of("cases.xlsx"))
    assert len(given) >= 2
    assert all(command[1:4] == ["-I", "-m", reader.__name__] for command, _ in given)
    assert "CANARY" not in str(given)
