"""Ratio: one sum over households divided by another."""

from itertools import product

from federated.query import Dimension, Measured, Points, Table, measured
from tests.spec.specification import SEXES, Specification, Universe, row, row_of

EACH_ROW = Points(base=1, terms=())

SPECIFICATION = Specification(
    code="ratio",
    heading="Ratio of sums",
    what="""\
The sum of one measure over households, divided by the sum of another: children for each application, nights for each
placement. A household's values in a cell are added up, and each total is held within its bounds. A row for which either
is not known is left out. The second measure has a lower bound of 1 or more, so that the ratio has bounds too.

To count rows, measure `points` with a base of 1 and no terms.

Two numbers are kept for each cell. With a and b for a household's two totals, they are the sums of ua + wb
(`together`, S) and of ua − wb (`apart`, D). The whole numbers u and w make both parts weigh alike:
u times the largest a is w times the largest b. The ratio is (w / u) · (S + D) / (S − D).""",
    bound="""\
One household counts in at most `max_cells` cells. With A for the largest a there can be, its two numbers change by at
most 2uA together: l1 = 2κuA and squared l2 = 4κ(uA)², where κ is `max_cells`.

Where 2κuA is 256 or more, each council counts the numbers in steps of 2κuA / 128, rounded down to a whole number, and
rounds once, after adding up. What rounding adds to the change is charged.""",
    rows=(
        row("A", "2025-01-10", "female", 2),
        row("A", "2025-02-03", "female", 1),
        row("B", "2025-01-15", "female", 6),
        row("C", "2025-02-20", "male", None),
        row("D", "2025-03-01", "male", 1),
    ),
    question="""\
query: 1
title: Children for each application, by sex of the main applicant
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - name: children_per_application
    statistic: ratio
    measures:
      - {column: dependent_children_n, clip: [0, 6]}
      - {points: [], base: 1, clip: [1, 3]}
    by: [main_sex]
""",
    reasons=(
        ("A", "3 children and 2 applications: 3 + 2 × 2 = 7 together, 3 − 2 × 2 = −1 apart"),
        ("B", "6 children and 1 application: 8 together, 4 apart"),
        ("C", "the number of children is not known: left out"),
        ("D", "1 child and 1 application: 3 together, −1 apart"),
    ),
    exact={("male",): (3, -1), ("female",): (15, 3)},
    totals={("male",): (1905, -201), ("female",): (2810, 410), ("not_known",): (-9, 24)},
    reading="""\
The interval is about the noise: it holds what a perfect reading of the councils' records would give, 95 times in 100.
It is the set of all ratios that the noise explains. Where the bottom does not exceed twice what its noise alone
reaches, that set may have no end. Nothing is said then: the interval is the widest that `clip` allows, which is certain
to hold the ratio, and the coverage declared is 1. In cells just above that limit up to 2.5 in 100 fewer intervals hold
the ratio than declared.""",
    answers=(
        (("male",), 1.6182, 1.552, 1.6868),
        (("female",), 2.6833, 2.6079, 2.7615),
        (("not_known",), float("nan"), 0, 6),
    ),
    universes=tuple(
        Universe(
            table=Table(
                name="t",
                statistic="ratio",
                by=(Dimension(column="main_sex"),),
                max_cells=bound,
                measures=(measured("dependent_children_n", *clip), Measured(measure=EACH_ROW, low=1, high=2)),
            ),
            kinds=tuple(
                row_of(main_sex=sex, dependent_children_n=value) for sex, value in product(SEXES[:2], (-99, 1, 99))
            ),
            most_rows=4,
            tight=tight,
        )
        for bound in (1, 2)
        for clip, tight in (((0, 3), (True, True)), ((-4, 1), (True, True)), ((0, 200), (False, False)))
    ),
)
