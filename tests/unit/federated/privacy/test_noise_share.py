"""Step 5: one council's share, its shape, its randomness and its refusals."""

import hashlib
from fractions import Fraction

import numpy as np
import pytest

from federated.errors import QueryError
from federated.privacy import Mechanism, NoiseBlock, NoiseSpec, require_noise, sample_noise_share
from protocols.errors import LocalProtocolError

LAPLACE, GAUSSIAN = Mechanism.DISCRETE_LAPLACE, Mechanism.DISCRETE_GAUSSIAN


def seeded(seed):
    return lambda count: hashlib.shake_256(seed.encode()).digest(count)


def spec(mechanism, *blocks, scale=1):
    return NoiseSpec(
        mechanism=mechanism,
        blocks=tuple(NoiseBlock(cells=cells, parameter=Fraction(parameter)) for cells, parameter in blocks),
        scale=scale,
    )


@pytest.mark.parametrize("mechanism", [LAPLACE, GAUSSIAN])
def test_one_key_one_integer_vector(mechanism):
    asked = []

    def rng(count):
        asked.append(count)
        return seeded("one")(count)

    share = sample_noise_share(spec(mechanism, (700, 20), (1, 30), (299, 25)), honest=5, rng=rng)
    assert share.shape == (1000,)
    assert share.dtype == np.int64
    assert asked == [32]


@pytest.mark.parametrize("mechanism", [LAPLACE, GAUSSIAN])
def test_shares_depend_on_the_random_source_alone(mechanism):
    noise = spec(mechanism, (1000, Fraction(1, 2) if mechanism is LAPLACE else 50))
    first, again, other = (sample_noise_share(noise, honest=5, rng=seeded(seed)) for seed in ("a", "a", "b"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_blocks_draw_fresh_words():
    """Two equal blocks must not repeat each other's noise: their difference would be free of it."""
    for mechanism, parameter in ((LAPLACE, Fraction(1, 10)), (GAUSSIAN, Fraction(400))):
        share = sample_noise_share(spec(mechanism, (500, parameter), (500, parameter)), honest=2, rng=seeded("x"))
        assert abs(np.corrcoef(share[:500], share[500:])[0, 1]) < 0.2


def test_each_block_carries_its_own_size():
    share = sample_noise_share(spec(GAUSSIAN, (20_000, 40), (20_000, 4000)), honest=4, rng=seeded("x"))
    assert share[:20_000].var() == pytest.approx(10, rel=0.05)
    assert share[20_000:].var() == pytest.approx(1000, rel=0.05)


def test_scale_and_honest_set_the_gaussian_share():
    share = sample_noise_share(spec(GAUSSIAN, (50_000, 20), scale=8), honest=10, rng=seeded("x"))
    assert share.var() == pytest.approx(64 * 20 / 10, rel=0.05)


def test_a_polya_share_is_a_difference_of_two_independent_draws():
    a, honest = 0.5, 6
    share = sample_noise_share(spec(LAPLACE, (200_000, Fraction(1, 2))), honest=honest, rng=seeded("x"))
    q = np.exp(-a)
    assert share.var() == pytest.approx(2 / honest * q / (1 - q) ** 2, rel=0.05)
    assert abs(share.mean()) < 5 * share.std() / np.sqrt(share.size)
    assert (share < 0).any()
    assert (share > 0).any()


def test_what_cannot_be_sampled_is_refused_with_what_to_do():
    too_large = spec(LAPLACE, (10, 1), (10, Fraction(1, 5000)))
    with pytest.raises(QueryError) as refusal:
        require_noise(too_large, honest=5)
    assert refusal.value.remedy
    with pytest.raises(QueryError):
        sample_noise_share(too_large, honest=5, rng=seeded("x"))
    with pytest.raises(QueryError, match="at least 4"):
        require_noise(spec(GAUSSIAN, (10, 20)), honest=6)
    require_noise(spec(GAUSSIAN, (10, 20)), honest=5)
    for honest in (0, 5.0):
        with pytest.raises(LocalProtocolError, match="honest"):
            sample_noise_share(spec(LAPLACE, (10, 1)), honest=honest, rng=seeded("x"))
