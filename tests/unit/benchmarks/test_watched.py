"""One real party among stand-ins: the whole round runs, for the node and for the coordinator."""

import pytest

from benchmarks.stand_ins import StandIns
from benchmarks.watched import watch_coordinator, watch_node


@pytest.fixture(scope="module")
def cast():
    return StandIns(12, cells=5)


def test_a_node_is_watched_to_its_last_answer(cast):
    assert list(watch_node(cast).wall) == ["advertise", "share keys", "accept shares", "mask", "confirm", "unmask"]


@pytest.mark.parametrize("lost", [0, 1])
def test_a_coordinator_is_watched_to_the_right_sum(cast, lost):
    assert "finish" in watch_coordinator(cast, lost=lost).wall
