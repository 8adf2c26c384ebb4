"""The outside of a CSV file: its encoding, delimiter and headings. Only the heading row is looked at here."""

import codecs
import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from council_node.mapping import CsvEncoding
from council_node.sources.text_rows import Headings
from federated.errors import FileProblem

__all__ = ["CsvForm", "as_utf8", "read_form"]

HEADING_BYTES: Final = 1024 * 1024
BLOCK_BYTES: Final = 1024 * 1024
DELIMITERS: Final = ",;\t|"
MAX_HEADINGS: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvForm:
    """What the heading row of a file shows.

    Attributes:
        delimiter: One of comma, semicolon, tab and bar.
        headings: Headings, left to right.
    """

    delimiter: str
    headings: Headings


def read_form(path: Path) -> CsvForm:
    """Read the heading row of a CSV file.

    Raises:
        FileProblem: The file cannot be read, or does not begin with a row of headings.
    """
    if any(mark in str(path) for mark in "*?["):
        raise FileProblem(f"{path}: a file name with *, ? or [ cannot be read.", remedy="Rename the file.")
    try:
        with path.open("rb") as file:
            start = file.read(HEADING_BYTES)
    except OSError as error:
        raise FileProblem(
            f"The extract {path} cannot be read: {error.strerror}.", remedy="Check its name and permissions."
        ) from error
    row = _text(_first_row(start.decode("latin-1"), path).encode("latin-1"))
    delimiter = max(DELIMITERS, key=row.count)
    names = tuple(next(csv.reader(io.StringIO(row), delimiter=delimiter), ()))
    if not any(name.strip() for name in names) or len(names) > MAX_HEADINGS:
        raise FileProblem(
            f"{path}, line 1: a row of headings was expected.",
            remedy="Remove title rows above the headings, and save the sheet as CSV.",
        )
    return CsvForm(delimiter=delimiter, headings=Headings(where=f"{path}, line 1", names=names))


def _text(row: bytes) -> str:
    """The heading row as text, from its own bytes alone: no case may decide how the headings are read."""
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return row.decode(encoding)
        except UnicodeDecodeError:
            continue
    return row.decode("latin-1")


def _first_row(text: str, path: Path) -> str:
    """The heading row, one character for each byte; headings may hold line breaks inside quotes."""
    inside_quotes = False
    for place, character in enumerate(text):
        if character == '"':
            inside_quotes = not inside_quotes
        elif character in "\r\n" and not inside_quotes:
            return text[:place]
    if inside_quotes or len(text) >= HEADING_BYTES - 4:
        raise FileProblem(
            f"{path}, line 1: the row of headings does not end.", remedy="Check the quotation marks in the headings."
        )
    return text


@contextmanager
def as_utf8(path: Path, encoding: CsvEncoding) -> Iterator[Path]:
    """The file as UTF-8: itself where it is that or is said to be, else a copy in memory.

    Where the encoding is not stated, each line that is not UTF-8 is taken as Windows-1252, and no other line: one
    choice for the file would let a single case change how every other case is read.

    Raises:
        FileProblem: The file cannot be read, or this system has no files in memory.
    """
    try:
        if encoding is CsvEncoding.UTF_8 or (encoding is CsvEncoding.AUTO and _is_utf8(path)):
            yield path
            return
        with _copy(path, line_by_line=encoding is CsvEncoding.AUTO) as copy:
            yield copy
    except OSError as error:
        raise FileProblem(f"The extract {path} cannot be read: {error.strerror}.") from error


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as source:
            while block := source.read(BLOCK_BYTES):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


@contextmanager
def _copy(path: Path, *, line_by_line: bool) -> Iterator[Path]:
    """The file as UTF-8, in memory only: case records are never copied to a disk."""
    if not hasattr(os, "memfd_create"):
        raise FileProblem(f"{path} is not UTF-8 text.", remedy="Save it as 'CSV UTF-8'.")
    descriptor = os.memfd_create("extract")
    try:
        # Latin-1 gives one character for each byte; without translation every line keeps its ending.
        with os.fdopen(os.dup(descriptor), "wb") as copy, path.open(encoding="latin-1", newline="") as source:
            for line in source:
                copy.write(_utf8_line(line.encode("latin-1"), keep=line_by_line))
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _utf8_line(line: bytes, *, keep: bool) -> bytes:
    if keep:
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            return line
    # Five bytes mean nothing in Windows-1252; they become the sign for an unknown character.
    return line.decode("cp1252", "replace").encode("utf-8")
