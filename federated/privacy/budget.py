"""The privacy filter every node runs before it takes part (`protocol.md` 2.3), in exact rationals."""

import decimal
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import isqrt
from typing import Final

from federated.errors import BudgetExceeded
from federated.privacy.charge import Charge
from federated.privacy.conversion import zcdp_epsilon, zcdp_rho
from federated.privacy.rounding import exact, exp_upper, positive, round_up, whole
from federated.privacy.tables import TAIL_BITS
from protocols.errors import LocalProtocolError

FILTER_SHARE_OF_DELTA: Final = Fraction(999, 1000)
"""The filter decides at this part of delta; the rest covers the table sampler's cut tails."""

_DIGITS_SHOWN: Final = 4
_EPSILON_UNCOVERED: Final = Fraction(200)
_EPSILON_STEP: Final = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What an agreement allows in one period.

    Attributes:
        epsilon: Above 0.
        delta: In (0, 1).
    """

    epsilon: Fraction
    delta: Fraction

    def __post_init__(self) -> None:
        """Refuse floats and values that promise nothing."""
        positive(self.epsilon, "budget epsilon")
        if positive(self.delta, "budget delta") >= 1:
            raise LocalProtocolError(f"budget delta must be below 1, not {self.delta}")

    @property
    def filter_delta(self) -> Fraction:
        """The part of delta that the zCDP filter decides at."""
        return FILTER_SHARE_OF_DELTA * self.delta

    @property
    def rho(self) -> Fraction:
        """All the rho that the zCDP side of the filter allows, rounded down."""
        return zcdp_rho(self.epsilon, self.filter_delta)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums of charges, spent and reserved.

    Attributes:
        epsilon: Sum of the pure charges, or None once any charge had no pure epsilon.
        rho: Sum of all rho.
        draws: Sum of all table draws.
    """

    epsilon: Fraction | None = Fraction(0)
    rho: Fraction = Fraction(0)
    draws: int = 0

    def __post_init__(self) -> None:
        """Refuse floats and negative sums."""
        if self.epsilon is not None and exact(self.epsilon, "total epsilon") < 0:
            raise LocalProtocolError(f"total epsilon must be at least 0, not {self.epsilon}")
        if exact(self.rho, "total rho") < 0:
            raise LocalProtocolError(f"total rho must be at least 0, not {self.rho}")
        whole(self.draws, "total draws", least=0)

    def plus(self, charge: Charge) -> "Totals":
        """The totals with one more charge, rounded up where a sum's denominator would exceed 2^64."""
        pure = self.epsilon is not None and charge.epsilon is not None
        return Totals(
            epsilon=round_up((self.epsilon or Fraction(0)) + (charge.epsilon or Fraction(0))) if pure else None,
            rho=round_up(self.rho + charge.rho),
            draws=self.draws + charge.draws,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """The largest single further charge that the filter would allow, rounded down.

    Attributes:
        epsilon: As a pure charge (Laplace).
        rho: As a zCDP charge (Gaussian).
    """

    epsilon: Fraction
    rho: Fraction


def check_budget(spent_and_reserved: Totals, charge: Charge, budget: Budget) -> None:
    """Allow a charge if afterwards either the pure sum or the zCDP sum stays within the budget.

    Run by each node before it reserves, on what it has spent and reserved; either side alone is an adaptive
    filter (Rogers et al. 2016; Feldman and Zrnic 2021), and so is their alternative (`protocol.md` 2.3).

    Raises:
        BudgetExceeded: Neither sum fits, or the draws exceed what 0.001 delta covers.
    """
    after = spent_and_reserved.plus(charge)
    if not _sampling_covered(after, budget):
        raise BudgetExceeded(
            "The question needs more random draws than this period's delta still accounts for.",
            remedy="Wait for the next period, or agree a larger delta or a smaller epsilon.",
        )
    pure_fits = after.epsilon is not None and after.epsilon <= budget.epsilon
    if not pure_fits and zcdp_epsilon(after.rho, budget.filter_delta) > budget.epsilon:
        raise _exceeded(spent_and_reserved, charge, budget)


def remaining(totals: Totals, budget: Budget) -> Remaining:
    """What is left, as the largest pure charge and as the largest zCDP charge still allowed."""
    rho = max(Fraction(0), budget.rho - totals.rho)
    # A pure charge x counts x^2/2 on the zCDP side, so that side has room for x = sqrt(2 rho).
    by_rho = Fraction(isqrt(int(2 * rho * _EPSILON_STEP**2)), _EPSILON_STEP)
    by_epsilon = Fraction(0) if totals.epsilon is None else budget.epsilon - totals.epsilon
    return Remaining(epsilon=max(by_rho, by_epsilon), rho=rho)


def _sampling_covered(totals: Totals, budget: Budget) -> bool:
    """Whether (1 + e^epsilon) 2^-128 for every draw stays within 0.001 delta; from epsilon 200 on no draw does."""
    cost = (1 + exp_upper(min(budget.epsilon, _EPSILON_UNCOVERED))) * totals.draws / (1 << TAIL_BITS)
    return cost <= (1 - FILTER_SHARE_OF_DELTA) * budget.delta


def _exceeded(totals: Totals, charge: Charge, budget: Budget) -> BudgetExceeded:
    left = remaining(totals, budget)
    if charge.epsilon is not None:
        asked, room = f"epsilon {_shown(charge.epsilon, up=True)}", f"epsilon {_shown(left.epsilon, up=False)}"
    else:
        asked, room = f"rho {_shown(charge.rho, up=True)}", f"rho {_shown(left.rho, up=False)}"
    spent = _shown(_spent(totals, budget), up=True)
    return BudgetExceeded(
        f"The question costs {asked}; of this period's epsilon {_shown(budget.epsilon, up=False)}, {spent} is already "
        f"spent or reserved, which leaves room for {room}.",
        remedy="Ask for less precision or fewer tables, read a stored release (which costs nothing), or wait for the "
        "next period.",
    )


def _spent(totals: Totals, budget: Budget) -> Fraction:
    """The smaller of the two valid statements of what is gone, as epsilon."""
    by_rho = zcdp_epsilon(totals.rho, budget.filter_delta)
    return by_rho if totals.epsilon is None else min(by_rho, totals.epsilon)


def _shown(value: Fraction, *, up: bool) -> str:
    """Four significant digits for a person, rounded to look no better than it is."""
    context = decimal.Context(prec=_DIGITS_SHOWN, rounding=decimal.ROUND_CEILING if up else decimal.ROUND_FLOOR)
    shown = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    return format(shown.normalize(), "f")
