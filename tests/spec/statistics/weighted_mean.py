"""Weighted mean: a value over rows, each counted with a weight."""

from datetime import date, timedelta
from itertools import product
from typing import Any

from federated.query import Days, Dimension, Measured, Table, measured
from tests.spec.specification import SEXES, Specification, Universe, row, row_of

DAY = date(2025, 1, 10)


def spell(household: str, sex: str, children: int | None, days: int) -> dict[str, Any]:
    """A row with a relief duty of so many days."""
    return row(household, DAY.isoformat(), sex, children) | {
        "relief_start": DAY,
        "relief_end": DAY + timedelta(days=days),
    }


SPECIFICATION = Specification(
    code="weighted_mean",
    heading="Weighted mean",
    what="""\
The mean of a value over rows, where each row counts with a weight, and the total weight. The first of `measures` is the
value, the second the weight, for example what a night costs and how many nights a placement has. Both are held within
their bounds row by row; a row for which one is not known is left out.

Two numbers are kept for each cell. With weight w and value v, they are the sums of w · (v − low)
(`weight_above_low`, A) and of w · (high − v) (`weight_below_high`, C). The weighted mean is
low + (high − low) · A / (A + C), and the total weight is (A + C) / (high − low).

At most `max_cells` rows of a household are kept, and a total weight is that of the rows kept.""",
    bound="""\
With B = high − low of the value and W the largest weight, a row's two numbers are not negative and add up to at most
WB. At most `max_cells` rows of a household are kept, and all may be alike: l1 = κWB and squared l2 = (κWB)², where κ is
`max_cells`.

Where κWB is 256 or more, each council counts the numbers in steps of κWB / 128, rounded down to a whole number, and
rounds once, after adding up. What rounding adds to the change is charged.""",
    rows=(
        spell("A", "female", 2, 10),
        spell("B", "female", 6, 5),
        spell("C", "male", None, 30),
        spell("D", "male", 1, 60),
    ),
    question="""\
query: 1
title: Children of the average household on a day of the relief duty, by sex of the main applicant
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - name: children_under_relief
    statistic: weighted_mean
    measures:
      - {column: dependent_children_n, clip: [0, 4]}
      - {days: {from: relief_start, to: relief_end}, clip: [0, 56]}
    by: [main_sex]
""",
    reasons=(
        ("A", "2 children over 10 days: 20 above the lower bound, 20 below the upper"),
        ("B", "6 children, held to 4, over 5 days: 20 above, 0 below"),
        ("C", "the number of children is not known: left out"),
        ("D", "1 child over 60 days, held to 56: 56 above, 168 below"),
    ),
    exact={("male",): (56, 168), ("female",): (40, 20)},
    totals={("male",): (9120, 55310), ("female",): (48200, 47130), ("not_known",): (-310, 540)},
    reading="""\
The intervals are about the noise: they hold what a perfect reading of the councils' records would give, 95 times in
100. Where A + C does not exceed twice what noise alone reaches, nothing is said of the mean: the interval is the whole
range of `clip`, and the coverage declared is 1. In cells just above that limit up to 2.5 in 100 fewer intervals hold
the mean than declared. A mean close to a bound is held more often than declared, up to 97.5 times in 100.

The mean cost of a night in temporary accommodation is asked in the same way: over the table of placements, with
`nightly_cost_gbp` as the value and the days from `start` to `end` as the weight. The total weight is then the number of
nights. Councils that do not hold what a night costs add nothing to either.""",
    answers=(
        (("male", "weighted_mean"), 0.5662, 0.5266, 0.605),
        (("male", "total_weight"), 16107.5, 15856.8412, 16358.1588),
        (("female", "weighted_mean"), 2.0224, 2.0014, 2.0435),
        (("female", "total_weight"), 23832.5, 23581.8412, 24083.1588),
        (("not_known", "weighted_mean"), 0, 0, 4),
    ),
    universes=tuple(
        Universe(
            table=Table(
                name="t",
                statistic="weighted_mean",
                by=(Dimension(column="main_sex"),),
                max_cells=bound,
                measures=(
                    measured("dependent_children_n", low, high),
                    Measured(measure=Days(start="relief_start", end="relief_end"), low=0, high=most),
                ),
            ),
            kinds=tuple(
                row_of(
                    main_sex=sex,
                    dependent_children_n=value,
                    relief_start=DAY,
                    relief_end=DAY + timedelta(days=days),
                )
                for sex, value, days in product(SEXES[:2], (-3, 0, 9), (0, 99))
            ),
            most_rows=3,
            tight=tight,
        )
        for bound in (1, 2, 3)
        for low, high, most, tight in ((0, 4, 3, (True, True)), (-2, 3, 1, (True, True)), (0, 9, 31, (False, False)))
    ),
)
