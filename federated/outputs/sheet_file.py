"""Sheets as an OpenDocument spreadsheet: cells, styles and marks, and the same bytes for the same sheets.

Every number is a number with a style that says how it is shown, and every text is typed as text. No cell holds a
formula: there is no way to write one here.
"""

import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite
from typing import Any, Final, Self
from xml.parsers import expat

from federated.errors import InternalError
from federated.presentation import NOT_AVAILABLE

__all__ = ["Content", "Kind", "Link", "Sheet", "SheetTable", "spreadsheet_bytes"]

LANGUAGE: Final = ("en", "GB")
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a ZIP file can hold: that of every part of it, so that its bytes follow from its content."""
NARROWEST_CM: Final = 2.6
WIDEST_CM: Final = 9.0
ONLY_CM: Final = 17.0
"""Of the one column of a sheet without a table, which then fits A4."""
CHARACTER_CM: Final = 0.2
DECIMALS: Final = 2
ROOT: Final = re.compile(rb"<[a-z][^>]*>")
ELEMENT: Final = re.compile(rb"<[^\s>]+")
NAMESPACE: Final = re.compile(rb' xmlns:([^=]+)="[^"]*"')
FIGURE: Final = re.compile(r"-?[\d,]+(\.\d+)?")


class Kind(StrEnum):
    """What a cell holds."""

    TEXT = "string"
    HEADING = "heading"
    NUMBER = "float"
    SHARE = "percentage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What stands in a cell.

    Attributes:
        text: As it is shown.
        kind: What it is.
        value: The number behind the text, unrounded, where it is one.
        decimals: Of a number as it is shown.
    """

    text: str
    kind: Kind = Kind.TEXT
    value: float = 0.0
    decimals: int = 0

    @classmethod
    def figure(cls, text: str) -> Self:
        """A figure as printed: a number where it is one, text where shorthand stands in its place or beside it."""
        if not FIGURE.fullmatch(text):
            return cls(text=text)
        decimals = len(text.partition(".")[2])
        return cls(text=text, kind=Kind.NUMBER, value=float(text.replace(",", "")), decimals=decimals)

    @classmethod
    def number(cls, value: float | None) -> Self:
        """A number, shown with two decimals and held with all; `[x]` where there is none."""
        if value is None or not isfinite(value):
            return cls(text=NOT_AVAILABLE)
        return cls(text=f"{value:,.{DECIMALS}f}", kind=Kind.NUMBER, value=value, decimals=DECIMALS)

    @classmethod
    def share(cls, value: float) -> Self:
        """A share of 1, shown as a percentage."""
        return cls(text=f"{100 * value:.1f}%", kind=Kind.SHARE, value=value, decimals=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A cell that leads to the first cell of a sheet."""

    sheet: str

    @property
    def text(self) -> str:
        """As it is shown: the sheet's name."""
        return self.sheet


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetTable:
    """A table: its name for programs, the header row, and rows of as many cells."""

    name: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Content | Link, ...], ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A sheet: its title in A1, lines below it, and then at most one table."""

    name: str
    title: str
    lines: tuple[Content, ...]
    table: SheetTable | None = None


def spreadsheet_bytes(sheets: Sequence[Sheet], *, title: str, created_at: str) -> bytes:
    """The file.

    Args:
        sheets: In order; the first is what opens.
        title: Of the document.
        created_at: ISO time, UTC.
    """
    return _settled(_Writer(title, created_at).written(sheets))


def _settled(content: bytes) -> bytes:
    """The same file with what odfpy takes from elsewhere settled: the time of writing, and names that others used."""
    settled = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as given, zipfile.ZipFile(settled, "w") as made:
        for part in given.infolist():
            kept = zipfile.ZipInfo(part.filename, EPOCH)
            kept.compress_type, kept.external_attr = part.compress_type, part.external_attr
            found = given.read(part)
            made.writestr(kept, _own_names(found) if part.filename.endswith(".xml") else found)
    return settled.getvalue()


def _own_names(document: bytes) -> bytes:
    """The document with the namespaces that it uses, in order: odfpy declares all that its process has ever used."""
    used: set[str] = set()

    def seen(name: str, attributes: dict[str, str]) -> None:
        used.update(item.partition(":")[0] for item in (name, *attributes) if ":" in item)

    parser = expat.ParserCreate()
    parser.StartElementHandler = seen
    parser.Parse(document, True)  # noqa: FBT003 - the whole of it
    root = ROOT.search(document)
    if root is None:
        raise InternalError("A part of a spreadsheet has no element.")
    declared = {found[1].decode(): found[0] for found in NAMESPACE.finditer(root[0])}
    kept = b"".join(declared[prefix] for prefix in sorted(used & declared.keys()))
    start = NAMESPACE.sub(b"", root[0])
    name = ELEMENT.match(start)
    end = 0 if name is None else name.end()
    return document[: root.start()] + start[:end] + kept + start[end:] + document[root.end() :]


class _Writer:
    """One document while it is written. odfpy is imported here alone: only analyst and coordinator write sheets."""

    def __init__(self, title: str, created_at: str) -> None:
        from odf import dc, meta  # noqa: PLC0415 - as the class says
        from odf.opendocument import OpenDocumentSpreadsheet  # noqa: PLC0415 - as above

        self._document: Any = OpenDocumentSpreadsheet()
        self._styles: dict[str, Any] = {}
        for element, text in (
            (dc.Title, title),
            (dc.Language, "-".join(LANGUAGE)),
            (meta.CreationDate, created_at.removesuffix("Z")),
        ):
            self._document.meta.addElement(element(text=text))
        self._look()

    def written(self, sheets: Sequence[Sheet]) -> bytes:
        """The file's bytes, dates aside."""
        from odf.table import DatabaseRanges  # noqa: PLC0415 - as the class says

        ranges = DatabaseRanges()
        for sheet in sheets:
            self._sheet(sheet, ranges)
        self._document.spreadsheet.addElement(ranges)
        buffer = io.BytesIO()
        self._document.save(buffer)
        return buffer.getvalue()

    def _look(self) -> None:
        """The language of the document, and the looks that cells have."""
        from odf import style  # noqa: PLC0415 - as the class says

        language, country = LANGUAGE
        plain = style.DefaultStyle(family="table-cell")
        plain.addElement(style.TextProperties(language=language, country=country, fontfamily="Arial", fontsize="11pt"))
        self._document.styles.addElement(plain)
        for name, size, weight, wrapped in (
            ("title", "14pt", "bold", False),
            ("heading", "11pt", "bold", True),
            ("text", "11pt", "normal", True),
            ("line", "11pt", "normal", False),
        ):
            look = style.Style(name=name, family="table-cell")
            look.addElement(style.TextProperties(fontsize=size, fontweight=weight))
            look.addElement(style.TableCellProperties(wrapoption="wrap" if wrapped else "no-wrap", verticalalign="top"))
            self._document.automaticstyles.addElement(look)
            self._styles[name] = look

    def _number_look(self, kind: Kind, decimals: int) -> Any:
        """The look of numbers with so many decimals, thousands apart."""
        from odf import number, style  # noqa: PLC0415 - as the class says

        name = f"{kind.value}-{decimals}"
        if name not in self._styles:
            digits = number.Number(decimalplaces=decimals, minintegerdigits=1, grouping="true")
            if kind is Kind.SHARE:
                shown = number.PercentageStyle(name=f"shown-{name}")
                shown.addElement(digits)
                shown.addElement(number.Text(text="%"))
            else:
                shown = number.NumberStyle(name=f"shown-{name}")
                shown.addElement(digits)
            look = style.Style(name=name, family="table-cell", datastylename=shown)
            look.addElement(style.TableCellProperties(verticalalign="top"))
            self._document.automaticstyles.addElement(shown)
            self._document.automaticstyles.addElement(look)
            self._styles[name] = look
        return self._styles[name]

    def _column_look(self, width: float) -> Any:
        from odf import style  # noqa: PLC0415 - as the class says

        name = f"column-{width:.1f}".replace(".", "-")
        if name not in self._styles:
            look = style.Style(name=name, family="table-column")
            look.addElement(style.TableColumnProperties(columnwidth=f"{width:.1f}cm"))
            self._document.automaticstyles.addElement(look)
            self._styles[name] = look
        return self._styles[name]

    def _sheet(self, sheet: Sheet, ranges: Any) -> None:
        from odf.table import DatabaseRange, Table, TableColumn, TableHeaderRows  # noqa: PLC0415 - as the class says

        made = Table(name=sheet.name)
        for width in _widths(sheet):
            made.addElement(TableColumn(stylename=self._column_look(width)))
        # Above a table a line may run on over the empty cells beside it; alone on its sheet it is wrapped.
        look = "text" if sheet.table is None else "line"
        made.addElement(self._row([Content(text=sheet.title)], look="title"))
        for line in sheet.lines:
            made.addElement(self._row([line], look=look))
        if sheet.table is not None:
            head = TableHeaderRows()
            head.addElement(
                self._row([Content(text=name, kind=Kind.HEADING) for name in sheet.table.heads], look="text")
            )
            made.addElement(head)
            for row in sheet.table.rows:
                made.addElement(self._row(row, look="text"))
            first = len(sheet.lines) + 2
            last = f"{_letters(len(sheet.table.heads))}{first + len(sheet.table.rows)}"
            ranges.addElement(
                DatabaseRange(
                    name=sheet.table.name,
                    targetrangeaddress=f"{sheet.name}.A{first}:{sheet.name}.{last}",
                    containsheader="true",
                )
            )
        self._document.spreadsheet.addElement(made)

    def _row(self, cells: Sequence[Content | Link], *, look: str) -> Any:
        from odf.table import TableRow  # noqa: PLC0415 - as the class says

        row = TableRow()
        for cell in cells:
            row.addElement(self._cell(cell, look))
        return row

    def _cell(self, content: Content | Link, look: str) -> Any:
        from odf.table import TableCell  # noqa: PLC0415 - as the class says
        from odf.text import A, P  # noqa: PLC0415 - as above

        shown = P()
        if isinstance(content, Link):
            made = TableCell(valuetype="string", stylename=self._styles[look])
            shown.addElement(A(href=f"#{content.sheet}.A1", text=content.text))
        else:
            if content.kind in {Kind.NUMBER, Kind.SHARE}:
                numbers = self._number_look(content.kind, content.decimals)
                made = TableCell(valuetype=content.kind.value, value=repr(content.value), stylename=numbers)
            else:
                bold = content.kind is Kind.HEADING
                made = TableCell(valuetype="string", stylename=self._styles["heading" if bold else look])
            shown.addText(content.text)
        made.addElement(shown)
        return made


def _widths(sheet: Sheet) -> list[float]:
    """Of each column, in centimetres: room for its longest text, within bounds; longer ones are wrapped."""
    if sheet.table is None:
        return [ONLY_CM]
    columns = zip(*([cell.text for cell in row] for row in sheet.table.rows), strict=True)
    longest = [max(map(len, texts), default=0) for texts in columns] or [0] * len(sheet.table.heads)
    words = [max(map(len, head.split()), default=0) for head in sheet.table.heads]
    return [
        min(WIDEST_CM, max(NARROWEST_CM, CHARACTER_CM * max(pair) + 0.5)) for pair in zip(longest, words, strict=True)
    ]


def _letters(number: int) -> str:
    """The name of a column: 1 is A, 27 is AA."""
    name = ""
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(ord("A") + rest) + name
    return name
