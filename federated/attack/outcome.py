"""What came of the attacks, as values and as the JSON object of `--json`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import sqrt

from federated.attack.attacks import Attack
from federated.privacy import Totals
from federated.rationals import rational_text

__all__ = ["Attacked", "Outcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One attack.

    Attributes:
        attack: Which.
        hidden: Share of right guesses where counts under five are hidden and the others exact (1) or rounded (5, 10).
        success: Share of right guesses at our answers by the best guesser, which knows every other household.
        by_subtraction: The same by the guesser that does so well under exact counts.
        bound: The largest share that any guesser could have at what the ledger charged.
        spent: What the ledger of the household's own council charged over the attack.
        mechanism: Of the answers' noise.
        answers: Fresh answers got before the ledgers refused.
        free_answers: Times that the identical question got the stored answer, at no cost.
        refusal: What was said to the question after the last answer; empty if nothing was ever refused.
        seconds: It took.
    """

    attack: Attack
    hidden: Mapping[int, float]
    success: float
    by_subtraction: float
    bound: float
    spent: Totals
    mechanism: str
    answers: int
    free_answers: int
    refusal: str
    seconds: float

    def as_json(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "name": self.attack.name,
            "title": self.attack.title,
            "how": self.attack.how,
            "threshold_only": {
                "success": self.hidden[1],
                "rounded_to_5": self.hidden[5],
                "rounded_to_10": self.hidden[10],
            },
            "ours": {
                "success": self.success,
                "by_subtraction": self.by_subtraction,
                "bound": self.bound,
                "spent_epsilon": None if self.spent.epsilon is None else rational_text(self.spent.epsilon),
                "spent_rho": rational_text(self.spent.rho),
                "mechanism": self.mechanism,
                "fresh_answers": self.answers,
                "stored_answers_at_no_cost": self.free_answers,
                "refused": self.refusal,
            },
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacked:
    """All of them.

    Attributes:
        trials: Planted households for each attack, each with a fair coin of its own.
        seed: Of records and coins.
        budget: Epsilon of the agreement attacked.
        outcomes: One for each attack.
    """

    trials: int
    seed: int = field(repr=False)
    budget: Fraction
    outcomes: tuple[Outcome, ...]

    @property
    def standard_error(self) -> float:
        """Of a share of right guesses, at most: that of a fair coin."""
        return sqrt(1 / (4 * self.trials))

    def as_json(self) -> dict[str, object]:
        """The one object of ``--json``: the attacker's best attack on either, then every attack."""
        hidden = max(self.outcomes, key=lambda item: item.hidden[1])
        ours = max(self.outcomes, key=lambda item: item.success)
        return {
            "version": 1,
            "trials": self.trials,
            "seed": self.seed,
            "budget_epsilon": rational_text(self.budget),
            "standard_error": self.standard_error,
            "threshold_only": {"success": hidden.hidden[1], "attack": hidden.attack.name},
            "ours": {"success": ours.success, "bound": ours.bound, "attack": ours.attack.name},
            "attacks": [item.as_json() for item in self.outcomes],
        }
