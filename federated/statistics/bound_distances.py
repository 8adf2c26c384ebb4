"""Products of the distances of measures from their bounds, written as terms: all at least 0, so nothing cancels."""

from collections import Counter
from dataclasses import dataclass
from itertools import product
from math import prod

from federated.query.measures import Measured
from federated.statistics.base import Term

__all__ = ["Distance", "above_low", "below_high", "product_of", "value_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """`constant + sign * value` of the measure at that place."""

    place: int
    sign: int
    constant: int


def above_low(place: int, measured: Measured) -> Distance:
    """How far a measure lies above its lower bound."""
    return Distance(place=place, sign=1, constant=-measured.low)


def below_high(place: int, measured: Measured) -> Distance:
    """How far a measure lies below its upper bound."""
    return Distance(place=place, sign=-1, constant=measured.high)


def value_of(place: int) -> Distance:
    """A measure itself: its distance from 0."""
    return Distance(place=place, sign=1, constant=0)


def product_of(*distances: Distance, times: int = 1) -> tuple[Term, ...]:
    """`times` the product of distances, multiplied out: one term for each product of measures, constants first."""
    found: Counter[tuple[int, ...]] = Counter()
    for chosen in product((False, True), repeat=len(distances)):
        factors = tuple(sorted(item.place for item, taken in zip(distances, chosen, strict=True) if taken))
        found[factors] += times * prod(
            item.sign if taken else item.constant for item, taken in zip(distances, chosen, strict=True)
        )
    return tuple(
        Term(coefficient=coefficient, factors=factors) for factors, coefficient in sorted(found.items()) if coefficient
    )
