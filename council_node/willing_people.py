"""People who say yes at once, for councils that are played in a rehearsal or a simulation; never in a real node.

They are asked only where the council's own policy approves by itself: what waits then is what no policy may approve.
"""

from collections.abc import Callable
from datetime import datetime

from council_node.decisions import Decisions, Verdict, red_lines_to_answer
from council_node.station import Station
from protocols.identifiers import Digest
from protocols.wire.link_message import Kind, LinkMessage

__all__ = ["unsafe_with_willing_people"]


def unsafe_with_willing_people(
    station: Station, node: Callable[[bytes], bytes], clock: Callable[[], datetime]
) -> Callable[[bytes], bytes]:
    """A node whose people approve whatever waits for them, such as a crossing of protected characteristics.

    Args:
        station: The played council's files.
        node: How it answers.
        clock: Gives the time, UTC.
    """

    def answer(request: bytes) -> bytes:
        reply = node(request)
        asked = LinkMessage.decode(request)
        if asked.kind is Kind.PROPOSAL and _approve_waiting(station, Digest(asked.reference), clock()):
            return node(request)
        return reply

    return answer


def _approve_waiting(station: Station, plan_digest: Digest, now: datetime) -> bool:
    decisions = Decisions(station.store, station.council, station.key)
    latest = decisions.latest(plan_digest)
    if latest is None or latest.verdict is not Verdict.PENDING or not station.policy().automatic:
        return False
    answers = dict.fromkeys(red_lines_to_answer(latest), True)
    decisions.approve(plan_digest, by="A played person", role="rehearsal", reason="", answers=answers, now=now)
    return True
