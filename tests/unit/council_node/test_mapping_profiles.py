"""Profiles are data: each fits the schema, says that it is illustrative, and maps a small extract in its style."""

import csv
import shutil
from pathlib import Path

import pytest

from council_node.mapping.likeness import plain_words
from council_node.mapping.profile import GENERIC, load_profile, profile_names
from council_node.mapping.vocabulary import Vocabulary, mapped_columns
from council_node.sources.xml_head import SYNTHETIC_NAMESPACE
from federated.errors import FileProblem
from federated.schema import load_schema
from tests.unit.council_node.mapping_shop import is_category, map_extract

EXTRACTS = Path(__file__).with_name("extracts")
NAMES = tuple(path.name.removesuffix(".csv") for path in EXTRACTS.glob("*.csv") if ".truth." not in path.name)


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_profile_of_a_system_is_illustrative_and_has_an_extract():
    systems = [name for name in profile_names() if name != GENERIC]
    assert systems
    assert [name for name in systems if not load_profile(name, load_schema()).illustrative] == []
    assert {name.split(".")[0] for name in NAMES} == set(systems) - {"synthetic-return"}
    assert not load_profile(GENERIC, load_schema()).illustrative


@pytest.mark.drawn(3)
@pytest.mark.parametrize("name", sorted(NAMES))
def test_an_extract_in_the_style_of_a_system_maps_completely(tmp_path, name):
    system, dataset = name.split(".")
    extract = Path(shutil.copy(EXTRACTS / f"{name}.csv", tmp_path / "extract.csv"))
    made = map_extract(extract, "--profile", system, dataset=dataset)
    truth, written = rows(EXTRACTS / f"{name}.truth.csv"), rows(extract)
    assert set(made.headings()) == set(truth[0])
    assert made.report["left_out"] == {}
    assert made.report["unused_headings"] == []
    for column, heading in made.headings().items():
        for meant, cells in zip(truth, written, strict=True):
            read = made.code(column, cells[heading]) if is_category(dataset, column) else None
            assert read in {meant[column], None}
            assert read == meant[column] or not is_category(dataset, column), (column, cells[heading])
    assert made.mapping.system == load_profile(system, load_schema()).system


def test_the_extracts_without_their_profile_are_asked_about_and_never_wrong(tmp_path):
    for name in NAMES:
        system, dataset = name.split(".")
        extract = Path(shutil.copy(EXTRACTS / f"{name}.csv", tmp_path / f"{name}.csv"))
        made = map_extract(extract, dataset=dataset)
        right = {column: list(row) for row in [rows(EXTRACTS / f"{name}.truth.csv")[0]] for column in row}
        assert set(made.headings()) <= set(right)
        truth, written = rows(EXTRACTS / f"{name}.truth.csv"), rows(extract)
        for column, heading in made.headings().items():
            if is_category(dataset, column):
                read = [
                    (made.code(column, cells[heading]), meant[column])
                    for meant, cells in zip(truth, written, strict=True)
                ]
                assert [pair for pair in read if pair[0] not in {pair[1], None}] == [], (system, column)


def test_the_synthetic_return_maps_by_its_paths_with_its_profile_and_without(tmp_path):
    path = tmp_path / "return.xml"
    path.write_text(
        f'<?xml version="1.0"?><homelessness_return xmlns="{SYNTHETIC_NAMESPACE}"><case><main><CaseKey>C1</CaseKey>'
        "<HouseholdKey>H1</HouseholdKey><AssessmentDate>2025-02-03</AssessmentDate></main><support><need>"
        "<Need>Old age</Need></need></support></case></homelessness_return>",
        encoding="utf-8",
    )
    profile = load_profile("synthetic-return", load_schema())
    for dataset, rows_at in (("case", None), ("support_need", "support/need")):
        options = () if rows_at is None else ("--rows", rows_at)
        named = map_extract(path, "--profile", "synthetic-return", *options, dataset=dataset).headings()
        expected = {name: column.headings[0] for name, column in profile.columns(dataset).items()}
        assert expected.items() <= named.items()
        assert map_extract(path, *options, dataset=dataset).headings() == named


def test_a_council_adds_a_profile_of_its_own_without_code(tmp_path):
    profile = tmp_path / "ours.yaml"
    profile.write_text(
        "profile: 1\nsystem: Our register\nillustrative: no\nnote: Our own list of headings.\n"
        'datasets: {case: {main_sex: {headings: ["Zeta"], wordings: {male: ["Q1"], female: ["Q2"]}}}}\n'
    )
    extract = tmp_path / "extract.csv"
    extract.write_text("Zeta\n" + "Q1\nQ2\n" * 20)
    made = map_extract(extract, "--profile", str(profile))
    assert made.headings() == {"main_sex": "Zeta"}
    assert (made.code("main_sex", "q1"), made.code("main_sex", "Q2")) == ("male", "female")
    assert made.mapping.system == "Our register"


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("{main_sexx: {headings: [A]}}", "case.main_sexx is not a column"),
        ("{reason_loss_group: {headings: [A]}}", "case.reason_loss_group is not a column"),
        ("{main_sex: {headings: [Surname]}}", "looks like a name"),
        ("{main_sex: {wordings: {man: [A]}}}", "has no code 'man'"),
        ("{main_sex: {wordings: {male: [A], female: [a]}}}", "'a' means two codes"),
    ],
)
def test_a_profile_that_does_not_fit_is_refused(tmp_path, columns, words):
    path = tmp_path / "ours.yaml"
    path.write_text(f"profile: 1\nsystem: Ours\nillustrative: no\nnote: Ours.\ndatasets: {{case: {columns}}}\n")
    with pytest.raises(FileProblem, match=words):
        load_profile(str(path), load_schema())


def test_a_profile_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(FileProblem) as caught:
        load_profile("nobody", load_schema())
    assert "The profiles are: generic, civica" in caught.value.diagnostics()


@pytest.mark.parametrize("dataset", load_schema().datasets.values(), ids=load_schema().datasets)
def test_no_everyday_heading_or_wording_has_two_meanings(dataset):
    words = Vocabulary(dataset, (load_profile(GENERIC, load_schema()),))
    profile = load_profile(GENERIC, load_schema()).columns(dataset.name)
    assert set(profile) == set(mapped_columns(dataset))
    for name, column in profile.items():
        for heading in column.headings:
            assert words.column_of(heading) == name, heading
        for code, texts in column.wordings.items():
            for text in texts:
                assert plain_words(text)
                meaning = words.meaning(name, text)
                assert (meaning.codes[:1], meaning.sure) == ((code,), True), (name, text)
