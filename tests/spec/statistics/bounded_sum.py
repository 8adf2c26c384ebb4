"""Sum: each household's total, held within public bounds, added up."""

from tests.spec.specification import Specification, row, sex_universes

SPECIFICATION = Specification(
    code="sum",
    heading="Sum",
    what="""\
The sum of a whole-number column. A household's values in a cell are added up, the total is held within the bounds of
`clip`, and the results are added over households. Rows where the value is not known are left out.""",
    bound="""\
One household counts in at most `max_cells` cells, with at most B in each, where B is the larger of the two bounds
without its sign: l1 = κB and squared l2 = κB², where κ is `max_cells`. Wide bounds cost accuracy, so choose them from
public knowledge, never from the data.""",
    rows=(
        row("A", "2025-01-10", "female", 2),
        row("A", "2025-02-03", "female", 1),
        row("B", "2025-01-15", "female", 6),
        row("C", "2025-02-20", "male", None),
        row("D", "2025-03-01", "male", 1),
    ),
    question="""\
query: 1
title: Children in households assessed, by sex of the main applicant
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - {name: children, sum: dependent_children_n, clip: [0, 4], by: [main_sex]}
""",
    reasons=(
        ("A", "2 and 1 in one cell: 3"),
        ("B", "6, held to the bound: 4"),
        ("C", "not known: left out"),
        ("D", "1"),
    ),
    exact={("male",): (1,), ("female",): (7,)},
    totals={("male",): (388,), ("female",): (1391,), ("not_known",): (-3,)},
    reading="""\
The figure is a sum of totals held within the bounds. Households beyond a bound count as the bound, and the answer does
not say how many there are.""",
    # Half widths 6 and 13 agree with two million simulated sums of twelve shares: 0.9514 and 0.9558 lie within.
    answers=((("male",), 388, 375, 401), (("female",), 1391, 1378, 1404), (("not_known",), -3, -16, 10)),
    universes=sex_universes("sum", clips=((0, 4), (-7, 2), (-1, 3))),
)
