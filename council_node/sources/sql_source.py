"""An extract in a database: one table or view, read only, and of it the columns and the period a question asks for.

Whether the columns are there is settled from the database's own catalogue and with a query that can give no row. No
message holds the words of the database or its driver: they may quote a row, or the password.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from sqlalchemy import ColumnElement, Connection, Text, cast, collate, column, false, func, or_, select, table
from sqlalchemy.exc import NoSuchModuleError, NoSuchTableError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.types import Date, DateTime, Numeric, TypeEngine

from council_node.cells.text import cell_text
from council_node.mapping import ExtractPlace, normal_heading
from council_node.sources.database_secret import DatabaseSecret
from council_node.sources.text_rows import Headings, InPeriod, RowsInPython, Wanted
from federated.errors import FederatedError, FileProblem, InternalError

__all__ = ["SqlSource", "open_database_table"]

POSTGRESQL: Final = "postgresql"
UNTYPED_DATES: Final = frozenset({"sqlite"})
"""Databases whose date columns may hold any text, so that the period cannot be left to them."""
CONNECT_TIMEOUT_S: Final = 15
STATEMENT_TIMEOUT_S: Final = 600
BATCH_ROWS: Final = 5_000
ROW_CHARACTERS: Final = 1024 * 1024
"""A row with more text than this is no row, as in a CSV file."""
SIZE: Final = 2**40
"""How much a table holds is not known before it is read: as many threads as are allowed."""

_POSTGRESQL_ARGUMENTS: Final = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "tcp_user_timeout": 60_000,
    "options": f"-c statement_timeout={STATEMENT_TIMEOUT_S}s -c lock_timeout={CONNECT_TIMEOUT_S}s -c datestyle=ISO",
}
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?: 00:00:00(?:\.0+)?|( \d\d:\d\d:\d\d)(?:\.\d+)?)?(?:[-+]\d\d(?::\d\d)*)?")
"""A day, or a moment as PostgreSQL writes it: fractions of seconds and the time zone do not matter here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """One table or view.

    Attributes:
        secret: Its database.
        schema: Its schema; None for the account's own.
        name: Its name.
        types: Its columns' types, in order.
    """

    secret: DatabaseSecret = field(repr=False)
    schema: str | None
    name: str
    types: dict[str, TypeEngine[Any]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"The table '{self.name}' of the database in {self.secret.path}"

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A connection for one transaction that is only read and always rolled back."""
        url = self.secret.url
        _refuse_to_make(url)
        postgresql = url.get_backend_name() == POSTGRESQL
        engine = sqlalchemy.create_engine(
            url, poolclass=NullPool, hide_parameters=True, connect_args=_POSTGRESQL_ARGUMENTS if postgresql else {}
        )
        with engine.connect() as connection:
            if postgresql:
                connection.execution_options(postgresql_readonly=True)
            yield connection
            connection.rollback()

    def query(self, columns: Sequence[ColumnElement[Any]]) -> sqlalchemy.Select[Any]:
        """Columns of every row."""
        return select(*columns).select_from(table(self.name, *map(column, self.types), schema=self.schema))


@dataclass(slots=True, kw_only=True)
class SqlRows(RowsInPython):
    """A table being read; a row with more text than a row can have is left out."""

    source: "SqlSource"

    def columns(self) -> Iterator[Sequence[Sequence[str]]]:
        """The rows, in the order in which the database gives them."""
        names = self.source.headings.names
        asked = [names[place] for place in self.wanted.places]
        dates = [at for at, place in enumerate(self.wanted.places) if place in self.wanted.dates]
        try:
            with self.source.table.connected() as connection:
                streamed = connection.execution_options(stream_results=True, yield_per=BATCH_ROWS)
                for rows in streamed.execute(self._statement(asked)).partitions():
                    texts = [_texts(cells) for cells in zip(*rows, strict=True)]
                    for at in dates:
                        texts[at] = [_day_or_moment(text) for text in texts[at]]
                    yield self._without_huge_rows(texts)
        except (SQLAlchemyError, ImportError, ValueError, OSError):
            raise InternalError(
                f"{self.source.table.label} could no longer be read.",
                remedy="Check whether the database stopped, or whether the account may still read the table.",
            ) from None

    def _statement(self, asked: Sequence[str]) -> sqlalchemy.Select[Any]:
        of = self.source.table
        postgresql = of.secret.url.get_backend_name() == POSTGRESQL
        statement = of.query([_as_text(name, of.types[name], postgresql=postgresql) for name in asked])
        condition = None if self.wanted.period is None else self.source.within(self.wanted.period)
        return statement if condition is None else statement.where(condition)

    def _without_huge_rows(self, columns: list[list[str]]) -> list[list[str]]:
        if sum(max(map(len, cells)) for cells in columns) <= ROW_CHARACTERS:
            return columns
        rows = list(zip(*columns, strict=True))
        kept = [row for row in rows if sum(map(len, row)) <= ROW_CHARACTERS]
        self.left_out += len(rows) - len(kept)
        return [list(cells) for cells in zip(*kept, strict=True)] if kept else [[] for _ in columns]


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlSource:
    """A table whose columns were found in its database's catalogue.

    Attributes:
        table: The table or view.
        headings: Its columns that the account may read.
    """

    table: _Table
    headings: Headings

    @property
    def name(self) -> str:
        """The table and the file with its database's address."""
        return f"{self.table.secret.path}, table '{self.table.name}'"

    @contextmanager
    def reading(self, wanted: Wanted) -> Iterator[SqlRows]:
        """Read columns of it; rows outside the period are left where they are if the database can tell them."""
        yield SqlRows(source=self, wanted=wanted, size=SIZE)

    def within(self, period: InPeriod) -> ColumnElement[bool] | None:
        """A condition that no row fails which a question counts or which may hold an objection; None for no condition.

        Only real dates are compared: a text may be a date in more ways than a database knows.
        """
        names, backend = self.headings.names, self.table.secret.url.get_backend_name()
        kind = self.table.types[names[period.place]]
        if backend in UNTYPED_DATES or getattr(kind, "timezone", False):
            return None
        inside: ColumnElement[bool]
        if isinstance(kind, DateTime):
            first = datetime.combine(period.start, time())
            moment = column(names[period.place], DateTime())
            inside = moment >= first
            if period.end < date.max:  # after the last day there is none, nor a moment
                inside &= moment < datetime.combine(period.end + timedelta(days=1), time())
        elif isinstance(kind, Date):
            inside = column(names[period.place], Date()).between(period.start, period.end)
        else:
            return None
        if period.objection is None:
            return inside
        return or_(inside, _may_object(column(names[period.objection]), period.agreeing, backend))


def open_database_table(secret: DatabaseSecret, place: ExtractPlace, mapped: Sequence[str]) -> SqlSource:
    """Find a table in its database's catalogue. No row is read.

    Args:
        secret: The database.
        place: Names the table.
        mapped: Columns of the mapping; without any, all are looked at.

    Raises:
        FileProblem: The database cannot be reached, or has no such table.
    """
    schema, _, name = (place.table or "").rpartition(".")
    found = _Table(secret=secret, schema=schema or None, name=name)
    try:
        with found.connected() as connection:
            described = sqlalchemy.inspect(connection).get_columns(name, schema=found.schema)
            found = _Table(
                secret=secret, schema=found.schema, name=name, types={str(c["name"]): c["type"] for c in described}
            )
            wanted = set(map(normal_heading, mapped))
            looked_at = [name for name in found.types if not wanted or normal_heading(name) in wanted]
            readable = _readable(connection, found, looked_at)
    except NoSuchTableError:
        raise FileProblem(
            f"{found.label} is not there, or its account may not see it.",
            remedy="Check 'table' in the mapping file: its schema goes before it, as in reporting.cases.",
        ) from None
    except (SQLAlchemyError, ImportError, ValueError, OSError) as error:
        raise _unreachable(secret, error) from None
    # Columns that are not asked for have no place, so that nothing can come of them.
    return SqlSource(table=found, headings=Headings(where=found.label, names=tuple(readable)))


def _refuse_to_make(url: sqlalchemy.URL) -> None:
    """SQLite would make an empty database of a file that is not there: nothing is ever written.

    Raises:
        FileNotFoundError: It is not there.
    """
    name = url.database or ""
    if url.get_backend_name() == "sqlite" and not name.startswith(("file:", ":")) and not Path(name).is_file():
        raise FileNotFoundError(name)


def _readable(connection: Connection, of: _Table, names: Sequence[str]) -> list[str]:
    """The columns that the account may read: asked of the database in a query that gives no row."""

    def may_read(some: Sequence[str]) -> bool:
        try:
            with connection.begin_nested():
                connection.execute(of.query([column(name) for name in some]).where(false())).all()
        except SQLAlchemyError:
            return False
        return True

    if not names or may_read(names):
        return list(names)
    return [name for name in names if may_read([name])]


def _unreachable(secret: DatabaseSecret, error: BaseException) -> FederatedError:
    if isinstance(error, ImportError | NoSuchModuleError):
        return FileProblem(
            f"The driver for the database in {secret.path} is not installed.",
            remedy="For PostgreSQL install the extra 'postgresql'; docs/guides/council-it.md names other drivers.",
        )
    return FileProblem(
        f"The database in {secret.path} cannot be reached, or does not accept the account.",
        remedy="Try the same address with the database's own client from this computer.",
    )


def _as_text(name: str, kind: TypeEngine[Any], *, postgresql: bool) -> ColumnElement[Any]:
    """A column as the driver is to give it.

    PostgreSQL writes everything but numbers as text itself: a date beyond the last of Python's would end the read.
    """
    plain: ColumnElement[Any] = column(name)
    return cast(plain, Text).label(name) if postgresql and not isinstance(kind, Numeric) else plain


def _texts(cells: Sequence[object]) -> list[str]:
    # Nearly every cell is plain text already.
    return [cell if cell.__class__ is str and cell.isascii() else cell_text(cell) for cell in cells]


def _day_or_moment(text: str) -> str:
    found = _MOMENT.fullmatch(text)
    return text if found is None else found[1] + (found[2] or "")


def _may_object(objection: ColumnElement[Any], agreeing: frozenset[str], backend: str) -> ColumnElement[bool]:
    """Rows whose text is neither blank nor one of those that agree; more of them do no harm, fewer would.

    PostgreSQL is asked to compare by bytes; others may compare texts otherwise, so they leave out blanks only.
    """
    if backend != POSTGRESQL:
        return objection.is_not(None)
    text = func.lower(collate(func.trim(cast(objection, Text)), "C"))
    return text.not_in(sorted({*agreeing, ""}))
