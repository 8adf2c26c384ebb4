"""Several rounds at once through the same nodes: their state stays apart, whatever the order of the messages."""

import random
from collections.abc import Iterator

import numpy as np
import pytest

from protocols.errors import RemoteProtocolError
from protocols.secagg import Aggregator
from protocols.wire.link_message import Kind, LinkMessage
from tests.integration.federation_world import COUNCILS, ME, Rehearsal, World, abort, invitation

STAGES = (
    (Kind.INVITE, Kind.ADVERT, Aggregator.receive_advert, Aggregator.close_adverts),
    (Kind.ADVERTS, Kind.KEY_SHARES, Aggregator.receive_key_shares, Aggregator.close_key_shares),
    (Kind.SHARES, Kind.MASKED_INPUT, Aggregator.receive_masked_input, Aggregator.close_masked_inputs),
    (Kind.SURVIVORS, Kind.CONFIRMATION, Aggregator.receive_confirmation, Aggregator.close_confirmations),
    (Kind.STATEMENTS, Kind.UNMASK, Aggregator.receive_unmask, None),
)
LATER_STAGES = [kind for kind, *_ in STAGES[1:]]
BY = (("assessment_outcome",), ("household_type",), ("household_type", "assessment_outcome"))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One for all: every test's rounds go through nodes that have had the others'."""
    with World(tmp_path_factory.mktemp("world"), epsilon="40") as made:
        yield made


@pytest.fixture
def without_noise(monkeypatch):
    def nothing(spec, *, honest, rng):
        return np.zeros(spec.cells, dtype=np.int64)

    monkeypatch.setattr("council_node.contribution.sample_noise_share", nothing)


def rehearse(world: World, by: tuple[str, ...] = BY[0]) -> Rehearsal:
    manifest = world.make_manifest(columns=by)
    return Rehearsal(world, world.propose(world.question(*by), manifest=manifest))


def message_by_message(round_: Rehearsal) -> Iterator[None]:
    """Drive a round, one message to one council at each step."""
    requests = dict.fromkeys(round_.seats, LinkMessage.decode(invitation(round_.world, round_.plan)).payload)
    for ask, expected, receive, close in STAGES:
        for council in requests:
            reply = LinkMessage.decode(round_.seats[council].send(round_.packed(ask, requests[council])))
            assert reply.kind is expected, round_.seats[council].read(reply.encode())
            receive(round_.aggregator, council, reply.payload)
            yield
        requests = {} if close is None else close(round_.aggregator)


@pytest.mark.parametrize("seed", range(2))
def test_rounds_whose_messages_come_in_any_order_each_give_their_own_sum(world, without_noise, seed):
    rounds = [rehearse(world, by) for by in (*BY, BY[0])]
    exact = [
        np.sum([seat.station.compute(round_.plan).vector for seat in round_.seats.values()], axis=0)
        for round_ in rounds
    ]
    draw = random.Random(seed)
    under_way = [message_by_message(round_) for round_ in rounds]
    while under_way:
        one = draw.choice(under_way)
        if next(one, "over") == "over":
            under_way.remove(one)
    for round_, truth in zip(rounds, exact, strict=True):
        assert np.array_equal(round_.aggregator.finish().total, truth)
        assert truth.sum() == 5 * 60
        assert all(seat.state(round_.sid) == "spent" for seat in round_.seats.values())


def test_at_the_budgets_edge_each_council_joins_as_many_rounds_as_it_covers(tmp_path):
    """Every question is affordable when it is proposed; the invitations come to each council in another order."""
    draw = random.Random(7)
    with World(tmp_path, epsilon="3") as world:
        rounds = [rehearse(world) for _ in range(7)]
        for seat in world.seats().values():
            kinds = [seat.invite(round_.plan).kind for round_ in draw.sample(rounds, len(rounds))]
            assert sorted(kinds) == sorted([Kind.ADVERT] * 3 + [Kind.REFUSAL] * 4)
            spent, reserved = seat.station.ledger.totals(world.agreement.id, "2026")
            assert (spent.epsilon, reserved.epsilon) == (0, 3)
            # A round that is given up makes room for one other, and not for two.
            given_up = next(round_ for round_ in rounds if seat.state(round_.sid) == "reserved")
            seat.ask(abort(given_up.sid))
            others = [round_ for round_ in rounds if not seat.state(round_.sid)]
            assert [seat.invite(round_.plan).kind for round_ in others] == [Kind.ADVERT] + [Kind.REFUSAL] * 3


@pytest.mark.parametrize("kind", LATER_STAGES)
def test_a_request_of_one_round_sent_in_another_ends_that_one_only(world, kind):
    """A coordinator that mixes rounds up, or means to, gets a complaint and no second answer to either."""
    first, second = rehearse(world).until(kind), rehearse(world).until(kind)
    me = world.seat(ME)
    said = me.ask(second.packed(kind, first.requests[ME]))
    assert said.kind is Kind.COMPLAINT
    assert said.body["sid"] == second.sid.hex()
    assert "not in that round" in me.ask(second.message(kind, ME)).words
    assert me.state(second.sid) == ("released" if kind in {Kind.ADVERTS, Kind.SHARES} else "spent")
    for stage, step in (
        (Kind.ADVERTS, first.share_keys),
        (Kind.SHARES, first.masked_inputs),
        (Kind.SURVIVORS, first.confirm),
        (Kind.STATEMENTS, first.unmask),
    ):
        if LATER_STAGES.index(stage) >= LATER_STAGES.index(kind):
            step()
    assert me.state(first.sid) == "spent"


def test_the_invitation_of_one_round_is_no_invitation_to_another(world):
    first, second = rehearse(world), rehearse(world)
    me = world.seat(ME)
    said = me.ask(invitation(world, first.plan, sid=second.sid))
    assert (said.kind, said.rule) == (Kind.REFUSAL, "invitation")
    assert (me.state(first.sid), me.state(second.sid)) == ("", "")


@pytest.mark.parametrize(("kind", "place"), [(kind, place) for place, (kind, *_) in enumerate(STAGES)])
def test_a_reply_of_one_round_is_not_taken_in_another(world, kind, place):
    """What a council has signed for one round, the coordinator of another is refused, with the sender named."""
    ask, _expected, receive, _close = STAGES[place]
    first, second = rehearse(world), rehearse(world)
    if kind is Kind.INVITE:
        request = invitation(world, first.plan)
    else:
        request = first.until(kind).message(ask, ME)
        second.until(kind)
    reply = LinkMessage.decode(world.seat(ME).send(request)).payload
    with pytest.raises(RemoteProtocolError) as caught:
        receive(second.aggregator, ME, reply)
    assert caught.value.culprit == ME
    receive(first.aggregator, ME, reply)  # where it belongs it is taken


def test_ending_one_round_leaves_the_secrets_and_charges_of_the_others(world, without_noise):
    rounds = [rehearse(world).until(Kind.SHARES) for _ in range(4)]
    me = world.seat(ME)
    for ended in rounds[::2]:
        me.ask(abort(ended.sid))
    assert [me.state(round_.sid) for round_ in rounds] == ["released", "reserved", "released", "reserved"]
    for going_on in rounds[1::2]:
        going_on.masked_inputs()
        going_on.confirm()
        assert going_on.unmask().total.sum() == len(COUNCILS) * 60
