"""What a ledger's entries add up to: pure rules, no file, no clock.

Replaying the entries in order gives `LedgerState`. An entry that does not follow from those before it is refused by
the same code whether it is about to be written or is being verified.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeAlias

from federated.budget_statement import BudgetStatement, PeriodStatement
from federated.errors import FileProblem, PolicyRefusal
from federated.ledger_entries import (
    GENESIS,
    MAX_COUNTER,
    RECONCILED_VERSION,
    RESERVED_VERSION,
    Entry,
    EntryKind,
    LedgerRound,
    RoundState,
    make_entry,
    mark_of,
    read_lost,
    read_number,
    read_round,
    read_sid,
    read_texts,
)
from federated.ledger_inheritance import Inheritance, read_inherited
from federated.privacy import Budget, Totals
from federated.timestamps import time_text
from protocols.encoding import Json, canonical_json
from protocols.errors import LocalProtocolError, ProtocolError
from protocols.identifiers import DIGEST_SIZE, CouncilId, Digest, RoundId, council_id

__all__ = ["NO_TOTALS", "Exhaustion", "LedgerBroken", "LedgerState", "Row", "walk"]

NO_TOTALS: Final = Totals()
_NEWEST: Final = {EntryKind.RESERVED: RESERVED_VERSION, EntryKind.RECONCILED: RECONCILED_VERSION}
"""Newest version of a kind of entry, where it is not 1."""

Row: TypeAlias = tuple[object, object, object, object, object]
"""(counter, kind, body, previous, hash) as read from a file that may have been tampered with."""


class LedgerBroken(FileProblem):
    """The chain does not hold; the sentence names the first entry that is wrong."""

    code = "ledger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhaustion:
    """Why nothing may be charged until the reviewer has reconciled the ledger.

    Attributes:
        reason: In words.
        peers_saw: Highest counter of this council that any peer holds a signature of; 0 when none told.
    """

    reason: str
    peers_saw: int


class LedgerState:
    """What the entries so far add up to; only `apply` changes it, one entry at a time.

    Attributes:
        council: Whose ledger it is; empty before the first entry.
        counter: Number of the last entry.
        head: Hash of the last entry.
        rounds: Every round ever reserved.
        exhaustion: Set while nothing may be charged.
        advertised: `mark_of` each entry that reserved a round: all that adverts of this ledger have carried.
        accounted: Largest mark of what the reviewer has accounted for by reconciling; 0 for none.
        inherited: What the councils that this one took the place of had spent.
        closed: Nothing is charged any more: another council takes this one's place.
    """

    def __init__(self) -> None:
        """Start before the first entry."""
        self.council = CouncilId("")
        self.counter = 0
        self.head = GENESIS
        self.rounds: dict[RoundId, LedgerRound] = {}
        self.exhaustion: Exhaustion | None = None
        self.advertised: set[int] = set()
        self.accounted = 0
        self.inherited = Inheritance()
        self.closed = False
        self._reserved: dict[RoundId, LedgerRound] = {}
        self._spent: dict[tuple[str, str], Totals] = {}
        self._spent_class_2: dict[str, Totals] = {}
        self._sent: dict[Digest, int] = {}
        self._budgets: dict[tuple[str, str], Budget] = {}

    def reservations(self) -> tuple[LedgerRound, ...]:
        """Rounds reserved and neither spent nor released."""
        return tuple(self._reserved.values())

    def attempts(self, plan_digest: Digest) -> int:
        """Masked inputs sent, or still to be sent under a reservation, for one plan."""
        waiting = sum(1 for held in self._reserved.values() if held.plan_digest == plan_digest)
        return self._sent.get(plan_digest, 0) + waiting

    def begun(self, plan_digest: Digest) -> int:
        """Rounds of one plan that ever reserved a charge here, whatever became of it."""
        return sum(1 for found in self.rounds.values() if found.plan_digest == plan_digest)

    def spent(self, agreement: str, period: str) -> Totals:
        """Charges spent under one agreement in one period, with what was inherited."""
        own = self._spent.get((agreement, period), NO_TOTALS)
        return _joined(own, self.inherited.totals(agreement, period))

    def reserved(self, agreement: str, period: str) -> Totals:
        """Charges reserved under one agreement in one period."""
        held = [item for item in self._reserved.values() if (item.agreement.id, item.period) == (agreement, period)]
        return _sum(NO_TOTALS, held)

    def committed(self, period: str, agreement: str | None = None, *, besides: RoundId | None = None) -> Totals:
        """Spent and reserved together: under one agreement, or under all of them, in one period.

        Args:
            period: Calendar year.
            agreement: Which one; all of them when None.
            besides: A reserved round that is left out, so that its own charge can be checked once more.
        """
        total = NO_TOTALS
        for name, when in self._budgets:
            if when == period and agreement in {None, name}:
                total = _joined(total, self.spent(name, when))
        return _sum(total, [r for r in self._held(period, besides) if agreement in {None, r.agreement.id}])

    def committed_class_2(self, period: str, *, besides: RoundId | None = None) -> Totals:
        """The same, under all agreements, of questions that read class 2 columns, or of which that is not known."""
        # What predecessors read is not known here, so all of it counts as class 2.
        total = _joined(self._spent_class_2.get(period, NO_TOTALS), self.inherited.of_year(period))
        return _sum(total, [held for held in self._held(period, besides) if held.class_2])

    def _held(self, period: str, besides: RoundId | None) -> list[LedgerRound]:
        return [held for held in self._reserved.values() if held.period == period and held.sid != besides]

    def statement(self, now: datetime) -> BudgetStatement:
        """What the council may say about its budget: every (agreement, year) with anything charged or asked."""
        periods = [
            PeriodStatement(
                agreement=agreement,
                period=period,
                budget=budget,
                spent=self.spent(agreement, period),
                reserved=self.reserved(agreement, period),
                rounds=self._rounds_spent(agreement, period),
            )
            for (agreement, period), budget in sorted(self._budgets.items(), key=lambda item: item[0])
        ]
        return BudgetStatement(
            council=self.council,
            counter=self.counter,
            head=self.head,
            time=time_text(now),
            exhausted=self.exhaustion is not None,
            closed=self.closed,
            periods=tuple(periods),
        )

    def _rounds_spent(self, agreement: str, period: str) -> int:
        key = (agreement, period)
        return sum(1 for r in self.rounds.values() if r.state is RoundState.SPENT and (r.agreement.id, r.period) == key)

    def apply(self, entry: Entry) -> None:
        """Take the next entry.

        Raises:
            LedgerBroken: It does not follow from what stands before it; the state is unchanged.
        """
        self._check_link(entry)
        try:
            self._check_and_take(entry)
        except (KeyError, TypeError, ValueError, ProtocolError) as error:
            raise _broken(entry.counter, "its body is not what this kind of entry holds") from error
        self.counter, self.head = entry.counter, entry.hash
        if entry.kind is EntryKind.RESERVED:
            self.advertised.add(mark_of(entry.counter, entry.hash))

    def _check_link(self, entry: Entry) -> None:
        if entry.previous != self.head:
            raise _broken(entry.counter, "it does not follow the entry before it")
        expected = make_entry(entry.counter, entry.kind, entry.body, entry.previous)
        if entry.hash != expected.hash:
            raise _broken(entry.counter, "its content does not fit its hash")
        # Reconciling alone may skip numbers: it goes past every counter a peer has seen signed.
        steps_on = entry.counter > self.counter if entry.kind is EntryKind.RECONCILED else False
        if not (steps_on or entry.counter == self.counter + 1) or entry.counter > MAX_COUNTER:
            raise _broken(entry.counter, f"number {self.counter + 1} was expected")
        if (entry.kind is EntryKind.OPENED) != (self.counter == 0):
            raise _broken(entry.counter, "a ledger is opened once, by its first entry")

    def _check_and_take(self, entry: Entry) -> None:
        body = dict(entry.body)
        version = read_number(body.pop("version"))
        if not 1 <= version <= _NEWEST.get(entry.kind, 1) or not isinstance(body.pop("time"), str):
            raise ValueError
        match entry.kind:
            case EntryKind.OPENED:
                self.council = council_id(read_texts(body, "council")[0])
            case EntryKind.RESERVED:
                self._reserve(read_round(body, entry.counter, version=version))
            case EntryKind.SPENT:
                self._settle(read_sid(body), RoundState.SPENT, entry.counter)
            case EntryKind.RELEASED:
                read_texts(body, "sid", "reason")
                self._settle(read_sid({"sid": body["sid"]}), RoundState.RELEASED, entry.counter)
            case EntryKind.EXHAUSTED:
                self._exhaust(read_number(body.pop("peers_saw")), *read_texts(body, "reason"))
            case EntryKind.RECONCILED:
                self._reconcile(body, entry.counter, version)
            case EntryKind.INHERITED:
                self._inherit(body, entry.counter)
            case EntryKind.CLOSED:
                read_texts(body, "by")
                self._close(entry.counter)

    def _reserve(self, reserved: LedgerRound) -> None:
        if reserved.sid in self.rounds:
            raise _broken(reserved.counter, "its round was reserved before")
        if self.exhaustion is not None:
            raise _broken(reserved.counter, "the ledger was exhausted")
        if self.closed:
            raise _broken(reserved.counter, "the ledger was closed")
        self.rounds[reserved.sid] = self._reserved[reserved.sid] = reserved
        self._budgets[reserved.agreement.id, reserved.period] = reserved.budget

    def _settle(self, sid: RoundId, state: RoundState, counter: int) -> None:
        if sid not in self._reserved:
            raise _broken(counter, f"its round was not reserved, so it cannot be {state.value}")
        settled = replace(self._reserved.pop(sid), state=state)
        self.rounds[sid] = settled
        if state is RoundState.SPENT:
            key = (settled.agreement.id, settled.period)
            self._spent[key] = self._spent.get(key, NO_TOTALS).plus(settled.charge)
            if settled.class_2:
                before = self._spent_class_2.get(settled.period, NO_TOTALS)
                self._spent_class_2[settled.period] = before.plus(settled.charge)
            self._sent[settled.plan_digest] = self._sent.get(settled.plan_digest, 0) + 1

    def _exhaust(self, peers_saw: int, reason: str) -> None:
        before = 0 if self.exhaustion is None else self.exhaustion.peers_saw
        self.exhaustion = Exhaustion(reason=reason, peers_saw=max(before, peers_saw))

    def _reconcile(self, body: dict[str, Json], counter: int, version: int) -> None:
        if self.exhaustion is None:
            raise _broken(counter, "there was nothing to reconcile")
        lost = body.pop("lost")
        # Not its own number: a lost entry may have had that one, and nobody has accounted for what that charged.
        accounted = counter if version == 1 else read_number(body.pop("accounted"))
        if not isinstance(lost, list) or accounted > counter:
            raise TypeError
        read_texts(body, "by", "reason")
        for item in [read_lost(dict(entry)) for entry in lost]:
            key = (item.agreement, item.period)
            self._spent[key] = _joined(self._spent.get(key, NO_TOTALS), item.totals)
            # What was read for lost charges is not known, so all of it counts as class 2.
            before = self._spent_class_2.get(item.period, NO_TOTALS)
            self._spent_class_2[item.period] = _joined(before, item.totals)
            self._budgets.setdefault(key, item.budget)
        self.exhaustion = None
        self.accounted = max(self.accounted, mark_of(accounted, b"\xff" * DIGEST_SIZE))

    def _inherit(self, body: dict[str, Json], counter: int) -> None:
        found = read_inherited(body)
        if self.council in {item.council for item in found}:
            raise _broken(counter, "a council does not inherit from itself")
        try:
            self.inherited.take(found)
        except PolicyRefusal as refused:
            raise _broken(counter, "it takes back what was inherited before") from refused
        for key, budget in self.inherited.budgets().items():
            self._budgets.setdefault(key, budget)

    def _close(self, counter: int) -> None:
        if self.closed or self._reserved:
            raise _broken(counter, "a ledger is closed once, and with nothing reserved")
        self.closed = True


def _joined(one: Totals, other: Totals) -> Totals:
    pure = None if one.epsilon is None or other.epsilon is None else one.epsilon + other.epsilon
    return Totals(epsilon=pure, rho=one.rho + other.rho, draws=one.draws + other.draws)


def _sum(start: Totals, rounds: Iterable[LedgerRound]) -> Totals:
    for item in rounds:
        start = start.plus(item.charge)
    return start


def walk(rows: Iterable[Row], each: Callable[[Entry], None] | None = None) -> LedgerState:
    """Replay stored rows from the first, and hand each verified entry to `each`.

    Raises:
        LedgerBroken: Names the first entry that is wrong.
    """
    state = LedgerState()
    for row in rows:
        entry = _entry(row, state.counter + 1)
        state.apply(entry)
        if each is not None:
            each(entry)
    if state.counter == 0:
        raise LedgerBroken("The ledger holds no entry.", remedy="Restore it from a backup.")
    return state


def _entry(row: Row, expected: int) -> Entry:
    counter, kind, body, previous, stored = row
    if not isinstance(counter, int) or not 0 < counter <= MAX_COUNTER:
        raise _broken(expected, "it has no number")
    try:
        content = json.loads(str(body))
        parsed = EntryKind(str(kind))
        canonical = canonical_json(content).decode("ascii")
    except (ValueError, RecursionError, LocalProtocolError) as error:
        raise _broken(counter, "it cannot be read") from error
    # The hash covers canonical bytes: another spelling of the same body is a change too.
    if not isinstance(content, dict) or canonical != body:
        raise _broken(counter, "it is not spelt as it was written")
    if not (isinstance(previous, bytes) and isinstance(stored, bytes)):
        raise _broken(counter, "it has no hash")
    return Entry(counter=counter, kind=parsed, body=content, previous=Digest(previous), hash=Digest(stored))


def _broken(counter: int, why: str) -> LedgerBroken:
    return LedgerBroken(
        f"Entry {counter} of the ledger is not as it was written: {why}.",
        remedy="Ask no more of this ledger: restore it from a backup, and tell your privacy reviewer.",
    )
