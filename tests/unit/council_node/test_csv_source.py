"""Reading an extract: what is loaded, what is understood, and that nothing in a row can stop it or leak from it."""

import traceback
from datetime import date

import duckdb
import pytest

from council_node.mapping import ExtractMapping
from council_node.sources import check_coverage, load_extract
from council_node.sources.extract import open_database
from federated.errors import FileProblem, InternalError
from tests.spec.council import RUN_KEY, case_dataset, mapping_for, pseudonym_of, write_csv

SEXES = case_dataset().column("main_sex").code_list
HEADINGS = ("household_key", "main_sex", "assessment_date", "dependent_children_n")
COLUMNS = HEADINGS[1:]
GOOD = ("H1", "female", "2025-01-15", "2")


def load(
    directory, rows, *, headings=HEADINGS, columns=COLUMNS, mapping=None, encoding="utf-8", raw=None, run_key=RUN_KEY
):
    path = write_csv(directory, headings, rows, encoding=encoding)
    if raw is not None:
        path.write_bytes(raw)
    mapping = mapping or mapping_for(headings)
    return load_extract(mapping, case_dataset(), columns, directory=directory, run_key=run_key)


def values(extract, *names):
    with extract:
        position = {name: place for place, name in enumerate(extract.rows().columns)}
        rows = extract.rows().run(extract.connection).fetchall()
    return sorted((tuple(row[position[name]] for name in names) for row in rows), key=str)


def test_loads_only_approved_columns_and_no_reference(tmp_path):
    headings = (*HEADINGS, "applicant_name", "case_notes")
    mapping = mapping_for(HEADINGS)
    with load(
        tmp_path, [(*GOOD, "CANARY-NAME", "CANARY-NOTE")], headings=headings, mapping=mapping, columns=("main_sex",)
    ) as extract:
        tables = extract.connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
        stored = str(extract.connection.execute("SELECT * FROM canonical_rows").fetchall())
        described = extract.connection.execute("DESCRIBE canonical_rows").fetchall()
    assert tables == [("canonical_rows",)]
    assert "CANARY" not in stored
    assert "H1" not in stored
    assert "assessment_date" not in str(described)


def test_household_key_becomes_a_pseudonym_of_this_run(tmp_path):
    rows = [GOOD, ("H1 ", *GOOD[1:]), ("H2", *GOOD[1:])]
    first = values(load(tmp_path, rows), "!household")
    assert first == sorted([(pseudonym_of("H1"),)] * 2 + [(pseudonym_of("H2"),)], key=str)
    assert values(load(tmp_path, rows, run_key=bytes(16)), "!household") != first
    with pytest.raises(ValueError, match="16 bytes"):
        load(tmp_path, rows, run_key=b"short")


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("female", "female"),
        ("  FEMALE ", "female"),
        ("Woman", "female"),
        ("woman ", "female"),
        ("", "not_known"),
        ("CANARY", "not_known"),
        ("=cmd|' /C calc'!A0", "not_known"),
        ("'; DROP TABLE canonical_rows; --", "not_known"),
    ],
)
def test_codes_match_whatever_the_case_and_blanks(tmp_path, written, code):
    mapping = mapping_for(HEADINGS, codes={"main_sex": {"Woman": "female"}})
    extract = load(tmp_path, [("H1", written, *GOOD[2:])], mapping=mapping)
    unknown = extract.report.unknown_codes["main_sex"]
    assert values(extract, "main_sex") == [(SEXES.index(code),)]
    assert unknown == (code == "not_known" and written != "")


NO_DATES = ("epoch", "Infinity", "-infinity", "\tepoch", "today", "now", "0001-01-01")
"""Words that the engine, or another database, takes for a date; and what some systems write for none."""


@pytest.mark.parametrize(
    ("order", "written", "day"),
    [
        ("iso", "2025-02-03", date(2025, 2, 3)),
        ("iso", "2025-02-03T10:11:12", date(2025, 2, 3)),
        ("iso", "03/02/2025", None),
        ("day_first", "03/02/2025", date(2025, 2, 3)),
        ("day_first", "3/2/2025", date(2025, 2, 3)),
        ("day_first", "03/02/25", date(2025, 2, 3)),
        ("day_first", "29/02/24", date(2024, 2, 29)),
        ("day_first", "03-02-2025", date(2025, 2, 3)),
        ("day_first", "3 Feb 2025", date(2025, 2, 3)),
        ("day_first", "03/02/2025 14:30", date(2025, 2, 3)),
        ("day_first", "2025-02-03", date(2025, 2, 3)),
        ("day_first", "45691", date(2025, 2, 3)),
        ("day_first", "45691.75", date(2025, 2, 3)),
        ("day_first", "02/30/2025", None),
        ("day_first", "31/02/2025", None),
        ("day_first", "20250203", None),
        ("day_first", "01/01/9999", None),
        ("day_first", "CANARY", None),
        ("day_first", "", None),
        ("day_first", "inf", None),
        ("day_first", "1e300", None),
        ("day_first", "\t03/02/2025", date(2025, 2, 3)),
        *((order, word, None) for order in ("iso", "day_first") for word in NO_DATES),
        ("day_first", "01/01/0001", None),
        ("day_first", "01/01/0000", None),
        ("day_first", "0001-01-01 00:00:00", None),
        ("iso", "0025-02-03", None),
    ],
)
def test_dates_as_people_write_them(tmp_path, order, written, day):
    mapping = mapping_for(HEADINGS, dates=order)
    extract = load(tmp_path, [("H1", "female", written, "1")], mapping=mapping)
    unread = extract.report.unreadable["assessment_date"]
    assert values(extract, "assessment_date") == [(day,)]
    assert unread == (day is None and written != "")


@pytest.mark.parametrize(
    ("written", "number", "unread", "outside"),
    [
        ("2", 2, 0, 0),
        (" 2 ", 2, 0, 0),
        ("2.5", 3, 0, 0),
        ("£1.20", 1, 0, 0),
        ("9", 6, 0, 1),
        ("-1", 0, 0, 1),
        ("1,234", 6, 0, 1),
        ("", None, 0, 0),
        ("two", None, 1, 0),
        ("99999999999999999999", None, 1, 0),
        ("nan", None, 1, 0),
        ("-inf", None, 1, 0),
    ],
)
def test_whole_numbers_as_people_write_them(tmp_path, written, number, unread, outside):
    extract = load(tmp_path, [("H1", "female", "2025-01-01", written)])
    assert extract.report.unreadable["dependent_children_n"] == unread
    assert extract.report.outside_bounds["dependent_children_n"] == outside
    assert values(extract, "dependent_children_n") == [(number,)]


def test_a_household_that_objects_is_dropped_with_all_its_rows(tmp_path):
    headings = (*HEADINGS, "opted_out")
    rows = [(*GOOD, "N"), (*GOOD, "Yes"), ("H2", *GOOD[1:], ""), ("H3", *GOOD[1:], "0"), ("H4", *GOOD[1:], "declined?")]
    extract = load(tmp_path, rows, headings=headings)
    assert (extract.report.rows_read, extract.report.rows_opted_out, extract.report.opt_out_known) == (5, 3, True)
    assert values(extract, "!household") == sorted([(pseudonym_of("H2"),), (pseudonym_of("H3"),)], key=str)


def test_wording_of_objections_follows_the_mapping(tmp_path):
    headings = (*HEADINGS, "opted_out")
    mapping = mapping_for(headings, codes={"opted_out": {"Objects": "yes", "Not asked": "not_known"}})
    extract = load(tmp_path, [(*GOOD, "objects"), ("H2", *GOOD[1:], "Not asked")], headings=headings, mapping=mapping)
    assert values(extract, "!household") == [(pseudonym_of("H2"),)]


def test_rows_without_a_household_stand_alone_or_with_their_case(tmp_path):
    headings = ("case_key", *HEADINGS)
    rows = [
        ("C1", "", *GOOD[1:]),
        ("C1", "", *GOOD[1:]),
        ("C2", " ", *GOOD[1:]),
        ("", "", *GOOD[1:]),
        ("", "", *GOOD[1:]),
    ]
    extract = load(tmp_path, rows, headings=headings)
    assert extract.report.rows_without_key == 5
    assert "household reference" in extract.report.warnings()[1]
    assert len(set(values(extract, "!household"))) == 4


def test_no_reference_mapped_at_all_is_a_warning_not_a_fault(tmp_path):
    extract = load(tmp_path, [GOOD, GOOD], mapping=mapping_for(COLUMNS))
    assert extract.report.rows_without_key == 2
    assert len(set(values(extract, "!household"))) == 2


def test_derived_columns_are_made_from_their_source(tmp_path):
    dataset = case_dataset()
    derived = next(dataset.derived_columns())
    source = dataset.column(derived.derived_from)
    rows = [("H1", code.code) for code in source.codes] + [("H1", "CANARY")]
    extract = load(tmp_path, rows, headings=("household_key", source.name), columns=(derived.name,))
    expected = [derived.code_list.index(derived.derivation[code.code]) for code in source.codes]
    assert sorted(place for (place,) in values(extract, derived.name)) == sorted(
        [*expected, derived.code_list.index("not_known")]
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_encodings_councils_save_in(tmp_path, encoding):
    mapping = mapping_for(HEADINGS, codes={"main_sex": {"Female – self-described": "female"}})
    rows = [("José", "female – Self-described", *GOOD[2:])]
    extract = load(tmp_path, rows, mapping=mapping, encoding=encoding)
    assert extract.report.encoding == ("cp1252" if encoding == "cp1252" else "utf-8")
    assert values(extract, "main_sex", "!household") == [(SEXES.index("female"), pseudonym_of("José"))]


def test_a_stated_encoding_leaves_broken_lines_out_and_counts_them(tmp_path):
    raw = ",".join(HEADINGS).encode() + b"\nH1,female,2025-01-15,2\nH\xff,female,2025-01-15,2\n"
    extract = load(tmp_path, [], raw=raw, mapping=mapping_for(HEADINGS, encoding="utf-8"))
    assert (extract.report.rows_unreadable, extract.report.rows_read) == (1, 1)
    extract.close()
    automatic = load(tmp_path, [], raw=raw)
    assert (automatic.report.encoding, automatic.report.rows_read) == ("cp1252", 2)
    automatic.close()


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_line_endings_and_delimiters(tmp_path, ending, delimiter):
    raw = ending.join([delimiter.join(row) for row in (HEADINGS, GOOD, ("H2", *GOOD[1:]))]).encode()
    assert len(values(load(tmp_path, [], raw=raw), "main_sex")) == 2


HOSTILE = {
    "short line": b"H9\n",
    "long line": b"H9,female,2025-01-15,2,extra,extra\n",
    "blank lines": b"\n\n,,,\n",
    "zero byte": b"H9,fe\x00male,2025-01-15,2\n",
    "stray quote": b'H9,fe"male,2025-01-15,2\n',
    "line break in quotes": b'"H9\nCANARY",female,2025-01-15,2\n',
    "formula": b'"=HYPERLINK(""http://CANARY"")",female,2025-01-15,2\n',
    "huge field": b"H9," + b"C" * 3_000_000 + b",2025-01-15,2\n",
    "not UTF-8": b"H9,\xc3\x28CANARY\xff,2025-01-15,2\n",
    "direction marks": "H9,\u202eelamef,2025-01-15,2\n".encode(),
    "only quotes": b'"""","","",""\n',
    "injection": b"H9,'); DROP TABLE canonical_rows; --,2025-01-15,2\n",
    "unfinished quote": b'"CANARY,female,2025-01-15,2\n',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_line_stops_the_load_or_is_told(tmp_path, name, capfd):
    good = ",".join(GOOD).encode() + b"\n"
    raw = ",".join(HEADINGS).encode() + b"\n" + good + HOSTILE[name]
    extract = load(tmp_path, [], raw=raw)
    said = str(extract.report) + str(extract.report.warnings()) + repr(extract)
    loaded = values(extract, "!household", "main_sex", "assessment_date", "dependent_children_n")
    assert (pseudonym_of("H1"), SEXES.index("female"), date(2025, 1, 15), 2) in loaded
    assert len(loaded) <= 2
    assert "CANARY" not in said
    assert capfd.readouterr() == ("", "")


def test_an_empty_extract_is_a_fine_extract(tmp_path):
    extract = load(tmp_path, [])
    assert extract.report.rows_read == 0
    assert values(extract, "main_sex") == []


def test_a_file_of_the_wrong_alphabet_throughout_is_read_in_the_other(tmp_path):
    rows = [(f"Zoë-{number}", *GOOD[1:]) for number in range(12_000)]
    extract = load(tmp_path, rows, encoding="cp1252")
    assert (extract.report.rows_read, extract.report.encoding) == (12_000, "cp1252")
    extract.close()


@pytest.mark.parametrize(
    ("mapped", "columns", "words"),
    [
        (HEADINGS, ("section21_notice",), ["section21_notice", "mapping"]),
        ((*HEADINGS, "section21_notice"), COLUMNS, None),
        ((*HEADINGS, "section21_notice"), ("section21_notice",), ["line 1", "section21_notice", "heading"]),
        ((*HEADINGS, "opted_out"), COLUMNS, ["line 1", "opted_out"]),
        ((*HEADINGS, "case_key"), COLUMNS, ["line 1", "case_key"]),
        (HEADINGS, ("household_key",), ["identifies people"]),
    ],
)
def test_coverage_is_found_wanting_before_any_round(tmp_path, mapped, columns, words):
    write_csv(tmp_path, HEADINGS, [("CANARY", *GOOD[1:])])
    mapping = mapping_for(mapped)
    if words is None:
        check_coverage(mapping, case_dataset(), columns, directory=tmp_path)
        return
    for check in (check_coverage, lambda *args, **more: load_extract(*args, **more, run_key=RUN_KEY)):
        with pytest.raises(FileProblem) as caught:
            check(mapping, case_dataset(), columns, directory=tmp_path)
        assert all(word in caught.value.diagnostics() for word in words)
        assert caught.value.remedy
        assert "CANARY" not in caught.value.diagnostics()


def test_headings_match_whatever_the_case_and_blanks_but_only_once(tmp_path):
    write_csv(tmp_path, (" HOUSEHOLD_key ", "Main_Sex"), [])
    check_coverage(mapping_for(("household_key", "main_sex")), case_dataset(), ("main_sex",), directory=tmp_path)
    write_csv(tmp_path, ("main_sex", "Main_Sex"), [])
    with pytest.raises(FileProblem, match="2 times"):
        check_coverage(mapping_for(("main_sex",)), case_dataset(), ("main_sex",), directory=tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"", "row of headings"),
        (b"\n\n", "row of headings"),
        (b",,,\n", "row of headings"),
        (b'"unfinished CANARY', "does not end"),
        (b"x" * 1_100_000, "does not end"),
    ],
)
def test_files_that_are_no_extract(tmp_path, content, words):
    if content is not None:
        (tmp_path / "extract.csv").write_bytes(content)
    with pytest.raises(FileProblem, match=words) as caught:
        check_coverage(mapping_for(HEADINGS), case_dataset(), COLUMNS, directory=tmp_path)
    assert "CANARY" not in caught.value.diagnostics()


def test_a_name_with_a_pattern_in_it_is_refused(tmp_path):
    mapping = mapping_for(HEADINGS).model_copy(update={"file": "extract*.csv"})
    (tmp_path / "extract*.csv").write_text(",".join(HEADINGS))
    with pytest.raises(FileProblem, match="cannot be read") as caught:
        check_coverage(mapping, case_dataset(), COLUMNS, directory=tmp_path)
    assert caught.value.remedy == "Rename the file."


def test_a_mapping_for_another_data_set_is_refused(tmp_path):
    mapping = ExtractMapping.model_validate_json(
        '{"mapping": 1, "dataset": "event", "file": "extract.csv", "columns": {}}'
    )
    with pytest.raises(FileProblem, match="'event', not for 'case'"):
        check_coverage(mapping, case_dataset(), COLUMNS, directory=tmp_path)


def test_out_of_memory_is_told_without_a_row(tmp_path):
    write_csv(tmp_path, HEADINGS, [(f"CANARY-{number}", *GOOD[1:]) for number in range(40_000)])
    with pytest.raises(InternalError) as caught:
        load_extract(
            mapping_for(HEADINGS), case_dataset(), COLUMNS, directory=tmp_path, run_key=RUN_KEY, memory_limit_mib=4
        )
    assert "CANARY" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "MiB" in caught.value.remedy


def test_the_database_reads_its_one_file_and_writes_none(tmp_path):
    extract, other = tmp_path / "it's extract.csv", tmp_path / "other.csv"
    for path in (extract, other):
        path.write_text("a\n1\n")
    connection = open_database(threads=1, memory_limit_mib=100, readable=(extract,))
    assert connection.execute("SELECT count(*) FROM read_csv(?)", [str(extract)]).fetchone() == (1,)
    assert connection.execute("SELECT current_setting('temp_directory')").fetchone() == ("",)
    refused = (
        "SELECT * FROM read_csv('{other}')",
        "SELECT * FROM glob('{folder}/*')",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "ATTACH '{folder}/out.db'",
        "EXPORT DATABASE '{folder}/out'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_paths = ['{other}']",
        "SET temp_directory = '{folder}'",
        "SET threads = 8",
    )
    for statement in refused:
        with pytest.raises(duckdb.Error):
            connection.execute(statement.format(other=other, folder=tmp_path))
    connection.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it's extract.csv", "other.csv"]


def test_a_loaded_database_is_locked_too(tmp_path):
    with load(tmp_path, [GOOD]) as extract, pytest.raises(duckdb.Error):
        extract.connection.execute("SELECT * FROM read_csv(?)", [str(tmp_path / "other.csv")])
    with pytest.raises(duckdb.Error):
        extract.connection.execute("SELECT 1")
