"""A CSV extract: the database reads the file itself, every column as text."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
from duckdb import col

from council_node.mapping import CsvEncoding
from council_node.selects import Select, from_csv, from_table
from council_node.sources.csv_form import CsvForm, as_utf8, read_form
from council_node.sources.text_rows import Headings, Wanted, raw_name

__all__ = ["CsvSource", "open_csv"]

MAX_LINE_BYTES: Final = 1024 * 1024
BUFFER_BYTES: Final = 8 * 1024 * 1024
MAX_REJECTS: Final = 10_000

_CSV_OPTIONS: Final[dict[str, object]] = {
    "auto_detect": False,
    "header": True,
    "quote": '"',
    "escape": '"',
    "compression": "none",
    "null_padding": True,
    "strict_mode": False,
    "store_rejects": True,
    "rejects_limit": MAX_REJECTS,
    "max_line_size": MAX_LINE_BYTES,
    "buffer_size": BUFFER_BYTES,
    "parallel": False,
}
"""Nothing is guessed from the rows, so that no row changes how another is read; what is not a row is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvRows:
    """A CSV file being read.

    Attributes:
        readable: The file, or its copy in memory as UTF-8.
        passing: Whether it is such a copy.
        size: Bytes of it.
        form: Its headings and delimiter.
        places: Columns to bring.
    """

    readable: Path
    passing: bool
    size: int
    form: CsvForm
    places: tuple[int, ...]

    @property
    def encoding(self) -> str:
        """The alphabet it was read in."""
        return (CsvEncoding.CP1252 if self.passing else CsvEncoding.UTF_8).value

    def batches(self, connection: duckdb.DuckDBPyConnection) -> Iterator[Select]:
        """All of it, in one part."""
        del connection  # the database finds the file by its name
        names = tuple(map(raw_name, range(len(self.form.headings.names))))
        options = {**_CSV_OPTIONS, "delim": self.form.delimiter}
        yield from_csv(str(self.readable), names, options).select(*(col(raw_name(place)) for place in self.places))

    def unreadable(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Lines left out; the lines themselves are forgotten."""
        counts = from_table("reject_errors", ("line",)).group_by((), col("line").n_unique().alias("lines"))
        [[lines]] = counts.run(connection).fetchall()
        connection.execute("DROP TABLE reject_errors")
        connection.execute("DROP TABLE reject_scans")
        return int(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvSource:
    """A CSV file whose heading row was read.

    Attributes:
        path: The file.
        encoding: Its alphabet, as the mapping states it.
        form: Its headings and delimiter.
    """

    path: Path
    encoding: CsvEncoding
    form: CsvForm

    @property
    def name(self) -> str:
        """The file."""
        return str(self.path)

    @property
    def headings(self) -> Headings:
        """Its headings."""
        return self.form.headings

    @contextmanager
    def reading(self, wanted: Wanted) -> Iterator[CsvRows]:
        """Read columns of it; every row, whatever its date.

        Raises:
            FileProblem: It cannot be read.
        """
        with as_utf8(self.path, self.encoding) as readable:
            yield CsvRows(
                readable=readable,
                passing=readable != self.path,
                size=readable.stat().st_size,
                form=self.form,
                places=wanted.places,
            )


def open_csv(path: Path, encoding: CsvEncoding) -> CsvSource:
    """Read the heading row of a CSV file.

    Raises:
        FileProblem: The file cannot be read, or does not begin with a row of headings.
    """
    return CsvSource(path=path, encoding=encoding, form=read_form(path))
