"""Step 7 of 8: the round driver. In: `RoundOrder`. Out: `RoundReport`, with the sum when there is one.

Drives the stages of `coordinator.round_stages` over a link. What may be summed is decided by the `Aggregator` and by
every node; the driver moves bytes, keeps deadlines, and says what became of each council. It touches no database:
whoever orders a round records it first and its report afterwards.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress

from coordinator.courier import Answer, Courier
from coordinator.holding import RULE, Holding, NotHeld
from coordinator.office import StillActing, alone
from coordinator.patience import Patience
from coordinator.progress import CouncilState, ProgressBoard, RunStage
from coordinator.replies import Objection, read_complaint, read_refusal
from coordinator.round_report import Outcome, RoundOrder, RoundReport, StageEnd, StageTime, Standing
from coordinator.round_stages import STAGES, RoundStage
from coordinator.settings import StageTimeouts
from federated.errors import FileProblem, SignatureProblem
from protocols.encoding import canonical_json
from protocols.errors import RemoteProtocolError
from protocols.identifiers import CouncilId, RoundId
from protocols.secagg import Aggregator, BelowThreshold, CohortRuleBroken, SecureSum, sum_masks
from protocols.secagg.mask_removal import MaskSum
from protocols.wire.link_message import Kind, LinkMessage

__all__ = ["RoundDriver"]


class RoundDriver:
    """Runs rounds, one call of `run` for each.

    Args:
        courier: To the councils.
        timeouts: Deadlines.
        board: Where people watch.
        still_acting: Asked before the stages that `RoundStage.must_act` names.
        sum_of: Sums masks when the round finishes; see `protocols.secagg.sum_masks`.
    """

    def __init__(
        self,
        courier: Courier,
        *,
        timeouts: StageTimeouts,
        board: ProgressBoard,
        still_acting: StillActing = alone,
        sum_of: MaskSum = sum_masks,
    ) -> None:
        self._courier = courier
        self._timeouts = timeouts
        self._board = board
        self._still_acting = still_acting
        self._sum_of = sum_of

    async def run(self, order: RoundOrder, *, ended: Callable[[StageEnd], None] = lambda _stage: None) -> RoundReport:
        """Drive one round to its end, whichever that is.

        Args:
            order: The round, recorded already: a crash must find it.
            ended: Told of each stage but the last as it ends; it must not wait for anything.
        """
        drive = _Drive(
            order, self._courier, self._timeouts, self._board, still_acting=self._still_acting, sum_of=self._sum_of
        )
        return await drive.run(ended)

    async def abort(self, sid: RoundId, councils: Sequence[CouncilId], reason: str) -> None:
        """Tell councils that a round is over for them: what they reserved is free, what they spent stays spent."""
        payload = canonical_json({"version": 1, "reason": reason})
        payloads = dict.fromkeys(councils, payload)
        asking = self._courier.ask(Kind.ABORT, sid, payloads, timeout_s=self._timeouts.delivery)
        async with aclosing(asking) as answers:
            async for _council, _answer in answers:
                pass  # whether a node says so or not, the round is over


class _Drive:
    """One round under way."""

    def __init__(
        self,
        order: RoundOrder,
        courier: Courier,
        timeouts: StageTimeouts,
        board: ProgressBoard,
        *,
        still_acting: StillActing,
        sum_of: MaskSum,
    ) -> None:
        self._order = order
        self._plan_digest = order.plan.digest  # worked out from the plan's bytes each time it is asked for
        self._courier = courier
        self._holding = Holding(courier, timeouts)
        self._timeouts = timeouts
        self._board = board
        self._still_acting = still_acting
        self._sum_of = sum_of
        self._aggregator = Aggregator(order.context())
        self._stage = STAGES[0].stage
        self._charged = False
        self._joined: frozenset[CouncilId] = frozenset()
        self._lost: dict[CouncilId, Standing] = {}
        self._answered: set[CouncilId] = set()
        self._times: list[StageTime] = []

    async def run(self, ended: Callable[[StageEnd], None]) -> RoundReport:
        requests: Mapping[CouncilId, bytes] = dict.fromkeys(self._order.councils, self._order.invitation())
        try:
            for stage in STAGES:
                self._stage = stage.stage
                if stage.must_act:
                    await self._still_acting()
                requests = await self._run_stage(stage, requests)
                if requests:
                    ended(self._stage_end())
                if stage.stage is RunStage.CONSISTENCY_CHECK:
                    await self._have_opened()
            result = await asyncio.to_thread(self._aggregator.finish, self._sum_of)
        except NotHeld as problem:
            return self._report(None, rule=RULE, reason=problem.reason)
        except RemoteProtocolError as problem:
            return self._failed(problem)
        except FileProblem as problem:
            # Before anything of the stage has left: what councils had not spent is still theirs.
            return self._report(None, rule="coordinator_stopped", reason=problem.diagnostics())
        for council in result.bad_responders:
            self._lose(council, "shares", "It revealed key shares other than those it was dealt.", outcome="dropped")
        return self._report(result)

    def _failed(self, problem: RemoteProtocolError) -> RoundReport:
        """What ended the round, and at whose fault where that can be told."""
        reason = _sentence(problem)
        if problem.culprit in self._order.councils:
            # It may have been lost for its silence before; what ended the round is what it is remembered for.
            self._lost.pop(CouncilId(str(problem.culprit)), None)
            self._lose(CouncilId(str(problem.culprit)), "protocol", reason, outcome="dropped")
        below = "below_threshold" if isinstance(problem, BelowThreshold) else "protocol"
        return self._report(None, rule=problem.rule if isinstance(problem, CohortRuleBroken) else below, reason=reason)

    async def _run_stage(self, stage: RoundStage, requests: Mapping[CouncilId, bytes]) -> Mapping[CouncilId, bytes]:
        started = asyncio.get_running_loop().time()
        self._answered = set()
        self._charged = self._charged or stage.request is Kind.SHARES
        self._tell(stage.stage, asked=len(requests), message=f"Asking {len(requests)} councils.")
        try:
            await self._collect(stage, requests)
            if stage.close is None:
                return {}
            following = await asyncio.to_thread(stage.close, self._aggregator)
            if stage.stage is RunStage.ADVERTISE_KEYS:
                self._joined = frozenset(following)
            return following
        finally:
            self._note_time(started, asked=len(requests))

    def _note_time(self, started: float, *, asked: int) -> None:
        passed = asyncio.get_running_loop().time() - started
        self._times.append(
            StageTime(
                stage=self._stage,
                microseconds=round(passed * 1_000_000),
                asked=asked,
                answered=len(self._answered),
            )
        )

    async def _have_opened(self) -> None:
        """Where the agreement names a mask holder: no council shows what unmasks the sum before it has opened it.

        Raises:
            NotHeld: It is away, refuses, or opened something else.
        """
        holder = self._order.plan.holder
        if holder is None:
            return
        started = asyncio.get_running_loop().time()
        self._stage = RunStage.OPENING
        self._answered = set()
        await self._still_acting()
        self._tell(self._stage, asked=1, message=f"Opening by {holder.name}.")
        try:
            request = await asyncio.to_thread(self._aggregator.opening_request)
            opening = await self._holding.open(self._order.sid, holder, request)
            await asyncio.to_thread(self._aggregator.receive_opening, opening)
            self._answered = {holder.id}
        except RemoteProtocolError as problem:
            raise NotHeld("protocol", f"What the mask holder {holder.name} opened is false: {problem}.") from problem
        finally:
            self._note_time(started, asked=1)

    async def _collect(self, stage: RoundStage, requests: Mapping[CouncilId, bytes]) -> None:
        """Send the requests and take replies until all have answered, the deadline, or nobody is worth waiting for."""
        waiting = set(requests)
        seconds = stage.seconds(self._timeouts)
        # A timeout that patience sets is no failure: the stage goes on with those who answered.
        with suppress(TimeoutError):
            async with asyncio.timeout(None) as limit:
                asking = self._courier.ask(stage.request, self._order.sid, requests, timeout_s=seconds)
                async with aclosing(asking) as answers:
                    with self._patience(stage, limit, waiting) as patience:
                        async for council, answer in answers:
                            waiting.discard(council)
                            self._take(stage, council, answer, asked=len(requests))
                            if stage.threshold_is_enough and patience.over:
                                break
        for council in sorted(waiting):
            self._silent(stage, council)

    def _stage_end(self) -> StageEnd:
        answered, lost = frozenset(self._answered), dict(self._lost)
        return StageEnd(order=self._order, stage=self._stage, answered=answered, lost=lost)

    def _patience(self, stage: RoundStage, limit: asyncio.Timeout, waiting: set[CouncilId]) -> Patience:
        def enough() -> bool:
            return stage.threshold_is_enough and len(self._answered) >= self._aggregator.thresholds.t

        return Patience(
            limit,
            waiting=waiting,
            connected=self._courier.connected,
            reconnect_s=self._timeouts.reconnect,
            enough=enough,
        )

    def _take(self, stage: RoundStage, council: CouncilId, answer: Answer, *, asked: int) -> None:
        try:
            if isinstance(answer, LinkMessage) and answer.kind is stage.reply:
                stage.receive(self._aggregator, council, answer.payload)
                self._answered.add(council)
                self._tell(stage.stage, council=council, state=CouncilState.ANSWERED, asked=asked)
                return
            objection = answer if isinstance(answer, Objection) else self._objection(answer, council)
            refused = isinstance(answer, LinkMessage) and answer.kind is Kind.REFUSAL
        except (RemoteProtocolError, SignatureProblem) as problem:
            objection = Objection(rule="protocol", reason=_sentence(problem))
            refused = False
        self._lose(council, objection.rule, objection.reason, outcome="refused" if refused else "dropped")
        self._tell_lost(stage, council, CouncilState.REFUSED if refused else CouncilState.COMPLAINED)

    def _objection(self, message: LinkMessage, council: CouncilId) -> Objection:
        read = read_refusal if message.kind is Kind.REFUSAL else read_complaint
        return read(message.payload, council=council, key=self._order.key(council), sid=self._order.sid)

    def _silent(self, stage: RoundStage, council: CouncilId) -> None:
        if stage.threshold_is_enough:
            return  # its input is in the sum, or the round has failed for everybody
        invited = self._stage is RunStage.ADVERTISE_KEYS
        reason = f"No answer came in the stage '{stage.stage.label}'."
        self._lose(council, "silent", reason, outcome="unreachable" if invited else "dropped")
        self._tell_lost(stage, council, CouncilState.SILENT)

    def _lose(self, council: CouncilId, rule: str, reason: str, *, outcome: Outcome) -> None:
        joined = self._stage is not RunStage.ADVERTISE_KEYS
        standing = Standing(joined=joined, outcome=outcome, stage=self._stage, rule=rule, reason=reason)
        self._lost.setdefault(council, standing)

    def _standing(self, council: CouncilId, result: SecureSum | None) -> Standing:
        lost = self._lost.get(council)
        if result is not None and council in result.u3:
            found = "" if lost is None else lost.reason
            return Standing(joined=True, outcome="contributed", stage=RunStage.UNMASK, reason=found)
        if lost is not None:
            return lost
        return Standing(
            joined=council in self._joined,
            outcome="dropped",
            stage=self._stage,
            rule="round",
            reason="The round ended before its figures could be added.",
        )

    def _report(self, result: SecureSum | None, *, rule: str = "", reason: str = "") -> RoundReport:
        return RoundReport(
            order=self._order,
            result=result,
            standings={council: self._standing(council, result) for council in self._order.councils},
            stage=self._stage,
            charged=self._charged,
            rule=rule,
            reason=reason,
            times=tuple(self._times),
        )

    def _tell_lost(self, stage: RoundStage, council: CouncilId, state: CouncilState) -> None:
        lost = self._lost[council]
        self._tell(stage.stage, council=council, state=state, rule=lost.rule, message=lost.reason)

    def _tell(
        self,
        stage: RunStage,
        *,
        council: CouncilId | None = None,
        state: CouncilState = CouncilState.NONE,
        rule: str = "",
        message: str = "",
        asked: int = 0,
    ) -> None:
        self._board.publish(
            self._plan_digest,
            stage,
            council=council,
            state=state,
            rule=rule,
            message=message,
            answered=len(self._answered),
            asked=asked,
        )


def _sentence(problem: Exception) -> str:
    text = str(problem)
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
