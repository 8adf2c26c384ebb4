"""Quantiles of banded counts by their definition, in exact fractions and without a look at the decoder."""

from collections.abc import Sequence
from fractions import Fraction

from federated.query import Table


def true_quantiles(table: Table, counts: Sequence[int]) -> list[float]:
    """Where the running total, a straight line across each band, first reaches each part of all."""
    (item,) = table.measures
    points = [item.low, *table.edges, item.high]
    found = []
    for probability in table.probabilities:
        wanted, below = probability * sum(counts), 0
        for band, count in enumerate(counts):
            if count and below + count >= wanted:
                width = points[band + 1] - points[band]
                found.append(float(points[band] + (wanted - below) / Fraction(count) * width))
                break
            below += count
    return found
