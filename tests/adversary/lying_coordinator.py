"""The real coordinator, with one lie between its driver and real council nodes.

`Liar` asks a question as the coordinator does: its own courier, round driver and aggregator, over the in-process link,
of nodes with ledgers on SQLite. A `Lie` sees every request on its way and may put another in its place, or send more.
Like any dishonest coordinator, the liar keeps every byte that a node ever answered.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest

from coordinator.choices import Decision, approvals
from coordinator.collecting import proposal_payload
from coordinator.council_link import InProcessLink
from coordinator.courier import Courier
from coordinator.holding import Holding, NotHeld
from coordinator.progress import ProgressBoard
from coordinator.publish import release_of
from coordinator.replies import read_decision
from coordinator.round_report import RoundOrder, RoundReport
from coordinator.rounds import RoundDriver
from coordinator.settings import StageTimeouts
from council_node import contribution
from federated.query import Query
from protocols.envelope import SignedMessage
from protocols.errors import MalformedMessage
from protocols.identifiers import CouncilId, Digest
from protocols.masks import MaskKey
from protocols.secagg import RoundContext, Stage, participant
from protocols.secagg.messages import KeyShare, decode_survivors
from protocols.secagg.participant_states import Advertised, ReadyToMask, SharedKeys
from protocols.secagg.transcript import ShareKind
from protocols.suite import Suite
from protocols.wire.link_message import NO_REFERENCE, Kind, LinkMessage, fault
from tests.adversary.plunder import Plunder, overheard
from tests.integration.federation_world import SCHEMA, Proposal, Seat, World
from tests.integration.mask_holder_world import HOLDER_ID, HeldWorld

COUNCILS = tuple(CouncilId(f"E0600000{number}") for number in range(1, 7))
COLLUDERS = COUNCILS[:2]
"""As many as the agreement's careful profile guards against among six; the liar has their keys where a lie needs them."""
WITNESS, VICTIM, PEER, OTHER = COUNCILS[2:]
HONEST = (WITNESS, VICTIM, PEER, OTHER)
STAGES = {
    Kind.INVITE: (Kind.ADVERT, Stage.ADVERT),
    Kind.ADVERTS: (Kind.KEY_SHARES, Stage.KEY_SHARES),
    Kind.SHARES: (Kind.MASKED_INPUT, Stage.MASKED_INPUT),
    Kind.SURVIVORS: (Kind.CONFIRMATION, Stage.CONFIRMATION),
    Kind.STATEMENTS: (Kind.UNMASK, Stage.UNMASK),
    Kind.OPEN: (Kind.OPENED, Stage.OPENING),
}
COST = Fraction(1, 10)


class End(Enum):
    """How a lie comes to nothing."""

    REFUSED = "the node that is lied to refuses, and says why"
    NO_SUM = "no node can see it, and the round ends without a sum"
    HONEST_SUM = "the answer is the one that an honest coordinator would have, and nothing more can be worked out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tale:
    """One request as a lie has it.

    Attributes:
        told: The message.
        honest: What it stands in the place of, if not what the driver was about to send.
        late: How long it is held back.
    """

    told: bytes
    honest: bytes | None = None
    late: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A lie that was told: to whom, what the honest coordinator sends in its place (nothing: no message), the reply."""

    council: CouncilId
    honest: bytes
    tale: Tale
    reply: bytes

    @property
    def stage(self) -> Kind | None:
        """In whose place it was told; by itself where it was in none, and nothing where it is no message."""
        try:
            return LinkMessage.decode(self.honest or self.tale.told).kind
        except MalformedMessage:
            return None

    @property
    def differs(self) -> bool:
        return self.tale.told != self.honest or self.tale.late > timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A request and its reply."""

    council: CouncilId
    request: LinkMessage
    reply: LinkMessage


async def _nothing_more(_liar: "Liar") -> None:
    """Send no more than the driver does."""


def _the_truth(_liar: "Liar", _council: CouncilId, _message: LinkMessage) -> Tale | None:
    return None


def _the_nodes_own(_liar: "Liar", _council: CouncilId, _reply: LinkMessage) -> bytes | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """One change to what the real coordinator sends.

    Attributes:
        name: One word for tests.
        attack: What is tried, for people; also the name of its row in SECURITY.md.
        gain: What it would have gained.
        stopped: What stops it.
        guard: The module that holds this.
        at: The request that is refused, or that the lie is in.
        tell: Given each request of the driver, what is sent instead; None for the truth.
        meanwhile: What is sent beyond that before the round is closed.
        afterwards: The same, once the answer is out and the round closed.
        answers: Given each reply of a node, what a colluding council answers in its place; None for that reply.
        hides: Replies that the liar keeps from its own driver, as if none had come: council and kind of the request.
        end: How it comes to nothing.
        rule: The rule or code that the refusal, or the report of the round, names.
        words: Words of its sentence.
        world: How the federation differs.
        question: How the question differs.
        suites: The key agreements that it can be told under.
        held: Whether the agreement names a mask holder, which then is one more party that may be lied to.
    """

    name: str
    attack: str
    gain: str
    stopped: str
    guard: str
    at: Kind
    tell: Callable[["Liar", CouncilId, LinkMessage], Tale | None] = _the_truth
    meanwhile: Callable[["Liar"], Awaitable[None]] = _nothing_more
    afterwards: Callable[["Liar"], Awaitable[None]] = _nothing_more
    answers: Callable[["Liar", CouncilId, LinkMessage], bytes | None] = _the_nodes_own
    hides: tuple[CouncilId, Kind] | None = None
    end: End = End.REFUSED
    rule: str = ""
    words: str = ""
    world: Mapping[str, Any] = field(default_factory=dict)
    question: Mapping[str, Any] = field(default_factory=dict)
    suites: tuple[Suite, ...] = tuple(Suite)
    held: bool = False


TRUTH = Lie(
    name="none",
    attack="None",
    gain="Nothing",
    stopped="Nothing",
    guard="",
    at=Kind.RELEASE,
    end=End.HONEST_SUM,
)
"""The control: the same driver, without a lie."""

ONE_LOST = Lie(
    name="one_lost",
    attack="None, one council lost",
    gain="Nothing",
    stopped="Nothing",
    guard="",
    at=Kind.RELEASE,
    hides=(OTHER, Kind.SHARES),
    end=End.HONEST_SUM,
)
"""The control of lies about who was lost."""

HELD = replace(TRUTH, name="held", held=True)
"""The control of lies about the mask holder."""


class Witnessed:
    """What each council counted, masked and kept secret, seen inside the nodes: for the check alone, no party has it.

    Attributes:
        exact: The scaled statistic, by round and council.
        masked: The same with the council's noise share.
        seeds: Both secrets of a round, by round and council.
        held: The shares that it opened.
        with_holder: Its mask with the mask holder, where there is one.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.exact: dict[tuple[bytes, CouncilId], np.ndarray] = {}
        self.masked: dict[tuple[bytes, CouncilId], np.ndarray] = {}
        self.seeds: dict[tuple[bytes, CouncilId], dict[ShareKind, int]] = {}
        self.held: dict[tuple[bytes, CouncilId], Mapping[CouncilId, KeyShare]] = {}
        self.with_holder: dict[tuple[bytes, CouncilId], MaskKey] = {}
        self._last = np.zeros(0)
        self._mask, self._add_noise = contribution.mask, contribution.add_noise
        patch.setattr(contribution, "add_noise", self.add_noise)
        patch.setattr(contribution, "mask", self.mask)
        for step in ("advertise", "share_keys", "accept_shares"):
            patch.setattr(participant, step, partial(self._kept, getattr(participant, step)))

    def add_noise(self, statistic: Any, charged: Any, **more: Any) -> Any:
        self._last = statistic.vector * charged.approved.plan.scale
        return self._add_noise(statistic, charged, **more)

    def mask(self, noised: Any, session: Any) -> bytes:
        name = session.context.sid, session._me
        # A copy: what the node held is overwritten once it is masked.
        self.exact[name], self.masked[name] = self._last, noised.vector.copy()
        return self._mask(noised, session)

    def _kept(self, step: Callable[..., Any], *given: Any) -> Any:
        done = step(*given)
        state = done[0] if isinstance(done, tuple) else done
        name = state.context.sid, state.me
        match state:
            case Advertised(s_seed=seed):
                self.seeds[name] = {ShareKind.MASK_KEY: seed}
            case SharedKeys(b_seed=seed):
                self.seeds[name][ShareKind.SELF_MASK] = seed
            case ReadyToMask(held=held, masks=masks):
                self.held[name] = dict(held)
                if state.context.holder is not None:
                    self.with_holder[name] = masks[-1]
        return done

    def give(self, found: Plunder, councils: Iterable[CouncilId]) -> Plunder:
        """What councils that collude with the attacker know of a round themselves."""
        for council in councils:
            name = found.context.sid, council
            found.seeds |= {(council, kind): seed for kind, seed in self.seeds.get(name, {}).items()}
            found.held(council, self.held.get(name, {}))
            if name in self.with_holder:
                found.with_holder[council] = self.with_holder[name]
        return found

    def truth(self, sid: bytes) -> dict[CouncilId, np.ndarray]:
        return {council: vector for (found, council), vector in self.masked.items() if found == sid}


class Liar:
    """One question, asked by the real driver with one lie.

    Attributes:
        heard: Every request that a node answered, with the reply.
        told: The lies among them.
        orders: The rounds held, in order.
        reports: What the driver says of each.
        dealt: Shares that colluding councils were dealt, where the lie has them.
        pair_seeds: Those that it made itself, and had a colluding council deal as its own.
        kept: Rounds that the mask holder holds, for later.
    """

    def __init__(self, world: World, lie: Lie) -> None:
        self.world = world
        self.lie = lie
        self.proposal = self.propose()
        self.heard: list[Heard] = []
        self.told: list[Told] = []
        self.orders: list[RoundOrder] = []
        self.reports: list[RoundReport] = []
        self.dealt: dict[CouncilId, Mapping[CouncilId, KeyShare]] = {}
        self.pair_seeds: dict[tuple[CouncilId, CouncilId], bytes] = {}
        self.kept: list[RoundOrder] = []
        self._lying = False
        parties = (*world.councils, HOLDER_ID) if lie.held else world.councils
        self._link = InProcessLink({party: partial(self._deliver, party) for party in parties}, threads=1)
        self._courier = Courier(self._link)
        self._holding = Holding(self._courier, StageTimeouts())
        self._board = ProgressBoard(lambda: world.now)
        self._driver = RoundDriver(self._courier, timeouts=StageTimeouts(), board=self._board)
        self._decisions: dict[CouncilId, Decision] = {}

    # What the real coordinator does

    async def run(self) -> None:
        """Bring the roster, which nodes have from before, or propose, hold the round, and release or abort."""
        try:
            if self.lie.at is Kind.ROSTER:
                await self._ask(Kind.ROSTER, NO_REFERENCE, self.world.roster_envelope, self.world.councils)
            else:
                await self.ask(self.proposal)
            await self.lie.afterwards(self)
        finally:
            await self._link.close()

    async def ask(self, proposal: Proposal) -> None:
        """One question from the proposal to the answer."""
        self.proposal = proposal
        await self._collect()
        approved = approvals(self._decisions)
        if len(approved) >= proposal.plan.rules.min_cohort:
            await self.hold(approved, attempt=1)

    async def hold(self, councils: tuple[CouncilId, ...], *, attempt: int) -> None:
        """One round from the invitation to the answer."""
        plan = self.proposal.plan
        order = RoundOrder.make(plan, self.world.roster, councils, attempt=attempt, rng=os.urandom)
        if plan.holder is not None:
            try:
                order = await self._holding.hold(order, plan.holder, self.proposal.envelope)
            except NotHeld:
                return  # nobody is invited
        await self.drive(order)

    async def drive(self, order: RoundOrder) -> None:
        """One round, held where it must be, from the invitation to the answer."""
        self.orders.append(order)
        self._board.begin(order.plan.digest)
        self.reports.append(await self._driver.run(order))
        await self.lie.meanwhile(self)
        await self._close(self.reports[-1])
        if order.plan.holder is not None:
            await self._holding.let_go(order.sid, order.plan.holder, "The round is over.")

    async def _close(self, report: RoundReport) -> None:
        result, sid = report.result, report.order.sid
        # Where the lie has nothing to do with the answer, the round is called off: that closes it, too, and sooner.
        contributed = () if result is None or self.lie.at is not Kind.RELEASE else result.u3
        over = [council for council in report.order.councils if council not in contributed]
        await self._driver.abort(sid, over, report.reason or "The round went on without this council.")
        if contributed:
            release = release_of(report, self._decisions, schema=SCHEMA, now=self.world.now)
            await self._ask(Kind.RELEASE, sid, release.encode(), contributed)

    async def _collect(self) -> None:
        plan, payload = self.proposal.plan, proposal_payload(self.proposal.envelope, self.proposal.manifest)
        self._decisions = {}
        for council, answer in (await self._ask(Kind.PROPOSAL, plan.digest, payload, plan.eligible)).items():
            if isinstance(answer, LinkMessage):
                self._decisions[council] = read_decision(
                    answer.payload,
                    council=council,
                    key=self.world.roster.councils[council].public_key,
                    plan_digest=Digest(plan.digest),
                )

    async def _ask(self, kind: Kind, reference: bytes, payload: bytes, councils: Any) -> dict[CouncilId, Any]:
        asking = self._courier.ask(kind, reference, dict.fromkeys(councils, payload), timeout_s=60)
        async with aclosing(asking) as answers:
            return {council: answer async for council, answer in answers}

    # What stands between it and the nodes

    def _deliver(self, council: CouncilId, request: bytes) -> bytes:
        tale = self.lie.tell(self, council, LinkMessage.decode(request))
        if tale is None and self._lying:
            tale = Tale(told=request, honest=b"")
        reply = self.say(council, request) if tale is None else self._tell(council, tale, request)
        reply = self._answer(council, reply)
        if self.lie.hides == (council, LinkMessage.decode(request).kind):
            return fault(LinkMessage.decode(request).reference, "hidden", "Nothing came.").encode()
        return reply

    def _tell(self, council: CouncilId, tale: Tale, honest: bytes) -> bytes:
        self.world.now += tale.late
        try:
            reply = self.say(council, tale.told)
        finally:
            self.world.now -= tale.late
        found = honest if tale.honest is None else tale.honest
        self.told.append(Told(council=council, honest=found, tale=tale, reply=reply))
        return reply

    def _answer(self, council: CouncilId, reply: bytes) -> bytes:
        """A council's reply, or what it answers instead where it colludes; the liar then has that in its place."""
        other = self.lie.answers(self, council, LinkMessage.decode(reply))
        if other is None:
            return reply
        self.told.append(Told(council=council, honest=reply, tale=Tale(told=other), reply=reply))
        self.heard[-1] = replace(self.heard[-1], reply=LinkMessage.decode(other))
        return other

    def lie_to(self, council: CouncilId, message: LinkMessage) -> bytes:
        """Send what the honest coordinator never sends."""
        return self._tell(council, Tale(told=message.encode(), honest=b""), b"")

    def say(self, council: CouncilId, request: bytes) -> bytes:
        """Send a node anything, and keep the answer."""
        reply = self.seat(council).send(request)
        try:
            found = Heard(council=council, request=LinkMessage.decode(request), reply=LinkMessage.decode(reply))
        except MalformedMessage:
            return reply  # what was sent was no request
        self.heard.append(found)
        return reply

    @contextmanager
    def lying(self) -> Iterator[None]:
        """All that the driver sends meanwhile is sent by nobody who is honest."""
        self._lying = True
        try:
            yield
        finally:
            self._lying = False

    # What a lie can use

    def seat(self, party: CouncilId) -> Seat:
        """A council's node, or the mask holder."""
        return self.world.holder if isinstance(self.world, HeldWorld) and party == HOLDER_ID else self.world.seat(party)

    @property
    def context(self) -> RoundContext:
        return self.orders[-1].context()

    def propose(self, question: Query | None = None, **changes: Any) -> Proposal:
        """A question as the analyst signs it; the usual one without arguments."""
        asked = question or self.world.question(epsilon=COST, **self.lie.question)
        return self.world.propose(asked, **changes)

    def request(self, council: CouncilId, kind: Kind) -> bytes:
        """The payload of the last request of a kind that a council answered."""
        asked = [item.request for item in self.heard if (item.council, item.request.kind) == (council, kind)]
        return asked[-1].payload

    def replies(self, kind: Kind) -> dict[CouncilId, bytes]:
        """The reply of each council of one kind in this round, as far as there is one; sorted by council."""
        sid = self.orders[-1].sid
        found = {h.council: h.reply.payload for h in self.heard if h.reply.kind is kind and h.request.reference == sid}
        return dict(sorted(found.items()))

    def collude(self, *councils: CouncilId) -> None:
        """Have the shares that councils were dealt of everybody's secrets."""
        for council in councils:
            self.dealt[council] = dict(self._session(council)._stage.held)

    def dealt_instead(self, council: CouncilId, message: SignedMessage) -> None:
        """Have a colluding council's node go on as if this were what it dealt."""
        session = self._session(council)
        session._stage = replace(session._stage, dealt=message)

    def _session(self, council: CouncilId) -> Any:
        return self.world.seat(council).node._rounds._active[self.orders[-1].sid].session

    # What it comes to

    def opened_in_private(self, order: RoundOrder) -> frozenset[CouncilId]:
        """The survivors whose sum the colluders can open where the coordinator has none: with their shares there are enough."""
        gave = {h.council: h for h in self.heard if h.request.reference == order.sid and h.reply.kind is Kind.UNMASK}
        if len(gave.keys() | set(COLLUDERS)) < order.plan.rules.thresholds(len(order.councils)).t:
            return frozenset()
        if order.plan.holder is not None and not self.plunder(order).openings:
            return frozenset()
        survivors = self.request(next(iter(gave)), Kind.SURVIVORS)
        return frozenset(header.sender for header in decode_survivors(survivors, order.context()))

    def plunder(self, order: RoundOrder) -> Plunder:
        """All that it has of a round."""
        answered = [
            (item.council, stage, item.request.payload, item.reply.payload)
            for item in self.heard
            if item.request.reference == order.sid and item.request.kind in STAGES
            for expected, stage in [STAGES[item.request.kind]]
            if item.reply.kind is expected
        ]
        found = overheard(order.context(), answered)
        if order is self.orders[-1]:
            for council, shares in self.dealt.items():
                found.held(council, shares)
        return found


def hold(world: World, lie: Lie) -> Liar:
    """Ask one question with a lie; everything that came of it."""
    liar = Liar(world, lie)
    asyncio.run(liar.run())
    return liar
