"""The attacks: which questions each asks, what it knows beforehand, and how it singles a household out."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federated.attack.crowd import (
    BAND_COLUMN,
    BANDS,
    BOTH_QUARTERS,
    CELL_COLUMNS,
    DATASET,
    LAST_QUARTER,
    TARGET_BAND,
    Crowd,
)
from federated.query import Dimension, In, Query, Table

__all__ = ["ATTACKS", "BUDGET", "GROUP", "SMALLER_GROUP", "Attack", "Pair", "View"]

GROUP: Final = "everyone"
SMALLER_GROUP: Final = "all_but_one"
BUDGET: Final = Fraction(1)
"""Epsilon of the year in the agreement that is attacked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One question: households in each cell, of some councils, age bands and days.

    Attributes:
        smaller: Whether it is put to all councils but the targets' own.
        bands: The age bands asked for; all of them when None.
        end: The last day asked for.
    """

    smaller: bool = False
    bands: tuple[str, ...] | None = None
    end: date = BOTH_QUARTERS.end

    @property
    def holds_target(self) -> bool:
        """Whether a target that is in the records is counted."""
        return not self.smaller and (self.bands is None or TARGET_BAND in self.bands) and self.end >= LAST_QUARTER

    def question(self, epsilon: Fraction) -> Query:
        """The question, at this cost."""
        return Query(
            title="Households by reason for loss of home, accommodation and earlier approach",
            dataset=DATASET,
            unit="household",
            group=SMALLER_GROUP if self.smaller else GROUP,
            period=replace(BOTH_QUARTERS, end=self.end),
            epsilon=epsilon,
            where=None if self.bands is None else In(column=BAND_COLUMN, values=self.bands),
            tables=(
                Table(
                    name="cells",
                    statistic="households",
                    by=tuple(Dimension(column=name) for name in CELL_COLUMNS),
                ),
            ),
        )

    def others(self, crowd: Crowd) -> NDArray[np.int64]:
        """The households besides the target that are counted in each target's cell, exactly.

        Shapes:
            `(trials,)`.
        """
        kept = crowd.day <= np.datetime64(self.end)
        if self.bands is not None:
            kept &= np.isin(np.array(BANDS)[crowd.band], self.bands)
        # No other household is of the council that is left out.
        return crowd.others(kept)

    def exact(self, crowd: Crowd) -> NDArray[np.int64]:
        """The exact count in each target's cell.

        Shapes:
            `(trials,)`.
        """
        return self.others(crowd) + (crowd.inside if self.holds_target else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two counts that differ by the target alone.

    Attributes:
        holding: The question that counts the target.
        without: The question that does not; None where the attacker knows the other households beforehand.
    """

    holding: View
    without: View | None

    @property
    def views(self) -> tuple[View, ...]:
        """The questions to ask."""
        return (self.holding,) if self.without is None else (self.holding, self.without)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One way to learn whether a household is in the records.

    Attributes:
        name: Short, for programs.
        title: For people.
        how: What the attacker does, in one sentence.
        pairs: What is subtracted from what. Under exact counts all of them are asked; here, as many as are paid for.
        epsilon: Cost of each question.
    """

    name: str
    title: str
    how: str
    pairs: tuple[Pair, ...]
    epsilon: Fraction

    @property
    def views(self) -> tuple[View, ...]:
        """Every question, in the order of asking."""
        return tuple(view for pair in self.pairs for view in pair.views)


_ALL: Final = View()
_OVERLAPPING: Final = tuple(tuple(band for band in BANDS if band != left_out) for left_out in BANDS)

ATTACKS: Final = (
    Attack(
        name="repeated_question",
        title="The same question, repeated",
        how="Knows every other household in the cell, asks for the cell again and again, and takes the mean.",
        pairs=(Pair(holding=_ALL, without=None),),
        epsilon=BUDGET / 4,
    ),
    Attack(
        name="one_council_more",
        title="One council more",
        how="Asks all councils, then all but the household's own, which has nobody else in the cell, and subtracts.",
        pairs=(Pair(holding=_ALL, without=View(smaller=True)),),
        epsilon=BUDGET / 2,
    ),
    Attack(
        name="overlapping_groups",
        title="Overlapping groups of households",
        how="Asks for groups of ages with and without the household's own age band, and subtracts each two.",
        pairs=tuple(
            Pair(holding=View(bands=(*bands, TARGET_BAND)), without=View(bands=bands))
            for bands in (BANDS, *_OVERLAPPING)
        ),
        epsilon=BUDGET / 4,
    ),
    Attack(
        name="successive_quarters",
        title="Successive quarters",
        how="Asks for two quarters together, then for the first alone, between which only it came, and subtracts.",
        pairs=(Pair(holding=_ALL, without=View(end=LAST_QUARTER - timedelta(days=1))),),
        epsilon=BUDGET / 2,
    ),
    Attack(
        name="published_table",
        title="An exact table published before",
        how="Has an exact table from before the household came, asks once with the whole budget, and subtracts.",
        pairs=(Pair(holding=_ALL, without=None),),
        epsilon=BUDGET,
    ),
)
