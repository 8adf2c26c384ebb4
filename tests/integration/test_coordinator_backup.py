"""Backup and restore: rehearsed with a serving coordinator, between both databases, and with files that are damaged."""

import hashlib
import json
import time
from contextlib import ExitStack, closing
from datetime import timedelta

import pytest
import yaml
from alembic import command
from sqlalchemy import select, text

from coordinator import cli
from coordinator.backup import _snapshot, backup, restore
from coordinator.store import RoundCouncilRow, open_store
from coordinator.store.migration import migrating
from coordinator.store.tables import METADATA
from federated.errors import FileProblem
from tests.integration.served_coordinator import connected, served
from tests.integration.test_coordinator_migrations import fill, rows
from tests.unit.coordinator.test_coordinator_store import NOW, PLAN, SID, proposal, released, round_row

LATER = NOW + timedelta(days=1)
KINDS = ("sqlite", "postgresql")
LEFT_OUT = ("desk", "openid_starts", "round_progress", "sessions", "sign_in_attempts", "tokens")
"""Who acts, who is signed in, how a round goes: true for the moment alone."""


@pytest.fixture
def make_url(tmp_path, postgresql):
    """Fresh databases of either kind."""
    with ExitStack() as stack:
        numbers = iter(range(9))
        yield (
            lambda kind: (
                stack.enter_context(postgresql.database())
                if kind == "postgresql"
                else f"sqlite:///{tmp_path / f'{next(numbers)}.db'}"
            )
        )


def back_up(url, path):
    with closing(open_store(url)) as store:
        return backup(store.engine, path, coordinator="hub", now=NOW)


def bring_back(url, path, *, coordinator="hub"):
    with closing(open_store(url)) as store:
        return restore(store.engine, path, coordinator=coordinator, now=LATER)


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("origin", KINDS)
def test_every_row_comes_back_in_either_database(tmp_path, make_url, origin, to):
    first, second = make_url(origin), make_url(to)
    with closing(open_store(first)) as store:
        fill(store.engine)
        before = rows(store.engine)
    made = back_up(first, tmp_path / "copy")
    assert made.rows == len(METADATA.tables) - len(LEFT_OUT)
    assert bring_back(second, tmp_path / "copy").copy == made
    with closing(open_store(second)) as store:
        after = rows(store.engine)
        assert [after.pop(name) for name in LEFT_OUT] == [[]] * len(LEFT_OUT)
        assert after.pop("enrolment_acceptances") == []
        (account,) = after.pop("accounts")
        assert (account["state"], account["password_hash"], account["code_hash"]) == ("locked", None, None)
        kept = before.keys() - {*LEFT_OUT, "accounts", "enrolment_acceptances"}
        assert after == {name: before[name] for name in kept}
    back_up(second, tmp_path / "again")
    back_up(second, tmp_path / "more")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "more").read_bytes()
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_database_goes_on_numbering(tmp_path, make_url, kind):
    first, second = make_url(kind), make_url(kind)
    with closing(open_store(first)) as store:
        released(store)
        digest = store.releases.of_plan(PLAN).digest
        store.releases.note_read(digest, reader="ab", how="GetRelease", now=NOW)
    back_up(first, tmp_path / "copy")
    bring_back(second, tmp_path / "copy")
    with closing(open_store(second)) as store:
        store.releases.note_read(digest, reader="cd", how="GetRelease", now=LATER)
        assert [reader for reader, _how, _at in store.releases.reads(digest)] == ["ab", "cd"]


def test_what_is_written_meanwhile_is_all_in_the_copy_or_not_at_all(store_url):
    with closing(open_store(store_url)) as store, _snapshot(store.engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM proposals")).scalar() == 0
        released(store)
        for table in METADATA.sorted_tables:
            assert connection.execute(select(table)).first() is None


def test_what_was_under_way_is_ended_with_a_reason(tmp_path, make_url):
    first, second = make_url("sqlite"), make_url("sqlite")
    standing = RoundCouncilRow(
        sid=SID, council="E1", joined=True, outcome="answered", stage="share keys", rule="", reason=""
    )
    plans = {bytes([10 + number]) * 32: state for number, state in enumerate(("received", "collecting", "ready"))}
    with closing(open_store(first)) as store:
        store.proposals.add(proposal())
        store.outcomes.opened(proposal(state="running"), round_row(), before="received")
        store.outcomes.went_on([standing])
        assert store.rounds.progress(SID) == (standing,)
        for digest, state in plans.items():
            store.proposals.add(proposal(plan_digest=digest, state=state))
    back_up(first, tmp_path / "copy")
    done = bring_back(second, tmp_path / "copy")
    assert (done.rounds_ended, done.plans_ended) == (1, 3)
    with closing(open_store(second)) as store:
        (ended,) = store.rounds.of_plan(PLAN)
        assert (ended.outcome, ended.ended_at) == ("aborted", LATER)
        assert store.rounds.running() == ()
        assert store.rounds.progress(ended.sid) == ()
        rows_ = [store.proposals.get(digest) for digest in (PLAN, *plans)]
        assert [row.state for row in rows_] == ["failed", "expired", "expired", "expired"]
        assert all("restored from a backup of 2026-02-01" in row.reason for row in [*rows_, ended])


def test_a_backup_of_an_older_form_is_brought_up_to_date(tmp_path, make_url):
    """Written as the software of the first form would have written it."""
    url = make_url("sqlite")
    with closing(open_store(make_url("sqlite"))) as store:
        released(store)
        copy = tmp_path / "copy"
        backup(store.engine, copy, coordinator="hub", now=NOW)
    lines = [json.loads(line) for line in copy.read_bytes().splitlines()][:-1]
    lines[0]["form"] = "0001"
    later = {"accounts", "audit", "drafts", "enrolment_acceptances", "inbox", "papers"}
    lines = [line for line in lines if not (isinstance(line, dict) and line.get("table") in later)]
    table = None
    for number, line in enumerate(lines):
        table = line.get("table") if isinstance(line, dict) else table
        if table == "proposals":
            del (line if isinstance(line, list) else line["columns"])[
                -3:-1
            ]  # manifest_id and return_by, before version
        if isinstance(line, dict) and line.get("table") == "rounds":
            line["columns"] += ["lease_owner", "lease_until"]
            lines[number + 1] += [None, None]
    written = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    number = sum(isinstance(line, list) for line in lines)
    end = {"end": 1, "rows": number, "sha256": hashlib.sha256(written).hexdigest()}
    (tmp_path / "old").write_bytes(written + json.dumps(end).encode() + b"\n")
    bring_back(url, tmp_path / "old")
    with closing(open_store(url)) as store:
        assert store.rounds.of_plan(PLAN)[0].outcome == "released"
        store.desk.take(owner="ours", now=NOW, until=LATER)
    with closing(open_store(url)) as store, migrating(store.engine) as config:
        command.check(config)


def damage(content):
    lines = content.splitlines(keepends=True)
    place = len(content) // 2
    yield "a bit", content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    yield "the end", b"".join(lines[:-1])
    yield "half", content[:place]
    yield "the last newline", content[:-1]
    yield "a row", b"".join([*lines[:2], *lines[3:]])
    yield "everything", b""
    yield "text", b"not a backup\n"
    yield "more after the end", content + lines[1]


def test_a_damaged_backup_is_refused_and_nothing_is_written(tmp_path, make_url):
    first, second = make_url("sqlite"), make_url("sqlite")
    with closing(open_store(first)) as store:
        released(store)
    back_up(first, tmp_path / "copy")
    for what, content in damage((tmp_path / "copy").read_bytes()):
        (tmp_path / "damaged").write_bytes(content)
        with pytest.raises(FileProblem, match="whole, undamaged backup"):
            bring_back(second, tmp_path / "damaged")
        with closing(open_store(second)) as store:
            assert not any(rows(store.engine).values()), what
    bring_back(second, tmp_path / "copy")


def test_what_does_not_fit_is_refused_in_one_sentence(tmp_path, make_url):
    first, second = make_url("sqlite"), make_url("postgresql")
    with closing(open_store(first)) as store:
        released(store)
    back_up(first, tmp_path / "copy")
    before = (tmp_path / "copy").read_bytes()
    with pytest.raises(FileProblem, match="never overwritten"):
        back_up(first, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []
    with pytest.raises(FileProblem, match="cannot be written"):
        back_up(first, tmp_path / "nowhere" / "copy")
    with pytest.raises(FileProblem, match="is not empty"):
        bring_back(first, tmp_path / "copy")
    with pytest.raises(FileProblem, match="of the coordinator 'hub', not of 'other'"):
        bring_back(second, tmp_path / "copy", coordinator="other")
    with pytest.raises(FileProblem, match="cannot be read"):
        bring_back(second, tmp_path / "nothing")
    for change, sentence in (({"form": "0099"}, "newer software"), ({"backup": 2}, "reads backups of version 1")):
        heading, *lines = before.splitlines(keepends=True)[:-1]
        content = json.dumps(json.loads(heading) | change).encode() + b"\n" + b"".join(lines)
        end = json.loads(before.splitlines()[-1]) | {"sha256": hashlib.sha256(content).hexdigest()}
        (tmp_path / "changed").write_bytes(content + json.dumps(end).encode() + b"\n")
        with pytest.raises(FileProblem, match=sentence):
            bring_back(second, tmp_path / "changed")


@pytest.mark.parametrize(("origin", "to"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
def test_rehearsal(tmp_path, make_url, origin, to):
    """Back up while serving, lose everything, restore, serve: the answers are there, and what was open is explained."""
    with served(tmp_path, make_url(origin)) as made, connected(made, [made.first]):
        hub, federation = made.first, made.federation
        hub.start()
        wait(hub.is_ready)
        answered, undecided = federation.plan(nonce=1), federation.plan(nonce=2)
        with made.client(hub) as client:
            (*_, last) = client.submit(answered, federation.manifest)
            assert last.release_digest, last.message
            release = client.release(release_digest=last.release_digest)
            for node in federation.nodes.values():
                node.decision = "pending"
            assert not next(client.submit(undecided, federation.manifest, refresh=True)).final
        copy = tmp_path / "copy"
        assert cli.app(["backup", str(copy), "-s", str(hub.settings)], standalone_mode=False) in {0, None}
        hub.kill()
        replacement = make_url(to)
        hub.settings.write_text(yaml.safe_dump(yaml.safe_load(hub.settings.read_text()) | {"database": replacement}))
        assert cli.app(["restore", str(copy), "-s", str(hub.settings)], standalone_mode=False) in {0, None}
        hub.start()
        wait(hub.is_ready)
        with made.client(hub) as client:
            assert client.release(release_digest=last.release_digest) == release
            assert [item.release_digest for item in client.releases()] == [last.release_digest]
            (step,) = client.watch(undecided.digest)
            assert step.final
            assert "restored from a backup" in step.message
            for node in federation.nodes.values():
                node.decision = "approved"
            (*_, after) = client.submit(federation.plan(nonce=3), federation.manifest, refresh=True)
            assert after.release_digest, after.message


def wait(ready):
    end = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.05)
