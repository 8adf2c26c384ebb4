"""Intervals at a terminal, also where one end or both are open."""

from math import inf
from types import SimpleNamespace

import pytest

from federated.terminal_tables import interval_words


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-1234.5, 8, "-1,234.50 to 8.00"),
        (2, inf, "2.00 or more"),
        (-inf, 5, "5.00 or less"),
        (-inf, inf, "not judged"),
    ],
)
def test_an_open_end_is_said_in_words(low, high, words):
    assert interval_words(SimpleNamespace(low=low, high=high), 2) == words
