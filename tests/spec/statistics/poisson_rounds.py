"""Poisson regression on numbers: gradient and Hessian, in several rounds."""

from datetime import date
from itertools import product
from typing import Any

from federated.privacy import Mechanism
from federated.query import Equals, Measured, Points, Table, measured
from tests.spec.specification import Specification, Universe, row_of

LONE = Measured(measure=Points(base=0, terms=((Equals(column="main_sex", value="male"), 1),)), low=0, high=1)


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
    code="poisson_rounds",
    heading="Poisson regression on numbers",
    what="""\
How does a small whole number, such as the number of children or of moves, go with other numbers, such as days or points?
The first measure is the outcome, with a `clip` from 0 to B, at most 1,000. The others are the features, each held within
its `clip`, row by row; a constant is always there. Rows where one of them is not known are left out. `poisson` is for
closed categories: it costs one round and says more. There are no conditions, breakdowns or regions here.

**Choose B twice the largest mean, or more.** No mean above B/2 is fitted. If the fit would give one to any row within the
bounds, be there such a row or not, nothing is said: then ask with a larger B, or narrower bounds of the features. Outcomes
above B count as B. The noise grows with B: half of it gives half the noise.

The fit is found step by step. In each of the `rounds` the coordinator names coefficients, and each council sums two
things at them: how far its rows miss them, and how fast that changes. From the sums of all councils follow the
coefficients of the next round. Every council checks that all of them count at the same. The first round starts at 0.

**One budget is declared for all rounds.** Each round has the same part of it, and is charged before any data is read
for it. A question whose rounds do not all fit into what is left is refused before the first. If a round is lost, it is
held again, and charged again, as often as `attempts` allows. If the rounds end early, nothing is released, and what was
charged stays charged. Six rounds are a good choice: the first two find the way, all later ones count in the answer.

**It is an association**, as in any such fit.""",
    bound="""\
A measure x is centred and scaled by whole numbers, to u within −U and U. At its predictor, held between −8 and the
logarithm of B/2, a row has a mean m, read off a public table. It adds F·(y − m)·U·u to the first sums and m·u·u′ to the
others. Where a row can miss its mean by nearly B, the mean is next to 0; where the mean is B/2, a row misses it by B/2 at
most. The claim is the largest change over *every* line of the table: no coefficients, good or bad, can make a household
count for more. With d sums of the first kind, F is 1 for d up to 5 and 2 for more. The squared l2 is then about κ²·d times
that of one sum, where κ is `max_cells`; the others add nothing. All sums are counted in steps of 1/64 of the largest
change, rounded once by each council, and the claim holds what rounding can add.""",
    rows=(
        case("A", "female", 2, "2025-01-21"),
        case("B", "male", 0, "2025-02-10"),
        case("C", "male", None, "2025-01-05"),
        case("D", "female", 9, "2025-06-01"),
    ),
    question="""\
query: 1
title: Number of children by length of relief duty and sex
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "3"
tables:
  - name: children
    statistic: poisson_rounds
    rounds: 6
    measures:
      - {column: dependent_children_n, clip: [0, 6]}
      - {days: {from: relief_start, to: relief_end}, clip: [0, 60]}
      - {points: [{where: {column: main_sex, equals: male}, points: 1}], clip: [0, 1]}
""",
    reasons=(
        ("A", "2 children, 20 days, not male: it misses the mean 1 by 1, so 11 steps of the constant"),
        ("B", "no child, 40 days, male: it misses the mean 1 by −1, so −11 steps of the constant"),
        ("C", "children not known: left out"),
        ("D", "9 children held to 6, 151 days held to 60, not male: 53 steps of the constant"),
    ),
    exact={(): (53, 46, -75, 32, 11, 13, -11, -4, 32)},
    totals={(): (-91, -386, -350, 481909, 253082, 290832, -222539, -113964, 481703)},
    rounds=(
        ((0, 0, 0), (55710, 83485, -139114, 425716, 169318, 230638, -84300, -31423, 427482)),
        ((-67, 344, -284), (-27289, -9396, 2931, 509968, 263798, 306125, -225210, -113160, 510762)),
        ((-150, 375, -308), (836, -991, -647, 482452, 255376, 291067, -222145, -114622, 481967)),
        ((-144, 366, -309), (355, 629, -1520, 483464, 252375, 290916, -222895, -115513, 483845)),
        ((-146, 369, -313), (-1757, -1027, 1830, 484163, 253494, 291439, -224463, -115725, 484953)),
        ((-148, 368, -310), (-91, -386, -350, 481909, 253082, 290832, -222539, -113964, 481703)),
    ),
    mechanism=Mechanism.DISCRETE_GAUSSIAN,
    answers=(
        (("intercept",), -0.1982, -0.2039, -0.1924),
        (("x1",), 0.0120, 0.0118, 0.0121),
        (("x2",), -0.6067, -0.6096, -0.6039),
        (("intercept_sampling",), -0.1982, -0.2256, -0.1708),
        (("x1_sampling",), 0.0120, 0.0114, 0.0125),
        (("x2_sampling",), -0.6067, -0.6277, -0.5858),
        (("rows",), 39910.8750, 39818.9339, 40002.8161),
    ),
    reading="""\
These are the totals of the last of six rounds, made from 40,000 made-up rows. There the first three are next to 0: the
coefficients fit. The figures are made of all rounds but the first two. The council's own figures above are those of the
first round, where every row has the mean 1.

The fit of the rows themselves, without any noise, has the constant −0.2009 and the coefficients 0.0120 and −0.6050. Those
of the usual fit without a ridge are the same to four places; a test holds them against another library's. The ridge is
public: half of each squared coefficient, as much as a few rows would add. It is there so that a fit exists where a
feature tells the outcomes apart.

`x1` is the first feature of the question, `x2` the second. A coefficient is the logarithm of a ratio of means: by how
much the logarithm of the mean is higher where that feature is higher by one and the others are the same. The standard
error and the interval without `_sampling` are about the noise alone: what the exact fit of the councils' records would
be, each measure held within its `clip`. They hold the noise in the first sums of every round used, and what councils
round off. Those with `_sampling` add chance: what would be found for other rows of the same kind, if rows are
independent and outcomes vary as Poisson numbers do, with a variance as large as their mean. Where they vary more, that
interval is too narrow; where `clip` cuts many of them, it is too wide. `rows` is from the first round.

Where councils drop out between rounds, only rounds over the councils of the last one count. Nothing is said where the
sums hardly exceed their noise: few rows, a B far above the means, a mark that hardly any row has, or two features that
say the same. Nor is it where the rounds have not settled: then ask for more rounds. The interval is then the widest
possible, and its coverage 1 (1,000,000,000 stands for no limit). With ε = 1, outcomes up to 10 with a mean of 0.8, and two
features that fill their bounds, some 8,000 rows are enough. A feature whose values lie close together within wide bounds
needs many more: choose narrow ones. Coverage is checked by simulation at three budgets, with plain, skewed and rare
features.""",
    universes=tuple(
        Universe(
            table=Table(name="t", statistic="poisson_rounds", max_cells=bound, measures=measures, rounds=2),
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
                (measured("dependent_children_n", 0, 3), LONE),
                ((0, 0), (-8192, 0), (8192, 0), (-700, 311)),
            ),
            (
                (LONE, measured("dependent_children_n", -3, 4)),
                ((-16384, 16384), (-709, 0)),
            ),
        )
        for coefficients in points
    ),
)
