"""A council's exact figures and its noise are overwritten in memory as soon as they are masked."""

from fractions import Fraction

import pytest

from council_node import contribution
from protocols.secagg import ParticipantSession
from protocols.wire.link_message import Kind, LinkMessage
from tests.integration.federation_world import COUNCILS, ME, Rehearsal, World


@pytest.fixture
def kept(monkeypatch):
    """Every array of a contribution, by what it is, held on to as memory that nothing else has used yet."""
    found = {}
    share, mask = contribution.sample_noise_share, contribution.mask

    def sampled(*arguments, **named):
        found["noise"] = share(*arguments, **named)
        found["noise, before"] = found["noise"].copy()
        return found["noise"]

    def masked(statistic, session):
        found["noised"] = statistic.vector
        found["noised, before"] = statistic.vector.copy()
        return mask(statistic, session)

    monkeypatch.setattr(contribution, "sample_noise_share", sampled)
    monkeypatch.setattr(contribution, "mask", masked)
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with World(tmp_path_factory.mktemp("overwritten"), councils=COUNCILS[:5]) as made:
        yield made


def asked_for_its_figures(world, kept, monkeypatch):
    question = world.question(epsilon=Fraction(1, 50))  # so that some noise is certain to be drawn
    round_ = Rehearsal(world, world.propose(question), nonce=1).until(Kind.SHARES)
    seat = world.seat(ME)
    compute = seat.station.compute

    def counted(*arguments):
        statistic = compute(*arguments)
        kept["figures"] = statistic.vector
        kept["figures, before"] = statistic.vector.copy()
        return statistic

    monkeypatch.setattr(seat.station, "compute", counted)
    return LinkMessage.decode(seat.send(round_.message(Kind.SHARES, ME)))


def test_nothing_of_a_contribution_is_left_in_memory_once_it_is_masked(world, kept, monkeypatch):
    reply = asked_for_its_figures(world, kept, monkeypatch)
    assert reply.kind is Kind.MASKED_INPUT
    for name in ("figures", "noise", "noised"):
        assert kept[f"{name}, before"].any(), name
        assert not kept[name].any(), name


def test_nor_is_it_when_masking_fails(world, kept, monkeypatch):
    def fails(*_):
        raise MemoryError

    monkeypatch.setattr(ParticipantSession, "mask", fails)
    with pytest.raises(MemoryError):
        asked_for_its_figures(world, kept, monkeypatch)
    assert kept["figures, before"].any()
    assert not kept["figures"].any()
    assert not kept["noised"].any()
