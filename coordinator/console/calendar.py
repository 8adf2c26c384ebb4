"""The calendar: what councils decide until when, answers due, standing questions, and what ends; as page and file."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from coordinator.console.agreements import versions_kept
from coordinator.console.desk import Asked, Desk, Download
from coordinator.console.operations import STATEMENT_AGE
from coordinator.console.question import QuestionFacts
from coordinator.console.visitor import Visitor
from coordinator.proposal_states import OPEN, ProposalState
from coordinator.sign_in.operations import Operation, may
from coordinator.store import PaperRow
from federated.agreement import Agreement
from federated.calendar import MEDIA_TYPE, Entry, What, agreement_entries, icalendar, in_order, series_entries
from federated.errors import FederatedError
from federated.papers import PaperKind
from federated.rationals import rational_text
from federated.series import RepeatStanding, Series, costs_by_year, open_series, repeats, standings

__all__ = ["calendar_file", "latest_versions", "series_of", "show", "show_standing"]

SERIES_READ = 200
"""Series of each agreement; they run for a year, in which one author hands in 20 of them at most."""
ASKED_READ = 60
"""Questions of one manifest that are looked at for the repeats of a series: a year has twelve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingItem:
    """A standing question as the page shows it.

    Attributes:
        agreement: Under which it is, in its latest version.
        each: What one repeat costs, as epsilon.
        together: What all of them cost.
        years: Each calendar year with what falls in it, and whether that is more than the agreement allows in one.
        lapsed: Whether its last day is over.
        plans: Number of a repeat → its question's plan.
    """

    series: Series
    agreement: Agreement
    repeats: tuple[RepeatStanding, ...]
    each: str
    together: str
    years: tuple[tuple[int, str, bool], ...]
    lapsed: bool
    plans: Mapping[int, str]


def show(desk: Desk, asked: Asked) -> str:
    """Every day that somebody waits for, the soonest first."""
    today = desk.clock().date()
    entries = _entries(desk, asked.visitor, today)
    return desk.page(
        "calendar.html",
        asked.visitor,
        title="Calendar",
        current="/calendar",
        entries=[entry for entry in entries if entry.on >= today],
        overdue=[entry for entry in entries if entry.on < today],
    )


def calendar_file(desk: Desk, asked: Asked) -> Download:
    """The same for a calendar program, which can ask for it again and again."""
    now = desk.clock()
    content = icalendar(_entries(desk, asked.visitor, now.date()), name=desk.settings.name, origin=desk.origin, now=now)
    return Download(name="calendar.ics", kind=MEDIA_TYPE, content=content)


def show_standing(desk: Desk, asked: Asked) -> str:
    """Questions that are asked again on a schedule: each repeat with its day and its cost."""
    today = desk.clock().date()
    found = sorted(_standing(desk, today), key=lambda item: (item.lapsed, item.series.question.title))
    return desk.page("standing.html", asked.visitor, title="Standing questions", current="/calendar", items=found)


def _entries(desk: Desk, visitor: Visitor, today: date) -> tuple[Entry, ...]:
    found = [*_questions(desk), *_public(desk, today), *_statements(desk, visitor)]
    for signed in desk.files.in_force().agreements.values():
        found += agreement_entries(signed.agreement, today)
    for item in _standing(desk, today):
        states = {one.repeat.number: one.state for one in item.repeats if one.state}
        found += series_entries(item.series, states, today, path="/standing")
    return in_order(found)


def _questions(desk: Desk) -> Iterator[Entry]:
    for row in desk.store.proposals.in_states(sorted(OPEN)):
        facts, about = QuestionFacts.read(row), row.plan_digest.hex()
        path = f"/questions/{about}"
        if row.state != ProposalState.RUNNING:
            on = facts.terms.collect_by.date()
            yield Entry(on=on, what=What.DECIDE, title=facts.title, about=about, path=path)
        on = facts.terms.return_by.date()
        yield Entry(on=on, what=What.ANSWER, title=facts.title, about=about, path=path)


def _public(desk: Desk, today: date) -> Iterator[Entry]:
    """Figures that become public once the councils have had their days to comment."""
    console = desk.settings.console
    wait = timedelta(days=console.comment_days)
    since = desk.clock() - wait
    for digest, title, created_at in desk.store.releases.made_since(console.publish, since):
        on, about = (created_at + wait).date(), digest.hex()
        if on >= today:
            yield Entry(on=on, what=What.PUBLIC, title=title, about=about, path=f"/releases/{about}")


def _statements(desk: Desk, visitor: Visitor) -> Iterator[Entry]:
    """When councils' budget statements grow old, for those who may see budgets; those of one day in a line."""
    mine = {
        council
        for signed in desk.files.in_force().agreements.values()
        if may(visitor, Operation.VIEW_BUDGETS, agreement=signed.agreement.id)
        for group in signed.agreement.groups
        for council in group.councils
    }
    days = Counter((row.received_at + STATEMENT_AGE).date() for row in desk.store.membership.budgets(sorted(mine)))
    for on, number in days.items():
        title = "One council" if number == 1 else f"{number} councils"
        yield Entry(on=on, what=What.STATEMENTS, title=title, about=on.isoformat(), path="/budgets")


def _standing(desk: Desk, today: date) -> Iterator[StandingItem]:
    """The newest edition of each series, its signature checked now by the latest version of its agreement."""
    agreements = latest_versions(desk)
    newest: dict[tuple[str, str], Series] = {}
    for row in desk.store.papers.newest_of_each(PaperKind.SERIES.value, size=SERIES_READ):
        series = series_of(row, agreements.get(row.agreement_id))
        if series is None:
            continue
        known = newest.get((series.agreement, series.id))
        if known is None or series.edition > known.edition:
            newest[series.agreement, series.id] = series
    for series in newest.values():
        states, plans, years = _asked(desk, series)
        agreement = agreements[series.agreement]
        costs = costs_by_year(series, years)
        yield StandingItem(
            series=series,
            agreement=agreement,
            repeats=standings(series, states, today),
            each=rational_text(series.question.epsilon),
            together=rational_text(series.epsilon_sum),
            years=tuple((year, rational_text(cost), cost > agreement.budget_epsilon) for year, cost in costs.items()),
            lapsed=today > min(series.until, agreement.valid_to),
            plans=plans,
        )


def latest_versions(desk: Desk) -> Mapping[str, Agreement]:
    """The latest version of each agreement by id, ended ones too, so that what lapsed with them is still shown."""
    found: dict[str, Agreement] = {}
    for item in versions_kept(desk):  # the latest of each id is first
        found.setdefault(item.agreement.id, item.agreement)
    return found


def series_of(row: PaperRow, agreement: Agreement | None) -> Series | None:
    """A series as everybody may see it; None where it is hidden or does not hold under its agreement."""
    if row.hidden_at is not None or agreement is None:
        return None
    try:
        return open_series(row.envelope, agreement)
    except FederatedError:
        return None  # its analyst is none any more, or the agreement allows less now: nothing of it will be asked


def _asked(desk: Desk, series: Series) -> tuple[dict[int, str], dict[int, str], dict[int, int]]:
    """State, plan and year of the newest question that asks each repeat, by the repeat's number."""
    numbers = {repeat.question.digest(desk.schema.digest): repeat.number for repeat in repeats(series)}
    states: dict[int, str] = {}
    plans: dict[int, str] = {}
    years: dict[int, int] = {}
    for row in desk.store.proposals.of_manifest(series.id, size=ASKED_READ):  # newest first
        number = numbers.get(row.query_digest)
        if number is not None and number not in states and QuestionFacts.read(row).agreement == series.agreement:
            states[number], plans[number], years[number] = row.state, row.plan_digest.hex(), row.received_at.year
    return states, plans, years
