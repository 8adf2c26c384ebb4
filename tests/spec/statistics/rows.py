"""Rows: applications, placements or contacts, up to a number for each household."""

from tests.spec.specification import Specification, row, sex_universes

SPECIFICATION = Specification(
    code="rows",
    heading="Number of rows",
    what="""\
How many rows there are in each cell: applications, placements or contacts, by data set. Two rows of one household may
fall in the same cell. Where the extract has case references, a row exported twice counts once.""",
    bound="""\
At most `max_cells` rows of one household count, whatever cells they are in. If it has more, a keyed choice inside the
council keeps that many. At worst all are in one cell: l1 = κ and squared l2 = κ², where κ is `max_cells`.""",
    rows=(
        row("A", "2025-01-10", "female", 1),
        row("A", "2025-02-03", "female", 1),
        row("B", "2025-01-15", "male", 0),
        row("B", "2025-03-20", "female", 2),
        row("C", "2025-04-01", "male", 0),
    ),
    question="""\
query: 1
title: Assessments, by sex of the main applicant
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - {name: sex, count: rows, by: [main_sex], max_cells: 2}
""",
    reasons=(
        ("A", "two rows in one cell: both count, as `max_cells` is 2"),
        ("B", "one row in each of two cells"),
        ("C", "outside the period: not counted"),
    ),
    exact={("male",): (1,), ("female",): (3,)},
    totals={("male",): (905,), ("female",): (1188,), ("not_known",): (4,)},
    reading="""\
Ask for households unless the number of rows is really wanted: for the same noise, rows cost κ times the Gaussian
variance.""",
    # Half widths 6 and 13 agree with two million simulated sums of twelve shares: 0.9514 and 0.9558 lie within.
    answers=((("male",), 905, 899, 911), (("female",), 1188, 1182, 1194), (("not_known",), 4, -2, 10)),
    universes=sex_universes("rows"),
)
