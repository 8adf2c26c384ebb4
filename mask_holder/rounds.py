"""The rounds that a mask holder holds: from the request to hold to the one opening, every refusal with its rule.

In: requests of a round. Out: replies. A round lives in memory only, so one from before a restart cannot be opened. What
was opened lives in the record, which is written before an opening leaves.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from council_node.validity import check_valid
from federated.errors import FederatedError, FileProblem, PolicyRefusal, SignatureProblem
from federated.plan import Plan
from federated.round_context import bare_context
from federated.round_limit import ROUND_LIMIT
from federated.signing import sign_statement
from federated.threads import threads
from mask_holder.hold_request import HoldRequest
from mask_holder.office import Office
from mask_holder.record import OpenedSum
from protocols.encoding import Json, sha256
from protocols.errors import ProtocolError
from protocols.identifiers import CouncilId, Digest, RoundId
from protocols.secagg import BelowThreshold, CohortRuleBroken, HolderSession
from protocols.secagg.mask_holder import Opened
from protocols.wire.link_message import Kind, LinkMessage

__all__ = ["OWN_FAULT", "Rounds"]

MAX_ROUNDS: Final = 64
"""Rounds held at once; a coordinator that has more held must let some end."""
OWN_FAULT: Final = "The mask holder met a fault of its own; its operator finds the cause in the log."


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRound:
    """One round that is held.

    Attributes:
        asked: SHA-256 of the request to hold it.
        held: The reply to that.
        plan: What is asked.
        agreement_version: Of the agreement it is under.
        part: Which round of the plan's answer, from 1.
        session: Its secrets, and the order of what may come.
        started: When, UTC.
    """

    asked: Digest
    held: LinkMessage
    plan: Plan
    agreement_version: int
    part: int
    session: HolderSession
    started: datetime


class Rounds:
    """Every round that is held here, by round id."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._held: dict[RoundId, HeldRound] = {}

    def hold(self, request: LinkMessage) -> LinkMessage:
        """Check all that a council checks of the papers, and answer with a fresh key for the round, or a refusal.

        Asked again in the same words, it gives the same key: the answer may have been lost on its way.
        """
        sid = RoundId(request.reference)
        asked = sha256(request.payload)
        self.end_old(self._office.now())
        known = self._held.get(sid)
        if known is not None and known.asked == asked:
            return known.held
        if known is not None:
            reason = "The mask holder was asked to hold this round in other words before."
            return self._statement(Kind.REFUSAL, sid, "invitation", reason)
        try:
            self._held[sid] = self._begun(request, sid, asked)
        except PolicyRefusal as refusal:
            return self._statement(Kind.REFUSAL, sid, refusal.rule, refusal.diagnostics())
        except SignatureProblem as problem:
            return self._statement(Kind.REFUSAL, sid, problem.code, problem.diagnostics())
        return self._held[sid].held

    def _begun(self, request: LinkMessage, sid: RoundId, asked: Digest) -> HeldRound:
        office = self._office
        now = office.now()
        if len(self._held) >= MAX_ROUNDS:
            raise PolicyRefusal("busy", f"{MAX_ROUNDS} rounds are held by this mask holder already.")
        roster = office.papers.roster(now)
        wanted = HoldRequest.read(request.payload, roster)
        opened = office.plans.open(wanted.plan, wanted.invitation.plan_digest, now)
        plan = opened.plan
        self._check_named(plan)
        check_valid(plan.terms, now)
        wanted.invitation.check(plan, roster, sid)
        iteration = wanted.invitation.iteration
        part = 1 if iteration is None else iteration.number
        # Told before councils spend anything; what decides is the record, when the sum is to be opened.
        office.record.check_unopened(plan.digest, part)
        session = HolderSession(
            bare_context(plan, roster, sid),
            office.id,
            office.key.sign,
            office.rng,
            identity=office.key.public,
            cores=threads(office.settings.threads),
        )
        held = LinkMessage(kind=Kind.HELD, reference=sid, payload=session.advertise())
        return HeldRound(
            asked=asked,
            held=held,
            plan=plan,
            agreement_version=opened.agreement.version,
            part=part,
            session=session,
            started=now,
        )

    def _check_named(self, plan: Plan) -> None:
        """Nobody is to take the place of another, by its name or by its key."""
        named = plan.holder
        if named is None or named.id != self._office.id or named.key != self._office.key.public:
            raise PolicyRefusal(
                "mask_holder",
                "The agreement names no mask holder with this one's id and key.",
                remedy="The parties name it in a new version of the agreement, with the key that it has now.",
            )

    def open(self, request: LinkMessage) -> LinkMessage:
        """Open the round's sum, once. Whatever is refused ends the round here, with a signed complaint."""
        office, sid = self._office, RoundId(request.reference)
        # A coordinator that takes its time would have secrets lie in memory for as long as it likes.
        self.end_old(office.now())
        held = self._held.get(sid)
        if held is None:
            reason = (
                "The mask holder does not hold that round: it was never asked to, the round has ended here, or the "
                "mask holder was started again since. What it holds is never on a disk."
            )
            return self._statement(Kind.COMPLAINT, sid, "unknown_round", reason)
        try:
            return LinkMessage(kind=Kind.OPENED, reference=sid, payload=self._opened(held, sid, request.payload))
        except ProtocolError as problem:
            return self._ended(sid, _rule_of(problem), str(problem))
        except FileProblem as problem:
            office.log("stage_failed", {"sid": sid.hex(), "reason": problem.diagnostics()})
            return self._ended(sid, "fault", OWN_FAULT)
        except FederatedError as problem:
            rule = problem.rule if isinstance(problem, PolicyRefusal) else problem.code
            return self._ended(sid, rule, problem.diagnostics())

    def _opened(self, held: HeldRound, sid: RoundId, request: bytes) -> bytes:
        office, plan = self._office, held.plan
        now = office.now()
        self._check_still_stands(plan, now)
        found = held.session.prepare(request)
        self._check_members(found.survivors, now)
        if not office.record.has(sid):  # asked again in the same words, which alone come this far
            self._write_down(held, sid, found, now)
        return held.session.open(request)

    def _write_down(self, held: HeldRound, sid: RoundId, found: Opened, now: datetime) -> None:
        plan = held.plan
        self._office.record.add(
            OpenedSum(
                plan_digest=plan.digest,
                part=held.part,
                sid=sid,
                h3=found.h3,
                agreement=plan.agreement_id,
                agreement_version=held.agreement_version,
                question=plan.question.title,
                councils=found.survivors,
                opened_at=now,
            )
        )

    def _check_still_stands(self, plan: Plan, now: datetime) -> None:
        """What days or people may have changed since the round was held."""
        office = self._office
        check_valid(plan.terms, now)
        if office.papers.roster(now).digest != plan.roster_digest:
            raise PolicyRefusal("roster", "The list of councils changed before the sum was opened.")
        if office.papers.agreement(plan.agreement_id, now).digest != plan.agreement_digest:
            raise PolicyRefusal(
                "agreement_not_accepted", "The mask holder accepted another version before the sum was opened."
            )

    def _check_members(self, survivors: Iterable[CouncilId], now: datetime) -> None:
        """A stolen key that has run out must not vote for whose sum is opened; councils check the same."""
        listed = self._office.papers.roster(now).councils
        for council in survivors:
            if not listed[council].valid(now):
                raise PolicyRefusal("roster", f"By the list of councils, council {council} may not take part today.")

    def abort(self, request: LinkMessage) -> LinkMessage:
        """The coordinator is done with the round: drop what is in memory of it."""
        sid = RoundId(request.reference)
        self._end(sid)
        body: dict[str, Json] = {"version": 1, "council": self._office.id, "sid": sid.hex(), "release_digest": ""}
        payload = sign_statement("receipt", body, self._office.key)
        return LinkMessage(kind=Kind.RECEIPT, reference=sid, payload=payload)

    def end_old(self, now: datetime) -> None:
        """End every round that began longer ago than `ROUND_LIMIT`, or as far ahead of a clock that was set back."""
        for sid in [sid for sid, held in self._held.items() if abs(now - held.started) > ROUND_LIMIT]:
            self._end(sid)

    def _end(self, sid: RoundId) -> None:
        held = self._held.pop(sid, None)
        if held is not None:
            held.session.end()

    def _ended(self, sid: RoundId, rule: str, reason: str) -> LinkMessage:
        self._end(sid)
        return self._statement(Kind.COMPLAINT, sid, rule, reason)

    def _statement(self, kind: Kind, sid: RoundId, rule: str, reason: str) -> LinkMessage:
        body: dict[str, Json] = {
            "version": 1,
            "council": self._office.id,
            "sid": sid.hex(),
            "rule": rule,
            "reason": reason,
        }
        name = "refusal" if kind is Kind.REFUSAL else "complaint"
        return LinkMessage(kind=kind, reference=sid, payload=sign_statement(name, body, self._office.key))


def _rule_of(problem: ProtocolError) -> str:
    if isinstance(problem, CohortRuleBroken):
        return problem.rule
    return "below_threshold" if isinstance(problem, BelowThreshold) else "protocol"
