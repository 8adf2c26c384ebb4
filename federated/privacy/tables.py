"""The exact distributions behind the two mechanisms, as tables for the sampler.

Weights are integers with 320 fractional bits, from recurrences whose ratios never exceed 1, so that every rounding
adds at most a few units and none is magnified. At the largest tables allowed (2^16 and 2^19 atoms) a
cumulative value is off by less than 2^-280 (negative binomial) and 2^-260 (Gaussian): at least 200 bits are right.
"""

from fractions import Fraction
from functools import lru_cache
from typing import Final

from federated.privacy.mechanism import Mechanism, require_samplable
from federated.privacy.rounding import exp_fixed_point, positive, whole
from federated.privacy.sampler import InversionTable, build_table

TAIL_BITS: Final = 128
"""The tail left out has mass below 2^-128, both sides together."""

_BITS: Final = 320
_ONE: Final = 1 << _BITS


@lru_cache(maxsize=8, typed=True)  # typed: a float equal to a cached Fraction must still be refused
def polya_table(parameter: Fraction, honest: int) -> InversionTable:
    """One of the two draws of a Polya share: NB(1/honest, q) with q = e^-a.

    P(k) = Gamma(r+k) / (Gamma(r) k!) q^k (1-q)^r. Each weight is the one before times q (r+k)/(k+1), exactly
    q (1 + hk) / (h (k+1)) for r = 1/h; since r is at most 1, what follows weight k is at most its q/(1-q) fold.

    Args:
        parameter: `a`, exact; at least 89/2^16.
        honest: Shares that add up to the whole noise, `h`.

    Raises:
        QueryError: `parameter` is too small for a table.
    """
    positive(parameter, "a")
    whole(honest, "honest", least=1)
    require_samplable(Mechanism.DISCRETE_LAPLACE, parameter, scale=1, honest=honest)
    return build_table(0, _negative_binomial_weights(exp_fixed_point(-parameter, bits=_BITS), honest))


def _negative_binomial_weights(q: int, honest: int) -> list[int]:
    weights: list[int] = []
    weight, total, count = _ONE, 0, 0
    while not _negligible(weight, total, _ONE - q):
        weights.append(weight)
        total += weight
        weight = (weight * q >> _BITS) * (1 + honest * count) // (honest * (count + 1))
        count += 1
    return weights


@lru_cache(maxsize=8, typed=True)  # typed: a float equal to a cached Fraction must still be refused
def discrete_gaussian_table(variance: Fraction) -> InversionTable:
    """One discrete Gaussian share: P(k) proportional to e^(-k^2 / 2 variance), for all integers k.

    With g = e^(-1 / 2 variance), each weight is the one before times g^(2k-1), itself a product of g^2.

    Args:
        variance: Of one share in squared steps, `s^2 sigma^2 / h`, exact; from 4 to 2^28.

    Raises:
        QueryError: `variance` is outside that range.
    """
    positive(variance, "share variance")
    require_samplable(Mechanism.DISCRETE_GAUSSIAN, variance, scale=1, honest=1)
    half = _gaussian_weights(exp_fixed_point(-1 / (2 * variance), bits=_BITS))
    return build_table(1 - len(half), half[:0:-1] + half)


def _gaussian_weights(g: int) -> list[int]:
    """Weights of 0, 1, 2 and so on; those below 0 mirror them."""
    weights: list[int] = []
    square = g * g >> _BITS
    weight, total, ratio = _ONE, -_ONE, g  # the value 0 counts once, all others twice
    # Twice the weight, since the negative tail goes too; later ratios are smaller still.
    while not _negligible(2 * weight, total, _ONE - ratio):
        weights.append(weight)
        total += 2 * weight
        weight = weight * ratio >> _BITS
        ratio = ratio * square >> _BITS
    return weights


def _negligible(weight: int, total: int, complement: int) -> bool:
    """Whether weight / (1 - ratio), which bounds all weights from this one on, is below 2^-128 of the total.

    Held 2^-20 below it, which leaves room for the 2^-192 that each table entry is rounded by.
    """
    return weight << (TAIL_BITS + _BITS) < (total - (total >> 20)) * complement
