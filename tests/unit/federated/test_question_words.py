"""What one household adds at most, in the words that people approve."""

import pytest

from federated.question_words import at_most_words
from tests.spec.statistics import specifications

TABLES = {item.code: item.universes[0].table for item in specifications()}
WORDS = {
    "households": "One household counts in at most 1 of them.",
    "rows": "At most 1 row counts for one household.",
    "survival": "At most 1 row counts for one household.",
    "pathway": "At most 1 row counts for one household.",
    "co_occurrence": "At most 2 categories of one household are kept, and it counts once for each pair of them.",
}


@pytest.mark.parametrize("code", WORDS)
def test_the_bound_is_said_as_the_statistic_keeps_it(code):
    assert at_most_words(TABLES[code]) == WORDS[code]


def test_several_rows_are_rows():
    several = next(item for item in specifications() if item.code == "rows").universes[-1].table
    assert at_most_words(several) == f"At most {several.max_cells} rows count for one household."
