"""Marks of figures that may still change."""

import pytest

from federated.revisions import SETTLED_DAYS, provisional_words
from tests.unit.federated.outputs.answers import release


@pytest.mark.parametrize(
    ("cut_off", "said"),
    [
        (None, "did not say"),
        ("2025-03-30", "was not over"),
        ("2025-03-31", "was not over"),
        ("2025-04-01", "taken 1 day after the period"),
        ("2025-04-28", "taken 28 days after the period"),
        ("2025-04-29", ""),
    ],
)
def test_figures_are_provisional_until_late_records_have_come_in(cut_off, said):
    assert SETTLED_DAYS == 28
    made = release().model_copy(update={"period": "2025-01-01/2025-03-31", "data_cut_off": cut_off})
    found = provisional_words(made)
    assert said in found
    assert bool(found) is bool(said)
