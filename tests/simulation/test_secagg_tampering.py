"""One bit turned over anywhere in any message, and it is refused by whoever reads it first."""

from copy import copy
from functools import partial

import pytest

from protocols.errors import MalformedMessage, RemoteProtocolError
from protocols.secagg import Stage, accept_shares, confirm_survivors, holder_of, share_keys, size_limit, unmask
from tests.simulation.secagg_rehearsal import REPLIES, REQUESTS, Rehearsal, council_ids

ME = council_ids(5)[2]


HOLDERS = (Stage.HOLDER_ADVERT, Stage.OPENING_REQUEST, Stage.OPENING)
CASES = [(stage, held) for stage in Stage for held in (False, True) if held or stage not in HOLDERS]
"""Every message of a round, and again of a round with a mask holder, which alone has some."""


@pytest.fixture(scope="module")
def rounds():
    # A lost council makes both kinds of secret travel.
    lost = {Stage.MASKED_INPUT: {council_ids(5)[4]}}
    return {
        held: Rehearsal(5, seed="tampering", cells=2, bits=32, holder=held).play(drop=lost) for held in (False, True)
    }


@pytest.fixture(scope="module")
def rehearsal(rounds):
    return rounds[False]


def participant_reader(rehearsal, stage):
    """Reads a request from the state just before it, as often as one likes: stage functions are pure."""
    states, sign = rehearsal.states[ME], rehearsal.sign(ME)
    return {
        Stage.ADVERTS: lambda content: share_keys(states[Stage.ADVERT], content, rehearsal.rng, sign),
        Stage.SHARES: lambda content: accept_shares(states[Stage.KEY_SHARES], content),
        Stage.SURVIVORS: lambda content: confirm_survivors(states[Stage.MASKED_INPUT], content, sign),
        Stage.STATEMENTS: lambda content: unmask(states[Stage.CONFIRMATION], content, sign),
    }[stage]


def receiver(stage, *, held=False):
    """An aggregator that waits for replies of a stage; a refused message changes nothing there."""
    fresh = Rehearsal(5, seed="tampering", cells=2, bits=32, holder=held)
    lost = {council_ids(5)[4]}
    if stage is Stage.OPENING:
        fresh.play(upto=Stage.CONFIRMATION, drop={Stage.MASKED_INPUT: lost}).aggregator.close_confirmations()
        return fresh.aggregator.receive_opening
    earlier = REPLIES[: REPLIES.index(stage)]
    if earlier:
        fresh.play(upto=earlier[-1], drop={Stage.MASKED_INPUT: lost})
    {
        Stage.ADVERT: lambda: None,
        Stage.KEY_SHARES: fresh.aggregator.close_adverts,
        Stage.MASKED_INPUT: fresh.aggregator.close_key_shares,
        Stage.CONFIRMATION: fresh.aggregator.close_masked_inputs,
        Stage.UNMASK: fresh.aggregator.close_confirmations,
    }[stage]()
    return getattr(fresh.aggregator, "receive_" + stage.name.lower())


def holders_reader(rehearsal, stage):
    """What a council, the mask holder and the coordinator do with a message of a round with a mask holder."""
    context = rehearsal.context
    holder = context.holder
    # It holds what a session holds when it is asked; each reading has a copy, as a refusal ends the round there.
    asked = Rehearsal(5, seed="tampering", cells=2, bits=32, holder=True).holder
    return {
        Stage.HOLDER_ADVERT: lambda content: holder_of(
            content, sid=context.sid, id=holder.id, identity=holder.identity, suite=context.suite
        ),
        Stage.OPENING_REQUEST: lambda content: copy(asked).open(content),
        Stage.OPENING: receiver(Stage.OPENING, held=True),
    }[stage]


def message_and_reader(rehearsal, stage):
    if stage in HOLDERS:
        messages = (rehearsal.context.holder.advert, rehearsal.opening_request, rehearsal.opening)
        return dict(zip(HOLDERS, messages, strict=True))[stage], holders_reader(rehearsal, stage)
    if stage in REQUESTS:
        return rehearsal.requests[stage][ME], participant_reader(rehearsal, stage)
    return rehearsal.replies[stage][ME], partial(receiver(stage, held=rehearsal.holder is not None), ME)


@pytest.mark.parametrize(("stage", "held"), CASES)
def test_every_byte_matters(rounds, stage, held):
    rehearsal = rounds[held]
    content, read = message_and_reader(rehearsal, stage)
    accepted = []
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << (position % 8)
        try:
            read(bytes(changed))
            accepted.append(position)
        except RemoteProtocolError:
            pass
    assert accepted == []
    read(content)  # and the untouched message is accepted by the same reader


@pytest.mark.parametrize(("stage", "held"), CASES)
def test_messages_cut_short_or_with_bytes_left_over_are_malformed(rounds, stage, held):
    rehearsal = rounds[held]
    content, read = message_and_reader(rehearsal, stage)
    for size in {*range(0, len(content), 7), len(content) - 1}:
        with pytest.raises(MalformedMessage):
            read(content[:size])
    with pytest.raises(MalformedMessage, match=r"left over|at most"):
        read(content + b"\0")


@pytest.mark.parametrize(("stage", "held"), CASES)
def test_unknown_versions_and_stages_are_malformed(rounds, stage, held):
    rehearsal = rounds[held]
    content, read = message_and_reader(rehearsal, stage)
    for version in (0, 2, 255):
        with pytest.raises(MalformedMessage, match=f"has version {version}; 1 was expected"):
            read(bytes((version,)) + content[1:])
    for other in (0, 13, 255, *(other for other in Stage if other is not stage)):
        with pytest.raises(MalformedMessage, match=f"has stage {int(other)}; {int(stage)} was expected"):
            read(content[:1] + bytes((other,)) + content[2:])


@pytest.mark.parametrize(("stage", "held"), CASES)
def test_messages_over_the_size_limit_are_refused_unread(rounds, stage, held):
    rehearsal = rounds[held]
    _, read = message_and_reader(rehearsal, stage)
    limit = size_limit(stage, rehearsal.context)
    with pytest.raises(MalformedMessage, match=f"has {limit + 1} bytes; at most {limit} are allowed"):
        read(bytes(limit + 1))


@pytest.mark.parametrize(("stage", "held"), CASES)
def test_every_honest_message_is_within_its_limit(rounds, stage, held):
    rehearsal = rounds[held]
    message, _ = message_and_reader(rehearsal, stage)
    everyone = {**rehearsal.requests, **rehearsal.replies}.get(stage, {ME: message})
    assert max(len(message) for message in everyone.values()) <= size_limit(stage, rehearsal.context)


def test_a_list_longer_than_the_eligible_councils_is_refused_by_its_count(rehearsal):
    content, read = message_and_reader(rehearsal, Stage.ADVERTS)
    with pytest.raises(MalformedMessage, match="lists 65535 councils; 5 are eligible"):
        read(content[:2] + b"\xff\xff" + content[4:])


@pytest.mark.parametrize("stage", REPLIES)
def test_a_message_in_the_name_of_another_is_refused_and_its_bearer_blamed(rehearsal, stage):
    _, read = message_and_reader(rehearsal, stage)
    with pytest.raises(RemoteProtocolError, match="in the name of E00000001") as caught:
        read(rehearsal.replies[stage][council_ids(5)[0]])
    assert caught.value.culprit == ME


@pytest.mark.parametrize("stage", REPLIES)
def test_a_sender_from_outside_the_stage_is_refused(stage):
    with pytest.raises(RemoteProtocolError, match="which is not in this stage") as caught:
        receiver(stage)("E99999999", b"")
    assert caught.value.culprit == "E99999999"
