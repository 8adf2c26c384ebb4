"""A ledger's copy, checked away from the node that wrote it."""

import sqlite3
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from council_node.cli import app as node_app
from council_node.ledger import Ledger
from federated.errors import FileProblem, SignatureProblem
from federated.ledger_chain import LedgerBroken
from federated.ledger_copy import check_stands_on, read_ledger_copy, read_ledger_file
from protocols.identifiers import CouncilId
from tests.unit.council_node.ledger_cases import LATER, ME, NOW, digest_of, make_spent_ledger, reserve


@pytest.fixture
def path(tmp_path):
    return make_spent_ledger(tmp_path)


def test_a_copy_is_read_to_the_same_sums_as_the_ledger_itself(path):
    with Ledger.read_only(path, ME) as ledger:
        expected, entries = ledger.statement(NOW), ledger.entries()
    copy = read_ledger_file(path)
    assert copy.entries == entries
    assert copy.state.statement(NOW) == expected
    assert f"5 entries, the last is number 5 with hash {expected.head.hex()}" in copy.summary()


def test_every_changed_byte_of_an_entry_is_found_in_the_copy(path):
    content = path.read_bytes()
    with Ledger.read_only(path, ME) as ledger:
        entry = ledger.entries()[2]
    body = entry.row[2].encode()
    for piece in (body, entry.hash, entry.previous):
        start = content.index(piece)
        for place in range(start, start + len(piece)):
            changed = bytearray(content)
            changed[place] ^= 1
            with pytest.raises(LedgerBroken, match="Entry"):
                read_ledger_copy(bytes(changed))


@pytest.mark.parametrize("content", [b"", b"not a database" * 100, b"SQLite format 3\0" + bytes(4096)])
def test_what_is_no_ledger_is_refused_in_plain_words(content):
    with pytest.raises(FileProblem, match=r"holds no table|not a ledger's file|is damaged"):
        read_ledger_copy(content)


def test_a_program_in_the_ledgers_place_is_not_run(tmp_path):
    path = tmp_path / "program.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE VIEW entry AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9) "
            "SELECT i AS counter, 'opened' AS kind, '{}' AS body, x'' AS previous, x'' AS hash FROM n"
        )
    connection.close()
    with pytest.raises(FileProblem, match="holds no table of ledger entries"):
        read_ledger_copy(path.read_bytes())


def test_a_statement_stands_on_the_ledger_it_was_made_from(path):
    with Ledger.open(path, ME) as ledger:
        statement = ledger.statement(NOW)
        assert "up to entry 5, and its figures follow from it." in check_stands_on(statement, read_ledger_file(path))
        reserve(ledger, "c")
    assert "1 later entries are not covered" in check_stands_on(statement, read_ledger_file(path))


def test_a_statement_that_does_not_stand_on_the_ledger_is_found(path):
    copy = read_ledger_file(path)
    with Ledger.read_only(path, ME) as ledger:
        statement = ledger.statement(NOW)
    (period,) = statement.periods
    wrong = {
        "adds? up": replace(statement, periods=(replace(period, rounds=1),)),
        "no such entry": replace(statement, head=digest_of("another past")),
        "no such entry ": replace(statement, counter=9),
        "of council E06000002": replace(statement, council=CouncilId("E06000002")),
    }
    for words, changed in wrong.items():
        with pytest.raises(SignatureProblem, match=words.strip()):
            check_stands_on(changed, copy)


def test_a_ledger_written_anew_is_whole_but_is_not_the_one_that_was_signed(path, tmp_path):
    with Ledger.read_only(path, ME) as ledger:
        statement = ledger.statement(NOW)
    forged = tmp_path / "forged.db"
    with Ledger.create(forged, ME, LATER):
        pass
    copy = read_ledger_file(forged)
    with pytest.raises(SignatureProblem, match="no such entry"):
        check_stands_on(statement, copy)


def test_the_command_checks_a_copy_without_settings(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(node_app, ["ledger", "verify", "--file", str(path)])
    assert done.exit_code == 0, done.output
    assert "is whole: 5 entries" in done.output
    path.write_bytes(path.read_bytes().replace(b'"1/2"', b'"1/9"'))
    broken = CliRunner().invoke(node_app, ["ledger", "verify", "--file", str(path)])
    assert isinstance(broken.exception, LedgerBroken)
