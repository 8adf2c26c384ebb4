"""The sentences of docs/twelve-questions/reading.py: chosen by intervals, never by what was expected."""

import sys

import pytest

from federated.release import CellRecord
from tests.docs.twelve_questions import FOLDER


@pytest.fixture(scope="module")
def reading():
    sys.path.insert(0, str(FOLDER))
    try:
        import reading

        yield reading
    finally:
        sys.path.remove(str(FOLDER))


def test_two_figures_are_compared_by_their_intervals(reading):
    low, high = reading.Known("one", 10, 8, 12), reading.Known("other", 20, 18, 22)
    near = reading.Known("near", 13, 11, 15)
    said = {"more": "is more than", "fewer": "is less than"}
    assert (
        reading.compared(high, low, **said) == "other is more than one: 20.0 (18.0 to 22.0) against 10.0 (8.0 to 12.0)."
    )
    assert reading.compared(low, high, **said).startswith("one is less than other")
    assert reading.compared(low, near, **said).startswith("one and near cannot be told apart")


def test_a_noisy_figure_is_called_noisy(reading):
    assert reading.Known("x", 100, 80, 120).words == "100 (80 to 120)"
    assert reading.Known("x", 100, 79, 121).words == "100 (79 to 121; too noisy to use)"


@pytest.mark.parametrize(("low", "high", "word"), [(1, 2, "above"), (-2, -1, "below"), (-1, 1, "neither")])
def test_a_difference_is_judged_by_its_interval(reading, low, high, word):
    found = reading.Known("x", 0.5, low, high)
    assert reading.beyond(found, 0.0, above="above", below="below", neither="neither") == word


def test_of_an_interval_that_says_nothing_nothing_is_said(reading):
    cell = {"codes": (), "estimate": 0.5, "standard_error": None, "low": 0.0, "high": 1.0}
    assert reading.known("x", CellRecord(**cell, coverage=1.0)) is None
    assert reading.known("x", CellRecord(**cell, coverage=0.95)) is not None
    assert reading.known("x", CellRecord(**{**cell, "estimate": None}, coverage=0.95)) is None


def test_the_page_quotes_the_example_and_the_example_is_whole():
    example = (FOLDER / "example.txt").read_text(encoding="utf-8").splitlines()
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    quoted = page.partition("```text\n")[2].partition("```")[0].splitlines()
    assert len(quoted) > 10
    assert set(quoted) <= {*example, ""}
    for number in range(1, 13):
        assert sum(line.startswith(f"Q{number:02d}. ") for line in example) == 1
    assert sum("intervals hold the truth" in line for line in example) == 13
