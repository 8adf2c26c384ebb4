"""A CSV extract: the database reads whole records of it, every column as text."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
from duckdb import col

from council_node.mapping import CsvEncoding
from council_node.selects import Select, from_csv, from_table
from council_node.sources.csv_form import CsvForm, read_form
from council_node.sources.csv_records import MAX_LINE_BYTES, CsvRecords
from council_node.sources.text_rows import Headings, Wanted, raw_name
from federated.errors import FileProblem

__all__ = ["CsvRows", "CsvSource", "open_csv"]

BUFFER_BYTES: Final = 8 * 1024 * 1024
MAX_REJECTS: Final = 10_000

_CSV_OPTIONS: Final[dict[str, object]] = {
    "auto_detect": False,
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


class CsvRows:
    """A CSV file being read: by the database itself where it is small and plain, else from memory, piece by piece.

    Args:
        source: The file.
        places: Columns to bring.
        copy: File in memory that takes one piece after another; None when the database reads the file itself.
    """

    def __init__(self, source: "CsvSource", places: tuple[int, ...], copy: int | None) -> None:
        self._source = source
        self._places = places
        self._copy = copy
        self._records = source.records()
        self._rejected = 0
        self.size = source.path.stat().st_size

    @property
    def readable(self) -> Path:
        """The file, or the one in memory."""
        return self._source.path if self._copy is None else Path(f"/proc/self/fd/{self._copy}")

    @property
    def passing(self) -> bool:
        """Whether it is one in memory."""
        return self._copy is not None

    @property
    def encoding(self) -> str:
        """The alphabet it was read in."""
        return (CsvEncoding.CP1252 if self._records.recoded else CsvEncoding.UTF_8).value

    def batches(self, connection: duckdb.DuckDBPyConnection) -> Iterator[Select]:
        """All of it in one part, or whole records of some megabytes at a time."""
        form = self._source.form
        names = tuple(map(raw_name, range(len(form.headings.names))))
        for heading in self._heading_rows():
            options = {**_CSV_OPTIONS, "delim": form.delimiter, "header": heading}
            yield from_csv(str(self.readable), names, options).select(*(col(raw_name(place)) for place in self._places))
            self._rejected += _forget_rejected(connection)

    def _heading_rows(self) -> Iterator[bool]:
        """For each part, once it can be read, whether it begins with the row of headings."""
        if self._copy is None:
            yield True
            return
        heading = True
        for piece in self._records.pieces():
            os.ftruncate(self._copy, 0)
            os.pwrite(self._copy, piece, 0)
            yield heading
            heading = False

    def unreadable(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Lines left out."""
        del connection  # what it knew of them was counted and forgotten, part by part
        return self._rejected + self._records.left_out


def _forget_rejected(connection: duckdb.DuckDBPyConnection) -> int:
    """How many lines of a part the database left out; the lines themselves are forgotten."""
    lines = set(from_table("reject_errors", ("line",)).run(connection).fetchall())
    connection.execute("DROP TABLE reject_errors")
    connection.execute("DROP TABLE reject_scans")
    return len(lines)


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

    def records(self) -> CsvRecords:
        """Its records."""
        return CsvRecords(self.path, self.form.delimiter, self.encoding)

    @contextmanager
    def reading(self, wanted: Wanted) -> Iterator[CsvRows]:
        """Read columns of it; every row, whatever its date.

        Raises:
            FileProblem: It cannot be read, or this system has no files in memory and it needs one.
        """
        copy = None
        try:
            if not self.records().is_plain():
                copy = self._copy()
            yield CsvRows(self, wanted.places, copy)
        except OSError as error:
            raise FileProblem(f"The extract {self.path} cannot be read: {error.strerror}.") from error
        finally:
            if copy is not None:
                os.close(copy)

    def _copy(self) -> int | None:
        """A file in memory: case records are never copied to a disk."""
        if hasattr(os, "memfd_create"):
            return os.memfd_create("extract")
        if self.records().is_plain(most_bytes=self.path.stat().st_size):
            return None
        raise FileProblem(f"{self.path} is not plain UTF-8 text.", remedy="Save it as 'CSV UTF-8'.")


def open_csv(path: Path, encoding: CsvEncoding) -> CsvSource:
    """Read the heading row of a CSV file.

    Raises:
        FileProblem: The file cannot be read, or does not begin with a row of headings.
    """
    return CsvSource(path=path, encoding=encoding, form=read_form(path))
