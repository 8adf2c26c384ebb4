"""The mapping file says where an extract is: a file of some kind, or a table of a database, and nothing that does not fit."""

import os
import threading

import pytest

from council_node.mapping import CsvEncoding, parse_mapping
from council_node.sources.csv_records import CsvRecords
from council_node.sources.csv_source import open_csv
from council_node.sources.extract import open_database
from council_node.sources.opening import open_source
from council_node.sources.text_rows import Wanted
from council_node.sources.xml_head import read_head
from federated.errors import FederatedError, FileProblem
from federated.schema import load_schema


def parsed(*lines):
    text = "\n".join(["mapping: 1", "dataset: case", *lines, 'columns: {main_sex: {from: "Sex"}}'])
    return parse_mapping(text.encode(), source="m.yaml", schema=load_schema())


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (["file: cases.csv"], "csv"),
        (["file: cases.TXT"], "csv"),
        (["file: cases.XLSX"], "spreadsheet"),
        (["file: cases.xls", "sheet: Cases", "heading_row: 3"], "spreadsheet"),
        (["file: folder/cases.ods"], "spreadsheet"),
        (["file: cases.xml", "record: Case", "rows: support/need"], "xml"),
        (["file: cases.dat", "kind: csv", "encoding: cp1252"], "csv"),
        (["file: cases.csv", "kind: spreadsheet"], "spreadsheet"),
        (["database: cases.url", "table: reporting.cases"], "database"),
        (["database: cases.url", "table: cases", "kind: database"], "database"),
    ],
)
def test_the_kind_follows_from_the_name_unless_it_is_stated(lines, kind):
    assert parsed(*lines).source_kind == kind


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "either a 'file' or a 'database'"),
        (["file: a.csv", "database: a.url", "table: a"], "either a 'file' or a 'database'"),
        (["file: cases.dat"], "must say the 'kind'"),
        (["file: cases"], "must say the 'kind'"),
        (["file: cases.csv", "sheet: Cases"], "'sheet', which is for the kind 'spreadsheet'"),
        (["file: cases.csv", "heading_row: 2"], "'heading_row', which is for the kind 'spreadsheet'"),
        (["file: cases.xlsx", "encoding: utf-8"], "'encoding', which is for the kind 'csv'"),
        (["file: cases.xlsx", "rows: a/b"], "'rows', which is for the kind 'xml'"),
        (["file: cases.csv", "table: cases"], "both 'database' and 'table'"),
        (["file: cases.csv", "kind: database"], "kind 'database' if it names a 'database'"),
        (["database: cases.url", "kind: csv", "table: a"], "kind 'database' if it names a 'database'"),
        (["database: cases.url"], "both 'database' and 'table'"),
        (["database: cases.url", "table: a.b.c"], "table is not written as it must be"),
        (["database: 'postgresql://u:CANARY@h/d'", "table: a"], "the address itself never stands here"),
        (["database: a.url", "table: a", "url: x"], "url is not a field"),
        (["file: cases.xlsx", "heading_row: 51"], "at most 50"),
        (["file: cases.xml", "record: a/b"], "record is not written as it must be"),
        (["file: ''"], "too short"),
    ],
)
def test_what_does_not_fit_together_is_told(lines, words):
    with pytest.raises(FileProblem) as caught:
        parsed(*lines)
    assert words in str(caught.value)
    assert "CANARY" not in caught.value.diagnostics()
    assert caught.value.remedy


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
def test_a_spreadsheet_that_is_called_a_csv_file_is_told(tmp_path, start):
    (tmp_path / "cases.csv").write_bytes(start + b"CANARY\n")
    with pytest.raises(FileProblem, match="is a spreadsheet, not a CSV file") as caught:
        open_source(parsed("file: cases.csv"), tmp_path)
    assert "kind: spreadsheet" in caught.value.remedy


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "cases.csv")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    (tmp_path / "folder.csv").mkdir()
    for name in ("cases", "folder"):
        with pytest.raises(FileProblem, match="is not a file"):
            open_source(parsed(f"file: {name}.csv"), tmp_path)
    for name in ("loop", "none", "x" * 300, "'nul\\0'"):
        with pytest.raises(FileProblem):
            open_source(parsed(f"file: {name}.csv"), tmp_path)


def read_rows(source):
    with source.reading(Wanted(places=(0,))) as rows:
        list(rows.batches(open_database(threads=1, memory_limit_mib=128, readable=())))


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        ("csv", lambda source: open_csv(source.path, CsvEncoding.AUTO)),
        ("csv", lambda source: list(CsvRecords(source.path, ",", CsvEncoding.AUTO).pieces())),
        ("csv", read_rows),
        ("xml", lambda source: read_head(source.path)),
        ("xml", read_rows),
    ],
    ids=["headings", "pieces", "rows", "xml head", "xml rows"],
)
def test_a_pipe_put_in_the_place_of_a_file_is_not_waited_for(tmp_path, kind, read):
    """It may come after the look at the file, so every opening looks again."""
    path = tmp_path / f"cases.{kind}"
    path.write_text({"csv": "H\n1\n", "xml": "<all><case><H>1</H></case></all>"}[kind])
    source = open_source(parsed(f"file: cases.{kind}"), tmp_path)
    path.unlink()
    os.mkfifo(path)
    raised = []

    def reads():
        try:
            read(source)
        except (FederatedError, OSError) as error:
            raised.append(str(error))

    reader = threading.Thread(target=reads, daemon=True)
    reader.start()
    reader.join(timeout=5)
    assert not reader.is_alive()
    assert "not a file" in raised[0]
