"""Linear regression: a bounded measure on others, from sums of products."""

from datetime import date
from itertools import product
from typing import Any

from federated.privacy import Mechanism
from federated.query import Equals, Measured, Points, Table, measured
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
    code="linear",
    heading="Linear regression",
    what="""\
How does a number go with others, all at once? The first measure is the outcome, the rest are the features; a constant is
always there. A mark of 0 and 1 is written as points. Each measure is held within its `clip`, row by row. Rows where one
of them is not known are left out. There are no breakdowns: add categories as marks.

Each council sums products of pairs of measures, no more. To give every pair the same range, a measure x is centred and
scaled first: u = m·(t·x − c), with whole numbers that follow from the bounds. The square of a mark is the same for every
row, so it is not released. From the sums of all councils follows the fit of least squares, as if all rows lay in one
place.

**It is an association**, as in any such fit.""",
    bound="""\
Let U be the largest size of each scaled measure. A row at a corner of the bounds adds U·U′ to the sum of every pair:
l1 = κ·Σ U·U′ and squared l2 = κ²·Σ (U·U′)², where κ is `max_cells`. Narrow bounds help much: the noise grows with the
square of the width. Wide bounds ask for more noise than can be drawn, and the plan says so. With ε = 1 and three
measures, the widest is about 45 for a group of five councils, 60 for twelve and 130 for all of England; with more
measures or a smaller ε it is less. Then use a coarser measure.""",
    rows=(
        case("A", "female", 2, "2025-01-21"),
        case("B", "male", 0, "2025-02-10"),
        case("C", "male", None, "2025-01-05"),
        case("D", "female", 9, "2025-06-01"),
    ),
    question="""\
query: 1
title: Length of the relief duty by number of children and sex
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - name: length
    statistic: linear
    measures:
      - {days: {from: relief_start, to: relief_end}, clip: [0, 60]}
      - {column: dependent_children_n, clip: [0, 6]}
      - {points: [{where: {column: main_sex, equals: male}, points: 1}], clip: [0, 1]}
""",
    reasons=(
        ("A", "20 days, 2 children, not male: scaled, the constant 30, −10, −30 and −10"),
        ("B", "40 days, no child, male: 30, −30, 30 and 10"),
        ("C", "children not known: left out"),
        ("D", "151 days held to 60, 9 children held to 6, not male: 30, 30, −30 and 30"),
    ),
    exact={(): (2700, -300, -900, 900, 1900, -1500, 700, -300, 1100)},
    totals={
        (): (18_021_186, -10_878_819, -8_116_643, 530_426, 11_041_651, 2_839_182, 378_330, 298_791, 3_422_265),
    },
    mechanism=Mechanism.DISCRETE_GAUSSIAN,
    answers=(
        (("intercept",), 27.6201, 27.5114, 27.7287),
        (("x1",), 1.8560, 1.7761, 1.9359),
        (("x2",), 3.8431, 3.6801, 4.0060),
        (("intercept_sampling",), 27.6201, 27.3287, 27.9114),
        (("x1_sampling",), 1.8560, 1.7102, 2.0019),
        (("x2_sampling",), 3.8431, 3.4032, 4.2829),
        (("residual_sd",), 12.7266, 12.6677, 12.7852),
        (("r_squared",), 0.0481, 0.0443, 0.0520),
        (("rows",), 20023.5400, 19994.3562, 20052.7238),
    ),
    reading="""\
These totals were made from 20,000 made-up rows. The fit of the rows themselves, without any noise, has the constant
27.6005 and the coefficients 1.8750 and 3.9793. Its residuals have a standard deviation of 12.6938, and R squared is
0.0496. Of nine intervals for the noise, about one in twenty misses.

`x1` is the first feature of the question, `x2` the second. A coefficient says by how much the outcome is higher where
that feature is higher by one and the others are the same, in the measures' own units. The interval without `_sampling`
is about the noise alone: what the exact fit of the councils' records would be, each held within its `clip`. The one with
`_sampling` adds chance: what would be found for other rows of the same kind. It supposes that rows are independent and
that residuals have one spread. With an outcome of 0 and 1 they do not quite; `logistic` is made for that.

Nothing is said where the features hardly move apart from each other, beside the noise: a mark that hardly any row has,
or two features that say the same. A ridge would still give figures there, but bent by an unknown amount. The interval is
then the widest possible, and its coverage 1 (1,000,000,000 stands for no limit). Coverage is checked by simulation at
three budgets, with many rows, with few, and with a rare mark.""",
    universes=tuple(
        Universe(
            table=Table(name="t", statistic="linear", max_cells=bound, measures=measures),
            kinds=tuple(
                row_of(main_sex=sex, dependent_children_n=value)
                for sex, value in product(("male", "not_known"), (-9, 0, 1, 3, 9))
            ),
            most_rows=3,
        )
        for bound in (1, 2)
        for measures in (
            (measured("dependent_children_n", 0, 4), Measured(measure=LONE, low=0, high=1)),
            (Measured(measure=LONE, low=0, high=1), measured("dependent_children_n", -2, 3)),
            (measured("dependent_children_n", 0, 4), measured("dependent_children_n", 1, 3)),
        )
    ),
)
