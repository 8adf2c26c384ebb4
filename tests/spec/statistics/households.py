"""Households: each counts once in a cell, and in no more cells than the question allows."""

from tests.spec.specification import Specification, row, sex_universes

SPECIFICATION = Specification(
    code="households",
    heading="Number of households",
    what="""\
How many different households there are in each cell. A household with several rows in a cell counts there once.
In a data set about people, the same statistic counts people.""",
    bound="""\
One household counts in at most `max_cells` cells, once in each. If its rows fall in more cells, a keyed choice inside
the council keeps that many. So a household coming or going changes the table by at most `max_cells` in all:
l1 = κ and squared l2 = κ, where κ is `max_cells`.""",
    rows=(
        row("A", "2025-01-10", "female", 1),
        row("A", "2025-02-03", "female", 1),
        row("B", "2025-01-15", "male", 0),
        row("B", "2025-03-20", "female", 2),
        row("C", "2025-03-31", "male", 0),
        row("D", "2025-04-01", "male", 0),
        row("E", "2025-02-11", "not_known", None),
    ),
    question="""\
query: 1
title: Households assessed, by sex of the main applicant
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - {name: sex, count: households, by: [main_sex], max_cells: 2}
""",
    reasons=(
        ("A", "two rows in one cell: counts once"),
        ("B", "rows in two cells, and `max_cells` is 2: counts in both"),
        ("C", "the last day of the period is part of it"),
        ("D", "outside the period: not counted"),
        ("E", "not known is a category like any other"),
    ),
    exact={("male",): (2,), ("female",): (2,), ("not_known",): (1,)},
    totals={("male",): (812,), ("female",): (1043,), ("not_known",): (-2,)},
    reading="""\
A small count can come out below zero. It is left as it is, so that sums of cells are right on average; tables for
printing may show it as zero.""",
    # Half widths 6 and 13 agree with two million simulated sums of twelve shares: 0.9514 and 0.9558 lie within.
    answers=((("male",), 812, 806, 818), (("female",), 1043, 1037, 1049), (("not_known",), -2, -8, 4)),
    universes=sex_universes("households"),
)
