"""The store's forms, up and down with rows in every table, on both databases, and by one process at a time."""

import subprocess
import sys
import time

import pytest
from alembic import command
from sqlalchemy import BigInteger, Boolean, Integer, LargeBinary, MetaData, select

from coordinator.store import open_store
from coordinator.store.migration import migrating, migration_scripts
from coordinator.store.tables import METADATA

CHECKED = {"decision": "approved", "number": 1, "state": "pending", "kind": "local", "outcome": "done", "scope": "read"}
CHECKED_IN = {("accounts", "state"): "active", ("inbox", "state"): "settled", ("papers", "kind"): "comment"}
"""What a column with a closed list of values may hold."""
VALUES = {Boolean: True, Integer: 7, BigInteger: 7_000_000_000, LargeBinary: b"\x00signed\xff"}

OPEN = "import sys; from coordinator.store import open_store; print('opening', flush=True); open_store(sys.argv[1])"
WITHOUT_WAITING = """
from contextlib import contextmanager
from coordinator.store import migration
@contextmanager
def at_once(engine):
    with engine.begin() as connection:
        yield connection
migration._alone = at_once
"""


@pytest.fixture
def engine(store_url):
    store = open_store(store_url)
    yield store.engine
    store.close()


def fill(engine):
    """Put a row into every table."""
    with engine.begin() as connection:
        for table in METADATA.sorted_tables:
            row = {column.name: value_of(column) for column in table.columns if column.server_default is None}
            if connection.execute(select(table)).first() is None:
                connection.execute(table.insert().values(row))


def value_of(column):
    """The same in every column of that name and kind, so that rows refer to one another."""
    if (column.table.name, column.name) in CHECKED_IN:
        return CHECKED_IN[column.table.name, column.name]
    if column.name in CHECKED:
        return CHECKED[column.name]
    return next((value for kind, value in VALUES.items() if type(column.type) is kind), "a1")


def rows(engine):
    """What is in each table, by the names the database itself gives."""
    found = MetaData()
    found.reflect(engine)
    with engine.connect() as connection:
        tables = [table for name, table in found.tables.items() if name != "alembic_version"]
        return {table.name: [dict(row) for row in connection.execute(select(table)).mappings()] for table in tables}


def assert_kept(before, after):
    """Every table and column of both forms holds what it held."""
    for name in before.keys() & after.keys():
        for old, new in zip(before[name], after[name], strict=True):
            shared = old.keys() & new.keys()
            assert {key: old[key] for key in shared} == {key: new[key] for key in shared}, name


def step(engine, go, revision):
    with migrating(engine) as config:
        go(config, revision)


def test_every_step_down_and_up_again_keeps_the_rows_of_both_forms(engine):
    fill(engine)
    at_head = rows(engine)
    assert set(at_head) == set(METADATA.tables)
    assert all(at_head.values()), "a table without a row"
    forms = list(migration_scripts().walk_revisions())
    before = at_head
    for form in forms[:-1]:
        step(engine, command.downgrade, form.down_revision)
        below = rows(engine)
        assert_kept(before, below)
        step(engine, command.upgrade, form.revision)
        assert_kept(below, rows(engine))
        assert rows(engine).keys() == before.keys()
        step(engine, command.downgrade, form.down_revision)
        before = rows(engine)
    for form in reversed(forms[:-1]):
        step(engine, command.upgrade, form.revision)
    assert_kept(before, rows(engine))  # what the oldest form could hold
    step(engine, command.downgrade, "base")
    assert rows(engine) == {}
    step(engine, command.upgrade, "head")
    assert rows(engine) == {name: [] for name in METADATA.tables}


def test_every_step_down_says_what_is_lost():
    for form in migration_scripts().walk_revisions():
        assert "lost" in (form.module.downgrade.__doc__ or ""), form.revision


def test_a_step_that_loses_a_row_is_seen(engine):
    fill(engine)
    before = rows(engine)
    after = {name: list(content) for name, content in before.items()}
    after["releases"] = []
    with pytest.raises(ValueError, match="shorter"):
        assert_kept(before, after)
    after["releases"] = [before["releases"][0] | {"content": b"other"}]
    with pytest.raises(AssertionError):
        assert_kept(before, after)


def test_a_step_that_fails_changes_nothing(store_url):
    engine = open_store(store_url).engine
    before = rows(engine)

    class Interrupted(Exception):
        pass

    with pytest.raises(Interrupted), migrating(engine) as config:  # noqa: PT012 - the transaction is what is tested
        command.downgrade(config, "base")
        raise Interrupted
    assert rows(engine) == before
    engine.dispose()


def test_one_process_brings_a_database_up_to_date_and_the_others_wait(store_url, engine):
    step(engine, command.downgrade, "base")
    with migrating(engine) as config:
        opening = start_opening(store_url, OPEN)
        time.sleep(0.5)
        assert [process.poll() for process in opening] == [None] * 3
        command.upgrade(config, "head")
    ends = [process.communicate(timeout=60) for process in opening]
    assert [process.returncode for process in opening] == [0] * 3, ends


def test_without_the_lock_the_others_would_not_wait(postgresql):
    with postgresql.database() as url:
        engine = open_store(url).engine
        step(engine, command.downgrade, "base")
        with migrating(engine):
            (process,) = start_opening(url, WITHOUT_WAITING + OPEN, times=1)
            assert process.communicate(timeout=60)[0] is not None
            assert process.returncode == 0
        engine.dispose()


def start_opening(url, script, *, times=3):
    made = [
        subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(times)
    ]
    assert [process.stdout.readline() for process in made] == ["opening\n"] * times
    return made
