"""Questions at random against agreements and policies at random: what a node accepts, and what it is charged.

A few in CI, drawn anew from the seed that is printed, thousands in `make test-long`. The rules on the other side are written by hand
(`tests.property.questions`).
"""

import json
import os
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cache, partial
from itertools import combinations_with_replacement
from math import log, prod
from zlib import crc32

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from council_node.policy import facts_of, review
from council_node.policy_file import Policy
from federated.agreement import parse_agreement
from federated.errors import FederatedError, PolicyRefusal, QueryError
from federated.manifest import parse_manifest
from federated.plan import Terms, derive_plan, open_plan
from federated.privacy import Mechanism
from federated.query import Level, parse_query, question_document
from federated.roster import RosterEntry
from federated.schema import load_schema
from protocols.encoding import canonical_json
from protocols.identifiers import CouncilId
from tests.conftest import SEED
from tests.evidence import record
from tests.property import questions as drawn
from tests.spec.council import REGIONS
from tests.spec.reference_evaluator import reference_vector
from tests.spec.statistics import specifications
from tests.unit.council_node.policy_cases import KEY, ME, ROSTER

SCHEMA = load_schema()
NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
EXTRACTED = date(2026, 2, 20)
EVERYBODY = replace(
    ROSTER,
    not_after=date(2026, 5, 20),
    councils={
        council: RosterEntry(
            id=CouncilId(council),
            name=council,
            region="E12000001",
            public_key=KEY.public,
            valid_from=date(2026, 1, 1),
            valid_to=date(2027, 1, 1),
        )
        for council in drawn.NORTH_EAST
    },
)
FEW = settings(
    max_examples=90,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=(Phase.generate,),  # making a failure smaller takes many times as long as finding it
)
MANY = settings(FEW, max_examples=3000, phases=(Phase.generate, Phase.shrink))
LEAST_SIDE = 3
"""Of the few questions of CI, how many at least must be accepted, and how many refused."""
MOST_GOES = 5
"""So often are a few drawn, until there are as many of both: of ninety, about ten are accepted."""
DRAWN = int(os.environ[SEED])


def read_agreement(document):
    return parse_agreement(written(document))


def written(document):
    """A document as a file: JSON is a part of the YAML that is read."""
    return json.dumps(document, default=str).encode()


def terms_of(manifest, attempts, starts_in_days):
    start = NOW + timedelta(days=starts_in_days)
    return Terms(
        manifest_digest=manifest.digest,
        not_before=start,
        collect_by=start + timedelta(days=2),
        return_by=start + timedelta(days=3),
        not_after=start + timedelta(days=20),
        attempts=attempts,
        nonce=bytes(32),
    )


def derived(asked, agreement, terms, mechanism, roster=EVERYBODY):
    return derive_plan(asked, agreement=agreement, roster=roster, schema=SCHEMA, mechanism=mechanism, terms=terms)


EACH = {
    "question": drawn.QUESTIONS,
    "agreed": drawn.AGREEMENTS,
    "policy": drawn.POLICIES,
    "terms": drawn.TERMS,
    "mechanism": st.sampled_from(tuple(Mechanism)),
    "at": st.integers(0, 20),
    "unexplained": st.sampled_from((False,) * 9 + (True,)),
}


def judge(question, agreed, policy, terms, mechanism, at, unexplained):
    """One question through the analyst's planner and a node's checks, held against the rules by hand.

    Returns:
        Which of "no plan", "refused", "forbidden" and "accepted" it came to; "refused" is for a reason besides.
    """
    agreement_form = drawn.agreement_for(question, agreed, at)
    manifest_form = drawn.manifest_for(question, unexplained=unexplained)
    agreement = read_agreement(agreement_form)
    manifest = parse_manifest(written(manifest_form))
    given_terms = terms_of(manifest, **terms)
    try:
        plan = derived(parse_query(canonical_json(question)), agreement, given_terms, mechanism)
    except (QueryError, PolicyRefusal):
        return "no plan"
    # A node reads its own copies of the agreement and the list of councils, and derives the plan from its bytes.
    own = read_agreement(agreement_form)
    found = open_plan(plan.encode(), agreement=own, roster=EVERYBODY, schema=SCHEMA)
    same_cost(plan, found)
    facts = facts_of(
        found, manifest, agreement=own, council=ME, schema=SCHEMA, missing=frozenset(), extract_date=EXTRACTED
    )
    why = drawn.forbidden(
        question,
        agreement_form,
        manifest_form,
        policy,
        council=ME,
        attempts=given_terms.attempts,
        starts_on=given_terms.not_before,
        ends_on=given_terms.not_after,
        now=NOW,
        extract_date=EXTRACTED,
        cells=found.cells,
    )
    try:
        review(facts, own, Policy.model_validate_json(canonical_json(policy)), NOW)
    except PolicyRefusal:
        return "forbidden" if why else "refused"
    assert not why, f"accepted, and yet: {sorted(why)}"
    return "accepted"


def same_cost(plan, found):
    """Planner and node agree; and cells, noise and cost are what follows by hand."""
    assert (found.cells, found.charge, found.sensitivities, found.digest) == (
        plan.cells,
        plan.charge,
        plan.sensitivities,
        plan.digest,
    )
    for planned in found.tables:
        layout, table = planned.layout, planned.table
        axes = layout.axes[1:] if table.level is Level.REGION else layout.axes
        for item, axis in zip(table.by, axes, strict=False):
            if item.part is None:
                codes = SCHEMA.dataset(found.question.dataset).column(item.column).code_list
                pairs = table.statistic == "co_occurrence"
                assert axis.codes == (tuple(map("+".join, combinations_with_replacement(codes, 2))) if pairs else codes)
        if table.statistic in {"households", "rows"}:
            assert len(axes) == len(table.by)
            assert layout.cells == prod(len(axis.codes) for axis in layout.axes)
    charge, blocks = found.round_charge, found.noise.blocks
    if found.mechanism is Mechanism.DISCRETE_LAPLACE:
        spent = sum(
            block.parameter * planned.sensitivity.l1 for block, planned in zip(blocks, found.tables, strict=True)
        )
        assert spent <= charge.epsilon <= found.question.epsilon + Fraction(1, 10**9)
        assert charge.rho >= charge.epsilon**2 / 2
    else:
        steps = Fraction(found.scale) ** 2
        least = sum(
            (
                Fraction(planned.sensitivity.l2_squared) / (2 * block.parameter)
                for block, planned in zip(blocks, found.tables, strict=True)
            ),
            Fraction(0),
        )
        assert charge.epsilon is None
        assert charge.rho >= min(least, least * steps)
        whole = float(charge.rho) * found.rounds
        assert converted(whole, float(found.delta)) <= float(found.question.epsilon) * 1.001


def converted(rho, delta):
    """Epsilon of a zCDP cost by the formula of Canonne, Kamath and Steinke, at the best of many orders."""
    orders = [1 + 1.02**place / 1000 for place in range(900)]
    return max(0.0, min(rho * a + log((a - 1) / a) - (log(delta) + log(a)) / (a - 1) for a in orders))


# What a node accepts


@cache
def few():
    """What became of the questions of CI."""
    found = Counter()
    for go in range(MOST_GOES):

        @seed(f"{DRAWN} {go}")
        @FEW
        @given(**EACH)
        def each(**one):
            found[judge(**one)] += 1

        each()
        if min(found["accepted"], found["forbidden"]) >= LEAST_SIDE:
            break
    return found


def test_no_node_accepts_what_the_agreement_or_its_policy_forbids():
    assert few().total() >= FEW.max_examples


def test_both_sides_of_that_law_are_met_by_questions_at_random():
    assert few()["accepted"] >= LEAST_SIDE
    assert few()["forbidden"] >= LEAST_SIDE


def test_a_seed_draws_the_same_questions_again_and_another_seed_others():
    def drawn_by(number):
        found = []

        @seed(number)
        @settings(FEW, max_examples=6)
        @given(drawn.QUESTIONS)
        def each(question):
            found.append(question)

        each()
        return found

    assert drawn_by(1) == drawn_by(1) != drawn_by(2)


@pytest.mark.parametrize(
    "name",
    [
        "check_read",
        "check_class_2",
        "check_epsilon",
        "check_attempts",
        "check_purpose",
        "check_cohort",
        "check_dates",
        "check_extract",
    ],
)
def test_a_check_that_is_left_out_is_noticed(monkeypatch, name):
    from council_node import policy as module

    left = tuple(check for check in module.CHECKS if check.__name__ != name)
    monkeypatch.setattr(module, "CHECKS", left)
    question, agreed, policy, terms, unexplained = broken_by(name)
    with pytest.raises(AssertionError, match="accepted, and yet"):
        judge(question, agreed, policy, terms, Mechanism.DISCRETE_LAPLACE, 0, unexplained)


ASKED = {
    "query": 1, "title": "For a test", "dataset": "case", "unit": "household", "group": "north-east", "epsilon": "1",
    "period": {"column": "assessment_date", "from": "2025-01-01", "to": "2025-03-31"},
    "tables": [{"name": "t", "count": "households", "by": ["assessment_outcome"]}],
}  # fmt: skip
AGREED = {
    "min_cohort": 5, "min_honest": 2, "attempts": 2, "max_epsilon_per_query": "1", "purpose_categories": ["prevention"],
    "valid_to": date(2026, 12, 31), "left_out": "", "max_cells": 3,
}  # fmt: skip
POLICY = {"policy": 1, "automatic": True, "class_2": "as_agreed"}
IN_TIME = {"attempts": 2, "starts_in_days": -1}


def broken_by(name):
    """A question that one check alone stands against."""
    reason = {**ASKED, "tables": [{"name": "t", "count": "households", "by": ["reason_loss_group"]}]}
    return {
        "check_read": (ASKED, AGREED, {**POLICY, "refuse_columns": ["assessment_date"]}, IN_TIME, False),
        "check_class_2": (reason, AGREED, {**POLICY, "class_2": "refuse"}, IN_TIME, False),
        "check_epsilon": (ASKED, AGREED, {**POLICY, "max_epsilon_per_query": "1/10"}, IN_TIME, False),
        "check_attempts": (ASKED, {**AGREED, "attempts": 1}, POLICY, IN_TIME, False),
        "check_purpose": (ASKED, AGREED, {**POLICY, "refuse_purposes": ["prevention"]}, IN_TIME, False),
        "check_cohort": (ASKED, AGREED, {**POLICY, "min_cohort": 13}, IN_TIME, False),
        "check_dates": (ASKED, AGREED, POLICY, {**IN_TIME, "starts_in_days": 1}, False),
        "check_extract": (ASKED, AGREED, {**POLICY, "max_extract_age_days": 1}, IN_TIME, False),
    }[name]


@pytest.mark.parametrize("left_out", ["column", "statistic", "class_2", "dataset"])
def test_what_the_agreement_leaves_out_is_refused(left_out):
    reason = {**ASKED, "tables": [{"name": "t", "count": "households", "by": ["reason_loss_group"]}]}
    agreed = {**AGREED, "left_out": left_out}
    assert judge(reason, agreed, POLICY, IN_TIME, Mechanism.DISCRETE_LAPLACE, 0, False) == "forbidden"


def test_a_question_that_nothing_stands_against_is_accepted():
    assert judge(ASKED, AGREED, POLICY, IN_TIME, Mechanism.DISCRETE_LAPLACE, 0, False) == "accepted"


# What it costs


def tried(question, mechanism, min_cohort=5):
    """The plan, or None where the question cannot be planned."""
    agreement = read_agreement(
        drawn.agreement_for(
            question, {**AGREED, "min_cohort": min_cohort, "max_epsilon_per_query": "8", "max_cells": 64}, 0
        )
    )
    try:
        return derived(
            parse_query(canonical_json(question)),
            agreement,
            terms_of(parse_manifest(written(drawn.manifest_for(question, unexplained=False))), **IN_TIME),
            mechanism,
        )
    except FederatedError:
        return None


@pytest.mark.parametrize("code", [item.code for item in specifications()])
def test_planner_and_node_agree_on_the_worked_example_of_every_statistic(code):
    """At random, some statistics come up once in thousands of questions."""
    [asked] = (item.asked for item in specifications() if item.code == code)
    question = {**ASKED, "dataset": asked.dataset, "unit": SCHEMA.dataset(asked.dataset).unit}
    question |= {name: question_document(asked)[name] for name in ("period", "tables")}
    # With the smaller of two groups left out: no crossing of protected characteristics may be told from their difference.
    plans = [plan for mechanism in Mechanism if (plan := tried(question, mechanism, min_cohort=6)) is not None]
    assert plans
    for plan in plans:
        same_cost(plan, plan)


def dearer(question, mechanism):
    """More epsilon is charged as more and gives no more noise; more tables, or more cells touched, no less noise."""
    plan = tried(question, mechanism)
    if plan is None:
        return 0
    more = tried({**question, "epsilon": str(2 * Fraction(question["epsilon"]))}, mechanism)
    if more is not None:
        assert more.charge.rho >= plan.charge.rho
        assert plan.charge.epsilon is None or more.charge.epsilon >= plan.charge.epsilon
        assert all(low <= high for low, high in zip(spread(more), spread(plan), strict=True))
    another = {"name": "another", "count": "households", "by": ["main_sex"] if question["dataset"] == "case" else []}
    wider = tried({**question, "tables": [*question["tables"], another]}, mechanism)
    if wider is not None:
        assert all(low <= high for low, high in zip(spread(plan), spread(wider), strict=False))
    for place, planned in enumerate(plan.tables):
        table = planned.table
        touched = [dict(item) for item in question_document(plan.question)["tables"]]
        touched[place]["max_cells"] = table.max_cells + 1
        freer = tried({**question_document(plan.question), "tables": touched}, mechanism)
        # Some statistics weigh their numbers by the bound, and then both are in other steps.
        if freer is not None and table.statistic in PLAIN:
            assert freer.tables[place].sensitivity.l1 >= planned.sensitivity.l1
            assert freer.tables[place].sensitivity.l2_squared >= planned.sensitivity.l2_squared
    return 1


PLAIN = {"households", "rows", "sum", "distribution", "scores", "missing"}
"""Statistics whose numbers are what rows say, unweighted."""


def spread(plan):
    """Standard deviation of the noise of each table, in units of the question."""
    councils = len(plan.eligible)
    noises = [plan.released_noise(place, joined=councils, contributors=councils) for place in range(len(plan.tables))]
    return [noise.sd for noise in noises]


COSTS = {"question": drawn.QUESTIONS, "mechanism": st.sampled_from(tuple(Mechanism))}


@seed(DRAWN)
@settings(FEW, max_examples=8)
@given(**COSTS)
def test_more_is_never_cheaper(question, mechanism):
    dearer(question, mechanism)


# What one household can change


@st.composite
def records(draw, dataset):
    """Rows of three households, of any values that the dictionary knows."""
    columns = [item for item in SCHEMA.dataset(dataset).columns.values() if item.type.value != "key"]
    rows = []
    for _ in range(draw(st.integers(0, 6))):
        row = {"household": draw(st.sampled_from(("A", "B", "C")))}
        for column in columns:
            row[column.name] = draw(
                {
                    "category": st.sampled_from(column.code_list or ("not_known",)),
                    "integer": st.sampled_from((None, 0, 1, 5, 10**6)),
                    "date": st.sampled_from(
                        (None, date(2024, 12, 31), date(2025, 1, 1), date(2025, 2, 3), date(2025, 3, 31))
                    ),
                }[column.type.value]
            )
        rows.append(row)
    return rows


def vector_of(asked, planned, dataset, salt, mechanism, rows):
    return reference_vector(
        rows,
        asked,
        planned.table,
        planned.layout,
        dataset,
        region=REGIONS[0][0],
        draw=lambda household, identity: crc32(repr((salt, household, identity)).encode()),
        mechanism=mechanism,
        coefficients=planned.coefficients,
    )


def moved(question, rows, salt, mechanism):
    """How far each household moves each table, at most as far as the plan says.

    Returns:
        Tables looked at.
    """
    plan = tried(question, mechanism)
    if plan is None:
        return 0
    dataset, asked = SCHEMA.dataset(question["dataset"]), plan.question
    iteration = plan.first_iteration()
    looked_at = 0
    for planned in plan.tables_at(iteration):
        vector = partial(vector_of, asked, planned, dataset, salt, mechanism)
        everybody = vector(rows)
        for household in {row["household"] for row in rows}:
            others = vector([row for row in rows if row["household"] != household])
            change = [abs(int(a) - int(b)) for a, b in zip(everybody, others, strict=True)]
            assert sum(change) <= planned.sensitivity.l1 or mechanism is Mechanism.DISCRETE_GAUSSIAN
            assert (
                sum(step * step for step in change) <= planned.sensitivity.l2_squared
                or mechanism is Mechanism.DISCRETE_LAPLACE
            )
            looked_at += 1
    return looked_at


@st.composite
def cases(draw):
    question = draw(drawn.QUESTIONS)
    return (
        question,
        draw(records(question["dataset"])),
        draw(st.integers(0, 3)),
        draw(st.sampled_from(tuple(Mechanism))),
    )


@seed(DRAWN)
@settings(FEW, max_examples=10)
@given(cases())
def test_no_household_moves_a_plan_by_more_than_it_says(case):
    moved(*case)


@pytest.mark.long
def test_thousands_of_questions():
    found, costs, households = Counter(), Counter(), Counter()

    @seed(DRAWN)
    @MANY
    @given(**EACH)
    def accepts(**one):
        found[judge(**one)] += 1

    @seed(DRAWN)
    @settings(MANY, max_examples=500)
    @given(**COSTS)
    def is_dearer(question, mechanism):
        costs["planned"] += dearer(question, mechanism)

    @seed(DRAWN)
    @settings(MANY, max_examples=2000)
    @given(cases())
    def moves(case):
        households["looked at"] += moved(*case)

    accepts()
    is_dearer()
    moves()
    assert min(found["accepted"], found["forbidden"]) > MANY.max_examples // 20
    record(
        "questions at random against agreements and policies",
        {**found, "costs_compared": costs["planned"], "households_taken_out": households["looked at"]},
        test="tests/property/test_questions_against_policy.py::test_thousands_of_questions",
        n=found.total(),
        seed=DRAWN,
    )
