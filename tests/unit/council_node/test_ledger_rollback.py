import shutil
import sqlite3
from contextlib import closing
from fractions import Fraction

import pytest

from council_node.ledger import Ledger
from federated.errors import BudgetExceeded, FileProblem, PolicyRefusal
from federated.ledger_entries import MAX_COUNTER, MAX_MARK, LostCharge, mark_of
from federated.privacy import Totals
from tests.unit.council_node.ledger_cases import (
    AGREEMENT,
    BUDGET,
    LATER,
    ME,
    NOW,
    PEERS,
    PURE,
    Claim,
    reserve,
    sid_of,
)

ELIGIBLE = (ME, *PEERS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path):
    with Ledger.create(path, ME, NOW) as opened:
        yield opened


def refusal(rule):
    return pytest.raises(PolicyRefusal, check=lambda error: error.rule == rule)


def claims(own, first, second):
    """Adverts of a round: ours after the entry `own`, and two peers that saw these marks of our ledger signed."""
    mine = Claim(own.counter, (99, 0, 0), own.hash)
    return {ME: mine, PEERS[0]: Claim(4, (first, 4, 0)), PEERS[1]: Claim(7, (second, 0, 7))}


def mark(entry):
    return mark_of(entry.counter, entry.hash)


def unheld(number):
    """The mark of an entry that is not in the ledger."""
    return mark_of(number, b"\x07" * 32)


def test_a_mark_fits_an_advert_and_orders_by_number():
    assert mark_of(3, bytes(32)) < mark_of(3, b"\xff" * 32) < mark_of(4, bytes(32))
    assert mark_of(MAX_COUNTER - 1, b"\xff" * 32) < MAX_MARK < 2**63


def test_peers_marks_are_kept_at_their_latest(path, ledger):
    ledger.note_peer(PEERS[0], 5)
    ledger.note_peer(PEERS[0], 3)
    own = mark_of(1, ledger.head)
    assert ledger.seen(ELIGIBLE) == (own, 5, 0)
    assert ledger.seen((PEERS[1], PEERS[0])) == (0, 5)
    ledger.close()
    with Ledger.open(path, ME) as again:
        assert again.seen(ELIGIBLE) == (own, 5, 0)


def test_claims_that_know_what_we_know_pass_and_are_remembered(path, ledger):
    first = reserve(ledger, "a")
    second = reserve(ledger, "b")
    ledger.check_claims(claims(second, mark(first), 0), ELIGIBLE, NOW)
    assert ledger.exhausted is None
    assert ledger.seen(ELIGIBLE) == (mark(second), mark_of(4, bytes(32)), mark_of(7, bytes(32)))
    ledger.close()
    with Ledger.open(path, ME) as again:
        again.check_claims(claims(reserve(again, "c"), mark(second), mark(first)), ELIGIBLE, NOW)


def test_a_round_invited_to_later_may_have_been_seen_first(ledger):
    first = reserve(ledger, "a")
    second = reserve(ledger, "b")
    ledger.check_claims(claims(first, mark(second), 0), ELIGIBLE, NOW)
    assert ledger.exhausted is None


@pytest.mark.parametrize("number", [0, 1, 2, 3, 40])
def test_a_peer_that_has_seen_an_entry_we_lack_stops_the_ledger(path, ledger, number):
    own = reserve(ledger, "a")
    with refusal("ledger_rollback"):
        ledger.check_claims(claims(own, 0, unheld(number)), ELIGIBLE, NOW)
    assert f"E06000003 has seen an entry {number} of this ledger" in ledger.exhausted
    with refusal("ledger_exhausted"):
        ledger.spend(sid_of("a"), NOW)
    with refusal("ledger_exhausted"):
        reserve(ledger, "b")
    ledger.release(sid_of("a"), "the ledger is exhausted", NOW)
    ledger.close()
    with Ledger.open(path, ME) as again, refusal("ledger_exhausted"):
        reserve(again, "b")


def put_back(path, tmp_path, *, rounds):
    """A ledger whose file was put back behind its back, as a copy of the computer's disk would be.

    Returns:
        The entry of the last advert that was lost with it, and the ledger.
    """
    copy = tmp_path / "copy.db"
    with Ledger.create(path, ME, NOW) as ledger:
        reserve(ledger, "before")
        ledger.spend(sid_of("before"), NOW)
        shutil.copyfile(path, copy)
        for number in range(rounds):
            lost = reserve(ledger, f"lost {number}")
            ledger.spend(sid_of(f"lost {number}"), NOW)
    shutil.copyfile(copy, path)
    return lost, Ledger.open(path, ME)


def test_a_ledger_put_back_to_just_before_its_last_charge_is_found_out(path, tmp_path):
    lost, ledger = put_back(path, tmp_path, rounds=1)
    with ledger:
        own = reserve(ledger, "new")
        assert own.counter == lost.counter  # the number that the peers saw, come by again
        with refusal("ledger_rollback"):
            ledger.check_claims(claims(own, mark(lost), 0), ELIGIBLE, NOW)
        with refusal("ledger_exhausted"):
            ledger.spend(sid_of("new"), NOW)


@pytest.mark.parametrize("invitations", [1, 2, 3])
def test_a_ledger_put_back_and_grown_past_what_peers_saw_is_found_out(path, tmp_path, invitations):
    # A coordinator could carry the number on with invitations it takes back at once; so do rounds with others.
    lost, ledger = put_back(path, tmp_path, rounds=2)
    with ledger:
        for number in range(invitations):
            reserve(ledger, f"pump {number}")
            ledger.release(sid_of(f"pump {number}"), "taken back", NOW)
        own = reserve(ledger, "new")
        assert own.counter >= lost.counter
        with refusal("ledger_rollback"):
            ledger.check_claims(claims(own, mark(lost), 0), ELIGIBLE, NOW)


def test_reconciling_goes_past_what_peers_have_seen(ledger):
    own = reserve(ledger, "a")
    with refusal("ledger_rollback"):
        ledger.check_claims(claims(own, unheld(40), unheld(3)), ELIGIBLE, NOW)
    with refusal("ledger_rollback"):
        ledger.check_claims(claims(own, unheld(12), unheld(3)), ELIGIBLE, NOW)
    ledger.reconcile(by="A Reviewer", reason="restored after a disk failure", now=LATER)
    assert ledger.counter == 41
    ledger.check_claims(claims(reserve(ledger, "b"), unheld(40), unheld(40)), ELIGIBLE, LATER)
    ledger.verify()
    with refusal("ledger_rollback"):
        ledger.check_claims(claims(reserve(ledger, "c"), unheld(42), 0), ELIGIBLE, LATER)


def test_reconciling_accounts_for_no_entry_that_nobody_knew_of(ledger):
    """A lost entry may have had the very number that reconciling takes."""
    own = reserve(ledger, "a")
    with refusal("ledger_rollback"):
        ledger.check_claims(claims(own, unheld(40), 0), ELIGIBLE, NOW)
    entry = ledger.reconcile(by="A Reviewer", reason="written back what was known", now=LATER)
    assert (entry.counter, entry.body["accounted"]) == (41, 40)
    with refusal("ledger_rollback"):
        ledger.check_claims(claims(reserve(ledger, "b"), unheld(41), 0), ELIGIBLE, LATER)


def test_a_liar_s_number_does_not_hide_what_is_found_out_later(ledger):
    with refusal("ledger_rollback"):
        ledger.check_claims(claims(reserve(ledger, "a"), 2**64 - 1, 0), ELIGIBLE, NOW)
    entry = ledger.reconcile(by="A Reviewer", reason="council E06000002 lied", counter=10, now=LATER)
    assert entry.body["accounted"] == 9
    with refusal("ledger_rollback"):
        ledger.check_claims(claims(reserve(ledger, "b"), unheld(10), 0), ELIGIBLE, LATER)


def test_an_impossible_claim_needs_a_person_to_name_the_number(ledger):
    with refusal("ledger_rollback"):
        ledger.check_claims(claims(reserve(ledger, "a"), 2**64 - 1, 0), ELIGIBLE, NOW)
    with pytest.raises(FileProblem, match="cannot be the next one"):
        ledger.reconcile(by="A Reviewer", reason="x", now=LATER)
    ledger.reconcile(by="A Reviewer", reason="council E06000002 lied", counter=10, now=LATER)
    assert ledger.counter == 10


def test_a_ledger_in_good_standing_is_not_reconciled(ledger):
    with pytest.raises(FileProblem, match="good standing"):
        ledger.reconcile(by="A Reviewer", reason="x", now=LATER)


def restored(path, tmp_path):
    """A ledger lost after its backup was taken, put back from the backup."""
    backup = tmp_path / "backup.db"
    with Ledger.create(path, ME, NOW) as ledger:
        reserve(ledger, "before")
        ledger.spend(sid_of("before"), NOW)
        reserve(ledger, "under way")
        shutil.copyfile(path, backup)
        ledger.spend(sid_of("under way"), NOW)
        reserve(ledger, "after")
        ledger.spend(sid_of("after"), NOW)
    path.unlink()
    return Ledger.restore(backup, path, ME, LATER)


def test_a_restored_ledger_starts_exhausted(path, tmp_path):
    with restored(path, tmp_path) as ledger, refusal("ledger_exhausted"):
        reserve(ledger, "new")
    with Ledger.open(path, ME) as ledger:
        assert ledger.exhausted == "restored from a backup"


def unfinished(path):
    """The bytes of the journal that a crash leaves in the middle of an entry."""
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        for statement in ("PRAGMA synchronous=FULL", "PRAGMA journal_mode=TRUNCATE", "PRAGMA cache_size=1", "BEGIN"):
            writer.execute(statement)
        number, *rest, _ = writer.execute("SELECT * FROM entry ORDER BY 1 DESC LIMIT 1").fetchone()
        writer.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", (number + 1, *rest, bytes(32)))
        # More than the cache holds, so that the engine writes before it commits.
        writer.execute("CREATE TABLE filling (bytes)")
        writer.executemany("INSERT INTO filling VALUES (zeroblob(9000))", [()] * 9)
        return path.with_name(f"{path.name}-journal").read_bytes()


def test_what_a_lost_ledger_left_unfinished_does_not_undo_that_the_restored_one_is_exhausted(path, tmp_path):
    backup, journal = tmp_path / "backup.db", path.with_name(f"{path.name}-journal")
    with Ledger.create(path, ME, NOW) as ledger:
        reserve(ledger, "before")
        ledger.spend(sid_of("before"), NOW)
    shutil.copyfile(path, backup)
    left = unfinished(path)
    path.unlink()
    journal.write_bytes(left)
    with pytest.raises(FileProblem, match="left unfinished"):
        Ledger.restore(backup, path, ME, LATER)
    assert not path.exists()
    journal.rename(tmp_path / "kept")
    with Ledger.restore(backup, path, ME, LATER) as ledger:
        assert ledger.exhausted == "restored from a backup"
    # Why: the engine plays such a journal back into whatever file has the name.
    journal.write_bytes(left)
    with Ledger.open(path, ME) as ledger:
        assert ledger.exhausted is None


def test_what_a_backup_had_reserved_counts_as_spent(path, tmp_path):
    with restored(path, tmp_path) as ledger:
        spent, reserved = ledger.totals(AGREEMENT.id, "2026")
        assert (spent.epsilon, reserved.epsilon) == (1, 0)
        assert ledger.recover(LATER) == ()


def test_charges_lost_with_a_backup_can_be_written_back(path, tmp_path):
    lost = Totals(epsilon=PURE.epsilon, rho=PURE.rho, draws=PURE.draws)
    with restored(path, tmp_path) as ledger:
        item = LostCharge(agreement=AGREEMENT.id, period="2026", totals=lost, budget=BUDGET)
        ledger.reconcile(by="A Reviewer", reason="from the receipt of round 'after'", lost=[item], now=LATER)
        assert ledger.totals(AGREEMENT.id, "2026")[0].epsilon == Fraction(3, 2)
        reserve(ledger, "last")
        with pytest.raises(BudgetExceeded):
            reserve(ledger, "over")
    with Ledger.open(path, ME) as again:
        assert again.totals(AGREEMENT.id, "2026")[0].epsilon == Fraction(3, 2)


def test_a_backup_never_replaces_a_ledger_that_is_there(path, tmp_path):
    backup = tmp_path / "backup.db"
    with Ledger.create(path, ME, NOW) as ledger:
        shutil.copyfile(path, backup)
        reserve(ledger, "a")
    with pytest.raises(FileProblem, match="already"):
        Ledger.restore(backup, path, ME, LATER)
    with Ledger.open(path, ME) as ledger:
        assert ledger.counter == 2


def test_a_damaged_backup_is_refused_and_leaves_nothing_behind(path, tmp_path):
    backup = tmp_path / "backup.db"
    Ledger.create(backup, ME, NOW).close()
    backup.write_bytes(backup.read_bytes()[:5000])
    with pytest.raises(FileProblem):
        Ledger.restore(backup, path, ME, LATER)
    assert not path.exists()


def test_another_councils_backup_is_refused(path, tmp_path):
    backup = tmp_path / "backup.db"
    Ledger.create(backup, PEERS[0], NOW).close()
    with pytest.raises(FileProblem, match="settings name council"):
        Ledger.restore(backup, path, ME, LATER)
    assert not path.exists()
