"""How many people may have something worked out at the same moment; more are asked to come back."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from threading import BoundedSemaphore

from coordinator.console.guard import Closed

__all__ = ["Places"]


class Places:
    """So many places, and no queue: whoever waits would hold a thread that other pages need.

    Args:
        most: How many there are.
    """

    def __init__(self, most: int) -> None:
        self._places = BoundedSemaphore(most)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Have a place for the length of the block.

        Raises:
            Closed: All are taken.
        """
        if not self._places.acquire(blocking=False):
            raise Closed(HTTPStatus.SERVICE_UNAVAILABLE, "Many questions are being worked out now. Try again soon.")
        try:
            yield
        finally:
            self._places.release()
