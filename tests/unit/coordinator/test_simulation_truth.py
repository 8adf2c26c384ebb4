"""A simulation says of which statistics it knows the truth, and makes none up for the others."""

import pytest

from coordinator.simulation_figures import exact_vector
from federated.errors import QueryError
from federated.statistics import STATISTICS
from federated.synthetic import synthesise
from protocols.identifiers import CouncilId
from tests.spec.council import Planned, layout_of, question
from tests.spec.statistics import specifications

COUNTED_BY_HAND = frozenset(
    {"households", "rows", "sum", "mean", "distribution", "quantile", "logistic_rounds", "poisson_rounds"}
)
"""Bands too, where what is banded is a plain column; the worked scores are points, which nobody counts by hand."""


@pytest.fixture(scope="module")
def cases():
    return synthesise(CouncilId("E06000001"), 1)


@pytest.mark.parametrize("specification", specifications(), ids=lambda item: item.code)
def test_a_statistic_that_is_not_counted_by_hand_is_refused(cases, specification):
    table = specification.universes[0].table
    asked = question(table)
    planned = [Planned(table, layout_of(table, asked), coefficients=specification.universes[0].coefficients)]
    if specification.code in COUNTED_BY_HAND:
        assert exact_vector(cases, asked, planned).any()
    else:
        with pytest.raises(QueryError, match=r"knows no truth|plain columns only"):
            exact_vector(cases, asked, planned)


def test_what_is_counted_by_hand_is_there():
    assert set(COUNTED_BY_HAND) <= set(STATISTICS)
