"""A standing question: one question that is asked again for each month, quarter or year, until a day within a year.

An analyst signs the series once, with what each repeat costs and what all of them cost together. It is a promise made
in public, and no permission: each repeat is a plan of its own, signed by the analyst's key, charged and decided like
any other (`docs/adr/0013-standing-questions-are-signed-one-by-one.md`). A series lapses on its last day; to go on,
somebody reviews it and signs a new one (requirement R101).
"""

from calendar import monthrange
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from itertools import islice
from typing import Final

from federated.agreement import Agreement
from federated.errors import FederatedError, PolicyRefusal, QueryError, SignatureProblem
from federated.keys import SigningKey
from federated.manifest import Manifest, parse_manifest
from federated.papers import PaperKind
from federated.query import Period, Query, parse_query, write_query
from federated.rationals import rational_text
from federated.signing import open_statement, sign_statement
from federated.timestamps import parse_day, parse_time, time_text
from federated.yaml_document import write_document
from protocols.encoding import Json

__all__ = [
    "MONTHS",
    "Repeat",
    "RepeatStanding",
    "Series",
    "Standing",
    "check_signed_by_now",
    "costs_by_year",
    "open_series",
    "repeats",
    "sign_series",
    "standings",
]

MONTHS: Final[Mapping[str, int]] = {"monthly": 1, "quarterly": 3, "yearly": 12}
"""Months of a period, by what the manifest calls its frequency."""
LONGEST: Final = timedelta(days=366)
"""From signing to the last day: then it lapses, unless somebody reviews it and signs anew."""
MOST_WAIT: Final = 365
MOST_REPEATS: Final = 36
"""Repeats of a series: with the year that it may run, two years of months that were over when it was signed."""
CLOCKS_APART: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A standing question.

    Attributes:
        id: Its name: the manifest's.
        edition: One more at each review.
        agreement: Id of the agreement.
        question: As asked the first time; each repeat has another period.
        manifest: As for the first time; each repeat has other dates and another version.
        wait_days: Days after the end of a period before it is asked about, so that the records are complete.
        until: Last day on which a repeat is asked; then the series lapses.
        signed_at: UTC.
    """

    id: str
    edition: int
    agreement: str
    question: Query
    manifest: Manifest = field(repr=False)
    wait_days: int
    until: date
    signed_at: datetime

    def __post_init__(self) -> None:
        """Refuse a series that no council could foresee.

        Raises:
            QueryError: Names what does not fit.
        """
        months, period = MONTHS.get(self.manifest.frequency), self.question.period
        if months is None:
            raise QueryError(
                "The manifest says that the question is asked once.",
                remedy="Write frequency: monthly, quarterly or yearly.",
            )
        if period.start.day != 1 or period.end != _end(period.start, months):
            raise QueryError(
                f"The manifest says that the question is asked {self.manifest.frequency}, but its period is from "
                f"{period.start} to {period.end}.",
                remedy="Let the first period be whole months: one, three or twelve.",
            )
        if not 0 <= self.wait_days <= MOST_WAIT or self.edition < 1:
            raise QueryError(f"A series waits from 0 to {MOST_WAIT} days, and its editions are counted from 1.")
        last = (self.signed_at + LONGEST).date()
        if self.until > last:
            raise QueryError(
                f"The series would run until {self.until}; it lapses after a year at the latest, on {last}.",
                remedy="Name an earlier last day. To go on, review it then and sign a new one.",
            )
        found = len(tuple(islice(_repeats(self), MOST_REPEATS + 1)))  # no more are looked for: they could be thousands
        if found > MOST_REPEATS:
            raise QueryError(
                f"The series would ask more than {MOST_REPEATS} times, most of them about periods that are long over.",
                remedy="Begin with a later period, or ask once about the whole time.",
            )
        if not found:
            raise QueryError(
                "No period of the series ends, with the days to wait, before its last day.",
                remedy="Name a later last day, or fewer days to wait.",
            )

    @property
    def epsilon_sum(self) -> Fraction:
        """What all repeats cost together."""
        return self.question.epsilon * len(repeats(self))

    def canonical(self) -> dict[str, Json]:
        """As it is signed. The costs follow from the rest, and stand there for people."""
        return {
            "version": 1,
            "id": self.id,
            "edition": self.edition,
            "agreement": self.agreement,
            "question": write_query(self.question),
            "manifest": _manifest_text(self.manifest),
            "wait_days": self.wait_days,
            "until": self.until.isoformat(),
            "signed_at": time_text(self.signed_at),
            "repeats": [[item.period.start.isoformat(), item.due.isoformat()] for item in repeats(self)],
            "epsilon_each": rational_text(self.question.epsilon),
            "epsilon_sum": rational_text(self.epsilon_sum),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """One time that a series asks.

    Attributes:
        number: From 1.
        period: What it asks about.
        due: First day on which it is asked.
        question: The question for that period.
    """

    number: int
    period: Period
    due: date
    question: Query

    def manifest(self, series: Series, *, today: date, decision_days: int) -> bytes:
        """Its manifest: the series' own with the dates of this time, so that councils see a repeat of what they know.

        Args:
            series: The series.
            today: When it is asked.
            decision_days: That councils have to decide, by the agreement.
        """
        first = series.manifest
        collect_by = today + timedelta(days=decision_days)
        expires_on = max(series.until, collect_by + timedelta(days=2))
        kept = first.retention.until - first.expires_on
        document = first.model_dump(mode="json")
        document |= {
            "version": first.version + self.number - 1,
            "collect_by": collect_by.isoformat(),
            "return_by": (collect_by + timedelta(days=1)).isoformat(),
            "expires_on": expires_on.isoformat(),
            # It is kept no longer after the last day than the first time.
            "retention": document["retention"] | {"until": (expires_on + kept).isoformat()},
        }
        return _yaml(document)


def repeats(series: Series) -> tuple[Repeat, ...]:
    """Every time that the series asks: each whole period that ends, with the days to wait, by its last day."""
    return tuple(_repeats(series))


def costs_by_year(series: Series, asked: Mapping[int, int] | None = None) -> dict[int, Fraction]:
    """What the repeats cost in each calendar year: that in which each is asked, as a ledger charges it then.

    A period that was over when the series was signed is asked after that, and not in the year it ended.

    Args:
        series: The series.
        asked: Number of a repeat → year in which it was asked, for those that were.
    """
    known = {} if asked is None else asked
    signed = series.signed_at.date()
    years = Counter(known.get(item.number, max(item.due, signed).year) for item in repeats(series))
    return {year: series.question.epsilon * years[year] for year in sorted(years)}


class Standing(StrEnum):
    """Where a repeat stands."""

    WAITS = "not due yet"
    DUE = "due, and not asked yet"
    ASKED = "asked"
    MISSED = "never asked: the series has lapsed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatStanding:
    """A repeat and where it stands.

    Attributes:
        state: Of its question, once it was asked.
    """

    repeat: Repeat
    standing: Standing
    state: str = ""


def standings(series: Series, states: Mapping[int, str], today: date) -> tuple[RepeatStanding, ...]:
    """Where each repeat stands.

    Args:
        series: The series.
        states: Number of a repeat → state of its question, for those that were asked.
        today: The day, UTC.
    """
    return tuple(
        RepeatStanding(
            repeat=repeat,
            standing=_standing(series, repeat, today, asked=repeat.number in states),
            state=states.get(repeat.number, ""),
        )
        for repeat in repeats(series)
    )


def _standing(series: Series, repeat: Repeat, today: date, *, asked: bool) -> Standing:
    if asked:
        return Standing.ASKED
    if today < repeat.due:
        return Standing.WAITS
    return Standing.DUE if today <= series.until else Standing.MISSED


def _repeats(series: Series) -> Iterator[Repeat]:
    months = MONTHS[series.manifest.frequency]
    start, number = series.question.period.start, 1
    while True:
        end = _end(start, months)
        due = end + timedelta(days=1 + series.wait_days)
        if due > series.until:
            return
        period = replace(series.question.period, start=start, end=end)
        yield Repeat(number=number, period=period, due=due, question=replace(series.question, period=period))
        start, number = end + timedelta(days=1), number + 1


def _end(start: date, months: int) -> date:
    total = start.year * 12 + start.month - 1 + months - 1
    year, month = total // 12, total % 12 + 1
    return date(year, month, monthrange(year, month)[1])


def sign_series(series: Series, key: SigningKey) -> bytes:
    """Sign a series."""
    return sign_statement(PaperKind.SERIES, series.canonical(), key)


def open_series(envelope: bytes, agreement: Agreement) -> Series:
    """Check a series.

    Checks, in order: (0) an analyst of the agreement signed it, (1) its content, (2) its costs and days follow from the
    rest, (3) no repeat costs more than the agreement allows one question.

    Raises:
        SignatureProblem: (0) to (2).
        PolicyRefusal: `max_epsilon_per_query`, for (3).
    """
    body = open_statement(PaperKind.SERIES, envelope, agreement.analyst_keys)  # (0)
    try:
        series = Series(  # (1)
            id=str(body["id"]),
            edition=int(body["edition"]),
            agreement=str(body["agreement"]),
            question=parse_query(body["question"].encode()),
            manifest=parse_manifest(body["manifest"].encode()),
            wait_days=int(body["wait_days"]),
            until=parse_day(body["until"]),
            signed_at=parse_time(body["signed_at"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, FederatedError) as error:
        raise SignatureProblem(f"The signed series cannot be used. {error}".strip()) from error
    # Written again it is the same, so it holds no field and no figure that does not follow from the others.
    if (series.id, series.agreement) != (series.manifest.id, agreement.id) or series.canonical() != body:  # (2)
        raise SignatureProblem("The series says of its costs or days what does not follow from its question.")
    agreement.check_epsilon(series.question.epsilon)  # (3)
    return series


def check_signed_by_now(series: Series, now: datetime) -> None:
    """Refuse a series dated ahead: it could run for longer than the year after which somebody must look at it.

    Raises:
        PolicyRefusal: `series_dates`.
    """
    if series.signed_at > now + CLOCKS_APART:
        raise PolicyRefusal(
            "series_dates",
            f"The series says that it was signed on {series.signed_at:%d %B %Y}, which is still to come.",
            remedy="Check the clock of the computer on which it was signed, and sign it again.",
        )


def _manifest_text(manifest: Manifest) -> str:
    return _yaml(manifest.model_dump(mode="json")).decode()


def _yaml(document: Mapping[str, object]) -> bytes:
    return write_document(document).encode()
