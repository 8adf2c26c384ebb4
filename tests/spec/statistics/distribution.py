"""Distribution: households by the band that their total lies in."""

from federated.query import Dimension, Table, measured
from tests.spec.specification import SEXES, Specification, Universe, row, row_of

SPECIFICATION = Specification(
    code="distribution",
    heading="Households by band",
    what="""\
How many households have a total in each band: nights placed, children, approaches made. The bands are cut at public
`edges`; band 0 lies below the first edge, and each edge begins a new band. A household's values in a cell are added up
and the total is held within the bounds of `clip`; rows where the value is not known are left out.

To count rows instead of adding up a column, ask for points: `{points: [], base: 1, clip: [0, 20]}`.""",
    bound="""\
One household counts in at most `max_cells` cells of the breakdowns and there in one band: l1 = κ and squared l2 = κ,
where κ is `max_cells`. The number of bands costs nothing, but each carries its own noise.""",
    rows=(
        row("A", "2025-01-10", "female", 2),
        row("A", "2025-02-03", "female", 1),
        row("B", "2025-01-15", "female", 6),
        row("C", "2025-02-20", "male", None),
        row("D", "2025-03-01", "male", 0),
    ),
    question="""\
query: 1
title: Households by number of children, by sex of the main applicant
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - name: children
    statistic: distribution
    measures: [{column: dependent_children_n, clip: [0, 6]}]
    edges: [1, 3]
    by: [main_sex]
""",
    reasons=(
        ("A", "3 children over two applications: the band '3 and over'"),
        ("B", "6 children: '3 and over'"),
        ("C", "not known: left out"),
        ("D", "no children: 'under 1'"),
    ),
    exact={("male", "0"): (1,), ("female", "2"): (2,)},
    totals={("male", "0"): (420,), ("male", "1"): (35,), ("female", "0"): (510,), ("female", "2"): (261,)},
    reading="""\
Each band is a count like any other, with the same noise and the same interval. A band near zero may be negative.
Neighbouring bands may be added; the noise of two bands is √2 times that of one.""",
    answers=(
        (("male", "0"), 420, 417, 423),
        (("male", "1"), 35, 32, 38),
        (("female", "0"), 510, 507, 513),
        (("female", "2"), 261, 258, 264),
    ),
    universes=tuple(
        Universe(
            table=Table(
                name="t",
                statistic="distribution",
                by=(Dimension(column="main_sex"),),
                max_cells=bound,
                measures=(measured("dependent_children_n", -1, 4),),
                edges=(0, 1, 3),
            ),
            kinds=tuple(row_of(main_sex=sex, dependent_children_n=value) for sex in SEXES for value in (-9, 0, 1, 2)),
            most_rows=3,
        )
        for bound in (1, 2, 3)
    ),
)
