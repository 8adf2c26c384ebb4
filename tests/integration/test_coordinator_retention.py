"""Retention: contents go on the day their manifest names, their lines stay; other old records go by the settings."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from sqlalchemy import text
from typer.testing import CliRunner

from coordinator.cli import app
from coordinator.retention import Purged, purge
from coordinator.settings import RetentionSettings
from coordinator.status import read_status
from coordinator.store import EnrolmentRow, open_store
from protocols.wire import analyst_pb2 as pb
from tests.integration.coordinator_federation import Federation, Kind
from tests.integration.link_harness import async_test, until
from tests.integration.served_coordinator import served
from tests.integration.test_coordinator_analyst_service import Caller

NOTHING = Purged(releases=0, enrolments=0, reads=0, timings=0, inbox=0, unreadable=0)
SETTINGS = RetentionSettings(enrolments=90, reads=10_000, timings=10_000)


@pytest.fixture
def federation(tmp_path, store_url):
    made = Federation(tmp_path, database=store_url)
    yield made
    made.store.close()


def last_day(federation):
    """The day until which the manifest lets the answer be kept."""
    return yaml.safe_load(federation.manifest)["retention"]["until"]


def noon(day):
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


@async_test
async def test_an_answer_goes_after_its_last_day_and_its_line_stays(tmp_path, federation):
    async with federation.running() as running:
        caller = Caller(federation, running)
        plan = federation.plan()
        await running.ask(plan)
        await until(lambda: not any(federation.store.releases.owed(council) for council in federation.councils))
        await running.settle()
        store, last = federation.store, last_day(federation)
        before = store.releases.of_plan(plan.digest)
        assert purge(store, SETTINGS, noon(last)) == NOTHING
        assert store.releases.of_plan(plan.digest) == before
        over = noon(last + timedelta(days=1))
        done = purge(store, SETTINGS, over)
        assert (done.releases, done.unreadable) == (1, 0)
        store.tidy()
        after = store.releases.of_plan(plan.digest)
        assert (after.content, after.deleted_at) == (b"", over)
        for name in ("digest", "title", "created_at", "sid", "query_digest", "contributed", "asked"):
            assert getattr(after, name) == getattr(before, name)
        assert purge(store, SETTINGS, over).releases == 0
        # Told so, and not that it never was.
        request = pb.GetReleaseRequest(release_digest=before.digest)
        _code, detail = await caller.refused("GetRelease", request)
        assert (detail["rule"], "was deleted on" in detail["message"]) == ("deleted", True)
        listed = await caller.call("ListReleases", pb.ListReleasesRequest())
        assert [item.release_digest for item in listed.releases] == [before.digest]
        (shown,) = read_status(federation.settings, store, federation.now()).releases
        assert shown["deleted_at"]
        # The identical question is a new one: there is no answer to give.
        again = federation.plan(nonce=2)
        await running.ask(again)
        assert store.releases.of_plan(again.digest).content
    if store.engine.dialect.name == "sqlite":
        written = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
        newer = store.releases.of_plan(again.digest).content
        pieces = [before.content[place : place + 64] for place in range(0, len(before.content) - 64, 64)]
        own = [piece for piece in pieces if piece not in newer]
        assert own, "nothing tells the two answers apart"
        assert not any(piece in written for piece in own)


@async_test
async def test_a_deleted_answer_is_owed_to_nobody(federation):
    absent = federation.councils[2]
    async with federation.running() as running:
        running.cut(absent, Kind.SURVIVORS)
        await running.ask(federation.plan())
        await until(lambda: len(federation.store.releases.owed(absent)) == 1)
        purge(federation.store, SETTINGS, noon(last_day(federation) + timedelta(days=1)))
    assert federation.store.releases.owed(absent) == ()


@async_test
async def test_an_answer_whose_manifest_cannot_be_read_is_kept_and_counted(federation):
    async with federation.running() as running:
        await running.ask(federation.plan())
        await running.settle()
    with federation.store.engine.begin() as connection:
        connection.execute(text("UPDATE proposals SET manifest_envelope = :nothing"), {"nothing": b"{}"})
    done = purge(federation.store, SETTINGS, noon(last_day(federation) + timedelta(days=1)))
    assert (done.releases, done.unreadable) == (0, 1)


@async_test
async def test_old_records_go_by_the_settings(federation):
    store, now = federation.store, federation.now()
    for number, state in enumerate(("pending", "rejected", "accepted")):
        row = EnrolmentRow(
            public_key=bytes([number]) * 32,
            council=federation.councils[number],
            fingerprint=str(number),
            state=state,
            requested_at=now,
        )
        store.membership.ask_enrolment(row, limit=9)
    async with federation.running() as running:
        plan = federation.plan()
        await running.ask(plan)
        await running.settle()
    release = store.releases.of_plan(plan.digest)
    store.releases.note_read(release.digest, reader="ab", how="GetRelease", now=now)
    settings = RetentionSettings(enrolments=3, reads=5, timings=7)
    assert purge(store, settings, now + timedelta(days=2)) == NOTHING
    assert purge(store, settings, now + timedelta(days=4)) == Purged(
        releases=0, enrolments=2, reads=0, timings=0, inbox=0, unreadable=0
    )
    assert [row.state for row in store.membership.enrolments()] == ["accepted"]
    assert purge(store, settings, now + timedelta(days=6)).reads == 1
    assert store.releases.reads(release.digest) == ()
    assert len(store.rounds.stages(release.sid)) == 5
    assert purge(store, settings, now + timedelta(days=8)).timings == 5
    assert store.rounds.stages(release.sid) == ()
    assert store.releases.of_plan(plan.digest) == release


def test_a_serving_coordinator_deletes_what_is_old_and_logs_how_much(tmp_path, store_url):
    with served(tmp_path, store_url) as made:
        old = datetime.now(UTC) - timedelta(days=91)
        row = EnrolmentRow(
            public_key=bytes(32),
            council=made.federation.councils[0],
            fingerprint="0",
            state="pending",
            requested_at=old,
        )
        made.federation.store.membership.ask_enrolment(row, limit=9)
        made.first.start()
        end = time.monotonic() + 60
        while made.federation.store.membership.enrolments():
            assert time.monotonic() < end
            time.sleep(0.05)
        made.first.stop()
        (line,) = [line for line in map(json.loads, made.first.log.splitlines()) if line["event"] == "purged"]
        assert (line["enrolments"], line["releases"]) == (1, 0)


@async_test
async def test_a_restored_backup_does_not_bring_back_what_was_to_be_deleted(tmp_path, federation, monkeypatch):
    """By the commands that people type, on either database: the answer's last day came after the backup was made."""
    async with federation.running() as running:
        plan = federation.plan()
        await running.ask(plan)
        await running.settle()
    last = noon(last_day(federation))
    kept = federation.settings.model_dump(mode="json", exclude={"stages", "proposals", "rounds"})
    for name, changes in {"before": {}, "after": {"database": f"sqlite:///{tmp_path / 'restored.db'}"}}.items():
        changes |= {
            "state": str(tmp_path / name),
            "database": changes.get("database", federation.settings.database_url),
        }
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(kept | changes), encoding="utf-8")

    def typed(*line, at):
        monkeypatch.setattr("coordinator.cli.now_utc", lambda: at)
        done = CliRunner().invoke(app, [str(word) for word in line])
        assert done.exit_code == 0, f"{done.output} {done.exception}"
        return done.output

    copy = tmp_path / "hub.backup"
    typed("backup", copy, "--settings", tmp_path / "before.yaml", at=last)
    typed("restore", copy, "--settings", tmp_path / "after.yaml", at=last + timedelta(days=1))
    restored = open_store(f"sqlite:///{tmp_path / 'restored.db'}")
    row = restored.releases.of_plan(plan.digest)
    restored.close()
    assert (row.content, row.deleted_at) == (b"", last + timedelta(days=1))
    answer = federation.store.releases.of_plan(plan.digest).content
    assert answer
    assert answer not in (tmp_path / "restored.db").read_bytes()
    assert "0 answers" in typed("purge", "--settings", tmp_path / "after.yaml", at=last + timedelta(days=2))
