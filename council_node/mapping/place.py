"""Where an extract is, as a mapping file says it: a file of some kind, or a table of a database."""

from enum import StrEnum
from pathlib import PurePath
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["CsvEncoding", "ExtractPlace", "SourceKind"]


class SourceKind(StrEnum):
    """What an extract is."""

    CSV = "csv"
    """Text with a delimiter."""
    SPREADSHEET = "spreadsheet"
    """A workbook of Excel or LibreOffice."""
    XML = "xml"
    """Nested elements, as the statutory return is sent."""
    DATABASE = "database"
    """A table or view."""


class CsvEncoding(StrEnum):
    """The alphabet of a CSV file."""

    AUTO = "auto"
    """UTF-8 where every line of it is; Windows-1252 otherwise."""
    UTF_8 = "utf-8"
    """UTF-8, with or without a mark at the start; lines that are not are left out and counted."""
    CP1252 = "cp1252"
    """Windows-1252, as older spreadsheets save."""


_SUFFIXES: Final = {
    **dict.fromkeys((".csv", ".txt", ".tsv", ".tab"), SourceKind.CSV),
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), SourceKind.SPREADSHEET),
    ".xml": SourceKind.XML,
}
_OF_KIND: Final = {
    "encoding": SourceKind.CSV,
    "sheet": SourceKind.SPREADSHEET,
    "heading_row": SourceKind.SPREADSHEET,
    "record": SourceKind.XML,
    "rows": SourceKind.XML,
    "database": SourceKind.DATABASE,
    "table": SourceKind.DATABASE,
}
"""Fields that mean something for one kind only."""

_ElementName = Annotated[str, Field(pattern=r"^[^/@\s]+$", max_length=400)]
_ElementPath = Annotated[str, Field(pattern=r"^[^/@\s]+(/[^/@\s]+)*$", max_length=400)]


class ExtractPlace(BaseModel):
    """Where an extract is.

    A file is named by `file`; its kind follows from the end of its name unless `kind` says otherwise. A database is
    named by `database` and `table`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    file: str | None = Field(
        default=None,
        min_length=1,
        description="The extract, beside the mapping file unless a full path is given; left out for a database.",
    )
    kind: SourceKind | None = Field(
        default=None,
        description="What the extract is, where the end of its name does not tell: `csv`, `spreadsheet` (XLSX, XLS, "
        "ODS), `xml` or `database`.",
    )
    encoding: CsvEncoding = Field(
        default=CsvEncoding.AUTO,
        description="CSV: its alphabet. Where it is not stated, each line that is not UTF-8 is taken as Windows-1252, "
        "whatever the others are.",
    )
    sheet: str | None = Field(
        default=None,
        min_length=1,
        max_length=400,
        description="Spreadsheet: name of the sheet; when left out, the one that holds the mapped headings.",
    )
    heading_row: Annotated[int, Field(ge=1, le=50)] | None = Field(
        default=None,
        description="Spreadsheet: number of the row of headings, as the program shows it; when left out, the first "
        "of the top 50 rows that holds the mapped headings.",
    )
    record: _ElementName | None = Field(
        default=None,
        description="XML: name of the element of one case; when left out, that of the first element inside the "
        "outermost one.",
    )
    rows: _ElementPath | None = Field(
        default=None,
        description="XML: an element that repeats inside a case and gives a row each, such as `support/need`; when "
        "left out, a case is a row.",
    )
    database: str | None = Field(
        default=None,
        min_length=1,
        description="Database: the file, beside the mapping file, whose one line is the address of the database. It "
        "holds a password: only the node's account may read it.",
    )
    table: str | None = Field(
        default=None,
        pattern=r"^[^.]+(\.[^.]+)?$",
        max_length=400,
        description="Database: the table or view, with its schema if need be, such as `reporting.cases`.",
    )

    @property
    def source_kind(self) -> SourceKind:
        """What the extract is."""
        if self.kind is not None:
            return self.kind
        if self.file is None:
            return SourceKind.DATABASE
        return _SUFFIXES[PurePath(self.file).suffix.lower()]

    @model_validator(mode="after")
    def _check_place(self) -> "ExtractPlace":
        if self.database is not None and "://" in self.database:
            # Not repeated in the error: it holds a password, which is to be changed now.
            raise ValueError("must name a file that holds the database's address; the address itself never stands here")
        if (self.file is None) == (self.database is None):
            raise ValueError("must name either a 'file' or a 'database'")
        if self.kind is None and self.file is not None and PurePath(self.file).suffix.lower() not in _SUFFIXES:
            raise ValueError("must say the 'kind' of its file, because the end of the file's name does not tell")
        if (self.source_kind is SourceKind.DATABASE) != (self.database is not None):
            raise ValueError("must have the kind 'database' if it names a 'database', and only then")
        if (self.database is None) != (self.table is None):
            raise ValueError("must name both 'database' and 'table', or neither")
        unused = [name for name, kind in _OF_KIND.items() if self._says(name) and kind is not self.source_kind]
        if unused:
            raise ValueError(f"has '{unused[0]}', which is for the kind '{_OF_KIND[unused[0]]}' alone")
        return self

    def _says(self, name: str) -> bool:
        return bool(getattr(self, name) != type(self).model_fields[name].default)
