"""How the attacker guesses: by subtraction where counts are exact, by the likelihood ratio where they carry noise."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.attack.attacks import Attack, Pair, View
from federated.attack.crowd import Crowd
from federated.privacy import ReleasedNoise

__all__ = [
    "HIDDEN_BELOW",
    "Answered",
    "shown",
    "success_by_likelihood",
    "success_by_subtraction",
    "success_under_hiding",
]

HIDDEN_BELOW: Final = 5
_HIDDEN: Final = -1
_LEAST: Final = 1e-300


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One release, at the cells of the targets.

    Attributes:
        view: What was asked.
        totals: As released, in steps of 1/scale.
        noise: The law of their noise, which is public.

    Shapes:
        `totals` is `(trials,)`.
    """

    view: View
    totals: NDArray[np.int64] = field(repr=False)
    noise: ReleasedNoise


def shown(counts: NDArray[np.int64], base: int) -> NDArray[np.int64]:
    """Counts as a threshold-only system shows them: exact or rounded to a base, those of one to four hidden.

    Args:
        counts: Exact.
        base: 1 for exact counts, 5 or 10 to round to that.
    """
    rounded = (counts + base // 2) // base * base
    return np.where((counts > 0) & (counts < HIDDEN_BELOW), _HIDDEN, rounded)


def success_under_hiding(attack: Attack, crowd: Crowd, base: int = 1) -> float:
    """Share of right guesses where small counts are hidden and the others exact, or rounded.

    Guesses "in" where any two counts that differ by the target alone look different, which a target that is not there
    cannot bring about: no guesser does better.
    """
    different = np.zeros(crowd.trials, dtype=bool)
    for pair in attack.pairs:
        rest = pair.holding.others(crowd) if pair.without is None else pair.without.exact(crowd)
        different |= shown(pair.holding.exact(crowd), base) != shown(rest, base)
    return float(np.mean(different == crowd.inside))


def success_by_likelihood(answers: Sequence[Answered], crowd: Crowd) -> float:
    """Share of right guesses by the best guesser of all: it knows every other household, and the law of the noise.

    A tie counts half.
    """
    ratio = np.zeros(crowd.trials)
    for answer in answers:
        if answer.view.holds_target:
            noise_if_out = answer.totals - answer.noise.scale * answer.view.others(crowd)
            ratio += _log_likelihood(noise_if_out - answer.noise.scale, answer.noise)
            ratio -= _log_likelihood(noise_if_out, answer.noise)
    return _share_right(ratio, crowd)


def success_by_subtraction(answers: Sequence[Answered], pairs: Sequence[Pair], crowd: Crowd) -> float:
    """Share of right guesses by the guesser that did so well under hiding: the mean difference, above one half or not.

    It knows no other household but what the attack says it knows.
    """
    differences = []
    for pair in pairs:
        holding = _mean(answers, pair.holding)
        without = pair.holding.others(crowd) if pair.without is None else _mean(answers, pair.without)
        if holding is not None and without is not None:
            differences.append(holding - without)
    if not differences:
        return 1 / 2
    return _share_right(np.mean(differences, axis=0) - 1 / 2, crowd)


def _mean(answers: Sequence[Answered], view: View) -> NDArray[np.float64] | None:
    found = [answer.totals / answer.noise.scale for answer in answers if answer.view == view]
    mean: NDArray[np.float64] = np.mean(found, axis=0) if found else np.zeros(0)
    return mean if found else None


def _share_right(evidence: NDArray[np.float64], crowd: Crowd) -> float:
    return float(np.mean(np.where(evidence == 0, 1 / 2, (evidence > 0) == crowd.inside)))


def _log_likelihood(values: NDArray[np.int64], noise: ReleasedNoise) -> NDArray[np.float64]:
    first, probabilities = noise.pmf()
    places = values - first
    held = (places >= 0) & (places < len(probabilities))
    found = np.where(held, probabilities[np.clip(places, 0, len(probabilities) - 1)], 0)
    # Past the table's ends the law still falls; the nearer guess is the likelier one.
    result: NDArray[np.float64] = np.where(
        found > _LEAST, np.log(np.maximum(found, _LEAST)), np.log(_LEAST) - np.abs(values)
    )
    return result
