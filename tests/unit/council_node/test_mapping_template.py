"""The spreadsheet for councils without a system: filled in, it maps completely without a question."""

import io
from datetime import date

import openpyxl
import pytest

from council_node.mapping.identifiers import identifying_heading
from council_node.mapping.template import template_workbook
from council_node.mapping.vocabulary import joined_columns, mapped_columns
from federated.schema import ColumnType, load_schema
from tests.unit.council_node.mapping_shop import is_category, map_extract

DATASETS = load_schema().datasets


def columns(dataset):
    return {name: column for name, column in mapped_columns(dataset).items() if name not in joined_columns(dataset)}


@pytest.mark.drawn(2)
@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_it_maps_completely_empty_or_filled_in(tmp_path, dataset):
    path = tmp_path / "records.xlsx"
    path.write_bytes(template_workbook(dataset))
    expected = {name: column.label for name, column in columns(dataset).items()}
    assert map_extract(path, dataset=dataset.name).headings() == expected
    book = openpyxl.load_workbook(path)
    for row in range(60):
        book["Records"].append([_cell(column, row) for column in columns(dataset).values()])
    book.save(path)
    made = map_extract(path, dataset=dataset.name)
    assert made.headings() == expected
    assert made.report["left_out"] == {}
    assert made.report["never_read"] == []
    assert sum(column["rows_not_known"] for column in made.report["columns"].values()) == 0
    for name, column in columns(dataset).items():
        if is_category(dataset.name, name):
            assert all(made.code(name, code.label) == code.code for code in column.codes)


def _cell(column, row):
    match column.type:
        case ColumnType.CATEGORY:
            return column.codes[row % len(column.codes)].label
        case ColumnType.DATE:
            return date(2025, 1 + row % 12, 1 + row % 28)
        case ColumnType.INTEGER:
            return row % (column.high + 1)
        case _:
            return f"{column.name[0].upper()}{row}"


def test_its_drop_downs_offer_every_code_and_no_heading_asks_for_a_name():
    dataset = DATASETS["case"]
    book = openpyxl.load_workbook(io.BytesIO(template_workbook(dataset)))
    lists = book["Lists"]
    rules = {str(rule.sqref).split(":")[0]: rule for rule in book["Records"].data_validations.dataValidation}
    for cell in book["Records"][1]:
        column = next(column for column in columns(dataset).values() if column.label == cell.value)
        assert column.type is ColumnType.KEY or identifying_heading(cell.value) is None
        if column.type is ColumnType.CATEGORY:
            rule = rules[f"{cell.column_letter}2"]
            assert rule.formula1 == f"=Lists!${cell.column_letter}$1:${cell.column_letter}${len(column.codes)}"
            offered = [lists[f"{cell.column_letter}{row}"].value for row in range(1, len(column.codes) + 1)]
            assert offered == [code.label for code in column.codes]
    notes = "\n".join(str(row[0].value) for row in book["Notes"])
    assert "Type no name" in notes
