"""Lower bounds on privacy loss from runs with and without a household: Clopper-Pearson on the best threshold event.

The event is chosen on one part of the runs and judged on the rest, so the confidence holds (Jagielski, Ullman and Oprea
2020; Nasr et al. 2023). Runs share one secure sum: each has a coin of its own and independent noise, as the canaries of
Steinke, Nasr and Jagielski 2023 do; here they are independent runs of the whole mechanism, so no correction is needed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

ERROR = 1e-6
"""Chance that a bound is above the true loss; half of it for each of the two shares."""
CHOOSING = 4
"""One in so many runs chooses the event."""
EVENTS = 200
ORDERS = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 8.0)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """An event's share of runs where it is the likelier one, at least; and of the others, at most."""

    likelier: float
    other: float


def confident(hits: int, runs: int, other_hits: int, other_runs: int) -> Rates:
    low = 0.0 if hits == 0 else float(beta.ppf(ERROR / 2, hits, runs - hits + 1))
    high = 1.0 if other_hits == other_runs else float(beta.isf(ERROR / 2, other_hits + 1, other_runs - other_hits))
    return Rates(likelier=low, other=high)


def epsilon_of(rates: Rates, delta: float = 0.0) -> float:
    """The least epsilon with which such rates are (epsilon, delta)-private."""
    return max(0.0, log((rates.likelier - delta) / rates.other)) if rates.likelier > delta else 0.0


def rho_of(rates: Rates) -> float:
    """The least rho with which such rates are zCDP: Renyi divergence of every order, over the order, is at most rho."""
    p, q = rates.likelier, rates.other
    return max(0.0, *(_renyi(p, q, order) / order for order in ORDERS)) if p > q else 0.0


def _renyi(p: float, q: float, order: float) -> float:
    if order == 1:
        return p * log(p / q) + ((1 - p) * log((1 - p) / (1 - q)) if p < 1 else 0.0)
    return log(p**order * q ** (1 - order) + (1 - p) ** order * (1 - q) ** (1 - order)) / (order - 1)


def lower_bound(scores: NDArray[np.float64], inside: NDArray[np.bool_], loss: Callable[[Rates], float]) -> float:
    """What the loss surely is, with probability 1 - ERROR.

    Args:
        scores: Higher where the household seems inside.
        inside: Whether it was.
        loss: From rates to the loss that they need.

    Shapes:
        `scores` and `inside` are `(runs,)`.
    """
    cut = len(scores) // CHOOSING
    choices = np.unique(np.quantile(scores[:cut], np.linspace(0, 1, EVENTS)))
    best, chosen = -inf, (choices[0], True)
    for threshold in choices.tolist():
        for upper in (True, False):
            found = loss(_rates(scores[:cut], inside[:cut], threshold, upper=upper))
            if found > best:
                best, chosen = found, (threshold, upper)
    threshold, upper = chosen
    return loss(_rates(scores[cut:], inside[cut:], threshold, upper=upper))


def _rates(scores: NDArray[np.float64], inside: NDArray[np.bool_], threshold: float, *, upper: bool) -> Rates:
    event, likelier = (scores >= threshold, inside) if upper else (scores <= threshold, ~inside)
    hits, other_hits = int(np.sum(event & likelier)), int(np.sum(event & ~likelier))
    return confident(hits, int(likelier.sum()), other_hits, int((~likelier).sum()))
