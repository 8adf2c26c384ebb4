"""Scores: public points added up inside the council, and counted in bands."""

from federated.query import Dimension, Equals, Measured, Points, Table
from tests.spec.specification import SEXES, Specification, Universe, row, row_of

POINTS = Points(base=0, terms=((Equals(column="main_sex", value="male"), 2),))

SPECIFICATION = Specification(
    code="scores",
    heading="Rows by band of a public score",
    what="""\
The points of a score are public and part of the question. Each council adds them up for its own rows and only counts
how many rows lie in each band; no score of anybody leaves the council, and none is kept. A condition that is not known
to hold adds no points.

A score must not decide anything about a person: the charter that every council has signed forbids it.""",
    bound="""\
At most `max_cells` rows of a household are kept, and all may lie in one band of one cell: l1 = κ and squared l2 = κ²,
where κ is `max_cells`. With one row each, both are 1.""",
    rows=(
        row("A", "2025-01-10", "female", 3),
        row("B", "2025-01-15", "female", 1),
        row("C", "2025-02-20", "male", None),
        row("D", "2025-03-01", "male", 2),
    ),
    question="""\
query: 1
title: Applications by band of a public score
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - name: risk
    statistic: scores
    measures:
      - points:
          - {where: {column: main_sex, equals: male}, points: 2}
          - {where: {column: dependent_children_n, between: [2, 20]}, points: 3}
        base: 1
        clip: [0, 10]
    edges: [3, 6]
""",
    reasons=(
        ("A", "1 + 3 = 4 points: '3 to 5'"),
        ("B", "1 point: 'under 3'"),
        ("C", "1 + 2 = 3 points, the number of children adding none: '3 to 5'"),
        ("D", "1 + 2 + 3 = 6 points: '6 and over'"),
    ),
    exact={("0",): (1,), ("1",): (2,), ("2",): (1,)},
    totals={("0",): (733,), ("1",): (412,), ("2",): (95,)},
    reading="""\
Each band is a count of rows. Where a household may have several rows in the period, `max_cells` says how many of them
can count.""",
    answers=((("0",), 733, 730, 736), (("1",), 412, 409, 415), (("2",), 95, 92, 98)),
    universes=tuple(
        Universe(
            table=Table(
                name="t",
                statistic="scores",
                by=(Dimension(column="main_sex"),),
                max_cells=bound,
                measures=(Measured(measure=POINTS, low=0, high=5),),
                edges=(1, 3),
            ),
            kinds=tuple(row_of(main_sex=sex) for sex in SEXES),
            most_rows=4,
        )
        for bound in (1, 2, 3)
    ),
)
