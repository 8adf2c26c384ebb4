"""Queries put together from DuckDB expressions and sent whole.

Every name and value in a query is an expression and is written by DuckDB's own library, quoted as it quotes. What is
written here is only how one step stands on the step before it. DuckDB's relations would do the same, but ask the
engine to bind every step while it is being built: twice the time for the small extracts most councils have [measured:
25 ms against 11 ms for four tables over 1,500 rows].
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Self, TypeAlias

import duckdb
from duckdb import Expression, Statement, col, lit

__all__ = ["Item", "Select", "Written", "from_csv", "from_table", "written"]

STATEMENTS_KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class Written:
    """One column of a query, written once for every query that has it: writing takes longer than reading few rows.

    Attributes:
        text: As it stands in a list of columns.
        name: What the column is called.
    """

    text: str
    name: str


def written(item: Expression) -> Written:
    """Write an expression, which has a name."""
    return Written(item.as_select(), item.get_name())


Item: TypeAlias = Expression | Written | str
"""A column to select: an expression, one that was written before, or a column of that name as it is."""


@dataclass(frozen=True, slots=True)
class Select:
    """A query, as something to select from.

    Attributes:
        source: What follows FROM.
        columns: Names of the columns it has.
        items: They, as written; None where they are columns of the source.
        condition: What follows WHERE; empty for all rows.
        rest: What follows that.
    """

    source: str
    columns: tuple[str, ...]
    items: tuple[str, ...] | None = None
    condition: str = ""
    rest: str = ""

    def where(self, condition: Expression) -> Self:
        """The rows for which the condition is true."""
        own = self._bare()
        text = f"({own.condition}) AND ({condition})" if own.condition else str(condition)
        return replace(own, condition=text)

    def select(self, *items: Item) -> Self:
        """Other columns of the same rows."""
        return self._step(items)

    def distinct(self) -> Self:
        """Each different row once."""
        return self._step(self.columns, "GROUP BY ALL")

    def limit(self, rows: int) -> Self:
        """At most so many of the rows."""
        return self._step(self.columns, f"LIMIT {rows:d}")

    def left_join(self, other: Self, left: str, right: str) -> Self:
        """Each row beside every row of another query that agrees with it, or beside nulls; no name is in both."""
        names = (*self.columns, *other.columns)
        joined = f"({self.text()}) AS own LEFT JOIN ({other.text()}) AS other ON {_quoted(left)} = {_quoted(right)}"
        return type(self)(joined, names)

    def group_by(self, keys: tuple[Item, ...], *aggregates: Item) -> Self:
        """One row for each different set of keys."""
        places = ", ".join(str(place) for place in range(1, len(keys) + 1))
        return self._step((*keys, *aggregates), f"GROUP BY {places}" if keys else "")

    def run(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """Run the query."""
        return _send(connection, self.text())

    def store(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        """Run the query and keep its rows as a table in memory that goes with this connection."""
        _send(connection, f"CREATE TEMP TABLE {_quoted(table)} AS {self.text()}")

    def append(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        """Run the query and add its rows to a table made by `store`."""
        _send(connection, f"INSERT INTO {_quoted(table)} {self.text()}")

    def drop_from(self, connection: duckdb.DuckDBPyConnection, table: str, column: str) -> int:
        """Delete the rows of a table whose value in a column is among those of this query; how many there were."""
        text = f"DELETE FROM {_quoted(table)} WHERE {_quoted(column)} IN ({self.text()})"  # noqa: S608 - see above
        [[dropped]] = _send(connection, text).fetchall()
        return int(dropped)

    def text(self) -> str:
        """The query as it is sent."""
        items = map(_quoted, self.columns) if self.items is None else self.items
        where = f" WHERE {self.condition}" if self.condition else ""
        return f"SELECT {', '.join(items)} FROM {self.source}{where} {self.rest}"  # noqa: S608 - see above

    def _bare(self) -> Self:
        """The same rows with nothing between the columns and where they come from, so that a step can stand on it."""
        if self.items is None and not self.rest:
            return self
        return type(self)(f"({self.text()})", self.columns)

    def _step(self, items: tuple[Item, ...], rest: str = "") -> Self:
        done = tuple(map(_written, items))
        texts, names = tuple(item.text for item in done), tuple(item.name for item in done)
        return replace(self._bare(), items=texts, columns=names, rest=rest)


_parsed: Final[dict[str, Statement]] = {}
"""Statements as they were read, by their text. No text holds a value of a row or a run's key."""


def _send(connection: duckdb.DuckDBPyConnection, text: str) -> duckdb.DuckDBPyConnection:
    """Run a statement, read once for all runs: reading it takes a fifth of the time of a small extract."""
    statement = _parsed.get(text)
    if statement is None:
        [statement] = connection.extract_statements(text)
        while len(_parsed) >= STATEMENTS_KEPT:
            _parsed.pop(next(iter(_parsed)), None)
        _parsed[text] = statement
    return connection.execute(statement)


def from_table(table: str, columns: tuple[str, ...]) -> Select:
    """A table of the database."""
    return Select(_quoted(table), columns)


def from_csv(path: str, columns: tuple[str, ...], options: dict[str, object]) -> Select:
    """The rows of a CSV file, every column as text."""
    arguments = {"columns": _texts(columns), **{name: str(lit(value)) for name, value in options.items()}}
    listed = ", ".join(f"{name} = {value}" for name, value in arguments.items())
    return Select(f"read_csv({lit(path)}, {listed})", columns)


def _written(item: Item) -> Written:
    match item:
        case str():
            return Written(_quoted(item), item)
        case Written():
            return item
        case _:
            return written(item)


@lru_cache(maxsize=1024)
def _quoted(name: str) -> str:
    return str(col(name))


@lru_cache(maxsize=64)
def _texts(columns: tuple[str, ...]) -> str:
    return str(lit(dict.fromkeys(columns, "VARCHAR")))
