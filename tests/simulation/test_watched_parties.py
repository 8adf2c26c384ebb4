"""The benchmarks' stand-ins are councils to the party they are shown to, and a wrong sum is not timed in silence."""

import pytest

from benchmarks.growth import Rung, fit
from benchmarks.stand_ins import StandIns
from benchmarks.watched import watch_coordinator, watch_node
from federated.threads import threads
from protocols.errors import RemoteProtocolError


def test_a_node_plays_its_whole_round_among_stand_ins():
    clock = watch_node(StandIns(12, cells=50), threads(2))
    assert list(clock.processor) == ["advertise", "share keys", "accept shares", "mask", "confirm", "unmask"]


@pytest.mark.parametrize(("bits", "lost"), [(64, 0), (64, 1), (32, 1)])
def test_a_coordinator_sums_what_stand_ins_send(bits, lost):
    clock = watch_coordinator(StandIns(12, cells=50, bits=bits), lost=lost)
    assert list(clock.processor)[-2:] == ["answers", "finish"]


def test_a_wrong_sum_ends_the_benchmark():
    with pytest.raises(SystemExit, match="wrong"):
        watch_coordinator(StandIns(12, cells=50), lost=1, sum_of=lambda _work, ring, cells: ring.zeros(cells))


def test_a_node_looks_at_what_stand_ins_sign():
    cast = StandIns(12, cells=50)
    cast.identities[cast.names[0]] = cast.identities[cast.names[1]]
    with pytest.raises(RemoteProtocolError, match="not signed by its identity"):
        watch_node(cast)


def test_a_law_is_found_again():
    rungs = [Rung(councils=n, threshold=n - 1, cells=1, seconds=3e-6 * n + 5e-9 * n * (n - 1)) for n in (10, 100, 1000)]
    found = fit(rungs, {"n": lambda n, _t, _m: n, "n t": lambda n, t, _m: n * t})
    assert found == {"nanoseconds": {"n": 3000.0, "n t": 5.0}, "worst_relative_error": 0.0}
