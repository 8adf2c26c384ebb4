"""Tables made to add up: only sums that must agree, the best unbiased figures, honest errors and intervals."""

import csv
import io
import json
from datetime import date
from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from scipy import sparse
from typer.testing import CliRunner

from federated.analysis import consistent as analysis
from federated.analysis.agreeing import agreements, placed_tables, regions_are_complete
from federated.analysis.consistent import make_consistent, without_negatives
from federated.analysis.consistent_files import consistent_csv, notes, printed_figures
from federated.cli import app
from federated.errors import FileProblem, QueryError
from federated.privacy import Mechanism
from federated.query import Dimension, Level, Table
from federated.schema import load_schema
from tests.spec.consistent_page import TOTALS, worked
from tests.spec.council import node_vectors
from tests.unit.federated import planning as given
from tests.unit.federated.released import councils_of, noise_of, plan_for, release_of

SCHEMA = load_schema()
NORTH_EAST, NORTH_WEST = "E12000001", "E12000002"
TWO_REGIONS = councils_of(NORTH_EAST, NORTH_WEST)


def table(name, *by, level=Level.ALL, statistic="households", **more):
    return Table(
        name=name, statistic=statistic, by=tuple(Dimension(column=column) for column in by), level=level, **more
    )


TABLES = (
    table("total"),
    table("sex", "main_sex"),
    table("sex_by_region", "main_sex", level=Level.REGION),
    table("age", "main_age_band"),
    table("age_sex", "main_age_band", "main_sex"),
    table("age_by_region", "main_age_band", level=Level.REGION),
)


def truth_of(joint):
    """The tables' true totals from households by region, age and sex."""
    parts = (joint.sum(), joint.sum((0, 1)), joint.sum(1), joint.sum((0, 2)), joint.sum(0), joint.sum(2))
    return np.concatenate([np.asarray(part).reshape(-1) for part in parts])


def skewed(rng):
    """One large cell, many of a handful, many empty."""
    joint = rng.poisson(1.5, size=(2, 9, 3))
    joint[:, 6:] = 0
    joint[0, 0, 0] = 4000
    return truth_of(joint)


def one_draw(plan, truth, rng):
    return release_of(plan, truth * plan.scale + noise_of(plan, rng)[0])


# Which sums agree


def rows_of(rng, *, records, households=60):
    return [
        {
            "household": f"H{number}",
            "assessment_date": date(2025, 1, 5),
            "main_sex": rng.choice(["male", "female", "not_known"]),
            "main_age_band": rng.choice(SCHEMA.dataset("case").column("main_age_band").code_list),
        }
        for number in range(households)
        for _ in range(rng.integers(1, records + 1))
    ]


def counted_by_nodes(tmp_path, plan, question, *, records):
    """The exact sum over two councils, one in each region, as their nodes count it."""
    rng = np.random.default_rng(7)
    regions = [(code, code) for code in plan.tables[2].layout.axes[0].codes]
    total = np.zeros(plan.cells, dtype=np.int64)
    for region, _ in regions:
        rows = rows_of(rng, records=records)
        vectors = node_vectors(tmp_path, rows, question, region=region, regions=regions)
        total += np.concatenate([np.array(vector) for vector in vectors])
    return total


@pytest.mark.parametrize("records", [1, 3])
def test_what_nodes_count_agrees_exactly_where_it_is_said_to(tmp_path, records):
    question = given.question(*TABLES, table("again", "main_sex"), table("age_two", "main_age_band", max_cells=2))
    plan = plan_for(question, TWO_REGIONS)
    exact = counted_by_nodes(tmp_path, plan, question, records=records)
    placed = placed_tables(release_of(plan, exact))
    always = agreements(placed, complete=True, same_margins=False)
    margins = agreements(placed, complete=True, same_margins=True)
    assert np.abs(always @ exact).max() == 0
    assert margins.shape[0] > always.shape[0]
    # With several records, households are kept in different cells of different tables.
    assert bool((margins @ exact == 0).all()) is (records == 1)


def test_rows_with_one_bound_agree_and_tables_of_several_cells_do_not(tmp_path):
    question = given.question(
        table("rows_sex", "main_sex", statistic="rows", max_cells=2),
        table("rows_age", "main_age_band", statistic="rows", max_cells=2),
        table("sex_region", "main_sex", level=Level.REGION),
        table("rows_three", "main_age_band", statistic="rows", max_cells=3),
        table("cells", "main_age_band", max_cells=2),
        table("more_cells", "main_sex", max_cells=2),
    )
    plan = plan_for(question, TWO_REGIONS)
    exact = counted_by_nodes(tmp_path, plan, question, records=4)
    release = release_of(plan, exact)
    found = agreements(placed_tables(release), complete=True, same_margins=False)
    assert found.shape[0] == 1
    assert found @ exact == 0
    assert sorted(found.data) == [-1.0] * 3 + [1.0] * 9


def test_regions_add_up_to_all_only_where_every_contributing_council_is_in_one_shown():
    few = councils_of(NORTH_EAST, NORTH_WEST) + councils_of("E12000003", most=2)
    plan = plan_for(given.question(*TABLES), sorted(few, key=lambda council: council.id))
    release = release_of(plan, np.zeros(plan.cells))
    placed = placed_tables(release)
    assert not regions_are_complete(release, placed, SCHEMA)
    open_ended = agreements(placed, complete=False, same_margins=False)
    regional = np.concatenate([np.arange(item.cells.start, item.cells.stop) for item in (placed[2], placed[5])])
    mixed = [row for row in open_ended.toarray() if row[regional].any() and np.delete(row, regional).any()]
    assert mixed == []
    outside = {council.id for council in councils_of("E12000003", most=2)}
    dropped = tuple(
        record.model_copy(update={"outcome": "dropped"}) if record.council in outside else record
        for record in release.councils
    )
    assert regions_are_complete(release.model_copy(update={"councils": dropped}), placed, SCHEMA)
    unknown = release.councils[0].model_copy(update={"council": "E99999999"})
    assert not regions_are_complete(release.model_copy(update={"councils": (unknown,)}), placed, SCHEMA)


def test_agreements_that_follow_from_others_are_left_out():
    plan = plan_for(given.question(*TABLES), TWO_REGIONS)
    release = release_of(plan, np.zeros(plan.cells))
    every = agreements(placed_tables(release), complete=True, same_margins=True)
    found = make_consistent(release, SCHEMA, same_margins=True)
    assert found.agreements == np.linalg.matrix_rank(every.toarray()) < every.shape[0]


# The figures


@pytest.mark.parametrize("mechanism", Mechanism)
@pytest.mark.parametrize("same_margins", [False, True])
def test_figures_and_covariances_are_those_of_the_textbook(mechanism, same_margins):
    rng = np.random.default_rng(3)
    plan = plan_for(given.question(*TABLES), TWO_REGIONS, mechanism=mechanism)
    release = one_draw(plan, skewed(rng), rng)
    found = make_consistent(release, SCHEMA, same_margins=same_margins)
    every = agreements(placed_tables(release), complete=True, same_margins=same_margins).toarray()
    # The estimates are a weighted projection onto the null space of the agreements.
    free = np.linalg.svd(every)[2][np.linalg.matrix_rank(every) :].T
    variances = np.concatenate([item.released_errors**2 for item in found.tables])
    weighted = free / variances[:, None]
    covariance = free @ np.linalg.inv(free.T @ weighted) @ free.T
    released = np.array([cell.estimate for item in release.tables for cell in item.cells])
    assert found.estimates == pytest.approx(covariance @ (released / variances), abs=1e-6)
    errors = np.concatenate([item.standard_errors for item in found.tables])
    assert errors == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-6)
    weights = rng.normal(size=plan.cells)
    assert found.standard_error_of(weights) == pytest.approx(sqrt(weights @ covariance @ weights), rel=1e-6)


@pytest.mark.parametrize("mechanism", Mechanism)
def test_everything_adds_up_and_no_standard_error_grows(mechanism):
    rng = np.random.default_rng(4)
    plan = plan_for(given.question(*TABLES), TWO_REGIONS, mechanism=mechanism)
    found = make_consistent(one_draw(plan, skewed(rng), rng), SCHEMA, same_margins=True)
    every = agreements(placed_tables(one_draw(plan, skewed(rng), rng)), complete=True, same_margins=True)
    assert np.abs(every @ found.estimates).max() < 1e-6
    for item in found.tables:
        assert (item.standard_errors <= item.released_errors).all()
    assert (found.table("total").standard_errors < 0.7 * found.table("total").released_errors).all()


def test_a_table_with_nothing_in_common_is_left_as_it_was():
    plan = plan_for(given.question(*TABLES[:2], table("cells", "main_age_band", max_cells=2)), councils_of(NORTH_EAST))
    rng = np.random.default_rng(5)
    release = one_draw(plan, np.full(plan.cells, 50), rng)
    alone = make_consistent(release, SCHEMA).table("cells")
    for place, cell in enumerate(release.table("cells").cells):
        assert (alone.estimates[place], alone.standard_errors[place]) == (cell.estimate, cell.standard_error)
        assert (alone.low[place], alone.high[place]) == (cell.low, cell.high)


DRAWS = 250


def drawn(plan, truth, rng):
    return [make_consistent(one_draw(plan, truth, rng), SCHEMA) for _ in range(DRAWS)]


@pytest.mark.drawn(3)
@pytest.mark.parametrize("mechanism", Mechanism)
@pytest.mark.parametrize("epsilon", [Fraction(1, 2), Fraction(2), Fraction(8)])
def test_intervals_hold_the_truth_and_figures_and_sums_are_unbiased(mechanism, epsilon):
    rng = np.random.default_rng(20260101)
    plan = plan_for(given.question(*TABLES, epsilon=epsilon), TWO_REGIONS, mechanism=mechanism, epsilon=epsilon)
    truth = skewed(rng)
    found = drawn(plan, truth, rng)
    # Cells of one release are correlated, so the bound is by releases.
    held = np.array([np.concatenate([_held(item, truth) for item in one.tables]).mean() for one in found])
    assert 0.99 > held.mean() >= 0.95 - 4 * held.std() / sqrt(DRAWS)
    estimates = np.array([one.estimates for one in found])
    errors = np.concatenate([item.standard_errors for item in found[0].tables])
    bias = (estimates.mean(axis=0) - truth) / (errors / sqrt(DRAWS))
    assert np.abs(bias).max() < 5
    spread = estimates.std(axis=0) / errors
    assert spread.mean() == pytest.approx(1, abs=0.06)
    totals = estimates[:, placed_tables_of(plan)["age_sex"]].sum(axis=1)
    weights = np.zeros(plan.cells)
    weights[placed_tables_of(plan)["age_sex"]] = 1
    assert abs(totals.mean() - truth[0]) < 4 * found[0].standard_error_of(weights) / sqrt(DRAWS)
    assert np.mean([one.disagreement for one in found]) == pytest.approx(found[0].agreements, rel=0.15)


def placed_tables_of(plan):
    placed = placed_tables(release_of(plan, np.zeros(plan.cells)))
    return {item.record.name: item.cells for item in placed}


def _held(item, truth):
    own = truth[item.placed.cells]
    return (item.low <= own) & (own <= item.high)


def test_the_coverage_check_sees_intervals_that_are_too_narrow(monkeypatch):
    monkeypatch.setattr(analysis, "NORMAL_POINT", 1.6)
    with pytest.raises(AssertionError):
        test_intervals_hold_the_truth_and_figures_and_sums_are_unbiased(Mechanism.DISCRETE_GAUSSIAN, Fraction(2))


def test_tables_that_disagree_by_more_than_noise_are_named():
    rng = np.random.default_rng(6)
    plan = plan_for(given.question(*TABLES), TWO_REGIONS)
    truth = skewed(rng)
    assert not make_consistent(one_draw(plan, truth, rng), SCHEMA).suspicious
    moved = truth.copy()
    moved[0] += 400
    release = one_draw(plan, moved, rng)
    found = make_consistent(release, SCHEMA)
    assert found.suspicious
    assert any("more than noise explains" in line for line in notes(found, release, same_margins=False))


def test_a_release_of_ten_thousand_cells_is_adjusted():
    both = [
        table(name, *by, level=level)
        for name, by, level in (
            ("big", ("reason_loss", "accommodation_at_application"), Level.REGION),
            ("big_all", ("reason_loss", "accommodation_at_application"), Level.ALL),
            ("next", ("reason_loss", "household_type"), Level.REGION),
            ("next_all", ("reason_loss", "household_type"), Level.ALL),
            ("reasons", ("reason_loss",), Level.ALL),
        )
    ]
    everyone = sorted(SCHEMA.councils.values(), key=lambda council: council.id)
    plan = plan_for(given.question(*both, epsilon=Fraction(4)), everyone, mechanism=Mechanism.DISCRETE_GAUSSIAN)
    assert plan.cells > 10_000
    release = one_draw(plan, np.zeros(plan.cells, dtype=np.int64), np.random.default_rng(8))
    found = make_consistent(release, SCHEMA)
    assert found.complete
    # Each cell of the two pairs, two totals, and eight of nine regions: the ninth follows.
    assert found.agreements == 35 * 21 + 35 * 11 + 2 + 8
    assert not found.suspicious
    assert np.ptp([item.estimates.sum() for item in found.tables]) < 1e-6


# Nothing below zero


def test_printed_figures_are_the_nearest_without_negatives_that_keep_the_sum():
    groups = [np.arange(4), np.arange(4, 6), np.arange(6, 8)]
    figures = np.array([10.0, -2, 5, -1, 3, 4, -3, 1])
    printed = without_negatives(figures, groups)
    assert printed.tolist() == pytest.approx([8.5, 0, 3.5, 0, 3, 4, 0, 0])
    rng = np.random.default_rng(9)
    for _ in range(50):
        figures = rng.normal(1, 3, size=12)
        printed = without_negatives(figures, [np.arange(12)])
        assert printed.min() >= 0
        assert printed.sum() == pytest.approx(max(0.0, figures.sum()))
        other = rng.dirichlet(np.ones(12)) * printed.sum()
        assert np.linalg.norm(printed - figures) <= np.linalg.norm(other - figures) + 1e-9


def test_sums_of_printed_figures_are_unbiased_and_those_of_figures_cut_at_zero_are_not():
    rng = np.random.default_rng(10)
    plan = plan_for(given.question(*TABLES), TWO_REGIONS)
    truth = skewed(rng)
    place = placed_tables_of(plan)["age_sex"]
    kept, cut = [], []
    for _ in range(200):
        item = make_consistent(one_draw(plan, truth, rng), SCHEMA).table("age_sex")
        kept.append(printed_figures(item, non_negative=True).sum())
        cut.append(np.maximum(item.estimates, 0).sum())
    se = np.std(kept) / sqrt(len(kept))
    assert abs(np.mean(kept) - truth[place].sum()) < 4 * se
    assert np.mean(cut) - truth[place].sum() > 10 * se


# Refusals and the command


def test_what_cannot_be_made_to_agree_is_refused(monkeypatch):
    one = plan_for(given.question(table("sex", "main_sex")), councils_of(NORTH_EAST))
    with pytest.raises(QueryError, match="nothing to make agree"):
        make_consistent(release_of(one, np.zeros(3)), SCHEMA)
    release, _ = worked()
    broken = release.tables[0].model_copy(update={"planned_sd": 1.0})
    with pytest.raises(FileProblem, match="does not agree with the plan"):
        make_consistent(release.model_copy(update={"tables": (broken, *release.tables[1:])}), SCHEMA)
    with pytest.raises(FileProblem, match="does not agree with the plan"):
        make_consistent(release.model_copy(update={"plan": {}}), SCHEMA)
    monkeypatch.setattr(analysis, "MOST_AGREEMENTS", 3)
    with pytest.raises(QueryError, match="at most 3"):
        make_consistent(release, SCHEMA)


def test_the_command_prints_and_writes_the_worked_release(tmp_path):
    release, found = worked()
    path = tmp_path / "release.json"
    path.write_bytes(release.encode())
    arguments = ["analyse", "consistent", str(path), "--non-negative"]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert done.exception is None, done.output
    assert "4 sums were made to agree" in done.output
    written = {item.name for item in (tmp_path / "out").iterdir()}
    assert written == {"consistent.json"} | {f"{item.name}-consistent.csv" for item in TABLES_OF_PAGE}
    document = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    sums = {item["name"]: sum(cell["estimate"] for cell in item["cells"]) for item in document["tables"]}
    assert max(sums.values()) - min(sums.values()) < 1e-9
    assert document == json.loads((tmp_path / "out" / "consistent.json").read_text())
    rows = list(csv.DictReader(io.StringIO(consistent_csv(found.table("sex"), non_negative=True))))
    assert [float(row["released"]) for row in rows] == list(map(float, TOTALS[1]))
    assert rows[2]["main_sex"] == "not_known"
    assert float(rows[2]["estimate"]) < 0 == float(rows[2]["printed"])


TABLES_OF_PAGE = worked()[0].tables


def test_the_inverse_is_over_independent_agreements_only():
    rows = sparse.csr_matrix(np.array([[1.0, -1, 0], [0, 1, -1], [1, 0, -1]]))
    kept, inverse = analysis._independent(rows, np.array([1.0, 2.0, 3.0]))
    assert kept.shape == (2, 3)
    assert inverse == pytest.approx(np.linalg.inv(kept @ np.diag([1.0, 2, 3]) @ kept.T.toarray()))
