"""What every council has spent of its budget, from the statements that the councils' own nodes signed.

The coordinator keeps no account of anybody's budget. It keeps the latest statement of each council and shows what
stands in it. A signature is checked once for the same bytes and key, and anew where somebody asks for that. Which
question a charge was for, it knows from the rounds it ran.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Final

from coordinator.console.charges import Line, account_check, lines_of
from coordinator.console.desk import Asked, Desk, place_asked
from coordinator.console.evidence import Check, attempt, check_question
from coordinator.store import BudgetRow
from federated.attacker_words import attacker_words, shown_down, shown_up
from federated.budget_statement import (
    STATEMENT_KIND,
    BudgetStatement,
    PeriodStatement,
    equivalent_epsilon,
    read_statement,
)
from federated.errors import FederatedError, FileProblem, SignatureProblem
from federated.keys import fingerprint, trusted_keys
from federated.pages import part_of
from federated.privacy import Totals, remaining
from federated.roster import ROSTER_TYPE, Roster, RosterEntry
from federated.signing import open_envelope, statement_type
from federated.timestamps import time_text
from protocols.identifiers import CouncilId

__all__ = ["said_of", "show_list", "show_one", "statement_of", "verify"]

SIZE: Final = 50
"""Councils on one page."""
STATEMENTS_KEPT: Final = 1024
RHO_DECIMALS: Final = 6
PERCENT: Final = 100
NOTHING: Final = shown_down(Fraction(0), decimals=RHO_DECIMALS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodShown:
    """One agreement's budget of one year, as shown.

    Attributes:
        spent: As epsilon, rounded up.
        reserved: What rounds under way add to that.
        left: Largest epsilon of one more pure question, rounded down.
        left_rho: The same as rho, of one that is not pure; empty where there is room for none.
        spent_part: Of the budget, in per cent, rounded up.
        reserved_part: The same of what is reserved.
    """

    agreement: str
    year: str
    budget: str
    delta: str
    spent: str
    spent_rho: str
    reserved: str
    reserved_rho: str
    left: str
    left_rho: str
    rounds: int
    spent_part: int
    reserved_part: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CouncilShown:
    """One council's statement, as shown.

    Attributes:
        problem: Why nothing is shown of it; empty when its signature holds.
    """

    council: str
    name: str
    received: str | None
    statement: BudgetStatement | None
    periods: tuple[PeriodShown, ...]
    problem: str


def show_list(desk: Desk, asked: Asked) -> str:
    """Every council of the reviewer's agreements, some at a time."""
    mine = asked.visitor.agreements
    allowed = _councils(desk, mine)
    entries = [entry for entry in _by_name(_roster(desk)) if entry.id in allowed]
    agreement, year = asked.wanted.get("agreement", ""), asked.wanted.get("year", "")
    wanted = mine & {agreement} if agreement in mine else mine
    link = _list_address(agreement if agreement in mine else "", year)
    part, pages = part_of(len(entries), SIZE, asked.wanted.get("page", ""), link)
    kept = {row.council: row for row in desk.store.membership.budgets([entry.id for entry in entries[part]])}
    shown = [_shown(entry, kept.get(entry.id), wanted, year) for entry in entries[part]]
    years = sorted({item.year for council in shown for item in council.periods} | ({year} if year else set()))
    return desk.page(
        "budgets.html",
        asked.visitor,
        title="Budgets",
        current="/budgets",
        councils=shown,
        pages=pages,
        total=len(entries),
        agreements=sorted(mine),
        years=years,
        chosen_agreement=agreement if agreement in mine else "",
        chosen_year=year,
    )


def show_one(desk: Desk, asked: Asked) -> str:
    """One council: its statement, and the question behind each charge."""
    return _one(desk, asked, None)


def verify(desk: Desk, asked: Asked) -> str:
    """The same, with everything that was signed checked again."""
    entry, lines, _newer, _older = _read(desk, asked)
    return _one(desk, asked, _checks(desk, asked, entry, lines))


def _one(desk: Desk, asked: Asked, checks: tuple[Check, ...] | None) -> str:
    entry, lines, newer, older = _read(desk, asked)
    (row,) = desk.store.membership.budgets([entry.id]) or (None,)
    shown = _shown(entry, row, asked.visitor.agreements, "")
    example = None
    if shown.statement is not None and shown.statement.periods:
        visible = [item for item in shown.statement.periods if item.agreement in asked.visitor.agreements]
        example = _example(visible)
    return desk.page(
        "budget.html",
        asked.visitor,
        title=entry.name,
        current="/budgets",
        shown=shown,
        fingerprint=fingerprint(entry.public_key),
        lines=lines,
        newer=newer,
        older=older,
        example=example,
        checks=checks,
        checked_at=time_text(desk.clock()),
        token=asked.visitor.form_token,
    )


def _example(periods: Sequence[PeriodStatement]) -> tuple[str, ...] | None:
    """What the largest account so far could tell about one household."""
    if not periods:
        return None
    largest = max(periods, key=lambda item: item.equivalent)
    what = f"all answers under {largest.agreement} in {largest.period} together"
    return attacker_words(largest.spent, largest.budget.delta, "household", what=what)[:2]


def _read(desk: Desk, asked: Asked) -> tuple[RosterEntry, tuple[Line, ...], str | None, str | None]:
    council = asked.names["council"]
    roster = _roster(desk)
    entry = roster.councils.get(CouncilId(council))
    if entry is None or entry.id not in _councils(desk, asked.visitor.agreements):
        raise FileProblem("There is no such council here.", remedy="The list of budgets has all that you may see.")
    start, newer = place_asked(asked.wanted, desk.store.rounds.place_of)
    lines, pages = lines_of(desk, entry.id, asked.visitor.agreements, start=start, newer=newer)
    return entry, lines, pages.newer, pages.older


def _checks(desk: Desk, asked: Asked, entry: RosterEntry, lines: tuple[Line, ...]) -> tuple[Check, ...]:
    """Everything behind a council's account.

    In order: (0) the roster, which says whose key is whose; (1) the statement's signature and figures; (2) agreement,
    plan and manifest of each question on the page; (3) that their charges add up to what the statement says.
    """
    (row,) = desk.store.membership.budgets([entry.id]) or (None,)
    found = [attempt("List of councils", lambda: _check_roster(desk))]  # (0)
    found.append(attempt("Statement", lambda: _check_statement(entry, row)))  # (1)
    for line in {line.row.plan_digest: line for line in lines}.values():  # (2)
        parts = check_question(desk, line.row, None)
        bad = [part for part in parts if not part.holds]
        said = bad[0].said if bad else "Agreement, plan and manifest are signed by those who had to sign them."
        found.append(Check(what=f"Question “{line.title}”", holds=not bad, said=said))
    if all(check.holds for check in found[:2]) and row is not None:
        statement = statement_of(entry, row)
        mine = [period for period in statement.periods if period.agreement in asked.visitor.agreements]
        found += [account_check(desk, entry.id, statement, period) for period in mine]  # (3)
    return tuple(found)


def _check_roster(desk: Desk) -> str:
    row = desk.store.membership.latest_roster()
    if row is None:
        raise SignatureProblem("There is no list of councils.")
    trust = desk.settings.trust
    opened = open_envelope(row.envelope, ROSTER_TYPE, trust.roster, trust.roster_threshold)
    return f"Number {row.epoch}, signed with {len(opened.signers)} of the keys that this coordinator pins."


def _check_statement(entry: RosterEntry, row: BudgetRow | None) -> str:
    if row is None:
        raise SignatureProblem("The council has not given a statement.")
    statement = statement_of(entry, row)
    return (
        f"Signed with the council's key, and its figures follow from each other. It speaks for {statement.counter} "
        f"entries of the ledger, the last of which has hash {statement.head.hex()}."
    )


def statement_of(entry: RosterEntry, row: BudgetRow) -> BudgetStatement:
    """A council's statement, signature checked.

    Raises:
        FederatedError: It is not the council's, or does not add up.
    """
    return _opened(row.envelope, entry.public_key, entry.id)


def _opened(envelope: bytes, public_key: bytes, council: CouncilId) -> BudgetStatement:
    opened = open_envelope(envelope, statement_type(STATEMENT_KIND), trusted_keys(public_key))
    return read_statement(opened.payload, council=council)


_opened_before = lru_cache(STATEMENTS_KEPT)(_opened)
"""For lists: the same bytes under the same key hold for good, and what does not hold is not kept."""


def said_of(entry: RosterEntry | None, row: BudgetRow | None) -> tuple[BudgetStatement | None, str]:
    """A council's statement, or why there is none to show; for lists, where the same bytes are checked once."""
    if row is None or entry is None:
        return None, "It has not given a statement yet."
    try:
        return _opened_before(row.envelope, entry.public_key, entry.id), ""
    except FederatedError as error:
        return None, f"Its statement does not hold. {error.diagnostics()}"


def _shown(entry: RosterEntry, row: BudgetRow | None, agreements: frozenset[str], year: str) -> CouncilShown:
    statement, problem = said_of(entry, row)
    periods = [] if statement is None else statement.periods
    return CouncilShown(
        council=entry.id,
        name=entry.name,
        received=None if row is None else time_text(row.received_at),
        statement=statement,
        periods=tuple(_period(item) for item in periods if item.agreement in agreements and year in {"", item.period}),
        problem=problem,
    )


@lru_cache(STATEMENTS_KEPT * 4)
def _period(item: PeriodStatement) -> PeriodShown:
    pure = item.spent.epsilon is not None and item.reserved.epsilon is not None
    both = Totals(
        epsilon=(item.spent.epsilon or Fraction(0)) + (item.reserved.epsilon or Fraction(0)) if pure else None,
        rho=item.spent.rho + item.reserved.rho,
        draws=item.spent.draws + item.reserved.draws,
    )
    left = remaining(both, item.budget)
    left_rho = shown_down(left.rho, decimals=RHO_DECIMALS)
    spent, committed = item.equivalent, equivalent_epsilon(both, item.budget.delta)
    spent_part = _part(spent, item.budget.epsilon)
    return PeriodShown(
        agreement=item.agreement,
        year=item.period,
        budget=shown_down(item.budget.epsilon),
        delta=f"{float(item.budget.delta):.15f}".rstrip("0"),
        spent=shown_up(spent),
        spent_rho=shown_up(item.spent.rho, decimals=RHO_DECIMALS),
        reserved=shown_up(committed - spent),
        reserved_rho=shown_up(item.reserved.rho, decimals=RHO_DECIMALS),
        left=shown_down(left.epsilon),
        left_rho="" if left_rho == NOTHING else left_rho,
        rounds=item.rounds,
        spent_part=spent_part,
        reserved_part=_part(committed, item.budget.epsilon) - spent_part,
    )


def _part(value: Fraction, whole: Fraction) -> int:
    return min(PERCENT, ceil(PERCENT * value / whole))


def _roster(desk: Desk) -> Roster:
    found = desk.files.roster()
    if found is None:
        raise FileProblem("There is no list of councils yet.", remedy="Its signers make it, the operator publishes it.")
    return found


def _by_name(roster: Roster) -> list[RosterEntry]:
    return sorted(roster.councils.values(), key=lambda entry: entry.name)


def _councils(desk: Desk, agreements: frozenset[str]) -> frozenset[CouncilId]:
    """Those in a group of one of these agreements."""
    signed = desk.files.in_force().agreements.values()
    mine = (item.agreement for item in signed if item.agreement.id in agreements)
    return frozenset(council for agreement in mine for group in agreement.groups for council in group.councils)


def _list_address(agreement: str, year: str) -> Callable[[int], str]:
    year = year if year.isascii() and year.isdecimal() else ""
    return lambda page: f"/budgets?agreement={agreement}&year={year}&page={page}"
