"""Variance: how far households lie apart, with the mean and the standard deviation."""

from federated.query import Dimension, Table, measured
from tests.spec.specification import Specification, Universe, row, row_of, sex_universes

SPECIFICATION = Specification(
    code="variance",
    heading="Mean and spread",
    what="""\
The mean, the variance and the standard deviation over households of what is measured. A household's values in a cell
are added up and the total is held within the bounds of `clip`. The variance is that of the households there are: it is
divided by their number.

Three numbers are kept for each cell. With a how far a total lies above the lower bound and c how far below the upper,
they are the sums of a² (`above_squared`, P), 2ac (`above_times_below`, Q) and c² (`below_squared`, R). With
T = P + Q + R and B = high − low, the mean is low + B · (P + Q/2) / T, and the variance is B² · (PR − Q²/4) / T².""",
    bound="""\
One household counts in at most `max_cells` cells. In each, its three numbers are not negative and add up to B²:
l1 = κB² and squared l2 = κB⁴, where κ is `max_cells`. No other choice of numbers has a smaller error in the worst case;
the module's first lines work that out.

Where κB² is 256 or more, each council counts the numbers in steps of κB² / 128, rounded down to a whole number, and
rounds once, after adding up. Rounding adds at most 3 steps to what one household can change, and that is charged.""",
    rows=(
        row("A", "2025-01-10", "female", 2),
        row("A", "2025-02-03", "female", 1),
        row("B", "2025-01-15", "female", 6),
        row("C", "2025-02-20", "male", None),
        row("D", "2025-03-01", "male", 1),
    ),
    question="""\
query: 1
title: Mean and spread of the number of children, by sex of the main applicant
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - name: children
    statistic: variance
    measures: [{column: dependent_children_n, clip: [0, 4]}]
    by: [main_sex]
""",
    reasons=(
        ("A", "3 children: a = 3 and c = 1, so 9, 6 and 1"),
        ("B", "6, held to 4: a = 4 and c = 0, so 16, 0 and 0"),
        ("C", "not known: left out"),
        ("D", "1 child: a = 1 and c = 3, so 1, 6 and 9"),
    ),
    exact={("male",): (1, 6, 9), ("female",): (25, 6, 1)},
    totals={("male",): (900, 2400, 7900), ("female",): (3600, 4100, 8700), ("not_known",): (20, -15, 31)},
    reading="""\
The intervals are about the noise: they hold what a perfect reading of the councils' records would give, 95 times in
100. They do not say how much another year's households would differ. The standard error is that of the noise.

The interval of the variance is right to first order, and it is given only where T exceeds four times what noise alone
reaches; that of the mean, where T exceeds twice that. Elsewhere nothing is said: the interval is the widest that `clip`
allows, and the coverage declared is 1. In cells just above the limit up to 2.5 in 100 fewer intervals hold the truth
than declared. A variance is never below 0 nor above B²/4, and intervals stop there: a figure close to either end is
held more often than declared, up to 97.5 times in 100.""",
    answers=(
        (("male", "mean"), 0.75, 0.7337, 0.7661),
        (("male", "variance"), 0.7232, 0.6754, 0.7704),
        (("male", "standard_deviation"), 0.8504, 0.8218, 0.8777),
    ),
    universes=(
        *sex_universes("variance", clips=((0, 4), (-7, 2))),
        *(
            Universe(
                table=Table(
                    name="t",
                    statistic="variance",
                    by=(Dimension(column="main_sex"),),
                    max_cells=bound,
                    measures=(measured("dependent_children_n", 0, 27),),
                ),
                kinds=tuple(
                    row_of(main_sex=sex, dependent_children_n=value)
                    for sex in ("male", "female")
                    for value in (0, 1, 13, 14, 26, 27, 30)
                ),
                most_rows=2,
                tight=(False, False),
            )
            for bound in (1, 2)
        ),
    ),
)
