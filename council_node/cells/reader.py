"""Reads the cells of a spreadsheet, in a process of its own: `python -I -m council_node.cells.reader`.

A spreadsheet of a few kilobytes can ask for more memory than any computer has, and the library that reads it then ends
its process. So it is read apart from the node, within limits of memory and time that the system enforces, and what it
holds comes back as lines of JSON on standard output. One request, as JSON, stands on the command line.

The last line says how it ended; a reader that ended without one was stopped by a limit.
"""

import json
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from itertools import islice
from typing import Any, Final

import python_calamine as calamine

from council_node.cells.text import EPOCH_1900, EPOCH_1904, cell_text, day_text
from federated.dumps import forbid_dumps

__all__ = ["main"]

MEMORY_BYTES: Final = 1024**3
PROCESSOR_SECONDS: Final = 60
UNPACKED_BYTES: Final = 512_000_000
MAX_ROWS: Final = 200_000
MAX_SHEETS: Final = 100
LOOKED_AT: Final = 50
"""Rows in which headings are looked for."""
MAX_HEADING: Final = 400
"""Characters of a heading that count; no heading of a mapping is longer."""
BATCH_ROWS: Final = 5_000
BATCH_CHARACTERS: Final = 1024 * 1024
ROW_CHARACTERS: Final = 1024 * 1024
"""A row with more text than this is no row, as in a CSV file."""
_DAYS_FROM_1904 = re.compile(rb"<workbookPr[^>]*\bdate1904\s*=\s*[\"'](1|true|on)[\"']")


class _TooLarge(Exception):
    """The spreadsheet is over a stated size."""


def main() -> None:
    """Answer the request on the command line."""
    request = json.loads(sys.argv[1])
    _limit()
    answer: Callable[[dict[str, Any]], Iterator[object]] = {"headings": _headings, "rows": _rows}[request["want"]]
    try:
        for part in answer(request):
            _say(part)
    except calamine.PasswordError:
        _say({"end": "password"})
    except (_TooLarge, MemoryError):
        _say({"end": "too large"})
    except (calamine.CalamineError, calamine.WorksheetNotFound, zipfile.BadZipFile, OSError, ValueError, OverflowError):
        # The reader's words may quote a cell, so they stay here.
        _say({"end": "unreadable"})
    except BaseException as error:  # the reader's own panics are no Exception
        if type(error).__name__ != "PanicException":
            raise
        _say({"end": "unreadable"})
    else:
        _say({"end": "done"})


def _say(part: object) -> None:
    sys.stdout.write(json.dumps(part, separators=(",", ":")) + "\n")


def _limit() -> None:
    """Bound memory and time, and leave no core file. Where the system has no limits (Windows), the sizes alone hold."""
    forbid_dumps()
    with suppress(ImportError):
        import resource  # noqa: PLC0415 - not everywhere

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))


def _headings(request: dict[str, Any]) -> Iterator[object]:
    """The first rows of each sheet, as text."""
    _refuse_bombs(request["file"])
    with calamine.CalamineWorkbook.from_path(request["file"]) as book:
        if len(book.sheet_names) > MAX_SHEETS:
            raise _TooLarge
        for name in book.sheet_names if request["sheet"] is None else [request["sheet"]]:
            sheet = _sheet(book, name)
            if sheet is not None:
                found = islice(_sheet_rows(sheet), LOOKED_AT)
                yield {"sheet": name, "rows": [[cell_text(cell)[:MAX_HEADING] for cell in row] for row in found]}


def _rows(request: dict[str, Any]) -> Iterator[object]:
    """The asked-for columns of a sheet, from a row on, in batches of columns."""
    _refuse_bombs(request["file"])
    epoch, dates = _epoch(request["file"]), set(request["dates"])
    left_out = 0
    with calamine.CalamineWorkbook.from_path(request["file"]) as book:
        sheet = _sheet(book, request["sheet"])
        if sheet is None:
            raise ValueError(request["sheet"])
        batch: list[list[str]] = []
        characters = 0
        for row in islice(_sheet_rows(sheet), request["from"], None):
            texts = [_text(row, place, epoch if place in dates else None) for place in request["places"]]
            size = sum(map(len, texts))
            if size > ROW_CHARACTERS:
                left_out += 1
                continue
            batch.append(texts)
            characters += size
            if len(batch) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
                yield list(zip(*batch, strict=True))
                batch, characters = [], 0
        if batch:
            yield list(zip(*batch, strict=True))
    yield {"left_out": left_out}


def _text(row: list[object], place: int, epoch: date | None) -> str:
    if place >= len(row):
        return ""
    return cell_text(row[place]) if epoch is None else day_text(row[place], epoch)


def _sheet(book: calamine.CalamineWorkbook, name: str) -> calamine.CalamineSheet | None:
    """A sheet of cells; None when it is a chart, or not there."""
    kinds = {sheet.name: sheet.typ for sheet in book.sheets_metadata}
    if kinds.get(name) != calamine.SheetTypeEnum.WorkSheet:
        return None
    sheet = book.get_sheet_by_name(name)
    if sheet.end is not None and sheet.end[0] >= MAX_ROWS:
        raise _TooLarge
    return sheet


def _sheet_rows(sheet: calamine.CalamineSheet) -> Iterator[list[Any]]:
    """Every row from the sheet's first, every cell from its first column."""
    # The library gives the blank rows above the first cell, and leaves out the blank columns before it.
    before = [""] * (0 if sheet.start is None else sheet.start[1])
    return (before + row for row in sheet.iter_rows())


def _refuse_bombs(path: str) -> None:
    """Refuse a file that says it unpacks to more than the stated size; one that lies meets the limit of memory."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            if sum(part.file_size for part in packed.infolist()) > UNPACKED_BYTES:
                raise _TooLarge


def _epoch(path: str) -> date:
    """Day 0 of an Excel workbook. Dates that are marked as dates need it not: the library knows."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed, suppress(KeyError), packed.open("xl/workbook.xml") as book:
            if _DAYS_FROM_1904.search(book.read(1024 * 1024)):
                return EPOCH_1904
    return EPOCH_1900


if __name__ == "__main__":
    main()
