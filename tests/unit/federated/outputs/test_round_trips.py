"""Every format, read by a reader that knows nothing of us, gives the release's own figures."""

import csv
import io
import json

import duckdb
import pyarrow.parquet as pq
import pytest
from python_calamine import CalamineWorkbook

from federated.outputs.csv_metadata import table_metadata
from federated.outputs.csv_table import table_csv
from federated.outputs.figures import number_text, printed
from federated.outputs.formats import files_of
from federated.outputs.parquet import METADATA_KEY
from federated.presentation import NOT_AVAILABLE
from federated.release import NOT_OFFICIAL, labels_of, open_release
from tests.unit.federated.outputs.answers import LABEL, TELLING, release

FIGURES = ("estimate", "standard_error", "low", "high", "coverage")


@pytest.fixture(scope="module")
def files():
    return {made.name: made.content for made in files_of(release(), ("csv", "json", "parquet", "geojson", "ods"))}


def expected(table):
    """What each row says: codes, labels, figures and the figure as printed."""
    for cell in table.cells:
        yield (
            dict(zip((axis.name for axis in table.axes), cell.codes, strict=True)),
            labels_of(table.axes, cell.codes),
            tuple(getattr(cell, name) for name in FIGURES),
            printed(release(), table, cell),
        )


def found_in(rows, table):
    for row in rows:
        codes = {axis.name: row[axis.name] for axis in table.axes}
        labels = tuple(row[f"{axis.name}_label"] for axis in table.axes)
        yield codes, labels, tuple(row[name] for name in FIGURES), row["presented"]


def read_csv(content, metadata):
    """By the column names and types of the metadata alone."""
    columns = json.loads(metadata)["tableSchema"]["columns"]
    first, *rows = csv.reader(io.StringIO(content.decode()))
    assert first == [column["name"] for column in columns]
    for row in rows:
        yield {
            column["name"]: (float(text) if text else None) if column["datatype"] == "number" else text
            for column, text in zip(columns, row, strict=True)
        }


def read_by_duckdb(path):
    """By a reader that is strict about JSON, where Python's takes numbers that the form does not know."""
    with duckdb.connect() as connection:
        # Its own types for dates would need a module for time zones.
        read = f"read_json('{path}', format='unstructured', dateformat='none', timestampformat='none')"
        asked = connection.execute(f"SELECT type, note, features FROM {read}")
        (values,) = asked.fetchall()
        return dict(zip([name for name, *_ in asked.description], values, strict=True))


@pytest.mark.parametrize("name", [table.name for table in release().tables])
def test_csv_read_by_its_metadata(files, name):
    table = release().table(name)
    rows = list(read_csv(files[f"{name}.csv"], files[f"{name}.csv-metadata.json"]))
    assert list(found_in(rows, table)) == list(expected(table))
    assert {row["period"] for row in rows} == {release().period}


@pytest.mark.parametrize("name", [table.name for table in release().tables])
def test_parquet_read_by_two_readers(files, name, tmp_path):
    table = release().table(name)
    (tmp_path / "t.parquet").write_bytes(files[f"{name}.parquet"])
    read = pq.read_table(tmp_path / "t.parquet")
    rows = read.to_pylist()
    assert list(found_in(rows, table)) == list(expected(table))
    assert rows == list(read_csv(files[f"{name}.csv"], files[f"{name}.csv-metadata.json"]))
    assert json.loads(read.schema.metadata[METADATA_KEY]) == table_metadata(release(), table)
    with duckdb.connect() as connection:
        asked = connection.execute(f"SELECT {', '.join(FIGURES)} FROM '{tmp_path / 't.parquet'}'")
        assert asked.fetchall() == [figures for _, _, figures, _ in expected(table)]


@pytest.mark.parametrize("reader", [lambda path: json.loads(path.read_bytes()), read_by_duckdb])
def test_geojson_has_the_rows_of_the_tidy_file_as_features_without_geometry(files, reader, tmp_path):
    table = release().table("regions")
    path = tmp_path / "regions.geojson"
    path.write_bytes(files["regions.geojson"])
    read = reader(path)
    assert read["type"] == "FeatureCollection"
    assert {(feature["type"], feature["geometry"]) for feature in read["features"]} == {("Feature", None)}
    rows = [feature["properties"] for feature in read["features"]]
    tidy = list(read_csv(files["regions.csv"], files["regions.csv-metadata.json"]))
    assert rows == tidy
    assert list(rows[0]) == list(tidy[0])
    assert list(found_in(rows, table)) == list(expected(table))
    assert json.loads(files["regions.geojson"])["csvw"] == table_metadata(release(), table)
    assert NOT_OFFICIAL in read["note"]


def test_json_is_the_release_itself(files):
    assert open_release(files["release.json"]) == release()


def sheet(content, name):
    """The rows below the header of a table's sheet, by the header."""
    rows = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_name(name).to_python()
    start = next(place for place, row in enumerate(rows) if "Estimate, not rounded" in row)
    return [dict(zip(rows[start], row, strict=True)) for row in rows[start + 1 :]]


@pytest.mark.parametrize(("number", "name"), enumerate((table.name for table in release().tables), start=1))
def test_the_spreadsheet_holds_numbers_as_numbers_and_texts_as_texts(files, number, name):
    table = release().table(name)
    heads = ("Estimate, not rounded", "Standard error", "Interval, lower end", "Interval, upper end")
    rows = sheet(files["release.ods"], f"Table_{number}")
    assert len(rows) == len(table.cells)
    for row, (codes, labels, (*figures, coverage), text) in zip(rows, expected(table), strict=True):
        assert {name: row[f"{name}, code"] for name in codes} == codes
        assert tuple(row[f"{name}, label"] for name in codes) == labels
        assert [row[head] for head in heads] == [NOT_AVAILABLE if value is None else value for value in figures]
        assert row["Chance that the interval holds"] == coverage
        shown = row["Figure as printed"]
        assert shown == (text if isinstance(shown, str) else float(text.replace(",", "")))
        assert isinstance(shown, str) == ("[" in text)


def test_a_figure_that_lost_a_digit_would_be_seen(files):
    """As it did while figures were written with six digits."""
    table = release().table("reasons")
    short = files["reasons.csv"].replace(number_text(TELLING).encode(), f"{TELLING:.6g}".encode())
    assert short != files["reasons.csv"]
    rows = list(read_csv(short, files["reasons.csv-metadata.json"]))
    assert list(found_in(rows, table)) != list(expected(table))


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (3.0, "3"), (-3.5, "-3.5"), (0.1, "0.1"), (float("inf"), "INF"), (float("-inf"), "-INF")],
)
def test_numbers_read_back_exactly(value, text):
    assert number_text(value) == text
    assert text == "" or float(text) == value


def test_texts_of_a_csv_file_are_as_they_were_agreed():
    assert (
        LABEL
        in next(row for row in csv.DictReader(io.StringIO(table_csv(release(), release().table("reasons")))))[
            "reason_loss_label"
        ]
    )
