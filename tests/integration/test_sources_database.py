"""An extract in a real database: what is read of it, that nothing is written, and that no error tells anything."""

import json
import os
import sqlite3
import threading
import traceback
from datetime import UTC, date, datetime

import psycopg
import pytest

from council_node.mapping import ExtractMapping
from council_node.sources import check_coverage, load_extract, sql_source
from council_node.sources.database_secret import read_secret
from council_node.sources.opening import extract_date, open_source
from council_node.sources.text_rows import Wanted
from federated.errors import FederatedError, FileProblem, InternalError
from federated.query import Period
from tests.integration.housing_database import PASSWORD, as_owner, running_server, secret_file, statements
from tests.spec.council import QUARTER, RUN_KEY, case_dataset

COLUMNS = ("main_sex", "assessment_date", "dependent_children_n")
HEADINGS = {"household_key": "HH Ref", "main_sex": "Sex", "assessment_date": "Assessed", "dependent_children_n": "Children", "opted_out": "Objects"}  # fmt: skip
FEMALE = case_dataset().column("main_sex").code_list.index("female")
GOOD = (FEMALE, date(2025, 2, 3), 2)
NOW = datetime(2025, 4, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def server():
    with running_server() as folder:
        yield folder


@pytest.fixture
def owner(server):
    with as_owner(server) as connection:
        yield connection


def make_cases(owner, *rows, assessed="date", objects="text", table="cases"):
    owner.execute(f"DROP TABLE IF EXISTS housing.{table} CASCADE")
    owner.execute(
        f'CREATE TABLE housing.{table} ("HH Ref" text, "Sex" text, "Assessed" {assessed}, "Children" numeric, '
        f'"Objects" {objects}, "Name" text, "Notes" text)'
    )
    with owner.cursor() as cursor:
        cursor.executemany(f"INSERT INTO housing.{table} VALUES (%s, %s, %s, %s, %s, 'CANARY-NAME', 'CANARY')", rows)
    owner.execute(f"GRANT SELECT ON housing.{table} TO reader")


def mapping_of(folder, server, headings=None, **place):
    columns = {name: {"from": heading} for name, heading in (headings or HEADINGS).items()}
    place = {"database": secret_file(folder, server), "table": "housing.cases", **place}
    return ExtractMapping.model_validate_json(
        json.dumps({"mapping": 1, "dataset": "case", **place, "columns": columns})
    )


def values(folder, mapping, names=COLUMNS, period=QUARTER):
    check_coverage(mapping, case_dataset(), names, directory=folder)
    with load_extract(mapping, case_dataset(), names, directory=folder, run_key=RUN_KEY, period=period) as extract:
        place = {name: at for at, name in enumerate(extract.rows().columns)}
        rows = extract.rows().run(extract.connection).fetchall()
        return [tuple(row[place[name]] for name in names) for row in rows], extract.report


def asked_since(server, before):
    whole = statements(server)[before:].replace("\n\t", " ")
    return [line for line in whole.splitlines() if "statement:" in line or "execute" in line]


ROWS = [
    ("H1", "Female", date(2025, 2, 3), 2, "N"),
    ("H2", "Female", date(2024, 2, 3), 2, "N"),
    ("H3", "Female", date(2025, 2, 3), 2, None),
    ("H3", "Female", date(2023, 2, 3), 2, "Yes"),
    ("H4", "Female", None, 2, " n "),
]


def test_only_the_questions_columns_and_period_are_read(tmp_path, server, owner):
    make_cases(owner, *ROWS)
    before = len(statements(server))
    found, report = values(tmp_path, mapping_of(tmp_path, server))
    assert found == [GOOD]
    # The old row of H3 objects, so it came too, and H3 is dropped.
    assert (report.rows_read, report.rows_opted_out) == (3, 2)
    asked = " ".join(asked_since(server, before))
    assert "Name" not in asked
    assert "Notes" not in asked
    [read] = [line for line in asked_since(server, before) if "DECLARE" in line]
    assert "BETWEEN" in read
    assert "SELECT" in read
    assert "*" not in read.split("SELECT")[1]
    everything, _ = values(tmp_path, mapping_of(tmp_path, server), period=None)
    assert len(everything) == 3


def test_coverage_reads_the_catalogue_and_no_row(tmp_path, server, owner):
    make_cases(owner, *ROWS)
    before = len(statements(server))
    check_coverage(mapping_of(tmp_path, server), case_dataset(), COLUMNS, directory=tmp_path)
    of_cases = [line for line in asked_since(server, before) if "housing.cases" in line]
    assert of_cases
    assert all(line.rstrip().endswith("false") for line in of_cases)


@pytest.mark.parametrize(
    ("assessed", "pushed"), [("date", True), ("timestamp", True), ("timestamptz", False), ("text", False)]
)
def test_only_real_dates_are_left_to_the_database(tmp_path, server, owner, assessed, pushed):
    rows = [(*row[:2], row[2] and row[2].isoformat(), *row[3:]) for row in ROWS]
    rows.append(
        ("H5", "Female", "2025-03-31 23:59:59.5" if assessed.startswith("timestamp") else "2025-03-31", 2, None)
    )
    make_cases(owner, *rows, assessed=assessed)
    before = len(statements(server))
    found, report = values(tmp_path, mapping_of(tmp_path, server))
    inside = sorted(row for row in found if row[1] is not None and row[1].year == 2025)
    assert inside == [GOOD, (FEMALE, date(2025, 3, 31), 2)]
    assert report.rows_read == (4 if pushed else 6)
    assert (
        any("WHERE" in line and "false" not in line for line in asked_since(server, before) if "DECLARE" in line)
        is pushed
    )


def test_a_period_may_end_on_the_last_day_there_is(tmp_path, server, owner):
    make_cases(owner, *ROWS[:2], ("H6", "Female", "9999-12-31", 2, None), assessed="timestamp")
    period = Period(column=QUARTER.column, start=QUARTER.start, end=date.max)
    found, report = values(tmp_path, mapping_of(tmp_path, server), period=period)
    # The row of 2024 was left in the database; the last day stands for no date in a case system.
    assert found == [GOOD, (FEMALE, None, 2)]
    assert report.rows_read == 2


@pytest.mark.parametrize("objects", ["boolean", "integer", "char(5)"])
def test_objections_of_every_type_are_honoured_outside_the_period(tmp_path, server, owner, objects):
    yes, no = {"boolean": (True, False), "integer": (1, 0), "char(5)": ("YES", "No")}[objects]
    days = (date(2025, 2, 3), date(2020, 1, 1))
    rows = [("H1", "Female", days[0], 2, no), ("H1", "Female", days[1], 2, yes), ("H2", "Female", days[0], 2, no), ("H2", "Female", days[1], 2, no)]  # fmt: skip
    make_cases(owner, *rows, objects=objects)
    found, report = values(tmp_path, mapping_of(tmp_path, server))
    assert found == [GOOD]
    assert report.rows_opted_out == 2
    assert report.rows_read == 3


def test_no_value_of_a_row_stops_the_read(tmp_path, server, owner):
    make_cases(owner, *ROWS[:1])
    rows = [
        "('H', 'x', 'infinity', 'NaN', NULL)",
        "('H', E'\\u0001\\u202e', '9999-12-31', 'Infinity', '')",
        "('H', repeat('y', 900000), '0044-03-15 BC', 1e300, NULL)",
        "('H', 'z', '294276-01-01', -1e131071, NULL)",
        "('H', repeat('y', 1200000), '2025-01-01', 1, NULL)",
    ]
    owner.execute('ALTER TABLE housing.cases ALTER "Assessed" TYPE timestamp')
    for row in rows:
        owner.execute(f'INSERT INTO housing.cases ("HH Ref", "Sex", "Assessed", "Children", "Objects") VALUES {row}')
    found, report = values(tmp_path, mapping_of(tmp_path, server), period=None)
    assert GOOD in found
    assert (report.rows_read, report.rows_unreadable) == (5, 1)
    assert report.unreadable["assessment_date"] >= 3


def test_a_table_larger_than_a_batch_comes_in_batches(tmp_path, server, owner):
    make_cases(owner)
    owner.execute(
        "INSERT INTO housing.cases SELECT 'H' || n, 'Female', '2025-02-03', n % 7 FROM generate_series(1, 12000) n"
    )
    source = open_source(mapping_of(tmp_path, server), tmp_path)
    with source.reading(Wanted(places=(0, 3))) as rows:
        sizes = [len(batch[0]) for batch in rows.columns()]
    assert sizes == [5000, 5000, 2000]
    assert values(tmp_path, mapping_of(tmp_path, server))[1].rows_read == 12_000


def test_an_empty_table_is_a_fine_extract(tmp_path, server, owner):
    make_cases(owner)
    assert values(tmp_path, mapping_of(tmp_path, server))[1].rows_read == 0
    assert extract_date(mapping_of(tmp_path, server), tmp_path, NOW) == NOW.date()


def test_nothing_can_be_written(tmp_path, server, owner):
    make_cases(owner, *ROWS)
    owner.execute("GRANT ALL ON housing.cases TO reader")
    source = open_source(mapping_of(tmp_path, server), tmp_path)
    with pytest.raises(sql_source.SQLAlchemyError, match="read-only"), source.table.connected() as connection:
        connection.exec_driver_sql("DELETE FROM housing.cases")


def told(error):
    words = "".join(traceback.format_exception(error)) if error.__suppress_context__ else "shown whole"
    return f"{error.diagnostics()} {words}"


def refused(folder, mapping):
    with pytest.raises(FileProblem) as caught:
        check_coverage(mapping, case_dataset(), COLUMNS, directory=folder)
    assert caught.value.remedy
    for canary in (PASSWORD, "CANARY"):
        assert canary not in told(caught.value)
        assert canary not in repr(caught.value)
    return str(caught.value)


def test_what_is_missing_is_found_before_any_round(tmp_path, server, owner):
    make_cases(owner, *ROWS)
    assert "is not there" in refused(tmp_path, mapping_of(tmp_path, server, table="housing.other"))
    assert "is not there" in refused(tmp_path, mapping_of(tmp_path, server, table="nowhere.cases"))
    assert "no heading 'Gender'" in refused(tmp_path, mapping_of(tmp_path, server, {**HEADINGS, "main_sex": "Gender"}))
    owner.execute("REVOKE SELECT ON housing.cases FROM reader")
    assert "no heading" in refused(tmp_path, mapping_of(tmp_path, server))
    owner.execute('GRANT SELECT ("HH Ref", "Assessed", "Children", "Objects") ON housing.cases TO reader')
    assert "no heading 'Sex'" in refused(tmp_path, mapping_of(tmp_path, server))
    check_coverage(mapping_of(tmp_path, server), case_dataset(), ("assessment_date",), directory=tmp_path)


def test_a_database_that_cannot_be_reached(tmp_path, server):
    for user, database in (("CANARY", "postgres"), ("reader", "CANARY")):
        mapping = mapping_of(tmp_path, server)
        secret_file(tmp_path, server, user=user, database=database)
        assert "cannot be reached" in refused(tmp_path, mapping)
    (tmp_path / "cases.url").write_text(f"postgresql+psycopg://u:{PASSWORD}@/x?host={tmp_path}/nothing")
    assert "cannot be reached" in refused(tmp_path, mapping)
    (tmp_path / "cases.url").write_text(f"mssql+pyodbc://u:{PASSWORD}@host/x")
    assert "driver" in refused(tmp_path, mapping)
    (tmp_path / "cases.url").write_text(f"nosuch+thing://u:{PASSWORD}@host/x")
    assert "driver" in refused(tmp_path, mapping)


def test_a_database_file_that_is_not_there_is_not_made(tmp_path, server):
    mapping = mapping_of(tmp_path, server)
    (tmp_path / "cases.url").write_text(f"sqlite:///{tmp_path}/mistyped.db")
    assert "cannot be reached" in refused(tmp_path, mapping)
    assert not (tmp_path / "mistyped.db").exists()


@pytest.mark.parametrize(
    "content", ["", "CANARY", f"postgresql://u:{PASSWORD}@host:port/x", "x" * 10_000, f"u:{PASSWORD}@host"]
)
def test_files_that_hold_no_address(tmp_path, server, content):
    mapping = mapping_of(tmp_path, server)
    (tmp_path / "cases.url").write_text(content)
    assert "does not hold the address" in refused(tmp_path, mapping)


def test_the_address_is_for_the_nodes_account_alone(tmp_path, server):
    mapping = mapping_of(tmp_path, server)
    (tmp_path / "cases.url").chmod(0o640)
    assert "other accounts" in refused(tmp_path, mapping)
    (tmp_path / "cases.url").chmod(0o600)
    assert PASSWORD not in repr(read_secret(tmp_path / "cases.url"))
    (tmp_path / "cases.url").unlink()
    assert "cannot be read" in refused(tmp_path, mapping)
    os.mkfifo(tmp_path / "cases.url", 0o600)
    assert "does not hold" in refused(tmp_path, mapping)


def test_a_database_that_stops_in_between_is_a_fault_without_its_words(tmp_path, server, owner, monkeypatch):
    make_cases(owner, *ROWS)
    honest = sql_source.SqlRows._statement

    def interrupted(self, asked):
        threading.Timer(0.2, stop).start()
        return honest(self, asked).where(sql_source.sqlalchemy.text("pg_sleep(3) IS NOT NULL"))

    def stop():
        with psycopg.connect(host=str(server), user="owner", dbname="postgres", autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'")

    monkeypatch.setattr(sql_source.SqlRows, "_statement", interrupted)
    with pytest.raises(FederatedError) as caught:
        values(tmp_path, mapping_of(tmp_path, server))
    assert isinstance(caught.value, InternalError)
    assert "CANARY" not in told(caught.value)


def test_a_file_database_is_read_too_and_its_dates_are_not_trusted(tmp_path):
    with sqlite3.connect(tmp_path / "cases.db") as made:
        made.execute(
            'CREATE TABLE cases ("HH Ref" TEXT, "Sex" TEXT, "Assessed" DATE, "Children" INTEGER, "Objects" TEXT)'
        )
        made.execute("INSERT INTO cases VALUES ('H1', 'Female', '03/02/2025', 2, NULL), ('H2', x'ff', 'x', 'y', 'no')")
    (tmp_path / "cases.url").write_text(f"sqlite:///{tmp_path}/cases.db")
    (tmp_path / "cases.url").chmod(0o600)
    document = {"mapping": 1, "dataset": "case", "database": "cases.url", "table": "cases", "columns": {name: {"from": heading} for name, heading in HEADINGS.items()}}  # fmt: skip
    found, report = values(tmp_path, ExtractMapping.model_validate_json(json.dumps(document)))
    assert GOOD in found
    assert report.rows_read == 2
