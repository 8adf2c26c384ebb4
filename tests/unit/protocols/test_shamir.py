"""Sharing over 2^255 - 19."""

from itertools import combinations

import numpy as np
import pytest

from protocols.errors import LocalProtocolError, MalformedMessage
from protocols.shamir import (
    PRIME,
    combine,
    combine_each,
    decode_element,
    elements_of,
    encode_element,
    random_elements,
    read_elements,
    split,
    weights_at_zero,
)
from tests.vectors.seeded import SeededRandom


@pytest.mark.parametrize("secret", [0, 1, PRIME - 1, 2**200 + 17])
def test_any_threshold_of_shares_give_the_secret_and_fewer_do_not(secret):
    shares = split(secret, threshold=3, count=5, rng=SeededRandom(f"shamir {secret}"))
    for points in combinations(range(1, 6), 3):
        weights = weights_at_zero(points)
        assert combine(weights, [shares[point - 1] for point in points]) == secret
        assert combine(weights_at_zero(points[:2]), [shares[point - 1] for point in points[:2]]) != secret


def test_shares_lie_on_the_polynomial_of_the_drawn_coefficients():
    draws = [5, 7]  # highest first

    def rng(size):
        assert size == 64
        return b"".join(draw.to_bytes(32, "little") for draw in draws)

    assert split(11, threshold=3, count=4, rng=rng) == tuple(5 * x * x + 7 * x + 11 for x in (1, 2, 3, 4))


@pytest.mark.parametrize("count", [1, 2, 3, 255, 256, 511, 512, 1023, 1024, 2**16 - 1])
def test_limbs_never_overflow_at_the_largest_coefficients(count):
    threshold = min(count, 40)
    shares = split(
        PRIME - 1, threshold=threshold, count=count, rng=lambda size: encode_element(PRIME - 1) * (size // 32)
    )
    assert len(shares) == count
    for point in {1, (count + 1) // 2, count}:
        powers = [pow(point, power, PRIME) for power in range(threshold)]
        assert shares[point - 1] == (PRIME - 1) * sum(powers) % PRIME


def test_one_below_threshold_every_secret_fits_equally():
    shares = split(42, threshold=3, count=3, rng=SeededRandom("perfect"))
    # For any other secret there is a polynomial through the same two shares: nothing is said about the secret.
    for other in (0, 7, PRIME - 1):
        weights = weights_at_zero((1, 2, 3))
        third = (other - weights[0] * shares[0] - weights[1] * shares[1]) * pow(weights[2], -1, PRIME) % PRIME
        assert combine(weights, [shares[0], shares[1], third]) == other


@pytest.mark.parametrize(
    ("threshold", "count", "secret"), [(0, 3, 1), (4, 3, 1), (2, 2**16, 1), (2, 3, PRIME), (2, 3, -1)]
)
def test_impossible_dealings_are_refused(threshold, count, secret):
    with pytest.raises(LocalProtocolError):
        split(secret, threshold=threshold, count=count, rng=SeededRandom("x"))


@pytest.mark.parametrize("points", [(1, 1, 2), (0, 1), (1, PRIME)])
def test_repeated_points_and_zero_are_refused(points):
    with pytest.raises(LocalProtocolError):
        weights_at_zero(points)


def test_weights_and_shares_must_match():
    with pytest.raises(LocalProtocolError):
        combine((1, 2), (1,))


def test_many_secrets_come_back_together():
    secrets = [0, 7, PRIME - 1]
    dealt = [split(secret, threshold=3, count=5, rng=SeededRandom(f"each {secret}")) for secret in secrets]
    points = (2, 3, 5)
    shares = [elements_of(shares[point - 1] for shares in dealt) for point in points]
    assert combine_each(weights_at_zero(points), shares) == tuple(secrets)


def test_sums_of_the_largest_products_do_not_overflow():
    most = elements_of([PRIME - 1])
    assert combine_each([PRIME - 1] * (2**16 - 1), [most] * (2**16 - 1)) == ((2**16 - 1) % PRIME,)


def test_many_elements_are_read_as_strictly_as_one():
    def read(*values):
        return read_elements(
            np.frombuffer(b"".join(value.to_bytes(32, "little") for value in values), "u1").reshape(-1, 32)
        )

    fine = [0, 5, PRIME - 1, 2**254]
    assert [int.from_bytes(row.tobytes(), "little") for row in read(*fine)] == fine
    for wrong in (PRIME, PRIME + 18, 2**255, 2**256 - 1):
        with pytest.raises(MalformedMessage):
            read(1, wrong, 2)


def test_elements_have_one_encoding():
    assert decode_element(encode_element(PRIME - 1)) == PRIME - 1
    for wrong in (PRIME.to_bytes(32, "little"), b"\xff" * 32, bytes(31), bytes(33)):
        with pytest.raises(MalformedMessage):
            decode_element(wrong)
    for number in (PRIME, -1):
        with pytest.raises(LocalProtocolError):
            encode_element(number)


def test_draws_outside_the_field_are_drawn_again():
    answers = [PRIME.to_bytes(32, "little"), (PRIME + 18).to_bytes(32, "little"), (9 | 1 << 255).to_bytes(32, "little")]
    assert random_elements(1, lambda size: answers.pop(0)) == [9]
    assert answers == []
