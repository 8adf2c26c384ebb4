"""Reconciliation: over the same councils and the same households, with a warning when the gap is more than noise."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from federated.analysis import noisy_table
from federated.analysis.null_law import noise_draws
from federated.analysis.official import Official, read_official, shipped_official
from federated.analysis.reconcile import WARNING, reconcile
from federated.errors import FileProblem, QueryError
from federated.query import And, DatePart, Dimension, Equals, In, Level, Table
from federated.schema import load_schema
from federated.synthetic import published_marginal
from tests.unit.federated.analysis.releases import LAWS, again, errors_off, narrowed, planned, quarter, released

SCHEMA = load_schema()
OUTCOME = Table(name="t", statistic="households", by=(Dimension(column="assessment_outcome"),))
CODES = SCHEMA.dataset("case").column("assessment_outcome").code_list
OWED = In(column="assessment_outcome", values=("prevention_owed", "relief_owed"))
TYPE = Table(name="t", statistic="households", by=(Dimension(column="household_type"),))


def truth_of(plan, column, lost=0, outcome=None):
    codes = SCHEMA.dataset("case").column(column).code_list
    inside = plan.eligible[: len(plan.eligible) - lost]
    figures = [published_marginal(column, council, outcome=outcome) for council in inside]
    return np.array([sum(item.get(code) or 0 for item in figures) for code in codes])


def table(asked=OUTCOME, column="assessment_outcome", *, lost=0, exact=False, seed=1, off=0, outcome=None, **changes):
    plan = planned(asked, **({"period": quarter(2025)} | changes))
    truth = truth_of(plan, column, lost, outcome)
    truth[0] += off
    return noisy_table(released(plan, {"t": truth}, lost=lost, exact=exact, seed=seed), "t")


def test_figures_held_here_are_added_up_over_the_councils_that_contributed():
    for lost in (0, 2):
        source = table(lost=lost, exact=True)
        official = shipped_official(source, SCHEMA)
        gaps = reconcile(source, official).cells
        assert [cell.estimate for cell in gaps if cell.codes[0] != "not_known"] == [0] * (len(CODES) - 1)
        assert gaps[-1].estimate is None
        assert official.missing == ()
    everyone = shipped_official(table(exact=True), SCHEMA)
    found = reconcile(source, everyone, draws=999)
    assert found.finding("p_value") == 0.001
    assert sum(found.finding(name) > 0 for name in ("cells_outside", "statistic")) == 2


def test_a_release_of_the_same_households_is_within_the_noise_and_one_that_is_off_is_warned_of():
    same = table()
    found = reconcile(same, shipped_official(same, SCHEMA))
    assert found.finding("p_value") > 0.05
    assert not any(WARNING in item.sentence for item in found.findings)
    off = table(off=60)
    found = reconcile(off, shipped_official(off, SCHEMA))
    assert found.finding("cells_outside") == 1
    assert found.finding("p_value") < 0.01
    assert all(item.sentence.startswith(WARNING) for item in found.findings if item.name != "statistic")


def test_regions_are_held_against_their_own_councils():
    source = table(replace(OUTCOME, level=Level.REGION), exact=True)
    found = reconcile(source, shipped_official(source, SCHEMA))
    assert [axis.name for axis in found.axes] == ["region", "assessment_outcome"]
    assert {cell.estimate for cell in found.cells if cell.codes[1] != "not_known"} == {0}


def test_figures_are_taken_for_the_outcomes_asked_about():
    for where, outcome in ((OWED, None), (Equals(column="assessment_outcome", value="relief_owed"), "relief_owed")):
        source = table(TYPE, "household_type", where=where, outcome=outcome, exact=True)
        gaps = [cell.estimate for cell in reconcile(source, shipped_official(source, SCHEMA)).cells]
        assert {gap for gap in gaps if gap is not None} == {0}


def test_a_table_of_two_breakdowns_is_added_up_over_the_other():
    month = Dimension(column="assessment_date", part=DatePart.MONTH)
    by_month = replace(OUTCOME, by=(*OUTCOME.by, month))
    plan = planned(by_month, period=quarter(2025))
    truth = np.zeros((len(CODES), 3), dtype=int)
    truth[:, 1] = truth_of(plan, "assessment_outcome")
    source = noisy_table(released(plan, {"t": truth}, exact=True), "t")
    with pytest.raises(QueryError, match="2 breakdowns"):
        shipped_official(source, SCHEMA)
    found = reconcile(source, shipped_official(source, SCHEMA, along="assessment_outcome"))
    assert found.cells[0].estimate == 0
    assert found.cells[0].standard_error == pytest.approx(sqrt(3) * source.law.sd)


def test_a_council_without_a_return_leaves_its_cells_unjudged():
    kingston = "E09000021"
    source = table()
    councils = list(source.release.councils)
    councils[0] = councils[0].model_copy(update={"council": kingston})
    source = replace(source, release=source.release.model_copy(update={"councils": tuple(councils)}))
    official = shipped_official(source, SCHEMA)
    assert official.missing == (kingston,)
    with pytest.raises(QueryError, match="no figure for any cell"):
        reconcile(source, official)


def test_a_recoded_council_has_the_figures_of_its_old_code():
    source = table()
    councils = list(source.release.councils)
    for code in ("E08000016", "E08000038"):
        councils[0] = councils[0].model_copy(update={"council": code})
        renamed = replace(source, release=source.release.model_copy(update={"councils": tuple(councils)}))
        figures = shipped_official(renamed, SCHEMA).figures
        if code == "E08000016":
            first = figures
    assert figures == first
    assert len(figures) == len(CODES) - 1


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (lambda: table(period=quarter(2024)), "2025-01-01 to 2025-03-31"),
        (lambda: table(replace(OUTCOME, statistic="rows")), "count each household of the case data once"),
        (lambda: table(replace(OUTCOME, max_cells=2)), "count each household of the case data once"),
        (lambda: table(TYPE, "household_type"), "asks about others"),
        (
            lambda: table(
                TYPE, "household_type", where=And(conditions=(OWED, Equals(column="main_sex", value="male")))
            ),
            "asks about others",
        ),
    ],
)
def test_figures_that_count_something_else_are_refused(source, said):
    with pytest.raises(QueryError, match=said):
        shipped_official(source(), SCHEMA)


def test_a_column_that_is_not_published_is_refused():
    plan = planned(replace(OUTCOME, by=(Dimension(column="main_sex"),)), period=quarter(2025))
    source = noisy_table(released(plan, {"t": [1, 2, 3]}), "t")
    with pytest.raises(QueryError, match="no published figures here for the column 'main_sex'"):
        shipped_official(source, SCHEMA)


@pytest.mark.parametrize(("outside", "warned"), [(0, False), (1, False), (5, True)])
def test_gaps_outside_are_warned_of_when_there_are_more_than_chance_puts_there(outside, warned):
    by = replace(OUTCOME, by=(Dimension(column="reason_loss"),))
    source = noisy_table(released(planned(by), {"t": np.full(35, 90)}, exact=True), "t")
    codes = source.table.axes[0].codes
    figures = {(code,): 90 - (round(3.2 * source.law.sd) if n < outside else 0) for n, code in enumerate(codes)}
    official = Official(source="x", axes=("reason_loss",), figures=figures, by_council=True)
    found = next(item for item in reconcile(source, official, draws=99).findings if item.name == "cells_outside")
    assert found.value == outside
    assert found.sentence.startswith(WARNING) == warned


# Files


def file(lines):
    return ("\n".join(lines) + "\n").encode()


WHOLE = ["assessment_outcome,published", "prevention_owed,1300", "relief_owed,1700"]


def test_a_file_gives_the_cells_it_has():
    source = table()
    official = read_official(file([*WHOLE, "not_eligible,"]), source, name="x.csv")
    assert official == Official(
        source="x.csv",
        axes=("assessment_outcome",),
        figures={("prevention_owed",): 1300, ("relief_owed",): 1700},
        by_council=False,
    )
    found = reconcile(source, official, draws=99)
    assert found.cells[0].estimate == source.totals[0] - 1300
    assert found.cells[3].estimate is None
    assert (found.as_json()["cells"][3]["low"], found.as_json()["cells"][3]["high"]) == (None, None)
    assert any(note.endswith("not judged: 4.") for note in found.notes)


def test_councils_not_in_the_release_are_said_where_the_file_may_have_them():
    said = [
        any("2 of the councils asked are not in the release" in note for note in reconcile(source, official).notes)
        for source in (table(lost=2), table(lost=0))
        for official in (read_official(file(WHOLE), source, name="x"),)
    ]
    assert said == [True, False]


def test_a_file_by_council_is_added_up_over_the_councils_in_the_release():
    source = table(lost=2)
    lines = ["code,assessment_outcome,published"]
    lines += [f"{record.council},relief_owed,100" for record in source.release.councils]
    official = read_official(file(lines), source, name="x.csv", rounded_to=5)
    assert official.figures == {("relief_owed",): 1000}
    assert official.rounding == 20
    short = read_official(file([*lines[:1], *lines[2:]]), source, name="x.csv")
    assert short.figures == {}
    assert short.missing == (source.contributed[0],)


def test_a_file_with_codes_of_another_year_is_refused():
    source = table()
    councils = list(source.release.councils)
    councils[0] = councils[0].model_copy(update={"council": "E08000038"})
    source = replace(source, release=source.release.model_copy(update={"councils": tuple(councils)}))
    lines = ["code,assessment_outcome,published", "E08000016,relief_owed,5"]
    with pytest.raises(FileProblem, match="another year"):
        read_official(file(lines), source, name="x.csv")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["assessment_outcome,figure", "relief_owed,5"], "must have a column 'published'"),
        ([*WHOLE, "prevention_owed,7"], "line 4"),
        ([*WHOLE, "not_an_outcome,7"], "line 4"),
        ([*WHOLE, "not_eligible,-7"], "line 4"),
        ([*WHOLE, "not_eligible,7.5"], "line 4"),
        ([*WHOLE, "not_eligible"], "line 4"),
        ([*WHOLE, '"not_eligible,5'], "not CSV"),
    ],
)
def test_a_faulty_file_is_refused_with_its_line(lines, said):
    with pytest.raises(FileProblem, match=said):
        read_official(file(lines), table(), name="x.csv")
    with pytest.raises(FileProblem, match="not CSV"):
        read_official(b"published\n\xff", table(), name="x.csv")
    with pytest.raises(QueryError, match="rounded to 0"):
        read_official(file(WHOLE), table(), name="x.csv", rounded_to=0)


def test_rounding_widens_every_band_by_what_it_may_have_moved():
    source = table()
    exact, rounded = (read_official(file(WHOLE), source, name="x", rounded_to=to) for to in (1, 10))
    one, other = (reconcile(source, official, draws=99) for official in (exact, rounded))
    assert other.cells[0].high - other.cells[0].low == one.cells[0].high - one.cells[0].low + 10
    assert other.finding("statistic") < one.finding("statistic")


def test_cells_that_share_households_are_not_added_up():
    source = table(replace(OUTCOME, max_cells=2))
    with pytest.raises(QueryError, match="cannot be added up"):
        reconcile(source, read_official(file(["published", "5"]), source, name="x"))


# Coverage and size

TIMES = 400


@pytest.mark.parametrize("law", LAWS)
def test_gaps_hold_nothing_as_often_as_declared_where_both_count_the_same(law):
    mechanism, epsilon = LAWS[law]
    source = table(mechanism=mechanism, epsilon=epsilon)
    figures = np.array([900, 3, 0, 1, 40, 0])
    many = again(source, figures, TIMES, np.random.default_rng(3))
    official = Official(
        source="x",
        axes=("again", "assessment_outcome"),
        figures={(str(t), code): int(n) for t in range(TIMES) for code, n in zip(CODES, figures, strict=True)},
        by_council=True,
    )
    cells = reconcile(many, official, draws=99).cells
    assert abs(errors_off(cells, np.zeros(len(cells)))) < 4
    assert errors_off([narrowed(cell) for cell in cells], np.zeros(len(cells))) < -4


@pytest.mark.parametrize("law", LAWS)
def test_noise_alone_is_warned_of_no_more_than_one_time_in_twenty(law):
    mechanism, epsilon = LAWS[law]
    source = table(mechanism=mechanism, epsilon=epsilon)
    figures = np.array([900, 3, 0, 1, 40, 0])
    official = Official(
        source="x",
        axes=("assessment_outcome",),
        figures={(code,): int(n) for code, n in zip(CODES, figures, strict=True)},
        by_council=True,
    )
    rng = np.random.default_rng(4)
    warned = {1: 0, 2: 0}
    for number in range(TIMES):
        noise = noise_draws(source.law, figures.shape, rng)
        for factor in warned:  # twice the noise is too much of it
            seen = replace(source, steps=figures * source.law.scale + factor * noise)
            warned[factor] += reconcile(seen, official, seed=number, draws=199).finding("p_value") < 0.05
    assert warned[1] / TIMES < 0.05 + 4 * sqrt(0.05 * 0.95 / TIMES)
    assert warned[2] / TIMES > 0.2
