"""The operator's pages: what needs attention, who takes part, how long rounds took, and who did what here.

What can be changed is whether a council's key is accepted for the next list, and that takes two operators.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from coordinator.connections import Connections
from coordinator.console.desk import Asked, Desk, cut, digest_of, place_asked
from coordinator.console.question import title_of
from coordinator.console.visitor import Visitor
from coordinator.doctor import Verdict, findings_of
from coordinator.progress import IN_ORDER
from coordinator.sign_in.audit import READ
from coordinator.sign_in.operations import Operation, reaches
from coordinator.sign_in.second_person import ask_acceptance, confirm_acceptance, reject_enrolment
from coordinator.store import StageRow, Store
from federated.errors import FileProblem
from federated.keys import fingerprint
from federated.pages import part_of
from federated.roster import ROSTER_TYPE, describe_changes, parse_roster
from federated.signing import unsafe_payload
from federated.timestamps import parse_time, time_text

__all__ = ["DECISIONS", "show", "show_audit", "show_councils", "show_rounds"]

SIZE: Final = 50
ROUNDS: Final = 25
LINES: Final = 100
LONGEST_NUMBER: Final = 15
STATEMENT_AGE: Final = timedelta(days=30)
"""A council's last budget statement is overdue when it is older."""
UNSEEN: Final = timedelta(days=7)
MOST_NAMED: Final = 20
ORDER: Final = {stage.label: place for place, stage in enumerate(IN_ORDER)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CouncilShown:
    """A council of the roster, as shown."""

    council: str
    name: str
    fingerprint: str
    until: str
    connected: bool
    seen: str | None
    software: str
    statement: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundShown:
    """A round, as shown."""

    sid: str
    plan: str
    title: str
    started: str
    seconds: str
    outcome: str
    stage: str
    stages: tuple[StageRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestShown:
    """A council that asks to be put into the list.

    Attributes:
        first: The operator who asked for it to be accepted, if one has.
    """

    key: str
    name: str
    fingerprint: str
    asked: str
    first: str | None


class Change(Protocol):
    """One of the acts of `coordinator.sign_in.second_person`."""

    def __call__(self, store: Store, visitor: Visitor, public_key: bytes, *, clock: Callable[[], datetime]) -> None:
        """Decide, or refuse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What can be decided, and what is said afterwards."""

    operation: Operation
    change: Change
    done: str


ACTS: Final = {
    "ask": Act(
        operation=Operation.ASK_ACCEPTANCE,
        change=ask_acceptance,
        done="Another operator must confirm it within a week.",
    ),
    "confirm": Act(
        operation=Operation.CONFIRM_ACCEPTANCE,
        change=confirm_acceptance,
        done="The key is accepted for the next list of councils.",
    ),
    "reject": Act(
        operation=Operation.REJECT_ENROLMENT,
        change=reject_enrolment,
        done="The key is rejected. The council can ask with another key.",
    ),
}


def show(desk: Desk, asked: Asked) -> str:
    """What needs attention."""
    now = desk.clock()
    found = findings_of(desk.settings, desk.store, now)
    here = Connections.read(Path(desk.settings.state))
    return desk.page(
        "operations.html",
        asked.visitor,
        title="Operations",
        current="/operations",
        good=[item for item in found if item.verdict is Verdict.GOOD],
        alerts=[(item.check, item.text) for item in found if item.verdict is not Verdict.GOOD] + _alerts(desk, here),
        counts=desk.store.proposals.counts(),
        connected=len(here.connected),
    )


def _alerts(desk: Desk, here: Connections) -> list[tuple[str, str]]:
    roster, now = desk.files.roster(), desk.clock()
    if roster is None:
        return []
    names = {council: entry.name for council, entry in roster.councils.items()}
    kept = {row.council: row.received_at for row in desk.store.membership.budgets(sorted(roster.councils))}
    overdue = [names[c] for c in roster.councils if c not in kept or now - kept[c] > STATEMENT_AGE]
    gone = [
        names[c]
        for c in roster.councils
        if c not in here.connected and (c not in here.seen or now - parse_time(here.seen[c]) > UNSEEN)
    ]
    alerts = []
    if overdue:
        alerts.append(("budget statements", f"None for {STATEMENT_AGE.days} days from: {_some(overdue)}."))
    if gone:
        alerts.append(("connections", f"Not connected for {UNSEEN.days} days or more: {_some(gone)}."))
    return alerts


def _some(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    listed = ", ".join(sorted(names)[:MOST_NAMED])
    return f"{listed} and {more} more" if more > 0 else listed


def _deciding(act: Act) -> Callable[[Desk, Asked], str]:
    def decide(desk: Desk, asked: Asked) -> str:
        """Ask for a key to be accepted, confirm what another operator asked, or reject a key.

        Raises:
            FileProblem: There is no such request, or nobody can decide here.
            PolicyRefusal: `second_person`, `not_allowed`.
        """
        if desk.deciding is None:
            raise FileProblem("There is nothing to decide here.", remedy="The page of the councils has what can be.")
        change = act.change
        if change is confirm_acceptance:
            signing = desk.settings.console.sign_in
            change = partial(confirm_acceptance, separate_people=signing is not None and signing.separate_people)
        change(desk.deciding, asked.visitor, digest_of(asked.names["key"], "request"), clock=desk.clock)
        return _councils(desk, asked, done=act.done)

    return decide


DECISIONS: Final = tuple((name, act.operation, _deciding(act)) for name, act in ACTS.items())
"""Last part of its page's path, what it is, and what makes the page."""


def show_councils(desk: Desk, asked: Asked) -> str:
    """The roster with fingerprints, what changed in it, and who asks to be put into it."""
    return _councils(desk, asked)


def _councils(desk: Desk, asked: Asked, done: str = "") -> str:
    rows = desk.store.membership.latest_rosters(2)
    rosters = [parse_roster(unsafe_payload(row.envelope, ROSTER_TYPE)) for row in rows]
    entries = sorted(rosters[0].councils.values(), key=lambda entry: entry.name) if rosters else []
    part, pages = part_of(
        len(entries), SIZE, asked.wanted.get("page", ""), lambda number: f"/operations/councils?page={number}"
    )
    here = Connections.read(Path(desk.settings.state))
    kept = {row.council: row.received_at for row in desk.store.membership.budgets([e.id for e in entries[part]])}
    shown = [
        CouncilShown(
            council=entry.id,
            name=entry.name,
            fingerprint=fingerprint(entry.public_key),
            until=entry.valid_to.isoformat(),
            connected=entry.id in here.connected,
            seen=here.seen.get(entry.id),
            software=here.software.get(entry.id, ""),
            statement=time_text(kept[entry.id]) if entry.id in kept else None,
        )
        for entry in entries[part]
    ]
    requests = desk.store.membership.enrolments()
    waiting = {row.public_key: row.asked_by for row in desk.store.acceptances.all()}
    return desk.page(
        "councils.html",
        asked.visitor,
        title="Councils",
        current="/operations",
        epoch=rows[0].epoch if rows else None,
        councils=shown,
        pages=pages,
        changes=describe_changes(rosters[1] if len(rosters) > 1 else None, rosters[0]) if rosters else (),
        requests=[
            RequestShown(
                key=row.public_key.hex(),
                name=desk.council_name(row.council),
                fingerprint=row.fingerprint,
                asked=time_text(row.requested_at),
                first=waiting.get(row.public_key),
            )
            for row in requests
            if row.state == "pending"
        ],
        can_decide=desk.deciding is not None,
        done=done,
    )


def show_audit(desk: Desk, asked: Asked) -> str:
    """Who did what on these pages and with accounts, newest first."""
    wanted = asked.wanted.get("before", "")
    before = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) <= LONGEST_NUMBER else None
    found = desk.store.audit.latest(size=LINES + 1, before=before)
    shown = found[:LINES]
    # Who has read an answer is for reviewers of its agreement, and for nobody else.
    read = [bytes.fromhex(row.object) for _, row in shown if row.operation == READ]
    theirs = asked.visitor.agreements if reaches(asked.visitor, Operation.VIEW_READERS) else frozenset[str]()
    open_to = {digest.hex() for digest, name in desk.store.releases.agreements_of(read).items() if name in theirs}
    return desk.page(
        "audit.html",
        asked.visitor,
        title="Audit",
        current="/audit",
        lines=[(time_text(row.done_at), row) for _, row in shown if row.operation != READ or row.object in open_to],
        older=f"/audit?before={shown[-1][0]}" if len(found) > LINES else None,
    )


def show_rounds(desk: Desk, asked: Asked) -> str:
    """Rounds, newest first, with what each stage took."""
    start, newer = place_asked(asked.wanted, desk.store.rounds.place_of)
    found = desk.store.rounds.page(size=ROUNDS + 1, start=start, newer=newer)
    rows, pages = cut(
        found, ROUNDS, start=start, newer=newer, identity=lambda row: row.sid, address="/operations/rounds?"
    )
    proposals = desk.store.proposals.several({row.plan_digest for row in rows})
    stages = desk.store.rounds.stages_of([row.sid for row in rows])
    shown = [
        RoundShown(
            sid=row.sid.hex(),
            plan=row.plan_digest.hex(),
            title=title_of(proposals[row.plan_digest]),
            started=time_text(row.started_at),
            seconds=_seconds(stages.get(row.sid, ())),
            outcome=row.outcome,
            stage=row.stage,
            stages=tuple(sorted(stages.get(row.sid, ()), key=lambda stage: ORDER[stage.stage])),
        )
        for row in rows
    ]
    return desk.page("rounds.html", asked.visitor, title="Rounds", current="/operations", rounds=shown, pages=pages)


def _seconds(stages: tuple[StageRow, ...]) -> str:
    return f"{sum(stage.microseconds for stage in stages) / 1e6:.1f}"
