"""Shares: rows that meet one condition among those that meet another."""

from federated.query import Dimension, Equals, Named, Not, Table
from tests.spec.specification import SEXES, Specification, Universe, row, row_of

MALE = Named(name="male", where=Equals(column="main_sex", value="male"))
KNOWN = Named(name="known", where=Not(condition=Equals(column="main_sex", value="not_known")))

SPECIFICATION = Specification(
    code="share",
    heading="Share of rows",
    what="""\
The share of rows that meet a condition, among those that meet another, or among all. The first of `conditions` says
what is part; the second, which may be left out, says what the whole is. A row is part where both are known to hold. A
row of the whole for which the first is not known to hold is not part: to leave such rows out, say so in the second.

Two numbers are kept for each cell: rows of the whole that are part (`part`), and those that are not (`rest`).

Rows are counted, because a household with a row of each kind would be in both numbers. Of a household with more rows
than `max_cells`, that many are kept before the conditions are looked at. Where only some kinds of rows matter, say so
in the `where` of the question: other rows then do not compete.""",
    bound="""\
At most `max_cells` rows of a household are kept. Each adds 1 to one of the two numbers or to none, and all may be in
one number: l1 = κ and squared l2 = κ², where κ is `max_cells`.""",
    rows=(
        row("A", "2025-01-10", "female", 2),
        row("B", "2025-01-15", "female", 0),
        row("C", "2025-02-20", "male", None),
        row("D", "2025-03-01", "male", 1),
        row("E", "2025-03-02", "male", 0),
    ),
    question="""\
query: 1
title: Share of applications with children, where that is known, by sex of the main applicant
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - name: with_children
    statistic: share
    conditions:
      - {name: children, where: {column: dependent_children_n, between: [1, 20]}}
      - {name: known, where: {not: {column: dependent_children_n, unknown: true}}}
    by: [main_sex]
""",
    reasons=(
        ("A", "2 children: part"),
        ("B", "no child: rest"),
        ("C", "not known: outside the whole"),
        ("D", "1 child: part"),
        ("E", "no child: rest"),
    ),
    exact={("male",): (1, 1), ("female",): (1, 1)},
    totals={("male",): (84, 1106), ("female",): (512, 903), ("not_known",): (3, -1)},
    reading="""\
The interval comes from the exact law of the noise in both numbers: it holds what a perfect reading of the councils'
records would give as often as it declares. It does not say how much another year would differ. Where the larger of the
two numbers does not exceed twice what noise alone reaches, nothing is said: the interval is from 0 to 1, and the
coverage declared is 1. In cells just above that limit whose share is near a half, up to 2.5 in 100 fewer intervals
hold the share than declared, though never fewer than 95 in 100 over all cells.""",
    answers=((("male",), 0.0706, 0.0682, 0.073), (("female",), 0.3618, 0.3602, 0.3634), (("not_known",), 1, 0, 1)),
    universes=tuple(
        Universe(
            table=Table(
                name="t",
                statistic="share",
                by=(Dimension(column="household_type"),),
                max_cells=bound,
                conditions=conditions,
            ),
            kinds=tuple(
                row_of(main_sex=sex, household_type=kind)
                for sex in SEXES
                for kind in ("single_adult_male", "single_adult_female")
            ),
            most_rows=4,
        )
        for bound in (1, 2, 3)
        for conditions in ((MALE,), (MALE, KNOWN))
    ),
)
