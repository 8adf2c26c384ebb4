"""How often any guesser at all can be right about one household, at the cost that its council's ledger charged."""

from fractions import Fraction
from math import exp, expm1, sqrt

from federated.privacy import FILTER_SHARE_OF_DELTA, Totals

__all__ = ["largest_success"]


def largest_success(spent: Totals, delta: Fraction) -> float:
    """The largest share of right guesses at "in the records or not", for a fair coin.

    A pure epsilon gives `e^epsilon / (1 + e^epsilon)`, whatever else the attacker knows (Kairouz, Oh and Viswanath
    2015). Any rho gives half of 1 + d, where d bounds the total variation: rho-zCDP bounds the Kullback-Leibler
    divergence by rho (Bun and Steinke 2016), and with it d by sqrt(rho / 2) (Pinsker) and by sqrt(1 - e^-rho)
    (Bretagnolle and Huber 1979). The least of the bounds that hold is given.

    Args:
        spent: What the ledger charged over the whole attack.
        delta: Of the agreement; its part that covers the sampler's cut tails is added.

    Returns:
        Between 1/2 and 1. Above what the charge implies by rounding at most; nothing private hangs on it.
    """
    rho = float(spent.rho)
    bounds = [(1 + sqrt(rho / 2)) / 2, (1 + sqrt(-expm1(-rho))) / 2]
    if spent.epsilon is not None:
        bounds.append(1 / (1 + exp(-float(spent.epsilon))))
    return min(1.0, min(bounds) + float((1 - FILTER_SHARE_OF_DELTA) * delta))
