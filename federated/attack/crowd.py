"""The planted households: one target in each of many cells of a table, and the other households around it.

A target is in the records or not, by a coin. It is the only household of its council in its cell, the only one of its
age band there, and the only one assessed in the last quarter, so that each attack can single it out by what it asks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import product
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from federated.errors import QueryError
from federated.schema import load_schema
from federated.synthetic import PUBLISHED_QUARTER, Cases, synthesise
from federated.synthetic.cases import narrow
from protocols.identifiers import CouncilId

__all__ = [
    "BANDS",
    "BOTH_QUARTERS",
    "CELL_COLUMNS",
    "LAST_QUARTER",
    "MOST_TRIALS",
    "TARGET_BAND",
    "Crowd",
    "make_crowd",
]

DATASET: Final = "case"
CELL_COLUMNS: Final = ("reason_loss", "accommodation_at_application", "prior_approach_24m")
BAND_COLUMN: Final = "main_age_band"
TARGET_BAND: Final = "age_75_over"
BANDS: Final = (
    "age_16_17",
    "age_18_24",
    "age_25_34",
    "age_35_44",
    "age_45_54",
    "age_55_64",
    "age_65_74",
)
"""Age bands of the other households."""
BOTH_QUARTERS: Final = replace(PUBLISHED_QUARTER, start=date(2024, 10, 1))
"""What the records hold: a quarter, and the last one after it."""
LAST_QUARTER: Final = PUBLISHED_QUARTER.start
"""Only targets are assessed from this day on."""
TARGET_DAY: Final = date(2025, 3, 14)
FEWEST_OTHERS: Final = 10
MOST_OTHERS: Final = 29
"""Enough others for every count that an attack needs to be shown where fewer than five are hidden."""
FEWEST_TRIALS: Final = 20
MOST_TRIALS: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """What the records hold; the attacker knows all of it but the coins.

    Attributes:
        seed: Fixes everything.
        councils: All of them, sorted; the last one is the targets' own.
        cells: The cell of each target, no two the same.
        inside: The coins: whether each target is in the records. This is the secret.
        cell: For each other household the number of its cell in `cells`.
        council: For each other household the number of its council; never the last.
        band: For each other household the number of its age band in `BANDS`.
        day: For each other household the date of its assessment, before the last quarter.

    Shapes:
        `inside` is `(trials,)`; `cell`, `council`, `band` and `day` are `(others,)`.
    """

    seed: int = field(repr=False)
    councils: tuple[CouncilId, ...]
    cells: tuple[tuple[str, ...], ...]
    inside: NDArray[np.bool_] = field(repr=False)
    cell: NDArray[np.int64] = field(repr=False)
    council: NDArray[np.int64] = field(repr=False)
    band: NDArray[np.int64] = field(repr=False)
    day: NDArray[np.datetime64] = field(repr=False)

    @property
    def trials(self) -> int:
        """Number of targets."""
        return len(self.cells)

    @property
    def home(self) -> CouncilId:
        """The targets' own council."""
        return self.councils[-1]

    def others(self, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many of the other households that are kept stand in each target's cell.

        Shapes:
            `kept` is `(others,)`, the result `(trials,)`.
        """
        return np.bincount(self.cell[kept], minlength=self.trials).astype(np.int64)

    def cases(self) -> dict[CouncilId, Cases]:
        """The records of every council; what no attack asks about is copied from synthetic cases."""
        rng = np.random.default_rng([self.seed, 2])
        return {
            council: self._council_cases(place, synthesise(council, self.seed), rng)
            for place, council in enumerate(self.councils)
        }

    def _council_cases(self, place: int, like: Cases, rng: np.random.Generator) -> Cases:
        mine = np.flatnonzero(self.council == place)
        cell, band = self.cell[mine], np.array(BANDS)[self.band[mine]]
        day = self.day[mine]
        if place == len(self.councils) - 1:
            cell = np.flatnonzero(self.inside)
            band = np.full(len(cell), TARGET_BAND)
            day = np.full(len(cell), np.datetime64(TARGET_DAY))
        return _with_columns(like, rng.integers(0, len(like), size=len(cell)), self._columns(cell, band, day))

    def _columns(
        self, cell: NDArray[np.int64], band: NDArray[np.str_], day: NDArray[np.datetime64]
    ) -> dict[str, NDArray[np.str_]]:
        codes = np.array(self.cells)[cell].reshape(len(cell), len(CELL_COLUMNS))
        numbers = [str(100_000 + number) for number in range(len(cell))]
        dates = np.datetime_as_string(day.astype("datetime64[D]"))
        return {
            **{name: codes[:, axis] for axis, name in enumerate(CELL_COLUMNS)},
            BAND_COLUMN: band,
            "assessment_date": dates,
            "application_date": dates,
            "household_key": np.array([f"HH{number}" for number in numbers], dtype=np.str_),
            "case_key": np.array([f"C{number}" for number in numbers], dtype=np.str_),
            "opted_out": np.full(len(cell), "no"),
        }


def _with_columns(like: Cases, rows: NDArray[np.int64], columns: Mapping[str, NDArray[Any]]) -> Cases:
    """Synthetic cases, copied row by row, with some columns replaced."""
    kept = {name: narrow(columns.get(name, values[rows])) for name, values in like.columns.items()}
    return Cases(council=like.council, period=like.period, columns=MappingProxyType(kept), imputed=like.imputed)


def make_crowd(councils: Sequence[CouncilId], *, trials: int, seed: int) -> Crowd:
    """Plant the households of one attack.

    Args:
        councils: Everyone in the federation; the last of them, sorted, is the targets' own.
        trials: Number of targets, each with a fair coin of its own.
        seed: Fixes cells, others and coins.

    Raises:
        QueryError: Too few trials to say anything, or more than there are cells for.
    """
    if not FEWEST_TRIALS <= trials <= MOST_TRIALS:
        raise QueryError(f"An attack has {FEWEST_TRIALS} to {MOST_TRIALS} trials, not {trials}.")
    rng = np.random.default_rng([seed, 1])
    dataset = load_schema().dataset(DATASET)
    every = list(product(*(dataset.column(name).code_list for name in CELL_COLUMNS)))
    chosen = rng.choice(len(every), size=trials, replace=False)
    cell = np.repeat(np.arange(trials), rng.integers(FEWEST_OTHERS, MOST_OTHERS + 1, size=trials))
    days = np.arange(np.datetime64(BOTH_QUARTERS.start), np.datetime64(LAST_QUARTER))
    size = len(cell)
    return Crowd(
        seed=seed,
        councils=tuple(sorted(councils)),
        cells=tuple(every[place] for place in chosen.tolist()),
        inside=rng.integers(0, 2, size=trials) == 1,
        cell=cell,
        council=rng.integers(0, len(councils) - 1, size=size),
        band=rng.integers(0, len(BANDS), size=size),
        day=days[rng.integers(0, len(days), size=size)],
    )
