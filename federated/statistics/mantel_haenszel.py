"""The Mantel-Haenszel pooled comparison of two groups over strata, from noisy counts.

A stratum holds a and b (exposed, with and without the outcome) and c and d (not exposed). With n1 = a + b, n0 = c + d
and N = n1 + n0, the pooled risk difference is sum w(N)(a n0 - c n1) / sum w(N) n1 n0, and the pooled risk ratio
sum w(N) a n0 / sum w(N) c n1, where w(N) = 1/N (Mantel and Haenszel 1959; Greenland and Robins 1985, section 2).

What noise does to these, and what is done about it:

* 1/N has no sense where N is within its noise of zero. Below the public floor F, w goes on along the tangent,
  (2 - N/F) / F. So no stratum is chosen or left out by its own noise, which would bias; a stratum of fewer than F only
  counts for less than 1/N would give it, in numerator and denominator alike. A stratum of nobody adds noise of mean 0.
* The noise in w(N) goes with that in the products: `propagation.expand` takes that bias off.
* The spread is that of the linear form, less v^2/2 times the inner products of the Hessians, by which the noise in the
  gradient itself would overstate it; never below half of the overstated one, which is the least that it can truly be.
* The interval is Fieller's: all values whose numerator less value times denominator is within its noise of zero.

With chance as well, Sato's variance for the difference (Biometrics 45, 1989, 1323-1324) and that of Greenland and
Robins for the ratio (Biometrics 41, 1985, 55-68) are added. Both need no division by n1 or n0, suit few large strata
and many small ones, and suppose one difference (or ratio) in all strata. For a general w they read, per stratum,

    w^2 [N (ad + bc) / 2 + D (n1^2 c - n0^2 a + n1 n0 (n0 - n1) / 2)]   and   R w^2 [n1 n0 (a + c) - a c N].
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from federated.statistics.propagation import (
    Expanded,
    Floats,
    Interval,
    NoiseSize,
    expand,
    ratio_interval,
    reach,
)

__all__ = ["FLOOR_IN_SD", "Pooled", "Ratio", "floor_for", "pool"]

FLOOR_IN_SD: Final = 12
"""F over the standard deviation of one count: six of those of N."""

# Inner products of the Hessians of a n0, c n1 and n1 n0.
_HESSIANS: Final = np.array([[4.0, 2.0, 4.0], [2.0, 4.0, 4.0], [4.0, 4.0, 8.0]])
_DIFFERENCE: Final = (np.array([1.0, -1.0, 0.0]), np.array([0.0, 0.0, 1.0]))
_RATIO: Final = (np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
_COUNTS: Final = 3
"""The first figures, a n0, c n1 and n1 n0; those after them are pieces of the chance variances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A pooled figure with its intervals; None where nothing can be said.

    Attributes:
        estimate: Numerator over denominator.
        error: Standard deviation of the noise in it.
        interval: For the noise alone.
        chance_error: Standard deviation of noise and chance together.
        chance_interval: For both.
    """

    estimate: float
    error: float
    interval: Interval | None
    chance_error: float
    chance_interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """Sums over the strata.

    Attributes:
        sums: Of the six figures of `_figures`, without the noise's bias.
        gradient: How the first three of each stratum move with its four counts.
        spread: Covariance of the noise in the first three sums, from the gradient alone.
        excess: What of `spread` is the noise in the gradient.
        size: Of the noise.
    """

    sums: Floats
    gradient: Floats
    spread: Floats
    excess: Floats
    size: NoiseSize

    @classmethod
    def of(cls, expanded: Expanded, weights: Floats, size: NoiseSize) -> Self:
        """Add up over the strata."""
        gradient = expanded.gradient[:, :_COUNTS]
        spread = size.variance * np.einsum("jas,jbs->ab", gradient, gradient)
        excess = size.variance**2 / 2 * float(weights @ weights) * _HESSIANS
        return cls(sums=expanded.value.sum(axis=1), gradient=gradient, spread=spread, excess=excess, size=size)

    def difference(self) -> Ratio:
        """The pooled risk difference."""
        return self._ratio(*_DIFFERENCE, chance=(float(self.sums[3]), float(self.sums[4])))

    def ratio(self) -> Ratio:
        """The pooled risk ratio."""
        return self._ratio(*_RATIO, chance=(0.0, float(self.sums[5])))

    def overlap(self) -> tuple[float, Floats]:
        """Sum w n1 n0 and its gradient, to hold against what there would be without matching."""
        return float(self.sums[2]), self.gradient[:, 2]

    def _ratio(self, over: Floats, under: Floats, *, chance: tuple[float, float]) -> Ratio:
        top, bottom = float(over @ self.sums[:_COUNTS]), float(under @ self.sums[:_COUNTS])
        value = top / bottom if bottom > 0 else np.nan
        form = over - value * under
        overstated = float(form @ self.spread @ form)
        if not overstated > 0:
            return Ratio(estimate=np.nan, error=np.nan, interval=None, chance_error=np.nan, chance_interval=None)
        kept = max(0.5, 1 - float(form @ self.excess @ form) / overstated)
        noise = kept * np.array(
            [over @ self.spread @ over, -2 * (over @ self.spread @ under), under @ self.spread @ under]
        )
        both = noise + np.array([*chance, 0.0])
        powers = value ** np.arange(3)
        # Counts moved by noise can make the chance variance negative; noise alone is then the better figure.
        both = both if both @ powers > noise @ powers else noise
        weights = np.tensordot(self.gradient, form, axes=(1, 0))
        fourth = self.size.excess_kurtosis * self.size.variance**2 * float(np.sum(weights**4))
        (error, interval), (chance_error, chance_interval) = (
            _fieller(top, bottom, found, float(found @ powers), fourth) for found in (noise, both)
        )
        return Ratio(
            estimate=value,
            error=error,
            interval=interval,
            chance_error=chance_error,
            chance_interval=chance_interval,
        )


def _fieller(
    top: float, bottom: float, variance: Floats, at_value: float, fourth: float
) -> tuple[float, Interval | None]:
    spread = float(np.sqrt(at_value))
    c0, c1, c2 = (float(item) for item in variance)
    return spread / bottom, ratio_interval(top, bottom, (c0, c1, c2), reach(at_value, fourth) / spread)


def floor_for(sd: float) -> float:
    """F: the size from which a stratum has its full weight; at least 1, so that exact counts are weighted as usual."""
    return max(1.0, FLOOR_IN_SD * sd)


def pool(counts: Floats, size: NoiseSize) -> Pooled:
    """Pool strata of noisy counts.

    Args:
        counts: a, b, c and d of every stratum.
        size: Of the noise in each.

    Shapes:
        `counts` is `(4, strata)`.
    """
    floor = floor_for(float(np.sqrt(size.variance)))
    expanded = expand(lambda at: _figures(at, floor), counts, size.variance)
    return Pooled.of(expanded, _weight(counts.sum(axis=0), floor), size)


def _weight(number: Floats, floor: float) -> Floats:
    return np.where(number >= floor, 1 / np.maximum(number, floor), (2 - number / floor) / floor)


def _figures(counts: Floats, floor: float) -> Floats:
    """A n0, c n1 and n1 n0 with their weight; then Sato's two pieces and that of Greenland and Robins."""
    a, b, c, d = counts
    exposed, other = a + b, c + d
    weight = _weight(exposed + other, floor)
    square = weight**2
    return np.stack(
        [
            weight * a * other,
            weight * c * exposed,
            weight * exposed * other,
            square * (exposed + other) * (a * d + b * c) / 2,
            square * (exposed**2 * c - other**2 * a + exposed * other * (other - exposed) / 2),
            square * (exposed * other * (a + c) - a * c * (exposed + other)),
        ]
    )
