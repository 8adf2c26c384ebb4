"""The noise that comes out of secure aggregation has the scale the plan says, and another scale is seen.

Residuals are released totals less the exact sum over U3, after whole rounds through nodes and coordinator. They are
held to their law by a likelihood-ratio test of one scale factor on the noise, two-sided, on one degree of freedom. The
noise is the system's entropy, so a true scale is refused once in a million runs.
"""

from dataclasses import replace
from fractions import Fraction
from math import exp, log, sqrt

import numpy as np
import pytest
from rich.table import Table as Grid
from scipy.optimize import minimize_scalar
from scipy.stats import chi2

from coordinator.simulate import Scenario, simulate
from federated.commands import planning
from federated.plan_summary import summarise
from federated.privacy import Mechanism, released_noise
from federated.query import Dimension, Query, Table
from federated.synthetic import PUBLISHED_QUARTER
from tests import evidence
from tests.statistical.planted_noise import plant_scale, widened

LAPLACE, GAUSSIAN = Mechanism.DISCRETE_LAPLACE, Mechanism.DISCRETE_GAUSSIAN
ACCEPT = REJECT = 1e-6
LEAST = 10_000
OFF = [Fraction(9, 10), Fraction(11, 10)]
SEED = 5
BY = ("reason_loss", "accommodation_at_application", "referral_source")


def one_large_table() -> Query:
    """12,495 cells in one table, most of them empty."""
    return Query(
        title="Households by reason, accommodation and referral",
        dataset="case",
        unit="household",
        group="everyone",
        period=PUBLISHED_QUARTER,
        epsilon=Fraction(1),
        tables=(Table(name="cells", statistic="households", by=tuple(Dimension(column=name) for name in BY)),),
    )


def rounds_of(mechanism, *, rounds=1, lost=0, councils=12):
    """Rounds through nodes and coordinator, with the mechanism forced through the planner."""
    scenario = Scenario(
        questions=(one_large_table(),), councils=councils, seed=SEED, rounds=rounds, mechanism=mechanism, lost=lost
    )
    return simulate(scenario).rounds


def laws_of(item):
    """The stated law of each table's noise, at the release's own n and |U3|."""
    for index in range(len(item.plan.tables)):
        yield item.plan.released_noise(index, joined=item.release.joined, contributors=item.release.contributed)


def log_likelihood(values, law):
    offset, probabilities = law.pmf()
    places = values - offset
    inside = (places >= 0) & (places < len(probabilities))
    found = np.where(inside, probabilities[np.clip(places, 0, len(probabilities) - 1)], 0)
    return np.log(np.maximum(found, 1e-300)).sum()


def at_scale(law, factor):
    exactly = Fraction(factor).limit_denominator(10**9)
    # Built directly, since a plan could not claim some of the narrower ones.
    return replace(law, parameter=widened(law.mechanism, law.parameter, exactly))


def scale_test(rounds):
    """The scale factor that fits the residuals best, and the p-value of a factor of 1."""
    found = [(values, law) for item in rounds for values, law in zip(item.residuals, laws_of(item), strict=True)]

    def cost(log_factor):
        return -sum(log_likelihood(values, at_scale(law, exp(log_factor))) for values, law in found)

    best = minimize_scalar(cost, bounds=(log(0.5), log(2)), method="bounded", options={"xatol": 1e-5})
    return exp(best.x), float(chi2.sf(max(0.0, 2 * (cost(0.0) - best.fun)), 1))


def size(rounds):
    return sum(len(values) for item in rounds for values in item.residuals)


@pytest.mark.drawn(2)
@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize("mechanism", Mechanism)
def test_residuals_out_of_secure_aggregation_have_the_scale_and_sd_that_were_planned(mechanism, lost, monkeypatch):
    """With |U3| = n, and with |U3| = t, which is one less with twelve councils; both are what `federated plan` prints."""
    rounds = rounds_of(mechanism, lost=lost)
    assert size(rounds) >= LEAST
    assert {item.release.mechanism for item in rounds} == {mechanism.value}
    assert {item.release.contributed for item in rounds} == {12 - lost}
    assert {item.release.threshold for item in rounds} == {11}
    factor, p = scale_test(rounds)
    planned, found = planned_sd(rounds, lost, monkeypatch), found_sd(rounds)
    print(
        f"{mechanism.value}, {lost} lost, {size(rounds)} residuals: "
        f"factor {factor:.4f}, p {p:.3g}; sd planned {planned:.4f}, found {found:.4f}"
    )
    assert p > ACCEPT
    assert abs(found / planned - 1) < 0.05


@pytest.mark.drawn(2)
@pytest.mark.parametrize("factor", OFF)
@pytest.mark.parametrize("mechanism", Mechanism)
def test_a_scale_ten_percent_off_planted_in_the_nodes_is_rejected(mechanism, factor, monkeypatch):
    plant_scale(monkeypatch, factor)
    rounds = rounds_of(mechanism, councils=5)
    assert size(rounds) >= LEAST
    found, p = scale_test(rounds)
    print(f"{mechanism.value}, scale x {float(factor)}: factor {found:.4f}, p {p:.3g}")
    assert found == pytest.approx(float(factor), rel=0.05)
    assert p < REJECT


def planned_sd(rounds, lost, monkeypatch):
    """The standard deviation that `federated plan` prints for so many contributors, before it is rounded to print it."""
    summary = summarise(rounds[0].plan)
    row = summary.tables[0]
    assert printed_sds(summary, monkeypatch) == (f"{row.sd_all:.2f}", f"{row.sd_fewest:.2f}")
    return row.sd_fewest if lost else row.sd_all


def found_sd(rounds):
    values = np.concatenate([item.residuals[0] for item in rounds]) / rounds[0].plan.scale
    return sqrt(np.mean(values**2))


def printed_sds(summary, monkeypatch):
    """The two standard deviations in the table that `federated plan` prints."""
    rows = []
    with monkeypatch.context() as patch:
        patch.setattr(planning.output, "print", lambda *items, **_: rows.extend(items))
        planning.print_plan(summary)
    [grid] = [row for row in rows if isinstance(row, Grid)]
    cells = {column.header: next(iter(column.cells)) for column in grid.columns}
    return cells["Noise sd, all in"], cells["Noise sd, fewest"]


def test_the_scale_test_itself_finds_the_scale_of_drawn_noise():
    for mechanism, parameter in ((LAPLACE, Fraction(1)), (GAUSSIAN, Fraction(20))):
        law = released_noise(mechanism, parameter, scale=1, honest=4, contributors=5)
        offset, probabilities = law.pmf()
        drawn = offset + np.random.default_rng(1).choice(
            len(probabilities), size=20_000, p=probabilities / probabilities.sum()
        )
        true = log_likelihood(drawn, law)
        assert all(log_likelihood(drawn, at_scale(law, factor)) < true - 50 for factor in (0.9, 1.1))


@pytest.mark.long
@pytest.mark.parametrize("mechanism", Mechanism)
def test_residuals_at_full_size(mechanism, monkeypatch):
    figures = {}
    for lost in (0, 1):
        rounds = rounds_of(mechanism, rounds=16, lost=lost)
        factor, p = scale_test(rounds)
        planned, found = planned_sd(rounds, lost, monkeypatch), found_sd(rounds)
        figures[f"contributors {12 - lost} of 12"] = {
            "residuals": size(rounds),
            "scale_factor": round(factor, 5),
            "p": p,
            "planned_sd": planned,
            "found_sd": found,
        }
        assert p > ACCEPT
        assert abs(found / planned - 1) < 0.05
    for factor in OFF:
        with monkeypatch.context() as patch:
            plant_scale(patch, factor)
            fitted, p = scale_test(rounds_of(mechanism))
        assert p < REJECT
        figures[f"planted x {float(factor)}"] = {"scale_factor": round(fitted, 5), "p": p}
    evidence.record(
        f"noise-scale/{mechanism.value}",
        figures,
        test="tests/statistical/test_release_noise.py",
        n=figures["contributors 12 of 12"]["residuals"],
        seed=SEED,
    )
