"""Tables that cross protected characteristics: found in whatever way they are asked, held to more, never bare."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from federated import crossings
from federated.analysis.consistent import make_consistent
from federated.analysis.consistent_files import write_consistent
from federated.analysis.share import share
from federated.analysis.source import noisy_table
from federated.crossings import BASE_FACTOR, caveat_of, crossed, crossed_tables, in_words
from federated.errors import CohortTooSmall, FileProblem, PolicyRefusal, SignatureProblem
from federated.outputs.chart import chart
from federated.outputs.csv_metadata import table_metadata
from federated.outputs.csv_table import table_csv
from federated.plan import derive_plan, open_plan
from federated.plan_summary import summarise
from federated.presentation import CONFIDENTIAL, presented
from federated.privacy import Mechanism
from federated.query import And, Dimension, Equals, In, Level, Measured, Named, Not, Or, Points, Table
from federated.query.check import check_query
from federated.release import CellRecord, TableRecord, open_release
from federated.release_check import check_release
from federated.schema import ColumnType, load_schema
from protocols.encoding import canonical_json
from tests.unit.federated import planning as given
from tests.unit.federated.released import councils_of, noise_of, plan_for, release_of

SCHEMA = load_schema()
CASE, NEEDS = SCHEMA.dataset("case"), SCHEMA.dataset("support_need")
FEMALE, YOUNG = Equals(column="main_sex", value="female"), Equals(column="main_age_band", value="age_16_17")
OWED = Equals(column="assessment_outcome", value="relief_owed")


def by(*columns, name="who", **changes):
    return Table(name=name, statistic="households", by=tuple(Dimension(column=column) for column in columns), **changes)


def points(*conditions):
    return Measured(measure=Points(base=0, terms=tuple((item, 1) for item in conditions)), low=0, high=1)


SEX_BY_AGE = by("main_sex", "main_age_band")
WAYS_ROUND = {
    "two breakdowns": (SEX_BY_AGE, None),
    "a filter for each category": (by("main_sex"), YOUNG),
    "a filter alone": (by(), And(conditions=(FEMALE, YOUNG))),
    "a filter turned round": (by("main_sex"), Not(condition=YOUNG)),
    "a filter that leaves one code out": (by("main_sex"), In(column="main_age_band", values=("age_18_24",))),
    "either of two": (by(), Or(conditions=(FEMALE, And(conditions=(OWED, YOUNG))))),
    "a named condition": (by("main_sex", conditions=(Named(name="young", where=YOUNG),)), None),
    "two named conditions": (
        by(conditions=(Named(name="young", where=YOUNG), Named(name="female", where=FEMALE))),
        None,
    ),
    "points of a measure": (by("main_sex", measures=(points(YOUNG),)), None),
    "two measures": (by(measures=(points(YOUNG), points(FEMALE))), None),
    "a household type, which says the sex": (by("household_type", "main_age_band"), None),
    "grouped ethnic groups": (by("main_ethnic_group_6", "main_sex"), None),
    "nationality beside an ethnic group": (by("main_ethnic_group", "main_nationality_group"), None),
    "priority need, which says age and health": (by("priority_need", "main_sex"), None),
    "beside a column that says neither": (by("reason_loss", "main_sex", "main_age_band"), None),
}


@pytest.mark.parametrize(("table", "where"), WAYS_ROUND.values(), ids=WAYS_ROUND)
def test_a_crossing_is_found_however_it_is_asked(table, where):
    assert len(crossed(table, where, CASE)) > 1


@pytest.mark.parametrize(
    ("table", "where"),
    [
        (by("main_sex"), None),
        (by("main_sex", "reason_loss"), OWED),
        (by("main_sex", "household_type"), FEMALE),
        (by("main_ethnic_group", "main_ethnic_group_6"), None),
        (by("priority_need"), None),
        (by("priority_need", "assessment_outcome"), Equals(column="priority_need", value="pregnant")),
        (by("household_with_children", "main_age_band"), None),
    ],
)
def test_one_characteristic_beside_others_is_no_crossing(table, where):
    assert crossed(table, where, CASE) == ()


def test_needs_of_one_household_are_crossed_where_they_are_told_apart_in_it():
    old, ill = (Equals(column="need", value=value) for value in ("old_age", "physical_ill_health"))
    assert crossed(by("need", max_cells=5), None, NEEDS) == ()
    pairs = replace(by("need", max_cells=5), statistic="co_occurrence")
    assert crossed(pairs, None, NEEDS) == ("age", "disability_or_health")
    both = by(measures=(points(old, ill),))
    assert crossed(both, None, NEEDS) == ("age", "disability_or_health")
    assert crossed(by(measures=(points(old),)), None, NEEDS) == ()


NEED_OF = {value: Equals(column="need", value=value) for value in ("old_age", "physical_ill_health")}
EITHER = In(column="need", values=tuple(NEED_OF))
ROWS = Measured(measure=Points(base=1, terms=()), low=0, high=2)


def bands(measure, **changes):
    """Households by how much their rows add up to: those with 2 have both of two codes."""
    return Table(name="who", statistic="distribution", measures=(measure,), edges=(1, 2), **changes)


IN_ONE_CHOICE = {
    "points for either": (bands(points(EITHER)), None),
    "points for neither": (bands(points(Not(condition=EITHER))), None),
    "rows of either": (bands(ROWS), EITHER),
    "rows of either, one at a time": (bands(ROWS), Or(conditions=tuple(NEED_OF.values()))),
    "rows of all but one": (bands(ROWS), Not(condition=NEED_OF["old_age"])),
    "rows of all but all but two": (bands(ROWS), Not(condition=Not(condition=EITHER))),
    "rows of no other code, with all of them named": (
        bands(ROWS),
        Not(
            condition=And(
                conditions=(
                    In(column="need", values=tuple(set(NEEDS.column("need").code_list) - set(NEED_OF))),
                    In(column="need", values=NEEDS.column("need").code_list),
                )
            )
        ),
    ),
    "one in the filter, the other in the points": (bands(points(NEED_OF["old_age"])), EITHER),
    "their variance": (Table(name="who", statistic="variance", measures=(points(EITHER),)), None),
    "households once": (by(), EITHER),
}


@pytest.mark.parametrize(("table", "where"), IN_ONE_CHOICE.values(), ids=IN_ONE_CHOICE)
def test_two_needs_of_one_household_are_crossed_by_one_choice_of_both(table, where):
    check_query(replace(given.question(table), dataset="support_need", where=where), SCHEMA)
    assert crossed(table, where, NEEDS) == ("age", "disability_or_health")


@pytest.mark.parametrize(
    ("table", "where"),
    [
        (bands(points(NEED_OF["old_age"])), None),
        (bands(ROWS), NEED_OF["old_age"]),
        (bands(ROWS), None),
        (by("need", max_cells=5), EITHER),
        (by(), NEED_OF["old_age"]),
        (replace(by(), statistic="rows"), EITHER),
    ],
)
def test_one_need_alone_or_rows_one_by_one_are_no_crossing(table, where):
    check_query(replace(given.question(table), dataset="support_need", where=where), SCHEMA)
    assert crossed(table, where, NEEDS) == ()


def test_any_characteristic_counts_below_a_region(monkeypatch):
    table = by("main_sex", level=Level.REGION)
    assert crossed(table, None, CASE) == ()
    monkeypatch.setattr(crossings, "AT_LEAST_A_REGION", {Level.ALL})
    assert crossed(table, None, CASE) == ("sex",)
    assert crossed(by("assessment_outcome", level=Level.REGION), None, CASE) == ()


def test_each_table_is_judged_with_the_filter_of_its_question():
    question = given.question(by("main_sex", name="a"), by("assessment_outcome", name="b"), SEX_BY_AGE)
    assert crossed_tables(question, CASE) == {"who": ("age", "sex")}
    assert list(crossed_tables(replace(question, where=YOUNG), CASE)) == ["a", "who"]


def test_the_dictionaries_mark_what_tells_of_a_characteristic():
    marked = {
        column.name for data in SCHEMA.datasets.values() for column in data.columns.values() if column.characteristics
    }
    assert marked == {
        "household_type",
        "main_age_band",
        "main_sex",
        "main_ethnic_group",
        "main_ethnic_group_6",
        "main_nationality_group",
        "eligibility_group",
        "main_sexual_orientation",
        "main_gender_identity",
        "priority_need",
        "need",
    }
    # Whether there are children says nothing of sex; every other grouping keeps what it groups.
    for data in SCHEMA.datasets.values():
        for column in data.derived_columns():
            base = data.column(column.derived_from)
            assert column.characteristics == base.characteristics or column.name == "household_with_children"
    assert all(column.type is ColumnType.CATEGORY for column in CASE.columns.values() if column.characteristics)


# A larger base


NORTH = councils_of("E12000001", "E12000002", most=14)


def test_a_crossing_needs_twice_the_councils_to_be_planned_and_to_begin():
    plan = plan_for(given.question(SEX_BY_AGE), NORTH)
    assert plan.rules.min_cohort == 20
    assert plan_for(given.question(by("main_sex")), NORTH).rules.min_cohort == 10
    # A round with fewer would not begin at any node.
    with pytest.raises(Exception, match="the agreement asks for 20"):
        plan.rules.thresholds(19)
    with pytest.raises(CohortTooSmall, match="singles out groups by age and sex, for which 20 councils") as caught:
        plan_for(given.question(SEX_BY_AGE), NORTH[:19])
    assert caught.value.rule == "crossed_base"
    assert plan_for(given.question(by("main_sex")), NORTH[:19]).tables[0].crosses == ()


def test_two_groups_that_differ_by_a_few_councils_are_no_way_to_a_small_group(monkeypatch):
    agreement, roster = given.agreement(45), given.roster(45)
    (whole,) = agreement.groups

    def planned(left_out, asked):
        part = whole.model_copy(update={"name": "part", "councils": whole.councils[left_out:]})
        papers = agreement.model_copy(update={"groups": (whole, part)})
        papers._digest = agreement.digest
        question = given.question(asked, group="part")
        terms, law = given.terms(), Mechanism.DISCRETE_LAPLACE
        return derive_plan(question, agreement=papers, roster=roster, schema=SCHEMA, mechanism=law, terms=terms)

    assert planned(20, SEX_BY_AGE).rules.min_cohort == 20
    assert planned(19, by("main_sex")).rules.min_cohort == 10
    for left_out in (19, 1):
        with pytest.raises(CohortTooSmall, match=f"differ by {left_out} council") as caught:
            planned(left_out, SEX_BY_AGE)
        assert caught.value.rule == "crossed_base"
    monkeypatch.setattr("federated.cohort._check_differences", lambda *_: None)
    assert planned(1, SEX_BY_AGE).tables[0].crosses == ("age", "sex")


def test_without_the_rule_a_small_group_would_be_planned(monkeypatch):
    monkeypatch.setattr("federated.plan.crossed_tables", lambda *_: {})
    assert plan_for(given.question(SEX_BY_AGE), NORTH[:12]).rules.min_cohort == 10


def test_a_region_is_shown_for_a_crossing_from_twice_the_councils_on():
    """The North East has 12 housing authorities, the North West more than 20."""
    councils = councils_of("E12000001", "E12000002", most=30)
    regional = replace(SEX_BY_AGE, level=Level.REGION)
    plan = plan_for(given.question(regional, by("main_sex", name="plain", level=Level.REGION)), councils)
    crossing, plain = (planned.layout.axes[0].codes for planned in plan.tables)
    assert (crossing, plain) == (("E12000002",), ("E12000001", "E12000002"))


def test_a_small_noisy_count_of_a_crossing_is_not_printed():
    for estimate, ordinary in ((9.0, False), (19.9, True), (20.0, True)):
        cell = CellRecord(
            codes=(), estimate=estimate, standard_error=1, low=estimate - 1, high=estimate + 1, coverage=1
        )
        table = TableRecord.model_construct(statistic="households", level="all")
        plain = presented(table, cell, national=True)
        marked = presented(table.model_copy(update={"caveat": "Caution"}), cell, national=True)
        assert (plain != CONFIDENTIAL) is ordinary
        assert (marked != CONFIDENTIAL) is (estimate >= 10 * BASE_FACTOR)


# Its caveat


@pytest.fixture(scope="module")
def plan():
    return plan_for(given.question(SEX_BY_AGE, by("assessment_outcome", name="plain")), NORTH)


@pytest.fixture(scope="module")
def release(plan):
    return release_of(plan, noise_of(plan, np.random.default_rng(5))[0] + 100 * plan.scale)


CAVEAT = caveat_of(("age", "sex"))


def test_the_plan_says_it_in_its_own_bytes_and_in_its_summary(plan):
    tables = json.loads(plan.encode())["tables"]
    assert tables[0]["crosses"] == ["age", "sex"]
    assert "crosses" not in tables[1]
    (said,) = summarise(plan).caveats
    assert said in summarise(plan).lines
    assert said in summarise(plan).as_json()["caveats"]
    assert CAVEAT in said
    assert "20" in said


def test_a_plan_from_which_it_was_taken_is_refused():
    """Signed or not: every node derives it anew."""
    councils = NORTH
    papers = {"agreement": given.agreement(28), "roster": given.roster(28), "schema": SCHEMA}
    made = derive_plan(given.question(SEX_BY_AGE), mechanism=Mechanism.DISCRETE_LAPLACE, terms=given.terms(), **papers)
    assert len(councils) < len(made.eligible)
    document = json.loads(made.encode())
    assert open_plan(canonical_json(document), **papers) == made
    del document["tables"][0]["crosses"]
    with pytest.raises(PolicyRefusal, match="'tables'"):
        open_plan(canonical_json(document), **papers)


def test_it_travels_with_the_release_and_every_file_made_of_it(release):
    crossing, plain = open_release(release.encode()).tables
    assert (crossing.caveat, plain.caveat) == (CAVEAT, "")
    rows = list(csv.DictReader(io.StringIO(table_csv(release, crossing))))
    assert {row["caveat"] for row in rows} == {CAVEAT}
    assert "caveat" not in next(csv.DictReader(io.StringIO(table_csv(release, plain))))
    said = table_metadata(release, crossing)
    assert CAVEAT in said["dc:description"]
    assert [column["name"] for column in said["tableSchema"]["columns"]][-1] == "caveat"
    assert "Caution" in chart(release, crossing)
    assert "Caution" not in chart(release, plain)


def test_it_travels_with_what_is_worked_out_from_the_release(release):
    made = share(noisy_table(release, "who"), ())
    assert made.notes[0] == made.caveat == CAVEAT
    assert CAVEAT in made.as_csv()
    assert CAVEAT in made.as_json()["notes"]
    plain = share(noisy_table(release, "plain"), ())
    assert "Caution" not in plain.as_csv() + json.dumps(plain.as_json())


def test_it_travels_with_tables_that_were_made_to_add_up(tmp_path):
    made = plan_for(given.question(SEX_BY_AGE, by("main_sex", name="plain")), NORTH)
    found = release_of(made, noise_of(made, np.random.default_rng(6))[0] + 100 * made.scale)
    consistent = make_consistent(found, SCHEMA, same_margins=True)
    write_consistent(consistent, found, tmp_path, non_negative=False, same_margins=True)
    assert CAVEAT in (tmp_path / "who-consistent.csv").read_text(encoding="utf-8")
    assert "Caution" not in (tmp_path / "plain-consistent.csv").read_text(encoding="utf-8")
    assert f"who: {CAVEAT}" in json.loads((tmp_path / "consistent.json").read_bytes())["notes"]


def test_a_release_from_which_it_was_taken_is_found_out(release):
    bare = release.model_copy(
        update={"tables": tuple(table.model_copy(update={"caveat": ""}) for table in release.tables)}
    )
    with pytest.raises(SignatureProblem, match="caveat"):
        list(check_release(bare, roster=given.roster(), agreements={}, schema=SCHEMA))
    with pytest.raises(FileProblem, match="does not agree with the plan"):
        noisy_table(bare, "who")


def test_a_release_without_a_crossing_keeps_the_bytes_it_always_had(release):
    assert b'"caveat"' not in release.model_copy(update={"tables": release.tables[1:]}).encode()
    assert release.encode().count(b'"caveat"') == 1
    assert open_release(release.encode()).digest == release.digest


def test_a_list_reads_as_a_person_would_say_it():
    assert in_words(("age",)) == "age"
    assert in_words(("age", "disability_or_health", "sex")) == "age, disability or health and sex"
    assert caveat_of(()) == ""
