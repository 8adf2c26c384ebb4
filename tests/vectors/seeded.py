"""A seeded source of bytes. It lives in tests only: the parties draw from the system."""

import hashlib


class SeededRandom:
    """SHAKE-256 over a seed and a running count: the same seed gives the same bytes in the same order."""

    def __init__(self, seed: str) -> None:
        self._seed = seed.encode()
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(self._seed + self._count.to_bytes(8, "big")).digest(size)
