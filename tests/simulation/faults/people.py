"""The analysts of a history: they hand questions in, again where no answer comes, watch, and sometimes withdraw.

They reach the coordinator over a network of their own, which loses requests and replies.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from coordinator.progress import RunStage, Step
from coordinator.proposal_states import WAITING, ProposalEvent, ProposalState, next_state
from federated.errors import FederatedError, QueryError
from protocols.identifiers import Digest
from tests.integration.federation_world import Proposal
from tests.simulation.faults.parties import CoordinatorMachine
from tests.simulation.faults.world import Shared


class Lost(Exception):
    """No reply came."""


class Analyst:
    """One question and whoever asks it.

    Attributes:
        end: The last step they saw, once their question has ended.
        refused: Why it was not taken.
    """

    def __init__(self, shared: Shared, coordinator: CoordinatorMachine, proposal: Proposal, *, refresh: bool) -> None:
        self._shared = shared
        self._coordinator = coordinator
        self.proposal = proposal
        self.refresh = refresh
        self.withdraw_after: float | None = None
        self.ask_again = False
        self.end: Step | None = None
        self.refused: FederatedError | None = None

    async def ask(self) -> None:
        """Hand the question in and follow it to its end, through whatever happens."""
        again = int(self.ask_again)
        while True:
            self.end = await self._one_run()
            if self.end is None:
                return
            self._look(self.end)
            if self.end.stage is RunStage.PUBLISHED or self.end.rule == "withdrawn" or not again:
                return
            again -= 1
            self._shared.tell("analyst asks again", self.proposal.plan.digest.hex()[:8])

    async def _one_run(self) -> Step | None:
        while True:
            try:
                digest = await self._submit()
                if self.withdraw_after is not None:
                    await self._withdraw(digest)
                return await self._follow(digest)
            except Lost:
                await asyncio.sleep(1 + self._shared.chance.random())
            except QueryError:  # it is not known there: it never arrived
                await asyncio.sleep(1)
            except FederatedError as refusal:
                if refusal.code in {"internal", "file"}:  # the coordinator's own trouble, which passes
                    await asyncio.sleep(5)
                    continue
                self.refused = refusal
                self._shared.tell("refused", self.proposal.plan.digest.hex()[:8], refusal.code)
                self._shared.require(bool(refusal.diagnostics().strip()), "a submission was refused without a reason")
                return None

    async def _submit(self) -> Digest:
        envelopes = self.proposal.envelope, self.proposal.manifest
        machine = self._coordinator

        async def submit() -> Digest:
            assert machine.centre is not None
            return await machine.centre.desk.submit(*envelopes, refresh=self.refresh)

        digest = await self._call(submit)
        self._shared.tell("submitted", self.proposal.plan.digest.hex()[:8], digest.hex()[:8])
        return digest

    async def _withdraw(self, digest: Digest) -> None:
        assert self.withdraw_after is not None
        await asyncio.sleep(self.withdraw_after)
        self.withdraw_after = None
        machine = self._coordinator

        async def withdraw() -> None:
            # As `coordinator withdraw`, which works on the same database beside the running coordinator.
            assert machine.office is not None
            store = machine.office.store
            row = store.proposals.get(digest)
            if row is not None and row.state in WAITING:
                state = next_state(ProposalState(row.state), ProposalEvent.WITHDRAWN)
                moved = replace(
                    row,
                    state=state.value,
                    rule="withdrawn",
                    reason="Withdrawn: changed our mind",
                    changed_at=machine.clock(),
                )
                self._shared.tell("withdrawn", store.outcomes.moved(moved, before=row.state))

        await self._call(withdraw)

    async def _follow(self, digest: Digest) -> Step:
        machine = self._coordinator

        async def watch() -> Step | None:
            assert machine.centre is not None
            assert machine.office is not None
            await machine.centre.desk.ensure_watchable(digest)
            last: Step | None = None
            async with aclosing(machine.office.board.watch(digest)) as steps:
                async for step in steps:
                    last = step
            return last

        last = await self._call(watch, timeout_s=None)
        if last is None:
            raise Lost
        return last

    async def _call(self, make: Callable[[], Coroutine[Any, Any, Any]], *, timeout_s: float | None = 30) -> Any:
        """Have the coordinator do something on our behalf.

        Raises:
            Lost: It is not there, died meanwhile, or a message was lost.
        """
        shared, machine = self._shared, self._coordinator
        if not machine.alive or shared.happens(shared.menu.drop):
            await asyncio.sleep(2)
            raise Lost
        life = machine.life
        task = machine.spawn(make())
        await asyncio.wait({task}, timeout=timeout_s)
        if machine.life != life or not machine.alive or not task.done() or task.cancelled():
            raise Lost
        if shared.happens(shared.menu.drop):
            raise Lost
        return task.result()

    def _look(self, end: Step) -> None:
        shared = self._shared
        shared.tell("end", self.proposal.plan.digest.hex()[:8], end.stage.name, end.rule)
        shared.record.count(f"ended: {end.stage.name.lower()} {end.rule}".strip())
        if end.stage is RunStage.PUBLISHED:
            shared.require(end.release_digest is not None, "an answer was announced without its digest")
            if end.release_digest is not None:
                shared.record.published[end.release_digest] = self.proposal.plan.query_digest
        else:
            shared.require(bool(end.message.strip()), "a question ended without a reason")
            shared.require(bool(end.rule.strip()), "a question ended without a rule")
