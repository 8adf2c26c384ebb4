"""Two hundred people read the console at once, and every one of them gets every page."""

import pytest

from coordinator.console import serving
from tests.integration.console_readers import console_process, read_at_once
from tests.integration.console_world import console_world

READERS = 200
PAGES = 2


@pytest.fixture(scope="module")
def served(tmp_path_factory, postgresql):
    folder = tmp_path_factory.mktemp("readers")
    with (
        postgresql.database() as url,
        console_world(folder, database=url) as world,
        console_process(world, folder, publish=[world.agreement], comment_days=0) as port,
    ):
        yield world, port


def test_two_hundred_readers_at_once_get_every_page(served):
    world, port = served
    paths = ("/questions", f"/questions/{world.plans['released']}", f"/releases/{world.release}")
    found = read_at_once(port, paths, readers=READERS, pages=PAGES)
    assert [reading for reading in found if not reading.ok] == []
    assert len(found) == READERS * PAGES


def test_a_page_that_is_not_given_is_counted_as_an_error(served):
    _, port = served
    (missing,) = read_at_once(port, ("/questions/nothing",), readers=1, pages=1)
    assert not missing.ok
    (closed,) = read_at_once(1, ("/questions",), readers=1, pages=1)
    assert not closed.ok
    assert closed.fault


def test_more_connections_than_readers_are_allowed():
    assert serving.MOST_CONNECTIONS > READERS
