"""The one thread that talks to the database, so that a slow disk never holds up the councils' messages."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

__all__ = ["StoreThread"]

P = ParamSpec("P")
T = TypeVar("T")


class StoreThread:
    """Runs calls to the store one after another, off the event loop; order of calls is order of writes."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    async def __call__(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one call and wait for its result; it runs to its end even when the waiting task is cancelled."""
        result = asyncio.wrap_future(self._pool.submit(call, *args, **kwargs))
        result.add_done_callback(_looked_at)
        # Shielded: cancelling the wait would also withdraw a call that has not begun, and lose what it was to write.
        return await asyncio.shield(result)

    def close(self) -> None:
        """Finish what was asked for, then stop."""
        self._pool.shutdown(wait=True)


def _looked_at(result: asyncio.Future[T]) -> None:
    """Let asyncio not complain of a failure whose caller has been cancelled, and so cannot hear of it."""
    if not result.cancelled():
        result.exception()
