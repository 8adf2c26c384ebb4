"""Matched comparison: rows helped beside rows alike that were not."""

from datetime import date
from itertools import product
from typing import Any

from federated.query import Dimension, Equals, In, Named, Table
from tests.spec.specification import SEXES, Specification, Universe, row_of

HELPED = Named(name="helped", where=Equals(column="intervention_code", value="programme_01"))
RETURNED = Named(name="returned", where=In(column="prior_approach_24m", values=("one", "two", "three_or_more")))


def case(household: str, sex: str, programme: str, earlier: str) -> dict[str, Any]:
    return {
        "household": household,
        "assessment_date": date(2025, 1, 10),
        "main_sex": sex,
        "intervention_code": programme,
        "prior_approach_24m": earlier,
    }


SPECIFICATION = Specification(
    code="matched",
    heading="Matched comparison",
    what="""\
Do households that were helped come back less often than similar ones that were not? The first condition says who was
helped (exposed), the second who came back (the outcome). Both names are yours. Only rows of the same combination of
breakdowns are held beside each other: a *stratum*. The strata are then pooled.

In a stratum let n1 rows be exposed and n0 not, N = n1 + n0. The *pooled risk difference* is the difference of the two
shares with the outcome, averaged over strata with weight n1·n0/N (Mantel and Haenszel). The *pooled risk ratio* is its
companion. Where N is below 12 standard deviations of the noise in one count, that stratum has less weight than this. So
no stratum is left out because of its noise, which would bend the answer.

**It is an association.** Nothing here knows what else sets the two groups apart. Returns are seen within one council
only. A row whose outcome is not known counts as one without it: leave such rows out with `where`.""",
    bound="""\
A row adds 1 to one count: of its stratum, exposed or not, with the outcome or not. At most `max_cells` rows of a
household are kept, and all may be in one count: l1 = κ and squared l2 = κ², where κ is `max_cells`.""",
    rows=(
        case("A", "female", "programme_01", "none"),
        case("B", "female", "none", "one"),
        case("C", "male", "none", "none"),
        case("D", "male", "programme_01", "two"),
        case("E", "male", "not_known", "one"),
        case("F", "male", "programme_02", "not_known"),
    ),
    question="""\
query: 1
title: Return of households on programme 1 beside others of the same sex
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - name: programme
    statistic: matched
    conditions:
      - {name: helped, where: {column: intervention_code, equals: programme_01}}
      - {name: returned, where: {column: prior_approach_24m, in: [one, two, three_or_more]}}
    by: [main_sex]
""",
    reasons=(
        ("A", "helped, did not return"),
        ("B", "not helped, returned"),
        ("C", "not helped, did not return"),
        ("D", "helped, returned"),
        ("E", "whether helped is not known: counts as not helped; returned"),
        ("F", "not on this programme; whether returned is not known: counts as not returned"),
    ),
    exact={
        ("male", "0", "0"): (2,),
        ("male", "0", "1"): (1,),
        ("male", "1", "1"): (1,),
        ("female", "0", "1"): (1,),
        ("female", "1", "0"): (1,),
    },
    totals={
        ("male", "0", "0"): (2410,),
        ("male", "0", "1"): (803,),
        ("male", "1", "0"): (322,),
        ("male", "1", "1"): (74,),
        ("female", "0", "0"): (2105,),
        ("female", "0", "1"): (498,),
        ("female", "1", "0"): (640,),
        ("female", "1", "1"): (101,),
        ("not_known", "0", "0"): (14,),
        ("not_known", "1", "1"): (-2,),
    },
    answers=(
        (("risk_difference",), -0.0603, -0.0655, -0.0552),
        (("risk_difference_sampling",), -0.0603, -0.0841, -0.0356),
        (("risk_ratio",), 0.7180, 0.6947, 0.7412),
        (("risk_ratio_sampling",), 0.7180, 0.6180, 0.8333),
        (("crude_difference",), -0.0707, -0.0748, -0.0667),
        (("exposed",), 1135, 1128, 1142),
        (("unexposed",), 5830, 5823, 5837),
        (("matched",), 0.9762, 0.9736, 0.9788),
        (("balance_main_sex_male",), -0.4151, -0.4217, -0.4085),
        (("balance_main_sex_female",), 0.4240, 0.4161, 0.4320),
    ),
    reading="""\
Two intervals stand beside each figure of risk. The one without `_sampling` is about the noise alone: what a perfect
reading of all the councils' records would give. The one with `_sampling` adds chance: what would be found again for
other households of the same kind. To say whether a programme goes with fewer returns, read the second. It supposes that
rows are independent and that the difference (or the ratio) is the same in all strata.

`matched` is the share of the comparison's size that is left after matching. Near 1, the exposed are spread over the
strata as the others are; near 0, most of them have nobody to be compared with. Its interval is rather too wide. The `balance_` figures say, category by
category, how far the two groups stood apart before matching, in standard deviations. Above 0.1 is often called
unbalanced.

Fewer than 30 exposed, or an interval that reaches below 30: nothing is said at all. Where a figure's denominator is
within its noise of zero, nothing is said of that figure. Its interval is then the widest possible, and its coverage 1
(1,000,000,000 stands for no upper limit). Coverage is checked by simulation, with even, skewed and sparse strata, at
three budgets. Where most counts are as small as their noise, up to 5 in 100 more intervals hold the truth than
declared. Where a denominator is hardly above its noise, up to 2.5 in 100 fewer do, but never fewer than 95 in 100 over
all answers.""",
    universes=tuple(
        Universe(
            table=Table(
                name="t",
                statistic="matched",
                by=(Dimension(column="main_sex"),),
                max_cells=bound,
                conditions=(HELPED, RETURNED),
            ),
            kinds=tuple(
                row_of(main_sex=sex, intervention_code=programme, prior_approach_24m=earlier)
                for sex, programme, earlier in product(SEXES[:2], ("programme_01", "not_known"), ("one", "none"))
            ),
            most_rows=4,
        )
        for bound in (1, 2, 3)
    ),
)
