"""The spreadsheet follows the Analysis Function's layout, and nothing in it is ever a formula."""

import io
import re
import zipfile
from xml.etree import ElementTree as ET

import pytest

from federated.outputs import spreadsheet
from federated.outputs.sheet_file import Content, Sheet, SheetTable, spreadsheet_bytes
from federated.outputs.spreadsheet import release_ods, sheets_of
from tests.unit.federated.outputs.answers import LABEL, manifest, release

NAMES = {
    "office": "urn:oasis:names:tc:opendocument:xmlns:office:1.0",
    "table": "urn:oasis:names:tc:opendocument:xmlns:table:1.0",
    "text": "urn:oasis:names:tc:opendocument:xmlns:text:1.0",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xlink": "http://www.w3.org/1999/xlink",
    "fo": "urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0",
}
STARTS = ("=", "+", "-", "@")


def part(content, name):
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        return ET.fromstring(opened.read(name))


def name_of(qualified):
    prefix, _, local = qualified.partition(":")
    return f"{{{NAMES[prefix]}}}{local}"


def cells_of(row):
    return row.findall("table:table-cell", NAMES)


def shown(cell):
    return "".join(cell.itertext())


def faults(content):
    """What breaks the layout, one line each."""
    whole = part(content, "content.xml")
    found = [
        f"{name}: {len(hits)}"
        for name, hits in {
            "merged": [cell for cell in whole.iter() if any("spanned" in key for key in cell.attrib)],
            "covered": whole.findall(".//table:covered-table-cell", NAMES),
            "repeated": [cell for cell in whole.iter() if any("repeated" in key for key in cell.attrib)],
            "hidden": [cell for cell in whole.iter() if any(key.endswith("visibility") for key in cell.attrib)],
            "formula": [cell for cell in whole.iter() if any("formula" in key for key in cell.attrib)],
            "blank": [cell for cell in whole.iter(name_of("table:table-cell")) if not shown(cell).strip()],
            "untyped": [
                cell
                for cell in whole.iter(name_of("table:table-cell"))
                if name_of("office:value-type") not in cell.attrib
            ],
        }.items()
        if hits
    ]
    for sheet in whole.iter(name_of("table:table")):
        name = sheet.get(name_of("table:name"))
        heads = sheet.findall("table:table-header-rows/table:table-row", NAMES)
        if len(heads) != (name != "Cover"):
            found.append(f"{name}: {len(heads)} header rows")
        if heads:
            width = len(cells_of(heads[0]))
            rows = list(sheet)[list(sheet).index(sheet.find("table:table-header-rows", NAMES)) + 1 :]
            found += [f"{name}: a row of {len(cells_of(row))}" for row in rows if len(cells_of(row)) != width]
    return found


@pytest.fixture(scope="module")
def content():
    return release_ods(release(), manifest())


def test_the_layout_holds(content):
    assert faults(content) == []


def one_sheet(*rows):
    table = SheetTable(name="t", heads=("A", "B"), rows=rows)
    sheet = Sheet(name="T", title="T", lines=(Content(text="One table."),), table=table)
    return spreadsheet_bytes([sheet], title="T", created_at="2026-01-01T00:00:00Z")


def test_a_broken_layout_is_seen():
    whole = one_sheet((Content(text="x"), Content(text="y")))
    assert faults(whole) == []
    assert faults(one_sheet((Content(text="x"), Content(text="")))) == ["blank: 1"]
    for there, instead, fault in (
        (b"table:table-header-rows>", b"table:table-rows>", "T: 0 header rows"),
        (b'office:value-type="string"', b'table:formula="of:=1"', "formula: "),
        (b"<table:table-cell ", b'<table:table-cell table:number-columns-spanned="2" ', "merged: "),
        (b"<table:table-column ", b'<table:table-column table:visibility="collapse" ', "hidden: 2"),
    ):
        assert [item for item in faults(changed(whole, there, instead)) if item.startswith(fault)]
    with pytest.raises(ValueError, match="zip"):
        one_sheet((Content(text="x"),))


def changed(content, there, instead):
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as given, zipfile.ZipFile(made, "w") as target:
        for item in given.namelist():
            text = given.read(item)
            if item == "content.xml":
                assert there in text
                text = text.replace(there, instead)
            target.writestr(item, text)
    return made.getvalue()


def test_sheets_come_in_order_with_titles_in_a1_and_a_count_of_tables(content):
    sheets = list(part(content, "content.xml").iter(name_of("table:table")))
    names = [sheet.get(name_of("table:name")) for sheet in sheets]
    numbered = [f"Table_{number}" for number in range(1, len(release().tables) + 1)]
    assert names == ["Cover", "Contents", "Notes", "Councils", *numbered]
    for sheet in sheets:
        first, *lines = (shown(cells_of(row)[0]) for row in sheet.findall("table:table-row", NAMES))
        assert first
        if sheet.get(name_of("table:name")) != "Cover":
            assert "This sheet holds one table" in " ".join(lines)
    assert shown(cells_of(sheets[0].findall("table:table-row", NAMES)[1])[0]) == release().note


def test_contents_lead_to_every_sheet(content):
    whole = part(content, "content.xml")
    names = {sheet.get(name_of("table:name")) for sheet in whole.iter(name_of("table:table"))}
    leads = {link.get(name_of("xlink:href")) for link in whole.iter(name_of("text:a"))}
    assert leads == {f"#{name}.A1" for name in names - {"Cover", "Contents"}}


def test_tables_are_marked_for_programs(content):
    ranges = part(content, "content.xml").findall(".//table:database-range", NAMES)
    assert len(ranges) == 3 + len(release().tables)
    for item in ranges:
        assert item.get(name_of("table:contains-header")) == "true"
        assert re.fullmatch(r"\w+\.A\d+:\w+\.[A-Z]+\d+", item.get(name_of("table:target-range-address")))


def test_text_that_begins_like_a_formula_is_text(content):
    cells = list(part(content, "content.xml").iter(name_of("table:table-cell")))
    risky = [cell for cell in cells if shown(cell).startswith(STARTS)]
    texts = [cell for cell in risky if cell.get(name_of("office:value-type")) == "string"]
    assert LABEL in map(shown, texts)
    # What is left are numbers below zero.
    assert all(float(cell.get(name_of("office:value"))) < 0 for cell in risky if cell not in texts)


@pytest.mark.parametrize("start", STARTS)
def test_no_way_of_making_a_cell_makes_a_formula(start):
    for made in (Content(text=f"{start}1+1"), Content.figure(f"{start}1+1")):
        content = one_sheet((made, made))
        assert faults(content) == []
        kinds = [
            cell.get(name_of("office:value-type"))
            for cell in part(content, "content.xml").iter(name_of("table:table-cell"))
        ]
        assert set(kinds) == {"string"}


def test_the_document_says_its_language_and_title(content):
    meta, styles = part(content, "meta.xml"), part(content, "styles.xml")
    assert meta.find(".//dc:title", NAMES).text == release().title
    assert meta.find(".//dc:language", NAMES).text == "en-GB"
    spoken = {
        (item.get(name_of("fo:language")), item.get(name_of("fo:country")))
        for item in styles.iter()
        if name_of("fo:language") in item.attrib
    }
    assert spoken == {("en", "GB")}


def words(sheets, name):
    sheet = next(item for item in sheets if item.name == name)
    cells = () if sheet.table is None else (cell for row in sheet.table.rows for cell in row)
    return "\n".join(item.text for item in (*sheet.lines, *cells))


def test_the_cover_says_what_must_be_known():
    cover = words(sheets_of(release(), manifest()), "Cover")
    for said in (
        "26 of 27 councils contributed; missing: City of London (refused).",
        "discrete Laplace",
        "ε = 1 (pure)",
        "at most 73.2 in 100, and at least 26.8 in 100",
        manifest().decision,
        manifest().contacts.questions,
        manifest().recipients[0].body,
        "deciding how much money any council gets",
        release().digest.hex(),
        "2 April 2025",
    ):
        assert said in cover
    bare = words(sheets_of(release()), "Cover")
    assert manifest().decision not in bare
    assert manifest().contacts.questions not in bare


def test_notes_explain_every_mark_that_stands_in_a_table():
    sheets = sheets_of(release())
    notes = words(sheets, "Notes")
    found = set()
    for sheet in sheets:
        if sheet.name.startswith(("Table_", "Councils")):
            found |= set(re.findall(r"\[[a-z]+(?: \d+)?\]", sheet.title + words(sheets, sheet.name)))
    assert {"[c]", "[u]", "[x]", "[z]", "[note 1]"} <= found
    assert [mark for mark in found if mark not in notes] == []
    assert release().table("crossing").caveat in notes


def test_a_table_too_long_for_a_spreadsheet_is_named_and_left_to_other_files(monkeypatch):
    most = len(release().table("reasons").cells) + len(release().table("children").cells)
    monkeypatch.setattr(spreadsheet, "MOST_ROWS", most)
    sheets = sheets_of(release())
    assert [sheet.name for sheet in sheets if sheet.name.startswith("Table_")] == ["Table_1", "Table_2"]
    assert words(sheets, "Contents").count("Too long for a spreadsheet") == len(release().tables) - 2
