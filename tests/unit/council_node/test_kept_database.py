"""The database kept between questions holds no row, opens no other file, and is given up when it failed."""

import gc

import duckdb
import pytest

from council_node import selects
from council_node.sources import load as load_module
from council_node.sources import load_extract
from council_node.sources.databases import Databases
from federated.errors import InternalError
from tests.spec.council import RUN_KEY, case_dataset, mapping_for, write_csv

HEADINGS = ("household_key", "main_sex")
COLUMNS = ("main_sex",)


@pytest.fixture
def databases():
    kept = Databases()
    yield kept
    kept.close()


def load(directory, databases, *, run_key=RUN_KEY, **limits):
    return load_extract(
        mapping_for(HEADINGS),
        case_dataset(),
        COLUMNS,
        directory=directory,
        run_key=run_key,
        databases=databases,
        **limits,
    )


def lend(databases, path, *, passing=False):
    return databases.lend(threads=1, memory_limit_mib=400, readable=(path,), passing=passing, optimise=False)


def test_nothing_of_a_question_is_left_for_the_next(tmp_path, databases):
    path = tmp_path / "extract.csv"
    with lend(databases, path) as empty:
        before = empty.execute("SELECT sum(memory_usage_bytes) FROM duckdb_memory()").fetchone()
    write_csv(tmp_path, HEADINGS, [(f"H{number}", "Male") for number in range(5_000)])
    with load(tmp_path, databases) as extract, lend(databases, path) as beside:
        assert extract.report.rows_read == 5_000
        assert beside.execute("SELECT count(*) FROM duckdb_tables() WHERE NOT internal").fetchone() == (0,)
        assert beside.execute("SELECT sum(memory_usage_bytes) FROM duckdb_memory()").fetchone() > before
    gc.collect()
    with lend(databases, path) as after:
        assert after.execute("SELECT count(*) FROM duckdb_tables() WHERE NOT internal").fetchone() == (0,)
        assert after.execute("SELECT sum(memory_usage_bytes) FROM duckdb_memory()").fetchone() == before


def test_a_run_leaves_its_key_in_no_statement_and_no_connection(tmp_path, databases):
    write_csv(tmp_path, HEADINGS, [("H1", "Male")])
    keys = (RUN_KEY, bytes(range(16)))
    with load(tmp_path, databases) as extract:
        assert extract.connection.execute("SELECT getvariable('run_key')").fetchone() == (RUN_KEY.hex(),)
    kept = set(selects._parsed)
    with load(tmp_path, databases, run_key=keys[1]) as extract:
        assert extract.connection.execute("SELECT getvariable('run_key')").fetchone() == (keys[1].hex(),)
    assert kept
    assert set(selects._parsed) == kept, "another run's statements are the same"
    assert not any(key.hex() in text for key in keys for text in kept)
    with lend(databases, tmp_path / "extract.csv") as after:
        assert after.execute("SELECT getvariable('run_key')").fetchone() == (None,)


def test_statements_are_kept_up_to_a_number(databases, tmp_path):
    with lend(databases, tmp_path / "extract.csv") as connection:
        for number in range(selects.STATEMENTS_KEPT + 3):
            found = selects.Select("(SELECT 1)", ("x",), items=(f"{number} AS x",)).run(connection)
            assert found.fetchall() == [(number,)]
    assert len(selects._parsed) == selects.STATEMENTS_KEPT


def test_rows_are_read_again_at_every_question(tmp_path, databases):
    for rows in (3, 1, 2):
        write_csv(tmp_path, HEADINGS, [(f"H{number}", "Male") for number in range(rows)])
        with load(tmp_path, databases) as extract:
            assert extract.report.rows_read == rows
            [[counted]] = extract.connection.execute("SELECT count(*) FROM canonical_rows").fetchall()
            assert counted == rows


def test_a_kept_database_opens_its_own_file_alone_and_stays_locked(tmp_path, databases):
    write_csv(tmp_path, HEADINGS, [("H1", "Male")])
    other = tmp_path / "other.csv"
    other.write_text("a\n1\n")
    for _ in range(2):
        load(tmp_path, databases).close()
        with lend(databases, tmp_path / "extract.csv") as connection:
            for refused in (f"SELECT * FROM read_csv('{other}')", "SET enable_external_access = true"):
                with pytest.raises(duckdb.Error):
                    connection.execute(refused)
    with lend(databases, other) as connection:
        assert connection.execute("SELECT count(*) FROM read_csv(?)", [str(other)]).fetchone() == (1,)
        with pytest.raises(duckdb.Error):
            connection.execute("SELECT * FROM read_csv(?)", [str(tmp_path / "extract.csv")])


def test_a_database_for_a_copy_in_memory_is_not_kept(tmp_path, databases):
    write_csv(tmp_path, HEADINGS, [("H1", "Male")])
    with lend(databases, tmp_path / "extract.csv", passing=True) as connection:
        connection.execute("CREATE TABLE left_behind (a INTEGER)")
    for passing in (True, False):
        with lend(databases, tmp_path / "extract.csv", passing=passing) as connection:
            assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)


def test_a_database_that_failed_is_given_up(tmp_path, databases):
    write_csv(tmp_path, HEADINGS, [(f"H{number}", "Male") for number in range(40_000)])
    with databases.lend(threads=1, memory_limit_mib=1, readable=(tmp_path / "extract.csv",), passing=False) as kept:
        kept.execute("CREATE TABLE of_the_old_engine (a INTEGER)")
    with pytest.raises(InternalError):
        load(tmp_path, databases, memory_limit_mib=1)
    with databases.lend(threads=1, memory_limit_mib=1, readable=(tmp_path / "extract.csv",), passing=False) as fresh:
        assert fresh.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)


def test_threads_follow_the_size_of_the_extract(tmp_path, databases, monkeypatch):
    write_csv(tmp_path, HEADINGS, [(f"H{number}", "Male") for number in range(1_000)])
    size = (tmp_path / "extract.csv").stat().st_size

    def threads_of(bytes_per_thread: int) -> int:
        monkeypatch.setattr(load_module, "BYTES_PER_THREAD", bytes_per_thread)
        with load(tmp_path, databases, threads=3) as extract:
            [[threads]] = extract.connection.execute("SELECT current_setting('threads')").fetchall()
            assert extract.report.rows_read == 1_000
        return threads

    assert [threads_of(part) for part in (size + 1, size, size // 2, 1)] == [1, 2, 3, 3]
