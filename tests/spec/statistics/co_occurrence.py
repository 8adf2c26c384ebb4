"""Co-occurrence: households with two categories of one column at once."""

from datetime import date

from federated.query import Dimension, Table
from tests.spec.specification import SEXES, Specification, Universe, row_of


def need(household: str, day: str, kind: str) -> dict[str, object]:
    return {"household": household, "assessment_date": date.fromisoformat(day), "need": kind}


SPECIFICATION = Specification(
    code="co_occurrence",
    heading="Households with two categories at once",
    what="""\
Which categories of one column occur together in a household: which support needs go with which. The column is the only
breakdown, and a household may have several rows. Its different categories are put together; at most `max_cells` are
kept, by a keyed choice, and the household counts once for each pair of those. Each category also makes a pair with
itself.

The table is printed as a square. On its diagonal are the households that have the category at all, and beside it those
that have both. Each pair stands there twice, with the same figure: add up one half only.""",
    bound="""\
With κ = `max_cells`, a household counts in at most κ(κ + 1)/2 different pairs, once in each: l1 and squared l2 are both
κ(κ + 1)/2, for example 15 with five needs. A household with more categories than κ counts for a part of its pairs, so
the figures are of the kept categories. A larger κ loses fewer pairs and adds more noise.""",
    rows=(
        need("A", "2025-01-10", "mental_health"),
        need("A", "2025-01-10", "drug_dependency"),
        need("A", "2025-02-03", "mental_health"),
        need("B", "2025-01-15", "mental_health"),
        need("C", "2025-02-20", "physical_ill_health"),
        need("C", "2025-02-20", "mental_health"),
        need("C", "2025-02-20", "drug_dependency"),
        need("D", "2024-12-31", "rough_sleeping"),
    ),
    question="""\
query: 1
title: Support needs that occur together
dataset: support_need
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - {name: needs, statistic: co_occurrence, by: [need], max_cells: 3}
""",
    reasons=(
        ("A", "two needs over two applications: each with itself, and one pair"),
        ("B", "one need: with itself"),
        ("C", "three needs: each with itself, and three pairs"),
        ("D", "outside the period"),
    ),
    exact={
        ("physical_ill_health+physical_ill_health",): (1,),
        ("physical_ill_health+mental_health",): (1,),
        ("physical_ill_health+drug_dependency",): (1,),
        ("mental_health+mental_health",): (3,),
        ("mental_health+drug_dependency",): (2,),
        ("drug_dependency+drug_dependency",): (2,),
    },
    totals={
        ("physical_ill_health+physical_ill_health",): (811,),
        ("physical_ill_health+mental_health",): (402,),
        ("mental_health+mental_health",): (1290,),
        ("mental_health+drug_dependency",): (377,),
        ("drug_dependency+drug_dependency",): (540,),
    },
    reading="""\
Each figure is a count of households with the same noise and the same interval. To see whether two needs go together,
compare the pair with the two figures on the diagonal: of 540 households with the one, 377 also have the other. Such a
share has the noise of both figures in it.

A small figure beside the diagonal may be noise alone. Nothing here says that one need causes another.""",
    answers=(
        (("physical_ill_health", "mental_health"), 402.0, 382.0, 422.0),
        (("mental_health", "physical_ill_health"), 402.0, 382.0, 422.0),
        (("mental_health", "mental_health"), 1290.0, 1270.0, 1310.0),
        (("mental_health", "drug_dependency"), 377.0, 357.0, 397.0),
        (("drug_dependency", "mental_health"), 377.0, 357.0, 397.0),
        (("drug_dependency", "drug_dependency"), 540.0, 520.0, 560.0),
    ),
    universes=tuple(
        Universe(
            table=Table(name="t", statistic="co_occurrence", by=(Dimension(column="main_sex"),), max_cells=bound),
            kinds=tuple(row_of(main_sex=sex) for sex in SEXES),
            most_rows=3,
        )
        for bound in (2, 3)
    ),
)
