"""Survival: days until an ending and how it ended, from bands of days, with endings that compete."""

from datetime import date

from federated.query import Days, Dimension, Equals, In, Measured, Named, Table
from tests.spec.specification import SEXES, Specification, Universe, row_of

UNTIL = date(2025, 6, 30)
START, SOON, LATER = date(2025, 1, 6), date(2025, 1, 9), date(2025, 7, 9)
KINDS = tuple(
    row_of(main_sex=sex, relief_start=START, relief_end=end, relief_end_reason=reason)
    for sex in SEXES[:2]
    for end, reason in ((SOON, "secured"), (LATER, "secured"), (date(2024, 12, 1), "withdrew"))
)


def relief(household: str, start: str, end: str | None, reason: str) -> dict[str, object]:
    return {
        "household": household,
        "relief_start": date.fromisoformat(start),
        "relief_end": None if end is None else date.fromisoformat(end),
        "relief_end_reason": reason,
    }


SPECIFICATION = Specification(
    code="survival",
    heading="Time until an ending",
    what="""\
How long something lasts, and how it ends: from relief duty to a settled home, from placement to move-on. Each row counts
the days from a start to an end. Counting stops for everyone on the public day `until`: who has not ended by then is
*not ended*, and still tells that it took at least so long. Choose the date of the oldest extract.

The days are cut at public `edges`. The `conditions` name the ways of ending that are told apart; a row counts for the
first one that is true of it. Ended rows for which none is true count as *other*. A row that ends before it starts, or
starts after the last day, is left out of all figures.

Printed are, for each edge:

* the share not ended by then (Kaplan-Meier);
* for each way of ending, the share that has ended so by then (Aalen-Johansen). With the share not ended these add up
  to 1. Without conditions they are not printed.

Then the median number of days, and the mean number of days up to the last edge. Both take the curve to be straight
between edges. Within a band, endings come before those whose count stops: with weeks or months as bands, the share not
ended is a little too high where many counts stop inside a band.""",
    bound="""\
At most `max_cells` rows of a household are kept. Each counts once, and all may count in the same place: l1 = κ and
squared l2 = κ², where κ is `max_cells`. With one row each, both are 1. The curves, the median and the mean are made of
the same noisy counts, and cost nothing more.""",
    rows=(
        relief("A", "2025-01-10", "2025-01-30", "secured"),
        relief("B", "2025-01-15", "2025-02-25", "contact_lost"),
        relief("C", "2025-02-20", "2025-05-01", "secured"),
        relief("D", "2025-03-01", None, "not_known"),
        relief("E", "2025-03-31", "2025-03-01", "secured"),
    ),
    question="""\
query: 1
title: Days from relief duty to a settled home
dataset: case
unit: household
group: all_councils
period: {column: relief_start, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - name: waiting
    statistic: survival
    measures:
      - days: {from: relief_start, to: relief_end, until: 2025-04-20}
        clip: [0, 365]
    edges: [28, 56]
    conditions:
      - {name: settled, where: {column: relief_end_reason, equals: secured}}
""",
    reasons=(
        ("A", "20 days, secured: the band '0 to 27', settled"),
        ("B", "41 days, another ending: '28 to 55', other"),
        ("C", "ended after the last day, 59 days before it: '56 and over', not ended"),
        ("D", "not ended, 50 days: '28 to 55', not ended"),
        ("E", "ends before it starts: used by no figure"),
    ),
    exact={("0", "2"): (1,), ("1", "2"): (1,), ("2", "1"): (1,), ("3", "0"): (1,), ("2", "0"): (1,)},
    totals={
        ("0", "2"): (4,),
        ("1", "0"): (38,),
        ("1", "1"): (121,),
        ("1", "2"): (302,),
        ("2", "0"): (35,),
        ("2", "1"): (208,),
        ("2", "2"): (259,),
        ("3", "0"): (297,),
        ("3", "1"): (92,),
        ("3", "2"): (61,),
    },
    reading="""\
The interval is about the noise alone: what the same figures of the exact records would be. It does not say how far
another year, or other households, might differ by chance. As a guide, the chance error of a share S among N rows is
√(S(1 − S)/N), where few counts stop early.

Where fewer are left than ten standard deviations of the noise in their number, a figure is only bounded. Whoever had
not ended by then may have ended at any time, in any way. The interval then runs from the least to the most that is
possible, with the noise in both, and holds the truth more often than declared. Where even that says nothing, the
interval is everything possible, and the coverage declared is 1.

The interval of the median holds every day at which the share not ended cannot be told from one half. Where half may
never end, it runs up to the upper bound of `clip`. Shares of exactly 0 or 1 are held more often than declared, as no
interval goes beyond them. So is a figure of few, coarse counts: half a step is added to its margin. That is up to 2.5 in
100 more in both cases.

In a group just above the limit, intervals that are only given by a lucky draw of the noise hold the truth less often
than declared. Over all draws, those that say nothing among them, about 95 in 100 hold it there as well.""",
    answers=(
        (("started",), 1413.0, 1403.6591, 1422.3409),
        (("surviving_at_28",), 0.7006, 0.698, 0.7033),
        (("surviving_at_56",), 0.3569, 0.3538, 0.3601),
        (("cumulative_settled_at_28",), 0.2137, 0.2116, 0.2159),
        (("cumulative_settled_at_56",), 0.4043, 0.4015, 0.4071),
        (("cumulative_other_at_28",), 0.0856, 0.0835, 0.0878),
        (("cumulative_other_at_56",), 0.2387, 0.236, 0.2414),
        (("median",), 44.3454, 44.1285, 44.5632),
        (("restricted_mean",), 38.615, 38.5083, 38.7218),
    ),
    universes=tuple(
        Universe(
            table=Table(
                name="t",
                statistic="survival",
                by=(Dimension(column="main_sex"),),
                max_cells=bound,
                measures=(Measured(measure=Days(start="relief_start", end="relief_end", until=UNTIL), low=0, high=60),),
                edges=(7, 28),
                conditions=(
                    Named(name="settled", where=Equals(column="relief_end_reason", value="secured")),
                    Named(name="gone", where=In(column="relief_end_reason", values=("secured", "withdrew"))),
                ),
            ),
            kinds=KINDS,
            most_rows=4,
        )
        for bound in (1, 2, 3)
    ),
)
