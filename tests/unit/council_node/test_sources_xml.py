"""XML: each case by itself, as a stream, with nothing expanded or fetched; what is broken costs one case alone."""

import json
import random
import tracemalloc
from datetime import date
from itertools import chain

import pytest
from lxml import etree

from council_node.mapping import ExtractMapping
from council_node.mapping.place import ExtractPlace
from council_node.sources import check_coverage, load_extract, xml_records, xml_source
from council_node.sources.opening import open_place
from council_node.sources.xml_head import HEAD_BYTES, SYNTHETIC_NAMESPACE, synthetic_paths
from council_node.sources.xml_records import Records
from federated.errors import FileProblem, InternalError
from federated.schema import load_schema
from tests.spec.council import RUN_KEY, case_dataset

PATHS = {"household_key": "main/HouseholdKey", "assessment_date": "main/AssessmentDate", "main_sex": "people/MainSex", "dependent_children_n": "main/DependentChildrenN"}  # fmt: skip
COLUMNS = ("main_sex", "assessment_date", "dependent_children_n")
FEMALE = case_dataset().column("main_sex").code_list.index("female")
GOOD = (FEMALE, date(2025, 2, 3), 2)


def mapping_of(paths=None, **more):
    columns = {name: {"from": path} for name, path in (paths or PATHS).items()}
    document = {"mapping": 1, "dataset": "case", "file": "extract.xml", "columns": columns, **more}
    return ExtractMapping.model_validate_json(json.dumps(document))


def case(household="H1", sex="Female", day="2025-02-03", children="2", more=""):
    return (
        f"<case><main><HouseholdKey>{household}</HouseholdKey><AssessmentDate>{day}</AssessmentDate>"
        f"<DependentChildrenN>{children}</DependentChildrenN></main><people><MainSex>{sex}</MainSex></people>{more}</case>"
    )


def document(*cases, root=f'homelessness_return xmlns="{SYNTHETIC_NAMESPACE}"'):
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>\n{"".join(cases)}\n</{root.split()[0]}>\n'


def values(directory, content, mapping=None, names=COLUMNS):
    (directory / "extract.xml").write_bytes(content if isinstance(content, bytes) else content.encode())
    mapping = mapping or mapping_of()
    check_coverage(mapping, case_dataset(), names, directory=directory)
    with load_extract(mapping, case_dataset(), names, directory=directory, run_key=RUN_KEY) as extract:
        place = {name: at for at, name in enumerate(extract.rows().columns)}
        rows = extract.rows().run(extract.connection).fetchall()
        return [tuple(row[place[name]] for name in names) for row in rows], extract.report


def test_the_synthetic_form_has_nine_sections_and_every_column():
    schema = load_schema()
    sections = {path.split("/")[0] for path in synthetic_paths("temporary_accommodation/placement")}
    assert len(sections | {path.split("/")[0] for path in synthetic_paths("support/need")}) == 9
    for dataset, rows in (("case", None), ("support_need", "support/need"), ("ta_placement", "temporary_accommodation/placement"), ("event", "assistance/contact")):  # fmt: skip
        leaves = {path.rsplit("/", 1)[1].lower() for path in synthetic_paths(rows)}
        computed = {"length_band", "weekday", "time_block"}
        columns = {column.name for column in schema.dataset(dataset).columns.values() if column.derived_from is None}
        assert {name.replace("_", "") for name in columns - computed} <= leaves
    assert not any(path.startswith("support/need/") for path in synthetic_paths(None))


def test_what_the_tests_write_is_of_the_synthetic_form():
    from importlib.resources import files

    text = files("council_node.sources").joinpath("synthetic_return.xsd").read_bytes()
    assert b"SYNTHETIC" in text
    form = etree.XMLSchema(etree.fromstring(text))
    need = "<support><need><Need>Old age</Need></need><need/></support>"
    good = document(case().replace("</people>", "</people>" + need)).encode()
    form.assertValid(etree.fromstring(good))
    assert not form.validate(etree.fromstring(good.replace(b"MainSex", b"MainSexx")))


def test_nested_sections_become_columns(tmp_path):
    content = document(case(), case("H2", sex=" woman? ", day="2025-01-31T10:00:00", children="7"), "<case/>", "<case><main/></case>")  # fmt: skip
    found, report = values(tmp_path, content)
    assert found == [GOOD, (2, date(2025, 1, 31), 6)]
    assert (report.rows_read, report.rows_unreadable, report.unknown_codes["main_sex"]) == (2, 0, 1)


@pytest.mark.parametrize("day", ["2025-02-03Z", "2025-02-03+01:00", " 2025-02-03T23:59:59.999-01:00 ", "03/02/2025"])
def test_dates_of_xml(tmp_path, day):
    assert values(tmp_path, document(case(day=day)))[0] == [GOOD]


def test_other_forms_follow_the_mapping(tmp_path):
    inner = '<x:App ref="H1" xmlns:x="urn:x"><x:When>03/02/2025</x:When><x:Who><x:Sex>Female</x:Sex></x:Who><x:Kids n="2"/></x:App>'  # fmt: skip
    paths = {"household_key": "@ref", "assessment_date": "When", "main_sex": "Who/Sex", "dependent_children_n": "Kids@n"}  # fmt: skip
    nested = f"<Export><Apps>{inner}{inner}</Apps><Apps>{inner}</Apps><Foot/></Export>"
    found, report = values(tmp_path, nested, mapping_of(paths, record="x:App"))
    assert found == [GOOD] * 3
    assert report.rows_without_key == 0


def test_a_repeated_element_gives_rows_of_their_own(tmp_path):
    schema = load_schema()
    needs = "<support><need><Need>Old age</Need></need><need><Need>Young parent</Need></need></support>"
    (tmp_path / "extract.xml").write_text(document(case(more=needs), case("H2"), case("H3", more="<support/>")))
    place = ExtractPlace.model_validate_json('{"file": "extract.xml", "rows": "support/need"}')
    source = open_place(place, tmp_path, ["support/need/Need", "main/HouseholdKey"])
    wanted = tuple(map(source.headings.position, ("main/HouseholdKey", "support/need/Need")))
    assert schema.dataset("support_need").column("need").code_list
    with source.reading(xml_source.Wanted(places=wanted)) as rows:
        assert list(rows._rows()) == [["H1", "Old age"], ["H1", "Young parent"]]
    wrong = place.model_copy(update={"rows": "support/want"})
    with pytest.raises(FileProblem, match="no repeated element 'support/want'"):
        open_place(wrong, tmp_path, [])


def test_paths_are_found_where_there_is_no_mapping(tmp_path):
    (tmp_path / "extract.xml").write_text("<r><c><a>1</a><b><d>2</d></b></c><c><e>CANARY</e></c></r>")
    place = ExtractPlace.model_validate_json('{"file": "extract.xml"}')
    assert open_place(place, tmp_path, []).headings.names == ("a", "b/d", "e")


@pytest.mark.parametrize(
    "content",
    [
        document(case("José")).replace("UTF-8", "UTF-16").encode("utf-16"),
        document(case("José")).replace("UTF-8", "windows-1252").encode("cp1252"),
        document(case("José")).encode("cp1252"),
        b"\xef\xbb\xbf" + document(case()).encode(),
    ],
)
def test_encodings(tmp_path, content):
    assert values(tmp_path, content)[0] == [GOOD]


BROKEN = {
    "bare ampersand": case(more="<note>CANARY & sons</note>"),
    "bare less-than": case(more="<note>1 < 2 CANARY</note>"),
    "wrong nesting": "<case><main><people></main></people></case>",
    "unclosed element": "<case><main><note>CANARY</case>",
    "control characters": case(more="<note>\x01\x02</note>"),
    "unknown entity": case(more="<note>&CANARY;</note>"),
    "unclosed attribute": "<case a='CANARY><main/></case>",
    "undeclared prefix": case(more="<x:note/>"),
    "case in a case": "<case><main/><case><main/></case></case>",
    "open comment": "<case><!-- CANARY </case>",
    "open literal text": "<case><![CDATA[ CANARY </case>",
    "deep": f"<case>{'<a>' * 5000}{'</a>' * 5000}</case>",
    "far too long": case(more=f"<note>{'x' * 3_000_000}</note>"),
    "many elements": case(more="<a/>" * 600_000),
    "zero bytes": case(more="<note>\x00</note>"),
}


@pytest.mark.drawn(6)
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_case_costs_itself_alone(tmp_path, name):
    amp = case("H9 &amp; H8")
    before = values(tmp_path, document(case(), amp, case("H3")))[0]
    found, report = values(tmp_path, document(case(), BROKEN[name], amp, case("H3")))
    assert found == before == [GOOD] * 3
    assert report.rows_unreadable >= 1
    assert "CANARY" not in str(report)


def test_the_same_cases_are_found_however_the_bytes_come():
    pieces = [case(f"H{number}") for number in range(30)]
    pieces[7:7] = [BROKEN["unclosed element"], "<!-- <case -->", "\n", BROKEN["bare ampersand"]]
    text = document(*pieces).encode()
    expected = None
    for size in (1, 7, 64, 1000, len(text)):
        records = Records("case", (("", SYNTHETIC_NAMESPACE),))
        blocks = (text[place : place + size] for place in range(0, len(text), size))
        found = [etree.tostring(record) for record in records.read(blocks)]
        expected = expected or (found, records.left_out)
        assert (found, records.left_out) == expected
    assert (len(expected[0]), expected[1]) == (30, 2)


SIGNS = (
    *(b"<case>", b"</case>", b"<case/>", b"<case k='>'/>", b"<case k='>'>", b"<k>H1</k>", b"<k>", b"</k>", b"&"),
    *(b"x" * 30, b"<!-- ", b" -->", b"<![CDATA[", b"]]>", b"\xe9", b"<case>\n<k>G</k></case>"),
)


@pytest.mark.parametrize("seed", range(40))
def test_how_a_case_is_read_does_not_hang_on_where_in_a_block_it_lies(monkeypatch, seed):
    # The cases before it decide that: adding a household must not make another's case readable, or lose it.
    draw = random.Random(seed)
    monkeypatch.setattr(xml_records, "RECORD_BYTES", 100)
    inner = b"".join(draw.choice(SIGNS) for _ in range(draw.randrange(3, 40)))
    text = b"<r><case><k>FIRST</k></case>" + inner + b"<case><k>LAST</k></case></r>"
    found = []
    for size in (1, 5, 17, 64, len(text)):
        records = Records("case", ())
        blocks = (text[place : place + size] for place in range(0, len(text), size))
        found.append([etree.tostring(record, with_tail=False) for record in records.read(blocks)])
    assert all(one == found[0] for one in found)
    assert found[0][-1] == b"<case><k>LAST</k></case>"


def test_a_case_may_hold_nothing_but_attributes(tmp_path):
    paths = {"household_key": "@ref", "assessment_date": "@when", "main_sex": "@sex", "dependent_children_n": "@kids"}
    flat = "<App ref='H>1' when='03/02/2025' sex=\"Female\" kids='2'/>"
    found, report = values(tmp_path, f"<Export>{flat}<App></App>{flat}{flat}</Export>", mapping_of(paths))
    assert found == [GOOD] * 3
    assert (report.rows_read, report.rows_unreadable, report.rows_without_key) == (3, 0, 0)


BOMBS = {
    "billion laughs": '<!DOCTYPE r [<!ENTITY a "CANARY"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>',
    "quadratic": f'<!DOCTYPE r [<!ENTITY a "{"x" * 100_000}">]>',
    "external entity": '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    "external type": '<!DOCTYPE r SYSTEM "http://127.0.0.1:1/CANARY.dtd">',
    "parameter entity": '<!DOCTYPE r [<!ENTITY % a SYSTEM "http://127.0.0.1:1/"> %a;]>',
}


@pytest.mark.parametrize("name", BOMBS)
def test_document_types_are_refused_before_any_round(tmp_path, name):
    (tmp_path / "extract.xml").write_text(f"{BOMBS[name]}<r><c><a>{'&a;' * 1000}</a></c></r>")
    with pytest.raises(FileProblem, match=r"document type|well-formed") as caught:
        check_coverage(mapping_of({"main_sex": "a"}), case_dataset(), ("main_sex",), directory=tmp_path)
    assert "CANARY" not in caught.value.diagnostics()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "well-formed"),
        ("CANARY", "well-formed"),
        ("PK\x03\x04", "well-formed"),
        ("<r>", "well-formed"),
        ("<r><CANARY", "cut off"),
        (document(case())[:-40], "cut off"),
        (document(case(), case())[:300], "cut off"),
        (f"<r>{' ' * (HEAD_BYTES + 1)}<c/></r>", "first MiB"),
        (document(case()).replace("UTF-8", "UTF-7"), "encoding|well-formed"),
        (document(case()).replace("UTF-8", "EBCDIC-CP-US"), "encoding|well-formed"),
    ],
)
def test_files_that_are_no_extract(tmp_path, content, words):
    (tmp_path / "extract.xml").write_text(content)
    with pytest.raises(FileProblem, match=words) as caught:
        check_coverage(mapping_of(), case_dataset(), COLUMNS, directory=tmp_path)
    assert caught.value.remedy
    assert "CANARY" not in caught.value.diagnostics()


def test_a_path_that_the_form_does_not_have_is_told_before_any_round(tmp_path):
    (tmp_path / "extract.xml").write_text(document(case()))
    mapping = mapping_of({**PATHS, "main_sex": "people/Sex"})
    with pytest.raises(FileProblem, match="synthetic form of the return: there is no heading 'people/Sex'"):
        check_coverage(mapping, case_dataset(), COLUMNS, directory=tmp_path)


def test_a_document_without_cases_is_a_fine_extract(tmp_path):
    for content in (document(), "<r/>"):
        found, report = values(tmp_path, content)
        assert (found, report.rows_read, report.rows_unreadable) == ([], 0, 0)


def test_a_file_that_goes_away_is_a_fault(tmp_path, monkeypatch):
    (tmp_path / "extract.xml").write_text(document(case()))
    honest = xml_source.XmlSource.reading

    def gone(self, wanted):
        rows = honest(self, wanted)
        monkeypatch.setattr(
            xml_source, "utf8_blocks", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error"))
        )
        return rows

    monkeypatch.setattr(xml_source.XmlSource, "reading", gone)
    with pytest.raises(InternalError, match="could no longer be read"):
        values(tmp_path, document(case()))


def test_memory_does_not_grow_with_the_document():
    """A stream of 40 MB, and a case of 40 MB, in a few MB: the control holds the cases and is seen to."""

    def peak(blocks, *, keep=False):
        records, kept, count = Records("case", ()), [], 0
        tracemalloc.start()
        for record in records.read(blocks):
            count += 1
            if keep:
                kept.append(etree.tostring(record))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size, count, records.left_out

    some = "".join(case(f"H{number}") for number in range(4000)).encode()
    assert peak([some] * 50)[:2] < (10_000_000, 200_000) or pytest.fail("the stream was held")
    assert peak([some] * 50)[1] == 200_000
    assert peak([some] * 50, keep=True)[0] > 30_000_000
    long_case = chain([b"<case><a>"], (b"x" * 1_000_000 for _ in range(40)), [b"</a></case>", case().encode()])
    size, count, left_out = peak(long_case)
    assert (count, left_out) == (1, 1)
    assert size < 4 * xml_records.RECORD_BYTES
