"""Fixtures for every folder of tests, and the drawing of cases.

Of a test with many alike cases and the mark `drawn(n)`, `make test` runs `n` cases drawn anew each time, and
`make test-long` runs them all. Of the walks over a whole federation that have the mark `in_turn`, it runs as many files
as `WALKS` says. The seed is printed; `DRAWN_SEED=… make test` draws the same again.
"""

import gc
import os
import random
import secrets
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import pytest
from sqlalchemy import create_engine, text

from coordinator.store import Store, open_store
from coordinator.store.tables import METADATA
from tests.long_runs import keep_long_runs
from tests.stores import PostgresqlServer, running_postgresql

T = TypeVar("T")
SEED = "DRAWN_SEED"
WALKS = 1
"""Each is a minute or two of a whole federation; together they would take as long as all other tests."""


def pytest_configure(config: pytest.Config) -> None:
    """Draw one seed for all workers, which inherit it, and have a long run written down."""
    os.environ.setdefault(SEED, str(secrets.randbits(32)))
    keep_long_runs(config, int(os.environ[SEED]))


def pytest_report_header() -> str:
    """Say how to run the same cases again."""
    return f"cases drawn with {SEED}={os.environ[SEED]}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Leave the cases that are not drawn to the long runs, which run the drawn ones too."""
    every = config.option.markexpr == "long"
    alike: dict[str, list[pytest.Item]] = defaultdict(list)
    walks: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        name = item.nodeid.partition("::")[0]
        if item.get_closest_marker("drawn") is not None:
            alike[item.nodeid.partition("[")[0]].append(item)
        if item.get_closest_marker("in_turn") is not None:
            walks[name].append(item)
    left: list[pytest.Item] = []
    for name, cases in alike.items():
        (number,) = cases[0].get_closest_marker("drawn").args
        kept = [] if every else _drawn(name, cases, number)
        left += [case for case in cases if case not in kept]
    chosen = [] if every else _drawn("walks", sorted(walks), WALKS)
    left += [case for name, cases in walks.items() if name not in chosen for case in cases]
    for case in left:
        case.add_marker("long")


def _drawn(name: str, cases: Sequence[T], number: int) -> list[T]:
    return random.Random(f"{os.environ[SEED]} {name}").sample(cases, min(number, len(cases)))


def pytest_collection_finish() -> None:
    """Have no later collecting of garbage go through what ten thousand tests were collected into."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def tests_that_are_not_commands() -> Iterator[None]:
    """A command that a test runs within itself does not close the whole worker, and its later tests, to core files."""
    with patch("federated.shell.forbid_dumps"):
        yield


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """One PostgreSQL server for all tests that a worker runs; a database of it belongs to one test."""
    with running_postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind that the coordinator's store may be kept in."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'store.db'}"
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    with server.database() as url:
        yield url


@pytest.fixture(scope="session")
def made_store(postgresql: PostgresqlServer) -> Iterator[str]:
    """A database whose tables are made, for one test after another: a new one takes longer than most tests of it."""
    with postgresql.database() as url:
        open_store(url).close()
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """The coordinator's store on each kind of database, with nothing in it."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("made_store")
        _empty(url)
    with closing(open_store(url)) as opened:
        yield opened


def _empty(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        # As the database's own superuser: the audit lets nobody else take a line out.
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(f"TRUNCATE {', '.join(METADATA.tables)} RESTART IDENTITY CASCADE"))
    engine.dispose()
