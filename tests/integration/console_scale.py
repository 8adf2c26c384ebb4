"""Long lists for the console: many questions copied from a real one, and a budget statement of every council."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from hashlib import sha256 as raw_sha256
from pathlib import Path

from sqlalchemy import event, insert

from coordinator.store import BudgetRow, ProposalRow, RosterRow, RoundCouncilRow, RoundRow, StageRow, Store, open_store
from coordinator.store.records import row_values
from coordinator.store.tables import proposals, releases, round_councils, round_stages, rounds
from federated.privacy import Totals
from federated.roster import ROSTER_TYPE, parse_roster
from federated.signing import sign_statement, unsafe_payload
from federated.timestamps import time_text
from protocols.identifiers import CouncilId
from tests.integration.console_world import ConsoleWorld, statement
from tests.integration.coordinator_federation import SCHEMA, council_key, make_agreement, make_roster

STATES = ("released",) * 7 + ("refused", "failed", "withdrawn")
STEPS = 50


@dataclass
class Effort:
    """What a page asked of the database: statements, and steps of the database's own machine, in lots of `STEPS`."""

    statements: int = 0
    steps: int = 0


@contextmanager
def effort_of(store: Store) -> Iterator[Effort]:
    """Count what a SQLite store is asked from now on."""
    found = Effort()

    def count() -> int:
        found.steps += STEPS
        return 0

    def before(connection, _cursor, _statement, _parameters, _context, _many):
        found.statements += 1
        connection.connection.driver_connection.set_progress_handler(count, STEPS)

    event.listen(store.engine, "before_cursor_execute", before)
    try:
        yield found
    finally:
        event.remove(store.engine, "before_cursor_execute", before)


def fill(world: ConsoleWorld, count: int) -> list[str]:
    """Copy the first answered question, its round and its answer so often; returns the plans, newest first."""
    store, council = world.federation.store, world.federation.councils[0]
    release = store.releases.of_plan(bytes.fromhex(world.plans["released"]))
    row = store.proposals.get(release.plan_digest)
    began = store.rounds.get(release.sid)
    made: dict[str, list[dict[str, object]]] = {name: [] for name in ("p", "r", "c", "s", "a")}
    for number in range(count):
        plan, sid, answer = (raw_sha256(f"{kind} {number}".encode()).digest() for kind in ("plan", "sid", "answer"))
        at = row.received_at - timedelta(minutes=number + 1)
        state = STATES[number % len(STATES)]
        made["p"].append(row_values(replace(row, plan_digest=plan, state=state, received_at=at, changed_at=at)))
        made["r"].append(
            row_values(RoundRow(**{**fields_of(began), "sid": sid, "plan_digest": plan, "started_at": at}))
        )
        part = RoundCouncilRow(
            sid=sid, council=council, joined=True, outcome="contributed", stage="unmask", rule="", reason=""
        )
        made["c"].append(row_values(part))
        stage = StageRow(sid=sid, stage="unmask", microseconds=1000, asked=8, answered=8)
        made["s"].append(row_values(stage))
        if state == "released":
            kept = replace(release, digest=answer, plan_digest=plan, sid=sid, created_at=at)
            made["a"].append(row_values(kept))
    with store.engine.begin() as connection:
        tables = (("p", proposals), ("r", rounds), ("c", round_councils), ("s", round_stages), ("a", releases))
        for name, table in tables:
            connection.execute(insert(table), made[name])
    return [str(item["plan_digest"]) for item in made["p"]]


def answer_through(store: Store, first: ProposalRow, count: int) -> list[bytes]:
    """Take in so many questions and answer each, by the store's own writes alone; returns the plans, newest first.

    Args:
        store: To write to.
        first: An answered question, which the others are copies of.
        count: How many.
    """
    answer = store.releases.of_plan(first.plan_digest)
    (began,) = (row for row in store.rounds.of_plan(first.plan_digest) if row.outcome == "released")
    councils = tuple(row.council for row in store.rounds.councils(began.sid))
    plans = []
    for number in range(count):
        plan, sid, digest = (raw_sha256(f"{kind} {number}".encode()).digest() for kind in ("plan", "sid", "answer"))
        at = first.received_at - timedelta(minutes=number + 1)
        row = replace(first, plan_digest=plan, state="ready", received_at=at, changed_at=at)
        opened = replace(began, sid=sid, plan_digest=plan, started_at=at, ended_at=None, outcome="running")
        assert store.proposals.add(row)
        assert store.outcomes.opened(replace(row, state="running"), opened, before="ready")
        assert store.outcomes.released(
            replace(row, state="released"),
            replace(opened, ended_at=at, outcome="released"),
            replace(answer, digest=digest, plan_digest=plan, sid=sid, created_at=at),
            before="running",
            councils=[
                RoundCouncilRow(
                    sid=sid, council=council, joined=True, outcome="contributed", stage="unmask", rule="", reason=""
                )
                for council in councils
            ],
            stages=[StageRow(sid=sid, stage="unmask", microseconds=1000, asked=8, answered=8)],
            owed_to=councils,
        )
        plans.append(plan)
    return plans


def fields_of(row: RoundRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in RoundRow.__slots__}


def every_council(world: ConsoleWorld, folder: Path, *, years: int, more: int = 0) -> tuple[CouncilId, ...]:
    """Put every council of England into the roster and the agreement, each with a statement over several years.

    Args:
        world: That has them from now on.
        folder: Of its agreements.
        years: Periods of each statement.
        more: Made-up councils beside them: there have been more in England than there are.
    """
    made_up = (CouncilId(f"E079{number:05}") for number in range(more))
    councils = (*sorted(SCHEMA.councils), *made_up)
    federation, store = world.federation, world.federation.store
    envelope = make_roster(councils, epoch=2, start=federation.start.date())
    roster = parse_roster(unsafe_payload(envelope, ROSTER_TYPE))
    now = federation.now()
    store.membership.add_roster(RosterRow(epoch=2, digest=roster.digest, envelope=envelope, accepted_at=now))
    (folder / "agreements" / "everyone.dsse").write_bytes(make_agreement(councils, version=4))
    rows = []
    for council in councils:
        made = statement(council, world.agreement, time=time_text(now), epsilon=Fraction(1), rounds=1)
        periods = tuple(
            replace(
                made.periods[0],
                period=str(2026 - year),
                spent=Totals(epsilon=Fraction(1, year + 1), rho=Fraction(1, 2), draws=1),
            )
            for year in reversed(range(years))
        )
        envelope = sign_statement("budget-statement", replace(made, periods=periods).canonical(), council_key(council))
        rows.append(BudgetRow(council=council, envelope=envelope, received_at=now))
    store.membership.keep_budgets(rows)
    return councils


def reopened(world: ConsoleWorld) -> Store:
    """The store for reading, on a connection of its own."""
    return open_store(world.federation.settings.database_url, read_only=True)
