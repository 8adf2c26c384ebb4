"""Monte Carlo p-values: how often chance and the release's own noise alone give a statistic as large as the one found.

The random numbers follow a seed, so that anyone can make a p-value again. They protect nobody: what they simulate is
a hypothesis about figures that are public already.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from federated.analysis.noise_law import NoiseLaw
from federated.errors import QueryError

__all__ = ["DRAWS", "SEED", "PValue", "generator", "in_blocks", "noise_draws", "p_value"]

DRAWS = 9_999
LEAST_DRAWS = 99
SEED = 1
CELLS_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PValue:
    """A p-value, and the standard error that comes from the finite number of draws."""

    value: float
    standard_error: float


def generator(seed: int, draws: int) -> np.random.Generator:
    """Random numbers for a simulation.

    Raises:
        QueryError: Too few draws for any conclusion, or a negative seed.
    """
    if draws < LEAST_DRAWS or seed < 0:
        raise QueryError(f"A test needs at least {LEAST_DRAWS} draws, and a seed that is not below 0.")
    return np.random.default_rng(seed)


def noise_draws(law: NoiseLaw, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.int64]:
    """Independent draws of a law, in steps of 1/scale."""
    cumulative = np.cumsum(law.probabilities)
    places = np.searchsorted(cumulative, rng.random(shape) * cumulative[-1], side="right")
    draws: NDArray[np.int64] = law.first + np.minimum(places, len(cumulative) - 1)
    return draws


def in_blocks(draws: int, cells: int) -> list[int]:
    """So many draws of a table, in numbers that fit into a few dozen megabytes at a time."""
    block = max(1, CELLS_AT_ONCE // cells)
    return [min(block, draws - done) for done in range(0, draws, block)]


def p_value(observed: float, simulated: NDArray[np.float64]) -> PValue:
    """The share of draws at least as large, the one found counted among them: never 0, and valid for any number."""
    draws = len(simulated) + 1
    value = (1 + int((simulated >= observed).sum())) / draws
    return PValue(value=value, standard_error=sqrt(value * (1 - value) / draws))
