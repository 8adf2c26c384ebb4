"""What a lost ledger had charged is written back from the council's own last statement: once, or twice, never less."""

import shutil
from fractions import Fraction

import pytest

from council_node.ledger import Ledger
from council_node.lost_charges import lost_charges, open_last_statement, write_back_lost
from federated.budget_statement import STATEMENT_KIND
from federated.errors import FileProblem, PolicyRefusal, SignatureProblem
from federated.keys import make_key
from federated.ledger_entries import LostCharge, mark_of
from federated.ledger_inheritance import Predecessor
from federated.privacy import Totals
from federated.signing import sign_statement
from federated.timestamps import time_text
from tests.integration.coordinator_federation import seeded
from tests.unit.council_node.ledger_cases import (
    AGREEMENT,
    BUDGET,
    GAUSSIAN,
    LATER,
    ME,
    NOW,
    PEERS,
    Claim,
    digest_of,
    reserve,
    sid_of,
)

KEY, STRANGER = make_key(seeded(1)), make_key(seeded(2))


def charge(ledger, *names, **changes):
    for name in names:
        reserve(ledger, name, **changes)
        ledger.spend(sid_of(name), NOW)


def spent(ledger):
    return ledger.totals(AGREEMENT.id, "2026")[0]


def write_back(ledger, statement):
    found = lost_charges(statement, ledger)
    return ledger.write_back(found, seen=statement.counter, by="A Reviewer", reason="lost", now=LATER)


@pytest.fixture
def lost(tmp_path):
    """The statement of a ledger that was lost after two charges, and a copy of it from after the first."""
    path, copy = tmp_path / "lost.db", tmp_path / "copy.db"
    with Ledger.create(path, ME, NOW) as ledger:
        charge(ledger, "a")
        shutil.copyfile(path, copy)
        charge(ledger, "b")
        return ledger.statement(LATER), copy


@pytest.fixture
def restored(tmp_path, lost):
    with Ledger.restore(lost[1], tmp_path / "ledger.db", ME, LATER) as ledger:
        yield ledger


@pytest.fixture
def fresh(tmp_path):
    with Ledger.create(tmp_path / "ledger.db", ME, LATER) as ledger:
        yield ledger


def test_a_copy_that_was_put_back_counts_each_charge_once(lost, restored):
    assert spent(restored).epsilon == Fraction(1, 2)
    entry = write_back(restored, lost[0])
    assert spent(restored).epsilon == 1
    assert restored.exhausted is None
    assert entry.counter > lost[0].counter
    restored.verify()


def test_a_new_ledger_takes_the_whole_statement_on_top_of_its_own(lost, fresh):
    charge(fresh, "new")
    write_back(fresh, lost[0])
    assert spent(fresh).epsilon == Fraction(3, 2)
    assert fresh.exhausted is None


def test_a_copy_to_which_something_was_charged_since_takes_the_whole_statement(lost, restored):
    restored.reconcile(by="A Reviewer", reason="too early", now=LATER)
    charge(restored, "c")
    write_back(restored, lost[0])
    assert spent(restored).epsilon == 2  # a, c, and a and b once more: too much, never too little


def test_what_was_not_pure_stays_so(tmp_path, fresh):
    with Ledger.create(tmp_path / "lost.db", ME, NOW) as ledger:
        charge(ledger, "a", charge=GAUSSIAN)
        statement = ledger.statement(LATER)
    write_back(fresh, statement)
    assert (spent(fresh).epsilon, spent(fresh).rho) == (None, GAUSSIAN.rho)


def test_a_reservation_of_the_lost_ledger_counts(tmp_path, fresh):
    with Ledger.create(tmp_path / "lost.db", ME, NOW) as ledger:
        reserve(ledger, "under way")
        statement = ledger.statement(LATER)
    write_back(fresh, statement)
    assert spent(fresh).epsilon == Fraction(1, 2)


@pytest.mark.parametrize("begun_anew", [True, False])
@pytest.mark.parametrize("lost_since", [["c"], ["c", "d"]])
def test_a_charge_after_the_statement_is_found_out_by_the_next_round(tmp_path, begun_anew, lost_since):
    """Rounds reserved side by side too: peers have seen the last advert, the number that writing back takes or more."""
    with Ledger.create(tmp_path / "lost.db", ME, NOW) as ledger:
        shutil.copyfile(tmp_path / "lost.db", tmp_path / "copy.db")
        charge(ledger, "a", "b")
        statement = ledger.statement(LATER)
        adverts = [reserve(ledger, name) for name in lost_since]
        for name in lost_since:
            ledger.spend(sid_of(name), LATER)
    place = tmp_path / "ledger.db"
    with (
        Ledger.create(place, ME, LATER)
        if begun_anew
        else Ledger.restore(tmp_path / "copy.db", place, ME, LATER) as ledger
    ):
        write_back(ledger, statement)
        assert spent(ledger).epsilon == 1
        seen = mark_of(adverts[-1].counter, adverts[-1].hash)
        own = reserve(ledger, "next")
        claims = {ME: Claim(own.counter, (0, 0), own.hash), PEERS[0]: Claim(4, (seen, 0))}
        with pytest.raises(PolicyRefusal) as refused:
            ledger.check_claims(claims, (ME, PEERS[0]), LATER)
        assert refused.value.rule == "ledger_rollback"
        assert ledger.peers_saw == adverts[-1].counter


def test_what_was_inherited_since_is_not_set_off_against_what_was_lost(lost, restored):
    year = Totals(epsilon=Fraction(3, 10), rho=Fraction(1, 100), draws=1)
    other = LostCharge(agreement=AGREEMENT.id, period="2026", totals=year, budget=BUDGET)
    head = digest_of("head")
    before = Predecessor(council=PEERS[1], counter=7, head=head, time=time_text(NOW), charges=(other,))
    restored.inherit([before], by="A Reviewer", roster=digest_of("roster"), now=LATER)
    write_back(restored, lost[0])
    # a from the copy, a and b once more, and what was inherited: too much, never too little.
    assert restored.committed(AGREEMENT.id, "2026").epsilon == Fraction(3, 2) + Fraction(3, 10)


def test_a_statement_from_before_the_copy_is_refused(tmp_path):
    path = tmp_path / "lost.db"
    with Ledger.create(path, ME, NOW) as ledger:
        charge(ledger, "a")
        statement = ledger.statement(LATER)
        charge(ledger, "b")
        copy = tmp_path / "copy.db"
        shutil.copyfile(path, copy)
    with Ledger.restore(copy, tmp_path / "ledger.db", ME, LATER) as ledger, pytest.raises(PolicyRefusal) as refused:
        write_back(ledger, statement)
    assert refused.value.rule == "ledger_rollback"


def test_a_statement_from_before_what_another_council_saw_is_refused(lost, fresh):
    fresh._exhaust(f"council {PEERS[0]} has seen an entry", lost[0].counter + 1, LATER)
    with pytest.raises(PolicyRefusal) as refused:
        write_back(fresh, lost[0])
    assert refused.value.rule == "ledger_rollback"
    assert fresh.exhausted is not None


def test_a_ledger_begun_anew_stands_in_its_place_with_its_charges_or_not_at_all(lost, tmp_path, monkeypatch):
    path, said = tmp_path / "ledger.db", {"by": "A Reviewer", "reason": "lost", "now": LATER}

    def failing(*_, **__):
        raise OSError("the power went")

    with monkeypatch.context() as broken:
        broken.setattr(Ledger, "write_back", failing)
        with pytest.raises(OSError, match="the power went"):
            write_back_lost(path, ME, lost[0], **said)
    assert not path.exists()
    write_back_lost(path, ME, lost[0], **said)
    with Ledger.open(path, ME) as ledger:
        assert (spent(ledger).epsilon, ledger.exhausted) == (1, None)


def signed(statement, key=KEY):
    return sign_statement(STATEMENT_KIND, statement.canonical(), key)


def test_only_the_councils_own_sound_statement_is_taken(lost, restored):
    statement = lost[0]
    assert open_last_statement(signed(statement), council=ME, key=KEY.public) == statement
    with pytest.raises(SignatureProblem):
        open_last_statement(signed(statement, STRANGER), council=ME, key=KEY.public)
    with pytest.raises(FileProblem):
        open_last_statement(signed(statement), council=PEERS[0], key=KEY.public)
    with pytest.raises(PolicyRefusal) as refused:
        open_last_statement(signed(restored.statement(LATER)), council=ME, key=KEY.public)
    assert refused.value.rule == "ledger_exhausted"
