"""What a person sees of a run: one step after another, the same for every watcher, kept while the run lasts."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Final

from federated.errors import QueryError
from protocols.identifiers import CouncilId, Digest

__all__ = ["BEHIND", "IN_ORDER", "CouncilState", "ProgressBoard", "RunStage", "Step"]

ENDED_KEPT = 200
"""Runs that have ended and can still be watched from their first step."""

BEHIND = 20
"""A watcher with more steps than these ahead of it has fallen behind."""


class RunStage(IntEnum):
    """Where a run stands; the numbers are those of the analyst's service."""

    ACCEPTED = 1
    PROPOSED = 2
    ADVERTISE_KEYS = 3
    SHARE_KEYS = 4
    MASKED_INPUT = 5
    CONSISTENCY_CHECK = 6
    UNMASK = 7
    PUBLISHED = 8
    ABORTED = 9
    OPENING = 10

    @property
    def label(self) -> str:
        """The stage in words."""
        return self.name.lower().replace("_", " ")


IN_ORDER: Final = (
    *(stage for stage in RunStage if stage <= RunStage.CONSISTENCY_CHECK),
    RunStage.OPENING,
    *(stage for stage in RunStage if RunStage.CONSISTENCY_CHECK < stage < RunStage.OPENING),
)
"""The stages as they follow one another: the numbers of those after the mask holder's were given out before it was."""


class CouncilState(IntEnum):
    """Where a council stands in a stage; the numbers are those of the analyst's service."""

    NONE = 0
    ASKED = 1
    APPROVED = 2
    PENDING = 3
    REFUSED = 4
    ANSWERED = 5
    SILENT = 6
    COMPLAINED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a run; `council` is None where it concerns the run as a whole."""

    sequence: int
    at: datetime
    stage: RunStage
    council: CouncilId | None = None
    council_state: CouncilState = CouncilState.NONE
    rule: str = ""
    message: str = ""
    answered: int = 0
    asked: int = 0
    final: bool = False
    release_digest: Digest | None = None


@dataclass(slots=True)
class _Run:
    steps: list[Step] = field(default_factory=list)
    waiting: list[asyncio.Future[None]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return bool(self.steps) and self.steps[-1].final

    def wake(self) -> None:
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class ProgressBoard:
    """Every run's steps; used from one event loop.

    Args:
        clock: Gives the time of a step.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._runs: OrderedDict[Digest, _Run] = OrderedDict()

    def known(self, plan_digest: Digest) -> bool:
        """Whether there is anything to watch."""
        return plan_digest in self._runs

    def begin(self, plan_digest: Digest) -> None:
        """Start a run afresh, unless one is under way; forget runs that ended long ago."""
        run = self._runs.get(plan_digest)
        if run is None or run.ended:
            self._runs[plan_digest] = _Run()
            self._runs.move_to_end(plan_digest)
        for digest in [digest for digest, run in self._runs.items() if run.ended][:-ENDED_KEPT]:
            del self._runs[digest]

    def publish(
        self,
        plan_digest: Digest,
        stage: RunStage,
        *,
        council: CouncilId | None = None,
        state: CouncilState = CouncilState.NONE,
        rule: str = "",
        message: str = "",
        answered: int = 0,
        asked: int = 0,
        final: bool = False,
        release_digest: Digest | None = None,
    ) -> None:
        """Add a step and wake every watcher; nothing follows a final one."""
        run = self._runs[plan_digest]
        if run.ended:
            return
        step = Step(
            sequence=len(run.steps) + 1,
            at=self._clock(),
            stage=stage,
            council=council,
            council_state=state,
            rule=rule,
            message=message,
            answered=answered,
            asked=asked,
            final=final,
            release_digest=release_digest,
        )
        run.steps.append(step)
        run.wake()

    async def watch(self, plan_digest: Digest, *, after: int = 0) -> AsyncIterator[Step]:
        """Every step after the one numbered `after`, as they come, until the run has ended.

        A watcher that has fallen behind is spared the councils' mere answers, so that it soon sees where the run is:
        over a busy link, the answers of many rounds at once would put their ends off by a minute.

        Raises:
            QueryError: No such run is known here.
        """
        run = self._runs.get(plan_digest)
        if run is None:
            raise QueryError("No run of this plan is known here.", remedy="Submit the plan first.")
        position = after
        while True:
            while position < len(run.steps):
                position += 1
                step = run.steps[position - 1]
                if step.council_state is CouncilState.ANSWERED and len(run.steps) - position > BEHIND:
                    continue
                yield step
            if run.ended:
                return
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            run.waiting.append(future)
            await future
