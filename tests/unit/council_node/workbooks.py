"""Writes workbooks for tests: the same cells as XLSX, XLS or ODS."""

from datetime import date, datetime, time

import openpyxl
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P
from openpyxl.utils.datetime import CALENDAR_MAC_1904


def save_xlsx(path, sheets, *, merged=(), from_1904=False, stray=None):
    book = openpyxl.Workbook()
    book.remove(book.active)
    if from_1904:
        book.epoch = CALENDAR_MAC_1904
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append([None if cell == "" else cell for cell in row])
        for top, left, bottom, right in merged:
            sheet.merge_cells(start_row=top + 1, start_column=left + 1, end_row=bottom + 1, end_column=right + 1)
        if stray is not None:
            sheet[stray[0]] = stray[1]
    book.save(path)


def save_xls(path, sheets, *, merged=(), from_1904=False):
    book = xlwt.Workbook()
    book.dates_1904 = from_1904
    day = xlwt.easyxf(num_format_str="DD/MM/YYYY")
    for name, rows in sheets.items():
        sheet = book.add_sheet(name)
        covered = {
            (row, column): (bottom, right)
            for top, left, bottom, right in merged
            for row in range(top, bottom + 1)
            for column in range(left, right + 1)
        }
        starts = {(top, left) for top, left, _, _ in merged}
        for at, row in enumerate(rows):
            for place, cell in enumerate(row):
                style = [day] if isinstance(cell, date | datetime | time) else []
                if (at, place) in starts:
                    bottom, right = covered[at, place]
                    sheet.write_merge(at, bottom, place, right, cell)
                elif (at, place) not in covered and cell not in {"", None}:
                    sheet.write(at, place, cell, *style)
    book.save(str(path))


def save_ods(path, sheets):
    document = OpenDocumentSpreadsheet()
    for name, rows in sheets.items():
        table = Table(name=name)
        document.spreadsheet.addElement(table)
        for row in rows:
            line = TableRow()
            table.addElement(line)
            for cell in row or [""]:
                line.addElement(_ods_cell(cell))
    document.save(str(path))


def _ods_cell(value):
    match value:
        case None | "":
            return TableCell()
        case bool():
            return TableCell(valuetype="boolean", booleanvalue=str(value).lower())
        case int() | float():
            return TableCell(valuetype="float", value=str(value))
        case datetime() | date():
            return TableCell(valuetype="date", datevalue=value.isoformat())
        case _:
            cell = TableCell(valuetype="string")
            cell.addElement(P(text=str(value)))
            return cell
