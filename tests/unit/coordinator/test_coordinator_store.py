"""The store: what is written comes back, moves are all or nothing, and a database of another age is refused."""

import io
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import make_url, text
from sqlalchemy.exc import SQLAlchemyError

from coordinator.store import (
    AgreementRow,
    BudgetRow,
    DecisionRow,
    DeliveryRow,
    DeskLost,
    DeskRow,
    EnrolmentRow,
    ProposalRow,
    ReleaseRow,
    RosterRow,
    RoundCouncilRow,
    RoundRow,
    StageRow,
    database,
    open_store,
)
from coordinator.store.migration import alembic_config, migration_scripts
from coordinator.store.tables import METADATA
from federated.errors import FileProblem, InternalError

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
PLAN, OTHER = bytes([1]) * 32, bytes([2]) * 32
SID = bytes([9]) * 32


def proposal(**changes):
    fields = {
        "plan_digest": PLAN,
        "query_digest": bytes([3]) * 32,
        "agreement_digest": bytes([4]) * 32,
        "analyst": "ab" * 32,
        "plan_envelope": b"{plan}",
        "manifest_envelope": b"{manifest}",
        "state": "received",
        "received_at": NOW,
        "changed_at": NOW,
    }
    return ProposalRow(**(fields | changes))


def round_row(**changes):
    fields = {
        "sid": SID,
        "plan_digest": PLAN,
        "attempt": 1,
        "stage": "advertise keys",
        "started_at": NOW,
    }
    return RoundRow(**(fields | changes))


def decision(council, **changes):
    fields = {"decision": "approved", "rule": "", "reason": "", "extract_date": None}
    return DecisionRow(plan_digest=PLAN, council=council, envelope=b"{signed}", received_at=NOW, **(fields | changes))


def release(**changes):
    fields = {
        "digest": bytes([5]) * 32,
        "query_digest": bytes([3]) * 32,
        "plan_digest": PLAN,
        "sid": SID,
        "agreement_id": "north-east",
        "title": "Families",
        "contributed": 2,
        "asked": 3,
        "data_cut_off": "2026-01-10",
        "content": b"{release}",
        "created_at": NOW,
    }
    return ReleaseRow(**(fields | changes))


@pytest.fixture
def store(store_url):
    made = open_store(store_url)
    yield made
    made.close()


@pytest.fixture
def sqlite_store(tmp_path):
    made = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    yield made
    made.close()


def released(store, *, row=None, council="E1"):
    store.proposals.add(proposal())
    assert store.outcomes.opened(proposal(state="running"), round_row(), before="received")
    assert store.outcomes.released(
        proposal(state="released"),
        round_row(outcome="released", ended_at=NOW),
        row or release(),
        before="running",
        councils=[
            RoundCouncilRow(
                sid=SID, council=council, joined=True, outcome="contributed", stage="unmask", rule="", reason=""
            )
        ],
        stages=[StageRow(sid=SID, stage="unmask", microseconds=1500, asked=3, answered=2)],
        owed_to=["E1", "E2"],
    )


def test_sqlite_is_opened_for_durability_and_for_its_owner_alone(tmp_path, sqlite_store):
    with sqlite_store.engine.connect() as connection:
        read = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")]
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    assert read == ["wal", 2]
    assert (tmp_path / "store.db").stat().st_mode & 0o777 == 0o600


def test_the_migrations_make_exactly_the_tables_of_the_code(store):
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        assert context.get_current_revision() == migration_scripts().get_current_head()


def test_the_migrations_speak_postgresql():
    written = io.StringIO()
    config = alembic_config()
    config.attributes |= {"dialect": "postgresql", "output": written}
    command.upgrade(config, "head", sql=True)
    sql = written.getvalue()
    assert all(f"CREATE TABLE {name} " in sql for name in METADATA.tables)
    assert "BYTEA" in sql


def test_a_second_store_of_one_process_does_not_let_go_of_the_locks_of_the_first(tmp_path):
    """Else whichever process leaves next takes the log of changes along, and what is then written is lost to all others."""
    path = tmp_path / "store.db"
    count = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]);"
        "print(db.execute('SELECT count(*) FROM proposals').fetchone()[0]); db.close()"
    )

    def seen_elsewhere():
        done = subprocess.run([sys.executable, "-c", count, str(path)], capture_output=True, text=True, check=True)
        return int(done.stdout)

    first = open_store(f"sqlite:///{path}")
    assert first.proposals.get(PLAN) is None
    second = open_store(f"sqlite:///{path}")
    assert seen_elsewhere() == 0
    first.proposals.add(proposal())
    assert second.proposals.get(PLAN) == proposal()
    assert seen_elsewhere() == 1
    second.close()
    first.close()


def test_opening_twice_keeps_what_is_there(store_url, store):
    store.proposals.add(proposal())
    again = open_store(store_url)
    assert again.proposals.get(PLAN) == proposal()
    again.close()


def test_a_database_of_newer_software_is_refused_in_one_sentence(store_url, store):
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0099'"))
    with pytest.raises(FileProblem, match=r"newer software \(form '0099'\)"):
        open_store(store_url)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nonsense", "not a database address"),
        ("oracle+nosuch://x", "not a database address"),
        ("mssql+pymssql://nobody@localhost/x", "'pymssql' .* is not installed"),
    ],
)
def test_a_wrong_address_is_one_sentence(url, sentence):
    with pytest.raises(FileProblem, match=sentence):
        open_store(url)


def test_a_file_that_is_no_database_is_one_sentence(tmp_path):
    (tmp_path / "store.db").write_bytes(b"not a database at all, but long enough to be looked at")
    with pytest.raises(FileProblem, match="cannot be used: file is not a database"):
        open_store(f"sqlite:///{tmp_path / 'store.db'}")


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileProblem, match="cannot be opened"):
        open_store(f"sqlite:///{tmp_path / 'file' / 'store.db'}")


def test_an_error_while_working_is_one_sentence_without_values(store):
    store.proposals.add(proposal())
    with store.engine.begin() as connection:
        connection.execute(text("DROP TABLE decisions"))
    with pytest.raises(FileProblem) as problem:
        store.proposals.decisions(PLAN)
    assert "SELECT" not in str(problem.value)
    assert PLAN.hex() not in str(problem.value)


def test_every_row_says_its_form(store):
    assert all("version" in table.c for table in METADATA.tables.values())
    released(store)
    with store.engine.connect() as connection:
        versions = connection.execute(text("SELECT version FROM releases UNION SELECT version FROM rounds")).scalars()
        assert set(versions) == {1}


def test_rosters_come_back_by_epoch_and_an_epoch_is_kept_once(store):
    first = RosterRow(epoch=1, digest=PLAN, envelope=b"one", accepted_at=NOW)
    second = RosterRow(epoch=2, digest=OTHER, envelope=b"two", accepted_at=NOW)
    assert store.membership.latest_roster() is None
    assert store.membership.latest_epoch() == 0
    assert store.membership.add_roster(second)
    assert store.membership.add_roster(first)
    assert not store.membership.add_roster(replace(second, digest=SID))
    assert store.membership.latest_roster() == second
    assert store.membership.latest_epoch() == 2


def test_agreements_are_kept_once(store):
    row = AgreementRow(digest=PLAN, agreement_id="north-east", envelope=b"signed", added_at=NOW)
    assert store.membership.add_agreement(row)
    assert not store.membership.add_agreement(row)
    assert store.membership.agreements() == (row,)


def test_an_agreement_that_is_signed_again_is_kept_with_its_newest_signatures(store):
    row = AgreementRow(digest=PLAN, agreement_id="north-east", envelope=b"signed", added_at=NOW)
    store.membership.add_agreement(row)
    again = replace(row, envelope=b"signed by two", added_at=NOW + timedelta(days=1))
    assert not store.membership.add_agreement(again)
    assert store.membership.agreements() == (replace(row, envelope=b"signed by two"),)  # and it came when it came


def test_enrolments_wait_once_for_each_key_and_not_without_end(store):
    def ask(number, council="E1"):
        row = EnrolmentRow(
            public_key=bytes([number]) * 32,
            council=council,
            fingerprint=str(number),
            state="pending",
            requested_at=NOW,
        )
        return store.membership.ask_enrolment(row, limit=2)

    assert ask(1) == ask(1)
    assert ask(2) is not None
    assert ask(3) is None
    assert ask(4, council="E2") is not None
    assert ask(1, council="E9").council == "E1"
    store.membership.decide_enrolment(bytes([1]) * 32, state="accepted", now=NOW)
    assert ask(3) is not None
    states = {row.fingerprint: row.state for row in store.membership.enrolments()}
    assert states == {"1": "accepted", "2": "pending", "3": "pending", "4": "pending"}


def test_only_the_latest_budget_statement_of_a_council_is_kept(store):
    rows = [BudgetRow(council=council, envelope=b"old", received_at=NOW) for council in ("E1", "E2")]
    store.membership.keep_budgets(rows)
    store.membership.keep_budgets([replace(rows[0], envelope=b"new")])
    assert [row.envelope for row in store.membership.budgets(["E1", "E2", "E3"])] == [b"new", b"old"]
    store.membership.keep_budgets([])


def test_a_decision_replaces_the_councils_earlier_one(store):
    store.proposals.add(proposal())
    store.proposals.keep_decisions([decision("E2", decision="pending"), decision("E1")])
    store.proposals.keep_decisions([decision("E2", decision="refused", rule="column", extract_date="2026-01-01")])
    found = store.proposals.decisions(PLAN)
    assert [(row.council, row.decision, row.rule, row.extract_date) for row in found] == [
        ("E1", "approved", "", None),
        ("E2", "refused", "column", "2026-01-01"),
    ]


def test_a_move_from_a_state_the_proposal_is_not_in_writes_nothing(store):
    store.proposals.add(proposal())
    assert not store.proposals.add(proposal())
    assert not store.outcomes.moved(proposal(state="ready"), before="collecting", kept=[decision("E1")])
    assert store.proposals.get(PLAN).state == "received"
    assert store.proposals.decisions(PLAN) == ()
    assert not store.outcomes.opened(proposal(state="running"), round_row(), before="ready")
    assert store.rounds.get(SID) is None
    assert store.outcomes.moved(proposal(state="collecting"), before="received", kept=[decision("E1")])
    assert [row.council for row in store.proposals.decisions(PLAN)] == ["E1"]


def test_a_session_id_is_never_used_twice_and_the_proposal_stays_where_it_was(store):
    store.proposals.add(proposal())
    store.outcomes.opened(proposal(state="running"), round_row(), before="received")
    store.proposals.add(proposal(plan_digest=OTHER))
    with pytest.raises(InternalError, match="session id"):
        store.outcomes.opened(
            proposal(plan_digest=OTHER, state="running"), round_row(plan_digest=OTHER), before="received"
        )
    assert store.proposals.get(OTHER).state == "received"


def test_a_release_is_kept_with_its_round_and_what_is_owed(store):
    released(store)
    assert store.proposals.get(PLAN).state == "released"
    assert store.rounds.get(SID).outcome == "released"
    assert [row.council for row in store.rounds.councils(SID)] == ["E1"]
    assert [row.microseconds for row in store.rounds.stages(SID)] == [1500]
    for found in (
        store.releases.get(release().digest),
        store.releases.of_plan(PLAN),
        store.releases.of_question(release().query_digest),
    ):
        assert found == release()
    assert store.releases.owed("E1") == (release(),)
    receipt = DeliveryRow(release_digest=release().digest, council="E1", receipt=b"{signed}", received_at=NOW)
    store.releases.keep_receipts([receipt])
    assert store.releases.owed("E1") == ()
    assert store.releases.owed("E2") == (release(),)
    assert [row.receipt for row in store.releases.deliveries(release().digest)] == [b"{signed}", None]


def test_a_release_that_cannot_be_written_whole_is_not_written_at_all(store):
    store.proposals.add(proposal())
    store.outcomes.opened(proposal(state="running"), round_row(), before="received")
    with pytest.raises(FileProblem):
        store.outcomes.released(
            proposal(state="released"),
            round_row(outcome="released"),
            release(sid=OTHER),  # no such round
            before="running",
            councils=[],
            stages=[],
            owed_to=[],
        )
    assert store.proposals.get(PLAN).state == "running"
    assert store.rounds.get(SID).outcome == "running"


def test_releases_are_listed_by_agreement_newest_first_in_pages(store):
    released(store)
    assert store.releases.page({"other"}, offset=0, size=5) == ()
    assert store.releases.page({"north-east", "other"}, offset=0, size=5) == (release(),)
    assert store.releases.page({"north-east"}, offset=1, size=5) == ()


def test_who_read_a_release_is_written_down(store):
    released(store)
    store.releases.note_read(release().digest, reader="ab", how="GetRelease", now=NOW)
    store.releases.note_read(release().digest, reader="cd", how="GetRelease", now=NOW)
    assert [reader for reader, _, _ in store.releases.reads(release().digest)] == ["ab", "cd"]


def test_rounds_under_way_are_found_until_they_end(store):
    store.proposals.add(proposal())
    assert store.rounds.running() == ()
    store.outcomes.opened(proposal(state="running"), round_row(), before="received")
    assert store.rounds.running() == (round_row(),)
    store.outcomes.aborted(proposal(state="failed"), round_row(outcome="aborted"), before="running")
    assert store.rounds.running() == ()


def test_a_plan_has_one_round_for_each_attempt(store):
    store.proposals.add(proposal())
    store.outcomes.opened(proposal(state="running"), round_row(), before="received")
    with pytest.raises(FileProblem):
        store.outcomes.opened(proposal(state="running"), round_row(sid=OTHER), before="running")
    assert [row.sid for row in store.rounds.of_plan(PLAN)] == [SID]


def take(store, owner, *, after_s=0):
    now = NOW + timedelta(seconds=after_s)
    return store.desk.take(owner=owner, now=now, until=now + timedelta(seconds=60))


def test_the_desk_is_one_coordinators_until_it_leaves_or_is_not_heard_of(store):
    assert store.desk.holder() is None
    assert take(store, "ours") == 1
    assert take(store, "theirs", after_s=60) is None
    assert store.desk.holder() == DeskRow(owner="ours", turn=1, until=NOW + timedelta(seconds=60), taken_at=NOW)
    assert take(store, "ours", after_s=1) == 2  # after a restart
    assert not store.desk.keep(1, until=NOW + timedelta(days=1))
    assert store.desk.keep(2, until=NOW + timedelta(seconds=100))
    assert take(store, "theirs", after_s=100) is None
    assert take(store, "theirs", after_s=101) == 3
    store.desk.leave(2)  # too late to leave what is theirs
    assert take(store, "ours", after_s=102) is None
    store.desk.leave(3)
    assert store.desk.holder().until is None
    assert take(store, "ours", after_s=102) == 4


def test_of_many_coordinators_that_want_the_desk_at_once_one_gets_it(store_url):
    stores = [open_store(store_url) for _ in range(6)]
    with ThreadPoolExecutor(max_workers=6) as pool:
        for turn in range(1, 6):
            taken = list(pool.map(lambda pair, turn=turn: take(pair[1], f"{turn}/{pair[0]}"), enumerate(stores)))
            assert sorted(taken, key=str) == [turn] + [None] * 5
            stores[0].desk.leave(turn)
    for opened in stores:
        opened.close()


def test_a_coordinator_that_has_lost_the_desk_writes_no_move(store):
    lost, current = store.at_desk(take(store, "ours")), store.at_desk(take(store, "theirs", after_s=61))
    with pytest.raises(DeskLost):
        lost.proposals.add(proposal())
    assert store.proposals.get(PLAN) is None
    assert current.proposals.add(proposal())
    assert current.outcomes.opened(proposal(state="running"), round_row(), before="received")
    ended = {"councils": [], "stages": []}
    for write in (
        lambda: lost.proposals.keep_decisions([decision("E06000001", decision="refused")]),
        lambda: lost.membership.keep_budgets([BudgetRow(council="E1", envelope=b"old", received_at=NOW)]),
        lambda: lost.outcomes.moved(proposal(state="failed"), before="running"),
        lambda: lost.outcomes.opened(proposal(state="running"), round_row(sid=OTHER, attempt=2), before="running"),
        lambda: lost.outcomes.aborted(proposal(state="failed"), round_row(outcome="aborted"), before="running"),
        lambda: lost.outcomes.released(
            proposal(state="released"), round_row(outcome="released"), release(), before="running", owed_to=[], **ended
        ),
    ):
        with pytest.raises(DeskLost):
            write()
        assert store.proposals.get(PLAN).state == "running"
        assert store.rounds.of_plan(PLAN) == (round_row(),)
        assert store.releases.of_plan(PLAN) is None
    assert current.outcomes.released(
        proposal(state="released"), round_row(outcome="released"), release(), before="running", owed_to=[], **ended
    )
    with pytest.raises(DeskLost):
        lost.releases.keep_receipts([DeliveryRow(release_digest=release().digest, council="E1", receipt=b"old")])
    assert store.membership.budgets(["E1"]) == ()
    assert store.releases.deliveries(release().digest) == ()


def test_a_call_to_postgresql_does_not_wait_for_ever_unless_the_operator_says_so():
    for address, wanted in (
        ("postgresql+psycopg://hub/store", {"connect_timeout": 10, "tcp_user_timeout": 20_000}),
        ("postgresql+psycopg://hub/store?connect_timeout=60", {"tcp_user_timeout": 20_000}),
        ("postgresql+psycopg2://hub/store", {}),
    ):
        assert database._patience(make_url(address)) == wanted


def test_postgresql_undoes_what_is_left_lying_in_the_middle_of_a_transaction(postgresql, monkeypatch):
    monkeypatch.setattr(database, "IDLE_TIMEOUT_S", 1)
    with postgresql.database() as url, closing(open_store(url)) as store:
        store.proposals.add(proposal())
        with store.engine.connect() as left:
            left.execute(text("DELETE FROM proposals"))
            time.sleep(3)
            with pytest.raises(SQLAlchemyError):
                left.commit()
        assert store.proposals.get(PLAN) is not None


def test_proposals_are_found_by_state(store):
    store.proposals.add(proposal())
    store.proposals.add(proposal(plan_digest=OTHER, state="failed", received_at=NOW - timedelta(days=1)))
    assert [row.plan_digest for row in store.proposals.in_states(["failed", "received"])] == [OTHER, PLAN]
    assert store.proposals.counts() == {"failed": 1, "received": 1}
    assert store.proposals.get(bytes(32)) is None
