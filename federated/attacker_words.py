"""What somebody could learn from an answer about one household, in words: computed from the charge, exactly.

The attacker knows everything but whether one household is in the records. By differential privacy no answer changes
their odds by more than a factor e^epsilon. Every figure here is an upper bound: exact rationals, rounded against us.
"""

from fractions import Fraction
from math import ceil, isqrt
from typing import Final, NamedTuple

from federated.plan import Plan
from federated.privacy import Charge, Totals
from federated.privacy.rounding import exp_upper, ln_upper
from federated.privacy.tables import TAIL_BITS
from federated.rationals import decimal_down, decimal_up, rational_text

__all__ = ["Gain", "attacker_words", "gain_of", "hand_check", "in_100", "shown_down", "shown_up"]

EVEN: Final = Fraction(1, 2)
PRIORS: Final = (Fraction(1, 100), Fraction(1, 10), EVEN)
"""Guesses before the answer that the words work through."""
LARGEST_EXPONENT: Final = Fraction(200)
SQUARE_ROOT_STEP: Final = 1 << 64
ONE_IN_A_BILLION: Final = Fraction(1, 10**9)
DECIMALS: Final = 4
PARTS_SHOWN: Final = 6
"""Decimals of the parts of a sum that is checked by hand."""


class Gain(NamedTuple):
    """How far an answer can move a guess about one household.

    Attributes:
        epsilon: The odds change by at most e to this power.
        odds: That factor, rounded up.
        failure: An upper bound of the chance that they change by more.
        delta_based: Whether the bound is one that holds but for a chance; of pure noise it always holds.
    """

    epsilon: Fraction
    odds: Fraction
    failure: Fraction
    delta_based: bool

    def belief(self, prior: Fraction) -> Fraction:
        """The most that a guess can become, rounded up: prior e^eps / (1 - prior + prior e^eps)."""
        return prior * self.odds / (1 - prior + prior * self.odds)


def gain_of(cost: Charge | Totals, delta: Fraction) -> Gain:
    """The gain from one charge, or from all charges of a period together.

    A pure epsilon bounds the odds always, up to what the noise tables cut off. For rho alone, the log of the odds
    rises by more than epsilon = rho + 2 sqrt(rho ln(1/delta)) with a chance of at most delta where the household is
    there (Bun and Steinke 2016, from the Rényi divergence by Markov's inequality), and so of at most delta e^-epsilon
    where it is not; it falls by more with the same chances exchanged. Whatever the attacker's guess, that is
    delta (1 + e^-epsilon) together. This epsilon is a little more than the one that the ledger converts rho to,
    because that one bounds an average and this one the odds themselves.

    Args:
        cost: The charge, or sums of charges.
        delta: Of the agreement.
    """
    by_rho = cost.rho + 2 * _square_root_above(cost.rho * ln_upper(1 / delta))
    if cost.epsilon is not None and cost.epsilon <= by_rho:
        odds = exp_upper(min(cost.epsilon, LARGEST_EXPONENT))
        return Gain(cost.epsilon, odds, (1 + odds) * cost.draws / (1 << TAIL_BITS), delta_based=False)
    odds = exp_upper(min(by_rho, LARGEST_EXPONENT))
    cut_off = (1 + odds) * cost.draws / (1 << TAIL_BITS)
    either_way = delta * (1 + exp_upper(-min(by_rho, LARGEST_EXPONENT)))
    return Gain(by_rho, odds, either_way + cut_off, delta_based=True)


def _square_root_above(value: Fraction) -> Fraction:
    scaled = ceil(value * SQUARE_ROOT_STEP**2)
    return Fraction(isqrt(scaled) + (isqrt(scaled) ** 2 < scaled), SQUARE_ROOT_STEP)


def attacker_words(
    cost: Charge | Totals, delta: Fraction, unit: str, *, what: str = "this one answer"
) -> tuple[str, ...]:
    """What an attacker could gain, as sentences.

    Args:
        cost: The charge, or sums of charges.
        delta: Of the agreement.
        unit: Whom it protects, ``household`` or ``person``.
        what: What is looked at, in words.
    """
    gain = gain_of(cost, delta)
    steps = "; ".join(f"from {in_100(prior)} in 100 to at most {in_100(gain.belief(prior))} in 100" for prior in PRIORS)
    change = f"at most a factor of {shown_up(gain.odds)}, which is e to the power {shown_up(gain.epsilon)}"
    return (
        (
            f"Take somebody who knows everything about a {unit} but whether it is in the records. By {what} the odds "
            f"they give change by {change}, whatever the answer says and whatever else they know."
        ),
        f"So their guess that it is there can rise: {steps}.",
        _failure(gain),
        (
            f"This is a limit on what can be learned about one {unit} of one council, and not a promise that nothing "
            f"is. A {unit} in the records of two councils can lose twice as much (epsilon) or four times as much (rho)."
        ),
    )


def _failure(gain: Gain) -> str:
    if gain.delta_based:
        chance = f"at most one in {int(1 / gain.failure):,}" if gain.failure < 1 else "not small"
        return f"The chance that the odds change by more than that is {chance}."
    return f"This always holds, but for a chance of {_tiny(gain.failure)} that the tables for the noise cut off."


def _tiny(chance: Fraction) -> str:
    return "less than one in a billion" if chance < ONE_IN_A_BILLION else f"at most one in {int(1 / chance):,}"


def hand_check(plan: Plan) -> tuple[str, ...]:
    """The arithmetic of a charge, so that a person can do one line again by hand or on a pocket calculator."""
    rows = list(zip(plan.tables, plan.noise.blocks, strict=True))
    gain = gain_of(plan.charge, plan.delta)
    last = (
        f"A guess of 50 in 100: {shown_up(gain.odds)} / (1 + {shown_up(gain.odds)}) is at most "
        f"{in_100(gain.belief(EVEN))} in 100."
    )
    if plan.charge.epsilon is not None:
        parts = " + ".join(f"{table.sensitivity.l1} × {_part(block.parameter)}" for table, block in rows)
        epsilon = rational_text(plan.charge.epsilon)
        return (
            (
                "For each table: the most that one household can change its figures, times epsilon for each step of "
                f"that; added up: {parts} = {epsilon}, which is the epsilon charged (parts are rounded up)."
            ),
            f"rho = epsilon² / 2 = {epsilon}² / 2 = {rational_text(plan.charge.rho)}.",
            last,
        )
    parts = " + ".join(f"{table.sensitivity.l2_squared} / (2 × {shown_down(block.parameter)})" for table, block in rows)
    over = ""
    if plan.rounds > 1:
        parts, over = f"{plan.rounds} × {parts}", f", over {plan.rounds} rounds"
    return (
        (
            "For each table: the most that one household can change its figures, squared, by twice the variance of "
            f"the noise; added up{over}: {parts}, about {shown_up(plan.charge.rho, decimals=6)}, which is the rho "
            "charged (rounded up, with a very small part for noise that is made in shares)."
        ),
        f"rho + 2 × √(rho × ln(1/delta)), with delta {rational_text(plan.delta)}: {shown_up(gain.epsilon)}.",
        last,
    )


def _part(value: Fraction) -> str:
    text = rational_text(value)
    return text if len(text) <= PARTS_SHOWN else shown_up(value, decimals=PARTS_SHOWN)


def shown_up(value: Fraction, decimals: int = DECIMALS) -> str:
    """A figure for reading, rounded up, with commas and without idle zeros."""
    return decimal_up(value, decimals, commas=True)


def shown_down(value: Fraction, decimals: int = DECIMALS) -> str:
    """A figure for reading, rounded down."""
    return decimal_down(value, decimals, commas=True)


def in_100(chance: Fraction) -> str:
    """A chance as so many in 100, rounded up."""
    # Never 100 in 100: that would say certain, and a bound below it is not.
    return shown_up(chance * 100, decimals=1) if chance * 100 <= Fraction(999, 10) else "nearly 100"
