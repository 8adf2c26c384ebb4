"""Rates: over the councils that contributed, under their own codes, with the noise's own intervals."""

from dataclasses import replace

import numpy as np
import pytest

from federated.analysis import noisy_table
from federated.analysis.public_figures import PublicFigures, read_public_figures, shipped_households
from federated.analysis.rate import rate
from federated.errors import FederatedError, FileProblem, QueryError
from federated.query import Dimension, Level, Table, measured
from federated.schema import load_schema
from tests.unit.federated.analysis.releases import LAWS, again, errors_off, narrowed, planned, released

SCHEMA = load_schema()
OUTCOME = Table(name="t", statistic="households", by=(Dimension(column="assessment_outcome"),))
OUTCOMES = len(SCHEMA.dataset("case").column("assessment_outcome").codes)
TRUTH = np.array([900, 400, 30, 2, 0, 1, 5, 70])[:OUTCOMES]


@pytest.fixture(scope="module")
def release():
    return released(planned(OUTCOME), {"t": TRUTH}, lost=1)


def figures(release, number=1000):
    return PublicFigures(
        source="own.csv",
        by_code={record.council: number for record in release.councils if record.outcome == "contributed"},
    )


def test_a_rate_is_the_estimate_over_the_councils_that_contributed(release):
    found = rate(noisy_table(release, "t"), figures(release), SCHEMA)
    for cell, of in zip(found.cells, release.tables[0].cells, strict=True):
        assert cell.codes == of.codes
        assert cell.coverage == of.coverage
        for name in ("estimate", "standard_error", "low", "high"):
            assert getattr(cell, name) == pytest.approx(getattr(of, name) / 11)
    assert "11,000" in found.notes[2]
    assert "missing" in found.notes[0]


def test_the_households_held_here_are_those_printed():
    held = shipped_households()
    assert set(held.by_code) == set(SCHEMA.councils)
    assert sum(held.by_code.values()) == 24_367_038
    assert "Open Government Licence" in held.attribution


def test_more_than_the_contributing_councils_in_the_file_changes_nothing(release):
    mine = {code: shipped_households().by_code[code] for code in figures(release).by_code}
    small = rate(noisy_table(release, "t"), PublicFigures(source="x", by_code=mine), SCHEMA)
    assert small.cells == rate(noisy_table(release, "t"), shipped_households(), SCHEMA).cells


def test_a_missing_council_is_refused(release):
    held = figures(release)
    gone = next(iter(held.by_code))
    short = replace(held, by_code={code: 1000 for code in held.by_code if code != gone})
    with pytest.raises(FileProblem, match=f"1 of the councils in the release: {gone}"):
        rate(noisy_table(release, "t"), short, SCHEMA)


@pytest.mark.parametrize(
    ("held", "asked"),
    [("E08000038", "E08000016"), ("E08000019", "E08000039")],
)
def test_codes_of_another_year_are_refused(held, asked):
    with pytest.raises(FileProblem, match=f"{held}, which is of another year than {asked}"):
        PublicFigures(source="x.csv", by_code={held: 5}).over([asked])
    with pytest.raises(FileProblem, match="another year"):
        PublicFigures(source="x.csv", by_code={held: 5, asked: 5}).over([asked])
    assert PublicFigures(source="x.csv", by_code={asked: 5}).over([asked]) == 5


REGION = Table(name="r", statistic="households", level=Level.REGION)


@pytest.fixture(scope="module", params=[0, 1])
def regional(request):
    return released(planned(REGION), {"r": [5000]}, lost=request.param)


def test_a_region_is_over_its_contributing_councils(regional):
    found = rate(noisy_table(regional, "r"), shipped_households(), SCHEMA)
    below = sum(
        shipped_households().by_code[record.council] for record in regional.councils if record.outcome == "contributed"
    )
    assert found.cells[0].estimate == pytest.approx(regional.tables[0].cells[0].estimate * 1000 / below)


def test_a_regions_own_figure_needs_all_its_councils(regional):
    by_region = PublicFigures(source="x.csv", by_code={"E12000001": 1_000_000})
    if regional.contributed == 12:
        cell = rate(noisy_table(regional, "r"), by_region, SCHEMA).cells[0]
        assert cell.estimate == pytest.approx(regional.tables[0].cells[0].estimate / 1000)
    else:
        with pytest.raises(FileProblem, match="11 of its 12 councils"):
            rate(noisy_table(regional, "r"), by_region, SCHEMA)
    both = PublicFigures(source="x.csv", by_code=by_region.by_code | {regional.councils[0].council: 5})
    with pytest.raises(FileProblem, match="and for councils in it"):
        rate(noisy_table(regional, "r"), both, SCHEMA)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gss,households\nE06000001,5\n", "must have the columns"),
        ("code,households\nE06000001,5\nE06000001,6\n", "line 3"),
        ("code,households\nE06000001,0\n", "line 2"),
        ("code,households\nE06000001,5.5\n", "line 2"),
        ("code,households\nE06000001,\n", "line 2"),
        ("code,households\nE06000001\n", "line 2"),
        ('code,households\n"E06000001,5\n', "line"),
        ("", "must have the columns"),
    ],
)
def test_a_faulty_file_is_refused_with_its_line(text, said):
    with pytest.raises(FileProblem, match=said):
        read_public_figures(text.encode(), source="x.csv")


def test_a_file_is_read_by_the_column_named():
    text = "\N{ZERO WIDTH NO-BREAK SPACE}code,name,adults\nE06000001,Hartlepool,7\n"
    assert read_public_figures(text.encode(), source="x", column="adults").by_code == {"E06000001": 7}


def test_means_and_unknown_tables_are_refused():
    mean = Table(name="m", statistic="mean", measures=(measured("dependent_children_n", 0, 6),))
    release = released(planned(OUTCOME, mean), {"t": TRUTH, "m": [900, 300]})
    with pytest.raises(QueryError, match="neither counts nor sums"):
        noisy_table(release, "m")
    with pytest.raises(QueryError, match="several tables"):
        noisy_table(release, None)
    with pytest.raises(QueryError, match="no table 'x'"):
        noisy_table(release, "x")


@pytest.mark.parametrize(
    "change",
    [
        {"honest": 3},
        {"contributed": 12},
        {"plan": {}},
        {"totals": (1,) * OUTCOMES},
        {"totals": (1,)},
        {"totals": (1 << 70,) * OUTCOMES},
        {"planned_sd": 1.0},
        {"scale": 2},
    ],
)
def test_a_table_that_is_not_of_its_plan_is_refused(release, change):
    (name, _), *_ = change.items()
    if name in type(release).model_fields:
        broken = release.model_copy(update=change)
    else:
        broken = release.model_copy(update={"tables": (release.tables[0].model_copy(update=change),)})
    with pytest.raises(FederatedError, match="does not agree with the plan"):
        noisy_table(broken, "t")


@pytest.mark.parametrize("law", LAWS)
def test_rates_hold_the_truth_as_often_as_declared(law):
    mechanism, epsilon = LAWS[law]
    source = noisy_table(released(planned(OUTCOME, mechanism=mechanism, epsilon=epsilon), {"t": TRUTH}), "t")
    rng = np.random.default_rng(5)
    below = shipped_households().over(source.contributed)
    cells = rate(again(source, TRUTH, 600, rng), shipped_households(), SCHEMA).cells
    truths = np.tile(TRUTH * (1000 / below), 600)
    assert all(cell.coverage >= 0.95 for cell in cells)
    assert abs(errors_off(cells, truths)) < 4
    assert errors_off([narrowed(cell) for cell in cells], truths) < -4
