"""How many of the councils' long requests are on their way out at once.

SHARES of 350 councils are 4 MB each. What is handed to gRPC is copied there more than once, and stays until the
council's line has taken it: together, hundreds of MB. So long requests go out a few at a time.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

__all__ = ["AT_ONCE", "LONG_BYTES", "PATIENCE_S", "Outlet"]

AT_ONCE: Final = 32
"""Long requests on their way out at once: on lines of 10 Mbit/s each, more than 300 Mbit/s."""

LONG_BYTES: Final = 32 * 1024
"""Shorter requests go without a turn."""

PATIENCE_S: Final = 10.0
"""Seconds a request waits for its turn and then goes without one: lines that stall cost memory, and block nobody."""


class Outlet:
    """Gives long requests their turn; used from one event loop.

    Args:
        at_once: Requests on their way out at once, but for those that have waited too long.
        patience_s: Seconds that a request waits.
    """

    def __init__(self, at_once: int = AT_ONCE, patience_s: float = PATIENCE_S) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._patience_s = patience_s

    @asynccontextmanager
    async def room(self, size: int) -> AsyncIterator[None]:
        """Hold a turn for the length of the block, if there is one in time.

        Args:
            size: Bytes of the request.
        """
        has_turn = size >= LONG_BYTES and await self._turn_comes()
        try:
            yield
        finally:
            if has_turn:
                self._turns.release()

    async def _turn_comes(self) -> bool:
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._turns.acquire()
        except TimeoutError:
            return False
