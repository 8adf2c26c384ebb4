"""What became of synthetic households: duties with their dates and ends, help, programmes. Invented from end to end.

Nothing published says how the columns of a journey go together, so every pattern here is made up, is stated as a
constant below, and can be found again by a question. README.md beside this file lists them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federated.query.model import Period
from federated.schema import NOT_KNOWN, load_schema
from federated.synthetic.cases import LATER_DAYS, Cases, Texts, narrow, synthesise
from protocols.identifiers import CouncilId

__all__ = ["JOURNEY_COLUMNS", "PAYMENTS", "cases_of_a_year", "with_journeys"]

Days: TypeAlias = NDArray[np.datetime64]
Flags: TypeAlias = NDArray[np.bool_]

JOURNEY_COLUMNS: Final = (
    "prevention_start",
    "prevention_end",
    "prevention_end_reason",
    "prevention_activity",
    "relief_start",
    "relief_end",
    "relief_end_reason",
    "main_duty_decision",
    "main_duty_decision_date",
    "intervention_code",
)
"""What `with_journeys` adds to the columns of `synthesise`."""

PAYMENTS: Final = ("helped_with_payment", "discretionary_housing_payment", "other_payment")

_STREAM: Final = 2
"""Keeps these draws apart from those of the cases and of the extract with the same seed."""
_QUARTER_MONTHS: Final = 3
_SEEDS_A_YEAR: Final = 4
_DECEMBER: Final = 12

# The planted patterns. Shares and chances are from 0 to 1, waits in days.

FAMILIES_LEFT_OUT: Final = (0.3, 0.2, 0.1, 0.0)
"""Share of families losing a private tenancy that is left out of each quarter of a year: so their number rises."""
PREVENTION_DAYS: Final = (10, 70)
"""A prevention duty lasts from so many to so many days, each as likely."""
PAID: Final = MappingProxyType({"with_children": 0.45, "without_children": 0.25, NOT_KNOWN: 0.3})
"""Chance that a household is helped with a payment: families more often, so that like must be compared with like."""
IN_PROGRAMME: Final = MappingProxyType({"end_of_ast": 0.3})
IN_PROGRAMME_OTHERWISE: Final = 0.12
"""Chance to be in programme 1, by group of reason."""
RELIEF_CHANCE: Final = 0.34
"""Chance that relief is owed after prevention ended; the four lines below move it."""
PRIOR_APPROACH_ADDS: Final = 0.08
NO_CHILDREN_ADDS: Final = 0.05
PAYMENT_ADDS: Final = -0.14
PROGRAMME_ADDS: Final = -0.10
MEDIAN_WAIT: Final = MappingProxyType({"with_children": 84.0, "without_children": 56.0, NOT_KNOWN: 70.0})
"""Median days from the start of relief to a settled home, were there no other ending; the waits are exponential."""
OTHER_ENDING_MEAN: Final = 120.0
"""Mean days until a relief duty ends otherwise; independent of the wait for a home."""
ACCEPTED: Final = MappingProxyType({"with_children": 0.75, "without_children": 0.45, NOT_KNOWN: 0.5})
"""Chance that the main duty is accepted once 56 days of relief have passed."""
REFERRAL_WAIT_MEAN: Final = MappingProxyType({"adult_prison": 3.0, "hospital": 7.0, "mental_health_inpatient": 10.0})
"""Mean days from application to assessment of people who leave an institution; other waits stay as they are."""

_LONGEST_REFERRAL_WAIT: Final = 28
_RELIEF_DAYS: Final = 56
_DECISION_DAYS: Final = 21
_UNKNOWN: Final = 0.01
"""Share of activities and programmes that nobody wrote down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """Codes with their weights."""

    codes: tuple[str, ...]
    weights: tuple[float, ...]

    def draw(self, size: int, rng: np.random.Generator) -> Texts:
        """So many codes; padded, so that longer ones can be written over them."""
        weights = np.array(self.weights)
        return rng.choice(np.array(self.codes, dtype="U64"), size=size, p=weights / weights.sum())


_NO_PAYMENT: Final = _Drawn(
    codes=(
        "secured_by_authority",
        "helped_without_payment",
        "mediation_family_friends",
        "mediation_eviction",
        "supported_housing",
        "advice_only",
    ),
    weights=(20, 20, 20, 15, 5, 20),
)
_PAYMENT: Final = _Drawn(codes=PAYMENTS, weights=(50, 30, 20))
_HOME_KEPT: Final = _Drawn(
    codes=("stayed", "moved", "elapsed_56_days", "contact_lost", "withdrew", "refused_to_cooperate"),
    weights=(35, 40, 8, 8, 7, 2),
)
_RELIEF_ENDED: Final = _Drawn(
    codes=("contact_lost", "withdrew", "no_longer_eligible", "refused_final_offer", "referral_accepted"),
    weights=(40, 35, 10, 10, 5),
)
_NOT_ACCEPTED: Final = _Drawn(
    codes=("no_priority_need", "intentionally_homeless", "not_homeless"), weights=(70, 20, 10)
)
_ELAPSED_SHARE: Final = 0.75
"""Of relief duties that end after day 56 without a home, those that end because of the 56 days."""


def cases_of_a_year(council: CouncilId, seed: int, year: int, *, known_until: date) -> Cases:
    """A year of records with their journeys: the published counts of the quarter four times over.

    The counts of the last quarter are the published ones. So are those of the other three, but for families who lost a
    private tenancy, of whom `FAMILIES_LEFT_OUT` are missing there. No household is there twice.

    Args:
        council: The council.
        seed: 0 or more; the same seed gives the same records.
        year: The year of assessment.
        known_until: Day of the extract: nothing later is known.

    Raises:
        QueryError: There is no such council.
    """
    rng = np.random.default_rng([seed, int(council[1:]), _STREAM, year])
    quarters = [
        _quarter(synthesise(council, _SEEDS_A_YEAR * seed + place, period=period), place, rng)
        for place, period in enumerate(_quarters(year))
    ]
    columns = {name: np.concatenate([quarter.columns[name] for quarter in quarters]) for name in quarters[0].columns}
    order = rng.permutation(len(columns["case_key"]))
    whole = replace(
        quarters[-1],
        period=Period(column="assessment_date", start=date(year, 1, 1), end=date(year, _DECEMBER, 31)),
        columns=MappingProxyType({name: column[order] for name, column in columns.items()}),
        imputed=tuple(dict.fromkeys(name for quarter in quarters for name in quarter.imputed)),
    )
    return with_journeys(whole, seed, known_until=known_until)


def _quarters(year: int) -> list[Period]:
    starts = [date(year, month, 1) for month in range(1, _DECEMBER + 1, _QUARTER_MONTHS)]
    ends = [start - timedelta(days=1) for start in [*starts[1:], date(year + 1, 1, 1)]]
    return [Period(column="assessment_date", start=a, end=b) for a, b in zip(starts, ends, strict=True)]


def _quarter(cases: Cases, place: int, rng: np.random.Generator) -> Cases:
    """Rows of the asked period alone, with references of their own and without the families left out."""
    days = cases.columns["assessment_date"]
    asked = (days >= cases.period.start.isoformat()) & (days <= cases.period.end.isoformat())
    families = derived("household_with_children", cases.columns["household_type"]) == "with_children"
    tenancies = derived("reason_loss_group", cases.columns["reason_loss"]) == "end_of_ast"
    kept = asked & ~(families & tenancies & (rng.random(len(cases)) < FAMILIES_LEFT_OUT[place]))
    columns = {name: column[kept] for name, column in cases.columns.items()}
    for name, prefix in (("household_key", "HH"), ("case_key", "C")):
        columns[name] = np.array([f"{prefix}{place + 1}{key.removeprefix(prefix)}" for key in columns[name].tolist()])
    return replace(cases, columns=MappingProxyType(columns))


def derived(name: str, base: Texts) -> Texts:
    """A derived column of the case table, from the column it is made of."""
    groups = load_schema().dataset("case").column(name).derivation
    return np.array([groups[code] for code in base.tolist()], dtype="U64")


def with_journeys(cases: Cases, seed: int, *, known_until: date | None = None) -> Cases:
    """Add what became of every household; no published count changes.

    Args:
        cases: Records as `synthesise` makes them.
        seed: 0 or more; the same seed gives the same journeys.
        known_until: Day of the extract, a fortnight after the period when left out: what had not ended by then has no
            end.
    """
    rng = np.random.default_rng([seed, int(cases.council[1:]), _STREAM])
    last = np.datetime64(known_until or cases.period.end + timedelta(days=LATER_DAYS), "D")
    columns = dict(cases.columns)
    assessed = columns["assessment_date"].astype("datetime64[D]")
    columns["application_date"] = _applied(columns, assessed, rng)
    prevention = _prevention(columns, assessed, last, rng)
    columns |= prevention
    columns |= _relief(columns, assessed, last, rng)
    columns |= _main_duty(columns, last, rng)
    order = [name for name in load_schema().dataset("case").columns if name in columns]
    return replace(cases, columns=MappingProxyType({name: narrow(columns[name]) for name in order}))


def _applied(columns: Mapping[str, Texts], assessed: Days, rng: np.random.Generator) -> Texts:
    """People who leave an institution are assessed sooner: their application lies nearer."""
    means = np.array([REFERRAL_WAIT_MEAN.get(code, 0.0) for code in columns["referral_source"].tolist()])
    waits = np.minimum(np.floor(rng.exponential(np.maximum(means, 1.0))), _LONGEST_REFERRAL_WAIT)
    return np.where(means > 0, _texts(later(assessed, -waits)), columns["application_date"])


def _prevention(
    columns: Mapping[str, Texts], assessed: Days, last: np.datetime64, rng: np.random.Generator
) -> dict[str, Texts]:
    size = len(assessed)
    owed = columns["assessment_outcome"] == "prevention_owed"
    ends = later(assessed, rng.integers(*PREVENTION_DAYS, size=size, endpoint=True))
    ended = owed & (ends <= last)
    children = derived("household_with_children", columns["household_type"])
    paid = ended & (rng.random(size) < _by_code(PAID, children))
    reasons = derived("reason_loss_group", columns["reason_loss"])
    joined = owed & (rng.random(size) < _by_code(IN_PROGRAMME, reasons, IN_PROGRAMME_OTHERWISE))
    chance = RELIEF_CHANCE + PAYMENT_ADDS * paid + PROGRAMME_ADDS * joined
    chance += PRIOR_APPROACH_ADDS * (columns["prior_approach_24m"] != "none")
    chance += NO_CHILDREN_ADDS * (children == "without_children")
    lost = ended & (rng.random(size) < chance)
    reason = np.where(lost, "homeless", _HOME_KEPT.draw(size, rng))
    activity = np.where(paid, _PAYMENT.draw(size, rng), _NO_PAYMENT.draw(size, rng))
    programme = np.where(joined, "programme_01", "none").astype("U64")
    return {
        "prevention_start": _known(owed, assessed),
        "prevention_end": _known(ended, ends),
        "prevention_end_reason": np.where(ended, reason, "none"),
        "prevention_activity": _forgotten(np.where(ended, activity, "none"), ended, rng),
        "intervention_code": _forgotten(programme, owed, rng),
    }


def _relief(
    columns: Mapping[str, Texts], assessed: Days, last: np.datetime64, rng: np.random.Generator
) -> dict[str, Texts]:
    """At once for those who are homeless when assessed, after the end of prevention for those who became so."""
    size = len(assessed)
    at_once = columns["assessment_outcome"] == "relief_owed"
    after = columns["prevention_end_reason"] == "homeless"
    starts = np.where(after, _dates(columns["prevention_end"]), assessed)
    owed = at_once | after
    medians = _by_code(MEDIAN_WAIT, derived("household_with_children", columns["household_type"]))
    home = np.ceil(rng.exponential(medians / np.log(2)))
    other = np.ceil(rng.exponential(OTHER_ENDING_MEAN, size=size))
    ends = later(starts, np.minimum(home, other))
    ended = owed & (ends <= last)
    elapsed = (other > _RELIEF_DAYS) & (rng.random(size) < _ELAPSED_SHARE)
    without = np.where(elapsed, "elapsed_56_days", _RELIEF_ENDED.draw(size, rng))
    reason = np.where(home <= other, "secured", without)
    return {
        "relief_start": _known(owed, starts),
        "relief_end": _known(ended, ends),
        "relief_end_reason": np.where(ended, reason, "none"),
    }


def _main_duty(columns: Mapping[str, Texts], last: np.datetime64, rng: np.random.Generator) -> dict[str, Texts]:
    """A decision some days after the 56 days of relief have passed."""
    elapsed = columns["relief_end_reason"] == "elapsed_56_days"
    size = len(elapsed)
    days = later(_dates(columns["relief_end"]), rng.integers(0, _DECISION_DAYS, size=size))
    decided = elapsed & (days <= last)
    children = derived("household_with_children", columns["household_type"])
    accepted = rng.random(size) < _by_code(ACCEPTED, children)
    decision = np.where(accepted, "accepted", _NOT_ACCEPTED.draw(size, rng))
    return {
        "main_duty_decision": np.where(decided, decision, "none"),
        "main_duty_decision_date": _known(decided, days),
    }


def _by_code(chances: Mapping[str, float], codes: Texts, otherwise: float = 0.0) -> NDArray[np.float64]:
    return np.array([chances.get(code, otherwise) for code in codes.tolist()])


def _forgotten(texts: Texts, among: Flags, rng: np.random.Generator) -> Texts:
    return np.where(among & (rng.random(len(texts)) < _UNKNOWN), NOT_KNOWN, texts)


def later(days: Days, numbers: NDArray[np.float64] | NDArray[np.int64]) -> Days:
    """Each day so many days later; earlier where the number is negative."""
    found: Days = np.add(days, numbers.astype("timedelta64[D]"))
    return found


def _dates(texts: Texts) -> Days:
    """ISO dates; an empty text becomes a day that nothing is compared with."""
    return np.where(texts == "", "1900-01-01", texts).astype("datetime64[D]")


def _texts(days: Days) -> Texts:
    return np.datetime_as_string(days)


def _known(where: Flags, days: Days) -> Texts:
    return np.where(where, _texts(days), "")
