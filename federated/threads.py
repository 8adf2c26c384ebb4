"""Threads for work on one long vector: the pure protocol is handed them, and starts none itself."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from protocols.masks import Cores, Task, in_turn

__all__ = ["threads"]


def threads(count: int) -> Cores:
    """Cores that run tasks in threads, which live no longer than the tasks.

    Args:
        count: Most threads, at least 1.
    """

    def run(tasks: Iterable[Task]) -> None:
        todo = tuple(tasks)
        if len(todo) == 1:
            return in_turn(todo)
        with ThreadPoolExecutor(count) as pool:
            for done in [pool.submit(task) for task in todo]:
                done.result()
        return None

    return Cores(count=count, run=run)
