"""The proposal desk: what analysts hand in becomes runs, and the identical question is answered from the store.

One desk for each coordinator. It decides what a submission leads to – a new run, one under way, or a release that
exists already – and starts, resumes and stops runs.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Final

from coordinator.holding import RULE
from coordinator.office import Office, place
from coordinator.plan_intake import Submission, open_submission
from coordinator.progress import RunStage
from coordinator.proposal_run import Crew, ProposalRun
from coordinator.proposal_states import OPEN, WAITING, ProposalEvent, ProposalState, next_state
from coordinator.store import DatabaseProblem, DecisionRow, DeskLost, ProposalRow, ReleaseRow, RoundRow
from federated.errors import FederatedError, InternalError, PolicyRefusal
from federated.mask_holder import holder_identity
from federated.plan import Plan
from federated.release import open_release
from protocols.identifiers import Digest

__all__ = ["ProposalDesk"]

STOPPED: Final = "The coordinator stopped during this round. What was spent stays spent."
UNWRITTEN: Final = "The coordinator's database could not be used during this round. What was spent stays spent."
_TRY_AGAIN_S: Final = 5.0
"""How long a run waits for a database that could not be used, each time."""


class ProposalDesk:
    """Takes submissions and keeps their runs.

    Args:
        office: What the coordinator's parts share.
        crew: Who does the work of runs.
    """

    def __init__(self, office: Office, crew: Crew) -> None:
        self._office = office
        self._crew = crew
        self._runs: dict[Digest, tuple[Plan, asyncio.Task[None]]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def submit(self, plan_envelope: bytes, manifest_envelope: bytes, *, refresh: bool = False) -> Digest:
        """Take a signed plan.

        Args:
            plan_envelope: DSSE envelope of the plan.
            manifest_envelope: DSSE envelope of its manifest.
            refresh: Ask afresh, at a new charge, even where the answer to the identical question is here.

        Returns:
            Digest of the plan whose run to watch: this one's, or that of a run of the identical question.

        Raises:
            FederatedError: It cannot be taken; names the rule.
        """
        office = self._office
        submission = await asyncio.to_thread(
            open_submission,
            plan_envelope,
            manifest_envelope,
            membership=office.membership,
            schema=office.schema,
            now=office.clock(),
        )
        self._check_reach(submission.plan)
        async with self._one_at_a_time:  # two identical questions at once would both be charged
            return await self._place(submission, refresh=refresh)

    def _check_reach(self, plan: Plan) -> None:
        """Refuse a question that could not be answered over this link, before any council is asked.

        Raises:
            PolicyRefusal: `mask_holder`.
        """
        if plan.holder is not None and not self._office.courier.reaches_holders:
            raise PolicyRefusal(
                RULE,
                f"The agreement names {plan.holder.name} as mask holder, and no mask holder is reached over Flower.",
                remedy="Ask over `coordinator serve`, to which mask holder and councils connect by themselves.",
            )

    async def ensure_watchable(self, plan_digest: Digest) -> None:
        """Make a proposal from before a restart visible on the board: its end, or that it goes on."""
        if not self._office.board.known(plan_digest):
            async with self._one_at_a_time:
                await self._show(plan_digest)

    async def _show(self, plan_digest: Digest) -> None:
        board = self._office.board
        row = await self._office.thread(self._office.store.proposals.get, plan_digest)
        if row is None or board.known(plan_digest):
            return
        board.begin(plan_digest)
        # What is open was under way when the coordinator stopped: `recover` goes on with it, or tells its end.
        if row.state not in OPEN:
            await self._tell_stored_end(plan_digest, row)

    async def recover(self) -> None:
        """After a start: end the rounds of whoever had the desk before, go on with proposals that were waiting."""
        office = self._office
        async with self._one_at_a_time:  # plans are handed in already, and may have begun a run here by now
            for found in await office.thread(office.store.rounds.running):
                if found.plan_digest not in self._runs:
                    await self._abandon(found)
                    await self._tell_watchers(found.plan_digest)
            waiting = await office.thread(office.store.proposals.in_states, sorted(WAITING))
            for row in waiting:
                if row.plan_digest not in self._runs:
                    await self._resume(row)

    async def stop(self) -> None:
        """Stop every run where it stands; `recover` goes on from there."""
        for _plan, task in self._runs.values():
            task.cancel()
        await asyncio.gather(*(task for _plan, task in self._runs.values()), return_exceptions=True)

    async def end_own_rounds(self) -> None:
        """End the rounds under way here, and tell their councils; run before the link closes."""
        office = self._office
        with suppress(DeskLost):  # then they are another coordinator's to end
            for found in await office.thread(office.store.rounds.running):
                await self._abandon(found)

    # --- what a submission leads to ---

    async def _place(self, submission: Submission, *, refresh: bool) -> Digest:
        plan = submission.plan
        known = await self._office.thread(self._office.store.proposals.get, plan.digest)
        if known is not None and known.state in WAITING and plan.digest not in self._runs:
            await self._continue(submission, known)
            return plan.digest
        if known is not None and known.state in {*OPEN, ProposalState.RELEASED}:
            await self._show(plan.digest)
            return plan.digest
        if not refresh:
            stored = await self._stored(plan)
            if stored is not None:
                self._office.board.begin(plan.digest)
                self._show_stored(plan.digest, stored)
                return plan.digest
            under_way = self._same_question(plan)
            if under_way is not None:
                return under_way
        if known is None:
            await self._accept(submission)
        else:
            await self._again(submission, known)
        return plan.digest

    async def _stored(self, plan: Plan) -> ReleaseRow | None:
        """The newest release of the identical question, put to the same councils under the same agreement."""
        row = await self._office.thread(self._office.store.releases.of_question, plan.query_digest)
        if row is None or row.agreement_id != plan.agreement_id:
            return None
        asked = {record.council for record in open_release(row.content).councils}
        return row if asked == set(plan.eligible) else None

    def _same_question(self, plan: Plan) -> Digest | None:
        for digest, (other, _task) in self._runs.items():
            same = (other.query_digest, other.agreement_digest) == (plan.query_digest, plan.agreement_digest)
            if same and digest != plan.digest:
                return digest
        return None

    async def _accept(self, submission: Submission) -> None:
        plan, now = submission.plan, self._office.clock()
        row = ProposalRow(
            plan_digest=plan.digest,
            query_digest=plan.query_digest,
            agreement_digest=plan.agreement_digest,
            analyst=submission.analyst,
            plan_envelope=submission.plan_envelope,
            manifest_envelope=submission.manifest_envelope,
            state=ProposalState.RECEIVED.value,
            received_at=now,
            changed_at=now,
            manifest_id=submission.manifest_id,
            return_by=plan.terms.return_by,
        )
        if not await self._office.thread(self._office.store.proposals.add, row):
            raise InternalError("The plan was kept by somebody else at the same moment.", remedy="Submit it again.")
        self._start(submission, row, ())

    async def _again(self, submission: Submission, known: ProposalRow) -> None:
        """Run a plan once more whose last round failed: its analyst has handed it in again, so means it."""
        plan, office = submission.plan, self._office
        if known.state != ProposalState.FAILED:
            raise PolicyRefusal(
                "plan_used",
                f"This plan was handed in before and is {known.state}: {known.reason}",
                remedy="Plan the question again, which makes a new plan.",
            )
        rounds = await office.thread(office.store.rounds.of_plan, plan.digest)
        if plan.most_rounds - len(rounds) < plan.rounds:
            raise PolicyRefusal(
                "attempts",
                f"This plan has had its {len(rounds)} attempt(s). {known.reason}",
                remedy="Plan the question again, which makes a new plan.",
            )
        state = next_state(ProposalState.FAILED, ProposalEvent.ASKED_AGAIN)
        row = replace(known, state=state.value, rule="", reason="", changed_at=office.clock())
        if not await office.thread(office.store.outcomes.moved, row, before=known.state):
            raise InternalError("The plan was moved by somebody else at the same moment.", remedy="Submit it again.")
        await self._continue(submission, row)

    def _show_stored(self, plan_digest: Digest, release: ReleaseRow) -> None:
        cut_off = release.data_cut_off or "not stated"
        self._office.board.publish(
            plan_digest,
            RunStage.PUBLISHED,
            message=f"This is the stored answer to the identical question, at no cost. Data cut-off: {cut_off}.",
            final=True,
            release_digest=release.digest,
        )

    # --- runs ---

    def _start(self, submission: Submission, row: ProposalRow, kept: tuple[DecisionRow, ...]) -> None:
        digest = submission.plan.digest
        self._office.board.begin(digest)
        self._office.board.publish(digest, RunStage.ACCEPTED, message="The plan is accepted.")
        task = asyncio.create_task(self._guard(submission, row, kept), name=f"proposal {digest.hex()[:12]}")
        self._runs[digest] = (submission.plan, task)

        def forget(_task: asyncio.Task[None]) -> None:
            self._runs.pop(digest, None)

        task.add_done_callback(forget)

    async def _guard(self, submission: Submission, row: ProposalRow, kept: tuple[DecisionRow, ...]) -> None:
        """Let nothing that goes wrong in one run reach another, or leave its watchers waiting."""
        digest = submission.plan.digest
        try:
            await self._see_through(submission, row, kept)
        except DeskLost as error:
            self._office.board.publish(
                digest, RunStage.ABORTED, rule="coordinator_stopped", message=error.diagnostics(), final=True
            )
            return
        except FederatedError as error:
            self._office.note("run_failed", {"plan": digest.hex(), "code": error.code})
            message = error.diagnostics()
        except Exception as error:  # noqa: BLE001 - the outermost loop of a run: its watchers must be told
            self._office.note("run_failed", {"plan": digest.hex(), "code": type(error).__name__, "at": place(error)})
            message = (
                f"Something unexpected happened in the coordinator ({type(error).__name__} at {place(error)}). "
                "Please report it, with this line."
            )
        else:
            return
        with suppress(DeskLost):  # then it is another coordinator's to end
            await self._found_again(digest, rule="coordinator_stopped", reason=STOPPED)
        # Only now: whoever hears that it is over finds it so in the store.
        self._office.board.publish(digest, RunStage.ABORTED, rule="internal", message=message, final=True)

    async def _see_through(self, submission: Submission, row: ProposalRow, kept: tuple[DecisionRow, ...]) -> None:
        """Let a run go to its end, over and over while the database cannot be used in between."""
        digest = submission.plan.digest
        while not await self._run(ProposalRun(self._office, self._crew, submission, row, kept), digest):
            await asyncio.sleep(_TRY_AGAIN_S)
            row, kept = await self._found_again(digest, rule="database", reason=UNWRITTEN)
            if row.state not in WAITING:
                await self._tell_stored_end(digest, row)
                return

    async def _run(self, run: ProposalRun, digest: Digest) -> bool:
        """Let a run go to its end; False where the database could not be used, which may pass."""
        try:
            await run.run()
        except DatabaseProblem as problem:
            self._office.note("run_failed", {"plan": digest.hex(), "code": problem.code})
            message = "The coordinator's database cannot be used at the moment; the coordinator goes on once it can."
            self._office.board.publish(digest, RunStage.PROPOSED, rule="database", message=message)
            return False
        return True

    async def _found_again(
        self, digest: Digest, *, rule: str, reason: str
    ) -> tuple[ProposalRow, tuple[DecisionRow, ...]]:
        """Where a proposal stands whose run was cut off, its open round ended; waits for a database that fails.

        Without that a round would stay open, and nobody be told how the question ended, until the next start.
        """
        office = self._office
        while True:
            try:
                await self._end_round_of(digest, rule=rule, reason=reason)
                row = await office.thread(office.store.proposals.get, digest)
                kept = await office.thread(office.store.proposals.decisions, digest)
            except DatabaseProblem:
                await asyncio.sleep(_TRY_AGAIN_S)
                continue
            if row is None:
                raise InternalError("A proposal is gone from the store.")
            return row, kept

    async def _tell_watchers(self, digest: Digest) -> None:
        """Tell the end of a proposal to whoever asked for it before `recover` came to it."""
        row = await self._office.thread(self._office.store.proposals.get, digest)
        if row is not None and row.state not in OPEN and self._office.board.known(digest):
            await self._tell_stored_end(digest, row)

    async def _tell_stored_end(self, digest: Digest, row: ProposalRow) -> None:
        release = await self._office.thread(self._office.store.releases.of_plan, digest)
        if release is None:
            self._office.board.publish(digest, RunStage.ABORTED, rule=row.rule, message=row.reason, final=True)
        else:
            self._show_stored(digest, release)

    async def _end_round_of(self, digest: Digest, *, rule: str, reason: str) -> None:
        """End what a run has left open when it failed in the middle of a round."""
        for found in await self._office.thread(self._office.store.rounds.of_plan, digest):
            if found.outcome == "running":
                await self._abandon(found, rule=rule, reason=reason)

    async def _abandon(self, found: RoundRow, *, rule: str = "coordinator_stopped", reason: str = STOPPED) -> None:
        office = self._office
        proposal = await office.thread(office.store.proposals.get, found.plan_digest)
        if proposal is None:
            return
        now = office.clock()
        ended = replace(found, ended_at=now, outcome="aborted", reason=reason)
        failed = next_state(ProposalState.RUNNING, ProposalEvent.ROUND_FAILED)
        row = replace(proposal, state=failed.value, rule=rule, reason=reason, changed_at=now)
        if await office.thread(office.store.outcomes.aborted, row, ended, before=ProposalState.RUNNING.value):
            office.note("round_abandoned", {"sid": found.sid.hex()})
            decisions = await office.thread(office.store.proposals.decisions, found.plan_digest)
            councils = [decision.council for decision in decisions if decision.decision == "approved"]
            office.background(self._crew.driver.abort(found.sid, councils, reason))
            signed = office.membership.agreements.get(proposal.agreement_digest)
            holder = None if signed is None else holder_identity(signed.agreement)
            if holder is not None:
                office.background(self._crew.holding.let_go(found.sid, holder, reason))

    async def _resume(self, row: ProposalRow) -> None:
        office = self._office
        try:
            submission = await asyncio.to_thread(
                open_submission,
                row.plan_envelope,
                row.manifest_envelope,
                membership=office.membership,
                schema=office.schema,
                now=office.clock(),
            )
            self._check_reach(submission.plan)
        except FederatedError as error:
            state = next_state(ProposalState(row.state), ProposalEvent.OVERTAKEN)
            rule = error.rule if isinstance(error, PolicyRefusal) else error.code
            ended = replace(row, state=state.value, rule=rule, reason=error.diagnostics(), changed_at=office.clock())
            await office.thread(office.store.outcomes.moved, ended, before=row.state)
            await self._tell_watchers(row.plan_digest)
            return
        await self._continue(submission, row)

    async def _continue(self, submission: Submission, row: ProposalRow) -> None:
        office = self._office
        self._start(submission, row, await office.thread(office.store.proposals.decisions, row.plan_digest))
