"""One proposal from its first asking to its end: collect, open a round, publish, or say why not.

The shell around `coordinator.proposal_states` and `coordinator.choices`: every move is written down before it is
acted on, so that a restart finds the truth.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from coordinator.choices import AfterRound, Opening, after_round, approvals
from coordinator.collecting import Collection, proposal_payload
from coordinator.holding import AWAY, RULE, Holding, NotHeld
from coordinator.office import Office
from coordinator.plan_intake import Submission
from coordinator.presence import Presence
from coordinator.progress import RunStage
from coordinator.proposal_states import WAITING, ProposalEvent, ProposalState, next_state
from coordinator.publish import Deliveries, council_rows, progress_rows, release_of, release_row, stage_rows
from coordinator.round_report import RoundOrder, RoundReport, StageEnd
from coordinator.rounds import RoundDriver
from coordinator.store import DecisionRow, ProposalRow, RoundCouncilRow, RoundRow
from coordinator.turns import Turns
from federated.errors import FileProblem
from federated.iteration import Iteration
from federated.release import CountedRound, round_figures
from federated.statistics import in_rounds
from protocols.identifiers import CouncilId

__all__ = ["Crew", "ProposalRun"]


class _MovedAway(Exception):
    """Somebody else has moved the proposal: an operator withdrew it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Who does the work of a run."""

    presence: Presence
    driver: RoundDriver
    holding: Holding
    deliveries: Deliveries
    turns: Turns


class ProposalRun:
    """Moves one proposal along; `run` ends when no more can happen without somebody asking.

    Args:
        office: What the coordinator's parts share.
        crew: Who does the work.
        submission: The plan and its manifest.
        row: The proposal as it stands in the store.
        kept: Decisions from before a restart.
    """

    def __init__(
        self,
        office: Office,
        crew: Crew,
        submission: Submission,
        row: ProposalRow,
        kept: Sequence[DecisionRow] = (),
    ) -> None:
        self._office = office
        self._crew = crew
        self._plan = submission.plan
        self._digest = submission.plan.digest
        self._plan_envelope = submission.plan_envelope
        self._row = row
        self._roster = office.membership.require_roster()
        self._counted: list[CountedRound] = []
        self._collection = Collection(
            office,
            crew.presence,
            plan=submission.plan,
            roster=self._roster,
            payload=proposal_payload(submission.plan_envelope, submission.manifest_envelope),
            kept=kept,
        )

    @property
    def state(self) -> ProposalState:
        """Where the proposal stands."""
        return ProposalState(self._row.state)

    async def run(self) -> None:
        """Move the proposal until it has ended."""
        try:
            if self.state is ProposalState.RECEIVED:
                await self._move(ProposalEvent.CIRCULATED)
            if self.state in WAITING:
                await self._collect()
            while await self._holder_here() and self.state is ProposalState.READY:
                turn = self._crew.turns.turn(
                    self._row.analyst, must_wait=self._tell_waiting, goes_on=bool(self._counted)
                )
                async with turn:
                    await self._round()
        except _MovedAway:
            row = await self._office.thread(self._office.store.proposals.get, self._digest)
            self._row = row or self._row
            self._tell_end("withdrawn", row.reason if row else "The proposal is gone.")

    # --- decisions ---

    async def _collect(self) -> None:
        choice = await self._collection.until_settled(self._still_ours)
        match choice:
            case Opening.OPEN:
                if self.state is not ProposalState.READY:
                    await self._move(ProposalEvent.ENOUGH_APPROVED)
            case Opening.HOPELESS:
                refused = len(self._collection.decisions) - len(approvals(self._collection.decisions))
                reason = f"Too many councils refused: {refused} of {len(self._plan.eligible)}. Nothing was spent."
                await self._end(ProposalEvent.TOO_MANY_REFUSED, "too_many_refused", reason)
            case Opening.EXPIRED:
                reason = "Too few councils had approved and were connected when the time to decide was over."
                holder = self._plan.holder
                if holder is not None and self._collection.lacked_holder:
                    reason = f"The mask holder {holder.name} was not connected when the time to decide was over."
                await self._end(ProposalEvent.TIME_OVER, "collect_by", f"{reason} Nothing was spent.")
            case Opening.WAIT:
                await self._end_overtaken()

    # --- the mask holder, where the agreement names one ---

    async def _holder_here(self) -> bool:
        """Wait until the mask holder could be asked; False where the time for a round is over before."""
        holder = self._plan.holder
        if holder is None or self.state is not ProposalState.READY:
            return True
        if await self._crew.presence.until_ready(holder.id, by=self._latest(), still_wanted=self._still_ours):
            return True
        if not await self._still_ours():
            raise _MovedAway
        await self._end_unheld(NotHeld(AWAY, f"The mask holder {holder.name} was not connected in time."))
        return False

    def _latest(self) -> datetime:
        """Until when a round may begin: the first one while decisions count, a later one while the answer does."""
        terms = self._plan.terms
        return terms.return_by if self._counted else terms.collect_by

    async def _held(self, order: RoundOrder) -> RoundOrder | None:
        """The order with the mask holder's advert; None where the round does not begin."""
        holder = self._plan.holder
        if holder is None:
            return order
        try:
            return await self._crew.holding.hold(order, holder, self._plan_envelope)
        except NotHeld as problem:
            # It may hold the round all the same, and would for hours: its answer was late, or lost on its way.
            self._office.background(self._crew.holding.let_go(order.sid, holder, "The round was not begun."))
            if problem.rule != AWAY or self._office.clock() >= self._latest():
                await self._end_unheld(problem)
            else:
                self._office.board.publish(
                    self._digest, RunStage.PROPOSED, rule=RULE, message=f"{problem.reason} It is asked again."
                )
            return None

    async def _end_unheld(self, problem: NotHeld) -> None:
        spent = "What earlier rounds spent stays spent." if self._counted else "Nothing was spent."
        await self._end(ProposalEvent.NOT_HELD, RULE, f"{problem.reason} No round was begun. {spent}")

    async def _still_ours(self) -> bool:
        """Whether the proposal stands as we left it: an operator may have withdrawn it."""
        row = await self._office.thread(self._office.store.proposals.get, self._digest)
        return row is not None and row.state == self._row.state

    async def _end_overtaken(self) -> None:
        if not self._collection.overtaken():
            raise _MovedAway
        reason = "The list of councils has changed since the question was planned. Plan it again; nothing was spent."
        await self._end(ProposalEvent.OVERTAKEN, "roster_changed", reason)

    # --- rounds ---

    async def _round(self) -> None:
        if self._collection.overtaken():
            await self._end_overtaken()
            return
        office = self._office
        earlier = await office.thread(office.store.rounds.of_plan, self._digest)
        if self._plan.most_rounds - len(earlier) < self._plan.rounds - len(self._counted):
            reason = "Rounds of this question were lost with a coordinator that stopped, and too few are left."
            await self._end(ProposalEvent.ROUNDS_LOST, "coordinator_stopped", f"{reason} What was spent stays spent.")
            return
        order = RoundOrder.make(
            self._plan,
            self._roster,
            self._invited(),
            attempt=len(earlier) + 1,
            rng=office.rng,
            iteration=self._iteration(),
        )
        held = await self._held(order)
        if held is None:
            return
        order = held
        opened = await self._open(order)
        report = await self._crew.driver.run(order, ended=self._stage_ended)
        if self._plan.holder is not None:
            office.background(self._crew.holding.let_go(order.sid, self._plan.holder, "The round is over."))
        contributed = () if report.result is None else report.result.u3
        over = [council for council in order.councils if council not in contributed]
        if over:
            reason = report.reason or "The round went on without this council."
            office.background(self._crew.driver.abort(order.sid, over, reason))
        if report.result is None:
            await self._aborted(report, opened)
            return
        if order.iteration is not None:
            self._counted.append(
                CountedRound(
                    sid=order.sid,
                    attempt=order.attempt,
                    nonce=order.nonce,
                    iteration=order.iteration,
                    result=report.result,
                )
            )
        if self._plan.rounds > 1 and len(self._counted) < self._plan.rounds:
            await self._go_on(report, opened)
        else:
            await self._publish(report, opened)

    def _stage_ended(self, end: StageEnd) -> None:
        """Have those who watch the pages see how the round goes; it waits for nothing and fails for nobody."""
        self._office.background(self._keep_progress(progress_rows(end)))

    async def _keep_progress(self, rows: tuple[RoundCouncilRow, ...]) -> None:
        with suppress(FileProblem):
            await self._office.thread(self._office.store.outcomes.went_on, rows)

    def _invited(self) -> tuple[CouncilId, ...]:
        """Those that approved; after a round of several those whose figures were in it, so that all rounds fit one."""
        return self._counted[-1].result.u3 if self._counted else approvals(self._collection.decisions)

    def _iteration(self) -> Iteration | None:
        """What the next round is counted at: it follows from the last one, by the statistic of the one table."""
        if not self._counted:
            return self._plan.first_iteration()
        table, last = self._plan.tables[0].table, self._counted[-1]
        coefficients = in_rounds(table.statistic).advance(table, round_figures(self._plan, last.record()))
        return Iteration(number=last.iteration.number + 1, coefficients=coefficients)

    async def _go_on(self, report: RoundReport, opened: RoundRow) -> None:
        """Write down a round that is one of several; nothing of it is published before the last."""
        words = f"Round {len(self._counted)} of {self._plan.rounds} is counted."
        before, row = self._next(ProposalEvent.ROUND_COUNTED)
        await self._write(
            self._office.store.outcomes.aborted,
            row,
            self._ended(opened, report, "counted", words),
            before=before,
            councils=council_rows(report),
            stages=stage_rows(report),
        )
        self._note_end(report, "counted")
        self._office.board.publish(self._digest, report.stage, message=words)
        # Their secrets of the round are of no more use; the answer comes under the id of the last.
        self._office.background(self._crew.driver.abort(report.order.sid, self._invited(), words))

    async def _open(self, order: RoundOrder) -> RoundRow:
        now = self._office.clock()
        opened = RoundRow(
            sid=order.sid,
            plan_digest=self._digest,
            attempt=order.attempt,
            stage=RunStage.ADVERTISE_KEYS.label,
            started_at=now,
        )
        before, row = self._next(ProposalEvent.ROUND_OPENED)
        await self._write(self._office.store.outcomes.opened, row, opened, before=before)
        return opened

    async def _aborted(self, report: RoundReport, opened: RoundRow) -> None:
        choice = after_round(
            charged=report.charged,
            attempt=report.order.attempt,
            attempts=self._plan.most_rounds,
            counted=len(self._counted),
            rounds=self._plan.rounds,
            now=self._office.clock(),
            return_by=self._plan.terms.return_by,
        )
        again = choice is AfterRound.INVITE_AGAIN
        spent = (
            "Councils that were asked for their masked input stay charged." if report.charged else "Nothing was spent."
        )
        reason = f"{report.reason} The round ended in the stage '{report.stage.label}' without a release. {spent}"
        event = ProposalEvent.ROUND_FREE_FAILURE if again else ProposalEvent.ROUND_FAILED
        before, row = self._next(event, rule=report.rule, reason=reason)
        ended = self._ended(opened, report, "aborted", reason)
        await self._write(
            self._office.store.outcomes.aborted,
            row,
            ended,
            before=before,
            councils=council_rows(report),
            stages=stage_rows(report),
        )
        self._note_end(report, "aborted")
        if again:
            self._office.board.publish(
                self._digest, report.stage, rule=report.rule, message=f"{reason} Inviting again."
            )
        else:
            self._tell_end(report.rule, reason)

    async def _publish(self, report: RoundReport, opened: RoundRow) -> None:
        office = self._office
        now = office.clock()
        decisions = dict(self._collection.decisions)
        release = await asyncio.to_thread(
            release_of, report, decisions, schema=office.schema, now=now, rounds=tuple(self._counted)
        )
        kept = release_row(release, report, now)
        contributors = tuple(CouncilId(item.council) for item in release.councils if item.outcome == "contributed")
        before, row = self._next(ProposalEvent.PUBLISHED)
        await self._write(
            office.store.outcomes.released,
            row,
            self._ended(opened, report, "released", ""),
            kept,
            before=before,
            councils=council_rows(report),
            stages=stage_rows(report),
            owed_to=contributors,
        )
        self._note_end(report, "released")
        # Both at one moment (requirement R12): what is owed to the councils is in the store already, so nobody hears of
        # an answer that is not on its way to those who gave it. Copies to many councils would hold up one sentence.
        message = f"The answer is published; {release.contributed} of {len(release.councils)} councils are in it."
        office.board.publish(self._digest, RunStage.PUBLISHED, message=message, final=True, release_digest=kept.digest)
        office.background(self._crew.deliveries.deliver(kept, contributors))

    def _note_end(self, report: RoundReport, outcome: str) -> None:
        """Write down how a round went: times and numbers of councils, and nothing of what was asked or answered."""
        times = {f"{time.stage.name.lower()}_microseconds": time.microseconds for time in report.times}
        contributed = 0 if report.result is None else len(report.result.u3)
        said: dict[str, str | int] = {"sid": report.order.sid.hex(), "outcome": outcome, "contributed": contributed}
        self._office.note("round_ended", said | times)

    # --- moves ---

    def _next(self, event: ProposalEvent, *, rule: str = "", reason: str = "") -> tuple[str, ProposalRow]:
        state = next_state(self.state, event)
        return self._row.state, replace(
            self._row, state=state.value, rule=rule, reason=reason, changed_at=self._office.clock()
        )

    async def _move(self, event: ProposalEvent, *, rule: str = "", reason: str = "") -> None:
        before, row = self._next(event, rule=rule, reason=reason)
        kept = self._collection.take_unsaved()
        await self._write(self._office.store.outcomes.moved, row, before=before, kept=kept)

    async def _write(self, write: Callable[..., bool], row: ProposalRow, *args: object, **options: object) -> None:
        """Write a move; refuse to go on when the proposal was not where we left it."""
        if not await self._office.thread(write, row, *args, **options):
            raise _MovedAway
        self._row = row

    async def _end(self, event: ProposalEvent, rule: str, reason: str) -> None:
        await self._move(event, rule=rule, reason=reason)
        self._tell_end(rule, reason)

    def _tell_waiting(self, running: int) -> None:
        message = f"Enough councils have approved. {running} rounds are under way; this one starts when it is its turn."
        self._office.board.publish(self._digest, RunStage.PROPOSED, message=message)

    def _tell_end(self, rule: str, reason: str) -> None:
        self._office.board.publish(self._digest, RunStage.ABORTED, rule=rule, message=reason, final=True)

    def _ended(self, opened: RoundRow, report: RoundReport, outcome: str, reason: str) -> RoundRow:
        return replace(
            opened,
            stage=report.stage.label,
            ended_at=self._office.clock(),
            outcome=outcome,
            reason=reason,
        )
