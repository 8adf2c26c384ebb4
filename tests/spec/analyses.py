"""The manual page of each analysis, with worked examples that the analysis itself makes: `python -m tests.docs.generate`.

The releases are made up: planned as any other, with invented totals and noise of a fixed seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cache

from federated.analysis import DerivedCell, DerivedTable, NoisyTable, noisy_table
from federated.analysis.change import change, difference_in_differences
from federated.analysis.expected_shares import by_days
from federated.analysis.official import shipped_official
from federated.analysis.public_figures import shipped_households
from federated.analysis.rate import rate
from federated.analysis.reconcile import reconcile
from federated.analysis.region_map import zones
from federated.analysis.share import share
from federated.analysis.uniformity import uniformity
from federated.query import Dimension, Level, Period, Table
from federated.release import labels_of
from federated.schema import load_schema
from federated.synthetic import published_marginal
from federated.terminal_tables import interval_words
from tests.spec.render import table_of
from tests.unit.federated.analysis.releases import planned, quarter, released

OUTCOMES = {
    "prevention_owed": (1310, 1225),
    "relief_owed": (1705, 1790),
    "not_threatened": (212, 240),
    "not_eligible": (31, 24),
    "withdrew_before": (16, 9),
    "not_known": (0, 1),
}
SEXES = {"male": (1690, 1660), "female": (1561, 1610), "not_known": (23, 19)}


@dataclass(frozen=True, kw_only=True)
class Example:
    """One worked example.

    Attributes:
        asked: What is asked, in a sentence or two.
        command: What is typed.
        made: The result.
    """

    asked: str
    command: str
    made: Callable[[], DerivedTable]


@dataclass(frozen=True, kw_only=True)
class AnalysisPage:
    """The page of one analysis.

    Attributes:
        name: Name of the page, and of the command.
        heading: Its title.
        what: What it does, in plain words.
        examples: Worked examples.
        reading: How to read the answer, and what it does not say.
    """

    name: str
    heading: str
    what: str
    examples: tuple[Example, ...]
    reading: str


def counted(column: str, **changes: object) -> Table:
    return Table(name=column, statistic="households", by=(Dimension(column=column),), **changes)


@cache
def outcomes(year: int = 2025) -> NoisyTable:
    """Households assessed, by outcome, at epsilon 1: twelve councils asked."""
    return _made("assessment_outcome", OUTCOMES, year)


@cache
def sexes(year: int = 2025) -> NoisyTable:
    return _made("main_sex", SEXES, year)


def _made(column: str, figures: dict[str, tuple[int, int]], year: int) -> NoisyTable:
    codes = load_schema().dataset("case").column(column).code_list
    truth = [figures[code][year - 2024] for code in codes]
    plan = planned(counted(column), epsilon=Fraction(1), period=quarter(year), title=f"Households assessed, {year}")
    release = released(plan, {column: truth}, seed=year).model_copy(update={"sid": f"{year:064x}"})
    return noisy_table(release, column)


WEEKDAYS = (160, 131, 128, 133, 141, 60, 49, 0)


@cache
def contacts() -> NoisyTable:
    """Contacts out of hours by weekday; each household at most twice."""
    table = Table(name="by_weekday", statistic="rows", by=(Dimension(column="weekday"),), max_cells=2)
    period = Period(column="at", start=date(2025, 1, 1), end=date(2025, 3, 31))
    plan = planned(table, dataset="event", period=period, title="Contacts with the out-of-hours service, 2025")
    return noisy_table(released(plan, {"by_weekday": WEEKDAYS}, seed=1), "by_weekday")


@cache
def assessed() -> NoisyTable:
    """Outcomes of the quarter that published figures are held for, one of them recorded too often."""
    codes = load_schema().dataset("case").column("assessment_outcome").code_list
    plan = planned(
        counted("assessment_outcome"), period=quarter(2025), title="Households assessed, January to March 2025"
    )
    published = [published_marginal("assessment_outcome", council) for council in plan.eligible]
    truth = [sum(figures.get(code) or 0 for figures in published) for code in codes]
    truth[codes.index("withdrew_before")] += 14
    return noisy_table(released(plan, {"assessment_outcome": truth}, seed=9), "assessment_outcome")


@cache
def regional() -> NoisyTable:
    """Applicants by sex and region: seventy councils asked, so that three regions have ten of them or more."""
    table = counted("main_sex", level=Level.REGION)
    plan = planned(table, count=70, period=quarter(2025), title="Households assessed, 2025")
    truth = [[640 + 300 * place, 590 + 280 * place, 4] for place in range(plan.tables[0].layout.shape[0])]
    return noisy_table(released(plan, {"main_sex": truth}, seed=3), "main_sex")


PAGES = (
    AnalysisPage(
        name="rate",
        heading="Rates",
        what="""\
A rate puts a count or a sum beside a public number, such as the households that live in the area. Without it a large
region always looks worse than a small one.

The number below the line is added up over the councils **that are in the figures**, not over those that were asked. It
comes from the projections that this software holds (households by council, 2025), or from a CSV file of yours with a
column `code` and a column of whole numbers:

```csv
code,households
E06000001,42703
E06000002,57047
```

For a table of regions the file may have the codes of regions instead, if every council of each region is in the figures.
A file that lacks a council is refused. So is a file with the codes of another year: where councils merged or changed
their codes, the areas no longer match ([mergers and new codes](../toolkit/mergers-and-codes.md)).""",
        examples=(
            Example(
                asked="How many households were assessed for each 1,000 that live there, by outcome?",
                command="federated analyse rate answer/release.json --table assessment_outcome",
                made=lambda: rate(outcomes(), shipped_households(), load_schema()),
            ),
        ),
        reading="""\
The number below the line is public and exact. So the interval is that of the count, divided by the same number, and its
coverage is the count's. The projections are estimates themselves: how far off they may be is not in the interval.

All categories are put beside the same number. A rate for lone parents is for each 1,000 households of any kind, not for
each 1,000 lone parents; for that, give a file that counts those.""",
    ),
    AnalysisPage(
        name="share",
        heading="Shares",
        what="""\
A share is a category's part of a total: of all categories of the table, or of those along the axes that are named.

Both the part and the total carry noise. The interval is found by trying every share: those that the noise can explain
stay in, the others do not. It uses the exact law of the noise in the category and in all the others together, and no
normal curve.""",
        examples=(
            Example(
                asked="What part of the households assessed had which outcome?",
                command="federated analyse share answer/release.json --along assessment_outcome",
                made=lambda: share(outcomes(), ["assessment_outcome"]),
            ),
        ),
        reading="""\
The shares add up to 100 but for those below zero, which are shown as 0. The interval of a small category touches 0 when
the noise alone could have made it.

Where a category and the rest are both hardly more than noise, nothing is said: the interval is 0 to 100, with coverage 1.
Categories near that limit may be held up to 3 times in 100 less often than they say, but never less than 95 times over all.

Where a household may count in several cells, the shares are of what was counted, not of households; the output says so.""",
    ),
    AnalysisPage(
        name="change",
        heading="Change against a baseline",
        what="""\
The same table of two releases, compared: as a difference, as a ratio, or as the difference between two groups' changes.

**Freeze the baseline first.** A change can be made to look as one likes by choosing the release it starts from. So name
that release while nobody knows what comes after; your key signs its digest:

```sh
federated baseline freeze before-pilot 2024/release.json --key analyst.key
```

The comparison is then refused for any other release. Without a baseline the output says that there was none.

Only like is compared with like. The two questions must be the same but for their period. The title, the name of the group
and epsilon may also differ; the interval takes care of epsilon. The periods must be of the same length, within three days. The same councils
must be in the figures; a council under a new code is the same council, a merged one is not. With
`--allow-different-councils` other councils are allowed, and every output says so.""",
        examples=(
            Example(
                asked="How did the outcomes change from one year to the next?",
                command=(
                    "federated analyse change 2024/release.json 2025/release.json --baseline before-pilot.baseline "
                    "--signed-by ed25519:d04ab232742bb4ab3a1368bd4615e4e6d0224ab71a016baf8520a332c9778737"
                ),
                made=lambda: change(outcomes(2024), outcomes(2025), baseline="before-pilot"),
            ),
            Example(
                asked="The same as a ratio:",
                command="federated analyse change 2024/release.json 2025/release.json --measure ratio",
                made=lambda: change(outcomes(2024), outcomes(2025), measure="ratio"),
            ),
            Example(
                asked="Did applications by women change more than those by men?",
                command=(
                    "federated analyse difference-in-differences 2024/release.json 2025/release.json "
                    "--axis main_sex --one female --other male"
                ),
                made=lambda: difference_in_differences(
                    sexes(2024), sexes(2025), axis="main_sex", one="female", other="male"
                ),
            ),
        ),
        reading="""\
The noise of the two releases is independent, and the interval holds both: a difference has the law of both noises
together, a difference of differences that of four. A ratio's interval holds every ratio that the noises do not rule out;
it is open above where the earlier figure may be zero.

**The interval is about noise alone.** Numbers of cases also rise and fall by chance, and councils change how they record.
An interval that leaves out zero says that the recorded numbers differ, not why. So the output says "association only",
unless you declare with `--design` what allows you to say more, such as a pilot with a protocol. What you declare is
printed with every figure.

A difference of differences is an effect only if both groups would have changed by the same number otherwise. Nothing in
the data can show that.""",
    ),
    AnalysisPage(
        name="uniformity",
        heading="Is a pattern even?",
        what="""\
Do contacts bunch on some days of the week? A table of noisy counts is never quite even, and counts of people are not
either. This test asks whether chance and the noise together explain what is seen.

It adds up the squared distances between each cell and its expected share of the sum. Then it makes thousands of tables in
which the expected shares are true, with chance and with the release's own noise, and counts how many are as far off.

`--expected equal` takes equal shares. `--expected days` takes the days of the calendar: 31 for January, or the Mondays of
the period. A CSV file with the columns `code` and `expected` gives shares of your own, from public figures. The category
"not known" is left out.""",
        examples=(
            Example(
                asked="Contacts with the out-of-hours service, by day of the week; each household counts at most twice.",
                command="federated analyse uniformity answer/release.json --table by_weekday --expected days",
                made=lambda: uniformity(contacts(), expected=by_days),
            ),
        ),
        reading="""\
The rows say how far each cell is from its expected share. Their intervals are about the noise alone. The p-value counts
chance as well: it is the answer to the question. It comes from a simulation with a fixed seed, so that anybody gets the
same figure; `--draws` makes it finer.

A large p-value does not show that a pattern is even. Look at the last finding: how often would a difference of 20% have
been found in a table of this size?

Where one household may count several times, its contacts may fall on the same day, and a few households could make a
pattern. The test allows for the worst of that: it treats all as if they came in groups that fall together. It finds less
for it. With one contribution a household there is nothing to allow for.

The number of households is itself known only with noise. The test takes it at the upper end of what the noise allows, and
adds the 1 in 1,000 by which that may be too low to the p-value. So an even pattern is called uneven in at most 5 of 100
tables, small ones included.""",
    ),
    AnalysisPage(
        name="reconcile",
        heading="Against published figures",
        what="""\
Do the councils' answers add up to what has been published? Where both count the same households, the gap is noise and
nothing else, and the noise is known. A larger gap says that something differs: the extract, the mapping, the dates, or the
published figure.

This software holds the department's figures of January to March 2025 by council. They are added up over the councils in
the release, and no others. They are used only where the question counts the same: households of the case data, by date of
assessment in that quarter, one published column, and the outcomes that the published table is about.

For anything else give a CSV file with a column `published`, and the columns of the table that the figures are broken down
by. With a column `code` the figures are by council, and only those of the councils in the release are taken. An empty
figure is one that is not known:

```csv
code,assessment_outcome,published
E06000001,prevention_owed,107
E06000001,relief_owed,
```

`--rounded-to 10` says that the figures are rounded; every band is then wider by what rounding may have done.""",
        examples=(
            Example(
                asked="Outcomes of assessments, against the published tables. One outcome was recorded too often by 14.",
                command="federated analyse reconcile answer/release.json --table assessment_outcome",
                made=lambda: reconcile(assessed(), shipped_official(assessed(), load_schema())),
            ),
        ),
        reading="""\
Each row is the estimate less the published figure. If both count the same, the interval holds 0 as often as the coverage
says. **WARNING** stands before each finding that the noise does not explain: a single gap, the sum, or all gaps together.
With many cells a few gaps are outside by chance; the finding says how many.

A council whose published figure is missing or suppressed makes its cells impossible to judge: the release counts its
households and the published sum does not. Those cells say "not judged", and the councils are named.

A warning does not say who is right. Councils correct their records after a quarter is published; so an extract of today
and a table of last year differ a little.""",
    ),
    AnalysisPage(
        name="map",
        heading="Maps of regions",
        what="""\
One figure for each region, under the region's code (a GSS code, such as E12000001), ready for any mapping program. It is a
count or, with `--rate`, a rate. Where the table has other breakdowns, choose one category of each.

This software holds no boundaries. Give your own as GeoJSON, and say which property holds the code; the figures are then
written beside each boundary, which is passed on as it is:

```sh
federated analyse map answer/release.json --rate --select main_sex=female --boundaries regions.geojson --code-property RGN24CD --out map
```

A region without a boundary is refused: none is made up. Boundaries of other areas are left out. All figures of a table by
region, as they stand in its CSV file, are in [its GeoJSON file](../reference/outputs.md#maps) without this analysis.""",
        examples=(
            Example(
                asked="Women who applied, for each 1,000 households, by region.",
                command="federated analyse map answer/release.json --rate --select main_sex=female",
                made=lambda: zones(
                    regional(),
                    chosen={"main_sex": "female"},
                    denominators=shipped_households(),
                    schema=load_schema(),
                ),
            ),
        ),
        reading="""\
Regions are shown where enough of the councils asked stand in them; the release fixes that list. A region's rate is over
its councils that are in the figures.

A region whose noisy count is under the smallest size (10, or what `--smallest` says) is left blank and named; of a
sum that can be below zero, the size without its sign counts. The noise is what protects people; the rule only keeps a
map from showing noise as if it were a place.

On a map the eye compares colours, not intervals. Print the table beside it.""",
    ),
)


def pages() -> dict[str, str]:
    """Every page by its path from the top of the project."""
    return {f"docs/analyses/{page.name}.md": render(page) for page in PAGES}


def render(page: AnalysisPage) -> str:
    """One manual page."""
    parts = [
        f"# {page.heading}",
        "This page is made from the specification that the tests run; `tests/spec` holds it. The figures are made up.",
        page.what,
        "## Worked examples" if len(page.examples) > 1 else "## A worked example",
        *(part for example in page.examples for part in _example(example)),
        "## Reading the answer",
        page.reading,
    ]
    return "\n\n".join(parts) + "\n"


def _example(example: Example) -> list[str]:
    made = example.made()
    sentences = [found.sentence for found in made.findings] + list(made.notes)
    return [
        example.asked,
        f"```sh\n{example.command}\n```",
        f"Unit: {made.unit}. {made.method}",
        cells_table(made),
        "\n".join(f"* {sentence}" for sentence in sentences),
    ]


def cells_table(made: DerivedTable) -> str:
    heads = [*(f"`{axis.name}`" for axis in made.axes), "Estimate", "Standard error", "Interval", "Coverage"]
    return table_of(heads, [_line(made, cell) for cell in made.cells])


def _line(made: DerivedTable, cell: DerivedCell) -> list[str]:
    return [
        *labels_of(made.axes, cell.codes),
        "not available" if cell.estimate is None else f"{cell.estimate:,.3f}",
        "" if cell.standard_error is None else f"{cell.standard_error:,.3f}",
        interval_words(cell, 3),
        f"{cell.coverage:.4f}",
    ]
