"""How one of our encoded messages stands in a Flower message: one record, one field of bytes.

The only thing coordinator and node share about Flower. Its public API only (`flwr.app`).
"""

from typing import Final

from flwr.app import ConfigRecord, RecordDict

from protocols.errors import MalformedMessage

__all__ = ["MESSAGE_TYPE", "place_in_flower", "unwrapped", "wrapped"]

MESSAGE_TYPE: Final = "query"
"""Of every message that we send over Flower."""

_RECORD: Final = "council-federation"
_FIELD: Final = "message"


def wrapped(content: bytes) -> RecordDict:
    """A message's content."""
    return RecordDict({_RECORD: ConfigRecord({_FIELD: content})})


def unwrapped(content: RecordDict) -> bytes:
    """The bytes in a message's content.

    Raises:
        MalformedMessage: There is anything else in it.
    """
    record = content.get(_RECORD)
    if not isinstance(record, ConfigRecord) or len(content) != 1 or list(record) != [_FIELD]:
        raise MalformedMessage("a Flower message came that does not hold exactly one message of this federation")
    found = record[_FIELD]
    if not isinstance(found, bytes):
        raise MalformedMessage("a Flower message came whose field is not bytes")
    return found


def place_in_flower(run_id: int, node_id: int) -> str:
    """Where a node is asked: goes into what it signs. The stroke keeps it apart from any name in a TLS certificate."""
    return f"flower/{run_id}/{node_id}"
