"""Keeps case values out of what a process leaves behind when something goes wrong.

A traceback quotes messages of libraries, and those quote what they could not read. So whatever nobody caught is told by
its kind and place alone. Called first by every command of the node; that no core file is written, `federated.dumps`
sees to.
"""

import logging
import sys
import threading
from collections.abc import Callable
from types import TracebackType

from federated.shell import errors, place_of

__all__ = ["Tell", "tell_without_values"]

Tell = Callable[[str, str], None]
"""Told of something nobody caught: its kind, and the module and line."""


class _KindAndPlace(logging.Handler):
    """Takes what libraries log, and says who said something how serious; not what."""

    def __init__(self, tell: Tell) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of one message."""
        self._tell(f"library {record.levelname.lower()}", f"{record.name}:{record.lineno}")


def _to_errors(kind: str, place: str) -> None:
    errors.print(f"Something unexpected happened ({kind} at {place}). Please report it, with this line.", markup=False)


def tell_without_values(tell: Tell = _to_errors) -> None:
    """Tell of everything that nobody caught by kind and place: in threads, in objects thrown away, in libraries' logs.

    Args:
        tell: Takes kind and place.
    """

    def uncaught(kind: type[BaseException], error: BaseException | None, _trace: TracebackType | None) -> None:
        tell(kind.__name__, "unknown" if error is None else place_of(error))

    sys.excepthook = uncaught
    sys.unraisablehook = lambda found: uncaught(found.exc_type, found.exc_value, found.exc_traceback)
    threading.excepthook = lambda found: uncaught(found.exc_type, found.exc_value, found.exc_traceback)
    logging.basicConfig(handlers=[_KindAndPlace(tell)], force=True)
    logging.captureWarnings(capture=True)
