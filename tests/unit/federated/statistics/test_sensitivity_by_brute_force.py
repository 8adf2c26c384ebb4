"""Every small household, against every statistic: what it can change is exactly what the statistic claims."""

from itertools import combinations_with_replacement, product

import pytest

from federated.query import Dimension, Table
from federated.statistics import STATISTICS, statistic
from tests.spec.council import QUARTER, REGIONS, case_dataset, layout_of, question
from tests.spec.reference_evaluator import reference_vector

SEXES = case_dataset().column("main_sex").code_list
CELLS = SEXES[:3]
OTHERS = [
    {"household": "other", "main_sex": code, "assessment_date": QUARTER.start, "dependent_children_n": 2}
    for code in CELLS
]


def some_draw(salt):
    """Any choice that looks at one household's items only; two of them, so that no lucky order hides a fault."""
    return lambda household, identity: hash((salt, household, identity))


def households(values, most_rows):
    kinds = [
        {"household": "A", "main_sex": code, "assessment_date": QUARTER.start, "dependent_children_n": value}
        for code, value in product(CELLS, values)
    ]
    for size in range(1, most_rows + 1):
        yield from combinations_with_replacement(kinds, size)


def largest_changes(table, values, most_rows):
    asked = question(table)
    layout = layout_of(table, asked)

    def vector(rows, draw):
        return reference_vector(rows, asked, table, layout, case_dataset(), region=REGIONS[0][0], draw=draw)

    largest = [0, 0]
    for salt in (1, 2):
        draw = some_draw(salt)
        without = vector(OTHERS, draw)
        for own in households(values, most_rows):
            change = [a - b for a, b in zip(vector([*OTHERS, *own], draw), without, strict=True)]
            largest[0] = max(largest[0], sum(abs(item) for item in change))
            largest[1] = max(largest[1], sum(item * item for item in change))
    return tuple(largest)


@pytest.mark.parametrize("bound", [1, 2, 3])
@pytest.mark.parametrize(
    ("code", "clip"),
    [
        ("households", None),
        ("rows", None),
        ("sum", (0, 4)),
        ("sum", (-7, 2)),
        ("sum", (-1, 3)),
        ("mean", (0, 4)),
        ("mean", (-7, 2)),
        ("mean", (3, 5)),
    ],
)
def test_largest_change_is_the_claim_and_no_less(code, clip, bound):
    # A mean with kappa = 2 needs two rows to reach the claim, counts of rows three: four rows are more than enough.
    values = (0,) if clip is None else (-9, 0, 1, 9)
    measure = {} if clip is None else {"column": "dependent_children_n", "clip": clip}
    table = Table(name="t", statistic=code, by=(Dimension(column="main_sex"),), max_cells=bound, **measure)
    claimed = statistic(code).sensitivity(table)
    assert largest_changes(table, values, 4 if clip is None else 3) == (claimed.l1, claimed.l2_squared)


def test_every_statistic_is_covered_here_and_known_by_its_code():
    assert set(STATISTICS) == {"households", "rows", "sum", "mean"}
    assert all(statistic(code).code == code for code in STATISTICS)
    assert all(statistic(code).title for code in STATISTICS)
