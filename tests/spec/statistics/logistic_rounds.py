"""Logistic regression on numbers: gradient and Hessian, in several rounds."""

from datetime import date
from itertools import product
from typing import Any

from federated.privacy import Mechanism
from federated.query import Equals, Measured, Named, Points, Table, measured
from tests.spec.specification import Specification, Universe, row_of

LONE = Points(base=0, terms=((Equals(column="main_sex", value="male"), 1),))


def case(household: str, sex: str, children: int | None, end: str) -> dict[str, Any]:
    return {
        "household": household,
        "assessment_date": date(2025, 1, 10),
        "main_sex": sex,
        "dependent_children_n": children,
        "relief_start": date(2025, 1, 1),
        "relief_end": date.fromisoformat(end),
    }


SPECIFICATION = Specification(
    code="logistic_rounds",
    heading="Logistic regression on numbers",
    what="""\
How does an outcome go with numbers, such as days or points? The condition is the outcome: a row has it or not. The
measures are the features, each held within its `clip`, row by row; a constant is always there. Rows where a feature is
not known are left out. `logistic` is for closed categories: it costs one round and says more. There are no breakdowns
and no regions here.

The fit is found step by step. In each of the `rounds` the coordinator names coefficients, and each council sums two
things at them: how far its rows miss them, and how fast that changes. From the sums of all councils follow the
coefficients of the next round. Every council checks that all of them count at the same. The first round starts at 0.

**One budget is declared for all rounds.** Each round has the same part of it, and is charged before any data is read
for it. A question whose rounds do not all fit into what is left is refused before the first. If a round is lost, it is
held again, and charged again, as often as `attempts` allows. If the rounds end early, nothing is released, and what was
charged stays charged. Six rounds are a good choice: the first two find the way, all later ones count in the answer.

**It is an association**, as in any such fit.""",
    bound="""\
A measure x is centred and scaled by whole numbers, to u within −U and U. At its predictor, held within −8 and 8, a row
has a mean p and a weight p·(1 − p), read off a public table. It adds (y − p)·u to the first sums and p·(1 − p)·u·u′ to
the others. Where the first is large the second is small. The claim is the largest change over *every* line of the table:
no coefficients, good or bad, can make a household count for more. With d sums of the first kind, the squared l2 is about
κ²·d times that of one sum, where κ is `max_cells`; the others add nothing. All sums are counted in steps of 1/64 of the
largest change, rounded once by each council, and the claim holds what rounding can add.""",
    rows=(
        case("A", "female", 2, "2025-01-21"),
        case("B", "male", 0, "2025-02-10"),
        case("C", "male", None, "2025-01-05"),
        case("D", "female", 9, "2025-06-01"),
    ),
    question="""\
query: 1
title: Long relief duties by number of children and sex
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "3"
tables:
  - name: long
    statistic: logistic_rounds
    rounds: 6
    conditions:
      - {name: ended_late, where: {column: relief_end, between: [2025-02-01, 2025-12-31]}}
    measures:
      - {column: dependent_children_n, clip: [0, 6]}
      - {points: [{where: {column: main_sex, equals: male}, points: 1}], clip: [0, 1]}
""",
    reasons=(
        ("A", "2 children, not male, without the outcome: it misses 1/2 by −1/2, so −32 steps of the constant"),
        ("B", "no child, male, with the outcome: +32 steps of the constant"),
        ("C", "children not known: left out"),
        ("D", "9 children held to 6, not male, with the outcome: +32 steps of the constant"),
    ),
    exact={(): (32, 11, 32, 48, -5, 34, -16, -27, 48)},
    totals={(): (-738, 635, 204, 637741, -384210, 394440, -134814, 79893, 637815)},
    rounds=(
        ((0, 0, 0), (20255, 19638, 36281, 639625, -384176, 396000, -135768, 81013, 640413)),
        ((165, 197, 68), (251, -1031, -751, 637168, -384207, 394160, -133709, 79882, 637438)),
        ((162, 191, 67), (-924, 768, 1132, 638001, -384451, 393932, -135491, 80051, 636978)),
        ((162, 192, 69), (1010, 866, -1309, 638026, -384205, 394615, -133895, 80052, 638388)),
        ((169, 201, 67), (-1623, -690, 482, 637624, -384359, 393795, -135720, 80477, 637627)),
        ((160, 190, 67), (-738, 635, 204, 637741, -384210, 394440, -134814, 79893, 637815)),
    ),
    mechanism=Mechanism.DISCRETE_GAUSSIAN,
    answers=(
        (("intercept",), -0.0965, -0.0978, -0.0951),
        (("x1",), 0.0631, 0.0619, 0.0642),
        (("x2",), 0.1318, 0.1302, 0.1335),
        (("intercept_sampling",), -0.0965, -0.1261, -0.0668),
        (("x1_sampling",), 0.0631, 0.0501, 0.0761),
        (("x2_sampling",), 0.1318, 0.0916, 0.1721),
        (("rows",), 39976.5625, 39915.6290, 40037.4960),
    ),
    reading="""\
These are the totals of the last of six rounds, made from 40,000 made-up rows. There the first three are next to 0: the
coefficients fit. The figures are made of all rounds but the first two. The council's own figures above are those of the
first round, where every row has the mean 1/2.

The fit of the rows themselves, without any noise, has the constant −0.0961 and the coefficients 0.0631 and 0.1317. Those
of the usual fit without a ridge are the same to four places. The ridge is public: half of each squared coefficient, as
much as a few rows would add. It is there so that a fit exists where a feature tells the outcome apart.

`x1` is the first feature of the question, `x2` the second. A coefficient is the logarithm of an odds ratio: by how much
the log odds are higher where that feature is higher by one and the others are the same. The standard error and the
interval without `_sampling` are about the noise alone: what the exact fit of the councils' records would be, each
feature held within its `clip`. They hold the noise in the first sums of every round used, and what councils round off.
Those with `_sampling` add chance: what would be found for other rows of the same kind, if rows are independent. `rows`
is from the first round.

Where councils drop out between rounds, only rounds over the councils of the last one count. Nothing is said where the
sums hardly exceed their noise: few rows, a mark that hardly any row has, or two features that say the same. Nor is it
where the rounds have not settled: then ask for more rounds. The interval is then the widest possible, and its coverage
1 (1,000,000,000 stands for no limit). With ε = 1 and two features that fill their bounds some 6,000 rows are enough. A
feature whose values lie close together within wide bounds needs ten times as many: choose narrow ones. Coverage is
checked by simulation at three budgets, with plain, skewed and rare features.""",
    universes=tuple(
        Universe(
            table=Table(
                name="t",
                statistic="logistic_rounds",
                max_cells=bound,
                measures=measures,
                conditions=(Named(name="male", where=LONE.terms[0][0]),),
                rounds=2,
            ),
            kinds=tuple(
                row_of(main_sex=sex, dependent_children_n=value)
                for sex, value in product(("male", "female"), (-9, 0, 1, 9))
            ),
            most_rows=2,
            tight=(False, False),
            coefficients=coefficients,
        )
        for bound in (1, 2)
        for measures, points in (
            (
                (measured("dependent_children_n", 0, 2),),
                ((0, 0), (-8192, 0), (8192, 0), (-2300, 0), (16384, -16384), (-700, 311), (5000, 3000)),
            ),
            (
                (measured("dependent_children_n", -3, 4), Measured(measure=LONE, low=0, high=1)),
                ((0, 0, 0), (-16384, 16384, -16384), (1000, -77, 12)),
            ),
        )
        for coefficients in points
    ),
)
