"""What identifies people is known by heading and by content, and nothing legitimate is taken for it."""

from datetime import date

import numpy as np
import pytest

from council_node.mapping.identifiers import identifying_content, identifying_heading, is_nhs_number
from federated.schema import ColumnType, load_schema
from federated.synthetic import synthesise
from federated.synthetic.styles import styles

TODAY = date(2025, 4, 1)
RNG = np.random.default_rng(7)
NUMBERS = RNG.integers(0, 10**6, size=60).tolist()
NAMES = ("Ada", "Bill", "Cleo", "Dev", "Esme", "Finn", "Gita", "Hugo")
BIRTHS = [f"{day % 28 + 1:02d}/{day % 12 + 1:02d}/{1940 + day % 65}" for day in range(60)]


def nhs(number):
    digits = [int(sign) for sign in f"{number:09d}"]
    check = 11 - sum(digit * weight for digit, weight in zip(digits, range(10, 1, -1), strict=True)) % 11
    return None if check == 10 else f"{number:09d}{check % 11}"


IDENTIFYING = {
    "a National Insurance number": [f"QQ{number:06d}A" for number in NUMBERS],
    "an NHS number": [text for number in NUMBERS if (text := nhs(400_000_000 + number))],
    "a postcode": [f"ZZ{number % 99} {number % 9}AB" for number in NUMBERS],
    "an e-mail address": [f"person{number}@example.org" for number in NUMBERS],
    "a telephone number": [f"01632 960{number % 1000:03d}" for number in NUMBERS],
    "a date of birth": BIRTHS,
    "a name": [f"{NAMES[number % 8]} {NAMES[number // 8 % 8]}{NAMES[number // 64 % 8].lower()}" for number in NUMBERS],
    "an address": [f"{number} Example Street, Sampleton" for number in NUMBERS],
    "free text": [f"Note {number}: says nothing about anyone at all, it is made up." for number in NUMBERS],
    "a long number, as property references (UPRN) are": [f"1000{number:08d}" for number in NUMBERS],
}


@pytest.mark.parametrize(("kind", "texts"), IDENTIFYING.items())
def test_identifying_content_is_known(kind, texts):
    assert identifying_content(texts, today=TODAY) == kind


@pytest.mark.parametrize(
    "kind", ["a National Insurance number", "a postcode", "an e-mail address", "a telephone number"]
)
def test_a_pattern_in_one_cell_of_ten_is_enough_but_a_stray_one_is_not(kind):
    ordinary = ["Relief duty owed"] * 90
    assert identifying_content([*ordinary, *IDENTIFYING[kind][:10]], today=TODAY) == kind
    assert identifying_content([*ordinary, *IDENTIFYING[kind][:1]], today=TODAY) is None


def test_the_check_digit_of_an_nhs_number_is_checked():
    good = nhs(943_476_591)
    assert is_nhs_number(good)
    assert is_nhs_number(f"{good[:3]} {good[3:6]} {good[6:]}")
    wrong = [good[:9] + digit for digit in "0123456789" if digit != good[9]]
    assert not any(is_nhs_number(text) for text in wrong)
    # Case numbers of ten digits have a right one now and then.
    references = [f"{4_000_000_000 + number:010d}" for number in NUMBERS]
    assert any(is_nhs_number(text) for text in references)
    assert identifying_content(references, today=TODAY) != "an NHS number"


LEGITIMATE = {
    "dates of assessment": [f"{day % 28 + 1:02d}/{day % 12 + 1:02d}/{2018 + day % 8}" for day in range(200)],
    "dates with a placeholder for none": ["01/01/1900"] * 150 + [f"2024-01-{day:02d}" for day in range(1, 31)],
    "spreadsheet day numbers": [str(45_000 + day) for day in range(200)],
    "dates without dashes": [f"2024{1 + day % 12:02d}{1 + day % 28:02d}" for day in range(28)],
    "numbers of children": [str(number % 7) for number in NUMBERS],
    "ages": [str(16 + number % 70) for number in NUMBERS],
    "nightly cost": [f"£{number % 300}.50" for number in NUMBERS],
    "council codes": [f"E0600000{number % 9}" for number in NUMBERS],
    "postcode districts": [f"NE{number % 20 + 1}" for number in NUMBERS],
    "sections of the Act": ["s193", "s188", "S21", "s189B"] * 10,
    "a short list of long labels": ["Accommodation secured by local authority or organisation delivering it"] * 5,
    "long numbered labels": [f"{n:02d} Loss of placement by order of the court, at least for a while" for n in range(15)] * 3,
}  # fmt: skip


@pytest.mark.parametrize(("what", "texts"), LEGITIMATE.items())
def test_legitimate_content_is_not_taken_for_identifying(what, texts):
    assert identifying_content(texts, today=TODAY) is None, what


def test_a_short_list_of_long_known_wordings_is_no_free_text():
    labels = [code.label for code in load_schema().dataset("case").column("reason_loss").codes]
    assert identifying_content(labels, today=TODAY) == "free text"
    assert identifying_content(labels, today=TODAY, known=set(labels).__contains__) is None
    assert (
        identifying_content(
            [*labels, *labels[:3], *IDENTIFYING["a postcode"][:6]], today=TODAY, known=set(labels).__contains__
        )
        == "a postcode"
    )


@pytest.mark.parametrize("style", styles().values(), ids=styles())
def test_no_column_that_is_mapped_is_refused_in_the_practice_extracts(style):
    cases = synthesise("E06000001", 3)
    for name, heading in style.headings.items():
        column = load_schema().dataset("case").column(name)
        assert column.type is ColumnType.KEY or identifying_heading(heading) is None, heading
        texts = cases.columns[name].tolist()
        if column.type is ColumnType.CATEGORY:
            spelled = style.spellings(column)
            texts = [spelled[text][0] for text in texts]
        if column.type is not ColumnType.KEY:
            assert identifying_content([text for text in texts if text], today=TODAY) is None, name


@pytest.mark.parametrize("style", styles().values(), ids=styles())
def test_every_column_that_is_never_read_is_known_by_its_heading(style):
    assert [heading for heading in style.never_read.values() if identifying_heading(heading) is None] == []


def test_no_column_of_the_schema_sounds_identifying():
    names = [
        text
        for dataset in load_schema().datasets.values()
        for column in dataset.columns.values()
        for text in (column.name, column.label)
        if column.type is not ColumnType.KEY
    ]
    assert [text for text in names if identifying_heading(text)] == []


@pytest.mark.parametrize(
    "heading",
    ["applicant_full_name", "people/main/DateOfBirth", "DateOfBirth", "NI_NO", "ADDR_1", "TEL_1", "FREE_TEXT", "EmailAddress",
     "postCode", "Passport number", "Home Office reference", "USRN", "House number", "Sort code", "Easting", "Remarks",
     "Further details", "Born"],
)  # fmt: skip
def test_headings_of_programs_are_known_too(heading):
    assert identifying_heading(heading)


@pytest.mark.parametrize(
    "heading",
    ["main/HouseholdType", "Programme name", "Council name", "Postcode district", "Street homeless", "Details of duty owed",
     "Gender same as at birth", "Placement type", "NightlyRate", "Date of contact", "Nil recourse", "Account closed"],
)  # fmt: skip
def test_headings_of_things_are_not(heading):
    assert identifying_heading(heading) is None
