"""Shamir's secret sharing over the integers modulo p = 2^255 - 19.

Any `threshold` shares give the secret back, fewer say nothing about it. Elements travel as 32 bytes,
little endian, and only canonical ones (below p) are read.

Dealing evaluates one polynomial at every council's point at once, and combining rebuilds every council's secret at
once, both on 32-bit limbs in NumPy words: the same steps whatever the secret, unlike with Python's integers, and a
quarter of their time.

References:
    Shamir 1979, "How to share a secret".
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import prod
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from protocols.errors import LocalProtocolError, MalformedMessage
from protocols.identifiers import RandomSource

PRIME: Final = 2**255 - 19
ELEMENT_SIZE: Final = 32

_TOP_BIT_CLEARED: Final = (1 << 255) - 1
_LIMB_BITS: Final = 32
_LIMBS: Final = 8
_LIMB_SHIFT: Final = np.uint64(_LIMB_BITS)
_LIMB_MASK: Final = np.uint64((1 << _LIMB_BITS) - 1)
_FOLD: Final = np.uint64(38)
"""2^256 modulo p: what a carry out of the highest limb is worth in the lowest."""
_NO_ELEMENT: Final = "a field element is 32 bytes, little endian, below 2^255 - 19"
_MOST_SHARES: Final = (1 << 16) - 1
_DIGIT_BITS: Final = 16
_PLACES: Final = [
    _DIGIT_BITS * digit + _LIMB_BITS * limb
    for digit in range(_LIMBS * _LIMB_BITS // _DIGIT_BITS)
    for limb in range(_LIMBS)
]
"""What the product of a weight's digit and a share's limb is shifted by."""

Elements: TypeAlias = NDArray[np.uint32]
"""Field elements as limbs, lowest first: shape `(count, 8)`."""


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
        raise MalformedMessage(_NO_ELEMENT)
    return element


def read_elements(content: NDArray[np.uint8]) -> Elements:
    """Read many field elements; see :func:`decode_element`.

    Shapes:
        `content` is `(count, 32)`, the result `(count, 8)`.

    Raises:
        MalformedMessage: One is not below p.
    """
    elements = np.ascontiguousarray(content).view("<u4")
    for row in np.flatnonzero(elements[:, -1] >= PRIME >> 224):  # smaller ones are below p whatever follows
        decode_element(elements[row].tobytes())
    return elements


def elements_of(values: Iterable[int]) -> Elements:
    """Field elements as limbs."""
    content = b"".join([encode_element(value) for value in values])
    return np.frombuffer(content, "<u4").reshape(-1, _LIMBS)


def split(secret: int, *, threshold: int, count: int, rng: RandomSource) -> tuple[int, ...]:
    """Deal a secret: the values at 1, 2, …, `count` of a random polynomial whose value at 0 is the secret.

    Raises:
        LocalProtocolError: Not 1 ≤ threshold ≤ count < 2^16, or the secret is no field element.
    """
    if not 1 <= threshold <= count <= _MOST_SHARES or not 0 <= secret < PRIME:
        raise LocalProtocolError(f"cannot deal a secret to {count} with threshold {threshold}")
    highest_first = elements_of([*random_elements(threshold - 1, rng), secret])
    return _evaluate(highest_first.astype(np.uint64), count)


def _evaluate(highest_first: NDArray[np.uint64], count: int) -> tuple[int, ...]:
    """Horner's rule at 1, 2, …, `count` together.

    Shapes:
        `highest_first` is `(threshold, limbs)`; the values are `(limbs, count)`, lowest limb first.
    """
    points = np.arange(1, count + 1, dtype=np.uint64)
    values = np.zeros((_LIMBS, count), np.uint64)
    # Below 2^33 after a reduction, and a step adds the bits of a point: no limb gets to 2^64 before the next one.
    steps = (63 - 33) // count.bit_length()
    for step, coefficient in enumerate(highest_first, start=1):
        values *= points
        values += coefficient[:, None]
        if step % steps == 0:
            _reduce(values)
    _reduce(values)
    return tuple(_element(limbs) for limbs in values.T.tolist())


def _reduce(values: NDArray[np.uint64]) -> None:
    """Bring limbs back to 2^32 and a little, modulo p. The first pass may carry as much as a word, the second bits."""
    for _ in range(2):
        carries = values >> _LIMB_SHIFT
        values &= _LIMB_MASK
        values[1:] += carries[:-1]
        values[0] += carries[-1] * _FOLD


def _element(limbs: Sequence[int]) -> int:
    return sum(limb << _LIMB_BITS * place for place, limb in enumerate(limbs)) % PRIME


def weights_at_zero(points: Sequence[int]) -> tuple[int, ...]:
    """Lagrange weights at 0, computed once for a set of points and used for every secret.

    Args:
        points: Different x-coordinates, none of them 0.

    Raises:
        LocalProtocolError: A point is repeated or is 0, where the secret itself lies.
    """
    if len(set(points)) != len(points) or not all(0 < point < PRIME for point in points):
        raise LocalProtocolError("interpolation needs different points other than 0")
    product = prod(points)
    return tuple(product * inverse % PRIME for inverse in _inverses([_denominator(point, points) for point in points]))


def _denominator(point: int, points: Sequence[int]) -> int:
    # Π_{j≠i} x_j / (x_j - x_i) = (Π_j x_j) / (x_i Π_{j≠i} (x_j - x_i)). The points are small: reduced once, at the end.
    return point * prod([other - point for other in points if other != point]) % PRIME


def _inverses(elements: Sequence[int]) -> list[int]:
    """Of many elements by one inversion: that of their product (Montgomery's trick)."""
    products = list(accumulate(elements, lambda product, element: product * element % PRIME, initial=1))
    rest, inverses = pow(products.pop(), -1, PRIME), list[int]()
    for element, before in zip(reversed(elements), reversed(products), strict=True):
        inverses.append(rest * before % PRIME)
        rest = rest * element % PRIME
    return inverses[::-1]


def combine(weights: Sequence[int], shares: Sequence[int]) -> int:
    """The secret: the inner product of weights and shares, in the same order.

    Raises:
        LocalProtocolError: Not as many shares as weights.
    """
    [secret] = combine_each(weights, [elements_of([share]) for share in shares])
    return secret


def combine_each(weights: Sequence[int], shares: Sequence[Elements]) -> tuple[int, ...]:
    """:func:`combine` of many secrets at once.

    Args:
        weights: As many as there are responders, fewer than 2^16.
        shares: Of each responder, its share of every secret.

    Raises:
        LocalProtocolError: Not as many responders as weights.
    """
    if len(weights) != len(shares):
        raise LocalProtocolError(f"{len(weights)} weights cannot combine {len(shares)} shares")
    digits = elements_of(weights).view("<u2").astype(np.uint64)
    limbs = np.stack(shares).astype(np.uint64).reshape(len(shares), -1)
    # A digit times a limb is below 2^48, and so many of them below 2^64.
    products = np.einsum("rd,rk->dk", digits, limbs).reshape(digits.shape[1], -1, _LIMBS)
    rows = products.transpose(1, 0, 2).reshape(products.shape[1], -1)
    return tuple(sum(map(int.__lshift__, row, _PLACES)) % PRIME for row in rows.tolist())
