"""Messages as the pieces they are made of: what the messages to many councils share is held once, not once for each.

SHARES of 350 councils are 4 MB each, nearly all of it the same for everybody.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TypeVar

__all__ = ["InPieces", "pieces_of"]

_K = TypeVar("_K")


class InPieces(Mapping[_K, bytes]):
    """Messages that can be had in pieces; looked up, they are whole."""

    @abstractmethod
    def pieces(self, key: _K) -> Sequence[bytes]:
        """The message in pieces, made anew at each time of asking; the bytes may be shared with other messages."""

    def __getitem__(self, key: _K) -> bytes:
        """The whole message."""
        return b"".join(self.pieces(key))


def pieces_of(messages: Mapping[_K, bytes], key: _K) -> Sequence[bytes]:
    """A message in pieces: its own, or one where it has none.

    Raises:
        KeyError: There is no message for that key.
    """
    return messages.pieces(key) if isinstance(messages, InPieces) else (messages[key],)
