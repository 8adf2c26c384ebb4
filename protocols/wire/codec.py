"""Strict reading and writing of bytes: one encoding per value, and nothing left over.

A reader is given a size limit and checks it before anything is sliced or allocated. Every read names
what it expected, so that a refusal can say it. There is no optional field and no padding: `finish`
refuses left-over bytes, so decoding and encoding again gives the same bytes.
"""

from functools import lru_cache

from protocols.errors import LocalProtocolError, MalformedMessage
from protocols.identifiers import CouncilId, council_id


def unsigned(value: int, size: int) -> bytes:
    """A whole number as `size` bytes, big endian.

    Raises:
        LocalProtocolError: It does not fit.
    """
    if not 0 <= value < 1 << (8 * size):
        raise LocalProtocolError(f"{value} does not fit in {size} bytes without sign")
    return value.to_bytes(size, "big")


@lru_cache(maxsize=1024)  # as for reading one
def short_text(text: str) -> bytes:
    """A council id: its length in one byte, then its characters."""
    content = council_id(text).encode("ascii")
    return unsigned(len(content), 1) + content


class Reader:
    """Reads fields off the front of a message.

    Args:
        content: The bytes received.
        what: Name of the message, for errors.
        limit: Most bytes that such a message can have.

    Raises:
        MalformedMessage: `content` is longer than `limit`.
    """

    __slots__ = ("_content", "_position", "_what")

    def __init__(self, content: bytes, *, what: str, limit: int) -> None:
        if len(content) > limit:
            raise MalformedMessage(f"{what} has {len(content)} bytes; at most {limit} are allowed")
        self._content = content
        self._position = 0
        self._what = what

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._position

    def take(self, size: int, field: str) -> bytes:
        """The next `size` bytes."""
        start = self._position
        end = start + size
        if not start <= end <= len(self._content):
            raise self._cut_short(size, field)
        self._position = end
        return self._content[start:end]

    def view(self, size: int, field: str) -> memoryview:
        """The next `size` bytes, not copied; for vectors."""
        start = self._position
        end = start + size
        if not start <= end <= len(self._content):
            raise self._cut_short(size, field)
        self._position = end
        return memoryview(self._content)[start:end]

    def unsigned(self, size: int, field: str) -> int:
        """A whole number of `size` bytes, big endian."""
        return int.from_bytes(self.take(size, field), "big")

    def constant(self, expected: int, field: str) -> None:
        """One byte that can have only one value: a version or a kind."""
        if (found := self.take(1, field)[0]) != expected:
            raise MalformedMessage(f"{self._what} has {field} {found}; {expected} was expected")

    def short_text(self, field: str) -> CouncilId:
        """A council id written by :func:`short_text`."""
        return _council_id(self.take(self.take(1, field)[0], field))

    def prefixed(self, limit: int, field: str) -> bytes:
        """Bytes preceded by their length in four bytes; the length is checked before anything is taken."""
        size = self.unsigned(4, field)
        if size > limit:
            raise MalformedMessage(f"{self._what} has a {field} of {size} bytes; at most {limit} are allowed")
        return self.take(size, field)

    def since(self, start: int) -> bytes:
        """The bytes from `start` to here, as they stand on the wire."""
        return self._content[start : self._position]

    def finish(self) -> None:
        """Refuse left-over bytes."""
        if left := len(self._content) - self._position:
            raise MalformedMessage(f"{self._what} has {left} bytes left over after its last field")

    def _cut_short(self, size: int, field: str) -> MalformedMessage:
        left = len(self._content) - self._position
        return MalformedMessage(f"{self._what} is cut short: {field} needs {size} bytes and {left} are left")


@lru_cache(maxsize=1024)  # a round reads the same few hundred ids over and over
def _council_id(content: bytes) -> CouncilId:
    if not content.isascii():
        raise MalformedMessage("a council id is ASCII")
    return council_id(content.decode("ascii"))
