"""Time that passes only when nothing is left to do: an event loop whose waits end at once, and in one order.

Nothing in it asks the computer for the time or another thread for help: `call_later` moves the clock, and what is
meant for a thread runs where it stands. Tasks are numbered, so that a set of them is in the same order each time.
"""

import asyncio
import asyncio.events
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from itertools import count
from typing import Any

PARTY: ContextVar[str] = ContextVar("party", default="")
"""Whose task is running: tasks and timers inherit it, so that all of a party's end with its machine."""


class NothingLeft(Exception):
    """Somebody waits for what can never come."""


class _Task(asyncio.Task[Any]):
    """A task with a number, by which sets order it; the address in memory would differ from run to run."""

    def __init__(self, coro: Coroutine[Any, Any, Any], *, number: int, **more: Any) -> None:
        self.number = number
        super().__init__(coro, **more)

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other


class _NoFiles:
    """Stands where the loop would wait for sockets."""

    def __init__(self, loop: "SimulatedLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise NothingLeft
        if timeout > 0:
            self._loop.now += timeout
        return []


class SimulatedLoop(asyncio.BaseEventLoop):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._selector = _NoFiles(self)
        self._clock_resolution = 1e-6
        self._numbers = count(1)
        self.unhandled: list[BaseException] = []
        """What went wrong in tasks that nobody waited for."""
        self.of_party: dict[str, list[asyncio.Task[Any]]] = defaultdict(list)
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        return self.now

    def run_in_executor(self, _executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - handed on to whoever waits, as from a thread
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None:
            self.unhandled.append(error)

    def end_party(self, party: str) -> None:
        """Cancel every task of a party whose machine is dead."""
        for task in self.of_party.pop(party, []):
            task.cancel()

    def _make_task(
        self, _loop: Any, coro: Coroutine[Any, Any, Any], context: Context | None = None
    ) -> asyncio.Task[Any]:
        task = _Task(coro, number=next(self._numbers), loop=self, context=context)
        party = PARTY.get() if context is None else context.get(PARTY, "")
        if party:
            self.of_party[party].append(task)
        return task

    def _process_events(self, event_list: Any) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def run(main: Callable[[SimulatedLoop], Coroutine[Any, Any, None]]) -> float:
    """Run to the end of `main`; gives the simulated seconds that passed."""
    loop = SimulatedLoop()
    asyncio.events.set_event_loop(loop)
    try:
        loop.run_until_complete(main(loop))
        return loop.now
    finally:
        left = [task for task in asyncio.all_tasks(loop) if not task.done()]
        for task in left:
            task.cancel()
        for _ in range(50):
            if not any(not task.done() for task in left):
                break
            loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.events.set_event_loop(None)
        loop.close()
