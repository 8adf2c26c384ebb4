"""The other pages: start, receipts, budget and ledger, help, accessibility statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from council_node.decisions import Verdict
from council_node.node_store import DocumentKind
from council_node.page.desk import Asked, Desk
from council_node.page.door import TICKET_MINUTES
from council_node.receipt_form import receipt_sections
from council_node.receipts import find_receipt, receipts
from council_node.status import node_status
from federated.budget_statement import PeriodStatement
from federated.errors import FederatedError
from federated.ledger_entries import Entry
from federated.pages import part_of
from federated.privacy import remaining

__all__ = ["accessibility", "budget", "help_page", "receipt", "receipts_list", "start"]

LATEST: Final = 5
SIZE: Final = 50
DECIMALS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodShown:
    """One agreement's budget of a year, in decimals that look no better than the exact figures."""

    agreement: str
    period: str
    budget: str
    delta: str
    spent: str
    left: str
    rounds: int


def start(desk: Desk, _asked: Asked) -> str:
    """What a person wants to know first."""
    found = node_status(desk.settings, desk.clock())
    with desk.store() as store:
        latest = sorted(receipts(store), key=lambda item: item.made_at, reverse=True)[:LATEST]
    return desk.page(
        "start.html",
        title=f"{desk.settings.council.name}: what waits and what was answered",
        paused=found.paused,
        waiting=[item for item in found.decisions if item.verdict is Verdict.PENDING],
        periods=() if found.budget is None else tuple(map(_period, found.budget.periods)),
        exhausted=found.budget is not None and found.budget.exhausted,
        closed=found.budget is not None and found.budget.closed,
        ran=found.budget is not None,
        latest=latest,
        overdue=found.overdue,
    )


def receipts_list(desk: Desk, asked: Asked) -> str:
    """Every receipt, newest first."""
    with desk.store() as store:
        found = sorted(receipts(store), key=lambda item: item.made_at, reverse=True)
    shown, pages = _part(desk, "receipts", found, asked)
    return desk.page("receipts.html", title="Receipts", current="receipts", receipts=shown, pages=pages)


def receipt(desk: Desk, asked: Asked) -> str:
    """One receipt."""
    with desk.store() as store:
        found = find_receipt(store, asked.names["sid"])
        answered = store.latest(DocumentKind.RELEASE, found.sid) is not None
    return desk.page(
        "receipt.html",
        title=f"Receipt: {found.title}",
        current="receipts",
        receipt=found,
        sections=receipt_sections(found),
        answered=answered,
    )


def budget(desk: Desk, asked: Asked) -> str:
    """What is spent and left, and the ledger line by line, its chain worked out again."""
    with desk.ledger() as ledger:
        statement = ledger.statement(desk.clock())
        entries = tuple(reversed(ledger.entries()))
        try:
            ledger.verify()
            fault = ""
        except FederatedError as error:
            fault = error.diagnostics()
    shown, pages = _part(desk, "budget", entries, asked)
    return desk.page(
        "budget.html",
        title="Budget and ledger",
        current="budget",
        periods=tuple(map(_period, statement.periods)),
        exhausted=statement.exhausted,
        closed=statement.closed,
        counter=statement.counter,
        head=statement.head.hex(),
        fault=fault,
        entries=tuple(map(_entry, shown)),
        pages=pages,
    )


def help_page(desk: Desk, _asked: Asked) -> str:
    """What the pages are, and how to stop them."""
    return desk.page("help.html", title="Help", current="help", minutes=TICKET_MINUTES, roles=desk.settings.roles)


def accessibility(desk: Desk, _asked: Asked) -> str:
    """The accessibility statement."""
    return desk.page(
        "accessibility.html", title="Accessibility statement", current="accessibility", roles=desk.settings.roles
    )


def _part(desk: Desk, path: str, items: Sequence[Any], asked: Asked) -> tuple[Sequence[Any], Any]:
    shown, pages = part_of(
        len(items), SIZE, asked.wanted.get("page", ""), lambda number: f"{desk.link(path)}?page={number}"
    )
    return items[shown], pages


def _period(period: PeriodStatement) -> PeriodShown:
    left = remaining(period.spent, period.budget)
    return PeriodShown(
        agreement=period.agreement,
        period=period.period,
        budget=_decimal(period.budget.epsilon, up=False),
        delta=f"one in {(1 / period.budget.delta).__floor__():,}",
        spent=_decimal(period.equivalent, up=True),
        left=_decimal(left.epsilon, up=False),
        rounds=period.rounds,
    )


def _decimal(value: Fraction, *, up: bool) -> str:
    """At most four decimals, rounded to look no better than it is."""
    scaled = value * 10**DECIMALS
    whole = scaled.__ceil__() if up else scaled.__floor__()
    return f"{whole // 10**DECIMALS}.{whole % 10**DECIMALS:0{DECIMALS}d}".rstrip("0").rstrip(".")


def _entry(entry: Entry) -> dict[str, str]:
    body = {name: str(value) for name, value in entry.body.items()}
    return {
        "number": f"{entry.counter:,}",
        "time": body.get("time", ""),
        "kind": entry.kind.value,
        "about": body.get("title", body.get("reason", "")),
        "epsilon": body.get("epsilon", ""),
        "hash": entry.hash.hex()[:16],
    }
