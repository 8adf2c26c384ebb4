"""The coordinator's half of a simulation at work: the link in this process, and `Hub`, which asks the questions."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from coordinator.centre import Centre
from coordinator.council_link import CouncilLink, InProcessLink
from coordinator.link_connection import Record
from coordinator.office import Note, Office
from coordinator.progress import Step
from coordinator.roster import load_membership
from coordinator.round_stages import STAGES
from coordinator.simulation_figures import Integers, SimulatedRound, Traffic, as_sent, exact_vector
from coordinator.simulation_files import PATIENCE_S, Answer, World, plan_of, terms_of
from federated.budget_statement import STATEMENT_KIND, committed, read_statement
from federated.demo.papers import manifest_payload
from federated.errors import RoundAborted
from federated.iteration import Iteration
from federated.keys import trusted_keys
from federated.manifest import MANIFEST_TYPE
from federated.plan import PLAN_TYPE, Plan
from federated.planner import worst_totals
from federated.privacy import Totals
from federated.query import Query
from federated.release import Release, open_release
from federated.schema import load_schema
from federated.signing import open_envelope, sign_payload, statement_type
from federated.statistics.without_noise import fit_without_noise
from protocols.identifiers import CouncilId, Digest, RoundId
from protocols.wire.link_message import Kind, LinkMessage, fault

__all__ = ["Hub", "Lines", "LossyLink"]


class LossyLink(Protocol):
    """A simulation's link, which loses councils when told."""

    @property
    def link(self) -> CouncilLink:
        """To the councils."""

    def lose(self, councils: Sequence[CouncilId]) -> None:
        """Have these councils' connections break when they are next asked for their masked input."""

    def find_again(self) -> None:
        """Connect every council that was lost again."""


class Lines:
    """The in-process link of a simulation: it counts bytes, shows them to a recorder, and loses councils when told.

    Args:
        nodes: Each council's node.
        threads: Councils that may be answering at the same moment.
        record: Shown every request and every reply.
    """

    def __init__(
        self, nodes: Mapping[CouncilId, Answer], *, threads: int, record: Record = lambda _way, _council, _bytes: None
    ) -> None:
        answers = {council: partial(self._answer, council, node) for council, node in nodes.items()}
        self.link = InProcessLink(answers, threads=threads)
        self.traffic = {council: Traffic() for council in nodes}
        self._record = record
        self._loop = asyncio.get_running_loop()
        self._losing: frozenset[CouncilId] = frozenset()

    def lose(self, councils: Sequence[CouncilId]) -> None:
        """Have these councils' connections break when they are next asked for their masked input."""
        self._losing = frozenset(councils)

    def find_again(self) -> None:
        """Connect every council that was lost again."""
        for council in self._losing:
            self.link.reconnect(council)
        self._losing = frozenset()

    def _answer(self, council: CouncilId, node: Answer, request: bytes) -> bytes:
        self._record("sent", council, request)
        self.traffic[council].received += len(request)
        if council in self._losing and LinkMessage.decode(request).kind is Kind.SHARES:
            self._loop.call_soon_threadsafe(self.link.disconnect, council)
            return fault(LinkMessage.decode(request).reference, "lost", "This never arrives.").encode()
        reply = node(request)
        self.traffic[council].sent += len(reply)
        self._record("received", council, reply)
        return reply


class Hub:
    """A coordinator at work over a link, with an analyst beside it; use it as an async context manager.

    Args:
        world: The federation.
        link: To its councils.
        note: Where the coordinator's events go.
    """

    def __init__(self, world: World, link: CouncilLink, *, note: Note) -> None:
        self._world = world
        made = world.centre_files
        self._office = Office(
            settings=made.settings,
            store=made.store,
            link=link,
            schema=load_schema(),
            clock=world.clock,
            rng=world.rng,
            membership=load_membership(made.settings, made.store, world.clock()),
            note=note,
        )
        self._centre = Centre(self._office, greet=False)

    async def __aenter__(self) -> Self:
        """Start the coordinator."""
        await self._centre.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        await self._centre.stop()

    async def ask(self, question: Query, *, refresh: bool = True) -> SimulatedRound:
        """Plan a question, have it answered, and hold the answer against the truth.

        Args:
            question: One of the scenario's.
            refresh: Whether it is answered afresh, at its cost, though the identical question has an answer in store.

        Raises:
            RoundAborted: There was no answer; says why.
        """
        world = self._world
        began = time.perf_counter()
        manifest = manifest_payload("simulated", question, today=world.clock().date())
        plan = await self._plan(question, manifest)
        planned = time.perf_counter()
        analyst = [world.people.analyst]
        digest = await self._centre.desk.submit(
            sign_payload(plan.encode(), PLAN_TYPE, analyst),
            sign_payload(manifest, MANIFEST_TYPE, analyst),
            refresh=refresh,
        )
        last = await self._follow(digest)
        answered = time.perf_counter()
        if last.release_digest is None:
            raise RoundAborted(f"'{question.title}' got no answer: {last.message}")
        row = world.centre_files.store.releases.get(last.release_digest)
        if row is None:
            raise RoundAborted(f"The answer to '{question.title}' is not in the store.")
        release = open_release(row.content)
        inside = [CouncilId(record.council) for record in release.councils if record.outcome == "contributed"]
        seconds = self._seconds(release, planned - began, answered - planned)
        if release.rounds:

            def count(at: tuple[int, ...]) -> Integers:
                tables = plan.tables_at(Iteration(number=plan.rounds, coefficients=at))
                total = np.zeros(plan.cells, dtype=np.int64)
                for council in inside:
                    total += exact_vector(world.cases[council], question, tables)
                return total

            at_end = release.rounds[-1].coefficients
            [only] = plan.tables
            fitted = fit_without_noise(only.table, only.layout, lambda at: count(at).astype(np.float64))
            return SimulatedRound(plan=plan, release=release, exact=count(at_end), seconds=seconds, fitted=fitted)
        exact = world.exact[question]
        return SimulatedRound(
            plan=plan,
            release=release,
            exact=as_sent(sum((exact[council] for council in inside), start=0 * exact[inside[0]]), plan.tables),
            seconds=seconds,
        )

    async def settle(self) -> None:
        """Wait until every council has its answer and its receipt is kept."""
        await self._office.settle(timeout_s=PATIENCE_S)

    async def _plan(self, question: Query, manifest: bytes) -> Plan:
        world, made = self._world, self._world.centre_files
        return plan_of(
            question,
            agreement=made.agreement,
            roster=made.roster,
            terms=terms_of(made.agreement, manifest, now=world.clock(), rng=world.rng),
            mechanism=world.scenario.mechanism,
            worst=await self._worst(),
        )

    async def _worst(self) -> Totals:
        """The worst ledger state of the councils."""
        return worst_totals(list((await self.spent()).values()))

    async def spent(self) -> dict[CouncilId, Totals]:
        """What each council has spent and reserved this year, from the signed statement of its own ledger."""
        made = self._world.centre_files
        envelopes = await self._centre.budgets.statements(tuple(self._world.councils))
        period = str(self._world.clock().year)
        found = {}
        for council, envelope in envelopes.items():
            keys = trusted_keys(made.roster.councils[council].public_key)
            opened = open_envelope(envelope, statement_type(STATEMENT_KIND), keys)
            statement = read_statement(opened.payload, council=council)
            found[council] = committed(statement, made.agreement.id, period)
        return found

    async def _follow(self, digest: Digest) -> Step:
        """The last step of a run; when it is a failure, with the first reason a council gave."""
        last: Step | None = None
        first = ""
        async for step in self._office.board.watch(digest):
            last = step
            if step.council is not None and step.message and not first:
                first = f" {step.council} said: {step.message}"
        if last is None:
            raise RoundAborted("The run said nothing at all.")
        return last if last.release_digest is not None else replace(last, message=last.message + first)

    def _seconds(self, release: Release, planning: float, asking: float) -> dict[str, float]:
        """Seconds by step: the stages as the store keeps them, and what comes before and after them."""
        rows = self._world.centre_files.store.rounds.stages(RoundId(bytes.fromhex(release.sid)))
        stages = {row.stage: row.microseconds / 1_000_000 for row in rows}
        in_order = {stage.stage.label: stages[stage.stage.label] for stage in STAGES}
        return {"plan": planning, **in_order, "decide, combine and publish": asking - sum(in_order.values())}
