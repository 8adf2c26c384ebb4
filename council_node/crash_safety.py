"""Keeps case values out of what a process leaves behind when something goes wrong.

A core file holds all memory; a traceback quotes messages of libraries, and those quote what they could not read. So:
no core files, no other program of the same user may look into this one, and whatever nobody caught is told by its kind
and place alone. Called first by every command of the node.
"""

import ctypes
import faulthandler
import logging
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final

from federated.shell import errors, place_of

__all__ = ["Tell", "forbid_dumps", "tell_without_values"]

PR_SET_DUMPABLE: Final = 4
"""`prctl(2)`: whether a core file may be written and another process of the user may attach."""

Tell = Callable[[str, str], None]
"""Told of something nobody caught: its kind, and the module and line."""


def forbid_dumps() -> None:
    """Forbid core files and looking into this process; and the tracebacks of a crash in a library of C.

    Core files by limit and by flag: the limit is not obeyed where core files go through a pipe.
    """
    faulthandler.disable()
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 - there is none on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


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
