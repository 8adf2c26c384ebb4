"""A question reads the same from YAML and from Python, and bad YAML gets one plain sentence."""

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated.errors import FederatedError, FileProblem, QueryError
from federated.query import (
    And,
    Between,
    DatePart,
    Dimension,
    Equals,
    In,
    Level,
    Not,
    Or,
    Period,
    Query,
    Table,
    Unknown,
    parse_query,
    write_query,
)
from federated.rationals import rational, rational_text
from protocols.encoding import canonical_json, length_prefixed
from protocols.errors import LocalProtocolError
from protocols.identifiers import Digest

SCHEMA = Digest(bytes(32))

GOOD = b"""
query: 1
title: Households owed a duty, by age
dataset: case
unit: household
group: north_east
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1/2"
where:
  all:
    - {column: assessment_outcome, in: [relief_owed, prevention_owed]}
    - not: {column: household_type, equals: not_known}
    - any:
        - {column: dependent_children_n, between: [1, 3]}
        - {column: application_date, between: [2025-01-01, 2025-02-01]}
        - {column: application_date, unknown: true}
tables:
  - {name: age, count: households, by: [main_age_band]}
  - {name: months, count: rows, by: [{column: assessment_date, part: month}], level: region, max_cells: 2}
  - {name: children, sum: dependent_children_n, clip: [0, 6]}
"""


def question(**changes):
    fields = {
        "title": "Any title",
        "dataset": "case",
        "unit": "household",
        "group": "north_east",
        "period": Period(column="assessment_date", start=date(2025, 1, 1), end=date(2025, 3, 31)),
        "epsilon": Fraction(1, 2),
        "tables": (Table(name="age", statistic="households", by=(Dimension(column="main_age_band"),)),),
    }
    return Query(**(fields | changes))


def test_yaml_gives_the_expression_that_python_builds():
    read = parse_query(GOOD)
    assert read.where == And(
        conditions=(
            In(column="assessment_outcome", values=("relief_owed", "prevention_owed")),
            Not(condition=Equals(column="household_type", value="not_known")),
            Or(
                conditions=(
                    Between(column="dependent_children_n", low="1", high="3"),
                    Between(column="application_date", low="2025-01-01", high="2025-02-01"),
                    Unknown(column="application_date"),
                )
            ),
        )
    )
    assert read.epsilon == Fraction(1, 2)
    assert [table.statistic for table in read.tables] == ["households", "rows", "sum"]
    assert read.tables[1].by == (Dimension(column="assessment_date", part=DatePart.MONTH),)
    assert read.tables[1].level is Level.REGION
    assert (read.tables[2].measures[0].low, read.tables[2].measures[0].high) == (0, 6)


def test_writing_and_reading_gives_the_same_question():
    read = parse_query(GOOD)
    again = parse_query(write_query(read).encode())
    assert again == read
    assert again.title == read.title
    assert again.digest(SCHEMA) == read.digest(SCHEMA)


def test_the_digest_ignores_title_and_order_of_alternatives_and_nothing_else():
    base = question(where=In(column="a", values=("x", "y")))
    same = question(title="Reworded title", where=In(column="a", values=("y", "x", "x")))
    assert base.digest(SCHEMA) == same.digest(SCHEMA)
    for other in (
        question(where=In(column="a", values=("x",))),
        question(where=base.where, epsilon=Fraction(1)),
        question(where=base.where, group="england"),
        question(where=base.where, dataset="rough_sleeping"),
        question(where=base.where, unit="person"),
        question(
            where=base.where,
            period=Period(column="assessment_date", start=date(2025, 1, 1), end=date(2025, 3, 30)),
        ),
        question(
            where=base.where,
            tables=(Table(name="age", statistic="rows", by=(Dimension(column="main_age_band"),)),),
        ),
        question(
            where=base.where,
            tables=(Table(name="age", statistic="households", by=(Dimension(column="main_age_band"),), max_cells=2),),
        ),
    ):
        assert other.digest(SCHEMA) != base.digest(SCHEMA)
    assert base.digest(SCHEMA) != base.digest(Digest(bytes([1]) * 32))


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ((b'epsilon: "1/2"', b"epsilon: 0.5"), "epsilon"),
        ((b'epsilon: "1/2"', b'epsilon: "0"'), "epsilon"),
        ((b'epsilon: "1/2"', b'epsilon: "1e3"'), "epsilon"),
        ((b"count: households, by", b"by"), "age"),
        ((b"query: 1", b"query: 2"), "query"),
        ((b"unit: household", b"unit: dwelling"), "unit"),
        ((b"to: 2025-03-31", b"to: 2024-03-31"), "ends on"),
        ((b"level: region", b"level: council"), "level"),
        ((b"equals: not_known}", b"equals: not_known, in: [a]}"), "Each condition"),
        ((b"unknown: true", b"unknown: false"), "unknown"),
        ((b"unknown: true", b"unknown: true, equals: 2025-01-01"), "unknown"),
        ((b"{name: age,", b"{name: Age!,"), "name"),
        ((b"{name: months,", b"{name: age,"), "same name"),
        ((b"max_cells: 2", b"max_cells: 0"), "max_cells"),
        ((b"by: [main_age_band]", b"by: [a, b, c, d]"), "at most 3"),
        ((b"title: Households", b"extra: 1\ntitle: Households"), "extra"),
    ],
)
def test_bad_yaml_names_the_field(change, names):
    old, new = change
    assert old in GOOD
    with pytest.raises((QueryError, FileProblem)) as caught:
        parse_query(GOOD.replace(old, new))
    assert names in caught.value.diagnostics()
    assert "\n" not in caught.value.diagnostics()


def test_what_is_not_yaml_says_where():
    with pytest.raises(FileProblem, match=r"line \d+"):
        parse_query(b"query: 1\ntitle: [unclosed\n")
    with pytest.raises(FileProblem, match="KiB"):
        parse_query(b"#" * 2_000_000)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_plain_error(content):
    with pytest.raises(FederatedError):
        parse_query(content)


@given(st.fractions())
def test_rationals_survive_text(value):
    if len(str(abs(value.numerator))) <= 40 and len(str(value.denominator)) <= 40:
        assert rational(rational_text(value), name="x") == value


OTHER_DIGITS = ["1\u0660", "\u0661", "0.\u0665", "1/1\u0660", "\uff11", "-\u0967"]
"""Arabic-Indic, full-width and Devanagari: the first looks like "1." and would be read as 10."""


@pytest.mark.parametrize("text", ["1.", ".5", "1/0", "nan", "", "1 /2", "1e-3", 0.5, 1, *OTHER_DIGITS])
def test_what_is_not_an_exact_rational_is_refused(text):
    with pytest.raises(QueryError, match="exact number in quotes"):
        rational(text, name="epsilon")


def test_canonical_json_refuses_floats_and_length_prefixes_are_unambiguous():
    with pytest.raises(LocalProtocolError, match="float"):
        canonical_json({"a": [1, 0.5]})
    with pytest.raises(LocalProtocolError, match="keys are text"):
        canonical_json({1: "a"})
    assert length_prefixed("d", b"ab", b"c") != length_prefixed("d", b"a", b"bc")
    assert canonical_json({"b": 1, "a": None}) == b'{"a":null,"b":1}'
