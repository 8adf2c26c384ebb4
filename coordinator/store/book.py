"""What every book of the store shares: transactions, and one plain sentence for every failure of the database."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine, Select, Table, delete, false, select, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from coordinator.store.records import row_values
from coordinator.store.tables import ONLY, desk
from federated.errors import FileProblem
from federated.timestamps import parse_time, time_text

__all__ = ["Book", "DatabaseProblem", "DeskLost", "Place", "in_order", "plain_database_errors"]


class DatabaseProblem(FileProblem):
    """The database cannot be used; what it says names the place, which strangers need not know."""


class DeskLost(FileProblem):
    """Another coordinator acts on this database now; what was to be written is not written."""

    def __init__(self) -> None:
        super().__init__(
            "Another coordinator has taken over this database.",
            remedy="Ask the other one; or start this one again, and it stands by.",
        )


@contextmanager
def plain_database_errors(engine: Engine) -> Iterator[None]:
    """Translate the database's errors into one plain sentence, without statements or values.

    Raises:
        DatabaseProblem: From the database's error.
    """
    try:
        yield
    except SQLAlchemyError as error:
        where = engine.url.render_as_string(hide_password=True)
        raise DatabaseProblem(
            f"The database {where} cannot be used: {_cause(error)}.",
            remedy="Check the setting 'database', that the database runs, and the disk's free space.",
        ) from error


def _cause(error: SQLAlchemyError) -> str:
    # The first line alone: further lines of a driver's message quote the row.
    original = getattr(error, "orig", None)
    lines = str(original).splitlines() if original is not None else []
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")


Place: TypeAlias = tuple[datetime, bytes]
"""Time and identity of a row: where a page of a long list begins or ends."""


def in_order(table: Table, time: str, identity: str, *, start: Place | None, newer: bool) -> Select[Any]:
    """Rows by time and then identity, newest first (oldest first for `newer`), from beyond `start` on."""
    key = (table.c[time], table.c[identity])
    query = select(table).order_by(*(column.asc() if newer else column.desc() for column in key))
    if start is None:
        return query
    # By the values of the last row, not by counting rows: then the last page is as quick as the first.
    edge = tuple_(time_text(start[0]), start[1].hex())
    return query.where(tuple_(*key) > edge if newer else tuple_(*key) < edge)


class Book:
    """One part of the store; each public method of a book is one transaction.

    Args:
        engine: The database.
        turn: Number of the turn at the desk under which moves are written; None for commands and simulations, which
            have no desk.
    """

    def __init__(self, engine: Engine, turn: int | None = None) -> None:
        self._engine = engine
        self._turn = turn

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        """A transaction: on the disk when the block ends, undone when it raises."""
        with plain_database_errors(self._engine), self._engine.begin() as connection:
            yield connection

    def _require_turn(self, connection: Connection) -> None:
        """Undo the transaction unless the desk is still ours; to be called after the first change, which locks SQLite.

        Raises:
            DeskLost: Another coordinator has it.
        """
        if self._turn is None:
            return
        # On PostgreSQL nobody takes the desk between this and the end of the transaction.
        ours = select(desk.c.turn).where(desk.c.number == ONLY).with_for_update(read=True)
        if connection.execute(ours).scalar() != self._turn:
            raise DeskLost

    def _one_at_a_time(self, connection: Connection, table: Table) -> None:
        """Let no other transaction of this kind begin before this one ends: what is counted is what is there."""
        if self._engine.dialect.name == "sqlite":
            connection.execute(delete(table).where(false()))  # takes the one lock
        else:
            connection.execute(text(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE"))

    def _put(self, connection: Connection, table: Table, records: Sequence[object]) -> None:
        """Write rows, over those with the same keys."""
        if not records:
            return
        rows = [row_values(record) for record in records]
        connection.execute(_put_over(self._engine.dialect.name, table, tuple(rows[0])), rows)

    def _put_new(self, connection: Connection, table: Table, record: object) -> bool:
        """Write a row unless one with the same key is there; whether it was written."""
        keys = [column.name for column in table.primary_key.columns]
        insert = self._insert(table).values(row_values(record)).on_conflict_do_nothing(index_elements=keys)
        # Asked of the database: a driver's row count of an insert is not to be relied on.
        return connection.execute(insert.returning(*table.primary_key.columns)).first() is not None

    def _place(self, table: Table, time: str, identity: str, value: bytes) -> Place | None:
        """Where the row of that identity stands among the others; None when there is none."""
        wanted = select(table.c[time]).where(table.c[identity] == value.hex())
        with self._begin() as connection:
            found = connection.execute(wanted).scalar()
        return None if found is None else (parse_time(found), value)

    def _insert(self, table: Table) -> Any:
        return _insert(self._engine.dialect.name, table)


def _insert(dialect: str, table: Table) -> Any:
    # The two databases spell "unless it is there" alike, but SQLAlchemy keeps it in their own modules.
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


@cache
def _put_over(dialect: str, table: Table, names: tuple[str, ...]) -> Any:
    """The statement that writes rows of these columns over those with the same keys; made once, as that takes long."""
    keys = [column.name for column in table.primary_key.columns]
    insert = _insert(dialect, table)
    rest = {name: insert.excluded[name] for name in names if name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=rest)
