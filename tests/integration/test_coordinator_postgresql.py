"""The coordinator's store on a real PostgreSQL server, which `make setup-system` installs."""

import inspect
import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import text

from coordinator.progress import RunStage
from coordinator.store import open_store
from federated.errors import FileProblem
from tests.integration.console_scale import fill
from tests.integration.console_world import console_world
from tests.integration.coordinator_federation import Federation
from tests.integration.link_harness import async_test
from tests.unit.coordinator import test_coordinator_store, test_store_of_accounts

FOUND = [Path(found) for found in [shutil.which("pg_ctl")] if found]
PROGRAMS = [path.parent for path in [*FOUND, *Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")]]

SAME = [
    function
    for on_sqlite in (test_coordinator_store, test_store_of_accounts)
    for name, function in vars(on_sqlite).items()
    if name.startswith("test_") and list(inspect.signature(function).parameters) == ["store"]
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of our own, on a socket in a folder of ours, without a port."""
    assert PROGRAMS, "no PostgreSQL server is installed: run `make setup-system`"
    folder = tmp_path_factory.mktemp("postgresql")
    account = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        name = next((n for n in ("postgres", "nobody") if n in {entry.pw_name for entry in pwd.getpwall()}), None)
        account = ["runuser", "-u", name, "--"]
        shutil.chown(folder, name)
        for parent in [folder, *folder.parents]:
            if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)

    def run(program, *arguments):
        command = [*account, str(PROGRAMS[0].resolve() / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, cwd=folder, timeout=60)

    run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "coordinator", "--no-sync")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    run("pg_ctl", "-D", str(folder / "data"), "-l", str(folder / "log"), "-o", options, "-w", "start")
    try:
        yield f"postgresql+psycopg://coordinator@/postgres?host={folder}"
    finally:
        run("pg_ctl", "-D", str(folder / "data"), "-m", "fast", "-w", "stop")


@pytest.fixture
def store(server):
    opened = open_store(server)
    with opened.engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    opened.close()
    opened = open_store(server)
    yield opened
    opened.close()


@pytest.mark.parametrize("test", SAME, ids=lambda function: function.__name__.removeprefix("test_"))
def test_it_keeps_what_sqlite_keeps(store, test):
    test(store)


def test_a_whole_round(tmp_path, store, server, monkeypatch):
    settings = Federation._settings
    monkeypatch.setattr(Federation, "_settings", lambda self: settings(self).model_copy(update={"database": server}))
    federation = Federation(tmp_path)

    @async_test
    async def ask():
        async with federation.running() as running:
            steps = await running.ask(federation.plan())
            assert steps[-1].stage is RunStage.PUBLISHED
            await running.settle()

    try:
        ask()
    finally:
        federation.store.close()


def test_a_page_cannot_write_and_long_lists_are_read_from_their_middle(tmp_path, store, server, monkeypatch):
    settings = Federation._settings
    monkeypatch.setattr(Federation, "_settings", lambda self: settings(self).model_copy(update={"database": server}))
    with console_world(tmp_path) as world, world.served() as served:
        plans = fill(world, 60)
        with pytest.raises(FileProblem, match="read-only"):
            world.reading.releases.note_read(
                bytes.fromhex(plans[0]), reader="x", how="page", now=world.federation.now()
            )
        shown, path = [], "/questions"
        while path:
            page = served.ask(path).text
            shown += re.findall(r'<a class="govuk-link" href="/questions/([0-9a-f]{64})"', page)
            path = next(iter(re.findall(r'href="(/questions\?older=[^"]*)"', page)), None)
        assert len(shown) == len(set(shown)) == 60 + len(world.plans) + 1
        assert served.ask("/questions?state=planned").text.count('href="/questions/') >= 1
        for path, who in (
            (f"/budgets/{world.federation.councils[0]}", "reviewer"),
            ("/budgets", "reviewer"),
            ("/operations/rounds", "operator"),
        ):
            assert served.ask(path, who=who).status == 200
