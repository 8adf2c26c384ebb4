"""A decoder with a fault."""

__all__ = ["decode"]

_NAMES = ("a", "b", "c")


def decode(content: bytes) -> str:
    """Knows three names, and does not look whether the one asked for is among them.

    Raises:
        ValueError: Not of its form.
    """
    if len(content) < 3:
        raise ValueError("cut short")
    if content[0] != 0x46:
        raise ValueError("not ours")
    if content[1] != 0x5A:
        raise ValueError("of another version")
    return _NAMES[content[2]]
