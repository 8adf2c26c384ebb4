"""Whole records of a CSV file, as UTF-8, a bounded piece at a time: what the database may be given to read.

One line must never change how another is read, and a file of any size must fit into little memory. So where a record
begins and ends is settled here, by one rule: fields are quoted as RFC 4180 says, and blanks may stand around the
quotes. A line that breaks the rule, such as one with a quotation mark too many, is read by itself; left to the
database it would swallow every line after it. A line beyond all reason is left out and counted.
"""

import csv
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from council_node.mapping import CsvEncoding
from council_node.sources.regular_file import open_regular

__all__ = ["MAX_LINE_BYTES", "CsvRecords", "first_record"]

MAX_LINE_BYTES: Final = 1024 * 1024
"""The longest record that is read."""
BLOCK_BYTES: Final = 4 * 1024 * 1024
QUOTED_BYTES: Final = 64 * 1024
"""The longest stretch between quotation marks that may hold line breaks."""
_MARK: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


class CsvRecords:
    """The records of one file.

    Args:
        path: The file.
        delimiter: Between fields.
        encoding: Its alphabet, as the mapping states it.

    Attributes:
        left_out: How many lines were left out so far.
        recoded: Whether any line was not UTF-8 so far.
    """

    def __init__(self, path: Path, delimiter: str, encoding: CsvEncoding) -> None:
        self.left_out = 0
        self.recoded = encoding is CsvEncoding.CP1252
        self._path = path
        self._delimiter = delimiter
        self._encoding = encoding
        self._record = re.compile(_record_pattern(delimiter.encode()))
        self._records = re.compile(b"(?:" + _record_pattern(delimiter.encode()) + b")*+")

    def is_plain(self, most_bytes: int | None = None) -> bool:
        """Whether the file is small and can be given to the database as it is.

        Args:
            most_bytes: The largest that counts as small; a block where left out.

        Raises:
            OSError: It cannot be read.
        """
        limit = BLOCK_BYTES if most_bytes is None else most_bytes
        with open_regular(self._path) as file:
            content = file.read(limit + 1)
        if len(content) > limit or self._encoding is CsvEncoding.CP1252:
            return False
        text = _ended(content.removeprefix(_MARK))
        return _is_utf8(text) and self._ended_records(text, 0) == len(text)

    def pieces(self) -> Iterator[bytes]:
        """The records, some megabytes at a time, each piece ending where a record ends.

        Raises:
            OSError: The file cannot be read.
        """
        rest, start = b"", True
        with open_regular(self._path) as file:
            while True:
                block = file.read(BLOCK_BYTES)
                last = not block
                block, start = block.removeprefix(_MARK) if start else block, False
                window = _ended(rest) if last else rest + block
                piece, used, skipping = self._whole(window, last=last)
                rest = window[used:]
                if piece:
                    yield self._as_utf8(piece)
                if skipping:
                    _skip_line(file)
                if last:
                    return

    def _whole(self, window: bytes, *, last: bool) -> tuple[bytes, int, bool]:
        """The records that end in a window, how much of it they take, and whether a line beyond reason goes on."""
        found, place = [], 0
        while place < len(window):
            end = self._ended_records(window, place)
            found.append(window[place:end])
            place = end
            if not last and len(window) - place <= MAX_LINE_BYTES:
                break  # it may go on in the next block
            if place == len(window):
                break
            line = _LINE_END.search(window, place)
            if line is None:
                self.left_out += 1
                return b"".join(found), len(window), not last
            found.append(self._by_itself(window[place : line.start()]))
            place = line.end()
        return b"".join(found), place, False

    def _ended_records(self, window: bytes, place: int) -> int:
        # A stretch at a time, so that a record beyond reason is none wherever it lies: were it taken whole where it
        # happens to fit into a window and line by line elsewhere, the rows before it would decide how it is read.
        while found := self._records.match(window, place, place + MAX_LINE_BYTES):
            if found.end() == place:
                break
            place = found.end()
        return place

    def _by_itself(self, line: bytes) -> bytes:
        record = _by_itself(line, self._delimiter)
        if record is None:
            self.left_out += 1
        return record or b""

    def _as_utf8(self, piece: bytes) -> bytes:
        """A piece as UTF-8.

        Where the encoding is not stated, each record that is not UTF-8 is taken as Windows-1252, and no other: one
        choice for the file would let a single case change how every other case is read.
        """
        if self._encoding is CsvEncoding.CP1252:
            return _from_cp1252(piece)
        if _is_utf8(piece):
            return piece
        return b"".join(self._record_as_utf8(found.group()) for found in self._record.finditer(piece))

    def _record_as_utf8(self, record: bytes) -> bytes:
        if _is_utf8(record):
            return record
        if self._encoding is CsvEncoding.UTF_8:
            self.left_out += 1
            return b""
        self.recoded = True
        return _from_cp1252(record)


def first_record(text: bytes, delimiter: str) -> bytes:
    """The first record of a text, which holds it whole."""
    found = re.match(_record_pattern(delimiter.encode()), _ended(text))
    if found is not None:
        return found.group()
    line = _LINE_END.split(text, maxsplit=1)[0]
    return _by_itself(line, delimiter) or b""


def _by_itself(line: bytes, delimiter: str) -> bytes | None:
    """A line that breaks the rule, as a record that does not: nothing after it can belong to it. None if too long."""
    if len(line) > MAX_LINE_BYTES:
        return None
    # One byte to a character, so that nothing is lost before the alphabet is settled.
    text = line.decode("latin-1")
    paired = text.count('"') % 2 == 0
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if paired else csv.QUOTE_NONE
    try:
        fields = next(csv.reader([text], delimiter=delimiter, quoting=quoting), [])
    except csv.Error:  # a field beyond the library's own limit
        return None
    if not paired:
        fields = [field.strip(' "') for field in fields]
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\n").writerow(fields)
    return written.getvalue().encode("latin-1")


def _skip_line(file: io.BufferedReader) -> None:
    """Go to the end of a line, however far it is."""
    buffer = bytearray(BLOCK_BYTES)
    while length := file.readinto(buffer):
        ends = [end for sign in (b"\n", b"\r") if (end := buffer.find(sign, 0, length)) >= 0]
        if ends:
            file.seek(min(ends) + 1 - length, os.SEEK_CUR)
            return


def _record_pattern(delimiter: bytes) -> bytes:
    """One record with its line end. Everything is possessive: no text makes the search go back."""
    other = re.escape(delimiter)
    stretch = b'[^"]{0,%d}+' % QUOTED_BYTES
    quoted = b'"' + stretch + b'(?:""' + stretch + b')*+"[ ]*+'
    bare = b'[^"\r\n' + other + b"]*+"
    field = b"(?:[ ]*+" + quoted + b"|" + bare + b")"
    return field + b"(?:" + other + field + b")*+(?:\r\n|\n|\r)"


def _ended(text: bytes) -> bytes:
    return text if not text or text.endswith((b"\n", b"\r")) else text + b"\n"


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _from_cp1252(text: bytes) -> bytes:
    # Five bytes mean nothing in Windows-1252; they become the sign for an unknown character.
    return text.decode("cp1252", "replace").encode("utf-8")
