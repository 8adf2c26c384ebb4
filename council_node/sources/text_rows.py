"""What every source gives, whatever it is: headings, and the asked-for columns of its rows as text.

A source is opened in two steps. Opening it looks at headings alone, so that a council can say before a round whether
it can answer (`protocol.md` 1.3). Reading it brings the columns that were asked for and no others, and nothing in a
row can stop it: a cell that cannot be read becomes null.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Final, Protocol

import duckdb
import numpy as np
from duckdb import col

from council_node.mapping import normal_heading
from council_node.selects import Select, from_table
from federated.errors import FileProblem

__all__ = ["Headings", "InPeriod", "RowsInPython", "TextRows", "TextSource", "Wanted", "raw_name"]

_BATCH: Final = "!batch"


def raw_name(place: int) -> str:
    """Name, in the database, of the text column under the heading at a place."""
    return f"!{place}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Headings:
    """The headings of an extract.

    Attributes:
        where: Where they stand, for messages.
        names: As written, in order.
    """

    where: str
    names: tuple[str, ...]
    _places: Mapping[str, tuple[int, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Note where each heading stands, whatever its case and blanks."""
        places: dict[str, tuple[int, ...]] = {}
        for place, name in enumerate(self.names):
            normal = normal_heading(name)
            places[normal] = (*places.get(normal, ()), place)
        object.__setattr__(self, "_places", places)

    def position(self, heading: str) -> int:
        """Place of a heading, from 0.

        Raises:
            FileProblem: It is not there, or is there twice.
        """
        places = self._places.get(normal_heading(heading), ())
        if not places:
            raise FileProblem(
                f"{self.where}: there is no heading '{heading}'.",
                remedy="Check the mapping file against the headings of the extract.",
            )
        if len(places) > 1:
            raise FileProblem(
                f"{self.where}: the heading '{heading}' is there {len(places)} times.",
                remedy="Rename all but one of them in the export.",
            )
        return places[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class InPeriod:
    """The rows a question can count; a source may leave out others, and need not.

    A row outside the period matters still when it may hold an objection, which is honoured in every row of its
    household.

    Attributes:
        place: Column of the date.
        start: First day.
        end: Last day.
        objection: Column of objections, if there is one.
        agreeing: Texts, in lower case, that are no objection; blank is none either.
    """

    place: int
    start: date
    end: date
    objection: int | None
    agreeing: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked of a source.

    Attributes:
        places: Columns to bring, in order, each once.
        dates: Those that hold dates.
        period: Rows that matter; None for all.
    """

    places: tuple[int, ...]
    dates: frozenset[int] = frozenset()
    period: InPeriod | None = None


class TextRows(Protocol):
    """An extract being read."""

    @property
    def readable(self) -> Path | None:
        """The one file that the database must be able to open; None when the rows come from elsewhere."""

    @property
    def passing(self) -> bool:
        """Whether the path of `readable` means something else afterwards, as a copy in memory does."""

    @property
    def size(self) -> int:
        """About how many bytes are read: how many threads are worth it follows from this."""

    @property
    def encoding(self) -> str:
        """How text was read, for the report."""

    def batches(self, connection: duckdb.DuckDBPyConnection) -> Iterator[Select]:
        """The rows, in one part or several; each is valid until the next is asked for, and there is at least one.

        Every part has the columns `raw_name(place)` for the places that were wanted, in order: text or null.

        Raises:
            InternalError: Reading failed for a reason that is not in the rows.
        """

    def unreadable(self, connection: duckdb.DuckDBPyConnection) -> int:
        """How many rows could not be read as rows and were left out; asked when all parts were read."""


class TextSource(Protocol):
    """An extract whose headings were read."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    @property
    def headings(self) -> Headings:
        """Its headings."""

    def reading(self, wanted: Wanted) -> AbstractContextManager[TextRows]:
        """Read columns of it.

        Raises:
            FileProblem: It is no longer there.
        """


@dataclass(slots=True, kw_only=True)
class RowsInPython(ABC):
    """Rows that pass through Python on their way to the database; the fields are those of `TextRows`.

    Attributes:
        wanted: What is asked of the source.
        left_out: Rows that could not be read so far.
    """

    wanted: Wanted
    size: int
    encoding: str = "utf-8"
    readable: None = None
    passing: bool = False
    left_out: int = field(default=0, init=False)

    @abstractmethod
    def columns(self) -> Iterator[Sequence[Sequence[str]]]:
        """For each batch its texts, column by column, all of one length.

        Nothing is written as an empty text, never as None: the database settles a column's type from a sample of its
        cells, and a row must not decide.
        """

    def batches(self, connection: duckdb.DuckDBPyConnection) -> Iterator[Select]:
        """Each batch as something to select from, and an empty one last.

        The database scans the texts where they are: about four million rows of four columns a second [measured: 4.4
        against 1.3 for lists passed as parameters and 0.01 for `executemany`].
        """
        names = tuple(map(raw_name, self.wanted.places))
        texts = tuple(col(name).cast("VARCHAR").alias(name) for name in names)
        try:
            for batch in chain(self.columns(), [[()] * len(names)]):
                cells = (np.array(column, dtype=object) for column in batch)
                connection.register(_BATCH, dict(zip(names, cells, strict=True)))
                yield from_table(_BATCH, names).select(*texts)
        finally:
            connection.unregister(_BATCH)

    def unreadable(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Rows that were left out."""
        del connection
        return self.left_out
