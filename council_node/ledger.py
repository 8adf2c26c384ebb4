"""Step 3 of 8, the durable half: what every question has cost this council's residents, and what is left.

A charge is reserved before this council's first message of a round and spent before the question's data is read;
both are on the disk before the method returns, so a process killed at any instant never loses one. Entries are only
ever added, each linked to the one before by its hash (`federated.ledger_chain`); the file refuses changes by
itself. What cannot be known counts against us: a spent charge is never given back.

The ledger is the council's own. Nobody outside can reset it, and a copy put back from a backup is found out by the
counters that the other councils have seen signed.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final, Protocol

from council_node.ledger_book import LedgerBook
from federated.errors import BudgetExceeded, FileProblem, InternalError, PolicyRefusal
from federated.ledger_entries import (
    MARK_BITS,
    MAX_COUNTER,
    RECONCILED_VERSION,
    AgreementRef,
    Entry,
    EntryKind,
    LedgerRound,
    LostCharge,
    RoundState,
    mark_of,
    period_of,
    stamped,
)
from federated.ledger_inheritance import Predecessor, check_only_raises, inheriting_body
from federated.privacy import Budget, Charge, Totals, check_budget
from protocols.encoding import Json
from protocols.identifiers import CouncilId, Digest, RoundId

__all__ = ["FREE_ROUNDS", "Ledger", "LedgerClaimLike", "SignedAgreement", "period_of"]

FREE_ROUNDS: Final = 100
"""Rounds of one plan that may begin and end here without a charge; an honest coordinator begins a few."""


class SignedAgreement(Protocol):
    """What the ledger needs of an agreement."""

    @property
    def id(self) -> str:
        """Its name, which stays the same from version to version."""

    @property
    def digest(self) -> Digest:
        """Digest of the version in force."""


class LedgerClaimLike(Protocol):
    """What a peer's signed advert says about ledgers; `protocols.secagg.LedgerClaim` is one."""

    @property
    def counter(self) -> int:
        """Number of the peer's own last entry."""

    @property
    def head(self) -> bytes:
        """Hash of that entry."""

    @property
    def seen(self) -> tuple[int, ...]:
        """Marks (`mark_of`) of the last entries it has seen signed, in the order of the eligible councils."""


class Ledger(LedgerBook):
    """One council's privacy ledger, open in one process at a time."""

    # Charging

    def check(
        self,
        *,
        charge: Charge,
        agreement: SignedAgreement,
        budget: Budget,
        cap: Budget | None,
        class_2_cap: Budget | None = None,
        besides: RoundId | None = None,
        now: datetime,
    ) -> None:
        """Whether a charge could be reserved now; reserves nothing. Run when a question is proposed.

        Args:
            charge: Exact cost to one privacy unit.
            agreement: Whose budget it falls on.
            budget: The agreement's (epsilon, delta) of a calendar year.
            cap: The council's own over all agreements, if it set one.
            class_2_cap: The council's own over questions that read class 2 columns; None when this one reads none.
            besides: A round that has this charge reserved already, when the same is asked again before it is spent.
            now: Time, UTC.

        Raises:
            PolicyRefusal: `ledger_exhausted`, `council_policy` or `ledger_unavailable`.
            BudgetExceeded: `budget`.
        """
        with self._turn, _plainly_unavailable():
            self._check_standing()
            self._check_agreement(charge, agreement, budget, period_of(now), besides)
            self._check_caps(charge, cap, class_2_cap, period_of(now), besides)

    def reserve(
        self,
        *,
        sid: RoundId,
        plan_digest: Digest,
        title: str,
        charge: Charge,
        unit: str,
        agreement: SignedAgreement,
        budget: Budget,
        cap: Budget | None,
        class_2: bool,
        class_2_cap: Budget | None = None,
        attempts: int,
        now: datetime,
    ) -> Entry:
        """Reserve a round's charge, durably, before the council's first message of the round.

        Checks, in order: (0) the round is new, (1) the ledger is in good standing, (2) the plan has attempts left, and
        rounds that may begin,
        (3) the agreement's budget of this year covers it, (4) so do the council's own caps over all agreements.
        Spent, reserved and new charges count together.

        Args:
            sid: The round.
            plan_digest: The plan it carries out.
            title: Title of the question, for people.
            charge: Exact cost to one privacy unit, as the node derived it.
            unit: Privacy unit.
            agreement: Whose budget it falls on.
            budget: The agreement's (epsilon, delta) of a calendar year.
            cap: The council's own (epsilon, delta) over all agreements of a calendar year, if it set one.
            class_2: Whether the question reads special category, criminal-offence or immigration columns.
            class_2_cap: The council's own (epsilon, delta) over all questions of the year that do, if it set one.
            attempts: Masked inputs a node may send for this plan.
            now: Time, UTC; its year is the budget period, whatever the coordinator says.

        Raises:
            PolicyRefusal: `replay`, `ledger_exhausted`, `attempts`, `council_policy`, or `ledger_unavailable` when
                the file cannot be written.
            BudgetExceeded: `budget`.
        """
        with self._turn, _plainly_unavailable():
            state = self._current()
            period = period_of(now)
            if sid in state.rounds:
                raise PolicyRefusal("replay", "This round was asked before.", remedy="Invite again with a new nonce.")
            self._check_standing()
            if state.begun(plan_digest) >= attempts + FREE_ROUNDS:
                # Each leaves entries and records that are kept for good: an endless row of them would fill the disk.
                raise PolicyRefusal(
                    "attempts", f"{state.begun(plan_digest)} rounds of this plan were begun; no more are."
                )
            if state.attempts(plan_digest) >= attempts:
                raise PolicyRefusal(
                    "attempts",
                    f"This plan was answered {state.attempts(plan_digest)} time(s) and allows {attempts}.",
                    remedy="Plan the question again.",
                )
            self._check_agreement(charge, agreement, budget, period)
            self._check_caps(charge, cap, class_2_cap if class_2 else None, period)
            reserved = LedgerRound(
                sid=sid,
                plan_digest=plan_digest,
                title=title,
                agreement=AgreementRef(id=agreement.id, digest=agreement.digest),
                period=period,
                charge=charge,
                unit=unit,
                budget=budget,
                class_2=class_2,
            )
            return self._append(EntryKind.RESERVED, stamped(now, reserved.body()))

    def spend(self, sid: RoundId, now: datetime) -> Entry:
        """Mark a reservation spent, durably, before any of the question's data is read.

        Raises:
            PolicyRefusal: `replay` when it was spent or released before, `ledger_exhausted`, `ledger_unavailable`.
            InternalError: It was never reserved.
        """
        with self._turn, _plainly_unavailable():
            self._check_reserved(sid)
            self._check_standing()
            return self._append(EntryKind.SPENT, stamped(now, {"sid": sid.hex()}))

    def release(self, sid: RoundId, reason: str, now: datetime) -> Entry:
        """Give a reservation back; only the caller who knows that no masked input was sent may.

        Raises:
            PolicyRefusal: `replay` when it was spent or released before, `ledger_unavailable`.
            InternalError: It was never reserved.
        """
        with self._turn, _plainly_unavailable():
            self._check_reserved(sid)
            return self._append(EntryKind.RELEASED, stamped(now, {"sid": sid.hex(), "reason": reason}))

    def recover(self, now: datetime) -> tuple[LedgerRound, ...]:
        """Release what was reserved and never spent. Run at start-up, before the node answers anyone.

        The charge is spent before the masked input is made, so for these rounds none was ever sent.

        Returns:
            The rounds whose reservation was released.
        """
        with self._turn:
            waiting = self.open_reservations()
            for held in waiting:
                self.release(held.sid, "the node stopped before anything was sent", now)
            return waiting

    # Going backwards, and coming back

    def note_peer(self, council: CouncilId, mark: int) -> None:
        """Remember the mark of an entry that a roster member signed, if it is its latest yet."""
        with self._turn, _plainly_unavailable():
            self._file.note_peers({council: mark})

    def check_claims(
        self, claims: Mapping[CouncilId, LedgerClaimLike], eligible: Sequence[CouncilId], now: datetime
    ) -> None:
        """Learn the peers' ledgers from their signed adverts, and stop if one has seen an entry that ours lacks.

        A peer can only have seen what an earlier advert of ours carried: the entry that reserved its round. It cannot
        have seen this round's. Run after the adverts' signatures were checked and before the charge is spent.

        Args:
            claims: What each advert says; our own says which entry reserved this round.
            eligible: Councils in the order of `seen`.
            now: Time, UTC.

        Raises:
            PolicyRefusal: `ledger_rollback`; the ledger stays exhausted until it is reconciled.
        """
        with self._turn, _plainly_unavailable():
            mine = tuple(eligible).index(self.council)
            others = {council: claim for council, claim in claims.items() if council != self.council}
            self._file.note_peers({council: mark_of(claim.counter, claim.head) for council, claim in others.items()})
            forgotten = self._forgotten({c: claim.seen[mine] for c, claim in others.items()}, claims)
            if not forgotten:
                return
            by, saw = forgotten[0], forgotten[1] >> MARK_BITS
            reason = f"council {by} has seen an entry {saw} of this ledger signed that is not in it"
            self._exhaust(reason, min(saw, MAX_COUNTER), now)
            raise PolicyRefusal(
                "ledger_rollback",
                "Another council has seen an entry of this council's ledger that it no longer holds.",
                remedy="This council's privacy reviewer must reconcile the ledger before it can take part.",
            )

    def mark_exhausted(self, reason: str, now: datetime) -> None:
        """Take no more charges until the reviewer reconciles the ledger."""
        with self._turn:
            self._exhaust(reason, 0, now)

    def reconcile(
        self,
        *,
        by: str,
        reason: str,
        lost: Sequence[LostCharge] = (),
        stated: int = 0,
        counter: int | None = None,
        now: datetime,
    ) -> Entry:
        """Put an exhausted ledger back in standing. Run by the council's privacy reviewer.

        Args:
            by: Who decided it.
            reason: What was found, and why it may go on.
            lost: Charges that this ledger no longer holds, from receipts or from an earlier budget statement.
            stated: Entry of the lost ledger up to which that statement holds them all; 0 without one.
            counter: Entry number to go on with; by default one past the highest that any peer has seen.
            now: Time, UTC.

        Raises:
            PolicyRefusal: `ledger_unavailable`.
            FileProblem: There is nothing to reconcile, or the number is out of range.
        """
        with self._turn:
            state = self._current()
            if state.exhaustion is None:
                raise FileProblem("The ledger is in good standing.", remedy="There is nothing to reconcile.")
            number = max(state.counter, state.exhaustion.peers_saw) + 1 if counter is None else counter
            if not state.counter < number < MAX_COUNTER:
                raise FileProblem(
                    f"Entry {number} cannot be the next one after entry {state.counter}.",
                    remedy="A council claims to have seen an impossible number: name the entry to go on with, "
                    "and ask for that council to be taken off the roster.",
                )
            body: dict[str, Json] = {
                "version": RECONCILED_VERSION,
                "by": by,
                "reason": reason,
                "lost": [item.body() for item in lost],
                # A later entry that a peer has seen stops the ledger again: who decided this did not know of it.
                "accounted": min(number - 1, max(state.exhaustion.peers_saw, stated)),
            }
            return self._append(EntryKind.RECONCILED, stamped(now, body), number)

    def write_back(self, lost: Sequence[LostCharge], *, seen: int, by: str, reason: str, now: datetime) -> Entry:
        """Reconcile with charges that were lost with an earlier ledger, also where nobody has noticed the loss yet.

        All it can do is raise what counts as spent. Run by the council's privacy reviewer.

        Args:
            lost: The charges; see `council_node.lost_charges`.
            seen: Entry of the lost ledger at which they stood; this ledger goes on after it.
            by: Who decided it.
            reason: What was found, and why it may go on.
            now: Time, UTC.

        Raises:
            PolicyRefusal: `ledger_unavailable`.
            FileProblem: The number is out of range.
        """
        with self._turn:
            if self._current().exhaustion is None:
                self._exhaust("charges of an earlier ledger are missing", 0, now)
            number = max(self._current().counter, self.peers_saw, seen) + 1
            return self.reconcile(by=by, reason=reason, lost=lost, stated=seen, counter=number, now=now)

    def inherit(self, found: Sequence[Predecessor], *, by: str, roster: Digest, now: datetime) -> Entry:
        """Start from the largest spend of the councils whose place this one took. Run before its first charge.

        It may be run again, or after a charge, because all it can do is raise what counts as spent.

        Args:
            found: From their signed statements; see `council_node.inheritance`.
            by: Who did it.
            roster: Digest of the signed list of councils that names the predecessors.
            now: Time, UTC.

        Raises:
            PolicyRefusal: `ledger_rollback`: a statement is older than what was inherited, or than an entry of that
                council's ledger that this council has seen signed; or `ledger_unavailable`.
            FileProblem: All of it was inherited before.
        """
        with self._turn, _plainly_unavailable():
            before, peers = self._current().inherited.predecessors, self._file.peers()
            for item in found:
                check_only_raises(before.get(item.council), item)
                _check_seen(item, peers.get(item.council, 0))
        # Outside, because this is told to a person of this council and not to the coordinator.
        with self._turn:
            if all(before.get(item.council) == item for item in found):
                raise FileProblem("This ledger has inherited all of it before.", remedy="There is nothing to do.")
            body = inheriting_body(found, by=by, roster=roster)
            return self._append(EntryKind.INHERITED, stamped(now, body))

    def close_for_good(self, *, by: str, now: datetime) -> Entry:
        """Take no charge ever again, because another council takes this one's place. The node is stopped.

        What is reserved is released first: its masked input was never made.

        Args:
            by: Who did it.
            now: Time, UTC.

        Raises:
            PolicyRefusal: `ledger_exhausted`: charges are missing, so they would be from the last statement too.
            FileProblem: It is closed already.
        """
        with self._turn:
            if self._current().closed:
                raise FileProblem("The ledger is closed already.", remedy="Sign its last statement: ledger statement.")
            self._check_standing()
            self.recover(now)
            return self._append(EntryKind.CLOSED, stamped(now, {"by": by}))

    # Inside

    def _forgotten(
        self, seen: Mapping[CouncilId, int], claims: Mapping[CouncilId, LedgerClaimLike]
    ) -> tuple[CouncilId, int] | None:
        """The latest entry of ours that a peer has seen and no earlier advert of this ledger carried, and that peer."""
        state = self._current()
        own = claims.get(self.council)
        known = state.advertised - ({mark_of(own.counter, own.head)} if own is not None else set())
        # What was lost before the reviewer last reconciled the ledger has been accounted for.
        lost = [(c, mark) for c, mark in seen.items() if mark > state.accounted and mark not in known]
        return max(lost, key=lambda item: item[1], default=None)

    def _check_standing(self) -> None:
        if self._current().exhaustion is not None:
            raise PolicyRefusal(
                "ledger_exhausted",
                "This council's ledger takes no charge until its privacy reviewer has reconciled it.",
                remedy="The council's reviewer can run `council-node ledger reconcile`.",
            )
        # Its successor has inherited what it held then; a charge after that would be counted nowhere.
        if self._current().closed:
            raise PolicyRefusal("ledger_closed", "This council's ledger was closed: another council took its place.")

    def _check_agreement(
        self, charge: Charge, agreement: SignedAgreement, budget: Budget, period: str, besides: RoundId | None = None
    ) -> None:
        check_budget(self._current().committed(period, agreement.id, besides=besides), charge, budget)

    def _check_caps(
        self,
        charge: Charge,
        cap: Budget | None,
        class_2_cap: Budget | None,
        period: str,
        besides: RoundId | None = None,
    ) -> None:
        state = self._current()
        if cap is not None:
            _check_cap(state.committed(period, besides=besides), charge, cap, "over all agreements")
        if class_2_cap is not None:
            committed = state.committed_class_2(period, besides=besides)
            _check_cap(committed, charge, class_2_cap, "on the most sensitive columns")

    def _check_reserved(self, sid: RoundId) -> None:
        known = self._current().rounds.get(sid)
        if known is None:
            raise InternalError("A round was about to run that the ledger has not reserved.")
        if known.state is not RoundState.RESERVED:
            raise PolicyRefusal("replay", f"This round's charge was {known.state.value} before.")


def _check_seen(found: Predecessor, mark: int) -> None:
    seen, own = mark >> MARK_BITS, mark_of(found.counter, found.head)
    if seen > found.counter or (seen == found.counter and mark != own):
        raise PolicyRefusal(
            "ledger_rollback",
            f"This statement of {found.council} stands at entry {found.counter} of its ledger, but this council has "
            f"seen entry {seen} signed.",
            remedy="Ask for the predecessor's last statement: an earlier one is never taken.",
        )


@contextmanager
def _plainly_unavailable() -> Iterator[None]:
    try:
        yield
    except FileProblem as error:
        # The reason goes to the coordinator: it names no file of this council.
        raise PolicyRefusal(
            "ledger_unavailable",
            "This council's ledger cannot be used, so nothing is asked of its data.",
            remedy="The council's IT officer will find the cause in the node's log.",
        ) from error


def _check_cap(committed: Totals, charge: Charge, cap: Budget, which: str) -> None:
    try:
        check_budget(committed, charge, cap)
    except BudgetExceeded as error:
        raise BudgetExceeded(
            f"This council's own cap {which} does not cover the question. {error}",
            remedy="Ask for less, or ask the council.",
            rule="council_policy",
        ) from error
