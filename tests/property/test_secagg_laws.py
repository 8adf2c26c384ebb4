"""Laws of secure aggregation over random rounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from protocols.errors import RemoteProtocolError
from protocols.masks import add_masks
from protocols.ring import Ring
from protocols.secagg import (
    BelowThreshold,
    CohortRuleBroken,
    Profile,
    Stage,
    accept_shares,
    confirm_survivors,
    run_secure_sum,
    share_keys,
    unmask,
)
from tests.simulation.secagg_rehearsal import REPLIES, REQUESTS, Rehearsal, council_ids
from tests.vectors.seeded import SeededRandom

INT64 = st.integers(-(2**63), 2**63 - 1)


@st.composite
def rounds(draw):
    n, cells = draw(st.integers(4, 9)), draw(st.integers(1, 40))
    councils = draw(st.permutations(council_ids(n)))
    vectors = draw(st.lists(st.lists(INT64, min_size=cells, max_size=cells), min_size=n, max_size=n))
    inputs = {council: np.array(vector, dtype=np.int64) for council, vector in zip(councils, vectors, strict=True)}
    profile, bits = draw(st.sampled_from(Profile)), draw(st.sampled_from([32, 64]))
    drop = {stage: frozenset(draw(st.sets(st.sampled_from(councils), max_size=1))) for stage in REPLIES}
    return inputs, profile, bits, drop, draw(st.text(max_size=4))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(rounds())
def test_the_sum_over_the_survivors_or_nothing(case):
    inputs, profile, bits, drop, seed = case
    try:
        result = run_secure_sum(
            inputs, rng=SeededRandom(seed), profile=profile, ring=Ring(bits=bits), min_honest=1, drop=drop
        )
    except CohortRuleBroken:
        assert len(inputs) - len(drop[Stage.ADVERT]) < 4
        return
    except BelowThreshold:
        assert any(drop.values())
        return
    early = drop[Stage.ADVERT] | drop[Stage.KEY_SHARES] | drop[Stage.MASKED_INPUT]
    assert set(result.u3) == set(inputs) - early
    half, modulus = 2 ** (bits - 1), 2**bits
    exact = [sum(int(inputs[council][cell]) for council in result.u3) for cell in range(len(result.total))]
    assert result.total.tolist() == [(value + half) % modulus - half for value in exact]


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("lost", [0, 1])
def test_pairwise_masks_over_u2_sum_to_zero_and_single_ones_do_not(bits, lost):
    drop = {Stage.KEY_SHARES: set(council_ids(7)[:lost])}
    rehearsal = Rehearsal(7, bits=bits, cells=50, seed="cancel").play(upto=Stage.MASKED_INPUT, drop=drop)
    ring, total = rehearsal.context.ring, rehearsal.context.ring.zeros(50)
    for council in council_ids(7)[lost:]:
        _, *pairwise = rehearsal.states[council][Stage.SHARES].masks  # the first is the self mask
        assert len(pairwise) == 6 - lost
        own = ring.zeros(50)
        add_masks(own, pairwise, ring)
        assert np.count_nonzero(own) == 50
        total += own
    assert not total.any()


def test_no_two_masks_of_a_round_share_a_key_but_the_two_ends_of_a_pair():
    rehearsal = Rehearsal(7, seed="keys").play(upto=Stage.MASKED_INPUT)
    keys = [mask.key for council in council_ids(7) for mask in rehearsal.states[council][Stage.SHARES].masks]
    assert len(keys) == 7 * 7
    assert len(set(keys)) == 7 + 7 * 6 // 2


def _masked_bytes(value, *, cells=40_000, seed="uniform"):
    rehearsal = Rehearsal(5, cells=cells, seed=seed)
    rehearsal.inputs = dict.fromkeys(rehearsal.inputs, np.full(cells, value))
    rehearsal.play(upto=Stage.MASKED_INPUT)
    return np.frombuffer(rehearsal.replies[Stage.MASKED_INPUT][council_ids(5)[1]][-8 * cells :], dtype=np.uint8)


@pytest.mark.parametrize("value", [0, 10**9])
def test_a_masked_input_is_uniform(value):
    content = _masked_bytes(value)
    counts = np.bincount(content, minlength=256)
    assert 0.001 < stats.chisquare(counts).pvalue < 0.999
    for position in range(8):  # no byte of the word leaks the value's size
        assert stats.chisquare(np.bincount(content[position::8], minlength=256)).pvalue > 0.0005


def test_masked_inputs_of_zero_and_of_a_thousand_million_cannot_be_told_apart():
    zero, large = _masked_bytes(0, seed="one"), _masked_bytes(10**9, seed="other")
    table = np.stack([np.bincount(zero, minlength=256), np.bincount(large, minlength=256)])
    assert stats.chi2_contingency(table).pvalue > 0.001


def test_the_uniformity_test_has_power():
    """Unmasked, or masked with a biased byte in every hundred, it fails by far."""
    content = _masked_bytes(0).copy()
    content[::100] = 0
    assert stats.chisquare(np.bincount(content, minlength=256)).pvalue < 1e-9


REHEARSAL = Rehearsal(5, seed="fuzz").play()
ME = council_ids(5)[1]


def _read(stage, content):
    states, sign = REHEARSAL.states[ME], REHEARSAL.sign(ME)
    match stage:
        case Stage.ADVERTS:
            return share_keys(states[Stage.ADVERT], content, REHEARSAL.rng, sign)
        case Stage.SHARES:
            return accept_shares(states[Stage.KEY_SHARES], content)
        case Stage.SURVIVORS:
            return confirm_survivors(states[Stage.MASKED_INPUT], content, sign)
        case Stage.STATEMENTS:
            return unmask(states[Stage.CONFIRMATION], content, sign)
    raise AssertionError(stage)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(stage=st.sampled_from(REQUESTS), content=st.binary(max_size=400))
def test_decoders_refuse_any_bytes_in_their_own_words(stage, content):
    with pytest.raises(RemoteProtocolError):
        _read(stage, bytes((1, stage)) + content)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(stage=st.sampled_from(REQUESTS), data=st.data())
def test_spliced_messages_are_refused(stage, data):
    """Honest bytes with a stretch removed, doubled or overwritten by another stretch."""
    honest = REHEARSAL.requests[stage][ME]
    start, end, at = sorted(data.draw(st.integers(0, len(honest))) for _ in range(3))
    piece = data.draw(st.sampled_from([b"", honest[start:end] * 2, honest[end:at], honest[:start]]))
    spliced = honest[:start] + piece + honest[end:]
    if spliced != honest:
        with pytest.raises(RemoteProtocolError):
            _read(stage, spliced)
