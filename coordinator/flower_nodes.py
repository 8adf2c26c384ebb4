"""What the Flower link knows of each Flower node: which council has proved itself there, and what is on its way to it.

Pure bookkeeping, without Flower and without waiting; :mod:`coordinator.flower_link` moves the messages.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from coordinator.asks import Ask
from coordinator.link_handshake import ProvenCouncil
from protocols.wire.relayed import NO_TICKET, Asked, RelayedKind

__all__ = ["Flight", "FlowerNodeState"]

IN_FLIGHT: Final = 4
"""Messages handed to Flower for one node before its first reply; the rest wait here, where they take no memory."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Flight:
    """One message on its way to a node, or its reply on the way back.

    Attributes:
        number: Counts every message of the link; a node answers in the order asked.
        asked: What was asked, without its bytes: they may be long.
        ask: Whose reply it will be; None for a challenge.
        sent_at: Loop time, in seconds.
        expires_at: Loop time after which Flower has forgotten it.
    """

    number: int
    asked: Asked
    ask: Ask | None
    sent_at: float
    expires_at: float

    @property
    def challenge(self) -> bool:
        """Whether it asks for a proof of the key."""
        return self.asked.kind is RelayedKind.PROVE


@dataclass(slots=True, eq=False, kw_only=True)
class FlowerNodeState:
    """One Flower node that is there.

    Attributes:
        node_id: As Flower counts it; believed only as an address.
        proven: The council that has proved its key from there.
        ticket: What came with its newest proof, and goes with every request.
        challenge_at: Loop time before which it is not challenged again.
        failures: How often it went wrong since it last proved itself.
        unsent: Asks that wait their turn.
        flights: What is on its way, by Flower's message id, oldest first.
    """

    node_id: int
    proven: ProvenCouncil | None = None
    ticket: bytes = field(default=NO_TICKET, repr=False)
    challenge_at: float = 0.0
    failures: int = 0
    unsent: deque[Ask] = field(default_factory=deque)
    flights: dict[str, Flight] = field(default_factory=dict)

    def wants_challenge(self, now: float, probe_s: float) -> bool:
        """Whether to ask for a proof now: nobody is proven here, or an answer is long in coming."""
        if now < self.challenge_at or any(flight.challenge for flight in self.flights.values()):
            return False
        oldest = next(iter(self.flights.values()), None)
        return self.proven is None or (oldest is not None and now - oldest.sent_at >= probe_s)

    def due(self) -> Iterator[Ask]:
        """The asks to send now, taken off the waiting ones; those whose exchange is over are dropped."""
        room = IN_FLIGHT - len(self.flights)
        while self.unsent and room > 0:
            ask = self.unsent.popleft()
            if ask.open:
                room -= 1
                yield ask

    def overtaken(self, number: int) -> tuple[Ask, ...]:
        """Forget what was sent before that message, and give the asks among it that are still open.

        A Flower node takes one message at a time in the order of their sending. Where a later one is answered, an
        earlier one was lost with the process that held it.
        """
        lost = [key for key, flight in self.flights.items() if flight.number < number]
        gone = [self.flights.pop(key) for key in lost]
        return tuple(flight.ask for flight in gone if flight.ask is not None and flight.ask.open)

    def expired(self, now: float) -> None:
        """Forget what Flower has forgotten."""
        for key in [key for key, flight in self.flights.items() if flight.expires_at <= now]:
            del self.flights[key]
