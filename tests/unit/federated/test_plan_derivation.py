"""A plan follows from its question, and a plan that does not is refused by the name of the field."""

import json
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import planning as given

from federated.cohort import possible_rounds
from federated.errors import CohortTooSmall, FederatedError, PolicyRefusal, QueryError
from federated.plan import derive_plan, open_plan
from federated.plan_summary import summarise
from federated.planner import choose_mechanism, worst_totals
from federated.privacy import Mechanism, Totals, zcdp_epsilon
from federated.query import Dimension, Level, Table, measured
from protocols.encoding import canonical_json
from protocols.secagg import Profile

AGREEMENT = given.agreement()
ROSTER = given.roster()


def plan_of(question=None, mechanism=Mechanism.DISCRETE_LAPLACE, agreement=AGREEMENT, roster=ROSTER, **terms):
    return derive_plan(
        question or given.question(),
        agreement=agreement,
        roster=roster,
        schema=given.SCHEMA,
        mechanism=mechanism,
        terms=given.terms(**terms),
    )


def reopened(content, agreement=AGREEMENT, roster=ROSTER):
    return open_plan(content, agreement=agreement, roster=roster, schema=given.SCHEMA)


@pytest.mark.parametrize("mechanism", Mechanism)
def test_a_derived_plan_opens_to_the_same_plan(mechanism):
    plan = plan_of(mechanism=mechanism)
    assert reopened(plan.encode()) == plan
    assert reopened(plan.encode()).digest == plan.digest


@pytest.mark.parametrize("mechanism", Mechanism)
@pytest.mark.parametrize("high", [365, 1_000_000])
def test_squares_of_a_wide_range_are_planned_in_steps(mechanism, high):
    # Without steps noise of this size has no table to be drawn from, and such sums would overflow.
    table = Table(name="t", statistic="variance", measures=(measured("dependent_children_n", 0, high),))
    plan = plan_of(replace(given.question(), tables=(table,)), mechanism=mechanism)
    [planned] = plan.tables
    assert 128 <= planned.sensitivity.l1 < 256 + 3
    assert planned.clamp < 2**40
    assert reopened(plan.encode()) == plan


ALTERATIONS = {
    "query_digest": "00" * 32,
    "agreement": {"id": "demo-pilot", "digest": "00" * 32},
    "roster": {"epoch": 1, "digest": "00" * 32},
    "schema_digest": "00" * 32,
    "group": "other",
    "eligible": ["E06000001"],
    "cohort": {"profile": "standard", "max_colluders": 0, "min_cohort": 10, "min_honest": 3},
    "cells": 5,
    "scale": 2,
    "ring_bits": 64,
    "charge": {"epsilon": "1/2", "rho": "1/8", "draws": 1},
    "delta": "1/10",
    "rounds": 2,
    "version": 2,
}


@pytest.mark.parametrize("field", ALTERATIONS)
def test_one_altered_figure_is_refused_and_named(field):
    claimed = json.loads(plan_of().encode())
    assert claimed[field] != ALTERATIONS[field]
    with pytest.raises(PolicyRefusal, match=f"'{field}'") as caught:
        reopened(canonical_json(claimed | {field: ALTERATIONS[field]}))
    assert caught.value.rule == "plan_mismatch"


def test_less_noise_than_the_question_costs_is_refused():
    claimed = json.loads(plan_of().encode())
    claimed["tables"][0]["parameter"] = "10"
    with pytest.raises(PolicyRefusal, match="'tables'"):
        reopened(canonical_json(claimed))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        canonical_json({"question": 1, "terms": {}, "mechanism": "x"}),
        b"[" * 100_000,
        b" " * 5_000_000,
    ],
)
def test_what_is_no_plan_is_refused(content):
    with pytest.raises(FederatedError):
        reopened(content)


def test_an_extra_field_or_another_spelling_is_refused():
    content = plan_of().encode()
    extra = canonical_json(json.loads(content) | {"also": 1})
    spaced = json.dumps(json.loads(content), sort_keys=True).encode()
    for changed in (extra, spaced):
        with pytest.raises(PolicyRefusal, match="plan"):
            reopened(changed)


def test_another_agreement_or_roster_gives_another_plan():
    content = plan_of().encode()
    with pytest.raises(PolicyRefusal, match="agreement"):
        reopened(content, agreement=given.agreement())
    with pytest.raises(PolicyRefusal, match="roster"):
        reopened(content, roster=given.roster())


def test_the_charge_never_exceeds_what_was_asked():
    question = given.question(
        Table(name="a", statistic="households", by=(Dimension(column="main_age_band"),)),
        Table(name="b", statistic="rows", max_cells=3),
        Table(
            name="c",
            statistic="sum",
            measures=(measured("dependent_children_n", 0, 6),),
            by=(Dimension(column="household_type"),),
            max_cells=2,
        ),
        Table(name="d", statistic="mean", measures=(measured("dependent_children_n", 0, 6),)),
        epsilon=Fraction(7, 10),
    )
    laplace = plan_of(question)
    assert laplace.charge.epsilon is not None
    assert laplace.charge.epsilon <= Fraction(7, 10)
    assert sum(
        p.sensitivity.l1 * b.parameter for p, b in zip(laplace.tables, laplace.noise.blocks, strict=True)
    ) <= Fraction(7, 10)
    gaussian = plan_of(question, Mechanism.DISCRETE_GAUSSIAN)
    assert gaussian.charge.epsilon is None
    assert zcdp_epsilon(gaussian.charge.rho, AGREEMENT.budget_delta) <= Fraction(7, 10)
    assert (
        sum(
            Fraction(p.sensitivity.l2_squared) / (2 * b.parameter)
            for p, b in zip(gaussian.tables, gaussian.noise.blocks, strict=True)
        )
        <= gaussian.charge.rho
    )


def test_the_planner_takes_the_smaller_error():
    def chosen(question, worst=None):
        return choose_mechanism(
            question,
            agreement=AGREEMENT,
            roster=ROSTER,
            schema=given.SCHEMA,
            terms=given.terms(),
            worst=worst or Totals(),
        ).mechanism

    one = given.question()
    many = given.question(
        *(Table(name=f"t{i}", statistic="households", by=(Dimension(column="main_age_band"),)) for i in range(16))
    )
    assert chosen(one) is Mechanism.DISCRETE_LAPLACE
    assert chosen(many) is Mechanism.DISCRETE_GAUSSIAN
    # Once any Gaussian has been charged, Laplace loses.
    assert chosen(one, Totals(epsilon=None, rho=Fraction(1, 100))) is Mechanism.DISCRETE_GAUSSIAN


def quantiles(bands, **more):
    return Table(
        name="q",
        statistic="quantile",
        measures=(measured("dependent_children_n", 0, bands),),
        edges=tuple(range(1, bands)),
        probabilities=(Fraction(1, 2),),
        **more,
    )


def test_bands_for_quantiles_are_sent_plain_or_weighted_by_the_noise():
    question = given.question(quantiles(64, by=(Dimension(column="main_sex"),), max_cells=2))
    plain, weighted = plan_of(question), plan_of(question, Mechanism.DISCRETE_GAUSSIAN)
    assert plain.tables[0].clamp * 64 == weighted.tables[0].clamp == 64_000_000
    wide = {"agreement": given.agreement(296), "roster": given.roster(296)}
    assert [plan_of(question, item, **wide).ring.bits for item in Mechanism] == [32, 64]
    assert plain.sensitivities == (2,)
    assert weighted.sensitivities[0] > 2 * 64**2
    # The noise is larger in proportion to what is sent, and so the charge is what was asked.
    assert weighted.noise.blocks[0].parameter > 64**2
    assert zcdp_epsilon(weighted.charge.rho, AGREEMENT.budget_delta) <= question.epsilon
    for plan in (plain, weighted):
        assert reopened(plan.encode()) == plan
    as_gaussian = json.loads(plain.encode()) | {"mechanism": "discrete_gaussian"}
    with pytest.raises(PolicyRefusal):
        reopened(canonical_json(as_gaussian))


def test_the_planner_weighs_running_totals_and_not_the_numbers_sent():
    def chosen(bands, epsilon=Fraction(1)):
        question = given.question(quantiles(bands), epsilon=epsilon)
        return choose_mechanism(
            question, agreement=AGREEMENT, roster=ROSTER, schema=given.SCHEMA, terms=given.terms(), worst=Totals()
        )

    few, many = chosen(64), chosen(1025)
    assert few.mechanism is Mechanism.DISCRETE_LAPLACE
    assert many.mechanism is Mechanism.DISCRETE_GAUSSIAN
    assert chosen(1025, Fraction(1, 10)).mechanism is Mechanism.DISCRETE_GAUSSIAN
    # A reader is told the error of a running total, in households.
    assert 4 < summarise(few).tables[0].sd_all < 8
    assert 12 < summarise(many).tables[0].sd_all < 20


def test_the_worst_state_is_taken_part_by_part():
    worst = worst_totals(
        [Totals(epsilon=Fraction(1), rho=Fraction(1), draws=5), Totals(epsilon=Fraction(2), rho=Fraction(1, 2))]
    )
    assert (worst.epsilon, worst.rho, worst.draws) == (2, 1, 5)
    assert worst_totals([Totals(epsilon=None), Totals()]).epsilon is None
    assert worst_totals([]).epsilon == 0


def test_a_region_is_shown_only_with_enough_councils():
    table = Table(name="r", statistic="households", level=Level.REGION)
    plan = plan_of(given.question(table))
    (axis,) = plan.tables[0].layout.axes
    assert axis.codes == ("E12000001",)
    # Fourteen councils: twelve of the North East, two of another region, which is not shown.
    wider = plan_of(given.question(table), agreement=given.agreement(14), roster=given.roster(14))
    assert wider.tables[0].layout.axes[0].codes == ("E12000001",)
    few = given.agreement(6, Profile.CAREFUL)
    assert plan_of(given.question(table), agreement=few, roster=given.roster(6)).tables[0].layout.cells == 1
    spread = given.agreement(14)
    moved = given.roster(14)
    entries = {c: replace(e, region=f"E1200000{1 + i % 3}") for i, (c, e) in enumerate(moved.councils.items())}
    with pytest.raises(QueryError, match="no region"):
        plan_of(given.question(table), agreement=spread, roster=replace(moved, councils=entries))


def test_the_ring_is_the_narrowest_that_cannot_wrap():
    assert plan_of().ring.bits == 32
    large = Table(name="s", statistic="sum", measures=(measured("dependent_children_n", 0, 6),), max_cells=1)
    plan = plan_of(given.question(large), agreement=given.agreement(296), roster=given.roster(296))
    assert plan.ring.bits == 32 if 2 * 296 * 6_000_000 < 2**32 else plan.ring.bits == 64


def test_councils_that_are_not_enrolled_stop_the_plan():
    with pytest.raises(PolicyRefusal, match="not in the roster") as caught:
        plan_of(agreement=given.agreement(14))
    assert caught.value.rule == "group"


def test_a_group_that_is_not_in_the_agreement_is_refused():
    with pytest.raises(PolicyRefusal) as caught:
        plan_of(given.question(group="another"))
    assert caught.value.rule == "group"


def test_dates_in_the_wrong_order_are_refused():
    with pytest.raises(QueryError, match="dates"):
        given.terms(not_after=given.NOW)
    with pytest.raises(QueryError, match="nonce"):
        given.terms(nonce=b"short")


def test_the_summary_says_what_a_plan_means():
    plan = plan_of()
    summary = summarise(plan)
    n, t = 12, plan.rules.thresholds(12).t
    assert summary.tables[0].sd_all == plan.released_noise(0, joined=n, contributors=n).sd
    assert summary.tables[0].sd_fewest == plan.released_noise(0, joined=n, contributors=t).sd
    assert summary.tables[0].margin_all >= summary.tables[0].margin_fewest
    assert summary.as_json()["councils_needed"] == possible_rounds(plan.rules)[0].n == 10
    assert summary.as_json()["plan_digest"] == plan.digest.hex()


def test_a_group_too_small_for_its_agreement_is_refused():
    class Small:
        """An agreement whose rules no group of twelve meets; a signed one is refused when it is read."""

        def __getattr__(self, name):
            return getattr(AGREEMENT, name)

        def cohort_rules(self, group):
            return replace(AGREEMENT.cohort_rules(group), min_cohort=13)

    with pytest.raises(CohortTooSmall) as caught:
        plan_of(agreement=Small())
    assert caught.value.rule == "min_cohort"
