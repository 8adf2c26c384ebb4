"""What an operator is told of an error that nobody foresaw on a page: one line, with nothing of the request in it."""

import json
import sys
from contextlib import suppress
from secrets import token_hex
from typing import Final

from starlette.requests import ClientDisconnect

from federated.errors import FederatedError, InternalError, TransportError
from federated.shell import now_utc, place_of, unexpected
from federated.timestamps import time_text

__all__ = ["told_of", "unforeseen"]

REFERENCE_SIZE: Final = 4


def told_of(error: Exception) -> FederatedError:
    """What to tell the reader of an error: its own sentence, or that of `unforeseen` where nobody foresaw it."""
    return error if isinstance(error, FederatedError) and not isinstance(error, InternalError) else unforeseen(error)


def unforeseen(error: Exception) -> FederatedError:
    """Write the error's kind and place to standard error as one line of JSON, under a reference of its own.

    That a reader went away in the middle is no such error: with half a form, strangers could write any number of false
    alarms, among which a true one is not seen.

    Never its message, which could quote a value, and nothing of who asked for what: addresses, headers and what was
    typed are secrets of those who read. So the reference is drawn, and not made from any of it.

    Returns:
        What to tell the reader: the same kind, place and reference.
    """
    if isinstance(error, ClientDisconnect):
        return TransportError("The connection ended before everything was sent.", remedy="Send it again.")
    reference = token_hex(REFERENCE_SIZE)
    line = {
        "time": time_text(now_utc()),
        "event": "request_failed",
        "error": type(error).__name__,
        "at": place_of(error),
        "reference": reference,
    }
    with suppress(OSError):  # where it cannot be written, the reader still gets an answer
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()
    return unexpected(error, reference=reference)
