import shutil
from fractions import Fraction

import pytest

from council_node.ledger import Ledger
from council_node.ledger_entries import MAX_COUNTER, LostCharge
from federated.errors import BudgetExceeded, FileProblem, PolicyRefusal
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


def claims(mine, first, second):
    return {ME: Claim(mine, (99, 0, 0)), PEERS[0]: Claim(4, (first, 4, 0)), PEERS[1]: Claim(7, (second, 0, 7))}


def test_peers_counters_are_kept_at_their_highest(path, ledger):
    ledger.note_peer(PEERS[0], 5)
    ledger.note_peer(PEERS[0], 3)
    assert ledger.seen(ELIGIBLE) == (1, 5, 0)
    assert ledger.seen((PEERS[1], PEERS[0])) == (0, 5)
    ledger.close()
    with Ledger.open(path, ME) as again:
        assert again.seen(ELIGIBLE) == (1, 5, 0)


def test_claims_that_know_no_more_than_we_do_pass_and_are_remembered(ledger):
    reserve(ledger, "a")
    ledger.check_claims(claims(2, 2, 1), ELIGIBLE, NOW)
    assert ledger.exhausted is None
    assert ledger.seen(ELIGIBLE) == (2, 4, 7)


def test_a_peer_that_has_seen_a_later_entry_stops_the_ledger(path, ledger):
    reserve(ledger, "a")
    with refusal("ledger_rollback"):
        ledger.check_claims(claims(2, 2, 3), ELIGIBLE, NOW)
    assert "E06000003 has seen entry 3" in ledger.exhausted
    with refusal("ledger_exhausted"):
        ledger.spend(sid_of("a"), NOW)
    with refusal("ledger_exhausted"):
        reserve(ledger, "b")
    ledger.release(sid_of("a"), "the ledger is exhausted", NOW)
    ledger.close()
    with Ledger.open(path, ME) as again, refusal("ledger_exhausted"):
        reserve(again, "b")


def test_reconciling_goes_past_what_peers_have_seen(ledger):
    with refusal("ledger_rollback"):
        ledger.check_claims(claims(1, 40, 3), ELIGIBLE, NOW)
    with refusal("ledger_rollback"):
        ledger.check_claims(claims(1, 12, 3), ELIGIBLE, NOW)
    ledger.reconcile(by="A Reviewer", reason="restored after a disk failure", now=LATER)
    assert ledger.counter == 41
    ledger.check_claims(claims(41, 40, 3), ELIGIBLE, LATER)
    reserve(ledger, "b")
    ledger.verify()


def test_an_impossible_claim_needs_a_person_to_name_the_number(ledger):
    with refusal("ledger_rollback"):
        ledger.check_claims(claims(1, MAX_COUNTER * 4, 0), ELIGIBLE, NOW)
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
