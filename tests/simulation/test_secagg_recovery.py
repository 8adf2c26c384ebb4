"""False answers at the end of a round: attributed, stepped around where t true ones are left."""

import tracemalloc

import numpy as np
import pytest

from protocols.envelope import sign_message
from protocols.errors import MalformedMessage, RemoteProtocolError
from protocols.secagg import AggregatorState, BelowThreshold, Profile, Stage, sum_masks
from protocols.secagg import participant as participant_module
from protocols.secagg.messages import decode_unmask
from protocols.secagg.recovery import rebuild
from protocols.secagg.transcript import ShareKind, unmask_kinds
from protocols.shamir import PRIME
from tests.simulation.secagg_rehearsal import Rehearsal, council_ids

IDS = council_ids(7)


def false_answer(rehearsal, council, *, entry, salt=False):
    """The unmask answer of a council with one share (or its salt) changed, signed again by it."""
    aggregator, context = rehearsal.aggregator, rehearsal.context
    kinds = tuple(unmask_kinds(aggregator._u2, aggregator._u3).values())
    message, _, _ = decode_unmask(rehearsal.replies[Stage.UNMASK][council], context, kinds)
    body = bytearray(message.body)
    body[32 + entry * 65 + 1 + (32 if salt else 0)] ^= 1 + IDS.index(
        council
    )  # not the same change by all: those can cancel
    sign = rehearsal.sign(council)
    return sign_message(sid=context.sid, stage=Stage.UNMASK, sender=council, body=bytes(body), sign=sign).encode()


def unmasking(n, liars, *, drop=None, seed="recovery", entry=2, salt=False):
    """A round up to its unmask answers, those of `liars` being false."""
    drop = drop or {}
    told = Rehearsal(n, seed=seed).play(drop=drop)
    rehearsal = Rehearsal(n, seed=seed).play(
        upto=Stage.CONFIRMATION, drop={s: c for s, c in drop.items() if s is not Stage.UNMASK}
    )
    rehearsal.aggregator.close_confirmations()
    for council, message in told.replies[Stage.UNMASK].items():
        content = false_answer(told, council, entry=entry, salt=salt) if council in liars else message
        rehearsal.aggregator.receive_unmask(council, content)
    return rehearsal


@pytest.mark.parametrize("entry", range(5))
@pytest.mark.parametrize("salt", [False, True])
def test_a_false_share_is_attributed_and_the_sum_still_comes_out(entry, salt):
    rehearsal = unmasking(5, {IDS[1]}, entry=entry, salt=salt)
    result = rehearsal.aggregator.finish()
    # A false salt beside a true share harms nothing, so nothing is opened and nobody accused.
    assert result.bad_responders == (() if salt else (IDS[1],))
    assert result.total.tolist() == rehearsal.expected(IDS[:5]).tolist()
    assert len(result.responders) == 5


def test_a_false_share_of_a_lost_councils_seed_is_attributed_too():
    drop = {Stage.MASKED_INPUT: {IDS[6]}}
    result = (rehearsal := unmasking(7, {IDS[0]}, drop=drop, entry=6)).aggregator.finish()
    assert result.bad_responders == (IDS[0],)
    assert result.total.tolist() == rehearsal.expected(IDS[:6]).tolist()


def test_two_liars_are_both_found():
    rehearsal = unmasking(7, {IDS[0], IDS[3]})  # t = 5 of 7
    result = rehearsal.aggregator.finish()
    assert result.bad_responders == (IDS[0], IDS[3])
    assert result.total.tolist() == rehearsal.expected(IDS).tolist()


def test_without_t_true_answers_the_round_is_abandoned():
    rehearsal = unmasking(5, {IDS[1]}, drop={Stage.UNMASK: {IDS[4]}})
    with pytest.raises(BelowThreshold, match="3 councils revealed true shares; 4 are needed"):
        rehearsal.aggregator.finish()
    assert rehearsal.aggregator.state is AggregatorState.ABANDONED


def test_with_too_few_answers_the_round_is_abandoned():
    rehearsal = Rehearsal(5, seed="recovery").play(drop={Stage.UNMASK: set(IDS[:2])})
    with pytest.raises(BelowThreshold, match="3 councils revealed true shares; 4 are needed"):
        rehearsal.aggregator.finish()


def crooked_round(monkeypatch, n, victims, *, drop=None):
    """A dealer commits truthfully to shares that do not lie on one polynomial: no receiver can tell."""
    rehearsal, crook = Rehearsal(n, seed="crooked"), IDS[0]
    genuine = participant_module.split_seeds

    def split(*arguments, **named):
        shares = genuine(*arguments, **named)
        for victim in victims:
            share = shares[victim]
            off = (int.from_bytes(share.b_share, "little") + 3 ** IDS.index(victim)) % PRIME
            shares[victim] = type(share)(
                b_share=off.to_bytes(32, "little"), s_share=share.s_share, b_salt=share.b_salt, s_salt=share.s_salt
            )
        return shares

    rehearsal.advertise()
    adverts = rehearsal.aggregator.close_adverts()
    rehearsal.requests[Stage.ADVERTS] = adverts
    for council, session in rehearsal.sessions.items():
        with monkeypatch.context() as patch:
            if council == crook:
                patch.setattr(participant_module, "split_seeds", split)
            rehearsal.aggregator.receive_key_shares(council, session.share_keys(adverts[council]))
    rehearsal.accept_shares().mask().confirm().unmask((drop or {}).get(Stage.UNMASK, ()))
    return rehearsal


def test_a_dealers_few_bad_shares_are_stepped_around(monkeypatch):
    rehearsal = crooked_round(monkeypatch, 7, {IDS[2]})
    result = rehearsal.aggregator.finish()
    assert result.bad_responders == ()  # every responder showed what it was dealt
    assert result.total.tolist() == rehearsal.expected(IDS).tolist()


def test_a_dealer_whose_shares_do_not_fit_is_named(monkeypatch):
    rehearsal = crooked_round(monkeypatch, 7, {IDS[1], IDS[2], IDS[5]})
    with pytest.raises(BelowThreshold, match="E00000001 dealt do not fit together") as caught:
        rehearsal.aggregator.finish()
    assert caught.value.culprit == IDS[0]
    assert rehearsal.aggregator.state is AggregatorState.ABANDONED


def test_an_answer_about_other_survivors_is_refused():
    rehearsal = Rehearsal(5, seed="recovery").play(upto=Stage.CONFIRMATION)
    other = Rehearsal(5, seed="recovery").play(drop={Stage.MASKED_INPUT: {IDS[4]}})
    rehearsal.aggregator.close_confirmations()
    with pytest.raises(RemoteProtocolError) as caught:
        rehearsal.aggregator.receive_unmask(IDS[0], other.replies[Stage.UNMASK][IDS[0]])
    assert caught.value.culprit == IDS[0]


def test_an_answer_under_another_view_of_the_survivors_is_refused():
    rehearsal = Rehearsal(5, seed="recovery").play()
    fresh = Rehearsal(5, seed="recovery").play(upto=Stage.CONFIRMATION)
    fresh.aggregator.close_confirmations()
    signed, _, _ = decode_unmask(rehearsal.replies[Stage.UNMASK][IDS[0]], rehearsal.context, (ShareKind.SELF_MASK,) * 5)
    other = sign_message(
        sid=rehearsal.context.sid,
        stage=Stage.UNMASK,
        sender=IDS[0],
        body=bytes(32) + signed.body[32:],
        sign=rehearsal.sign(IDS[0]),
    )
    with pytest.raises(RemoteProtocolError, match="unmasked another list"):
        fresh.aggregator.receive_unmask(IDS[0], other.encode())


def test_a_revealed_share_that_is_no_field_element_is_refused_on_arrival():
    rehearsal = Rehearsal(5, seed="recovery").play()
    fresh = Rehearsal(5, seed="recovery").play(upto=Stage.CONFIRMATION)
    fresh.aggregator.close_confirmations()
    signed, _, _ = decode_unmask(rehearsal.replies[Stage.UNMASK][IDS[0]], rehearsal.context, (ShareKind.SELF_MASK,) * 5)
    body = signed.body[:33] + b"\xff" * 32 + signed.body[65:]
    false = sign_message(
        sid=rehearsal.context.sid, stage=Stage.UNMASK, sender=IDS[0], body=body, sign=rehearsal.sign(IDS[0])
    )
    with pytest.raises(MalformedMessage, match="field element") as caught:
        fresh.aggregator.receive_unmask(IDS[0], false.encode())
    assert caught.value.culprit == IDS[0]


def test_a_confirmation_of_other_survivors_is_refused():
    rehearsal = Rehearsal(5, seed="recovery").play(upto=Stage.MASKED_INPUT)
    other = Rehearsal(5, seed="recovery").play(drop={Stage.MASKED_INPUT: {IDS[4]}})
    rehearsal.aggregator.close_masked_inputs()
    with pytest.raises(RemoteProtocolError, match="confirmed another list"):
        rehearsal.aggregator.receive_confirmation(IDS[0], other.replies[Stage.CONFIRMATION][IDS[0]])


def test_key_shares_for_other_adverts_are_refused():
    rehearsal = Rehearsal(7, seed="recovery, adverts").advertise(drop={IDS[6]})
    rehearsal.aggregator.close_adverts()
    other = Rehearsal(7, seed="recovery, adverts").play(upto=Stage.KEY_SHARES, drop={Stage.ADVERT: {IDS[5]}})
    with pytest.raises(RemoteProtocolError, match="dealt for other adverts"):
        rehearsal.aggregator.receive_key_shares(IDS[0], other.replies[Stage.KEY_SHARES][IDS[0]])


def test_a_masked_input_for_other_key_shares_is_refused():
    rehearsal = Rehearsal(5, seed="recovery").play(upto=Stage.KEY_SHARES)
    rehearsal.aggregator.close_key_shares()
    other = Rehearsal(5, seed="recovery").play(upto=Stage.MASKED_INPUT, drop={Stage.KEY_SHARES: {IDS[4]}})
    with pytest.raises(RemoteProtocolError, match="masked for other key shares"):
        rehearsal.aggregator.receive_masked_input(IDS[0], other.replies[Stage.MASKED_INPUT][IDS[0]])


def test_the_round_goes_on_without_a_bad_sender():
    rehearsal = Rehearsal(5, seed="recovery").play(upto=Stage.KEY_SHARES).accept_shares()
    with pytest.raises(RemoteProtocolError):
        rehearsal.aggregator.receive_masked_input(IDS[4], b"rubbish")
    rehearsal.mask(drop={IDS[4]}).confirm().unmask()
    assert rehearsal.aggregator.finish().total.tolist() == rehearsal.expected(IDS[:4]).tolist()


def test_masks_may_be_summed_in_parts():
    drop = {Stage.MASKED_INPUT: {IDS[2]}}

    def halves(work, ring, cells):
        return sum_masks(work[::2], ring, cells) + sum_masks(work[1::2], ring, cells)

    rehearsal = Rehearsal(5, seed="parts").play(drop=drop)
    assert rehearsal.aggregator.finish(halves).total.tolist() == rehearsal.expected([*IDS[:2], *IDS[3:5]]).tolist()


def test_the_result_carries_its_evidence():
    rehearsal = Rehearsal(5, seed="evidence").play(drop={Stage.CONFIRMATION: {IDS[0]}})
    result = rehearsal.aggregator.finish()
    assert [*result.statements] == [rehearsal.replies[Stage.CONFIRMATION][c] for c in IDS[1:5]]
    assert {len(digest) for digest in result.input_digests.values()} == {32}
    assert tuple(result.input_digests) == result.u3 == tuple(IDS[:5])
    assert result.h3 == rehearsal.states[IDS[1]][Stage.CONFIRMATION].h3


def test_an_aggregator_keeps_no_vector_but_the_sum():
    cells, n = 50_000, 12
    rehearsal = (
        Rehearsal(n, cells=cells, profile=Profile.CAREFUL, seed="memory").play(upto=Stage.KEY_SHARES).accept_shares()
    )
    vector = cells * 8
    messages = {council: rehearsal.sessions[council].mask(rehearsal.inputs[council]) for council in council_ids(n)}
    tracemalloc.start()
    try:
        for council, message in messages.items():
            rehearsal.aggregator.receive_masked_input(council, message)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < vector / 2
    assert peak < 2 * vector


def test_rebuild_of_nothing_is_nothing():
    assert rebuild([], {}, sid=b"", threshold=1, points={}).secrets == {}


def test_wrapping_sums_are_exact():
    rehearsal = Rehearsal(5, seed="wrap", bits=32)
    rehearsal.inputs = {c: np.array([2**31 - 1, -(2**31), 2**33 + c_at]) for c_at, c in enumerate(IDS[:5])}
    total = rehearsal.play().aggregator.finish().total
    expected = sum(rehearsal.inputs.values()).astype(object)
    assert [(int(a) - int(b)) % 2**32 for a, b in zip(total, expected, strict=True)] == [0, 0, 0]
    assert all(-(2**31) <= value < 2**31 for value in total)
