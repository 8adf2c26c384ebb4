"""Collecting the councils' decisions on one proposal, for as long as people take over them.

Asks every council within reach, asks again those that are still deciding, and asks those that connect later. Wakes up
on answers and arrivals, not on a timer, so that a cohort that decides by itself loses no time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from coordinator.choices import Decision, DecisionKind, Opening, opening, to_ask
from coordinator.courier import Answer
from coordinator.holding import RULE
from coordinator.office import Office
from coordinator.presence import Presence
from coordinator.progress import CouncilState, RunStage
from coordinator.replies import Objection, read_decision
from coordinator.store import DatabaseProblem, DecisionRow
from federated.errors import SignatureProblem
from federated.plan import Plan
from federated.roster import Roster
from protocols.encoding import canonical_json
from protocols.identifiers import CouncilId
from protocols.wire.link_message import Kind

__all__ = ["Collection", "proposal_payload"]

_STATES = {
    DecisionKind.APPROVED: CouncilState.APPROVED,
    DecisionKind.REFUSED: CouncilState.REFUSED,
    DecisionKind.PENDING: CouncilState.PENDING,
}


def proposal_payload(plan_envelope: bytes, manifest_envelope: bytes) -> bytes:
    """Payload of the PROPOSAL: both signed files, as signed."""
    return canonical_json({"version": 1, "plan": plan_envelope.decode(), "manifest": manifest_envelope.decode()})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timing:
    """Until when to wait. Short waits are in the loop's seconds: a clock that is set would stretch them by hours."""

    patience_until: float
    collect_by: datetime


class Collection:
    """Decisions on one plan.

    Attributes:
        decisions: As they stand.
        lacked_holder: All that is missing for a round is the mask holder.

    Args:
        office: What the coordinator's parts share.
        presence: Who can be asked.
        plan: The plan.
        roster: The one the plan names.
        payload: Of the PROPOSAL.
        kept: Decisions from before a restart.
    """

    def __init__(
        self,
        office: Office,
        presence: Presence,
        *,
        plan: Plan,
        roster: Roster,
        payload: bytes,
        kept: Sequence[DecisionRow] = (),
    ) -> None:
        self._office = office
        self._presence = presence
        self._plan = plan
        self._digest = plan.digest
        self._roster = roster
        self._payload = payload
        self.decisions: dict[CouncilId, Decision] = {row.council: _decision(row) for row in kept}
        self._unsaved: dict[CouncilId, DecisionRow] = {}
        self._due: dict[CouncilId, float] = {}
        self._asking: set[CouncilId] = set()
        self._changed = asyncio.Event()
        self._said_missing = False
        self.lacked_holder = False

    async def until_settled(self, still_wanted: Callable[[], Awaitable[bool]]) -> Opening:
        """Collect until the round can be opened, never can be, or time is over.

        Args:
            still_wanted: Asked now and then whether the proposal still stands.

        Returns:
            Anything but `WAIT`, unless the proposal is no longer wanted or the roster has changed: then `WAIT`.
        """
        wait = self._office.settings.proposals.opening_wait
        timing = _Timing(patience_until=_seconds() + wait, collect_by=self._plan.terms.collect_by)
        stop_listening = self._presence.listen(self._changed)
        batches: set[asyncio.Task[None]] = set()
        try:
            while (choice := self._choice(timing)) is Opening.WAIT and not self.overtaken():
                self._tell_of_holder()
                self._ask_whoever_is_due(batches)
                if await self._nothing_new(timing) and not await still_wanted():
                    break
            return choice
        finally:
            stop_listening()
            for batch in batches:
                batch.cancel()
            await asyncio.gather(*batches, return_exceptions=True)

    def overtaken(self) -> bool:
        """Whether the roster in force is no longer the plan's: every node would refuse now."""
        roster = self._office.membership.roster
        return roster is None or roster.digest != self._roster.digest

    def take_unsaved(self) -> tuple[DecisionRow, ...]:
        """Decisions not yet in the store; the caller writes them."""
        rows = tuple(self._unsaved.values())
        self._unsaved = {}
        return rows

    def _choice(self, timing: _Timing) -> Opening:
        now, here = self._office.clock(), self._presence.ready()
        patience_s = max(0.0, timing.patience_until - _seconds())
        choose = partial(
            opening,
            eligible=self._plan.eligible,
            decisions=self.decisions,
            reachable=here,
            rules=self._plan.rules,
            now=now,
            patience_until=now + timedelta(seconds=patience_s),
            collect_by=timing.collect_by,
        )
        holder = self._plan.holder
        choice = choose(holder_here=holder is None or holder.id in here)
        self.lacked_holder = choice is not Opening.OPEN and choose() is Opening.OPEN
        # Hopeless already, but the analyst should hear every council's reason that is on its way.
        still_coming = choice is Opening.HOPELESS and self._asking and patience_s > 0
        return Opening.WAIT if still_coming else choice

    def _tell_of_holder(self) -> None:
        holder = self._plan.holder
        if holder is not None and self.lacked_holder and not self._said_missing:
            self._said_missing = True
            message = f"Enough councils have approved. The mask holder {holder.name} is not connected; waiting for it."
            self._tell(None, CouncilState.NONE, rule=RULE, message=message)

    def _ask_whoever_is_due(self, batches: set[asyncio.Task[None]]) -> None:
        now = _seconds()
        open_ = to_ask(eligible=self._plan.eligible, decisions=self.decisions, reachable=self._presence.ready())
        due = [c for c in open_ if c not in self._asking and self._due.get(c, now) <= now]
        if due:
            self._asking.update(due)
            batch = asyncio.create_task(self._ask(due))
            batches.add(batch)
            batch.add_done_callback(batches.discard)

    async def _nothing_new(self, timing: _Timing) -> bool:
        """Wait for an answer or an arrival; whether the next hour to act came first."""
        now = _seconds()
        to_the_end = (timing.collect_by - self._office.clock()).total_seconds()
        moments = [timing.patience_until, now + to_the_end, *self._due.values()]
        ahead = [moment - now for moment in moments if moment > now]
        ask_again = self._office.settings.proposals.ask_again
        with suppress(TimeoutError):
            async with asyncio.timeout(min([ask_again, *ahead])):
                await self._changed.wait()
                self._changed.clear()
                return False
        return True

    async def _ask(self, councils: Sequence[CouncilId]) -> None:
        office = self._office
        self._tell(None, CouncilState.NONE, message=f"Asking {len(councils)} councils to decide.")
        timeout_s = office.settings.stages.decision
        payloads = dict.fromkeys(councils, self._payload)
        try:
            asking = office.courier.ask(Kind.PROPOSAL, self._digest, payloads, timeout_s=timeout_s)
            async with aclosing(asking) as answers:
                async for council, answer in answers:
                    self._take(council, answer)
        finally:
            again = _seconds() + office.settings.proposals.ask_again
            self._due.update(dict.fromkeys(councils, again))
            self._asking.difference_update(councils)
            self._changed.set()
        await self._save()

    async def _save(self) -> None:
        rows = tuple(self._unsaved.values())
        if not rows:
            return
        # Unsaved until they are on the disk: a move at the same time writes them too.
        with suppress(DatabaseProblem):  # they are written with the next ones, or the next move
            await self._office.thread(self._office.store.proposals.keep_decisions, rows)
            self._unsaved = {council: row for council, row in self._unsaved.items() if row not in rows}

    def _take(self, council: CouncilId, answer: Answer) -> None:
        try:
            if isinstance(answer, Objection):
                self._tell(council, CouncilState.COMPLAINED, rule=answer.rule, message=answer.reason)
                return
            key = self._roster.councils[council].public_key
            decision = read_decision(answer.payload, council=council, key=key, plan_digest=self._digest)
        except SignatureProblem as problem:
            self._tell(council, CouncilState.COMPLAINED, rule="signature", message=str(problem))
            return
        if decision != self.decisions.get(council):
            self.decisions[council] = decision
            self._unsaved[council] = self._row(decision, answer.payload)
            self._tell(council, _STATES[decision.kind], rule=decision.rule, message=decision.reason)
        self._changed.set()

    def _row(self, decision: Decision, envelope: bytes) -> DecisionRow:
        return DecisionRow(
            plan_digest=self._digest,
            council=decision.council,
            decision=decision.kind.value,
            rule=decision.rule,
            reason=decision.reason,
            extract_date=decision.extract_date,
            envelope=envelope,
            received_at=self._office.clock(),
        )

    def _tell(self, council: CouncilId | None, state: CouncilState, *, rule: str = "", message: str = "") -> None:
        self._office.board.publish(
            self._digest,
            RunStage.PROPOSED,
            council=council,
            state=state,
            rule=rule,
            message=message,
            answered=len(self.decisions),
            asked=len(self._plan.eligible),
        )


def _seconds() -> float:
    return asyncio.get_running_loop().time()


def _decision(row: DecisionRow) -> Decision:
    return Decision(
        council=row.council,
        kind=DecisionKind(row.decision),
        rule=row.rule,
        reason=row.reason,
        extract_date=row.extract_date,
    )
