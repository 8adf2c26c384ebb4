"""Poisson regression: a whole number on categories, from one table."""

from federated.query import Dimension, Table, measured
from tests.spec.specification import SEXES, Specification, Universe, row, row_of

SPECIFICATION = Specification(
    code="poisson",
    heading="Poisson regression",
    what="""\
How does a number (children, placements, approaches) go with up to three breakdowns, each for itself? The measure is the
outcome. A household's values in a cell are added up and held within `clip`; rows where it is not known are left out.
Two numbers are kept for each combination of categories, as for the mean: how far the totals lie above the lower bound
(`above_low`) and how far below the upper (`below_high`).

From the sums of all councils follows the fit of maximum likelihood: a constant and one coefficient for each category but
the first of each breakdown, the *reference*. A coefficient is the logarithm of a ratio of means; its exponential is the
ratio. All categories of a breakdown are printed, the reference with 0.

**It is an association**, as in any such fit.""",
    bound="""\
One household counts in at most `max_cells` cells. In each, its two numbers are not negative and add up to
B = high − low: l1 = κB and squared l2 = κB², where κ is `max_cells`.

The fit takes one round. A method that asks the councils again at every step would need several rounds of one plan, and
a plan has one.""",
    rows=(
        row("A", "2025-01-10", "female", 2),
        row("A", "2025-02-03", "female", 1),
        row("B", "2025-01-15", "female", 6),
        row("C", "2025-02-20", "male", None),
        row("D", "2025-03-01", "male", 1),
    ),
    question="""\
query: 1
title: Number of children by sex of the main applicant, as a ratio
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - name: children
    statistic: poisson
    measures: [{column: dependent_children_n, clip: [0, 4]}]
    by: [main_sex]
""",
    reasons=(
        ("A", "3 children: 3 above the lower bound, 1 below the upper"),
        ("B", "6, held to 4: 4 above, 0 below"),
        ("C", "not known: left out"),
        ("D", "1 child: 1 above, 3 below"),
    ),
    exact={("male",): (1, 3), ("female",): (7, 1)},
    totals={("male",): (401, 2390), ("female",): (1391, 2810), ("not_known",): (9, 14)},
    answers=(
        (("intercept",), -0.5538, -0.5822, -0.5254),
        (("main_sex_male",), 0.0000, 0.0000, 0.0000),
        (("main_sex_female",), 0.8348, 0.8057, 0.8638),
        (("intercept_sampling",), -0.5538, -0.6552, -0.4524),
        (("main_sex_male_sampling",), 0.0000, 0.0000, 0.0000),
        (("main_sex_female_sampling",), 0.8348, 0.7204, 0.9491),
        (("households",), 1753.7500, 1746.2223, 1761.2777),
    ),
    reading="""\
With one breakdown, as here, the fit gives back the means: 0.57 children for men and 1.32 for women, a ratio of 2.30,
whose logarithm is 0.83. With several, it says what goes with each of them, the others being the same.

The interval without `_sampling` is about the noise alone: what the exact fit of the councils' records would be, each
household's total held within `clip`. The one with `_sampling` adds chance: what would be found for other households of
the same kind. It supposes that totals vary as Poisson numbers do, with a variance as large as their mean. Where they
vary more, that interval is too narrow; where `clip` cuts many of them, it is too wide.

A category is part of the fit where both its numbers exceed 8 standard deviations of their noise. Households of other
categories are left out of the fit. Nothing is said of those categories: their interval is the widest possible, and its
coverage 1 (1,000,000,000 stands for no limit). If the first category is left out, the first that is not becomes the
reference. Nothing at all is said where the noise is large beside what the table tells.

Coverage is checked by simulation at three budgets, with even, skewed and sparse cells. Near the limit of a category up
to 4 in 100 fewer intervals hold the truth than declared, because the noise that lifts it over the limit also moves its
coefficient. Over all answers never fewer than 95 in 100 do.""",
    universes=tuple(
        Universe(
            table=Table(
                name="t",
                statistic="poisson",
                by=(Dimension(column="main_sex"),),
                max_cells=bound,
                measures=(measured("dependent_children_n", *clip),),
            ),
            kinds=tuple(row_of(main_sex=sex, dependent_children_n=value) for sex in SEXES for value in (0, 1, 9)),
            most_rows=3,
        )
        for bound in (1, 2, 3)
        for clip in ((0, 4), (2, 5))
    ),
)
