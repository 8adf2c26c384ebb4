"""What can go wrong in the protocol, in two directions: ours and theirs."""

__all__ = ["LocalProtocolError", "MalformedMessage", "ProtocolError", "RemoteProtocolError"]


class ProtocolError(Exception):
    """The protocol was not followed. Never raised itself: see the two directions below."""


class LocalProtocolError(ProtocolError):
    """Our own side broke the order or passed something impossible: a fault in the calling code."""


class RemoteProtocolError(ProtocolError):
    """The other side broke the protocol; the round ends for this party.

    Attributes:
        culprit: The council whose signed message is at fault, where one can be named.
    """

    def __init__(self, message: str, *, culprit: str | None = None) -> None:
        super().__init__(message)
        self.culprit = culprit


class MalformedMessage(RemoteProtocolError):
    """Bytes that are not a message: wrong version, wrong length, left-over bytes, value out of range."""
