"""Quantile: the median and the ninth tenth of households' totals, from a public grid of bands."""

from datetime import date
from fractions import Fraction
from typing import Any

from federated.query import Dimension, Table, measured
from tests.spec.specification import SEXES, Specification, Universe, row_of


def relief(household: str, sex: str, start: str, end: str | None) -> dict[str, Any]:
    """A row with the days on which the relief duty began and ended."""
    return row_of(
        household=household,
        main_sex=sex,
        relief_start=date.fromisoformat(start),
        relief_end=None if end is None else date.fromisoformat(end),
    )


SPECIFICATION = Specification(
    code="quantile",
    heading="Quantiles",
    what="""\
The value that a given part of the households lies below: the median (0.5), or the ninth tenth (0.9), of nights, days
or children. A household's values in a cell are added up and the total is held within the bounds of `clip`. Rows where
the value is not known are left out. The total is then placed in one of the bands of a public grid, cut at `edges`.
`probabilities` says which quantiles are printed, up to 16 of them; each is free once the bands are paid for.

**What is printed.** Inside a band, totals are taken as spread evenly. The running total of households is a straight
line across each band. The quantile is the point where that line first reaches the asked part of all households. The
first band begins at the lower bound of `clip`, the last ends at the upper bound. So an exact quantile may differ from
this one by up to the width of its band. Cut the grid finely where the quantile is expected.

**What is sent.** This depends on the noise. Under Laplace noise a council sends the number of households in each band.
Under Gaussian noise it sends weighted running totals of them, which is called the *square-root factorisation*. Each
number takes in all bands up to its own: the further back, the less (1, 1/2, 3/8, 5/16, …), in steps of 1/64. The
coordinator undoes the weights exactly. The noise then grows with the logarithm of the number of bands, and not with its
root. See the [comparison](../performance.md#quantiles-from-bands).""",
    bound="""\
One household counts in at most `max_cells` cells (κ), and there in one band. Under Laplace noise l1 = κ. Under
Gaussian noise the household changes the numbers of one cell by at most 64 times (1, 1/2, 3/8, …), rounded. So squared
l2 = κ · (64² + 32² + 24² + …), one term for each band. The cells do not overlap, so they add up. The module's first
lines prove this.""",
    rows=(
        relief("A", "female", "2025-01-06", "2025-01-10"),
        relief("A", "female", "2025-02-03", "2025-02-20"),
        relief("B", "female", "2025-01-15", "2025-06-04"),
        relief("C", "male", "2025-01-20", None),
        relief("D", "male", "2025-03-03", "2025-03-31"),
        relief("E", "male", "2025-03-01", "2026-03-01"),
    ),
    question="""\
query: 1
title: Median and ninth tenth of days under relief duty, by sex of the main applicant
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - name: days
    statistic: quantile
    measures: [{days: {from: relief_start, to: relief_end}, clip: [0, 365]}]
    edges: [14, 28, 56, 112, 182]
    probabilities: ["0.5", "0.9"]
    by: [main_sex]
""",
    reasons=(
        ("A", "4 and 17 days, together 21: the band '14 to 27'"),
        ("B", "140 days: '112 to 181'"),
        ("C", "no end: left out"),
        ("D", "28 days: '28 to 55', which begins there"),
        ("E", "365 days: '182 and over'"),
    ),
    exact={("male", "2"): (1,), ("male", "5"): (1,), ("female", "1"): (1,), ("female", "4"): (1,)},
    totals={
        **{("male", str(band)): (count,) for band, count in enumerate((61, 87, 140, 118, 66, 43))},
        **{("female", str(band)): (count,) for band, count in enumerate((8, 11, 19, 13, 6, 2))},
        **{("not_known", str(band)): (count,) for band, count in enumerate((1, -2, 0, 1, -1, 0))},
    },
    reading="""\
The interval is about the noise: it is for what a perfect reading of the councils' records would have given. It is
not about other households that might have been there instead. It comes from a test. For each point of the grid, the
noisy number of households below it is held against the asked part of all of them. Points where the difference is no
more than noise make up the interval. In 95 of 100 answers it holds the quantile. It may hold it more often for two
reasons. Laplace noise is in whole households, so no interval can be cut to exactly 95 of 100. And in cells with few
households the points do not lie side by side; the interval takes in the gaps between them.

An end of the interval at a bound of `clip` means that the grid gives no limit on that side. Where the noisy number of
all households is not above zero nothing is said: the interval is the whole range of `clip`, and the coverage is 1.

The standard error is the one that a normal error with as wide an interval would have.""",
    answers=(
        (("male", "0.5"), 49.9, 49.1690, 50.6382),
        (("male", "0.9"), 172.9848, 169.3830, 176.5796),
        (("female", "0.5"), 43.4737, 38.1719, 48.8497),
        (("female", "0.9"), 136.5, 102.1583, 176.0380),
        (("not_known", "0.5"), float("nan"), 0, 365),
    ),
    universes=tuple(
        Universe(
            table=Table(
                name="t",
                statistic="quantile",
                by=(Dimension(column="main_sex"),),
                max_cells=bound,
                measures=(measured("dependent_children_n", -1, 4),),
                edges=edges,
                probabilities=(Fraction(1, 2),),
            ),
            kinds=tuple(row_of(main_sex=sex, dependent_children_n=value) for sex in SEXES for value in (-9, 0, 1, 2)),
            most_rows=3,
        )
        for bound in (1, 2, 3)
        for edges in ((0, 1, 3), (0, 1, 2, 3, 4))
    ),
)
