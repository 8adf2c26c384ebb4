"""The dictionaries that ship: every closed list is closed, and a change of any of them is a deliberate act."""

import re
from collections import Counter
from dataclasses import replace

import pytest

from federated.errors import QueryError
from federated.schema import NOT_KNOWN, ColumnType, load_schema
from protocols.encoding import canonical_json

SCHEMA = load_schema()
COLUMNS = [
    pytest.param(dataset, column, id=f"{dataset.name}.{column.name}")
    for dataset in SCHEMA.datasets.values()
    for column in dataset.columns.values()
]
CATEGORIES = [case for case in COLUMNS if case.values[1].type is ColumnType.CATEGORY]

RECORDED_DIGEST = "b69913391daf280f25838bba79df50bc3f6461fa994b15c5510594d393a1007a"
"""Digest of version 1. Changing a dictionary makes every question a new one, charged again: raise the version too."""


def test_digest_is_the_recorded_one():
    assert (SCHEMA.version, SCHEMA.digest.hex()) == (1, RECORDED_DIGEST)


def test_loading_is_cached():
    assert load_schema() is SCHEMA


def test_every_table_of_the_domain_is_there():
    assert list(SCHEMA.datasets) == ["case", "support_need", "ta_placement", "event", "rough_sleeping"]
    units = {name: (dataset.unit, dataset.unit_column) for name, dataset in SCHEMA.datasets.items()}
    assert units.pop("rough_sleeping") == ("person", "person_key")
    assert set(units.values()) == {("household", "household_key")}


@pytest.mark.parametrize(("dataset", "column"), CATEGORIES)
def test_closed_list_is_unique_labelled_and_holds_not_known(dataset, column):
    assert len(set(column.code_list)) == len(column.code_list) >= 3
    assert NOT_KNOWN in column.code_list
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", code) for code in column.code_list)
    assert all(code.label.strip() == code.label != "" for code in column.codes)
    assert len({code.label.casefold() for code in column.codes}) == len(column.codes)


@pytest.mark.parametrize(("dataset", "column"), COLUMNS)
def test_classes_are_between_0_and_2_and_no_code_is_below_its_column(dataset, column):
    assert column.sensitivity_class in (0, 1, 2)
    assert all(column.sensitivity_class <= code.sensitivity_class <= 2 for code in column.codes)


@pytest.mark.parametrize("dataset", SCHEMA.datasets.values(), ids=SCHEMA.datasets)
def test_every_table_has_its_unit_as_a_key_a_date_and_an_opt_out(dataset):
    assert dataset.column(dataset.unit_column).type is ColumnType.KEY
    assert any(column.type is ColumnType.DATE for column in dataset.columns.values())
    assert dataset.column("opted_out").code_list == ("yes", "no", NOT_KNOWN)


@pytest.mark.parametrize(
    ("column", "current", "retired"),
    [
        ("assessment_outcome", 5, 0),
        ("reason_loss", 31, 3),
        ("reason_loss_group", 12, 0),
        ("accommodation_at_application", 19, 1),
        ("household_type", 10, 0),
        ("main_age_band", 8, 0),
        ("main_ethnic_group", 18, 0),
        ("main_ethnic_group_6", 5, 0),
        ("main_nationality_group", 5, 0),
        ("eligibility_group", 11, 0),
        ("main_employment", 12, 0),
        ("main_sexual_orientation", 5, 0),
        ("priority_need", 11, 0),
    ],
)
def test_case_lists_have_the_published_number_of_codes_beside_not_known(column, current, retired):
    codes = [code for code in SCHEMA.dataset("case").column(column).codes if code.code != NOT_KNOWN]
    assert Counter(code.retired_from is None for code in codes) == Counter({True: current, False: retired})


def test_support_needs_are_the_24_published():
    need = SCHEMA.dataset("support_need").column("need")
    assert len(need.codes) == 24 + 1
    assert [code.code for code in need.codes if code.retired_from] == ["care_leaver_21_over"]


@pytest.mark.parametrize("code", ["domestic_abuse_victim", "domestic_abuse_perpetrator", "left_custody"])
def test_class_2_codes_stand_inside_a_class_1_column(code):
    reason = SCHEMA.dataset("case").column("reason_loss")
    assert reason.sensitivity_class == 1
    assert reason.code(code).sensitivity_class == 2
    assert reason.highest_class == 2


def test_grouping_hides_no_class():
    case = SCHEMA.dataset("case")
    for column in case.derived_columns():
        base = case.column(column.derived_from)
        for code in base.codes:
            assert column.code(column.derivation[code.code]).sensitivity_class >= code.sensitivity_class


def test_derived_columns_cover_every_code_of_their_base():
    case = SCHEMA.dataset("case")
    derived = {column.name: column for column in case.derived_columns()}
    assert set(derived) == {
        "reason_loss_group",
        "accommodation_at_application_group",
        "household_with_children",
        "main_ethnic_group_6",
    }
    for column in derived.values():
        assert set(column.derivation) == set(case.column(column.derived_from).code_list)
        assert set(column.derivation.values()) == set(column.code_list)
        assert column.derivation[NOT_KNOWN] == NOT_KNOWN
    assert derived["main_ethnic_group_6"].derivation["asian_chinese"] == "asian"


def test_registry_has_296_councils_of_four_kinds_in_nine_regions():
    assert Counter(code[:3] for code in SCHEMA.councils) == {"E06": 63, "E07": 164, "E08": 36, "E09": 33}
    assert {council.region for council in SCHEMA.councils.values()} == {region.code for region in SCHEMA.regions}
    assert [region.label for region in SCHEMA.regions][:2] == ["North East", "North West"]
    assert len(SCHEMA.regions) == 9
    assert all(council.name.strip() for council in SCHEMA.councils.values())
    assert sum(council.region == "E12000001" for council in SCHEMA.councils.values()) == 12


def test_unknown_names_are_refused_with_what_exists():
    with pytest.raises(QueryError, match="no data set 'cases'") as refused:
        SCHEMA.dataset("cases")
    assert "case, support_need, ta_placement, event, rough_sleeping" in refused.value.diagnostics()
    with pytest.raises(QueryError, match="no column 'age'") as refused:
        SCHEMA.dataset("case").column("age")
    assert "main_age_band" in refused.value.diagnostics()
    with pytest.raises(QueryError, match="no code 'white'") as refused:
        SCHEMA.dataset("case").column("main_ethnic_group").code("white")
    assert "white_british" in refused.value.diagnostics()
    with pytest.raises(QueryError, match="holds a date"):
        SCHEMA.dataset("case").column("assessment_date").code("2025")
    with pytest.raises(QueryError, match="no council with the code 'E06000999'"):
        SCHEMA.council("E06000999")


def test_notes_are_not_part_of_the_digest_but_everything_else_is():
    column = SCHEMA.dataset("case").column("household_type")
    assert canonical_json(replace(column, note="Reworded.").canonical()) == canonical_json(column.canonical())
    code = column.codes[0]
    changes = [
        replace(column, label="Household"),
        replace(column, sensitivity_class=2),
        replace(column, codes=column.codes[:-1]),
        replace(column, codes=(replace(code, label="Other words"), *column.codes[1:])),
        replace(column, codes=(replace(code, sensitivity_class=2), *column.codes[1:])),
        replace(column, codes=(replace(code, group="without_children"), *column.codes[1:])),
    ]
    for changed in changes:
        assert canonical_json(changed.canonical()) != canonical_json(column.canonical())
