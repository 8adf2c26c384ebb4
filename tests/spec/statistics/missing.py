"""Missing values: how complete each field is."""

from federated.query import Dimension, Equals, Named, Table, Unknown
from tests.spec.specification import SEXES, Specification, Universe, row, row_of

SEX = Named(name="sex", where=Equals(column="main_sex", value="not_known"))
CHILDREN = Named(name="children", where=Unknown(column="dependent_children_n"))

SPECIFICATION = Specification(
    code="missing",
    heading="Missing values",
    what="""\
For each field, the number of rows where it is missing and their share of all rows. Each of `conditions` names a field
and says when it is missing: a category `equals: not_known`, a date or a whole number `unknown: true`. Any other
condition can stand there too, for example one that is only met by an unlikely value.

Two numbers are kept for each field and cell: rows where it is missing (`…_missing`), and rows where it is not
(`…_found`).""",
    bound="""\
At most `max_cells` rows of a household are kept. With k fields each row adds 1 to k numbers, and all may be alike:
l1 = κk and squared l2 = κ²k, where κ is `max_cells`.""",
    rows=(
        row("A", "2025-01-10", "female", None),
        row("B", "2025-01-15", "female", 1),
        row("C", "2025-02-20", "not_known", None),
        row("D", "2025-03-01", "not_known", 2),
        row("E", "2025-03-02", "male", 0),
    ),
    question="""\
query: 1
title: How complete sex and number of children are
dataset: case
unit: household
group: all_councils
period: {column: assessment_date, from: 2025-01-01, to: 2025-03-31}
epsilon: "1"
tables:
  - name: complete
    statistic: missing
    conditions:
      - {name: sex, where: {column: main_sex, equals: not_known}}
      - {name: children, where: {column: dependent_children_n, unknown: true}}
""",
    reasons=(
        ("A", "the sex is known, the number of children is missing"),
        ("B", "both are known"),
        ("C", "both are missing"),
        ("D", "the sex is missing"),
        ("E", "both are known: no child is a number too"),
    ),
    exact={(): (2, 3, 2, 3)},
    totals={(): (118, 4381, 905, 3597)},
    reading="""\
Both intervals come from the exact law of the noise and hold what a perfect reading of the councils' records would give.
Where the larger of a field's two numbers does not exceed twice what noise alone reaches, nothing is said of its share:
the interval is from 0 to 1, and the coverage declared is 1. A council's node reads a value that it does not understand
as not known, so what is missing here may be missing in the mapping and not in the record: `council-node check` tells
the council which.""",
    answers=(
        (("sex", "missing"), 118, 112, 124),
        (("sex", "share"), 0.0262, 0.0249, 0.0276),
        (("children", "missing"), 905, 899, 911),
        (("children", "share"), 0.201, 0.1999, 0.2022),
    ),
    universes=tuple(
        Universe(
            table=Table(
                name="t",
                statistic="missing",
                by=(Dimension(column="household_type"),),
                max_cells=bound,
                conditions=conditions,
            ),
            kinds=tuple(
                row_of(main_sex=sex, household_type=kind, dependent_children_n=value)
                for sex in SEXES[1:]
                for kind in ("single_adult_male", "single_adult_female")
                for value in (None, 1)
            ),
            most_rows=3,
        )
        for bound in (1, 2)
        for conditions in ((SEX,), (SEX, CHILDREN))
    ),
)
