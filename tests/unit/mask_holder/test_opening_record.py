"""The record of openings: one for each round of a plan, durable, never changed, and missed when it is gone."""

import sqlite3
from datetime import UTC, datetime

import pytest

from federated.errors import FileProblem, PolicyRefusal
from mask_holder.record import _DEFINITIONS, OpenedSum, OpeningRecord
from protocols.encoding import sha256

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


def entry(plan=b"plan", part=1, sid=b"round"):
    return OpenedSum(
        plan_digest=sha256(plan),
        part=part,
        sid=sha256(sid),
        h3=sha256(b"survivors"),
        agreement="everyone",
        agreement_version=3,
        question="Households by outcome",
        councils=("E06000001", "E06000002"),
        opened_at=NOW,
    )


@pytest.fixture
def path(tmp_path):
    OpeningRecord.create(tmp_path / "opened.db")
    return tmp_path / "opened.db"


def test_what_was_opened_is_there_after_a_restart(path):
    with OpeningRecord.open(path) as record:
        record.add(entry())
        assert record.has(sha256(b"round"))
        assert not record.has(sha256(b"another"))
    with OpeningRecord.open(path) as record:
        assert record.entries() == (entry(),)
        with pytest.raises(PolicyRefusal, match="opens no second one") as caught:
            record.check_unopened(sha256(b"plan"), 1)
        assert caught.value.rule == "opened_before"


def test_a_second_sum_of_a_plan_is_refused_whatever_its_round(path):
    with OpeningRecord.open(path) as record:
        record.add(entry())
        with pytest.raises(PolicyRefusal):
            record.add(entry(sid=b"second attempt"))
        record.add(entry(plan=b"another plan", sid=b"second attempt"))
        assert [found.sid for found in record.entries()] == [sha256(b"round"), sha256(b"second attempt")]


def test_a_plan_of_several_rounds_has_one_sum_for_each(path):
    with OpeningRecord.open(path) as record:
        for part in (1, 2, 3):
            record.check_unopened(sha256(b"plan"), part)
            record.add(entry(part=part, sid=b"round %d" % part))
        with pytest.raises(PolicyRefusal):
            record.add(entry(part=1, sid=b"again"))


@pytest.mark.parametrize(
    "change", ["UPDATE opened SET councils = '[]'", "DELETE FROM opened", "UPDATE opened SET part = 7"]
)
def test_no_entry_is_changed_or_forgotten(path, change):
    with OpeningRecord.open(path) as record:
        record.add(entry())
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="never"):
        connection.execute(change)
    connection.close()


@pytest.mark.parametrize(("left", "found"), [(None, "is not there"), (b"", "holds nothing")])
def test_a_record_that_was_lost_is_not_begun_anew(path, left, found):
    path.unlink()
    if left is not None:
        path.write_bytes(left)
    with pytest.raises(FileProblem, match=f"{found}, though `mask-holder init` made one"):
        OpeningRecord.open(path)
    assert not path.exists() or path.read_bytes() == b""
    OpeningRecord.create(path)
    with OpeningRecord.open(path):
        pass  # the lock of the refused one is free again


def test_a_record_is_never_made_over_another(path):
    with OpeningRecord.open(path) as record:
        record.add(entry())
    with pytest.raises(FileProblem, match="already"):
        OpeningRecord.create(path)
    with OpeningRecord.open(path) as record:
        assert record.entries() == (entry(),)


def test_one_program_alone_writes_and_another_reads_meanwhile(path):
    with OpeningRecord.open(path) as record:
        record.add(entry())
        with pytest.raises(FileProblem, match="in use by another program"):
            OpeningRecord.open(path)
        with OpeningRecord.read_only(path) as read:
            assert read.entries() == (entry(),)


@pytest.mark.parametrize(
    ("column", "value"),
    [("councils", "no list"), ("opened_at", "yesterday"), ("councils", "7"), ("councils", "[" * 9999)],
)
def test_a_damaged_entry_is_told_and_not_guessed(path, column, value):
    with OpeningRecord.open(path) as record:
        record.add(entry())
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER opened_never_changes")
    connection.execute(f"UPDATE opened SET {column} = ?", (value,))
    connection.execute(_DEFINITIONS[1])
    connection.commit()
    connection.close()
    with OpeningRecord.read_only(path) as read, pytest.raises(FileProblem, match="it is damaged"):
        read.entries()


@pytest.mark.parametrize("trigger", ["opened_never_changes", "opened_stays"])
def test_a_record_that_no_longer_refuses_changes_is_refused(path, trigger):
    with OpeningRecord.open(path) as record:
        record.add(entry())
    connection = sqlite3.connect(path)
    connection.execute(f"DROP TRIGGER {trigger}")
    connection.commit()
    connection.close()
    with pytest.raises(FileProblem, match="its tables were altered"):
        OpeningRecord.open(path)
    with pytest.raises(FileProblem, match="its tables were altered"), OpeningRecord.read_only(path):
        pass


def test_a_file_that_is_no_record_and_one_of_newer_software_are_refused(path):
    path.write_bytes(b"no database at all, but long enough to be looked at" * 40)
    with pytest.raises(FileProblem):
        OpeningRecord.open(path)
    path.unlink()
    OpeningRecord.create(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=2")
    connection.close()
    with pytest.raises(FileProblem, match="has format 2"), OpeningRecord.read_only(path):
        pass
