"""Ends rounds that nobody comes back to, also where nobody asks this node anything any more.

A round's secrets lie in memory until its end. A coordinator that says nothing more would leave them there for whoever
breaks in later, and what the round reserved would stay reserved.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, Protocol

from council_node.event_log import Log
from federated.errors import FederatedError
from federated.shell import place_of

__all__ = ["LOOK_S", "abandoned_rounds_ended"]

LOOK_S: Final = 60.0
"""Seconds between two looks."""
_LEAVE_S: Final = 5.0
"""How long a node that stops waits for a look under way."""


class HoldsRounds(Protocol):
    """A party that has rounds in memory."""

    def end_abandoned_rounds(self) -> None:
        """End the rounds whose end it should have seen long ago."""


@contextmanager
def abandoned_rounds_ended(
    node: HoldsRounds, log: Log, *, wait: Callable[[threading.Event], bool] = lambda stop: stop.wait(LOOK_S)
) -> Iterator[None]:
    """Look again and again, in a thread of its own, for the length of the block.

    Args:
        node: Whose rounds.
        log: Told when one could not be ended; it is tried again at the next look, also where the log cannot be written.
        wait: Waits for the next look, or until the event is set; whether it is set.
    """
    stop = threading.Event()

    def look() -> None:
        while not wait(stop):
            try:
                node.end_abandoned_rounds()
            except Exception as problem:  # noqa: BLE001 - the thread's outermost loop: it must be there for the next round
                # The log too can fail, and first where the disk is full: that must not end the looks.
                with suppress(Exception):
                    _tell(log, problem)

    # A daemon: a node that is told to stop is not kept by a count that takes long.
    thread = threading.Thread(target=look, name="abandoned rounds", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_LEAVE_S)


def _tell(log: Log, problem: Exception) -> None:
    if isinstance(problem, FederatedError):
        log("stage_failed", {"reason": problem.diagnostics()})
    else:
        log("uncaught", {"error": type(problem).__name__, "place": place_of(problem)})
