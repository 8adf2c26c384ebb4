"""Reading and writing of fixed binary layouts: big-endian integers, counted bytes, nothing left over."""

from typing import Final, Self

from protocols.errors import LocalProtocolError, MalformedMessage

__all__ = ["Reader", "Writer"]

_U8: Final = 1
_U16: Final = 2
_U32: Final = 4
_U64: Final = 8


class Writer:
    """Builds a message field by field; each method returns the writer, so that a layout reads as one chain."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def u8(self, value: int) -> Self:
        """Write an integer in ``[0, 2^8)``."""
        return self._integer(value, _U8)

    def u16(self, value: int) -> Self:
        """Write an integer in ``[0, 2^16)``."""
        return self._integer(value, _U16)

    def u32(self, value: int) -> Self:
        """Write an integer in ``[0, 2^32)``."""
        return self._integer(value, _U32)

    def u64(self, value: int) -> Self:
        """Write an integer in ``[0, 2^64)``."""
        return self._integer(value, _U64)

    def fixed(self, content: bytes, size: int) -> Self:
        """Write bytes whose length both sides know.

        Raises:
            LocalProtocolError: ``content`` is not ``size`` bytes.
        """
        if len(content) != size:
            raise LocalProtocolError(f"a field of {size} bytes was given {len(content)}")
        self._parts.append(content)
        return self

    def counted(self, content: bytes) -> Self:
        """Write a 32-bit length, then the bytes."""
        self.u32(len(content))
        self._parts.append(content)
        return self

    def done(self) -> bytes:
        """The message."""
        return b"".join(self._parts)

    def _integer(self, value: int, size: int) -> Self:
        if not 0 <= value < 1 << (8 * size):
            raise LocalProtocolError(f"an integer does not fit its field of {size} bytes")
        self._parts.append(value.to_bytes(size, "big"))
        return self


class Reader:
    """Takes a message apart field by field; anything but the exact layout is refused.

    Args:
        content: The message as received.
        what: What it should be, for the error sentence, for example ``"key advert"``.
    """

    __slots__ = ("_content", "_position", "_what")

    def __init__(self, content: bytes, what: str) -> None:
        self._content = content
        self._position = 0
        self._what = what

    def u8(self) -> int:
        """Read an integer in ``[0, 2^8)``."""
        return self._integer(_U8)

    def u16(self) -> int:
        """Read an integer in ``[0, 2^16)``."""
        return self._integer(_U16)

    def u32(self) -> int:
        """Read an integer in ``[0, 2^32)``."""
        return self._integer(_U32)

    def u64(self) -> int:
        """Read an integer in ``[0, 2^64)``."""
        return self._integer(_U64)

    def fixed(self, size: int) -> bytes:
        """Read exactly ``size`` bytes.

        Raises:
            MalformedMessage: Fewer are left.
        """
        end = self._position + size
        if end > len(self._content):
            raise MalformedMessage(f"a {self._what} ends too early: {end} bytes expected, {len(self._content)} found")
        taken = self._content[self._position : end]
        self._position = end
        return taken

    def counted(self, limit: int) -> bytes:
        """Read a 32-bit length, then that many bytes.

        Raises:
            MalformedMessage: The length is over ``limit``, or fewer bytes are left.
        """
        size = self.u32()
        if size > limit:
            raise MalformedMessage(f"a field of a {self._what} has {size} bytes; at most {limit} are allowed")
        return self.fixed(size)

    def finish(self) -> None:
        """Check that nothing is left.

        Raises:
            MalformedMessage: Bytes follow the last field.
        """
        left = len(self._content) - self._position
        if left:
            raise MalformedMessage(f"a {self._what} has {left} bytes left over after its last field")

    def _integer(self, size: int) -> int:
        return int.from_bytes(self.fixed(size), "big")
