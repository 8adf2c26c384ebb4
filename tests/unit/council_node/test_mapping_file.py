"""The mapping file: the example is a good one, and each fault is named with what would be right."""

import pytest

from council_node.mapping import EXAMPLE, load_mapping, parse_mapping
from federated.errors import FileProblem
from federated.schema import load_schema


def parsed(text):
    return parse_mapping(text.encode(), source="mapping.yaml", schema=load_schema())


def problem(text):
    with pytest.raises(FileProblem) as caught:
        parsed(text)
    return caught.value.diagnostics()


def test_the_example_is_read(tmp_path):
    path = tmp_path / "mapping.yaml"
    path.write_text(EXAMPLE)
    mapping = load_mapping(path, load_schema())
    assert mapping == parsed(EXAMPLE)
    assert mapping.columns["household_key"].source == "HH Ref"
    assert mapping.columns["opted_out"].codes == {"Objects": "yes"}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileProblem, match=r"gone\.yaml"):
        load_mapping(tmp_path / "gone.yaml", load_schema())


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("household_type:", "houshold_type:", "Did you mean 'household_type'?"),
        ("single_parent_female", "single_parnt_female", "Did you mean 'single_parent_female'?"),
        ("dataset: case", "dataset: cases", "Did you mean 'case'?"),
        ('{"Objects": "yes"}', '{"Objects": yes}', "line 15"),
        ('{"Objects": "yes"}', '{"Objects": "perhaps"}', "there is no code 'perhaps'"),
        ("mapping: 1", "mapping: 2", "mapping must be 1"),
        ("dates: day_first", "dates: month_first", "dates"),
        ("file: extract.csv", "file: ''", "file"),
        ('from: "HH Ref"', 'form: "HH Ref"', "form"),
        ("  household_type:", "  reason_loss_group:", "Map 'reason_loss' instead."),
        ('{from: "Date assessed"}', '{from: "Date assessed", codes: {"x": "y"}}', "has no codes"),
    ],
)
def test_faults_say_what_would_be_right(right, wrong, words):
    assert right in EXAMPLE
    said = problem(EXAMPLE.replace(right, wrong))
    assert words in said
    assert said.startswith("mapping.yaml")


@pytest.mark.parametrize(
    "heading",
    [
        "Name", "Applicant name", "FORENAME", "Surname", "Last Name", "Client", "Date of Birth", "DOB", "d.o.b.", "Birthdate",
        "NI number", "NINO", "National Insurance No", "NHS Number", "nhs no.", "Postcode", "Post Code", "Current postcode",
        "UPRN", "E-mail", "Email address", "Phone", "Telephone number", "Mobile", "Tel no", "Address", "Address line 1",
        "Previous addresses", "Notes", "Case notes", "Officer notes", "Comments", "Caseworker", "Housing officer",
    ],
)  # fmt: skip
def test_identifying_headings_are_refused_but_as_keys(heading):
    said = problem(EXAMPLE.replace("Date assessed", heading))
    assert heading in said
    assert "never read" in said
    assert parsed(EXAMPLE.replace("HH Ref", heading)).columns["household_key"].source == heading


@pytest.mark.parametrize(
    "heading",
    ["Date assessed", "Household composition", "Nights in TA", "Main reason", "Nationality", "Benefit type", "Mobile home?",
     "Name of scheme", "Noted vulnerability", "Nightly cost", "Officer decision", "Clients in household"],
)  # fmt: skip
def test_ordinary_headings_are_not(heading):
    assert parsed(EXAMPLE.replace("Date assessed", heading))
