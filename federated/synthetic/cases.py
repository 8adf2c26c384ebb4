"""Synthetic case records of one council whose counts are the published ones. No record is about a real household.

The marginal counts of the published columns are exact; how the columns go together is made up, by random matching.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federated.query.model import Period
from federated.schema import NOT_KNOWN, load_schema
from federated.synthetic.margins import codes_of, completed, outcome_counts, regional
from federated.synthetic.published import PUBLISHED_QUARTER, PublishedColumn, published_columns
from protocols.identifiers import CouncilId

Texts: TypeAlias = NDArray[np.str_]

EARLIER_SHARE: Final = 0.6
"""Rows of the period before, for each household of the asked period."""
RECURRING_SHARE: Final = 0.12
"""Share of the rows of the period before that are earlier applications of a household of the asked period."""
LATER_SHARE: Final = 0.03
"""Rows of the fortnight after, for each household of the asked period."""
LATER_DAYS: Final = 14
LONGEST_WAIT_DAYS: Final = 28

_CHILDREN_WEIGHTS: Final = (0.44, 0.32, 0.15, 0.06, 0.02, 0.01)
"""One child to six in households with children; 1.9 on average, near the published 2.0 in temporary accommodation."""
_MALE_SHARE_OF_THE_REST: Final = 0.45
_PRIOR_APPROACHES: Final = {"none": 0.86, "one": 0.1, "two": 0.03, "three_or_more": 0.01}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pull:
    """A leaning of one column towards another, so that records look plausible; it changes no count."""

    towards: str
    rows: Mapping[str, float]
    codes: Mapping[str, float]
    otherwise: float = 0.0


_AGES: Final = {
    "age_16_17": 17.0,
    "age_18_24": 21.0,
    "age_25_34": 30.0,
    "age_35_44": 40.0,
    "age_45_54": 50.0,
    "age_55_64": 60.0,
    "age_65_74": 70.0,
    "age_75_over": 80.0,
}
_PULLS: Final[Mapping[str, _Pull]] = {
    "main_employment": _Pull(
        towards="main_age_band", rows=_AGES, codes={"student": 15.0, "retired": 90.0}, otherwise=40.0
    ),
    "section21_notice": _Pull(
        towards="reason_loss",
        rows={"ast_landlord_to_sell": 60.0, "ast_landlord_to_relet": 60.0, "ast_other": 30.0},
        codes={"yes": 60.0},
    ),
}
_PULL_SPREAD: Final = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Records of one council in canonical form, column by column; of cases, unless another table is named.

    Attributes:
        council: The council.
        period: The asked period; the records also hold the period before and a fortnight after.
        columns: Every column as text: codes, ISO dates, whole numbers; empty where a date or number is unknown.
        imputed: Columns whose counts came from the region, wholly or partly, because the council's figures are
            missing or suppressed.
        dataset: The table.

    Shapes:
        All columns have the same length, one entry for each row.
    """

    council: CouncilId
    period: Period
    columns: Mapping[str, Texts] = field(repr=False)
    imputed: tuple[str, ...]
    dataset: str = "case"

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.columns["case_key"])

    def rows(self) -> Iterator[dict[str, str]]:
        """The records one by one, as plain text by column."""
        names = tuple(self.columns)
        lists = (column.tolist() for column in self.columns.values())
        return (dict(zip(names, values, strict=True)) for values in zip(*lists, strict=True))

    @property
    def return_missing(self) -> bool:
        """Whether the council made no return, so that even its size is its region's typical one."""
        return "assessment_outcome" in self.imputed


def synthesise(council: CouncilId, seed: int, *, period: Period = PUBLISHED_QUARTER) -> Cases:
    """Make the case records of one council.

    In the asked period there is one household for each published assessment, and the counts of every column of
    `published_columns` equal the published table. Households outside a table (for example those owed no duty) follow
    the region's pattern. Some households have an earlier application in the period before.

    Args:
        council: The council.
        seed: 0 or more; the same seed gives the same records.
        period: The asked period. The counts are those of January to March 2025 whatever it is.

    Raises:
        QueryError: There is no such council.
    """
    region = load_schema().council(council).region
    rng = np.random.default_rng([seed, int(council[1:])])
    attributes, imputed = _households(council, region, rng)
    drawn = _applications(attributes, period, rng)
    drawn["la_code"] = np.full(len(drawn["case_key"]), council)
    shuffled = rng.permutation(len(drawn["case_key"]))
    order = [name for name in load_schema().dataset("case").columns if name in drawn]
    columns = {name: narrow(drawn[name][shuffled]) for name in order}
    return Cases(council=council, period=period, columns=MappingProxyType(columns), imputed=imputed)


def narrow(column: Texts) -> Texts:
    """The same texts in no more memory than the longest of them needs, for all of England is held at once."""
    width = int(np.char.str_len(column).max(initial=1))
    return column.astype(f"U{width}")


def _households(council: CouncilId, region: str, rng: np.random.Generator) -> tuple[dict[str, Texts], tuple[str, ...]]:
    """What is known of each household assessed in the asked period, and the columns that were imputed."""
    sources = dict(published_columns())
    counts, typical = outcome_counts(council, region)
    outcomes = np.repeat(np.array(codes_of(sources.pop("assessment_outcome"))), counts)
    columns = {"assessment_outcome": outcomes}
    imputed = ["assessment_outcome"] if typical else []
    for name, source in sources.items():
        columns[name] = np.full(len(outcomes), NOT_KNOWN, dtype="U64")
        guessed = _fill_published(columns, source, council, region, rng)
        _fill_the_others(columns, source, region, rng)
        if guessed:
            imputed.append(name)
    columns |= _details(columns, rng)
    return columns, tuple(imputed)


def _fill_published(
    columns: dict[str, Texts], source: PublishedColumn, council: CouncilId, region: str, rng: np.random.Generator
) -> bool:
    """Deal the counted codes out to the households of each part; returns whether a count was imputed."""
    guessed = False
    for part in source.parts:
        members = np.flatnonzero(np.isin(columns["assessment_outcome"], list(part.outcomes)))
        counts, some = completed(
            column=source, part=part, council=council, region=region, households=len(members), rng=rng
        )
        pool = np.repeat(np.array(codes_of(source)), counts)
        columns[source.column][members] = _dealt(pool, source.column, columns, members, rng)
        guessed |= some
    return guessed


def _dealt(
    pool: Texts, column: str, columns: Mapping[str, Texts], members: NDArray[np.intp], rng: np.random.Generator
) -> Texts:
    """The codes of the pool, each used once, in the order of the members: at random but for the column's pull."""
    pull = _PULLS.get(column)
    if pull is None:
        return rng.permutation(pool)
    row_scores = _scores(columns[pull.towards][members], pull.rows, pull.otherwise)
    code_scores = _scores(pool, pull.codes, pull.otherwise)
    by_row = np.argsort(row_scores + rng.normal(0, _PULL_SPREAD, len(members)))
    by_code = np.argsort(code_scores + rng.normal(0, _PULL_SPREAD, len(pool)))
    dealt = np.empty_like(pool)
    dealt[by_row] = pool[by_code]
    return dealt


def _scores(texts: Texts, scores: Mapping[str, float], otherwise: float) -> NDArray[np.float64]:
    return np.array([scores.get(text, otherwise) for text in texts.tolist()], dtype=np.float64)


def _fill_the_others(columns: dict[str, Texts], source: PublishedColumn, region: str, rng: np.random.Generator) -> None:
    """Households that no table counts: the code of the rest, or else a draw by the region's pattern."""
    others = np.flatnonzero(~np.isin(columns["assessment_outcome"], list(source.outcomes)))
    if source.rest is not None:
        columns[source.column][others] = source.rest
        return
    weights = np.sum([regional(source.column, part, region) for part in range(len(source.parts))], axis=0)
    columns[source.column][others] = rng.choice(codes_of(source), size=len(others), p=weights / weights.sum())


def _details(columns: Mapping[str, Texts], rng: np.random.Generator) -> dict[str, Texts]:
    """Columns that follow from the published ones, with a draw where the published one leaves it open."""
    types = columns["household_type"]
    size = len(types)
    with_children = np.char.startswith(types, "single_parent") | np.char.endswith(types, "with_children")
    some = rng.choice(np.arange(1, 7), size=size, p=_CHILDREN_WEIGHTS).astype("U1")
    children = np.where(with_children, some, np.where(types == NOT_KNOWN, "", "0"))
    sex = np.where(rng.random(size) < _MALE_SHARE_OF_THE_REST, "male", "female").astype("U64")
    for ending, value in (("_male", "male"), ("_female", "female"), ("_other", NOT_KNOWN), (NOT_KNOWN, NOT_KNOWN)):
        sex[np.char.endswith(types, ending)] = value
    referred = np.where(columns["referral_source"] == "another_authority", "yes", "no")
    prior = rng.choice(list(_PRIOR_APPROACHES), size=size, p=list(_PRIOR_APPROACHES.values()))
    return {
        "dependent_children_n": children,
        "main_sex": sex,
        "la_referral_received": referred,
        "prior_approach_24m": prior,
        "opted_out": np.full(size, "no"),
    }


def _applications(attributes: Mapping[str, Texts], period: Period, rng: np.random.Generator) -> dict[str, Texts]:
    """Rows of the asked period, of the period before and of the fortnight after, with dates and references."""
    asked = len(attributes["assessment_outcome"])
    earlier = rng.choice(asked, size=round(EARLIER_SHARE * asked), replace=False)
    later = rng.choice(asked, size=round(LATER_SHARE * asked), replace=False)
    recurring = earlier[: round(RECURRING_SHARE * len(earlier))]
    like = np.concatenate([np.arange(asked), earlier, later])
    columns = {name: column[like] for name, column in attributes.items()}
    columns["prior_approach_24m"][recurring] = rng.choice(["one", "two"], size=len(recurring), p=[0.85, 0.15])
    # Only the recurring rows keep the household they are like; every other row is a household of its own.
    household = np.arange(len(like))
    household[asked : asked + len(recurring)] = recurring
    columns["household_key"] = _references("HH", household, rng)
    columns["case_key"] = _references("C", np.arange(len(like)), rng)
    before = period.start - (period.end - period.start) - timedelta(days=1)
    days = np.concatenate(
        [
            _weekdays(period.start, period.end, asked, rng),
            _weekdays(before, period.start - timedelta(days=1), len(earlier), rng),
            _weekdays(period.end + timedelta(days=1), period.end + timedelta(days=LATER_DAYS), len(later), rng),
        ]
    )
    waits = rng.integers(0, LONGEST_WAIT_DAYS + 1, size=len(days)).astype("timedelta64[D]")
    columns["assessment_date"] = np.datetime_as_string(days)
    columns["application_date"] = np.datetime_as_string(days - waits)
    return columns


def _references(prefix: str, numbers: NDArray[np.int64], rng: np.random.Generator) -> Texts:
    """References in no order, the same for the same number."""
    scattered = rng.permutation(np.arange(100_000, 100_000 + len(numbers)))
    return np.array([f"{prefix}{number}" for number in scattered[numbers].tolist()], dtype="U64")


def _weekdays(first: date, last: date, size: int, rng: np.random.Generator) -> NDArray[np.datetime64]:
    days = np.arange(np.datetime64(first), np.datetime64(last) + 1)
    working = days[np.is_busday(days)]
    return working[rng.integers(0, len(working), size=size)]
