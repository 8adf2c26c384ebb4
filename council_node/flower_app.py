"""The council's node as a Flower `ClientApp`: a message in, our reply out, signed by the council's own key.

The same node as behind the gRPC link: what it answers, refuses, charges and logs is decided by `CouncilNode` alone.
Flower's public API only (`flwr.app`, `flwr.clientapp`).

A round lives in the memory of one process, so the process must live as long as the round. Flower starts a new process
for each message unless told otherwise, and runs what the coordinator's bundle says in it. Both are why a council runs
:mod:`council_node.flower_executor` instead.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest

from flwr.app import Context, Error, Message
from flwr.clientapp import ClientApp

from council_node.link_session import LinkIdentity, fitting, own_fault
from federated.errors import FederatedError, TransportError
from federated.flower_record import place_in_flower, unwrapped, wrapped
from federated.shell import place_of
from protocols.errors import MalformedMessage
from protocols.wire.link_message import MESSAGE_LIMIT
from protocols.wire.relayed import RelayedKind, RelayedReply, RelayedRequest, relayed_statement

__all__ = ["NOT_ANSWERED", "FlowerNode", "OnEvent", "app", "client_app"]

NOT_ANSWERED = 0
"""Flower's code of an error that it knows nothing more about."""

OnEvent = Callable[[str, Mapping[str, str | int]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowerNode:
    """One council's open node, as it answers over Flower.

    Attributes:
        identity: Who signs, and which coordinator may ask.
        answer: `CouncilNode.answer`; never called twice at once.
        ticket: 32 random bytes, new for each process. They go out with a proof, which Flower gives to the coordinator
            alone, and every request must bring them. The version of this software stands behind them in the proof.
        on_event: Told what happened; never a payload.
        limit: Most bytes of one request or reply.
    """

    identity: LinkIdentity
    answer: Callable[[bytes], bytes] = field(repr=False)
    ticket: bytes = field(repr=False)
    on_event: OnEvent = field(repr=False)
    limit: int = MESSAGE_LIMIT
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def reply(self, content: bytes, place: str) -> bytes:
        """Answer one relayed request.

        Args:
            content: As it came.
            place: Where in Flower this node is asked, as its own Flower node says.

        Raises:
            MalformedMessage: The bytes are no request.
            TransportError: Another coordinator asks than the one in this node's settings, or perhaps no coordinator.
        """
        request = RelayedRequest.decode(content, limit=self.limit)
        own = self.identity.coordinator_id
        if request.coordinator_id != own:
            raise TransportError(
                f"The coordinator that asks over Flower is not the one this node's settings name, {own!r}.",
                remedy="Check the address of the SuperLink.",
            )
        if request.kind is RelayedKind.PROVE:
            self.on_event("proved", {"place": place})
            body = self.ticket + self.identity.software.encode()
        else:
            self._check_ticket(request)
            with self._turn:
                body = fitting(request.body, self._answered(request.body), self.limit)
        council = self.identity.council
        statement = relayed_statement(request.asked, council=council, place=place, body=body)
        reply = RelayedReply(council=council, signature=self.identity.sign(statement), body=body)
        return reply.encode()

    def _check_ticket(self, request: RelayedRequest) -> None:
        # Any Flower node can send a message to any other: without this, one council could end everybody's rounds.
        if not compare_digest(request.ticket, self.ticket):
            raise TransportError(
                "A request came over Flower without the ticket that this node's proof gave the coordinator.",
                remedy="Nothing, if this node has just started; otherwise tell the centre that another node asks.",
            )

    def _answered(self, request: bytes) -> bytes:
        try:
            body = self.answer(request)
        except Exception as problem:  # noqa: BLE001 - the node's outermost loop: the coordinator gets an answer, not silence
            self.on_event("answer_failed", {"error": type(problem).__name__, "place": place_of(problem)})
            return own_fault(request)
        self.on_event("answered", {"request_bytes": len(request), "reply_bytes": len(body)})
        return body


def client_app(node: FlowerNode) -> ClientApp:
    """The Flower app of one open node."""
    app = ClientApp()

    @app.query()
    def query(message: Message, context: Context) -> Message:
        place = place_in_flower(context.run_id, context.node_id)
        try:
            content = node.reply(unwrapped(message.content), place)
        except (MalformedMessage, FederatedError) as problem:
            # Said here rather than raised: Flower would send an exception's text to the other side.
            node.on_event("request_refused", {"code": "flower", "reason": str(problem)})
            return Message(Error(NOT_ANSWERED, "this node does not answer that request"), reply_to=message)
        return Message(wrapped(content), reply_to=message)

    return app


app = ClientApp()
"""What the bundle points at. Only a SuperNode without our executor comes here."""


@app.query()
def unserved(message: Message, _context: Context) -> Message:
    """Refuse: a process for one message cannot hold a round, and a council's key is not for such a process."""
    sentence = "this SuperNode runs without the council's executor; start it with 'council-node flower run'"
    return Message(Error(NOT_ANSWERED, sentence), reply_to=message)
