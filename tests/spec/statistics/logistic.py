"""Logistic regression: a yes-or-no outcome on categories, from one table."""

from datetime import date
from itertools import product
from typing import Any

from federated.query import Dimension, Equals, Named, Table
from tests.spec.specification import SEXES, Specification, Universe, row_of

RETURNED = Named(name="returned", where=Equals(column="prior_approach_24m", value="one"))


def case(household: str, sex: str, referred: str, earlier: str) -> dict[str, Any]:
    return {
        "household": household,
        "assessment_date": date(2025, 1, 10),
        "main_sex": sex,
        "la_referral_received": referred,
        "prior_approach_24m": earlier,
    }


SPECIFICATION = Specification(
    code="logistic",
    heading="Logistic regression",
    what="""\
How does a yes-or-no outcome go with up to three breakdowns, each for itself? The condition is the outcome. A household
has it in a cell when one of its rows there has; a row for which it is not known does not. For each combination of
categories, two numbers are kept: households with the outcome and without.

From the sums of all councils follows the fit of maximum likelihood: a constant and one coefficient for each category but
the first of each breakdown, the *reference*. "Not known" is a category like any other. A coefficient is the logarithm of
an odds ratio; its exponential is the odds ratio. All categories of a breakdown are printed, the reference with 0.

**It is an association**, as in any such fit.""",
    bound="""\
One household counts in at most `max_cells` cells. In each it adds 1 to one of two numbers: l1 = κ and squared l2 = κ,
where κ is `max_cells`.

The fit takes one round. A method that asks the councils again at every step would need several rounds of one plan, and
a plan has one.""",
    rows=(
        case("A", "female", "yes", "none"),
        case("A", "female", "yes", "one"),
        case("B", "male", "no", "one"),
        case("C", "male", "no", "none"),
        case("D", "male", "yes", "not_known"),
    ),
    question="""\
query: 1
title: Earlier applications by sex and by whether another council referred the household
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - name: earlier
    statistic: logistic
    conditions:
      - {name: applied_before, where: {column: prior_approach_24m, in: [one, two, three_or_more]}}
    by: [main_sex, la_referral_received]
""",
    reasons=(
        ("A", "one of two applications has the outcome: with it"),
        ("B", "with the outcome"),
        ("C", "without"),
        ("D", "not known: without"),
    ),
    exact={
        ("male", "no"): (1, 1),
        ("male", "yes"): (0, 1),
        ("female", "yes"): (1, 0),
    },
    totals={
        ("male", "yes"): (310, 1105),
        ("male", "no"): (1402, 3811),
        ("male", "not_known"): (7, 20),
        ("female", "yes"): (655, 3120),
        ("female", "no"): (498, 1790),
        ("female", "not_known"): (-3, 11),
        ("not_known", "no"): (4, 9),
    },
    answers=(
        (("intercept",), -1.2756, -1.2824, -1.2688),
        (("main_sex_male",), 0.0000, 0.0000, 0.0000),
        (("main_sex_female",), -0.2833, -0.2892, -0.2774),
        (("la_referral_received_yes",), 0.0000, 0.0000, 0.0000),
        (("la_referral_received_no",), 0.2767, 0.2703, 0.2831),
        (("intercept_sampling",), -1.2756, -1.3707, -1.1805),
        (("main_sex_male_sampling",), 0.0000, 0.0000, 0.0000),
        (("main_sex_female_sampling",), -0.2833, -0.3760, -0.1906),
        (("la_referral_received_yes_sampling",), 0.0000, 0.0000, 0.0000),
        (("la_referral_received_no_sampling",), 0.2767, 0.1811, 0.3723),
        (("households",), 12739.0000, 12726.5682, 12751.4318),
    ),
    reading="""\
The interval without `_sampling` is about the noise alone: what the exact fit of the councils' records would be. The one
with `_sampling` adds chance: what would be found for other households of the same kind, taken as independent.

A category is part of the fit where both its numbers, with the outcome and without, exceed 8 standard deviations of their
noise. Households of other categories are left out of the fit. Nothing is said of those categories: their interval is the
widest possible, and its coverage 1 (1,000,000,000 stands for no limit). If the first category is left out, the first
that is not becomes the reference. Nothing at all is said where the noise is large beside what the table tells.

Small cells do not bend the fit: its equations are sums of the noisy numbers, so that noise comes out with mean zero.
Setting negative counts to zero first, as is often done, does bend it. Coverage is checked by simulation at three
budgets, with even, skewed and sparse cells. Near the limit of a category up to 4 in 100 fewer intervals hold the truth
than declared, because the noise that lifts it over the limit also moves its coefficient. Over all answers never fewer than 95 in
100 do.""",
    universes=tuple(
        Universe(
            table=Table(
                name="t",
                statistic="logistic",
                by=(Dimension(column="main_sex"),),
                max_cells=bound,
                conditions=(RETURNED,),
            ),
            kinds=tuple(
                row_of(main_sex=sex, prior_approach_24m=earlier)
                for sex, earlier in product(SEXES, ("one", "none", "not_known"))
            ),
            most_rows=3,
        )
        for bound in (1, 2, 3)
    ),
)
