"""What an operator is told of an error that nobody foresaw on a page: one line, with nothing of the request in it."""

import json
import sys

from federated.errors import InternalError
from federated.shell import now_utc, place_of, unexpected
from federated.timestamps import time_text

__all__ = ["unforeseen"]


def unforeseen(error: Exception) -> InternalError:
    """Write the error's kind and place to standard error as one line of JSON.

    Never its message, which could quote a value, and nothing of who asked for what: addresses, headers and what was
    typed are secrets of those who read.

    Returns:
        What to tell the reader: the same kind and place.
    """
    line = {
        "time": time_text(now_utc()),
        "event": "request_failed",
        "error": type(error).__name__,
        "at": place_of(error),
    }
    sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()
    return unexpected(error)
