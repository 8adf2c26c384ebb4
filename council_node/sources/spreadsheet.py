"""An extract in a spreadsheet (XLSX, XLS, ODS): read in a process of its own, within stated sizes.

Officers keep titles above their headings, several sheets in a workbook, and blank rows and columns between; headings
are found among all that by the mapping. Only stored values are read: no formula is ever worked out.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any, Final

from council_node.cells import reader
from council_node.mapping import ExtractPlace, normal_heading
from council_node.sources.text_rows import Headings, RowsInPython, Wanted
from federated.errors import FederatedError, FileProblem, InternalError

__all__ = ["SpreadsheetSource", "open_spreadsheet"]

FILE_BYTES: Final = 64_000_000
TIMEOUT_S: Final = 120
_MEGABYTE: Final = 1_000_000
_KEPT_IN_ENVIRONMENT: Final = ("SYSTEMROOT", "LD_LIBRARY_PATH")
_LIMITS: Final = (
    f"at most {FILE_BYTES // _MEGABYTE} MB, {reader.UNPACKED_BYTES // _MEGABYTE} MB unpacked, "
    f"{reader.MAX_SHEETS} sheets and {reader.MAX_ROWS:,} rows are read"
)
_SAVE_AS_CSV: Final = "Save the sheet as 'CSV UTF-8' and map that file; a CSV file may have any size."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sheet:
    """A sheet, and where its headings may stand.

    Attributes:
        name: Its name.
        row: Place of the row of headings, from 0.
        headings: Headings, with those of the rows above where the row itself is blank, as merged cells leave it.
        found: How many of the mapped headings are among them.
    """

    name: str
    row: int
    headings: tuple[str, ...]
    found: int


@dataclass(slots=True, kw_only=True)
class SpreadsheetRows(RowsInPython):
    """A sheet being read; a row with more text than a row can have is left out."""

    source: "SpreadsheetSource"

    def columns(self) -> Iterator[Sequence[Sequence[str]]]:
        """The rows below the headings."""
        sheet = self.source.sheet
        request = {
            "want": "rows",
            "file": str(self.source.path),
            "sheet": sheet.name,
            "from": sheet.row + 1,
            "places": self.wanted.places,
            "dates": sorted(self.wanted.dates),
        }
        with _answers(request) as answers:
            for part in answers:
                if isinstance(part, list):
                    yield part
                elif "left_out" in part:
                    self.left_out = int(part["left_out"])
                elif part["end"] != "done":
                    raise InternalError(
                        f"The spreadsheet {self.source.path} could no longer be read.",
                        remedy="Check whether it was replaced while it was being read.",
                    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadsheetSource:
    """A workbook whose sheet and headings were found.

    Attributes:
        path: The file.
        sheet: The sheet that holds the extract.
    """

    path: Path
    sheet: _Sheet

    @property
    def name(self) -> str:
        """File and sheet."""
        return f"{self.path}, sheet '{self.sheet.name}'"

    @property
    def headings(self) -> Headings:
        """Its headings."""
        return Headings(where=f"{self.name}, row {self.sheet.row + 1}", names=self.sheet.headings)

    @contextmanager
    def reading(self, wanted: Wanted) -> Iterator[SpreadsheetRows]:
        """Read columns of it; every row, whatever its date."""
        try:
            size = self.path.stat().st_size
        except OSError as error:
            raise _unreadable(self.path, error) from error
        yield SpreadsheetRows(source=self, wanted=wanted, size=size)


def open_spreadsheet(path: Path, place: ExtractPlace, mapped: Sequence[str]) -> SpreadsheetSource:
    """Find the sheet and the row of headings of an extract.

    Args:
        path: The workbook.
        place: May name the sheet and the row.
        mapped: Headings of the mapping; without any, the first sheet and row that look like headings are taken.

    Raises:
        FileProblem: The workbook cannot be read, is over a stated size, or does not hold the headings in one place.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from error
    if size > FILE_BYTES:
        raise _ended(path, "too large")
    sheets = [
        found
        for name, rows in _first_rows(path, place.sheet)
        if (found := _find_headings(name, rows, place.heading_row, mapped)) is not None
    ]
    return SpreadsheetSource(path=path, sheet=_choose(path, place, sheets))


def _first_rows(path: Path, sheet: str | None) -> list[tuple[str, list[list[str]]]]:
    """Name and first rows of each sheet, or of the one that is named."""
    found, end = [], "stopped"
    with _answers({"want": "headings", "file": str(path), "sheet": sheet}) as answers:
        for part in answers:
            if "end" in part:
                end = part["end"]
            else:
                found.append((part["sheet"], part["rows"]))
    if end != "done":
        raise _ended(path, end)
    return found


def _find_headings(name: str, rows: list[list[str]], stated: int | None, mapped: Sequence[str]) -> _Sheet | None:
    """The row that holds most of the mapped headings, the first of equals; None when no row has any.

    A case stands below the headings, so no case can take their place unless it holds more of them than they do.
    """
    wanted = {normal_heading(heading) for heading in mapped}
    best: _Sheet | None = None
    above: list[str] = [""] * max(map(len, rows), default=0)
    for place, row in enumerate(rows):
        # A cell merged downwards holds its text in its topmost row.
        above = [*((cell.strip() and cell) or old for cell, old in zip(row, above, strict=False)), *above[len(row) :]]
        filled = tuple(above)
        if stated is not None and place + 1 != stated:
            continue
        score = len(wanted & set(map(normal_heading, filled))) if wanted else sum(1 for cell in row if cell.strip())
        if score > (0 if best is None else best.found):
            best = _Sheet(name=name, row=place, headings=filled, found=score)
    return best


def _choose(path: Path, place: ExtractPlace, sheets: Sequence[_Sheet]) -> _Sheet:
    """The sheet with most of the mapped headings.

    Raises:
        FileProblem: There is none, or several hold as many.
    """
    best = max((sheet.found for sheet in sheets), default=0)
    fitting = [sheet for sheet in sheets if sheet.found == best]
    if not fitting:
        where = "" if place.sheet is None else f", sheet '{place.sheet}'"
        row = "the first rows" if place.heading_row is None else f"row {place.heading_row}"
        raise FileProblem(
            f"{path}{where}: none of the mapped headings is in {row}.",
            remedy="Check the headings, 'sheet' and 'heading_row' of the mapping file against the spreadsheet.",
        )
    if len(fitting) > 1:
        names = ", ".join(f"'{sheet.name}'" for sheet in fitting)
        raise FileProblem(
            f"{path}: the sheets {names} hold the mapped headings equally well.",
            remedy="Say which one is meant with 'sheet:' in the mapping file.",
        )
    return fitting[0]


@contextmanager
def _answers(request: Mapping[str, object]) -> Iterator[Iterator[Any]]:
    """What the reader says to a request, part by part; it is ended when the caller has enough, or takes too long."""
    # Isolated, and without the node's environment: it is given a path and nothing else.
    command = [sys.executable, "-I", "-m", reader.__name__, json.dumps(request)]
    environment = {name: os.environ[name] for name in _KEPT_IN_ENVIRONMENT if name in os.environ}
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a crash would print what it was reading
        env=environment,
    ) as process:
        watch = Timer(TIMEOUT_S, process.kill)
        watch.daemon = True
        watch.start()
        try:
            yield _parts(process)
        finally:
            watch.cancel()
            process.kill()


def _parts(process: "subprocess.Popen[bytes]") -> Iterator[Any]:
    if process.stdout is None:
        raise InternalError("The reader of spreadsheets has no output.")
    for line in process.stdout:
        if not line.endswith(b"\n"):
            break  # cut off in the middle
        part = json.loads(line)
        yield part
        if isinstance(part, dict) and "end" in part:
            return
    yield {"end": "stopped"}


def _ended(path: Path, end: str) -> FederatedError:
    """Why a workbook cannot be used."""
    match end:
        case "password":
            return FileProblem(
                f"{path} is protected by a password.", remedy="Save a copy without one, or save the sheet as CSV."
            )
        case "unreadable":
            return FileProblem(
                f"{path} is not a spreadsheet that can be read: it is damaged, or of another kind.",
                remedy="Open it and save it again as XLSX, ODS or CSV.",
            )
        case "too large" | "stopped":
            return FileProblem(f"{path} is too large a spreadsheet: {_LIMITS}.", remedy=_SAVE_AS_CSV)
        case _:
            return InternalError(f"The reader of spreadsheets ended with '{end}'.")


def _unreadable(path: Path, error: OSError) -> FileProblem:
    return FileProblem(
        f"The extract {path} cannot be read: {error.strerror}.", remedy="Check its name and permissions."
    )
