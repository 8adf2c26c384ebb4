"""The benchmark of local counts counts what it says: every household once or twice, and the plain count all of it."""

import pytest

from benchmarks.local_counts import REGION, ROWS_EACH, Asked, made_up, plain, question
from council_node.local_statistic import exact_vector
from federated.schema import load_schema

ROWS = 6000


@pytest.mark.parametrize("bound", [1, 2])
def test_a_household_is_in_at_most_so_many_cells(bound):
    dataset = load_schema().dataset("case")
    asked = question(bound)
    with made_up(ROWS, dataset) as extract:
        found = int(exact_vector(extract, asked, [Asked(asked, asked.tables[0], dataset)], region=REGION).sum())
        unbounded = plain(extract.connection)
        households = extract.connection.execute('SELECT count(DISTINCT "!household") FROM canonical_rows').fetchall()
    assert households[0][0] > ROWS / ROWS_EACH / 2
    assert found < unbounded, "some households must be in more cells than they may touch"
    if bound == 1:
        assert found == households[0][0]
    else:
        assert households[0][0] < found <= 2 * households[0][0]
