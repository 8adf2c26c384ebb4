"""Change: only between like and like, against a frozen baseline, with intervals that hold both noises."""

import os
from dataclasses import replace
from datetime import UTC, date, datetime
from math import isfinite

import numpy as np
import pytest

from federated.analysis import noisy_table
from federated.analysis.baseline import Baseline, freeze
from federated.analysis.change import ASSOCIATION, NO_BASELINE, change, difference_in_differences
from federated.analysis.comparable import require_comparable
from federated.errors import QueryError, SignatureProblem
from federated.keys import make_key
from federated.query import DatePart, Dimension, Equals, Period, Table
from federated.schema import load_schema
from federated.schema.code_history import load_code_history
from tests.unit.federated.analysis.releases import LAWS, again, errors_off, narrowed, planned, quarter, released

SCHEMA = load_schema()
OUTCOME = Dimension(column="assessment_outcome")
ONE = Table(name="t", statistic="households", by=(OUTCOME,))
SEXES = len(SCHEMA.dataset("case").column("main_sex").codes)
TWO = Table(name="t", statistic="households", by=(Dimension(column="main_sex"), OUTCOME))
OUTCOMES = len(SCHEMA.dataset("case").column("assessment_outcome").codes)
BEFORE = np.array([900, 400, 30, 2, 0, 1, 5, 70])[:OUTCOMES]
AFTER = np.array([700, 480, 30, 5, 0, 0, 9, 60])[:OUTCOMES]
NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


def table(*tables, truth=BEFORE, year=2024, seed=1, lost=0, exact=False, sid=None, **changes):
    changes = {"period": quarter(year)} | changes
    release = released(planned(*(tables or (ONE,)), **changes), {"t": truth}, seed=seed, lost=lost, exact=exact)
    return noisy_table(release.model_copy(update={"sid": sid or f"{year:064x}"}), "t")


@pytest.fixture(scope="module")
def pair():
    return table(), table(truth=AFTER, year=2025, seed=2)


def test_a_difference_is_later_less_earlier(pair):
    found = change(*pair)
    values = [cell.estimate for cell in found.cells]
    assert values == [
        later.estimate - earlier.estimate for earlier, later in zip(*(item.table.cells for item in pair), strict=True)
    ]
    assert all(cell.standard_error == pytest.approx(np.sqrt(2) * pair[0].law.sd) for cell in found.cells)
    assert found.releases == tuple(item.release.digest.hex() for item in pair)
    assert ASSOCIATION in found.notes
    assert NO_BASELINE in found.notes
    assert "The later period is 1 day(s) shorter." in found.notes
    assert found.finding("cells_beyond_noise") >= 2


def test_a_ratio_is_later_over_earlier(pair):
    found = change(*pair, measure="ratio")
    first = found.cells[0]
    assert first.estimate == pytest.approx(pair[1].totals[0] / pair[0].totals[0])
    assert 0 < first.low < first.estimate < first.high < 1
    empty = found.cells[4]
    assert (empty.low, empty.high, empty.coverage) == (0, float("inf"), 1)
    assert found.as_json()["cells"][4]["high"] is None
    assert found.as_csv().splitlines()[5].endswith("0,,1")


def test_a_declared_design_is_printed_in_place_of_the_label(pair):
    notes = change(*pair, design="Pilot, protocol of May 2024", baseline="before-pilot").notes
    assert ASSOCIATION not in notes
    assert "Design declared by the analyst: Pilot, protocol of May 2024" in notes
    assert "The earlier release is the frozen baseline 'before-pilot'." in notes


def by_month(year, first=1):
    month = Dimension(column="assessment_date", part=DatePart.MONTH)
    by = Table(name="t", statistic="households", by=(month,))
    return table(by, truth=[500, 600, 700], year=year, period=quarter(year, first))


def test_months_stand_beside_the_same_months_of_the_other_year():
    axis = change(by_month(2024), by_month(2025)).axes[0]
    assert axis.codes == ("2024-01..2025-01", "2024-02..2025-02", "2024-03..2025-03")
    assert axis.labels[0] == "January 2024 to January 2025"
    with pytest.raises(QueryError, match="not the same in the two releases"):
        change(by_month(2024), by_month(2025, 4))


@pytest.mark.parametrize(
    ("later", "said"),
    [
        ({"where": Equals(column="main_sex", value="female")}, "different questions"),
        ({"tables": [replace(ONE, statistic="rows")]}, "different questions"),
        ({"tables": [replace(ONE, max_cells=2)]}, "different questions"),
        (
            {"tables": [Table(name="t", statistic="households", by=(Dimension(column="main_sex"),))]},
            "different questions",
        ),
        ({"period": replace(quarter(2025), column="prevention_end")}, "different questions"),
        (
            {"period": Period(column="assessment_date", start=date(2025, 1, 1), end=date(2025, 4, 5))},
            "in length by 4 days",
        ),
        ({"year": 2024, "sid": f"{2024:064x}"}, "one and the same"),
        ({"lost": 1}, "Not the same councils"),
    ],
)
def test_what_cannot_be_compared_is_refused(pair, later, said):
    tables = later.get("tables", [ONE])
    size = SEXES if tables[0].by[0].column == "main_sex" else OUTCOMES
    options = {"year": 2025, "truth": np.zeros(size, dtype=int), "seed": 3} | later
    options.pop("tables", None)
    with pytest.raises(QueryError, match=said):
        change(pair[0], table(*tables, **options))


def test_epsilon_and_title_may_differ(pair):
    other = table(truth=AFTER, year=2025, epsilon=LAWS["Laplace, 1/4"][1], title="Other words")
    found = change(pair[0], other)
    assert found.cells[0].standard_error == pytest.approx(np.hypot(pair[0].law.sd, other.law.sd))


def test_other_councils_are_allowed_only_aloud(pair):
    other = table(truth=AFTER, year=2025, lost=2)
    with pytest.raises(QueryError, match="none only in the later"):
        change(pair[0], other)
    notes = change(pair[0], other, allow_different_councils=True).notes
    assert any(note.startswith("NOT THE SAME COUNCILS: ") for note in notes)
    assert not any("NOT THE SAME" in note for note in change(*pair).notes)


def recoded(source, old, new):
    councils = [
        record.model_copy(update={"council": new}) if record.council == old else record
        for record in source.release.councils
    ]
    return replace(source, release=source.release.model_copy(update={"councils": tuple(councils)}))


def test_a_council_under_a_new_code_is_the_same_and_a_merged_one_is_not(pair):
    first = pair[0].contributed[0]
    before, after = recoded(pair[0], first, "E08000016"), recoded(pair[1], first, "E08000038")
    assert any("same 12 councils" in note for note in require_comparable(before, after))
    with pytest.raises(QueryError, match="E08000016 only in the earlier"):
        require_comparable(before, recoded(pair[1], first, "E06000063"))
    assert load_code_history().same_authority("E08000038", "E08000016")


def test_periods_that_share_days_are_said(pair):
    period = replace(quarter(2024), start=date(2024, 1, 2))
    notes = change(pair[0], table(truth=AFTER, period=period, sid="7" * 64)).notes
    assert any("share days" in note for note in notes)
    assert not any("share days" in note for note in change(*pair).notes)


def test_a_difference_of_differences_is_made_of_four_figures(pair):
    codes = pair[0].table.axes[0].codes
    found = difference_in_differences(*pair, axis="assessment_outcome", one=codes[1], other=codes[0])
    [cell] = found.cells
    four = [found.finding(name) for name in ("one_before", "one_after", "other_before", "other_after")]
    assert four == [pair[0].totals[1], pair[1].totals[1], pair[0].totals[0], pair[1].totals[0]]
    assert cell.estimate == (four[1] - four[0]) - (four[3] - four[2])
    assert cell.standard_error == pytest.approx(2 * pair[0].law.sd)
    assert ASSOCIATION in found.notes


def test_a_difference_of_differences_keeps_the_other_axes():
    rng = np.random.default_rng(1)
    truths = rng.integers(50, 500, (2, SEXES, OUTCOMES))
    before, after = (
        table(TWO, truth=truth, year=year, exact=True) for truth, year in zip(truths, (2024, 2025), strict=True)
    )
    sex = before.table.axes[0].codes
    found = difference_in_differences(before, after, axis="main_sex", one=sex[1], other=sex[0])
    moved = truths[1] - truths[0]
    assert [cell.estimate for cell in found.cells] == (moved[1] - moved[0]).tolist()
    assert [axis.name for axis in found.axes] == ["assessment_outcome"]


@pytest.mark.parametrize(
    ("axis", "one", "other", "said"),
    [
        ("sex", "a", "b", "no axis 'sex'"),
        ("assessment_outcome", "x", "relief_owed", "no category 'x'"),
        ("assessment_outcome", "relief_owed", "relief_owed", "are the same"),
    ],
)
def test_groups_that_are_none_are_refused(pair, axis, one, other, said):
    with pytest.raises(QueryError, match=said):
        difference_in_differences(*pair, axis=axis, one=one, other=other)


# Baselines

KEY = make_key(os.urandom)


def test_a_frozen_baseline_names_one_release(pair):
    frozen = freeze("before-pilot", pair[0].release, key=KEY, now=NOW)
    baseline = Baseline.open(frozen, signer=KEY.public)
    assert (baseline.name, baseline.frozen_at) == ("before-pilot", NOW)
    baseline.require(pair[0].release)
    with pytest.raises(SignatureProblem, match="not the one frozen as 'before-pilot' on 2026-03-01"):
        baseline.require(pair[1].release)
    altered = pair[0].release.model_copy(update={"title": "Another"})
    with pytest.raises(SignatureProblem, match="not the one frozen"):
        baseline.require(altered)


def test_a_baseline_of_somebody_else_or_changed_is_refused(pair):
    frozen = freeze("before-pilot", pair[0].release, key=KEY, now=NOW)
    with pytest.raises(SignatureProblem, match="0 of the 1 trusted"):
        Baseline.open(frozen, signer=make_key(os.urandom).public)
    with pytest.raises(SignatureProblem):
        Baseline.open(frozen[:40] + b"A" + frozen[41:], signer=KEY.public)
    with pytest.raises(QueryError, match="cannot be a baseline's name"):
        freeze("Before Pilot", pair[0].release, key=KEY, now=NOW)


# Coverage

CASES = {
    "skewed": (BEFORE, AFTER),
    "sparse": (np.array([20, 6, 2, 1, 0, 0, 1, 3])[:OUTCOMES], np.array([9, 8, 0, 0, 0, 1, 2, 3])[:OUTCOMES]),
}
TIMES = 800


def repeated(law, case, seed):
    """The two tables, released many times with other noise; the earlier always on the coarser grid."""
    mechanism, epsilon = LAWS[law]
    rng = np.random.default_rng(seed)
    before = again(table(), CASES[case][0], TIMES, rng)
    after = again(table(mechanism=mechanism, epsilon=epsilon, year=2025), CASES[case][1], TIMES, rng)
    return before, after


@pytest.fixture
def unchecked(monkeypatch):
    """Repetitions have one axis more than the question says."""
    monkeypatch.setattr("federated.analysis.change.require_comparable", lambda *_, **__: ())


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("law", LAWS)
def test_differences_hold_the_truth_as_often_as_declared(law, case):
    one, other = CASES[case]
    cells = change(*repeated(law, case, 9)).cells
    truths = np.tile(other - one, TIMES)
    assert all(cell.coverage >= 0.95 for cell in cells)
    assert abs(errors_off(cells, truths)) < 4
    assert errors_off([narrowed(cell) for cell in cells], truths) < -4


@pytest.mark.drawn(3)
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("law", LAWS)
def test_ratios_hold_the_truth_as_often_as_declared(law, case):
    one, other = CASES[case]
    shown = [place for place in range(OUTCOMES) if one[place] > 0]
    cells = change(*repeated(law, case, 10), measure="ratio").cells
    kept = [cell for number, cell in enumerate(cells) if number % OUTCOMES in shown]
    truths = np.tile(other[shown] / one[shown], TIMES)
    assert all(cell.coverage >= 0.95 for cell in cells)
    assert errors_off(kept, truths) > -4
    bounded = [(narrowed(cell), value) for cell, value in zip(kept, truths, strict=True) if isfinite(cell.high)]
    assert errors_off(*zip(*bounded, strict=True)) < -4


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("law", LAWS)
def test_differences_of_differences_hold_the_truth_as_often_as_declared(law):
    before, after = repeated(law, "sparse", 12)
    codes = before.table.axes[1].codes
    cells = difference_in_differences(before, after, axis="assessment_outcome", one=codes[0], other=codes[1]).cells
    moved = CASES["sparse"][1] - CASES["sparse"][0]
    truths = np.full(TIMES, moved[0] - moved[1])
    assert abs(errors_off(cells, truths)) < 4
    assert errors_off([narrowed(cell) for cell in cells], truths) < -4
