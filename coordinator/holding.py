"""What the coordinator asks of the mask holder that an agreement names: to hold a round, and to open its sum.

The mask holder is a party of its own on the link. It gets no proposals, is in no cohort and counts for nothing; but
where an agreement names one, no council is invited before it holds, and no sum comes out before it opens.
"""

import asyncio
from contextlib import aclosing, suppress
from typing import Final

from coordinator.courier import Answer, Courier
from coordinator.patience import Patience
from coordinator.replies import Objection, read_complaint, read_refusal
from coordinator.round_report import RoundOrder
from coordinator.settings import StageTimeouts
from federated.errors import PolicyRefusal, SignatureProblem
from federated.mask_holder import HolderIdentity
from protocols.encoding import canonical_json
from protocols.identifiers import RoundId
from protocols.wire.link_message import Kind, LinkMessage

__all__ = ["AWAY", "RULE", "Holding", "NotHeld"]

RULE: Final = "mask_holder"
"""The rule under which a question or a round ends that the mask holder took no part in."""
AWAY: Final = "away"
"""What the mask holder is said to be where no answer came."""


class NotHeld(Exception):
    """The mask holder takes no part.

    Attributes:
        rule: Its own rule, or `AWAY`.
        reason: In a sentence that names it.
    """

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason


class Holding:
    """Asks the mask holder of a plan's agreement.

    Args:
        courier: To whoever is on the link.
        timeouts: Deadlines.
    """

    def __init__(self, courier: Courier, timeouts: StageTimeouts) -> None:
        self._courier = courier
        self._timeouts = timeouts

    async def hold(self, order: RoundOrder, holder: HolderIdentity, plan_envelope: bytes) -> RoundOrder:
        """Ask it to hold a round, before any council is invited.

        Args:
            order: The round.
            holder: Whom the agreement names.
            plan_envelope: The plan as signed; the mask holder works the round out from it.

        Returns:
            The order with its advert, which every council checks.

        Raises:
            NotHeld: It is away, or it refuses, or what it sent is not its advert for this round.
        """
        request = order.hold_request(plan_envelope)
        answer = await self._ask(order.sid, holder, Kind.HOLD, request, timeout_s=self._timeouts.hold)
        held = order.held(_content(answer, holder, order.sid, Kind.HELD, "would not hold the round"))
        try:
            held.context()
        except PolicyRefusal as problem:
            raise NotHeld(
                problem.rule, f"The mask holder {holder.name} sent no key that councils would take."
            ) from problem
        return held

    async def open(self, sid: RoundId, holder: HolderIdentity, request: bytes) -> bytes:
        """Ask it to open a round's sum, once the councils have signed whose inputs it is of.

        Args:
            sid: The round.
            holder: Whom the agreement names.
            request: OPENING_REQUEST.

        Returns:
            OPENING, unchecked.

        Raises:
            NotHeld: It is away, or it refuses.
        """
        answer = await self._ask(sid, holder, Kind.OPEN, request, timeout_s=self._timeouts.opening)
        return _content(answer, holder, sid, Kind.OPENED, "would not open the sum")

    async def let_go(self, sid: RoundId, holder: HolderIdentity, reason: str) -> None:
        """Tell it that a round is over: what it keeps in memory for it is of no more use."""
        payload = canonical_json({"version": 1, "reason": reason})
        # Whether it says so or not, the round is over.
        with suppress(NotHeld):
            await self._ask(sid, holder, Kind.ABORT, payload, timeout_s=self._timeouts.delivery)

    async def _ask(
        self, sid: RoundId, holder: HolderIdentity, kind: Kind, payload: bytes, *, timeout_s: float
    ) -> Answer:
        asking = self._courier.ask(kind, sid, {holder.id: payload}, timeout_s=timeout_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(None) as limit, aclosing(asking) as answers:
                # One that was stopped never answers: it is given as long to come back as a council.
                with Patience(
                    limit,
                    waiting={holder.id},
                    connected=self._courier.connected,
                    reconnect_s=self._timeouts.reconnect,
                    enough=lambda: False,
                ):
                    async for _, answer in answers:
                        return answer
        raise NotHeld(AWAY, f"The mask holder {holder.name} did not answer.")


def _content(answer: Answer, holder: HolderIdentity, sid: RoundId, wanted: Kind, would_not: str) -> bytes:
    """What it sent, if that is what was asked for."""
    if isinstance(answer, LinkMessage) and answer.kind is wanted:
        return answer.payload
    try:
        objection = answer if isinstance(answer, Objection) else _objection(answer, holder, sid)
    except SignatureProblem as problem:
        raise NotHeld("signature", f"What came from the mask holder {holder.name} is not signed by it.") from problem
    raise NotHeld(objection.rule, f"The mask holder {holder.name} {would_not}: {objection.reason}")


def _objection(message: LinkMessage, holder: HolderIdentity, sid: RoundId) -> Objection:
    read = read_refusal if message.kind is Kind.REFUSAL else read_complaint
    return read(message.payload, council=holder.id, key=holder.key, sid=sid)
