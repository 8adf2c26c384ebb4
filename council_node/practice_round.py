"""A whole round in memory around one council: its node, a few partners that are nodes too, and the real aggregator.

The councils answer the very requests that a coordinator sends, through `CouncilNode.answer`; nothing here computes,
adds noise or masks. What each council answers is shown to a recorder before it goes any further.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from federated.errors import RoundAborted
from federated.iteration import Iteration
from federated.keys import SigningKey
from federated.plan import Plan
from federated.roster import Roster
from federated.round_context import bare_context, round_context
from protocols.encoding import canonical_json
from protocols.identifiers import CouncilId, RandomSource, RoundId
from protocols.secagg import Aggregator, HolderSession, RoundContext, SecureSum, round_id
from protocols.secagg.context import NONCE_SIZE
from protocols.wire.link_message import NO_REFERENCE, Kind, LinkMessage

__all__ = ["PracticeRound", "Record"]

Answer: TypeAlias = Callable[[bytes], bytes]
"""A council's node."""
Record: TypeAlias = Callable[[CouncilId, LinkMessage], None]
"""Shown every reply of a council."""

ATTEMPT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeRound:
    """One question put to a few councils in this process.

    Attributes:
        plan: The question's plan.
        roster: The list of councils it names.
        nodes: The councils that take part.
        record: Shown every reply.
        nonce: Of the round's id.
        holder: Plays the mask holder, where the agreement names one.
        holder_advert: Its advert; empty without one.
    """

    plan: Plan
    roster: Roster
    nodes: Mapping[CouncilId, Answer] = field(repr=False)
    record: Record = field(repr=False)
    nonce: bytes
    holder: HolderSession | None = field(default=None, repr=False)
    holder_advert: bytes = b""

    @classmethod
    def new(
        cls,
        plan: Plan,
        roster: Roster,
        nodes: Mapping[CouncilId, Answer],
        *,
        record: Record,
        holder_key: SigningKey,
        rng: RandomSource,
    ) -> "PracticeRound":
        """A round under a fresh nonce; the key is of whoever plays the mask holder, if the agreement names one."""
        made = cls(plan=plan, roster=roster, nodes=nodes, record=record, nonce=rng(NONCE_SIZE))
        if plan.holder is None:
            return made
        bare = bare_context(plan, roster, made.sid)
        holder = HolderSession(bare, plan.holder.id, holder_key.sign, rng, identity=plan.holder.key)
        return replace(made, holder=holder, holder_advert=holder.advertise())

    @property
    def iteration(self) -> Iteration | None:
        """The first round, where the plan takes several: only this one is rehearsed."""
        return self.plan.first_iteration()

    @property
    def sid(self) -> RoundId:
        """The round's identifier."""
        return round_id(
            plan_digest=self.plan.digest,
            roster_digest=self.plan.roster_digest,
            coordinator_id=self.roster.coordinator_id,
            attempt=ATTEMPT,
            nonce=self.nonce,
            counted_at=b"" if self.iteration is None else self.iteration.encode(),
        )

    @property
    def context(self) -> RoundContext:
        """What every party of the round agrees on."""
        return round_context(self.plan, self.roster, self.sid, self.holder_advert)

    def bring_roster(self, envelope: bytes) -> None:
        """Give every council the list of councils, as a coordinator does when they connect."""
        for council in self.nodes:
            self._ask(council, Kind.ROSTER, NO_REFERENCE, envelope)

    def propose(self, papers: bytes, councils: Iterable[CouncilId]) -> None:
        """Put the question to councils; what they decide is for the recorder."""
        for council in councils:
            self._ask(council, Kind.PROPOSAL, self.plan.digest, papers)

    def run(self) -> Aggregator:
        """Run every stage but the last: the sum stays closed until somebody finishes the aggregator.

        Raises:
            RoundAborted: A council refused or complained; from what it said.
        """
        aggregator = Aggregator(self.context)
        self._stage(Kind.INVITE, dict.fromkeys(self.nodes, self._invitation()), aggregator.receive_advert)
        self._stage(Kind.ADVERTS, aggregator.close_adverts(), aggregator.receive_key_shares)
        self._stage(Kind.SHARES, aggregator.close_key_shares(), aggregator.receive_masked_input)
        self._stage(Kind.SURVIVORS, aggregator.close_masked_inputs(), aggregator.receive_confirmation)
        self._stage(Kind.STATEMENTS, aggregator.close_confirmations(), aggregator.receive_unmask)
        return aggregator

    def finish(self, aggregator: Aggregator) -> SecureSum:
        """Open the sum. Only where every record is made up: of real records no figure is ever made without a charge."""
        if self.holder is not None:
            aggregator.receive_opening(self.holder.open(aggregator.opening_request()))
        return aggregator.finish()

    def end(self, council: CouncilId, kind: Kind, payload: bytes = b"") -> None:
        """Bring a council the release, or tell it that there is none."""
        self._ask(council, kind, self.sid, payload)

    def _invitation(self) -> bytes:
        several = {} if self.iteration is None else {"iteration": self.iteration.canonical()}
        held = {"holder_advert": self.holder_advert.hex()} if self.holder_advert else {}
        return canonical_json(
            {
                **several,
                **held,
                "version": 1,
                "coordinator_id": self.roster.coordinator_id,
                "roster_epoch": self.roster.epoch,
                "plan_digest": self.plan.digest.hex(),
                "attempt": ATTEMPT,
                "nonce": self.nonce.hex(),
            }
        )

    def _stage(
        self, kind: Kind, requests: Mapping[CouncilId, bytes], receive: Callable[[CouncilId, bytes], None]
    ) -> None:
        for council in requests:
            receive(council, self._ask(council, kind, self.sid, requests[council]))

    def _ask(self, council: CouncilId, kind: Kind, reference: bytes, payload: bytes) -> bytes:
        request = LinkMessage(kind=kind, reference=reference, payload=payload)
        reply = LinkMessage.decode(self.nodes[council](request.encode()))
        request.check_reply(reply)
        self.record(council, reply)
        match reply.kind:
            case Kind.REFUSAL | Kind.COMPLAINT | Kind.FAULT:
                raise RoundAborted(
                    f"The rehearsal ended at {kind.name.lower()}: council {council} answered {reply.kind.name.lower()}."
                )
            case _:
                return reply.payload
