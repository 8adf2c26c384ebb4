"""A dictionary file that is not what it should be is refused with the file and the field."""

import pytest

from federated.errors import FileProblem
from federated.schema.files import SchemaForm, read_form, resource_text
from federated.schema.load import load_councils, load_dataset

GOOD = """
name: small
title: Small
unit: household
unit_column: key
columns:
  - {name: key, type: key, label: Key, class: 1}
  - {name: day, type: date, label: Day, class: 1}
  - {name: count, type: integer, label: Count, class: 1, low: 0, high: 6}
  - name: kind
    type: category
    label: Kind
    class: 1
    codes:
      - {code: a, label: First, group: wide}
      - {code: b, label: Second, class: 2, group: wide}
      - {code: not_known, label: Not known, group: not_known}
  - name: kind_group
    type: category
    label: Kind, grouped
    class: 1
    derived_from: kind
    codes:
      - {code: wide, label: Wide}
      - {code: not_known, label: Not known}
"""


def test_a_good_file_is_read():
    dataset = load_dataset("small", GOOD, {})
    assert list(dataset.columns) == ["key", "day", "count", "kind", "kind_group"]
    assert dataset.column("kind_group").code("wide").sensitivity_class == 2
    assert dataset.column("kind_group").derivation == {"a": "wide", "b": "wide", "not_known": "not_known"}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("{code: b, label: Second", "{code: a, label: Second", "same code twice"),
        ("{code: b, label: Second", "{code: b, label: FIRST", "same label twice"),
        ("      - {code: not_known, label: Not known, group: not_known}\n", "", "no code 'not_known'"),
        ("label: Second", "label: ' '", "label"),
        ("code: b,", "code: B-2,", "code"),
        ("code: b,", "code: yes,", "code"),
        ("class: 2", "class: 3", "class"),
        ("unit: household", "unit: council", "unit"),
        ("unit_column: key", "unit_column: day", "not a column of type key"),
        ("name: day", "name: key", "same name"),
        ("low: 0, high: 6", "low: 6, high: 0", "low below high"),
        ("type: date", "type: date, low: 0, high: 6", "low below high"),
        ("type: date", "type: category", "codes or a list exactly"),
        ("type: date", "type: category, list: missing", "there is none"),
        ("label: Kind\n", "label: Kind\n    list: yes_no\n", "has both codes and a list"),
        ("group: wide}", "group: narrow}", "groups of 'kind'"),
        ("derived_from: kind", "derived_from: sort", "groups of 'sort'"),
        ("title: Small", "title: Small\nextra: 1", "extra"),
        ("name: small", "name: other", "holds the data set 'other'"),
        ("title: Small", "title: [", "line .* is not YAML"),
    ],
)
def test_a_fault_is_refused_and_named(old, new, expected):
    assert old in GOOD
    with pytest.raises(FileProblem, match=expected) as refused:
        load_dataset("small", GOOD.replace(old, new, 1), {})
    assert "federated/schema/small.yaml" in str(refused.value)


def test_a_shared_list_must_be_closed_too():
    text = "version: 1\ndatasets: [case]\nlists:\n  half:\n    - {code: a, label: A}\n"
    with pytest.raises(FileProblem, match="list 'half' has no code 'not_known'"):
        read_form("schema.yaml", text, SchemaForm)


def test_a_missing_file_is_a_fault_of_the_installation():
    with pytest.raises(FileProblem, match=r"federated/schema/nothing\.yaml is missing"):
        resource_text("nothing.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("code,name\nE06000001,Hartlepool\n", "must have the columns"),
        ("code,name,region_code,region_name\nA,One,R1,North\nA,Two,R1,North\n", "line 3"),
        ("code,name,region_code,region_name\nA,One,R1,North\nB,Two,R1,South\n", "line 3"),
    ],
)
def test_a_damaged_registry_is_refused(text, expected):
    with pytest.raises(FileProblem, match=expected):
        load_councils(text)
