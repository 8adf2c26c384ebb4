"""Covariance: how two totals of households go together."""

from itertools import product

from federated.query import Dimension, Equals, Measured, Points, Table, measured
from tests.spec.specification import SEXES, Specification, Universe, row, row_of

TYPES = ("single_adult_male", "single_adult_female", "two_adults_with_children")
POINTS = Points(
    base=0,
    terms=((Equals(column="household_type", value=TYPES[0]), 1), (Equals(column="household_type", value=TYPES[1]), 9)),
)

SPECIFICATION = Specification(
    code="covariance",
    heading="Covariance and correlation",
    what="""\
How two measures of the same households go together: their covariance, and their correlation, which is between −1 and 1.
A household's values in a cell are added up, and each total is held within its bounds. A row for which either is not
known is left out.

With a and c for how far a total lies above its lower bound and below its upper, and x and y for the two measures, six
numbers are kept for each cell. They are the sums of the four products of a or c of x with a or c of y, each times u, and of
a · c of x times v and of a · c of y times v′. The whole numbers u, v and v′ make all parts weigh alike, whatever the
units of the measures.""",
    bound="""\
One household counts in at most `max_cells` cells. With B and B′ for the two ranges and κ for `max_cells`, l1 is
κ(uBB′ + v · ⌊B²/4⌋ + v′ · ⌊B′²/4⌋). Squared l2 is κ times the largest sum of squares; it is at one of four corners,
which the module works out.

Where l1 is 256 or more, each council counts the numbers in steps of l1 / 128, rounded down to a whole number, and rounds
once, after adding up. What rounding adds to the change is charged.""",
    rows=(
        row("A", "2025-01-10", "female", 2),
        row("A", "2025-02-03", "female", 1),
        row("B", "2025-01-15", "female", 6),
        row("C", "2025-02-20", "male", None),
        row("D", "2025-03-01", "male", 1),
    ),
    question="""\
query: 1
title: How the number of children goes with the number of applications, by sex of the main applicant
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - name: children_and_applications
    statistic: covariance
    measures:
      - {column: dependent_children_n, clip: [0, 4]}
      - {points: [], base: 1, clip: [1, 3]}
    by: [main_sex]
""",
    reasons=(
        ("A", "3 children and 2 applications: 3 above and 1 below; 1 above and 1 below. With u = 2, v = 1 and v′ = 4"),
        ("B", "6 children, held to 4, and 1 application: 4 above and 0 below; 0 above and 2 below"),
        ("C", "the number of children is not known: left out"),
        ("D", "1 child and 1 application: 1 above and 3 below; 0 above and 2 below"),
    ),
    exact={("male",): (0, 4, 0, 12, 3, 0), ("female",): (6, 22, 2, 2, 3, 4)},
    totals={
        ("male",): (904, 1522, 811, 3260, 733, 405),
        ("female",): (1300, 2100, 600, 2410, 760, 500),
        ("not_known",): (31, -60, 12, 8, 55, -21),
    },
    reading="""\
The intervals are about the noise: they hold what a perfect reading of the councils' records would give, 95 times in
100. They do not say how much other households would differ, and a correlation is not a cause.

Both are right to first order and are given only where what they are divided by clearly exceeds its noise. Elsewhere
nothing is said: the interval is the widest that there can be, and the coverage declared is 1. In cells just above that
limit up to 2.5 in 100 fewer intervals hold the truth than declared. A correlation needs that both measures vary: of one
that hardly does, nothing is said.""",
    answers=(
        (("male", "covariance"), 0.3246, 0.272, 0.3773),
        (("male", "correlation"), 0.3209, 0.2682, 0.3773),
        (("female", "covariance"), 0.3647, 0.3134, 0.4169),
        (("female", "correlation"), 0.3492, 0.2946, 0.4098),
        (("not_known", "covariance"), float("nan"), -2, 2),
    ),
    universes=tuple(
        Universe(
            table=Table(
                name="t",
                statistic="covariance",
                by=(Dimension(column="main_sex"),),
                max_cells=bound,
                measures=(
                    measured("dependent_children_n", low, high),
                    Measured(measure=POINTS, low=0, high=most),
                ),
            ),
            kinds=tuple(
                row_of(main_sex=sex, household_type=kind, dependent_children_n=value)
                for sex, kind, value in product(SEXES[:2], TYPES, (-9, 1, 9))
            ),
            most_rows=2,
            tight=tight,
        )
        for bound in (1, 2)
        for low, high, most, tight in (
            (0, 3, 3, (True, True)),
            (0, 2, 1, (True, True)),
            (-30, 30, 9, (False, False)),
        )
    ),
)
