"""Whole numbers read off one row: what sums, means, quantiles, curves and fits are made of.

A closed set, so that a question never carries code (`docs/architecture.md`): the council's node writes each as one
expression of its own database.
"""

from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from federated.errors import QueryError
from federated.query.conditions import Condition, condition_columns, condition_json
from protocols.encoding import Json

__all__ = ["Days", "Measure", "Measured", "Points", "Value", "marked", "measured", "measured_columns"]

LARGEST_BOUND = 1_000_000
"""Largest clip bound, so that a sum over all councils fits a 64-bit word with room for its noise."""
MAX_TERMS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """The number in a whole-number column; rows where it is unknown are left out."""

    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """Days from one date to another; rows where one of them is unknown are left out.

    Attributes:
        start: Date column counted from.
        end: Date column counted to.
        until: Public day on which the count stops for everyone: an end that is unknown or later is taken as this day.
            None where only spells that have ended count.
    """

    start: str
    end: str
    until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Public points, added up over the conditions a row meets: a score, or a mark of 0 and 1.

    Attributes:
        base: Points of every row.
        terms: Conditions with the points each adds where it is true; where it is unknown it adds none.
    """

    base: int
    terms: tuple[tuple[Condition, int], ...]

    def __post_init__(self) -> None:
        """Refuse points that would not fit."""
        if len(self.terms) > MAX_TERMS or any(abs(points) > LARGEST_BOUND for _, points in self.terms):
            raise QueryError(f"Points have at most {MAX_TERMS} terms, each within {LARGEST_BOUND:,} of zero.")
        if abs(self.base) > LARGEST_BOUND:
            raise QueryError(f"The base of points must lie within {LARGEST_BOUND:,} of zero.")


Measure: TypeAlias = Value | Days | Points


def measured_columns(measure: Measure) -> frozenset[str]:
    """Every column a measure reads."""
    match measure:
        case Value(column=column):
            return frozenset({column})
        case Days(start=start, end=end):
            return frozenset({start, end})
        case Points(terms=terms):
            return frozenset().union(*(condition_columns(condition) for condition, _ in terms))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A measure within public bounds.

    Attributes:
        measure: What is read off a row.
        low: Smallest value one household (or row, where the statistic is over rows) counts for; a smaller one counts
            as this.
        high: Largest value, likewise.
    """

    measure: Measure
    low: int
    high: int

    def __post_init__(self) -> None:
        """Refuse bounds that do not rise or are too wide."""
        if not -LARGEST_BOUND <= self.low < self.high <= LARGEST_BOUND:
            raise QueryError(
                f"A measure is clipped to {self.low} to {self.high}; "
                f"the bounds must rise, and lie within {LARGEST_BOUND:,} of zero."
            )

    def columns(self) -> frozenset[str]:
        """Every column read."""
        return measured_columns(self.measure)

    def canonical(self) -> Json:
        """The measure and its bounds as canonical JSON."""
        return {"measure": _measure_json(self.measure), "clip": [self.low, self.high]}


def measured(column: str, low: int, high: int) -> Measured:
    """A whole-number column within bounds."""
    return Measured(measure=Value(column=column), low=low, high=high)


def marked(condition: Condition, *, base: int = 0, points: int = 1) -> Measured:
    """1 for a row that is known to meet the condition and 0 for any other; with base 1 and points -1 the other way."""
    return Measured(measure=Points(base=base, terms=((condition, points),)), low=0, high=1)


def _measure_json(measure: Measure) -> Json:
    match measure:
        case Value(column=column):
            return {"column": column}
        case Days(start=start, end=end, until=until):
            return {"days": {"from": start, "to": end, "until": None if until is None else until.isoformat()}}
        case Points(base=base, terms=terms):
            return {
                "base": base,
                "points": [{"where": condition_json(condition), "points": points} for condition, points in terms],
            }
