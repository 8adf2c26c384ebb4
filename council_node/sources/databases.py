"""The local database, kept open and empty between questions: opening one costs more than reading a small extract.

What is kept is the engine with its locks, never a row. Each question works over a connection of its own whose tables
are temporary: DuckDB keeps those in that connection alone and forgets them when it is closed.
"""

from pathlib import Path

import duckdb

from council_node.sources.extract import open_database

__all__ = ["Databases"]


class Databases:
    """Lends locked-down, empty databases; keeps the last one open. For one question at a time."""

    def __init__(self) -> None:
        """Keep none yet."""
        self._kept: tuple[tuple[int, int, tuple[Path, ...], bool], duckdb.DuckDBPyConnection] | None = None

    def lend(
        self, *, threads: int, memory_limit_mib: int, readable: tuple[Path, ...], passing: bool, optimise: bool = True
    ) -> duckdb.DuckDBPyConnection:
        """An empty database that can read the extracts it is asked for; whoever borrows it closes it.

        Args:
            threads: Threads of a query.
            memory_limit_mib: Most memory it may take.
            readable: The files that it reads itself.
            passing: Whether the path of any means something else afterwards, as a copy in memory does. Such a
                database is not kept: it could open another file than the one it was made for.
            optimise: Whether its queries are worth looking for a better plan.
        """
        if passing:
            return _open(threads, memory_limit_mib, readable, optimise)
        name = (threads, memory_limit_mib, readable, optimise)
        if self._kept is None or self._kept[0] != name:
            self.close()
            self._kept = (name, _open(*name))
        return self._kept[1].cursor()

    def held(self) -> int | None:
        """Bytes of rows that the engine still holds, in memory or on disk, as it says itself; None when closed."""
        if self._kept is None:
            return None
        asked = "SELECT coalesce(sum(memory_usage_bytes + temporary_storage_bytes), 0) FROM duckdb_memory()"
        [[held]] = self._kept[1].execute(asked).fetchall()
        return int(held)

    def close(self) -> None:
        """Forget the database, also after it failed: what is wrong with an engine must not stay."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept[1].close()


def _open(threads: int, memory_limit_mib: int, readable: tuple[Path, ...], optimise: bool) -> duckdb.DuckDBPyConnection:  # noqa: FBT001 - the parts of a name, in its order
    return open_database(threads=threads, memory_limit_mib=memory_limit_mib, readable=readable, optimise=optimise)
