"""When a reply leaves: on a schedule, wherever this council's extract was opened for it.

Reading and counting take longer the more cases there are. A reply that left at once would tell everybody who watches
the line how many that is, without any noise. So it leaves a whole number of steps after its request was taken up: most
often one. What is still told is how many steps it took.

Requests are answered one at a time, and the next one is taken up when the reply has left, not before. Else a
coordinator would send a request that costs nothing behind the one that counts, and take the time by its reply.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

from protocols.errors import MalformedMessage
from protocols.wire.link_message import Kind, LinkMessage

__all__ = ["OPENS_THE_EXTRACT", "leaves_at", "paced"]

OPENS_THE_EXTRACT: Final = frozenset({Kind.PROPOSAL, Kind.INVITE, Kind.SHARES})
"""Requests for which a node opens its extract: twice for its headings, and once to count."""

_NS_PER_MS: Final = 1_000_000


def leaves_at(begun: int, done: int, step: int) -> int:
    """When a reply leaves: the first whole number of steps after it was begun, at least one, at which it is there.

    Args:
        begun: When the request was taken up, in nanoseconds.
        done: When the reply was there, not before `begun`.
        step: Nanoseconds, at least 1.
    """
    return begun + max(1, -(-(done - begun) // step)) * step


def paced(
    answer: Callable[[bytes], bytes],
    *,
    step_ms: int,
    log: Callable[[str, Mapping[str, str | int]], None],
    clock: Callable[[], int] = time.monotonic_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> Callable[[bytes], bytes]:
    """The same answers, each no sooner than its time; errors too.

    Args:
        answer: The node's; run by one thread, which waits here.
        step_ms: Milliseconds from one possible time to the next; 0 for none, and every reply leaves at once.
        log: Told when a reply took more than one step.
        clock: Nanoseconds that only ever grow.
        sleep: Waits so many seconds.
    """
    if step_ms == 0:
        return answer
    step = step_ms * _NS_PER_MS

    def at_its_time(request: bytes) -> bytes:
        if not _opens_the_extract(request):
            return answer(request)
        begun = clock()
        try:
            return answer(request)
        finally:
            leaves = leaves_at(begun, clock(), step)
            if leaves > begun + step:
                log("reply_took_steps", {"steps": (leaves - begun) // step})
            while (left := leaves - clock()) > 0:
                sleep(left / 1e9)

    return at_its_time


def _opens_the_extract(request: bytes) -> bool:
    try:
        return LinkMessage.decode(request).kind in OPENS_THE_EXTRACT
    except MalformedMessage:
        return False
