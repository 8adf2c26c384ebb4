import os
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from council_node.node_store import KEPT, Document, DocumentKind, NodeStore, StoreConflict
from federated.errors import FileProblem, InternalError

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
RELEASE, DECISION = DocumentKind.RELEASE, DocumentKind.DECISION


@pytest.fixture
def path(tmp_path):
    return tmp_path / "node.db"


@pytest.fixture
def store(path):
    with NodeStore.open(path) as opened:
        yield opened


def test_a_later_document_is_the_latest_and_the_earlier_one_stays(store):
    store.put(DECISION, "aa", b"pending", NOW)
    store.put(DECISION, "bb", b"other", NOW)
    store.put(DECISION, "aa", b"approved", NOW + timedelta(days=1))
    latest = store.latest(DECISION, "aa")
    assert (latest.body, latest.revision, latest.saved_at) == (b"approved", 2, NOW + timedelta(days=1))
    assert [item.body for item in store.history(DECISION, "aa")] == [b"pending", b"approved"]
    assert [item.body for item in store.all_latest(DECISION)] == [b"other", b"approved"]
    assert store.latest(RELEASE, "aa") is None
    assert store.latest(DECISION, "cc") is None


def test_everything_is_there_after_opening_again(path, store):
    store.put(RELEASE, "aa", b"\x00\xff", NOW)
    store.close()
    with NodeStore.open(path) as again:
        assert again.latest(RELEASE, "aa").body == b"\x00\xff"


def test_two_programs_may_use_the_store_at_once(path, store):
    with NodeStore.open(path) as other:
        for number in range(4):
            (store, other)[number % 2].put(DECISION, "aa", b"%d" % number, NOW)
        assert [item.revision for item in store.history(DECISION, "aa")] == [1, 2, 3, 4]
        assert [item.body for item in other.history(DECISION, "aa")] == [b"0", b"1", b"2", b"3"]


RECORD = Document(kind=DocumentKind.PURGE, name="purge", revision=0, saved_at=NOW, body=b"who and why")


def test_removing_leaves_a_record_and_no_byte_of_what_was_removed(path, store):
    store.put(RELEASE, "old", b"canary-7f3a" * 600, NOW)
    store.put(RELEASE, "new", b"kept", NOW + timedelta(days=2))
    store.remove([(RELEASE, "old")], RECORD)
    store.compact()
    assert store.latest(RELEASE, "old") is None
    assert [item.body for item in store.history(DocumentKind.PURGE, "purge")] == [b"who and why"]
    assert store.latest(RELEASE, "new").body == b"kept"
    store.close()
    assert b"canary-7f3a" not in path.read_bytes()


@pytest.mark.parametrize("kind", sorted(KEPT))
def test_what_was_decided_is_never_deleted(path, store, kind):
    store.put(kind, "aa", b"x", NOW)
    with pytest.raises(InternalError):
        store.remove([(kind, "aa")], RECORD)
    assert store.latest(DocumentKind.PURGE, "purge") is None or kind is DocumentKind.PURGE
    connection = sqlite3.connect(path)
    for statement in (
        "DELETE FROM document",
        "UPDATE document SET body = x'00'",
        "REPLACE INTO document SELECT kind, name, revision, version, saved_at, x'00' FROM document",
    ):
        with pytest.raises(sqlite3.IntegrityError, match=r"never|comes after"):
            connection.execute(statement)
    connection.close()
    assert store.latest(kind, "aa").body == b"x"


def test_a_newer_format_or_document_is_refused(path, store):
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO document VALUES ('release', 'aa', 1, 2, '2026-03-01T09:00:00Z', x'00')")
    connection.close()
    with pytest.raises(FileProblem, match="document of version 2"):
        store.latest(RELEASE, "aa")
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=3")
    connection.close()
    with pytest.raises(FileProblem, match="format 3"):
        NodeStore.open(path)


def test_a_file_that_is_no_store_is_refused(path):
    path.write_bytes(b"no database " * 500)
    with pytest.raises(FileProblem):
        NodeStore.open(path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileProblem, match="cannot be made: No such file or directory"):
        NodeStore.open(tmp_path / "absent" / "node.db")


def test_a_full_disk_stores_nothing_and_says_so(store):
    connection = store._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(FileProblem, match="the disk is full"):
        store.put(RELEASE, "aa", b"x" * 100_000, NOW)
    assert store.latest(RELEASE, "aa") is None
    connection.execute("PRAGMA max_page_count=100000")
    store.put(RELEASE, "aa", b"x" * 100_000, NOW)


def test_the_store_is_private_and_durable(path, store):
    assert path.stat().st_mode & 0o077 == 0
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("truncate",)


@pytest.mark.parametrize("opens", [True, False])
def test_a_store_can_be_made_where_no_folder_can_be_opened(path, monkeypatch, opens):
    """Windows refuses to open a folder; where it can be done, its names are waited for."""
    real, waited = os.open, []

    def open_file(place, *args, **kwargs):
        if Path(place).is_dir():
            waited.append(place)
            if not opens:
                raise PermissionError(13, "Permission denied", str(place))
        return real(place, *args, **kwargs)

    monkeypatch.setattr("council_node.durable_sqlite.os.open", open_file)
    monkeypatch.setattr("council_node.durable_sqlite.FOLDERS_OPEN", opens)
    NodeStore.open(path).close()
    assert waited == [path.parent] * opens
    monkeypatch.setattr("council_node.durable_sqlite.FOLDERS_OPEN", True)
    if not opens:
        with pytest.raises(FileProblem, match="Permission denied"):
            NodeStore.open(path.with_name("other.db"))


def test_documents_put_together_are_all_stored_or_none(path, store):
    def put_three():
        with store.together():
            store.put(RELEASE, "aa", b"one", NOW)
            store.put(DocumentKind.RECEIPT, "aa", b"two", NOW)
            store.put(DocumentKind.RECEIPT, "aa", b"three", NOW, after=7)

    with pytest.raises(StoreConflict):
        put_three()
    assert store.latest(RELEASE, "aa") is None
    assert store.latest(DocumentKind.RECEIPT, "aa") is None
    with store.together():
        store.put(RELEASE, "aa", b"one", NOW)
        store.put(DocumentKind.RECEIPT, "aa", b"two", NOW)
        with NodeStore.open(path) as other:
            assert other.latest(RELEASE, "aa") is None
    with NodeStore.open(path) as other:
        assert other.latest(RELEASE, "aa").body == b"one"
        assert other.latest(DocumentKind.RECEIPT, "aa").body == b"two"
