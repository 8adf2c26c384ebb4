"""The table sampler: exact cumulative values, every boundary, the tie refinement, the stream of words."""

import hashlib
from decimal import Context, Decimal
from fractions import Fraction
from itertools import accumulate

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.errors import QueryError
from federated.privacy.sampler import WORDS_PER_BLOCK, WordStream, build_table, draw, invert
from federated.privacy.tables import discrete_gaussian_table, polya_table
from protocols.errors import LocalProtocolError

ALL = (1 << 64) - 1
EXACT_BITS = 200
CONTEXT = Context(prec=110)


def never():
    raise AssertionError("no tie was planted, yet more bits were asked for")


def decimal(value: Fraction) -> Decimal:
    return CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))


def negative_binomial_cdf(a: Fraction, honest: int, count: int) -> list[Fraction]:
    """Independent: Gamma(r+k)/(Gamma(r) k!) q^k (1-q)^r with the normaliser as a power, not as a sum."""
    q = CONTEXT.exp(decimal(-a))
    r = Fraction(1, honest)
    rising, values = Fraction(1), []
    base = CONTEXT.power(CONTEXT.subtract(Decimal(1), q), decimal(r))
    for k in range(count):
        values.append(Fraction(CONTEXT.multiply(CONTEXT.multiply(decimal(rising), CONTEXT.power(q, k)), base)))
        rising = rising * (r + k) / (k + 1)
    return list(accumulate(values))


def gaussian_cdf(variance: Fraction, reach: int) -> list[Fraction]:
    """Independent: each weight as its own exponential, normalised over three times the range."""
    weights = {k: Fraction(CONTEXT.exp(decimal(-(k**2) / (2 * variance)))) for k in range(3 * reach + 1)}
    total = weights[0] + 2 * sum(weights[k] for k in range(1, 3 * reach + 1))
    return [value / total for value in accumulate(weights[abs(k)] for k in range(-reach, reach + 1))]


@pytest.mark.parametrize(
    ("a", "honest"), [(Fraction(1), 1), (Fraction(1), 17), (Fraction(1, 7), 4), (Fraction(5, 2), 310)]
)
def test_negative_binomial_table_has_two_hundred_right_bits_and_a_tail_below_2_to_minus_128(a, honest):
    table = polya_table(a, honest)
    truth = negative_binomial_cdf(a, honest, table.atoms)
    tail = 1 - truth.pop()
    assert 0 < tail < Fraction(1, 1 << 128)
    assert tail > Fraction(1, 1 << 132), "the table is longer than it needs to be"
    assert table.lowest == 0
    for index, value in enumerate(truth):
        kept = value / (1 - tail)  # the distribution the table holds: the truth, given that it is not in the tail
        assert abs(Fraction(table.cumulative(index), 1 << 192) - kept) < Fraction(1, 1 << 192) + Fraction(
            1, 1 << EXACT_BITS
        )
        assert int(table.thresholds[index]) == table.cumulative(index) >> 128


@pytest.mark.parametrize(
    "variance", [Fraction(4), Fraction(7), Fraction(1640, 163), Fraction(67, 4), Fraction(86), Fraction(400)]
)
def test_gaussian_table_has_two_hundred_right_bits_and_a_tail_below_2_to_minus_128(variance):
    table = discrete_gaussian_table(variance)
    reach = -table.lowest
    assert table.atoms == 2 * reach + 1
    truth = gaussian_cdf(variance, reach)
    inside = truth.pop()
    weights = [Fraction(CONTEXT.exp(decimal(-(k**2) / (2 * variance)))) for k in range(reach + 1, 3 * reach + 1)]
    total = 1 + 2 * sum(Fraction(CONTEXT.exp(decimal(-(k**2) / (2 * variance)))) for k in range(1, 3 * reach + 1))
    below = sum(weights) / total
    assert Fraction(1, 1 << 140) < 2 * below < Fraction(1, 1 << 128)
    for index, value in enumerate(truth):
        assert abs(Fraction(table.cumulative(index), 1 << 192) - value / inside) < Fraction(1, 1 << 192) + Fraction(
            1, 1 << EXACT_BITS
        )


def test_largest_tables_stay_within_their_size():
    assert polya_table(Fraction(89, 1 << 16), 1).atoms <= 1 << 16
    assert discrete_gaussian_table(Fraction(1 << 24)).atoms < 1 << 17


def test_tables_are_refused_outside_their_range():
    with pytest.raises(QueryError):
        polya_table(Fraction(1, 1000), 5)
    with pytest.raises(QueryError):
        discrete_gaussian_table(Fraction(3))
    with pytest.raises(QueryError):
        discrete_gaussian_table(Fraction((1 << 28) + 1))
    for cached in (polya_table(Fraction(3, 2), 5), discrete_gaussian_table(Fraction(9, 2))):
        assert cached.atoms > 1
    with pytest.raises(LocalProtocolError, match="exact Fraction"):
        polya_table(1.5, 5)  # though equal to a parameter whose table is kept
    with pytest.raises(LocalProtocolError, match="exact Fraction"):
        discrete_gaussian_table(4.5)
    with pytest.raises(LocalProtocolError, match="whole number"):
        polya_table(Fraction(1), 5.0)


def test_a_certain_outcome_needs_no_threshold():
    table = polya_table(Fraction(400), 3)
    assert table.atoms == 1
    assert invert(table, np.array([0, 1 << 63, ALL], np.uint64), never).tolist() == [0, 0, 0]


def test_words_on_either_side_of_every_threshold():
    table = discrete_gaussian_table(Fraction(9))
    thresholds = {int(threshold) for threshold in table.thresholds}
    words = sorted({t + step for t in thresholds for step in (-1, 1) if 0 <= t + step <= ALL} - thresholds)
    assert len(words) > 80
    found = invert(table, np.array(words, np.uint64), never)
    for word, value in zip(words, found, strict=True):
        for uniform in (word << 128, (word << 128) + (1 << 128) - 1):  # whatever further bits would be
            expected = next((i for i in range(table.atoms - 1) if uniform < table.cumulative(i)), table.atoms - 1)
            assert value == table.lowest + expected
    assert invert(table, np.array([ALL], np.uint64), lambda: (1 << 128) - 1) == [table.lowest + table.atoms - 1]


def narrow_table():
    """Five atoms, three of them so narrow that four cumulative values share one 64-bit threshold."""
    heavy = 1 << 150
    return build_table(-2, [heavy - 1, 1, 5, 2, heavy - 7])


def test_several_atoms_share_a_threshold_and_a_tie_compares_all_of_them():
    table = narrow_table()
    assert len(set(table.thresholds.tolist())) == 2  # just below one half, and one half
    threshold = int(table.thresholds[1])
    for word in sorted(set(table.thresholds.tolist())):
        for index in range(table.atoms - 1):
            cumulative = table.cumulative(index)
            for uniform in (cumulative - 1, cumulative, cumulative + 1):
                if uniform >> 128 != word:
                    continue
                expected = next((i for i in range(table.atoms - 1) if uniform < table.cumulative(i)), table.atoms - 1)
                more = uniform & ((1 << 128) - 1)
                found = invert(table, np.array([word], np.uint64), lambda more=more: more)
                assert found == [table.lowest + expected], (index, uniform - cumulative)
    reached = {
        int(invert(table, np.array([threshold], np.uint64), lambda i=i: table.cumulative(i) & ((1 << 128) - 1))[0])
        for i in range(table.atoms - 1)
        if table.cumulative(i) >> 128 == threshold
    }
    assert len(reached) >= 3, "the tie must be able to settle on any atom with that threshold"


def test_every_tie_draws_its_own_bits():
    table = narrow_table()
    threshold = int(table.thresholds[1])
    asked = iter([0, (1 << 128) - 1, 0])
    found = invert(table, np.array([threshold, 7, threshold, threshold, ALL], np.uint64), lambda: next(asked))
    assert found.tolist()[1] == -2
    assert found.tolist()[4] == 2
    assert found.tolist()[2] == 2
    assert found.tolist()[0] == found.tolist()[3] < 2
    with pytest.raises(StopIteration):
        next(asked)


@given(
    weights=st.lists(st.integers(1, 9) | st.integers(1, 1 << 180), min_size=1, max_size=40),
    data=st.data(),
)
@settings(deadline=None)
def test_inversion_agrees_with_brute_force_on_192_bits(weights, data):
    table = build_table(-3, weights)
    total, running = sum(weights), list(accumulate(weights))
    near = [(value << 192) // total + step for value in running for step in (-1, 0, 1) if 0 < value < total] or [0]
    uniform = data.draw(st.sampled_from(near) | st.integers(0, (1 << 192) - 1))
    expected = next((i for i, value in enumerate(running) if uniform < (value << 192) // total), len(weights) - 1)
    word = np.array([uniform >> 128], np.uint64)
    assert invert(table, word, lambda: uniform & ((1 << 128) - 1)) == [expected - 3]


def test_the_stream_is_aes_256_ctr_under_one_key_asked_once():
    key, asked = hashlib.sha256(b"key").digest(), []

    def rng(count):
        asked.append(count)
        return key

    stream = WordStream(rng)
    first = stream.words(1000).copy()
    tie = stream.more_bits()
    second = stream.words(WORDS_PER_BLOCK).copy()
    keystream = Cipher(AES(key), CTR(bytes(16))).encryptor().update(bytes(8 * (1000 + 2 + WORDS_PER_BLOCK)))
    assert asked == [32]
    assert first.astype("<u8").tobytes() == keystream[:8000]
    assert tie == int.from_bytes(keystream[8000:8016], "big")
    assert second.astype("<u8").tobytes() == keystream[8016:]


def test_a_tie_does_not_disturb_the_words_in_use():
    stream = WordStream(lambda _: bytes(32))
    words = stream.words(WORDS_PER_BLOCK)
    before = words.copy()
    stream.more_bits()
    assert np.array_equal(words, before)


def test_a_short_random_source_is_refused():
    with pytest.raises(LocalProtocolError, match="gave 31 bytes"):
        WordStream(lambda count: bytes(count - 1))


@pytest.mark.parametrize("count", [1, WORDS_PER_BLOCK - 1, WORDS_PER_BLOCK, WORDS_PER_BLOCK + 1, 200_000])
def test_draws_continue_across_blocks(count):
    table = discrete_gaussian_table(Fraction(100))
    values = draw(table, count, WordStream(lambda _: bytes(32)))
    keystream = Cipher(AES(bytes(32)), CTR(bytes(16))).encryptor().update(bytes(8 * count))
    expected = invert(table, np.frombuffer(keystream, "<u8"), never)
    assert values.dtype == np.int64
    assert np.array_equal(values, expected)
