"""Synthetic support needs, placements and events of the households of `journeys`. Invented, the shares of needs apart.

No household has more rows than the contribution bounds that are usual: five needs, two placements, five contacts a
year. So what a question keeps of a household is all of it, and its truth hangs on no draw.
"""

from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federated.schema import NOT_KNOWN, load_schema
from federated.synthetic.cases import Cases, Texts, narrow
from federated.synthetic.journeys import derived, later
from federated.synthetic.published import england_total, measures
from federated.synthetic.styles import DATASET

__all__ = ["MOST_CONTACTS", "MOST_NEEDS", "MOST_PLACEMENTS", "events", "placements", "support_needs"]

MOST_NEEDS: Final = 5
MOST_PLACEMENTS: Final = 2
MOST_CONTACTS: Final = 5

Dates: TypeAlias = NDArray[np.datetime64]

_STREAM: Final = 3
"""Keeps these draws apart from the others with the same seed; the table's place in the schema is added."""
_NEEDS_TABLE: Final = "A3"
_NEED_MEASURE: Final = "Of which households with | "
_HOUSEHOLDS_TABLE: Final = "A1"
_OWED_MEASURE: Final = "Assessed as owed a duty | Total owed a prevention or relief duty"

# The planted patterns.

COMPLEX_SHARE: Final = 0.2
"""Share of households whose needs come together."""
COMPLEX_NEEDS: Final = (
    "mental_health",
    "drug_dependency",
    "alcohol_dependency",
    "offending_history",
    "repeat_homelessness",
    "rough_sleeping",
)
COMPLEX_TIMES: Final = 3.0
"""These needs are so many times as frequent in such households as over all."""
PLACED: Final = MappingProxyType({"with_children": 0.45, "without_children": 0.22, NOT_KNOWN: 0.3})
"""Chance of a placement once relief is owed."""
MEDIAN_STAY: Final = MappingProxyType({"bed_and_breakfast": 30.0})
MEDIAN_STAY_OTHERWISE: Final = 110.0
STAY_SPREAD: Final = 0.9
"""Stays are log-normal: this is the standard deviation of their logarithm."""
MOVES_ON: Final = 0.5
"""Share of ended stays in bed and breakfast after which another placement follows at once."""
NIGHTLY_COST: Final = MappingProxyType(
    {
        "bed_and_breakfast": 75.0,
        "nightly_paid": 60.0,
        "hostel": 42.0,
        "private_leased": 33.0,
        "la_ha_stock": 22.0,
        NOT_KNOWN: 45.0,
    }
)
"""Middle cost of a night in pounds; single costs spread by 15%."""
COST_UNKNOWN: Final = 0.08
OUTREACH_DAYS: Final = ("tuesday", "thursday")
OUTREACH_BLOCK: Final = "from_04"
OUTREACH_TIMES: Final = 6.0
"""Contacts with people sleeping rough are so many times as frequent in this block of these days."""
BLOCK_WEIGHTS: Final = MappingProxyType(
    {"from_00": 0.5, "from_04": 1.5, "from_08": 1.0, "from_12": 1.0, "from_16": 1.0, "from_20": 2.0}
)

_TYPES: Final = MappingProxyType(
    {
        "with_children": (30, 25, 8, 20, 16, 1),
        "without_children": (45, 15, 28, 5, 6, 1),
        NOT_KNOWN: (40, 20, 20, 10, 8, 2),
    }
)
"""Weights of the types of `NIGHTLY_COST`, in its order."""
_AFTER_BED_AND_BREAKFAST: Final = (0, 25, 20, 25, 28, 2)
_COST_SPREAD: Final = 0.15
_SLEPT_ROUGH: Final = ("rough_sleeping", "nfa_slept_rough_last_year")
_CONTACT_DAYS: Final = 60
_MORE_CONTACTS: Final = 0.5
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FIRST_MONDAY: Final = np.datetime64("1970-01-05")
_START_DAYS: Final = 6


def support_needs(cases: Cases, seed: int) -> Cases:
    """Support needs of households owed a duty: about the published shares of all England, no more than five each."""
    rng = _generator(cases, seed, "support_need")
    owed = np.isin(cases.columns["assessment_outcome"], ("prevention_owed", "relief_owed"))
    needs, shares = need_shares()
    together = owed & (rng.random(len(owed)) < COMPLEX_SHARE)
    times = np.where(np.isin(needs, COMPLEX_NEEDS), COMPLEX_TIMES, 1.0)
    # The others have such needs so much less often that the share over all stays as published.
    rest = np.where(np.isin(needs, COMPLEX_NEEDS), (1 - COMPLEX_SHARE * COMPLEX_TIMES) / (1 - COMPLEX_SHARE), 1.0)
    chances = np.where(together[:, None], shares * times, shares * rest)
    has = owed[:, None] & (rng.random(chances.shape) < chances)
    # Of more than five, those with the smallest draws stay.
    draws = np.where(has, rng.random(has.shape), 2.0)
    has &= draws.argsort(axis=1).argsort(axis=1) < MOST_NEEDS
    row, place = np.nonzero(has)
    provided = rng.choice(["yes", "no"], size=len(row), p=[0.7, 0.3])
    return _table(cases, "support_need", row, need=needs[place], support_provided=provided)


@cache
def need_shares() -> tuple[Texts, NDArray[np.float64]]:
    """Codes of needs, and the published share of households owed a duty that have each, over all councils."""
    codes = [code for code in load_schema().dataset("support_need").column("need").code_list if code != NOT_KNOWN]
    counted = [name for name in measures(_NEEDS_TABLE) if name.startswith(_NEED_MEASURE)]
    owed = england_total(_HOUSEHOLDS_TABLE, _OWED_MEASURE)
    shares = [england_total(_NEEDS_TABLE, name) / owed for _, name in zip(codes, counted, strict=True)]
    return np.array(codes), np.array(shares)


def placements(cases: Cases, seed: int, *, known_until: date) -> Cases:
    """Placements of some households owed relief: at most one in bed and breakfast, and one that follows it.

    Args:
        cases: With their journeys.
        seed: 0 or more.
        known_until: Day of the extract: stays that go on have no end.
    """
    rng = _generator(cases, seed, "ta_placement")
    last = np.datetime64(known_until, "D")
    children = derived("household_with_children", cases.columns["household_type"])
    chance = np.array([PLACED[code] for code in children.tolist()])
    owed = cases.columns["relief_start"] != ""
    rows = np.flatnonzero(owed & (rng.random(len(owed)) < chance))
    owed_from = cases.columns["relief_start"][rows].astype("datetime64[D]")
    starts = later(owed_from, rng.integers(0, _START_DAYS, len(rows)))
    kinds = _kinds([_TYPES[code] for code in children[rows].tolist()], rng)
    first = _stays(rows, kinds, starts, last, rng)
    ended = (first.kinds == "bed_and_breakfast") & (first.ends <= last)
    moved = ended & (rng.random(len(ended)) < MOVES_ON)
    after = _kinds([_AFTER_BED_AND_BREAKFAST] * int(moved.sum()), rng)
    second = _stays(first.rows[moved], after, first.ends[moved], last, rng)
    both = [np.concatenate(pair) for pair in zip(first.columns(), second.columns(), strict=True)]
    row, kind, start, end, cost = both
    return _table(cases, "ta_placement", row, ta_type=kind, start=start, end=end, nightly_cost_gbp=cost)


@dataclass(frozen=True, slots=True)
class _Stays:
    """Placements, column by column; those that had not ended by the last day known have no end."""

    rows: NDArray[np.intp]
    kinds: Texts
    starts: Dates
    ends: Dates
    last: np.datetime64
    costs: Texts

    def columns(self) -> tuple[NDArray[np.intp], Texts, Texts, Texts, Texts]:
        """Row of the case, type, start, end and cost of a night."""
        ends = np.where(self.ends <= self.last, np.datetime_as_string(self.ends), "")
        return self.rows, self.kinds, np.datetime_as_string(self.starts), ends, self.costs


def _stays(
    rows: NDArray[np.intp],
    kinds: Texts,
    starts: Dates,
    last: np.datetime64,
    rng: np.random.Generator,
) -> _Stays:
    medians = np.array([MEDIAN_STAY.get(kind, MEDIAN_STAY_OTHERWISE) for kind in kinds.tolist()])
    stays = np.ceil(medians * np.exp(rng.normal(0, STAY_SPREAD, len(rows))))
    middles = np.array([NIGHTLY_COST[kind] for kind in kinds.tolist()])
    costs = np.rint(middles * np.exp(rng.normal(0, _COST_SPREAD, len(rows)))).astype(np.int64).astype("U8")
    unknown = rng.random(len(rows)) < COST_UNKNOWN
    # Who is to be placed after the last day known is not placed yet.
    known = starts <= last
    return _Stays(
        rows[known],
        kinds[known],
        starts[known],
        later(starts, stays)[known],
        last,
        np.where(unknown, "", costs)[known],
    )


def _kinds(weights: list[tuple[int, ...]], rng: np.random.Generator) -> Texts:
    """One type for each row of weights."""
    kinds = np.array(list(NIGHTLY_COST))
    running = np.cumsum(np.array(weights, dtype=np.float64).reshape(-1, len(kinds)), axis=1)
    draws = rng.random(len(running)) * running[:, -1]
    found: Texts = kinds[(draws[:, None] >= running).sum(axis=1)]
    return found


def events(cases: Cases, seed: int) -> Cases:
    """One approach for each application; up to five contacts with each household that slept rough, before that."""
    rng = _generator(cases, seed, "event")
    applied = cases.columns["application_date"].astype("datetime64[D]")
    size = len(applied)
    rough = np.flatnonzero(np.isin(cases.columns["accommodation_at_application"], _SLEPT_ROUGH))
    contacts = 1 + rng.binomial(MOST_CONTACTS - 1, _MORE_CONTACTS, size=len(rough))
    rows = np.repeat(rough, contacts)
    # A day with its block is drawn by weight among those of the sixty days before the application.
    days = later(applied[rows, None], -np.arange(_CONTACT_DAYS))
    blocks = np.array(list(BLOCK_WEIGHTS))
    weights = np.array(list(BLOCK_WEIGHTS.values())) * np.ones((7, 1))
    for day in OUTREACH_DAYS:
        weights[_WEEKDAYS.index(day), list(blocks).index(OUTREACH_BLOCK)] *= OUTREACH_TIMES
    running = np.cumsum(weights[_weekday(days)].reshape(len(rows), -1), axis=1)
    draws = rng.random(len(rows)) * running[:, -1] if len(rows) else np.zeros(0)
    chosen = (draws[:, None] >= running).sum(axis=1)
    at: Dates = np.concatenate([applied, days[np.arange(len(rows)), chosen // len(blocks)]])
    office = rng.choice(["from_08", "from_12"], size=size, p=[0.6, 0.4])
    return _table(
        cases,
        "event",
        np.concatenate([np.arange(size), rows]),
        kind=np.repeat(["approach", "rough_sleeping_contact"], [size, len(rows)]),
        at=np.datetime_as_string(at),
        weekday=np.array(_WEEKDAYS)[_weekday(at)],
        time_block=np.concatenate([office, blocks[chosen % len(blocks)]]),
    )


def _weekday(days: Dates) -> NDArray[np.int64]:
    """0 for Monday."""
    found: NDArray[np.int64] = (days - _FIRST_MONDAY).astype(np.int64) % 7
    return found


def _generator(cases: Cases, seed: int, table: str) -> np.random.Generator:
    return np.random.default_rng([seed, int(cases.council[1:]), _STREAM, list(load_schema().datasets).index(table)])


def _table(cases: Cases, dataset: str, rows: NDArray[np.intp], **columns: Texts) -> Cases:
    """Rows of another table, each with the references of the case it belongs to."""
    if cases.dataset != DATASET:
        raise ValueError(f"the rows of '{dataset}' are made from cases, not from '{cases.dataset}'")
    own = {name: cases.columns[name][rows] for name in ("case_key", "household_key")} | columns
    return replace(
        cases,
        dataset=dataset,
        columns=MappingProxyType({name: narrow(column) for name, column in own.items()}),
        imputed=(),
    )
