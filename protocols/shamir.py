"""Shamir's secret sharing over the integers modulo p = 2^255 - 19.

Any `threshold` shares give the secret back, fewer say nothing about it. Elements travel as 32 bytes,
little endian, and only canonical ones (below p) are read.

References:
    Shamir 1979, "How to share a secret".
"""

from collections.abc import Iterator, Sequence
from typing import Final

from protocols.errors import LocalProtocolError, MalformedMessage
from protocols.identifiers import RandomSource

PRIME: Final = 2**255 - 19
ELEMENT_SIZE: Final = 32

_TOP_BIT_CLEARED: Final = (1 << 255) - 1


def random_elements(count: int, rng: RandomSource) -> list[int]:
    """Uniform field elements, by rejection: 255 random bits fail with probability 19 / 2^255."""
    return [element if element < PRIME else _redraw(rng) for element in _words(rng(ELEMENT_SIZE * count))]


def _redraw(rng: RandomSource) -> int:
    while (element := int.from_bytes(rng(ELEMENT_SIZE), "little") & _TOP_BIT_CLEARED) >= PRIME:
        pass
    return element


def _words(content: bytes) -> Iterator[int]:
    for start in range(0, len(content), ELEMENT_SIZE):
        yield int.from_bytes(content[start : start + ELEMENT_SIZE], "little") & _TOP_BIT_CLEARED


def encode_element(element: int) -> bytes:
    """A field element as 32 bytes, little endian.

    Raises:
        LocalProtocolError: Not an element.
    """
    if not 0 <= element < PRIME:
        raise LocalProtocolError("a field element lies from 0 to 2^255 - 20")
    return element.to_bytes(ELEMENT_SIZE, "little")


def decode_element(content: bytes) -> int:
    """Read a field element.

    Raises:
        MalformedMessage: Not 32 bytes, or not below p: the same element must not have two encodings.
    """
    element = int.from_bytes(content, "little")
    if len(content) != ELEMENT_SIZE or element >= PRIME:
        raise MalformedMessage("a field element is 32 bytes, little endian, below 2^255 - 19")
    return element


def split(secret: int, *, threshold: int, count: int, rng: RandomSource) -> tuple[int, ...]:
    """Deal a secret: the values at 1, 2, …, `count` of a random polynomial whose value at 0 is the secret.

    Raises:
        LocalProtocolError: Not 1 ≤ threshold ≤ count, or the secret is no field element.
    """
    if not 1 <= threshold <= count or not 0 <= secret < PRIME:
        raise LocalProtocolError(f"cannot deal a secret to {count} with threshold {threshold}")
    highest_first = random_elements(threshold - 1, rng)
    return tuple(_evaluate(highest_first, secret, x) for x in range(1, count + 1))


def _evaluate(highest_first: Sequence[int], constant: int, x: int) -> int:
    value = 0
    for coefficient in highest_first:  # Horner
        value = (value * x + coefficient) % PRIME
    return (value * x + constant) % PRIME


def weights_at_zero(points: Sequence[int]) -> tuple[int, ...]:
    """Lagrange weights at 0, computed once for a set of points and used for every secret.

    Args:
        points: Different x-coordinates, none of them 0.

    Raises:
        LocalProtocolError: A point is repeated or is 0, where the secret itself lies.
    """
    if len(set(points)) != len(points) or not all(0 < point < PRIME for point in points):
        raise LocalProtocolError("interpolation needs different points other than 0")
    product = 1
    for point in points:
        product = product * point % PRIME
    return tuple(_weight(point, points, product) for point in points)


def _weight(point: int, points: Sequence[int], product: int) -> int:
    # Π_{j≠i} x_j / (x_j - x_i) = (Π_j x_j) / (x_i Π_{j≠i} (x_j - x_i)): one inversion a point.
    denominator = point
    for other in points:
        if other != point:
            denominator = denominator * (other - point) % PRIME
    return product * pow(denominator, -1, PRIME) % PRIME


def combine(weights: Sequence[int], shares: Sequence[int]) -> int:
    """The secret: the inner product of weights and shares, in the same order.

    Raises:
        LocalProtocolError: Not as many shares as weights.
    """
    if len(weights) != len(shares):
        raise LocalProtocolError(f"{len(weights)} weights cannot combine {len(shares)} shares")
    return sum(map(int.__mul__, weights, shares)) % PRIME
