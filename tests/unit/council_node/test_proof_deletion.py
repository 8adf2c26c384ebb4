"""After each question its rows and the round's secrets are gone, and a signed record says so."""

import random
import sqlite3

import duckdb
import pytest

from council_node.node_store import Document, DocumentKind, NodeStore
from council_node.proof.deletion import DELETION_KIND, keep_deletion_record
from council_node.sources.databases import Databases
from federated.errors import InternalError, SignatureProblem
from federated.keys import make_key, trusted_keys
from federated.signing import open_statement
from protocols.wire.link_message import Kind
from tests.integration.federation_world import CANARY, ME, NOW, Rehearsal, World, abort

STRANGER = make_key(random.Random("stranger").randbytes)


@pytest.fixture
def world(tmp_path):
    with World(tmp_path) as world:
        yield world


def record(seat, sid, *, by=None):
    """The stored record of a round as whoever checks an evidence pack opens it; None when there is none."""
    document = seat.station.store.latest(DocumentKind.DELETION, sid.hex())
    keys = trusted_keys((by or seat.station.key).public)
    return None if document is None else open_statement(DELETION_KIND, document.body, keys)


def test_a_round_that_ends_after_its_charge_leaves_a_signed_record_and_nothing_else(world):
    rehearsal = Rehearsal(world, world.propose()).until(Kind.SURVIVORS)
    seat = world.seat(ME)
    assert record(seat, rehearsal.sid) is None
    seat.ask(abort(rehearsal.sid))
    found = record(seat, rehearsal.sid)
    rows, secrets = found["removed"]
    assert "holds 0 bytes of rows in memory or on disk" in rows["how_it_is_known"]
    assert "it holds no key and no mask" in secrets["how_it_is_known"]
    assert (found["sid"], found["council"]) == (rehearsal.sid.hex(), ME)
    assert rows["gone_by"].startswith("2026-03-02T10:00:00")
    assert CANARY not in str(found)
    with pytest.raises(SignatureProblem):
        record(seat, rehearsal.sid, by=STRANGER)


def test_a_round_that_read_nothing_says_so(world):
    rehearsal = Rehearsal(world, world.propose()).until(Kind.SHARES)
    seat = world.seat(ME)
    seat.ask(abort(rehearsal.sid))
    assert "None were read" in record(seat, rehearsal.sid)["removed"][0]["how_it_is_known"]


def test_a_node_that_stopped_in_a_round_makes_the_record_when_it_starts_again(world):
    rehearsal = Rehearsal(world, world.propose()).until(Kind.SURVIVORS)
    seat = world.seat(ME)
    seat.restart()
    found = record(seat, rehearsal.sid)
    assert all("process that held them has ended" in item["how_it_is_known"] for item in found["removed"])
    seat.restart()
    assert len(seat.station.store.history(DocumentKind.DELETION, rehearsal.sid.hex())) == 1


def test_after_a_failed_write_the_record_tells_of_no_restart(world, monkeypatch):
    rehearsal = Rehearsal(world, world.propose()).until(Kind.SURVIVORS)
    seat = world.seat(ME)
    put = seat.station.store.put

    def full(kind, *rest):
        if kind is DocumentKind.DELETION:
            raise InternalError("The disk is full.")
        put(kind, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(type(seat.station.store), "put", lambda _store, *given: full(*given))
        with pytest.raises(InternalError, match="disk is full"):
            seat.node._rounds._end(rehearsal.sid, "the disk was full")
    assert record(seat, rehearsal.sid) is None
    seat.ask(abort(rehearsal.sid))
    _, secrets = record(seat, rehearsal.sid)["removed"]
    assert "was ended, and looked at afterwards" in secrets["how_it_is_known"]
    assert "started again" not in secrets["how_it_is_known"]


def test_no_record_is_made_while_secrets_are_left(world):
    rehearsal = Rehearsal(world, world.propose()).until(Kind.SURVIVORS)
    seat = world.seat(ME)
    session = seat.node._rounds._active[rehearsal.sid].session
    with pytest.raises(InternalError, match="not let go of its secrets"):
        keep_deletion_record(seat.station, rehearsal.sid, session, NOW)
    assert record(seat, rehearsal.sid) is None


def test_rows_that_are_still_held_are_seen_and_the_engine_is_closed(world, monkeypatch):
    rehearsal = Rehearsal(world, world.propose()).until(Kind.SURVIVORS)
    seat = world.seat(ME)
    kept = seat.station._databases._kept[1].cursor()
    kept.execute("CREATE TABLE forgotten AS SELECT 'case ' || i AS reference FROM range(100) AS t(i)")
    assert seat.station.rows_held() > 0
    seat.ask(abort(rehearsal.sid))
    assert "was closed with all it held" in record(seat, rehearsal.sid)["removed"][0]["how_it_is_known"]
    assert seat.station.rows_held() is None


def test_an_engine_tells_of_rows_while_a_question_is_open(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b\n" + "1,2\n" * 500, encoding="utf-8")
    databases = Databases()
    lent = databases.lend(threads=1, memory_limit_mib=128, readable=(tmp_path / "rows.csv",), passing=False)
    lent.execute("CREATE TEMP TABLE canonical_rows AS SELECT * FROM range(1000)")
    assert databases.held() > 0
    lent.close()
    assert databases.held() == 0
    databases.close()
    assert isinstance(lent, duckdb.DuckDBPyConnection)


def test_records_are_never_deleted_in_a_store_of_the_earlier_format_either(tmp_path):
    path = tmp_path / "node.db"
    NodeStore.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TRIGGER document_kept")
        connection.execute(
            "CREATE TRIGGER document_kept BEFORE DELETE ON document WHEN OLD.kind IN ('decision', 'pause', 'receipt') "
            "BEGIN SELECT RAISE(ABORT, 'this kind of document is never deleted'); END"
        )
        connection.execute("PRAGMA user_version=1")
    connection.close()
    with NodeStore.open(path) as store:
        store.put(DocumentKind.DELETION, "aa", b"record", NOW)
        store.put(DocumentKind.RELEASE, "aa", b"answer", NOW)
        record = Document(kind=DocumentKind.PURGE, name="purge", revision=0, saved_at=NOW, body=b"why")
        with pytest.raises(InternalError):
            store.remove([(DocumentKind.DELETION, "aa")], record)
        store.remove([(DocumentKind.RELEASE, "aa")], record)
        assert store.latest(DocumentKind.RELEASE, "aa") is None
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="never deleted"):
        connection.execute("DELETE FROM document WHERE kind = 'deletion'")
    connection.close()
