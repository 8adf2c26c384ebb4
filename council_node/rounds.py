"""A council's rounds: from the invitation to the release, each stage once, every refusal with its rule.

In: requests of a round. Out: replies. A round lives in memory only; its charge lives in the ledger. Whatever goes
wrong before the charge is spent gives the reservation back; from then on the charge stands.
"""

from base64 import b64encode
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeAlias

from council_node.contribution import ApprovedPlan, charge, contribute
from council_node.invitation import Invitation
from council_node.local_statistic import LocalStatistic
from council_node.proof.deletion import keep_deletion_record
from council_node.proposals import Proposals
from council_node.receipts import SentMessage, answer_of, keep_receipt, keep_receipt_without_answer
from council_node.station import Station
from federated.errors import FederatedError, FileProblem, InternalError, PolicyRefusal, SignatureProblem
from federated.ledger_entries import RoundState
from federated.plan import Plan
from federated.release import Release, open_release
from federated.round_context import round_context
from federated.round_limit import ROUND_LIMIT
from federated.signing import sign_statement
from federated.threads import threads
from protocols.encoding import Json, sha256
from protocols.errors import ProtocolError
from protocols.identifiers import CouncilId, Digest, RoundId
from protocols.secagg import (
    BadKeyShare,
    BelowThreshold,
    LedgerClaim,
    ParticipantSession,
)
from protocols.secagg.transitions import ParticipantState
from protocols.wire.link_message import Kind, LinkMessage

__all__ = ["Rounds"]

MAX_ROUNDS: Final = 64
"""Rounds held at once; a coordinator that opens more must let some end."""
OWN_FAULT: Final = "This council's node met a fault of its own; its IT officer finds the cause in the log."


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveRound:
    """One round under way at this council."""

    approved: ApprovedPlan
    session: ParticipantSession
    started: datetime
    sent: list[SentMessage] = field(default_factory=list)
    worked: list[timedelta] = field(default_factory=list)

    @property
    def took(self) -> timedelta:
        """What this node itself has taken so far, without waiting for anybody (R10); told to nobody."""
        return sum(self.worked, start=timedelta(0))

    @property
    def survivors(self) -> tuple[CouncilId, ...]:
        """U3 as this council signed it; empty before that."""
        return self.session.survivors

    @property
    def sid(self) -> RoundId:
        """The round."""
        return self.approved.sid

    @property
    def part(self) -> str:
        """Which round of several this is, as the coordinator says it, in words; empty for any other."""
        iteration = self.approved.iteration
        return "" if iteration is None else f"round {iteration.number} of {self.plan.rounds}"

    @property
    def answered_last(self) -> bool:
        """Whether this council has answered the last stage."""
        return any(message.what == "unmask" for message in self.sent)

    @property
    def plan(self) -> Plan:
        """Its plan, as this council derived it."""
        return self.approved.plan


Step: TypeAlias = Callable[[ActiveRound], bytes]
"""One stage of a round: its reply."""


class Rounds:
    """Every round of this council, by round id."""

    def __init__(self, station: Station, proposals: Proposals) -> None:
        self._station = station
        self._proposals = proposals
        self._active: dict[RoundId, ActiveRound] = {}
        self._invited: dict[RoundId, tuple[Digest, LinkMessage]] = {}

    def advertise(self, request: LinkMessage) -> LinkMessage:
        """R0: check the plan again, reserve its charge durably, answer with an advert or a signed refusal."""
        sid = RoundId(request.reference)
        asked = sha256(request.payload)
        if sid in self._invited and self._invited[sid][0] == asked:
            return self._invited[sid][1]
        try:
            reply = self._advertise(request, sid)
        except PolicyRefusal as refusal:
            return self._statement(Kind.REFUSAL, sid, refusal.rule, refusal.diagnostics())
        except SignatureProblem as problem:
            # A file this council pinned has changed since it approved: a decision too, so it is signed like one.
            return self._statement(Kind.REFUSAL, sid, problem.code, problem.diagnostics())
        self._invited[sid] = (asked, reply)
        return reply

    def _advertise(self, request: LinkMessage, sid: RoundId) -> LinkMessage:
        station = self._station
        now = station.now()
        self.end_old(now)
        if len(self._active) >= MAX_ROUNDS:
            raise PolicyRefusal("busy", f"{MAX_ROUNDS} rounds are under way at this council already.")
        roster = station.papers.roster(now)
        invitation = Invitation.read(request.payload, coordinator=roster.coordinator_id, epoch=roster.epoch)
        plan = self._proposals.approved(invitation.plan_digest, now)
        invitation.check(plan, roster, sid)
        context = round_context(plan, roster, sid, invitation.holder_advert)
        station.reserve(plan, sid, now)
        with ExitStack() as undone:
            # Until the round is held, nobody would give its reservation back.
            undone.callback(station.give_back, sid, "the round could not begin here")
            session = ParticipantSession(
                context,
                station.council,
                station.key.sign,
                station.rng,
                cores=threads(station.settings.limits.threads),
            )
            ledger = station.ledger
            claim = LedgerClaim(counter=ledger.counter, head=ledger.head, seen=ledger.seen(plan.eligible))
            advert = session.advertise(claim)
            approved = ApprovedPlan(plan=plan, sid=sid, iteration=invitation.iteration)
            active = ActiveRound(approved=approved, session=session, started=now)
            self._active[sid] = active
            undone.pop_all()
        active.worked.append(station.now() - now)
        return self._sent(active, Kind.ADVERT, advert)

    def share_keys(self, request: LinkMessage) -> LinkMessage:
        """R1: check the cohort, learn the peers' ledger counters, deal key shares."""

        def step(active: ActiveRound) -> bytes:
            reply = active.session.share_keys(request.payload)
            station = self._station
            station.ledger.check_claims(active.session.cohort.claims, active.plan.eligible, station.now())
            return reply

        return self._stage(request, Kind.KEY_SHARES, step)

    def masked_input(self, request: LinkMessage) -> LinkMessage:
        """R1's end and R2: check every key share, spend the charge, then and only then read the data."""

        def step(active: ActiveRound) -> bytes:
            earlier = active.session.answered(request.payload)
            if earlier is not None:
                return earlier
            active.session.accept_shares(request.payload)
            now = self._station.now()
            self._proposals.check_standing(active.plan, active.sid, active.session.cohort.members, now)
            charged = charge(active.approved, self._station.ledger, now)
            return contribute(charged, compute=self._compute, session=active.session, rng=self._station.rng)

        return self._stage(request, Kind.MASKED_INPUT, step)

    def _compute(self, approved: ApprovedPlan) -> LocalStatistic:
        return self._station.compute(approved.plan, approved.iteration)

    def confirm(self, request: LinkMessage) -> LinkMessage:
        """R3: sign who survived, once."""
        return self._stage(request, Kind.CONFIRMATION, lambda active: active.session.confirm_survivors(request.payload))

    def unmask(self, request: LinkMessage) -> LinkMessage:
        """R4: reveal what the sum's masks need, never both secrets of one council."""
        return self._stage(request, Kind.UNMASK, lambda active: active.session.unmask(request.payload))

    def _stage(self, request: LinkMessage, kind: Kind, step: Step) -> LinkMessage:
        """Run one stage; whatever is refused ends the round here, with a signed complaint that says why."""
        sid = RoundId(request.reference)
        # A coordinator that drips its requests would have secrets lie in memory for as long as it likes.
        self.end_old(self._station.now())
        active = self._active.get(sid)
        if active is None:
            raise PolicyRefusal(
                "unknown_round", "This council is not in that round: it was never invited, or it has ended here."
            )
        try:
            return self._timed(active, kind, step)
        except BadKeyShare as problem:
            self._end(sid, f"council {problem.culprit} dealt a bad key share")
            return self._statement(Kind.COMPLAINT, sid, "bad_key_share", str(problem), evidence=problem.evidence)
        except ProtocolError as problem:
            rule = "below_threshold" if isinstance(problem, BelowThreshold) else "protocol"
            self._end(sid, str(problem))
            return self._statement(Kind.COMPLAINT, sid, getattr(problem, "rule", rule), str(problem))
        except (FileProblem, InternalError) as problem:
            # Which file of the council's cannot be read, and why, is said in its own log alone: receipt and ledger
            # are shown to others.
            self._station.log("stage_failed", {"sid": sid.hex(), "reason": problem.diagnostics()})
            self._end(sid, "a fault of this council's node; its IT officer finds the cause in the log")
            return self._statement(Kind.COMPLAINT, sid, "fault", OWN_FAULT)
        except FederatedError as problem:
            self._end(sid, problem.diagnostics())
            rule = problem.rule if isinstance(problem, PolicyRefusal) else problem.code
            return self._statement(Kind.COMPLAINT, sid, rule, problem.diagnostics())

    def _timed(self, active: ActiveRound, kind: Kind, step: Step) -> LinkMessage:
        began = self._station.now()
        try:
            return self._sent(active, kind, step(active))
        finally:
            active.worked.append(self._station.now() - began)

    @staticmethod
    def _sent(active: ActiveRound, kind: Kind, reply: bytes) -> LinkMessage:
        """The reply, noted for the receipt; a repeat of the same bytes is noted once."""
        message = SentMessage.of(kind.name.lower().replace("_", " "), reply)
        if message not in active.sent:
            active.sent.append(message)
        return _reply(kind, active.sid, reply)

    def keep_release(self, request: LinkMessage) -> LinkMessage:
        """R5: keep the answer and write the receipt; the reply is a signed receipt of the release's digest.

        The first answer of a round is the one: it is acknowledged when it comes again, and no other is taken. So
        nobody rewrites what was kept, nor brings back what people here had deleted.
        """
        station = self._station
        sid = RoundId(request.reference)
        release = open_release(request.payload)
        if release.sid != sid.hex():
            raise PolicyRefusal("release", "The release is not of the round it was sent for.")
        self._check_own_round(release, sid)
        known = answer_of(station.store, sid)
        if not known:
            active = self._active.get(sid)
            self._close(sid, active, partial(keep_receipt, station, release, request.payload, active, station.now()))
        elif known != sha256(request.payload).hex():
            raise PolicyRefusal("release", "This council has had another answer of that round.")
        body: dict[str, Json] = {
            "version": 1,
            "council": station.council,
            "sid": sid.hex(),
            "release_digest": sha256(request.payload).hex(),
        }
        return _reply(Kind.RECEIPT, sid, sign_statement("receipt", body, station.key))

    def _check_own_round(self, release: Release, sid: RoundId) -> None:
        charged = self._station.ledger.round(sid)
        # Whoever never sent a masked input is in no sum, so a release that says otherwise is false.
        if charged is None or charged.state is not RoundState.SPENT or charged.plan_digest.hex() != release.plan_digest:
            raise PolicyRefusal("release", "This council took no part in the round of that release.")

    def abort(self, request: LinkMessage) -> LinkMessage:
        """The coordinator gave the round up: drop its secrets, and give back a charge that was never spent."""
        sid = RoundId(request.reference)
        active = self._active.get(sid)
        done = "" if active is None or not active.answered_last else active.part
        self._end(sid, f"this was {done}; it comes with the last" if done else "the coordinator ended the round")
        body: dict[str, Json] = {"version": 1, "council": self._station.council, "sid": sid.hex(), "release_digest": ""}
        return _reply(Kind.RECEIPT, sid, sign_statement("receipt", body, self._station.key))

    def end_old(self, now: datetime) -> None:
        """End every round that began longer ago than `ROUND_LIMIT`, or as far ahead of a clock that was set back.

        Raises:
            FileProblem: The ledger or the store cannot be written. The secrets are gone; the rest is for the next time.
        """
        old = [active for active in self._active.values() if abs(now - active.started) > ROUND_LIMIT]
        for active in old:
            active.session.end()  # of all of them, before the first that cannot be written down
        for active in old:
            self._end(active.sid, "the round was not heard of again")

    def _end(self, sid: RoundId, reason: str) -> None:
        station = self._station
        active = self._active.get(sid)
        if active is not None:
            active.session.end()  # first: the secrets must go even if the ledger cannot be written
        station.give_back(sid, reason)

        def keep() -> None:
            if active is not None:
                keep_receipt_without_answer(station, sid, active, reason, station.now())

        self._close(sid, active, keep)

    def _close(self, sid: RoundId, active: ActiveRound | None, keep: Callable[[], object]) -> None:
        """Keep the receipt, let go of the round's secrets, and keep the signed record of that (R24).

        Args:
            sid: The round.
            active: What is in memory of it.
            keep: Keeps the receipt, if there is anything to receipt.
        """
        station = self._station
        session = None if active is None else active.session
        with station.store.together():
            keep()
            if session is not None and session.state is not ParticipantState.ENDED:
                session.end()
            recorded = keep_deletion_record(station, sid, session, station.now())
        # What was sent is forgotten once the receipt that lists it is on the disk.
        self._active.pop(sid, None)
        self._invited.pop(sid, None)
        if recorded:
            station.log("deletion_recorded", {"sid": sid.hex()})

    def _statement(self, kind: Kind, sid: RoundId, rule: str, reason: str, evidence: bytes = b"") -> LinkMessage:
        body: dict[str, Json] = {
            "version": 1,
            "council": self._station.council,
            "sid": sid.hex(),
            "rule": rule,
            "reason": reason,
        }
        if evidence:
            body["evidence"] = b64encode(evidence).decode("ascii")
        name = "refusal" if kind is Kind.REFUSAL else "complaint"
        return _reply(kind, sid, sign_statement(name, body, self._station.key))


def _reply(kind: Kind, sid: RoundId, payload: bytes) -> LinkMessage:
    return LinkMessage(kind=kind, reference=sid, payload=payload)
