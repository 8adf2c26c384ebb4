"""A question is one expression, whether it is written in YAML, in SQL or in Python; bad SQL is refused at its word."""

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.errors import FileProblem
from federated.query import (
    And,
    Between,
    DatePart,
    Days,
    Dimension,
    Equals,
    In,
    Level,
    Measured,
    Named,
    Not,
    Or,
    Period,
    Points,
    Query,
    Table,
    Unknown,
    Value,
    load_query,
    parse_query,
    write_query,
)
from federated.query.builder import ask, column, days, points
from federated.query.conditions import condition_json
from federated.query.sql_form import parse_sql
from federated.query.sql_text import write_sql
from federated.statistics import STATISTICS
from protocols.encoding import canonical_json
from protocols.identifiers import Digest

SCHEMA = Digest(bytes(32))

SQL = """\
SET title = 'Households owed a duty';
SET asked = 'north_east';
SET epsilon = '1/2';
SELECT region, main_age_band, MONTH(assessment_date), COUNT(DISTINCT household) AS ages, AT_MOST(2)
FROM "case"
WHERE assessment_date BETWEEN DATE '2025-01-01' AND DATE '2025-03-31'
  AND assessment_outcome IN ('relief_owed', 'prevention_owed')
  AND (dependent_children_n BETWEEN 1 AND 3 OR relief_end IS NULL OR NOT main_sex = 'male')
GROUP BY region, main_age_band, MONTH(assessment_date);
SELECT AVG(CLAMP(dependent_children_n, 0, 6)) AS children
FROM "case"
WHERE assessment_date BETWEEN DATE '2025-01-01' AND DATE '2025-03-31'
  AND assessment_outcome IN ('relief_owed', 'prevention_owed')
  AND (dependent_children_n BETWEEN 1 AND 3 OR relief_end IS NULL OR NOT main_sex = 'male');
SELECT DISTRIBUTION(CLAMP(DAYS(relief_start, relief_end, DATE '2025-06-30'), 0, 365), STEPS(7, 56, 7)) AS waits
FROM "case"
WHERE assessment_date BETWEEN DATE '2025-01-01' AND DATE '2025-03-31'
  AND assessment_outcome IN ('relief_owed', 'prevention_owed')
  AND (dependent_children_n BETWEEN 1 AND 3 OR relief_end IS NULL OR NOT main_sex = 'male');
SELECT SCORES(CLAMP(1 + CASE WHEN main_sex = 'male' THEN 2 ELSE 0 END, 0, 9), EDGES(2, 4)) AS risk
FROM "case"
WHERE assessment_date BETWEEN DATE '2025-01-01' AND DATE '2025-03-31'
  AND assessment_outcome IN ('relief_owed', 'prevention_owed')
  AND (dependent_children_n BETWEEN 1 AND 3 OR relief_end IS NULL OR NOT main_sex = 'male');
"""

YAML = """\
query: 1
title: Households owed a duty
dataset: case
unit: household
group: north_east
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "0.5"
where:
  all:
    - {column: assessment_outcome, in: [prevention_owed, relief_owed]}
    - any:
        - {column: dependent_children_n, between: [1, 3]}
        - {column: relief_end, unknown: true}
        - not: {column: main_sex, equals: male}
tables:
  - name: ages
    count: households
    by: [main_age_band, {column: assessment_date, part: month}]
    level: region
    max_cells: 2
  - {name: children, mean: dependent_children_n, clip: [0, 6]}
  - name: waits
    statistic: distribution
    measures: [{days: {from: relief_start, to: relief_end, until: 2025-06-30}, clip: [0, 365]}]
    edges: {from: 7, to: 56, step: 7}
  - name: risk
    statistic: scores
    measures: [{points: [{where: {column: main_sex, equals: male}, points: 2}], base: 1, clip: [0, 9]}]
    edges: [2, 4]
"""

BUILT = (
    ask("Households owed a duty", of="case", group="north_east", epsilon="0.5")
    .during("assessment_date", "2025-01-01", date(2025, 3, 31))
    .where(column("assessment_outcome").is_in("relief_owed", "prevention_owed"))
    .where(
        column("dependent_children_n").between(1, 3)
        | column("relief_end").is_unknown()
        | ~column("main_sex").equals("male")
    )
    .table(
        "ages", "households", by=["main_age_band", column("assessment_date").by("month")], level="region", max_cells=2
    )
    .table("children", "mean", measures=[column("dependent_children_n").within(0, 6)])
    .table(
        "waits",
        "distribution",
        measures=[days("relief_start", "relief_end", until="2025-06-30").within(0, 365)],
        edges=range(7, 57, 7),
    )
    .table(
        "risk", "scores", measures=[points([(column("main_sex").equals("male"), 2)], base=1).within(0, 9)], edges=[2, 4]
    )
    .query()
)


def test_yaml_sql_and_python_ask_the_identical_question():
    digests = {question.digest(SCHEMA) for question in (parse_sql(SQL), parse_query(YAML.encode()), BUILT)}
    assert len(digests) == 1


# No column is called like a word of SQL, which would have to stand in quotes.
names = st.from_regex(r"col_[a-z0-9_]{0,9}", fullmatch=True)
codes = st.text(st.sampled_from("abcXYZ019 '\";:,-_%()&é£–"), min_size=1, max_size=12).map(str.strip).filter(bool)
numbers = st.integers(-500, 500)
dates = st.dates(date(2018, 1, 1), date(2026, 1, 1))
leaves = st.one_of(
    st.builds(Unknown, column=names),
    st.builds(Equals, column=names, value=codes),
    st.builds(In, column=names, values=st.lists(codes, min_size=1, max_size=3).map(tuple)),
    st.tuples(names, numbers, numbers).map(lambda t: Between(column=t[0], low=str(t[1]), high=str(t[2]))),
    st.tuples(names, dates, dates).map(lambda t: Between(column=t[0], low=str(t[1]), high=str(t[2]))),
)
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, condition=inner),
        st.builds(And, conditions=st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, conditions=st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
measures = st.one_of(
    st.builds(Value, column=names),
    st.builds(Days, start=names, end=names, until=st.none() | dates),
    st.builds(Points, base=numbers, terms=st.lists(st.tuples(conditions, numbers), min_size=1, max_size=3).map(tuple)),
)
measured = st.tuples(measures, numbers, st.integers(1, 400)).map(
    lambda t: Measured(measure=t[0], low=t[1], high=t[1] + t[2])
)
rising = st.one_of(
    st.lists(numbers, unique=True, max_size=6).map(lambda found: tuple(sorted(found))),
    st.tuples(numbers, st.integers(1, 30), st.integers(1, 9)).map(
        lambda t: tuple(range(t[0], t[0] + t[1] * t[2], t[2]))
    ),
)
by = st.lists(st.builds(Dimension, column=names, part=st.none() | st.sampled_from(DatePart)), max_size=3)


@st.composite
def tables(draw):
    code = draw(st.sampled_from(sorted(STATISTICS)))
    of_one = code in {"sum", "mean"}
    plain = code in {"households", "rows"}
    return Table(
        name=draw(names),
        statistic=code,
        by=tuple(draw(by)),
        level=draw(st.sampled_from(Level)),
        max_cells=draw(st.integers(1, 64)),
        measures=() if plain else tuple(draw(st.lists(measured, min_size=int(of_one), max_size=1 if of_one else 3))),
        edges=() if plain else draw(rising),
        conditions=()
        if plain
        else tuple(
            draw(st.lists(st.builds(Named, name=names, where=conditions), max_size=2, unique_by=lambda n: n.name))
        ),
        probabilities=()
        if plain
        else tuple(
            sorted(draw(st.sets(st.fractions(Fraction(1, 99), Fraction(98, 99), max_denominator=99), max_size=3)))
        ),
    )


questions = st.builds(
    Query,
    title=codes.map(lambda text: f"About {text}"),
    dataset=names,
    unit=st.sampled_from(("household", "person")),
    group=names,
    period=st.tuples(names, dates, st.integers(0, 400)).map(
        lambda t: Period(column=t[0], start=t[1], end=date.fromordinal(t[1].toordinal() + t[2]))
    ),
    epsilon=st.fractions(Fraction(1, 100), 10, max_denominator=100),
    tables=st.lists(tables(), min_size=1, max_size=3, unique_by=lambda table: table.name).map(tuple),
    where=st.none() | conditions,
)


@settings(deadline=None, max_examples=40)
@given(questions)
def test_what_is_written_in_sql_reads_back_the_same(question):
    again = parse_sql(write_sql(question))
    assert again == question
    assert again.title == question.title
    assert again.digest(SCHEMA) == question.digest(SCHEMA)


@settings(deadline=None, max_examples=40)
@given(questions)
def test_what_is_written_in_yaml_reads_back_the_same(question):
    again = parse_query(write_query(question).encode())
    assert again == question
    assert again.digest(SCHEMA) == question.digest(SCHEMA)


FROM = "FROM \"case\" WHERE assessment_date BETWEEN DATE '2025-01-01' AND DATE '2025-03-31'"
HEAD = "SET title = 'Five letters'; SET asked = 'g'; SET epsilon = '1';\n"


@given(conditions, conditions, conditions)
def test_brackets_that_change_nothing_make_no_other_question(a, b, c):
    for kind in (And, Or):
        written = ((a, b, c), (kind(conditions=(c, b)), a), (kind(conditions=(b,)), kind(conditions=(a, c))))
        assert len({canonical_json(condition_json(kind(conditions=parts))) for parts in written}) == 1


def test_brackets_that_change_something_do():
    a, b, c = (Equals(column=name, value="x") for name in "abc")
    assert condition_json(And(conditions=(a, Or(conditions=(b, c))))) != condition_json(
        Or(conditions=(And(conditions=(a, b)), c))
    )


def test_the_smallest_question():
    found = parse_sql(f"{HEAD}SELECT COUNT(*) AS n {FROM}")
    assert [table.statistic for table in found.tables] == ["rows"]
    assert (found.unit, found.where) == ("household", None)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (f"SELECT COUNT(*) {FROM}", "column 8, at 'COUNT(*)'", "needs a name"),
        (f"SELECT COUNT(*) AS n, SUM(CLAMP(a, 0, 1)) AS s {FROM}", "column 8", "asks for 2"),
        (f"SELECT main_sex {FROM} GROUP BY main_sex", "column 8", "asks for 0"),
        (f"SELECT COUNT(DISTINCT name) AS n {FROM}", "at 'COUNT(DISTINCT'", r"COUNT\(DISTINCT household\)"),
        (f"SELECT COUNT(main_sex) AS n {FROM}", "at 'COUNT(main_sex)'", "count either rows"),
        (f"SELECT MAX(CLAMP(a, 0, 1), 7) AS n {FROM}", "at '7)'", "MAX takes CLAMP"),
        (f"SELECT SUM(dependent_children_n) AS n {FROM}", "at 'dependent_children_n)'", "SUM takes CLAMP"),
        (f"SELECT SUM(CLAMP(a, 0)) AS n {FROM}", "at 'CLAMP(a,'", "takes 3 arguments; this has 2"),
        (f"SELECT SUM(CLAMP(a, 0, 1.5)) AS n {FROM}", "at '1.5))'", "whole number"),
        (f"SELECT SUM(CLAMP(a * 2, 0, 1)) AS n {FROM}", "at 'a'", "whole number"),
        (f"SELECT main_sex, COUNT(*) AS n {FROM}", "column 8", "GROUP BY must list"),
        (f"SELECT main_sex AS s, COUNT(*) AS n {FROM} GROUP BY main_sex", "at 'main_sex'", "keep their own"),
        (f"SELECT COUNT(*) AS n {FROM} GROUP BY ROLLUP (main_sex)", "at 'main_sex)'", "a column was expected"),
        (f"SELECT * {FROM}", "at '*'", "not this"),
        (f"SELECT COUNT(*) AS n {FROM} AND main_sex LIKE 'm%'", "at 'main_sex'", "a condition is"),
        (f"SELECT COUNT(*) AS n {FROM} AND main_sex IN (SELECT a FROM b)", "at 'main_sex'", "a condition is"),
        (f"SELECT COUNT(*) AS n {FROM} AND c.main_sex = 'male'", "at 'c.main_sex'", "a column was expected"),
        (f"SELECT COUNT(*) AS n {FROM} AND main_sex IS TRUE", "at 'main_sex'", "a condition is"),
        (f"SELECT COUNT(*) AS n {FROM} ORDER BY n", "column 8", "'ORDER' is no part"),
        (f"SELECT COUNT(*) AS n {FROM} LIMIT 5", "column 8", "'LIMIT' is no part"),
        (f"SELECT COUNT(*) AS n {FROM} HAVING COUNT(*) > 1", "column 8", "'HAVING' is no part"),
        (f"SELECT DISTINCT COUNT(*) AS n {FROM}", "column", "'DISTINCT' is no part"),
        (f"WITH a AS (SELECT 1) SELECT COUNT(*) AS n {FROM}", "column", "'WITH' is no part"),
        (f"SELECT COUNT(*) AS n {FROM} UNION SELECT COUNT(*) AS n {FROM}", "column", "SET and SELECT only"),
        (f"SELECT COUNT(*) OVER () AS n {FROM}", "column", "not this"),
        (f"SELECT COUNT(*) FILTER (WHERE a = 1) AS n {FROM}", "column", "not this"),
        (
            "SELECT COUNT(*) AS n FROM other.cases WHERE d BETWEEN '2025-01-01' AND '2025-02-01'",
            "column",
            "one data set",
        ),
        ("SELECT COUNT(*) AS n FROM a JOIN b ON a.x = b.x", "column", "'JOINS' is no part"),
        ("SELECT COUNT(*) AS n FROM a TABLESAMPLE (10 PERCENT)", "column", "one data set"),
        ('SELECT COUNT(*) AS n FROM "case"', "column 8", "period is missing"),
        ('SELECT COUNT(*) AS n FROM "case" WHERE n BETWEEN 1 AND 3', "column 8", "period is missing"),
        (f"SELECT COUNT(*) AS n {FROM}; SELECT COUNT(*) AS m {FROM} AND a = 'x'", "column", "same WHERE"),
        (f"SELECT COUNT(*) AS n {FROM}; SET epsilon = '2'", "column", "before the first SELECT"),
        (
            f"SELECT COUNT(DISTINCT household) AS n {FROM}; SELECT COUNT(DISTINCT person) AS m {FROM}",
            "column",
            "one unit",
        ),
        (f"SELECT DISTRIBUTION(CLAMP(a, 0, 9), STEPS(0, 9, 0)) AS n {FROM}", "at 'STEPS(0,'", "step of at least 1"),
        (f"SELECT DISTRIBUTION(CLAMP(a, 0, 9), EDGES(1), EDGES(2)) AS n {FROM}", "at 'EDGES(2))'", "takes CLAMP"),
        (f"SELECT QUANTILE(CLAMP(a, 0, 9), PROBABILITIES(0.5)) AS n {FROM}", "at '0.5))'", "in quotes"),
        ("DROP TABLE households", "line 2, column", "SET and SELECT only"),
        ("SELECT COUNT(*) AS n FROM (", "line 2, column", "not SQL that can be read"),
    ],
)
def test_what_is_no_question_is_refused_at_the_word(text, place, words):
    with pytest.raises(FileProblem, match=words) as refusal:
        parse_sql(HEAD + text, source="q.sql")
    assert str(refusal.value).startswith("q.sql, line 2, ")
    assert place in str(refusal.value)
    assert "analyst.md" in refusal.value.remedy


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("", "'title' is missing"),
        ("SET title = 'Five letters'; SET asked = 'g';", "'epsilon' is missing"),
        ("SET colour = 'red';", "no setting 'colour'"),
        ("SET epsilon = '1'; SET epsilon = '2';", "set twice"),
        ("SET epsilon = 1;", "in quotes"),
        ("SET unit = 'person'; SET title = 'Five letters'; SET asked = 'g'; SET epsilon = '1';", "one unit"),
    ],
)
def test_settings_are_checked(head, words):
    with pytest.raises(FileProblem, match=words):
        parse_sql(f"{head} SELECT COUNT(DISTINCT household) AS n {FROM}")


@pytest.mark.parametrize("text", ["", ";", "(" * 5000, "x" * 300_000, "SET a", "'", "SELECT", "\x00"])
def test_rubbish_gets_a_sentence(text):
    with pytest.raises(FileProblem):
        parse_sql(text)


def test_what_no_node_would_read_is_refused_at_once():
    for title, words in (("Five\u200bletters", "cannot be seen"), ("Four", "at least 5")):
        with pytest.raises(FileProblem, match=words):
            parse_sql(f"{HEAD.replace('Five letters', title)}SELECT COUNT(*) AS n {FROM}")
    with pytest.raises(FileProblem, match="name"):
        parse_sql(f"{HEAD}SELECT COUNT(*) AS Capitals {FROM}")


def test_a_file_is_read_by_its_ending(tmp_path):
    in_sql, in_yaml = tmp_path / "q.sql", tmp_path / "q.yaml"
    in_sql.write_text(SQL, encoding="utf-8")
    in_yaml.write_text(YAML, encoding="utf-8")
    assert load_query(in_sql).digest(SCHEMA) == load_query(in_yaml).digest(SCHEMA)
    in_sql.write_bytes(b"\xff\xfe")
    with pytest.raises(FileProblem, match="UTF-8"):
        load_query(in_sql)


def test_rounds_are_the_same_in_every_language():
    built = (
        ask("Relief owed, by children", of="case", group="north_east", epsilon="1")
        .during("assessment_date", "2025-01-01", "2025-03-31")
        .table(
            "fit",
            "logistic_rounds",
            measures=[column("dependent_children_n").within(0, 6)],
            conditions={"owed": column("assessment_outcome").equals("relief_owed")},
            rounds=6,
        )
        .query()
    )
    assert built.rounds == 6
    sql, yaml = write_sql(built), write_query(built)
    assert "ROUNDS(6)" in sql
    assert "rounds: 6" in yaml
    assert parse_sql(sql) == parse_query(yaml.encode()) == built
    for other in (sql.replace("ROUNDS(6)", "ROUNDS(5)"), sql.replace(", ROUNDS(6)", "")):
        assert parse_sql(other).digest(SCHEMA) != built.digest(SCHEMA)
