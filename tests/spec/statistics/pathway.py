"""Pathways: from each stage to the next one reached, as numbers and as shares."""

from itertools import product

from federated.query import Dimension, Equals, Named, Table
from tests.spec.specification import SEXES, Specification, Universe, row_of

STAGES = (
    ("asked", Equals(column="section21_notice", value="yes")),
    ("referred", Equals(column="la_referral_received", value="yes")),
    ("reviewed", Equals(column="review_requested", value="yes")),
    ("accepted", Equals(column="main_duty_decision", value="accepted")),
)


def case(household: str, outcome: str, relief: str, decision: str) -> dict[str, object]:
    return {
        "household": household,
        "assessment_date": row_of()["assessment_date"],
        "assessment_outcome": outcome,
        "relief_end_reason": relief,
        "main_duty_decision": decision,
    }


def kinds(stages: int) -> tuple[dict[str, object], ...]:
    """Every set of stages reached, in two cells."""
    columns = ("section21_notice", "la_referral_received", "review_requested", "main_duty_decision")
    codes = (("yes", "no"),) * 3 + (("accepted", "none"),)
    return tuple(
        row_of(main_sex=sex, **dict(zip(columns, found, strict=True)))
        for found in product(*codes[:stages], *((choice[1],) for choice in codes[stages:]))
        for sex in SEXES[: 2 if stages < 4 else 1]
    )


SPECIFICATION = Specification(
    code="pathway",
    heading="Pathways between stages",
    what="""\
How many went from each stage to each later one, and what share that is of all who reached it: of those owed a
prevention duty, how many went on to relief, and of these to the main duty. The `conditions` name two to six stages, in
order. A row has reached a stage if its condition is true of the row; what is not known is not reached. From each stage
that it reached, a row goes to the next one that it reached, or to *no later stage*.

The order is the one written in the question, not that of any dates. *No later stage* also holds those who are still at
the stage when the extract is made: ask for a period that is long enough ago.

Only stages on one row can be followed. The table of cases has the prevention, relief and main duties. It does not say
who was placed in temporary accommodation: placements are rows of their own, in the data set `ta_placement`. How many of
those owed a main duty are placed cannot be asked as a pathway today.""",
    bound="""\
A row counts once for each stage that it reached: at most S times for S stages, in different places. At most `max_cells`
rows of a household are kept, and all may take the same way: l1 = κS and squared l2 = κ²S, where κ is `max_cells`.
Further stages cost budget; the shares are made of the same noisy numbers and do not.""",
    rows=(
        case("A", "prevention_owed", "none", "none"),
        case("B", "prevention_owed", "elapsed_56_days", "accepted"),
        case("C", "relief_owed", "elapsed_56_days", "accepted"),
        case("D", "prevention_owed", "not_known", "accepted"),
        case("E", "withdrew_before", "none", "none"),
    ),
    question="""\
query: 1
title: From prevention to relief to the main duty
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - name: duties
    statistic: pathway
    conditions:
      - {name: prevention, where: {column: assessment_outcome, equals: prevention_owed}}
      - {name: relief, where: {not: {column: relief_end_reason, equals: none}}}
      - {name: main_duty, where: {column: main_duty_decision, equals: accepted}}
""",
    reasons=(
        ("A", "prevention, and no later stage"),
        ("B", "prevention to relief, relief to main duty, main duty to no later stage"),
        ("C", "relief to main duty, main duty to no later stage"),
        ("D", "whether relief ended is not known: prevention to main duty, and no later stage from there"),
        ("E", "no stage: counts nowhere"),
    ),
    exact={(): (1, 1, 1, 2, 0, 3)},
    totals={(): (412, 57, 871, 640, 498, 699)},
    reading="""\
The intervals are about the noise alone: what the same figures of the exact records would be. Numbers carry the noise of
one cell. The interval of a share comes from the exact law of the noise in its number and in those it is compared with.

Where neither of these exceeds twice what its noise alone reaches, nothing is said: the interval is 0 to 1, and the
coverage declared is 1. Of shares near a half just above that limit, up to 2.5 in 100 fewer are held than declared,
though never fewer than 95 in 100 of all.

Numbers that left one stage add up to those who reached it. Numbers that go *to* a stage do not: some reach it first.""",
    answers=(
        (("prevention_to_relief",), 412.0, 402.0, 422.0),
        (("prevention_to_relief_share",), 0.3075, 0.3017, 0.3132),
        (("prevention_to_main_duty",), 57.0, 47.0, 67.0),
        (("prevention_to_main_duty_share",), 0.0425, 0.0354, 0.0495),
        (("prevention_to_no_later_stage",), 871.0, 861.0, 881.0),
        (("prevention_to_no_later_stage_share",), 0.65, 0.6432, 0.6569),
        (("relief_to_main_duty",), 640.0, 630.0, 650.0),
        (("relief_to_main_duty_share",), 0.5624, 0.5564, 0.5683),
        (("relief_to_no_later_stage",), 498.0, 488.0, 508.0),
        (("relief_to_no_later_stage_share",), 0.4376, 0.4317, 0.4436),
        (("main_duty_to_no_later_stage",), 699.0, 689.0, 709.0),
    ),
    universes=tuple(
        Universe(
            table=Table(
                name="t",
                statistic="pathway",
                by=(Dimension(column="main_sex"),),
                max_cells=bound,
                conditions=tuple(Named(name=name, where=where) for name, where in STAGES[:stages]),
            ),
            kinds=kinds(stages),
            most_rows=bound + 1,
        )
        for bound, stages in ((1, 2), (2, 2), (1, 4), (2, 3))
    ),
)
