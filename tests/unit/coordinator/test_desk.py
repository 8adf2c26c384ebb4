"""Who may act: a coordinator that is cut off from its database or replaced stops, and a copied folder waits."""

import asyncio
import shutil
import time
from datetime import UTC, datetime, timedelta

import pytest

from coordinator import desk as desk_module
from coordinator.desk import LOCK_FILE, Desk, owner_in
from coordinator.store import DeskLost, open_store
from federated.errors import FileProblem
from tests.integration.coordinator_federation import seeded

LEASE_S = 0.6


class Database:
    """The desk's part of a store: `says` is what the next calls come to."""

    def __init__(self, *says):
        self.says = list(says)
        self.desk = self
        self.asked = 0

    def take(self, **_):
        return 1

    def keep(self, _turn, **_):
        self.asked += 1
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(said, Exception):
            raise said
        return said() if callable(said) else said

    def at_desk(self, _turn):
        return self


def seated(database):
    events = []
    made = Desk(
        database,
        owner="ours",
        lease_s=LEASE_S,
        clock=lambda: datetime.now(UTC),
        note=lambda event, _fields: events.append(event),
    )
    return made, events


async def take_and(database, method):
    desk, events = seated(database)
    await desk.take()
    try:
        return await asyncio.wait_for(getattr(desk, method)(), 10 * LEASE_S), events
    except (DeskLost, FileProblem) as error:
        return error, events


AWAY = FileProblem("The database is away.")


def test_a_short_absence_of_the_database_is_waited_for():
    database = Database(AWAY, True)
    found, _ = asyncio.run(take_and(database, "require"))
    assert (found, database.asked) == (None, 2)


def test_one_that_is_cut_off_for_a_lease_may_act_no_longer():
    began = time.monotonic()
    found, _ = asyncio.run(take_and(Database(AWAY), "require"))
    assert found is AWAY
    assert time.monotonic() - began >= LEASE_S


def test_a_database_that_never_answers_is_one_that_is_away():
    found, _ = asyncio.run(take_and(Database(lambda: time.sleep(4 * LEASE_S)), "require"))
    assert "does not answer" in str(found)


@pytest.mark.parametrize("method", ["require", "keep"])
def test_one_that_was_replaced_may_act_no_longer(method):
    found, events = asyncio.run(take_and(Database(False), method))
    assert isinstance(found, DeskLost)
    assert ("desk_lost" in events) is (method == "keep")


def test_the_desk_is_given_up_when_a_lease_passes_without_renewal():
    found, events = asyncio.run(take_and(Database(AWAY), "keep"))
    assert found is AWAY
    assert 2 <= events.count("desk_not_kept") <= 4


def test_a_renewal_in_between_keeps_the_desk():
    async def keep():
        database = Database(True, AWAY, True, AWAY, True)
        desk, events = seated(database)
        await desk.take()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(desk.keep(), 2.5 * LEASE_S)
        return events

    assert asyncio.run(keep()).count("desk_not_kept") == 2


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "state"
    made.mkdir()
    (made / LOCK_FILE).touch()
    return made


def test_the_same_folder_gives_the_same_owner_so_that_a_restart_need_not_wait(folder):
    assert owner_in(folder, seeded(1)) == owner_in(folder, seeded(2))


def test_a_copy_of_the_folder_gives_another_owner(folder, tmp_path):
    ours = owner_in(folder, seeded(1))
    shutil.copytree(folder, tmp_path / "copy")
    assert (tmp_path / "copy" / "owner").read_bytes() == (folder / "owner").read_bytes()
    assert owner_in(tmp_path / "copy", seeded(1)) != ours


def test_another_start_of_the_computer_gives_another_owner(folder, tmp_path, monkeypatch):
    ours = owner_in(folder, seeded(1))
    monkeypatch.setattr(desk_module, "_BOOT_ID", tmp_path / "boot")
    (tmp_path / "boot").write_text("another")
    later = owner_in(folder, seeded(1))
    (tmp_path / "boot").unlink()
    nothing_known = {owner_in(folder, seeded(2)), owner_in(folder, seeded(3))}
    assert len({ours, later} | nothing_known) == 4


def test_a_copied_folder_does_not_take_a_live_desk(folder, tmp_path, store_url):
    shutil.copytree(folder, tmp_path / "copy")
    (folder / "owner").write_text("a" * 32)
    (tmp_path / "copy" / "owner").write_text("a" * 32)
    store = open_store(store_url)
    now = datetime.now(UTC)
    until = now + timedelta(seconds=60)
    assert store.desk.take(owner=owner_in(folder, seeded(1)), now=now, until=until) == 1
    assert store.desk.take(owner=owner_in(tmp_path / "copy", seeded(1)), now=now, until=until) is None
    assert store.desk.take(owner=owner_in(folder, seeded(1)), now=now, until=until) == 2  # a restart
    store.close()
