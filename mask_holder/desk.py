"""The mask holder as one function: bytes of a request in, bytes of the reply out.

Everything a coordinator can make it do passes through `HolderDesk.answer`: take a newer list of councils, hold a round,
open its sum, let it go. It has no data, so nothing else is asked of it.
"""

from collections.abc import Mapping

from council_node.answering import Answering, Serve
from mask_holder.office import Office
from mask_holder.rounds import OWN_FAULT, Rounds
from protocols.encoding import canonical_json
from protocols.wire.link_message import Kind, LinkMessage

__all__ = ["HolderDesk"]


class HolderDesk:
    """One mask holder, without a socket: the link calls `answer`.

    Args:
        office: What it has: its key, pinned papers and record.
    """

    def __init__(self, office: Office) -> None:
        self._office = office
        self._rounds = Rounds(office)
        answers: Mapping[Kind, Serve] = {
            Kind.ROSTER: self._roster,
            Kind.HOLD: self._rounds.hold,
            Kind.OPEN: self._rounds.open,
            Kind.ABORT: self._rounds.abort,
        }
        self._answering = Answering("a mask holder", answers, own_fault=OWN_FAULT, log=office.log)

    def answer(self, request: bytes) -> bytes:
        """Answer one request of the coordinator, one at a time, whoever calls; see `Answering.answer`."""
        return self._answering.answer(request)

    def end_abandoned_rounds(self) -> None:
        """End the rounds whose end should have been seen long ago; between two requests, not beside one."""
        with self._answering.turn:
            self._rounds.end_old(self._office.now())

    def _roster(self, message: LinkMessage) -> LinkMessage:
        epoch = self._office.papers.accept_roster(message.payload)
        payload = canonical_json({"version": 1, "roster_epoch": epoch})
        return LinkMessage(kind=Kind.RECEIPT, reference=message.reference, payload=payload)
