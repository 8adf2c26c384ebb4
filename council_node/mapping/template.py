"""A spreadsheet for councils that keep cases in one (R16): headings, drop-downs of the codes' labels, and notes.

What is typed into it needs no wording to be mapped: headings and labels are the schema's own.
"""

import io
from typing import Final, assert_never

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from council_node.mapping.vocabulary import joined_columns, mapped_columns
from federated.errors import InternalError
from federated.schema import Column, ColumnType, Dataset

__all__ = ["template_workbook"]

ROWS: Final = 5000
"""Rows with drop-downs."""
FIRST_DAY: Final = "DATE(2018,4,3)"
"""The Homelessness Reduction Act has been in force since."""
LISTS: Final = "Lists"
_WIDE: Final = 26
_NOTES: Final = (
    "One row for each record. Keep the headings as they are; the order does not matter.",
    "Leave a cell blank when something is not known.",
    "Type no name, address, date of birth, telephone number, postcode or note anywhere. None is needed.",
    "A reference may be any number or text that your own list uses. It never leaves the council.",
    "When the sheet is filled in: council-node map FILE --out case-mapping.yaml",
)
_KINDS: Final = {
    ColumnType.CATEGORY: "Choose from the list.",
    ColumnType.DATE: "A date, such as 19/02/2025.",
    ColumnType.INTEGER: "A whole number.",
    ColumnType.KEY: "A reference.",
}


def template_workbook(dataset: Dataset) -> bytes:
    """The spreadsheet (XLSX) for a data set. Run by `council-node template`."""
    workbook = Workbook()
    sheet = workbook.active
    if not isinstance(sheet, Worksheet):
        raise InternalError("A new workbook has no worksheet.")
    sheet.title = "Records"
    notes, lists = workbook.create_sheet("Notes"), workbook.create_sheet(LISTS)
    columns = [column for name, column in mapped_columns(dataset).items() if name not in joined_columns(dataset)]
    for place, column in enumerate(columns, start=1):
        _head(sheet, place, column)
        _restrict(sheet, lists, place, column)
    sheet.freeze_panes = "A2"
    _explain(notes, dataset, columns)
    lists.sheet_state = "hidden"
    saved = io.BytesIO()
    workbook.save(saved)
    return saved.getvalue()


def _head(sheet: Worksheet, place: int, column: Column) -> None:
    cell = sheet.cell(row=1, column=place, value=column.label)
    cell.font = Font(bold=True)
    cell.alignment = Alignment(wrap_text=True, vertical="top")
    sheet.column_dimensions[get_column_letter(place)].width = _WIDE


def _restrict(sheet: Worksheet, lists: Worksheet, place: int, column: Column) -> None:
    """Let a column take only what it can hold."""
    letter = get_column_letter(place)
    match column.type:
        case ColumnType.CATEGORY:
            for row, code in enumerate(column.codes, start=1):
                lists.cell(row=row, column=place, value=code.label)
            last = f"${letter}${len(column.codes)}"
            rule = DataValidation(type="list", formula1=f"={LISTS}!${letter}$1:{last}", allow_blank=True)
        case ColumnType.DATE:
            rule = DataValidation(type="date", operator="greaterThanOrEqual", formula1=FIRST_DAY, allow_blank=True)
            sheet.column_dimensions[letter].number_format = "DD/MM/YYYY"
        case ColumnType.INTEGER:
            rule = DataValidation(
                type="whole", operator="greaterThanOrEqual", formula1=str(column.low), allow_blank=True
            )
        case ColumnType.KEY:
            return
        case _:
            assert_never(column.type)
    rule.errorTitle, rule.error = column.label[:32], _KINDS[column.type]
    rule.add(f"{letter}2:{letter}{ROWS + 1}")
    sheet.add_data_validation(rule)


def _explain(notes: Worksheet, dataset: Dataset, columns: list[Column]) -> None:
    notes.column_dimensions["A"].width = 2 * _WIDE
    notes.column_dimensions["B"].width = 4 * _WIDE
    notes.append([dataset.title])
    notes.append([])
    for line in _NOTES:
        notes.append([line])
    notes.append([])
    for column in columns:
        notes.append([column.label, f"{_KINDS[column.type]} {column.note}".strip()])
