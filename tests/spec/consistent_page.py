"""Makes the manual page of consistent tables from a worked release: `python -m tests.docs.generate`."""

from fractions import Fraction

from federated.analysis.consistent import Consistent, ConsistentTable, make_consistent
from federated.analysis.consistent_files import notes, printed_figures
from federated.query import Dimension, Level, Table
from federated.release import Release, labels_of
from federated.schema import load_schema
from tests.unit.federated import planning as given
from tests.unit.federated.released import councils_of, plan_for, release_of

REGIONS = ("E12000001", "E12000002")
TABLES = (
    Table(name="all_households", statistic="households"),
    Table(name="sex", statistic="households", by=(Dimension(column="main_sex"),)),
    Table(name="sex_by_region", statistic="households", by=(Dimension(column="main_sex"),), level=Level.REGION),
)
TOTALS = ((1012,), (390, 608, -3), (150, 262, 4, 245, 351, -6))


def worked() -> tuple[Release, Consistent]:
    """A release of 22 councils in two regions, and its tables after adjusting."""
    plan = plan_for(given.question(*TABLES, epsilon=Fraction(1)), councils_of(*REGIONS, most=11))
    release = release_of(plan, [total for table in TOTALS for total in table])
    return release, make_consistent(release, load_schema())


def page() -> str:
    """The manual page."""
    release, found = worked()
    before = {table.name: sum(cell.estimate or 0.0 for cell in table.cells) for table in release.tables}
    after = {table.placed.record.name: float(table.estimates.sum()) for table in found.tables}
    return f"""\
# Tables that add up: `federated analyse consistent`

Every table of a release has noise of its own, so two tables of the same households give two totals. This analysis moves
all figures a little, so that every sum that must agree does. It uses all tables together, and the margins get
narrower, never wider. It costs no budget. This page is made from a worked release that the tests run.

```sh
federated analyse consistent answer/release.json --out tables
```

## What is made to agree

| Sums | When |
|---|---|
| totals of tables of `households` with `max_cells` 1 | always: each household is in each such table once |
| totals of tables of `rows` with the same `max_cells` | always |
| the regions of a table and the same table over all councils | where every council that answered stands in a region that is shown |
| the same table asked twice | always |
| margins of cross-tables with other tables of the same column | only with `--same-margins` |

The last row is not always true. A household with two records in the period may be kept in one cell of one table and in
another cell of the next. Its total is right in both, but the margins differ. So give `--same-margins` only where no
household has two records, for example because the data set has one row for each.

Means have no totals to agree, and are left out. Sums of a column agree across regions only.

## How

The adjusted figures are the nearest to the released ones for which all the sums agree, where each figure counts by the
inverse of its noise's variance (weighted least squares). With y the released figures, V their variances and Cx = 0 the
agreements, x = y − VC′(CVC′)⁻¹Cy, and its covariance is V − VC′(CVC′)⁻¹CV. Two things follow.

* No standard error grows, and any sum of adjusted figures is as right on average as the released one.
* Standard errors are exact for both kinds of noise. The 95% intervals are approximate, because an adjusted figure holds
  the noise of many cells. They were held against simulations with the real noise.

## A worked release

{len(release.councils)} councils in two regions answered, and all their regions are shown. ε is 1 for all three tables.

{_table(found)}

The total was {before["all_households"]:.0f} in one table, {before["sex"]:.0f} in the next and {before["sex_by_region"]:.0f} \
in the third. Now it is {after["sex"]:.1f} in each.

{_notes(found, release)}

## Reading the answer

* **Is it noise?** The analysis says how far the tables disagreed, and how likely noise alone is to do that. Where it is
  not (p below 0.0001) it says so, and the adjusted figures should not be used. Laplace noise makes p a little too small.
* **Below zero.** Adjusted figures can be negative, like released ones. They stay so in the file, because sums of figures
  cut at zero are too high. With `--non-negative` the column `printed` has no figure below zero: what a table's (or a
  region's) negative cells lack is taken from its others, so its total stays. Use it for print only: single printed cells
  are no longer right on average, and printed tables need not agree with each other beyond their totals.
* **Noise only.** As with every figure here, the interval is about the noise, not about cases that nobody recorded.
"""


def _table(found: Consistent) -> str:
    lines = ["| Table | Cell | Released | Its sd | Adjusted | Its sd | Interval | Printed, none below zero |"]
    lines.append("|" + "---|" * 8)
    for table in found.tables:
        lines += _rows(table)
    return "\n".join(lines)


def _rows(table: ConsistentTable) -> list[str]:
    record = table.placed.record
    printed = printed_figures(table, non_negative=True)
    return [
        f"| `{record.name}` | {', '.join(labels_of(record.axes, cell.codes)) or 'all'} | {cell.estimate:.0f} "
        f"| {table.released_errors[place]:.2f} | {table.estimates[place]:.1f} | {table.standard_errors[place]:.2f} "
        f"| {table.low[place]:.1f} to {table.high[place]:.1f} | {printed[place]:.1f} |"
        for place, cell in enumerate(record.cells)
    ]


def _notes(found: Consistent, release: Release) -> str:
    return " ".join(notes(found, release, same_margins=False))


def pages() -> dict[str, str]:
    """The page by its path."""
    return {"docs/analyses/consistent.md": page()}
