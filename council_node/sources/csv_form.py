"""The outside of a CSV file: its delimiter and headings. Only the heading row is looked at here."""

import codecs
import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from council_node.sources.csv_records import first_record
from council_node.sources.regular_file import open_regular
from council_node.sources.text_rows import Headings
from federated.errors import FileProblem

__all__ = ["CsvForm", "read_form"]

HEADING_BYTES: Final = 1024 * 1024
DELIMITERS: Final = ",;\t|"
MAX_HEADINGS: Final = 4096
_SPREADSHEETS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How XLSX and ODS begin, and XLS."""


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
        with open_regular(path) as file:
            start = file.read(HEADING_BYTES)
    except OSError as error:
        raise FileProblem(
            f"The extract {path} cannot be read: {error.strerror}.", remedy="Check its name and permissions."
        ) from error
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FileProblem(f"{path} is UTF-16 text.", remedy="Save it as 'CSV UTF-8'.")
    if start.startswith(_SPREADSHEETS):
        raise FileProblem(
            f"{path} is a spreadsheet, not a CSV file.",
            remedy="Say 'kind: spreadsheet' in the mapping file, or save the sheet as CSV.",
        )
    row = _text(_first_row(start.decode("latin-1"), path).encode("latin-1"))
    delimiter = max(DELIMITERS, key=row.count)
    # By the rule that the rows are read by, so that both agree on where the headings end.
    heading = _text(first_record(start.removeprefix(codecs.BOM_UTF8), delimiter))
    try:
        names = tuple(next(csv.reader(io.StringIO(heading, newline=""), delimiter=delimiter), ()))
    except csv.Error:  # a heading beyond the library's own limit, or line ends where none belong
        names = ()
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
