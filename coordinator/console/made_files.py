"""Files of answers as they were last made: a picture takes a second, and anyone may ask for a published one."""

from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from threading import BoundedSemaphore, Lock
from typing import Final

from coordinator.console.guard import Closed

__all__ = ["MadeFiles"]

MOST_WAITING: Final = 6
KEPT_BYTES: Final = 32 * 1024 * 1024


class MadeFiles:
    """Makes one file at a time, and keeps the latest: an answer never changes, so neither do they.

    Args:
        most: Bytes kept at most.
    """

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = Lock()
        self._making = Lock()
        self._places = BoundedSemaphore(MOST_WAITING)

    def get(self, release: str, name: str, make: Callable[[], bytes]) -> bytes:
        """A file of a release.

        Args:
            release: The release's digest, in hexadecimal digits.
            name: Of the file.
            make: Makes it.

        Raises:
            Closed: Too many wait already; each of them holds a thread that other pages need. What is kept never waits.
        """
        kept = self._find(release, name)
        if kept is not None:
            return kept
        if not self._places.acquire(blocking=False):
            raise Closed(HTTPStatus.SERVICE_UNAVAILABLE, "Many files are being made at this moment. Try again later.")
        try:
            return self._made(release, name, make)
        finally:
            self._places.release()

    def _made(self, release: str, name: str, make: Callable[[], bytes]) -> bytes:
        # One at a time: many who ask for pictures at once would take the memory and the time of everything else.
        with self._making:
            content = self._find(release, name)
            if content is not None:
                return content
            content = make()
            with self._lock:
                self._kept[release, name] = content
                while sum(map(len, self._kept.values())) > self._most:
                    self._kept.popitem(last=False)
        return content

    def _find(self, release: str, name: str) -> bytes | None:
        """A file that is kept; it was then the last one that somebody asked for."""
        with self._lock:
            content = self._kept.get((release, name))
            if content is not None:
                self._kept.move_to_end((release, name))
        return content

    def forget(self, release: str) -> None:
        """Keep nothing of a release any more: its time is over."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == release]:
                del self._kept[key]
