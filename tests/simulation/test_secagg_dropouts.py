"""Every way of losing councils: the sum over U3 comes out, or nothing does."""

from itertools import product

import numpy as np
import pytest

from protocols.secagg import AggregatorState, BelowThreshold, Profile, Stage, run_secure_sum
from tests.simulation.secagg_rehearsal import REPLIES, Rehearsal, council_ids
from tests.vectors.seeded import SeededRandom

NEVER = None
AFTER_ADVERTS = REPLIES[1:]


def _drop(councils, fates):
    return {stage: {c for c, fate in zip(councils, fates, strict=True) if fate is stage} for stage in REPLIES}


def _ideal(n, threshold, fates):
    """The ideal functionality: U3 if every stage keeps t councils, else nothing."""
    order = (*REPLIES, NEVER)
    alive = [sum(order.index(fate) > at for fate in fates) for at in range(len(REPLIES))]
    return alive[0] == n and all(count >= threshold for count in alive[1:])


def _check_chain(n, profile, fates):
    councils = council_ids(n)
    rehearsal = Rehearsal(n, profile=profile, cells=2, seed="chains")
    try:
        rehearsal.play(drop=_drop(councils, fates))
        result = rehearsal.aggregator.finish()
    except BelowThreshold:
        assert not _ideal(n, 4, fates)
        assert rehearsal.aggregator.state is AggregatorState.ABANDONED
        # Nothing can come out: fewer than t unmask answers were ever given.
        assert len(rehearsal.replies[Stage.UNMASK]) < 4
        return
    assert _ideal(n, 4, fates)
    survivors = tuple(c for c, fate in zip(councils, fates, strict=True) if fate not in REPLIES[:3])
    assert result.u3 == survivors
    assert set(result.u1) >= set(result.u2) >= set(result.u3) >= set(result.responders)
    assert result.total.tolist() == rehearsal.expected(survivors).tolist()


@pytest.mark.parametrize("first", [*AFTER_ADVERTS, NEVER], ids=str)
def test_every_chain_of_four_standard(first):
    for rest in product((*AFTER_ADVERTS, NEVER), repeat=3):
        _check_chain(4, Profile.STANDARD, (first, *rest))


def test_every_chain_of_five_careful():
    """Every U1 ⊇ U2 ⊇ U3 ⊇ U4: each council is lost before its key shares, masked input or confirmation, or never."""
    for fates in product((*REPLIES[1:4], NEVER), repeat=5):
        _check_chain(5, Profile.CAREFUL, fates)


@pytest.mark.long
def test_every_chain_of_five_careful_with_adverts_and_answers_lost():
    for fates in product((*REPLIES, NEVER), repeat=5):
        _check_chain(5, Profile.CAREFUL, fates)


@pytest.mark.parametrize("stage", REPLIES[1:])
@pytest.mark.parametrize("profile", list(Profile))
def test_as_many_as_may_be_lost_and_one_more(stage, profile):
    n = 10
    rng = SeededRandom(f"one more/{stage}/{profile}")
    inputs = {council: np.frombuffer(rng(8 * 4), dtype="<i8") >> 8 for council in council_ids(n)}
    may_be_lost = {Profile.STANDARD: 1, Profile.CAREFUL: 3}[profile]
    lost = frozenset(council_ids(n)[1 : 1 + may_be_lost])
    result = run_secure_sum(inputs, rng=rng, profile=profile, drop={stage: lost})
    assert result.thresholds.may_be_lost == may_be_lost
    counted = set(inputs) - (lost if stage <= Stage.MASKED_INPUT else set())
    assert result.total.tolist() == sum(inputs[c] for c in counted).tolist()
    with pytest.raises(BelowThreshold):
        run_secure_sum(inputs, rng=rng, profile=profile, drop={stage: lost | {council_ids(n)[-1]}})


def test_losses_spread_over_the_stages_add_up():
    inputs = {council: np.arange(3) for council in council_ids(10)}
    ids = council_ids(10)
    drop = {
        Stage.KEY_SHARES: frozenset(ids[:1]),
        Stage.MASKED_INPUT: frozenset(ids[4:5]),
        Stage.UNMASK: frozenset(ids[9:]),
    }
    result = run_secure_sum(inputs, rng=SeededRandom("spread"), drop=drop)
    assert (len(result.u1), len(result.u2), len(result.u3), len(result.responders)) == (10, 9, 8, 7)
    assert result.total.tolist() == [0, 8, 16]


def test_losses_before_the_adverts_shrink_the_round():
    inputs = {council: np.arange(3) for council in council_ids(12)}
    result = run_secure_sum(inputs, rng=SeededRandom("shrink"), drop={Stage.ADVERT: frozenset(council_ids(3))})
    assert result.thresholds.n == 9
    assert result.thresholds.c == 4  # of the cohort of twelve, not of the nine
    assert result.total.tolist() == [0, 9, 18]
