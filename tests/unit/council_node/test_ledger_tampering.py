import sqlite3
import subprocess
import sys

import pytest

from council_node.ledger import Ledger
from federated.errors import FileProblem
from federated.ledger_chain import LedgerBroken, LedgerState, walk
from federated.ledger_entries import GENESIS, EntryKind, LedgerRound, make_entry, stamped
from tests.unit.council_node.ledger_cases import (
    AGREEMENT,
    BUDGET,
    ME,
    NOW,
    PURE,
    digest_of,
    make_spent_ledger,
    reserve,
    sid_of,
)


@pytest.fixture
def path(tmp_path):
    return make_spent_ledger(tmp_path)


def tamper(path, *statements):
    """Change the file behind the ledger's back, as someone with access to the disk could."""
    with sqlite3.connect(path) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET kind = 'released' WHERE counter = 3",
        "DELETE FROM entry WHERE counter = 3",
        "DELETE FROM entry",
        "INSERT OR REPLACE INTO entry SELECT counter, kind, '{}', previous, hash FROM entry WHERE counter = 3",
        "REPLACE INTO entry SELECT counter, kind, '{}', previous, hash FROM entry WHERE counter = 5",
    ],
)
def test_the_file_itself_refuses_changes(path, statement):
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match=r"never changed|never removed|comes after the last"):
        connection.execute(statement)
    connection.close()
    with Ledger.open(path, ME) as ledger:
        assert ledger.counter == 5


@pytest.mark.parametrize(
    ("statement", "first_broken"),
    [
        ("""UPDATE entry SET body = replace(body, '"epsilon":"1/2"', '"epsilon":"1/4"') WHERE counter = 2""", 2),
        ("UPDATE entry SET body = body || ' ' WHERE counter = 4", 4),
        ("UPDATE entry SET kind = 'released' WHERE counter = 3", 3),
        ("UPDATE entry SET kind = 'forgotten' WHERE counter = 3", 3),
        ("UPDATE entry SET hash = zeroblob(32) WHERE counter = 4", 4),
        ("UPDATE entry SET previous = zeroblob(32) WHERE counter = 4", 4),
        ("DELETE FROM entry WHERE counter = 1", 2),
        ("DELETE FROM entry WHERE counter = 3", 4),
        ("UPDATE entry SET body = 'null' WHERE counter = 2", 2),
        ("UPDATE entry SET body = '{' WHERE counter = 2", 2),
        ("UPDATE entry SET body = x'00' WHERE counter = 2", 2),
        ("UPDATE entry SET counter = 9 WHERE counter = 5", 9),
    ],
)
def test_the_first_broken_entry_is_named(path, statement, first_broken):
    tamper(path, statement)
    with pytest.raises(LedgerBroken, match=f"Entry {first_broken} of the ledger"):
        Ledger.open(path, ME)
    with pytest.raises(LedgerBroken, match=f"Entry {first_broken} of the ledger"):
        Ledger.read_only(path, ME)


def test_verify_finds_a_change_made_while_the_node_runs(path):
    with Ledger.open(path, ME) as ledger:
        ledger.verify()
        tamper(path, "UPDATE entry SET kind = 'released' WHERE counter = 3")
        with pytest.raises(LedgerBroken, match="Entry 3"):
            ledger.verify()


def test_verify_finds_entries_cut_off_while_the_node_runs(path):
    with Ledger.open(path, ME) as ledger:
        tamper(path, "DELETE FROM entry WHERE counter > 3")
        with pytest.raises(LedgerBroken, match="last entry is 3, but this node wrote entry 5"):
            ledger.verify()


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TRIGGER entry_never_goes",
        "DROP TRIGGER entry_never_changes",
        "DROP TRIGGER entry_comes_last",
        "CREATE TRIGGER extra AFTER INSERT ON entry BEGIN DELETE FROM peer; END",
    ],
)
def test_a_file_whose_guards_were_altered_is_refused(path, statement):
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(LedgerBroken, match="tables were altered"):
        Ledger.open(path, ME)


def test_a_newer_format_is_refused(path):
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=2")
    connection.close()
    with pytest.raises(FileProblem, match="format 2; this software reads up to format 1"):
        Ledger.open(path, ME)


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 300])
def test_a_file_that_is_no_ledger_is_refused(tmp_path, content):
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(FileProblem) as caught:
        Ledger.open(path, ME)
    assert caught.value.remedy


def chain(*links):
    """Correctly hashed rows, whatever they say: what a patched node could write."""
    previous, rows = GENESIS, []
    for counter, kind, body in links:
        entry = make_entry(counter, kind, stamped(NOW, body), previous)
        previous = entry.hash
        rows.append(entry.row)
    return rows


OPENED = (1, EntryKind.OPENED, {"council": ME})
SPENT = {"sid": sid_of("a").hex()}
EXHAUSTED = {"reason": "x", "peers_saw": 0}
RECONCILED = {"by": "x", "reason": "x", "lost": []}


RESERVED = LedgerRound(
    sid=sid_of("a"),
    plan_digest=digest_of("plan"),
    title="A question",
    agreement=AGREEMENT,
    period="2026",
    charge=PURE,
    unit="household",
    budget=BUDGET,
).body()


@pytest.mark.parametrize(
    "links",
    [
        [],
        [(1, EntryKind.EXHAUSTED, EXHAUSTED)],
        [(2, EntryKind.OPENED, {"council": ME})],
        [OPENED, (2, EntryKind.OPENED, {"council": ME})],
        [OPENED, (2, EntryKind.SPENT, SPENT)],
        [OPENED, (2, EntryKind.RELEASED, SPENT | {"reason": "x"})],
        [OPENED, (2, EntryKind.RECONCILED, RECONCILED)],
        [OPENED, (3, EntryKind.EXHAUSTED, EXHAUSTED)],
        [OPENED, (2, EntryKind.EXHAUSTED, EXHAUSTED), (2, EntryKind.RECONCILED, RECONCILED)],
        [OPENED, (2, EntryKind.EXHAUSTED, EXHAUSTED | {"more": 1})],
        [OPENED, (2, EntryKind.EXHAUSTED, {"reason": "x", "peers_saw": -1})],
        [OPENED, (2, EntryKind.EXHAUSTED, {"reason": "x", "peers_saw": True})],
        [OPENED, (2, EntryKind.EXHAUSTED, EXHAUSTED | {"version": 2})],
        [(1, EntryKind.OPENED, {"council": "two words"})],
        [OPENED, (2, EntryKind.RESERVED, RESERVED), (3, EntryKind.RESERVED, RESERVED)],
        [OPENED, (2, EntryKind.EXHAUSTED, EXHAUSTED), (3, EntryKind.RESERVED, RESERVED)],
        [OPENED, (2, EntryKind.RESERVED, RESERVED | {"period": "26"})],
        [OPENED, (2, EntryKind.RESERVED, RESERVED | {"rho": "0.125"})],
        [OPENED, (2, EntryKind.RESERVED, RESERVED | {"rho": "1/9"})],
    ],
)
def test_well_hashed_entries_that_do_not_follow_are_refused(links):
    with pytest.raises(LedgerBroken):
        walk(chain(*links))


@pytest.mark.parametrize("field", ["rho", "epsilon", "budget_epsilon", "budget_delta", "period"])
def test_an_amount_or_a_year_in_digits_of_another_script_is_refused(field):
    """A patched node could write them: a person who reads the ledger would see another amount."""
    other = RESERVED[field].translate({ord("0") + digit: chr(0x660 + digit) for digit in range(10)})
    assert other != RESERVED[field]
    assert walk(chain(OPENED, (2, EntryKind.RESERVED, RESERVED))).counter == 2
    with pytest.raises(LedgerBroken):
        walk(chain(OPENED, (2, EntryKind.RESERVED, RESERVED | {field: other})))


def test_a_well_hashed_entry_of_another_chain_is_refused():
    rows = chain(OPENED, (2, EntryKind.RESERVED, RESERVED))
    assert walk(rows).counter == 2
    stranger = make_entry(2, EntryKind.RESERVED, stamped(NOW, RESERVED), digest_of("another chain"))
    with pytest.raises(LedgerBroken, match=r"Entry 2 .* does not follow the entry before it"):
        walk([rows[0], stranger.row])


def test_reconciling_alone_may_skip_numbers():
    state = walk(chain(OPENED, (2, EntryKind.EXHAUSTED, EXHAUSTED), (90, EntryKind.RECONCILED, RECONCILED)))
    assert (state.counter, state.exhaustion) == (90, None)


def test_a_refused_entry_leaves_the_state_as_it_was():
    state = LedgerState()
    state.apply(make_entry(1, EntryKind.OPENED, stamped(NOW, {"council": ME}), GENESIS))
    before = (state.counter, state.head, dict(state.rounds))
    with pytest.raises(LedgerBroken):
        state.apply(make_entry(2, EntryKind.SPENT, stamped(NOW, SPENT), state.head))
    assert (state.counter, state.head, state.rounds) == before


def test_the_hash_is_over_every_field():
    base = make_entry(1, EntryKind.OPENED, {"council": ME}, GENESIS)
    others = [
        make_entry(2, EntryKind.OPENED, {"council": ME}, GENESIS),
        make_entry(1, EntryKind.SPENT, {"council": ME}, GENESIS),
        make_entry(1, EntryKind.OPENED, {"council": "E06000002"}, GENESIS),
        make_entry(1, EntryKind.OPENED, {"council": ME}, digest_of("x")),
    ]
    assert len({base.hash, *(other.hash for other in others)}) == 5


def test_two_nodes_cannot_share_a_ledger(path):
    with Ledger.open(path, ME):
        with pytest.raises(FileProblem, match="in use by another program"):
            Ledger.open(path, ME)
        code = (
            "import sys, pathlib\n"
            "from council_node.ledger import Ledger\n"
            "from federated.errors import FileProblem\n"
            "try:\n    Ledger.open(pathlib.Path(sys.argv[1]), sys.argv[2])\n"
            "except FileProblem as error:\n    print(error)\n"
        )
        said = subprocess.run(
            [sys.executable, "-c", code, str(path), ME], capture_output=True, text=True, check=True, timeout=60
        )
        assert "in use by another program" in said.stdout
    Ledger.open(path, ME).close()


def test_the_lock_holds_through_another_name_of_the_file(path, tmp_path):
    alias = tmp_path / "alias"
    alias.symlink_to(path)
    with Ledger.open(path, ME), pytest.raises(FileProblem, match="in use"):
        Ledger.open(alias, ME)


def test_a_reader_sees_the_ledger_while_the_node_writes_and_cannot_change_it(path):
    with Ledger.open(path, ME) as ledger, Ledger.read_only(path, ME) as reader:
        reserve(ledger, "c")
        assert reader.counter == 6
        with pytest.raises(Exception, match="cannot be used"):
            reserve(reader, "d")
        assert ledger.counter == 6
        reader.verify()


def test_a_lock_is_let_go_when_opening_fails(path):
    tamper(path, "DELETE FROM entry WHERE counter = 3")
    for _ in range(2):
        with pytest.raises(LedgerBroken):
            Ledger.open(path, ME)


def test_the_bytes_of_a_copied_file_open_elsewhere(path, tmp_path):
    copy = tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())
    assert path.with_name(f"{path.name}-journal").stat().st_size == 0
    with Ledger.read_only(copy, ME) as reader:
        assert reader.counter == 5
