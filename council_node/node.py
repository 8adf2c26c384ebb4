"""The council node as one function: bytes of a request in, bytes of the reply out.

Everything a coordinator can make a node do passes through `CouncilNode.answer`, whichever link carries it. The
coordinator is a courier: each request is checked against files this council pinned itself, and a round that
breaks a rule ends here, with the rule named.
"""

from collections.abc import Callable, Mapping

from council_node.answering import Answering, Serve
from council_node.proposals import Proposals
from council_node.rounds import OWN_FAULT, Rounds
from council_node.station import Station
from federated.budget_statement import STATEMENT_KIND
from federated.signing import sign_statement
from protocols.encoding import canonical_json
from protocols.wire.link_message import Kind, LinkMessage

__all__ = ["CouncilNode", "resting_node"]


class CouncilNode:
    """One council's node, without a socket: the links call `answer`.

    Args:
        station: What this council holds: its keys, pinned files, ledger, store, data and policy.
    """

    def __init__(self, station: Station) -> None:
        self._station = station
        self._proposals = Proposals(station)
        self._rounds = Rounds(station, self._proposals)
        answers: Mapping[Kind, Serve] = {
            Kind.ROSTER: self._roster,
            Kind.PROPOSAL: self._proposals.decide,
            Kind.INVITE: self._rounds.advertise,
            Kind.ADVERTS: self._rounds.share_keys,
            Kind.SHARES: self._rounds.masked_input,
            Kind.SURVIVORS: self._rounds.confirm,
            Kind.STATEMENTS: self._rounds.unmask,
            Kind.RELEASE: self._rounds.keep_release,
            Kind.ABORT: self._rounds.abort,
            Kind.BUDGET_REQUEST: self._budget,
        }
        self._answering = Answering("a node", answers, own_fault=OWN_FAULT, log=station.log)

    def answer(self, request: bytes) -> bytes:
        """Answer one request of the coordinator, one at a time, whoever calls; see `Answering.answer`."""
        return self._answering.answer(request)

    def end_abandoned_rounds(self) -> None:
        """End the rounds whose end this node should have seen long ago; between two requests, not beside one.

        Raises:
            FileProblem: The ledger or the store cannot be written. The secrets are gone; the rest is for the next time.
        """
        with self._answering.turn:
            self._rounds.end_old(self._station.now())

    def _roster(self, message: LinkMessage) -> LinkMessage:
        epoch = self._station.papers.accept_roster(message.payload)
        return LinkMessage(
            kind=Kind.RECEIPT,
            reference=message.reference,
            payload=canonical_json({"version": 1, "roster_epoch": epoch}),
        )

    def _budget(self, message: LinkMessage) -> LinkMessage:
        station = self._station
        statement = sign_statement(STATEMENT_KIND, station.ledger.statement(station.now()).canonical(), station.key)
        return LinkMessage(kind=Kind.BUDGET_STATEMENT, reference=message.reference, payload=statement)


def resting_node(station: Station) -> Callable[[bytes], bytes]:
    """`CouncilNode.answer` of a node that opens its database for each request and keeps none in between.

    For a process that plays many councils.
    """
    node = CouncilNode(station)

    def answer(request: bytes) -> bytes:
        try:
            return node.answer(request)
        finally:
            station.rest()

    return answer
