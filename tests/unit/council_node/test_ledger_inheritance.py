"""A successor starts with the largest spend of its predecessors, whatever somebody hands it instead."""

import base64
import json
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest

from council_node.inheritance import check_inherited, read_predecessors
from council_node.ledger import Ledger
from federated.budget_statement import STATEMENT_KIND, check_succession, read_statement
from federated.errors import BudgetExceeded, FileProblem, PolicyRefusal, SignatureProblem
from federated.keys import make_key
from federated.ledger_chain import LedgerBroken, LedgerState
from federated.ledger_copy import read_ledger_file
from federated.ledger_entries import EntryKind, make_entry, mark_of, stamped
from federated.ledger_inheritance import inheriting_body, predecessor_of
from federated.privacy import Totals
from federated.roster import Coordinator, RosterEntry, parse_roster, roster_payload
from federated.signing import sign_statement
from protocols.encoding import canonical_json
from protocols.identifiers import CouncilId
from tests.unit.council_node.ledger_cases import (
    AGREEMENT,
    BUDGET,
    GAUSSIAN,
    OTHER_AGREEMENT,
    PURE,
    digest_of,
    reserve,
    sid_of,
)

WEST, EAST, NEW, STRANGER = (CouncilId(f"E0700000{number}") for number in (1, 2, 3, 4))
KEYS = {name: make_key(random.Random(name).randbytes) for name in (WEST, EAST, NEW, STRANGER)}
BEFORE = datetime(2026, 2, 1, 9, tzinfo=UTC)
LAST_DAY = date(2026, 3, 31)
AFTER = datetime(2026, 4, 1, 9, tzinfo=UTC)


def entry(name, *, start=date(2026, 1, 1), end=date(2026, 12, 31), succeeds=()):
    return RosterEntry(
        id=name,
        name=f"Council {name}",
        region="E12000001",
        public_key=KEYS[name].public,
        valid_from=start,
        valid_to=end,
        succeeds=succeeds,
    )


def listed(*entries):
    coordinator = Coordinator(id="hub", name="Hub", public_key=make_key(random.Random(9).randbytes).public)
    payload = roster_payload(
        epoch=2,
        not_before=date(2026, 3, 1),
        not_after=date(2026, 5, 1),
        coordinator=coordinator,
        councils=entries,
    )
    return parse_roster(payload)


ROSTER = listed(
    entry(WEST, end=LAST_DAY),
    entry(EAST, end=LAST_DAY),
    entry(NEW, start=date(2026, 4, 1), succeeds=(WEST, EAST)),
    entry(STRANGER),
)


@pytest.fixture
def ledgers(tmp_path):
    """West spent one pure question, East a Gaussian one and, under another agreement, two pure ones."""
    opened = {name: Ledger.create(tmp_path / f"{name}.db", name, BEFORE) for name in KEYS}
    charge(opened[WEST], "west")
    charge(opened[EAST], "east", charge=GAUSSIAN)
    charge(opened[EAST], "east again", agreement=OTHER_AGREEMENT)
    charge(opened[EAST], "east still", agreement=OTHER_AGREEMENT)
    yield opened
    for ledger in opened.values():
        ledger.close()


def charge(ledger, name, **changes):
    reserve(ledger, name, **changes)
    ledger.spend(sid_of(name), BEFORE)


def signed(ledger, *, now=AFTER, key=None, **changes):
    statement = replace(ledger.statement(now), **({"closed": True} | changes))
    return sign_statement(STATEMENT_KIND, statement.canonical(), key or KEYS[ledger.council])


def opened(*envelopes, roster=ROSTER, inherited=frozenset(), now=AFTER):
    return read_predecessors(envelopes, roster, NEW, inherited=inherited, now=now)


def inherit(ledger, *envelopes):
    found = opened(*envelopes, inherited=ledger.inherited_from())
    return ledger.inherit(found, by="A Person", roster=ROSTER.digest, now=AFTER)


@pytest.fixture
def both(ledgers):
    return signed(ledgers[WEST]), signed(ledgers[EAST])


def test_the_largest_of_each_part_is_inherited_and_not_the_sum(ledgers, both):
    new = ledgers[NEW]
    inherit(new, *both)
    pilot = new.committed(AGREEMENT.id, "2026")
    # East's Gaussian charge has no pure epsilon, West's rho is the larger one.
    assert pilot == Totals(epsilon=None, rho=PURE.rho, draws=PURE.draws)
    assert new.committed(OTHER_AGREEMENT.id, "2026") == Totals(epsilon=Fraction(1), rho=Fraction(1, 4), draws=200)
    # What predecessors read is not known to their successor, so all of it counts as class 2.
    assert new.committed_in("2026", class_2=True) == new.committed_in("2026")
    assert new.inherited_from() == {WEST, EAST}
    new.verify()


def test_the_next_charge_is_checked_on_top_of_it(ledgers, both):
    new = ledgers[NEW]
    inherit(new, *both)
    with pytest.raises(BudgetExceeded):
        charge(new, "too much")  # West's 0.125 of rho and this one are more than epsilon 2 covers
    charge(new, "own", charge=GAUSSIAN, budget=replace(BUDGET, epsilon=Fraction(3)))
    assert new.committed(AGREEMENT.id, "2026").rho == PURE.rho + GAUSSIAN.rho
    charge(new, "third", agreement=OTHER_AGREEMENT)
    charge(new, "fourth", agreement=OTHER_AGREEMENT)
    with pytest.raises(BudgetExceeded):
        charge(new, "fifth", agreement=OTHER_AGREEMENT)


def test_a_reservation_that_was_never_settled_counts_as_spent(ledgers):
    reserve(ledgers[WEST], "open")
    inherit(ledgers[NEW], signed(ledgers[WEST]), signed(ledgers[EAST]))
    assert ledgers[NEW].committed(AGREEMENT.id, "2026").rho == 2 * PURE.rho


def test_it_survives_closing_and_stands_in_the_statement(ledgers, both, tmp_path):
    inherit(ledgers[NEW], *both)
    statement = ledgers[NEW].statement(AFTER)
    assert read_statement(canonical_json(statement.canonical()), council=NEW) == statement
    ledgers[NEW].close()
    with Ledger.open(tmp_path / f"{NEW}.db", NEW) as again:
        assert again.statement(AFTER) == statement
    assert read_ledger_file(tmp_path / f"{NEW}.db").state.statement(AFTER) == statement
    assert {(p.agreement, p.spent) for p in statement.periods} == {
        (AGREEMENT.id, Totals(epsilon=None, rho=PURE.rho, draws=PURE.draws)),
        (OTHER_AGREEMENT.id, Totals(epsilon=Fraction(1), rho=Fraction(1, 4), draws=200)),
    }


# What somebody could hand in instead


def test_a_forged_statement_is_refused(ledgers):
    forged = signed(ledgers[WEST], key=make_key(random.Random(66).randbytes))
    with pytest.raises(SignatureProblem, match="0 of the 1 trusted signatures"):
        opened(forged, signed(ledgers[EAST]))


def test_a_statement_altered_to_say_less_is_refused(ledgers, both):
    document = json.loads(both[0])
    content = base64.b64decode(document["payload"])
    assert b'"rho":"1/8"' in content
    document["payload"] = base64.b64encode(content.replace(b'"rho":"1/8"', b'"rho":"1/9"')).decode()
    with pytest.raises(SignatureProblem, match="signature in this file is wrong"):
        opened(json.dumps(document).encode(), both[1])


def test_a_statement_of_a_council_that_is_no_predecessor_is_refused(ledgers, both):
    with pytest.raises(SignatureProblem, match="E07000004, whose place E07000003 did not take"):
        opened(signed(ledgers[STRANGER]), *both)


def test_one_predecessor_speaking_for_another_is_refused(ledgers, both):
    with pytest.raises(FileProblem, match="speaks of council E07000002, but E07000001 signed it"):
        opened(signed(ledgers[EAST], key=KEYS[WEST]), both[1])


def test_a_predecessor_left_out_is_noticed(ledgers, both):
    with pytest.raises(FileProblem, match="No statement was given of E07000002"):
        opened(both[0])


def test_one_given_twice_is_noticed(both):
    with pytest.raises(FileProblem, match="of one council"):
        opened(both[0], both[0], both[1])


@pytest.mark.parametrize("day", [BEFORE, AFTER - timedelta(days=1), AFTER + timedelta(days=1)])
def test_a_statement_after_which_a_charge_could_follow_is_refused(ledgers, day):
    with pytest.raises(PolicyRefusal, match="could be charged until 2026-03-31") as refused:
        opened(signed(ledgers[WEST], now=day), signed(ledgers[EAST]))
    assert refused.value.rule == "ledger_rollback"


def test_a_statement_of_a_ledger_that_goes_on_is_refused(ledgers, both):
    """A node learns its last day from the coordinator alone, which may tell its successor and not itself."""
    with pytest.raises(PolicyRefusal, match="was not closed when it signed this") as refused:
        opened(signed(ledgers[WEST], closed=False), both[1])
    assert refused.value.rule == "inheritance"


def test_a_closed_ledger_charges_nothing_ever_again_and_says_so(ledgers, tmp_path):
    west = ledgers[WEST]
    reserve(west, "left open by a crash")
    assert west.statement(AFTER).canonical()["version"] == 1
    west.close_for_good(by="A Person", now=AFTER)
    last = west.statement(AFTER)
    assert last.closed
    assert not any(period.reserved.draws for period in last.periods)
    assert len(opened(sign_statement(STATEMENT_KIND, last.canonical(), KEYS[WEST]), signed(ledgers[EAST]))) == 2
    west.close()
    with Ledger.open(tmp_path / f"{WEST}.db", WEST) as again:
        for attempt in (lambda: charge(again, "one more"), lambda: reserve(again, "another")):
            with pytest.raises(PolicyRefusal) as refused:
                attempt()
            assert refused.value.rule == "ledger_closed"
        with pytest.raises(FileProblem, match="closed already"):
            again.close_for_good(by="A Person", now=AFTER)
        assert again.statement(AFTER).closed
        again.verify()


def test_a_ledger_that_may_lack_charges_is_not_closed(ledgers):
    ledgers[WEST].mark_exhausted("put back from a backup", AFTER)
    with pytest.raises(PolicyRefusal) as refused:
        ledgers[WEST].close_for_good(by="A Person", now=AFTER)
    assert refused.value.rule == "ledger_exhausted"


@pytest.mark.parametrize("kinds", [("closed", "closed"), ("reserved", "closed"), ("closed", "reserved")])
def test_a_chain_that_goes_on_after_it_was_closed_does_not_hold(ledgers, kinds):
    state = LedgerState()
    for known in ledgers[WEST].entries():
        state.apply(known)
    bodies = {"closed": stamped(AFTER, {"by": "A Person"}), "reserved": reserve(ledgers[WEST], "late").body}
    first, second = kinds
    state.apply(make_entry(state.counter + 1, EntryKind(first), bodies[first], state.head))
    with pytest.raises(LedgerBroken, match="closed"):
        state.apply(make_entry(state.counter + 1, EntryKind(second), bodies[second], state.head))


@pytest.mark.parametrize("change", [{"version": 1}, {"closed": False}, {"closed": None}, {"version": 3}])
def test_the_last_word_is_of_its_own_version(ledgers, change):
    body = replace(ledgers[WEST].statement(AFTER), closed=True).canonical()
    assert read_statement(canonical_json(body), council=WEST).closed
    with pytest.raises(FileProblem):
        read_statement(canonical_json({**body, **change}), council=WEST)


def test_a_statement_of_a_ledger_that_may_lack_charges_is_refused(ledgers, both, tmp_path):
    """Put back from a backup, a predecessor's ledger would hand on less than was spent."""
    backup = tmp_path / "backup.db"
    ledgers[WEST].close()
    (tmp_path / f"{WEST}.db").rename(backup)
    with Ledger.restore(backup, tmp_path / f"{WEST}.db", WEST, AFTER) as restored:
        with pytest.raises(PolicyRefusal, match="not in good standing") as refused:
            opened(signed(restored), both[1])
        assert refused.value.rule == "ledger_exhausted"
        restored.reconcile(by="A Person", reason="Nothing was asked since", now=AFTER)
        assert len(opened(signed(restored), both[1])) == 2


def test_what_the_predecessor_of_a_predecessor_spent_is_not_forgotten(ledgers, both):
    """One that took its place and never inherited would sign, truly, that it spent nothing."""
    roster = listed(
        entry(WEST, end=date(2026, 2, 15)),
        entry(EAST, start=date(2026, 2, 16), end=LAST_DAY, succeeds=(WEST,)),
        entry(NEW, start=date(2026, 4, 1), succeeds=(EAST,)),
    )
    with pytest.raises(FileProblem, match="No statement was given of E07000001"):
        opened(both[1], roster=roster)
    with pytest.raises(PolicyRefusal, match="E07000001"):
        check_inherited(frozenset({EAST}), roster, NEW)
    assert {item.council for item in opened(*both, roster=roster)} == {WEST, EAST}
    check_inherited(frozenset({WEST, EAST}), roster, NEW)


def test_what_was_spent_in_an_earlier_year_needs_no_statement_of_its_own(ledgers, both):
    roster = listed(
        entry(WEST, start=date(2025, 1, 1), end=date(2025, 12, 31)),
        entry(EAST, end=LAST_DAY, succeeds=(WEST,)),
        entry(NEW, start=date(2026, 4, 1), succeeds=(EAST,)),
    )
    assert [item.council for item in opened(both[1], roster=roster)] == [EAST]
    check_inherited(frozenset({EAST}), roster, NEW)


def test_a_statement_older_than_what_this_council_has_seen_signed_is_refused(ledgers, both):
    new, west = ledgers[NEW], ledgers[WEST]
    new.note_peer(WEST, mark_of(west.counter + 1, digest_of("a later entry")))
    with pytest.raises(PolicyRefusal, match="has seen entry 4 signed"):
        inherit(new, *both)
    assert new.inherited_from() == frozenset()


def test_another_past_of_the_same_length_is_refused(ledgers, both):
    new, west = ledgers[NEW], ledgers[WEST]
    new.note_peer(WEST, mark_of(west.counter, west.head))
    with pytest.raises(PolicyRefusal, match="has seen entry 3 signed"):
        inherit(new, signed(west, head=digest_of("rewritten")), both[1])
    inherit(new, *both)


def test_inheriting_twice_changes_nothing_and_a_later_statement_only_raises(ledgers, both):
    new = ledgers[NEW]
    inherit(new, *both)
    before = new.committed_in("2026")
    with pytest.raises(FileProblem, match="inherited all of it before"):
        inherit(new, *both)
    assert new.committed_in("2026") == before
    charge(ledgers[WEST], "found later", charge=replace(PURE, rho=Fraction(1)))
    inherit(new, signed(ledgers[WEST]))
    assert new.committed(AGREEMENT.id, "2026").rho == PURE.rho + 1
    with pytest.raises(PolicyRefusal, match="shows less than what was inherited"):
        inherit(new, both[0])
    assert new.committed(AGREEMENT.id, "2026").rho == PURE.rho + 1


def test_a_longer_ledger_with_less_in_it_is_refused(ledgers, both):
    new = ledgers[NEW]
    inherit(new, *both)
    understated = signed(ledgers[WEST], counter=99, head=digest_of("99"), periods=())
    with pytest.raises(PolicyRefusal, match="shows less"):
        inherit(new, understated)


def test_after_a_charge_it_still_only_raises(ledgers, both):
    new = ledgers[NEW]
    charge(new, "own")
    earlier = new.statement(AFTER)
    inherit(new, *both)
    assert new.committed(AGREEMENT.id, "2026").rho == 2 * PURE.rho
    check_succession(earlier, new.statement(AFTER))


# The chain refuses it too, whoever wrote it


def state_with(*bodies):
    state = LedgerState()
    state.apply(make_entry(1, EntryKind.OPENED, stamped(BEFORE, {"council": NEW}), state.head))
    for body in bodies:
        state.apply(make_entry(state.counter + 1, EntryKind.INHERITED, stamped(AFTER, body), state.head))
    return state


def test_the_chain_refuses_an_entry_that_takes_back_what_was_inherited(ledgers):
    full = predecessor_of(ledgers[WEST].statement(AFTER))
    less = replace(full, counter=99, charges=())
    bodies = [inheriting_body([item], by="A Person", roster=ROSTER.digest) for item in (full, less)]
    assert state_with(bodies[0]).committed("2026").rho == PURE.rho
    with pytest.raises(LedgerBroken, match="takes back what was inherited"):
        state_with(*bodies)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: {**body, "from": []},
        lambda body: {**body, "from": body["from"] * 2},
        lambda body: {**body, "from": "all"},
        lambda body: {**body, "roster": "00"},
        lambda body: {**body, "more": "1"},
        lambda body: {**body, "from": [{**body["from"][0], "council": NEW}]},
        lambda body: {**body, "from": [{**body["from"][0], "charges": [{}]}]},
        lambda body: {**body, "from": [{**body["from"][0], "head": "zz"}]},
    ],
)
def test_the_chain_refuses_what_is_no_such_entry(ledgers, change):
    body = inheriting_body([predecessor_of(ledgers[WEST].statement(AFTER))], by="A Person", roster=ROSTER.digest)
    with pytest.raises(LedgerBroken):
        state_with(change(body))


# And the node takes no charge before


def test_a_successor_takes_no_charge_until_it_has_inherited(ledgers, both):
    with pytest.raises(PolicyRefusal, match="E07000001, E07000002") as refused:
        check_inherited(frozenset(), ROSTER, NEW)
    assert refused.value.rule == "inheritance"
    with pytest.raises(PolicyRefusal):
        check_inherited(frozenset({WEST}), ROSTER, NEW)
    inherit(ledgers[NEW], *both)
    check_inherited(ledgers[NEW].inherited_from(), ROSTER, NEW)
    check_inherited(frozenset(), ROSTER, STRANGER)


def test_without_predecessors_there_is_nothing_to_inherit(both):
    with pytest.raises(FileProblem, match="names no council whose place"):
        opened(*both, roster=listed(entry(NEW), entry(WEST), entry(EAST)))
