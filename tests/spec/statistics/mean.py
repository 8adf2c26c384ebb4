"""Mean: each household's total, held within public bounds, averaged over households."""

from tests.spec.specification import Specification, row, sex_universes

SPECIFICATION = Specification(
    code="mean",
    heading="Mean",
    what="""\
The mean over households of a whole-number column. A household's values in a cell are added up and the total is held
within the bounds of `clip`; the mean is over the households that have a value there.

Two numbers are kept for each cell: how far the totals lie above the lower bound, added up (`above_low`, A), and how far
below the upper bound (`below_high`, C). The mean is low + (high − low) · A / (A + C).""",
    bound="""\
One household counts in at most `max_cells` cells. In each, its two numbers are not negative and add up to
B = high − low: l1 = κB and squared l2 = κB², where κ is `max_cells`. A count and a sum would tell the same, but cost
more noise for the same interval; the module's first lines work that out.""",
    rows=(
        row("A", "2025-01-10", "female", 2),
        row("A", "2025-02-03", "female", 1),
        row("B", "2025-01-15", "female", 6),
        row("C", "2025-02-20", "male", None),
        row("D", "2025-03-01", "male", 1),
    ),
    question="""\
query: 1
title: Mean number of children, by sex of the main applicant
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - {name: children, mean: dependent_children_n, clip: [0, 4], by: [main_sex]}
""",
    reasons=(
        ("A", "3 children: 3 above the lower bound, 1 below the upper"),
        ("B", "6, held to 4: 4 above, 0 below"),
        ("C", "not known: left out"),
        ("D", "1 child: 1 above, 3 below"),
    ),
    exact={("male",): (1, 3), ("female",): (7, 1)},
    totals={("male",): (401, 2390), ("female",): (1391, 2810), ("not_known",): (9, 14)},
    reading="""\
The interval comes from the exact law of the noise in both numbers. Where the larger of the two does not exceed twice
what noise alone reaches, nothing is said: the interval is the whole range of `clip`, which is certain to hold the mean,
and the coverage declared is 1. In cells just above that limit whose mean is near the middle of the range, up to 2.5 in
100 fewer intervals hold the mean than declared, though never fewer than 95 in 100 over all cells.

Near a bound the interval is one-sided: a mean of exactly 0 is held in 95 of 100 answers, as any other is.""",
    answers=(
        (("male",), 0.5747, 0.5585, 0.5907),
        (("female",), 1.3244, 1.3155, 1.3333),
        (("not_known",), 1.5652, 0, 4),
    ),
    universes=sex_universes("mean", clips=((0, 4), (-7, 2), (3, 5))),
)
