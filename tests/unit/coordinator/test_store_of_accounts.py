"""The store's part of signing in, on both databases: accounts, sessions, tries and the audit."""

import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from alembic import command
from sqlalchemy import create_engine, insert, inspect, select, text

from coordinator.store import (
    AcceptanceRow,
    AccountRow,
    AuditRow,
    EnrolmentRow,
    SessionRow,
    StartRow,
    open_store,
)
from coordinator.store.migration import migrating
from coordinator.store.records import row_values
from coordinator.store.sign_ins import MOST_STARTS
from coordinator.store.tables import METADATA, enrolments, sign_in_attempts
from coordinator.store.tables import accounts as accounts_table
from federated.errors import FileProblem

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
AGO = NOW - timedelta(hours=12)


@pytest.fixture
def store(empty_store):
    return empty_store


def account(name="ann", **changes):
    fields = {"kind": "local", "roles": "operator", "created_at": NOW, "changed_at": NOW}
    return AccountRow(name=name, **(fields | changes))


def session(token=1, name="ann", **changes):
    fields = {"address": "192.0.2.1", "started_at": NOW, "seen_at": NOW}
    return SessionRow(token_hash=bytes([token]) * 32, account=name, **(fields | changes))


def enrolment(key=7, council="E06000001", **changes):
    fields = {"fingerprint": "01234", "state": "pending", "requested_at": NOW}
    return EnrolmentRow(public_key=bytes([key]) * 32, council=council, **(fields | changes))


def audited(store):
    return [(row.who, row.operation, row.object) for _, row in reversed(store.audit.latest(size=50))]


def signed_in(store, **changes):
    store.accounts.add(account(**changes), by="command line")
    store.accounts.open_session(session(), ended_before=AGO)


def test_an_account_is_kept_and_its_name_is_given_once(store):
    assert store.accounts.add(account(agreements="north-east south"), by="command line")
    assert not store.accounts.add(account(roles="analyst"), by="command line")
    assert store.accounts.get("ann") == account(agreements="north-east south")
    assert store.accounts.get("bob") is None
    store.accounts.set_state("ann", "removed", by="command line", now=LATER)
    assert store.accounts.all() == ()
    assert store.accounts.get("ann").roles == ""
    assert not store.accounts.add(account(), by="command line")
    assert audited(store) == [("command line", "add account", "ann"), ("command line", "remove account", "ann")]


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.accounts.set_rights("ann", roles="observer", agreements="", by="x", now=LATER),
        lambda store: store.accounts.set_state("ann", "locked", by="x", now=LATER),
        lambda store: store.accounts.set_state("ann", "removed", by="x", now=LATER),
        lambda store: store.accounts.set_code("ann", code_hash=bytes(32), until=LATER, by="x", now=LATER),
        lambda store: store.accounts.end_sessions("ann", by="x", now=LATER),
        lambda store: store.accounts.end_session(session().token_hash, now=LATER),
    ],
)
def test_a_change_of_what_an_account_may_do_ends_its_sessions_and_no_other(store, change):
    signed_in(store)
    store.accounts.add(account("bob"), by="command line")
    store.accounts.open_session(session(2, "bob"), ended_before=AGO)
    change(store)
    assert store.accounts.session(session().token_hash) is None
    assert store.accounts.session(session(2).token_hash)[0].name == "bob"


def test_a_session_is_found_with_its_account_as_it_is_now(store):
    signed_in(store)
    assert store.accounts.session(session().token_hash) == (account(), session())
    assert store.accounts.session(bytes(32)) is None
    store.accounts.touch(session().token_hash, now=LATER)
    store.accounts.touch(session().token_hash, now=NOW)  # a clock set back
    assert store.accounts.sessions_of("ann") == (session(seen_at=LATER),)


def test_old_sessions_are_forgotten_when_somebody_signs_in(store):
    signed_in(store)
    store.accounts.open_session(session(2), ended_before=LATER)
    assert [row.token_hash for row in store.accounts.sessions_of("ann")] == [session(2).token_hash]


def test_a_code_is_good_once(store):
    signed_in(store)
    store.accounts.set_code("ann", code_hash=bytes([5]) * 32, until=LATER, by="command line", now=NOW)
    take = {"password_hash": "argon", "now": LATER}
    assert not store.accounts.take_code("ann", code_hash=bytes([6]) * 32, **take)
    assert store.accounts.take_code("ann", code_hash=bytes([5]) * 32, **take)
    assert not store.accounts.take_code("ann", code_hash=bytes([5]) * 32, **take)
    assert store.accounts.get("ann").password_hash == "argon"
    assert audited(store)[-1] == ("ann", "set password", "ann")


def test_a_code_of_a_locked_account_is_not_taken(store):
    store.accounts.add(account(code_hash=bytes([5]) * 32, code_until=LATER), by="command line")
    store.accounts.set_state("ann", "locked", by="command line", now=NOW)
    assert not store.accounts.take_code("ann", code_hash=bytes([5]) * 32, password_hash="argon", now=NOW)


def test_a_new_password_leaves_one_session(store):
    signed_in(store)
    store.accounts.open_session(session(2), ended_before=AGO)
    before = {"before": store.accounts.get("ann").password_hash, "new": session(3), "now": LATER}
    assert store.accounts.set_password("ann", "argon", **before)
    assert [row.token_hash for row in store.accounts.sessions_of("ann")] == [session(3).token_hash]


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda accounts: accounts.set_code("ann", code_hash=bytes([5]) * 32, until=LATER, by="command line", now=NOW),
        lambda accounts: accounts.set_state("ann", "locked", by="command line", now=NOW),
        lambda accounts: accounts.rehash("ann", before="argon", after="another"),
    ],
)
def test_a_password_that_was_reset_or_locked_meanwhile_is_not_changed_by_whoever_knew_it(store, meanwhile):
    store.accounts.add(account(password_hash="argon"), by="command line")
    meanwhile(store.accounts)
    then = store.accounts.get("ann")
    assert not store.accounts.set_password("ann", "theirs", before="argon", new=session(3), now=LATER)
    assert store.accounts.get("ann") == then
    assert store.accounts.sessions_of("ann") == ()


def test_a_password_is_hashed_anew_only_when_it_is_still_the_same(store):
    store.accounts.add(account(password_hash="one"), by="command line")
    store.accounts.rehash("ann", before="other", after="two")
    assert store.accounts.get("ann").password_hash == "one"
    store.accounts.rehash("ann", before="one", after="two")
    assert store.accounts.get("ann").password_hash == "two"


def test_an_account_of_the_provider_is_renewed_and_takes_nobody_elses_name(store):
    theirs = account("s@login.example", kind="openid", subject_hash=bytes([1]) * 32, roles="analyst")
    assert store.accounts.signed_in_by_provider(theirs)
    store.accounts.open_session(session(name=theirs.name), ended_before=AGO)
    assert store.accounts.signed_in_by_provider(theirs)
    assert len(store.accounts.sessions_of(theirs.name)) == 1
    fewer = account(theirs.name, kind="openid", subject_hash=bytes([1]) * 32, roles="", changed_at=LATER)
    assert store.accounts.signed_in_by_provider(fewer)
    assert store.accounts.get(theirs.name).roles == ""
    assert store.accounts.sessions_of(theirs.name) == ()
    other = account(theirs.name, kind="openid", subject_hash=bytes([2]) * 32, roles="operator")
    assert not store.accounts.signed_in_by_provider(other)
    store.accounts.add(account(), by="command line")
    assert not store.accounts.signed_in_by_provider(account(kind="openid", subject_hash=bytes([1]) * 32))
    store.accounts.set_state(theirs.name, "locked", by="command line", now=LATER)
    assert not store.accounts.signed_in_by_provider(theirs)


def test_tries_are_counted_by_name_and_by_address(store):
    seen = []

    def wait(by_name, by_address):
        seen.append((len(by_name), len(by_address)))

    for pigeonhole, address in (("aaaa", "1"), ("aaaa", "2"), ("bbbb", "2")):
        number = store.sign_ins.attempt(pigeonhole=pigeonhole, address=address, now=NOW, wait=wait)
        assert isinstance(number, int)
    assert seen == [(0, 0), (1, 0), (0, 1)]
    assert store.sign_ins.attempt(pigeonhole="aaaa", address="3", now=NOW, wait=lambda *_: LATER) == LATER
    store.sign_ins.succeeded(number)
    store.sign_ins.forget("aaaa")
    with store.engine.connect() as connection:
        rows = connection.execute(select(sign_in_attempts.c.pigeonhole, sign_in_attempts.c.succeeded)).all()
    assert rows == [("bbbb", True)]
    store.sign_ins.attempt(pigeonhole="cccc", address="1", now=NOW + timedelta(days=2), wait=wait)
    store.sign_ins.attempt(pigeonhole="bbbb", address="1", now=NOW + timedelta(days=2), wait=wait)
    assert seen[-1] == (0, 1)


def test_tries_at_the_same_moment_see_each_other(store):
    def wait(by_name, _by_address):
        return LATER if len(by_name) >= 3 else None

    def attempt(number):
        return store.sign_ins.attempt(pigeonhole="aaaa", address=str(number), now=NOW, wait=wait)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(attempt, range(12)))
    assert sum(isinstance(one, int) for one in found) == 3
    assert found.count(LATER) == 9


@pytest.mark.parametrize("empty_store", ["postgresql"], indirect=True)
def test_tries_that_did_not_wait_for_each_other_would_all_pass(store, monkeypatch):
    """That the lock of the table is what holds: the database alone lets both be counted before either is there."""
    monkeypatch.setattr(type(store.sign_ins), "_one_at_a_time", lambda *_given: None)
    both = Barrier(2, timeout=20)

    def wait(by_name, _by_address):
        both.wait()
        return LATER if by_name else None

    def attempt(number):
        return store.sign_ins.attempt(pigeonhole="aaaa", address=str(number), now=NOW, wait=wait)

    with ThreadPoolExecutor(2) as pool:
        assert LATER not in list(pool.map(attempt, range(2)))


def test_a_start_is_taken_once_and_not_forever(store):
    def start(number, at=NOW):
        return StartRow(state_hash=number.to_bytes(32), next_path="/budgets", started_at=at)

    store.sign_ins.begin_start(start(1), ended_before=AGO)
    assert store.sign_ins.take_start(start(1).state_hash) == start(1)
    assert store.sign_ins.take_start(start(1).state_hash) is None
    store.sign_ins.begin_start(start(2), ended_before=AGO)
    store.sign_ins.begin_start(start(3, LATER), ended_before=LATER)
    assert store.sign_ins.take_start(start(2).state_hash) is None
    assert store.sign_ins.take_start(start(3).state_hash) == start(3, LATER)


def test_starts_do_not_fill_the_disk(store, monkeypatch):
    monkeypatch.setattr("coordinator.store.sign_ins.MOST_STARTS", 3)
    assert MOST_STARTS > 3
    for number in range(6):
        at = NOW + timedelta(seconds=number)
        row = StartRow(state_hash=number.to_bytes(32), next_path="/", started_at=at)
        store.sign_ins.begin_start(row, ended_before=AGO)
    left = [number for number in range(6) if store.sign_ins.take_start(number.to_bytes(32))]
    assert left == [3, 4, 5]


@pytest.mark.parametrize("statement", ["UPDATE audit SET who = 'bob'", "DELETE FROM audit"])
def test_the_database_refuses_to_change_the_audit(store, statement):
    refused_to_change(store, statement)


@pytest.mark.parametrize("empty_store", ["postgresql"], indirect=True)
def test_the_audit_is_not_emptied_at_once_either(store):
    refused_to_change(store, "TRUNCATE audit")


def refused_to_change(store, statement):
    store.audit.note(AuditRow(done_at=NOW, who="ann", operation="read release", object="ab"))
    with pytest.raises(FileProblem, match="only added to"), store.audit._begin() as connection:
        connection.execute(text(statement))
    assert audited(store) == [("ann", "read release", "ab")]


def test_the_audit_refuses_to_change(store):
    refused_to_change(store, "UPDATE audit SET outcome = 'refused'")


def test_the_audit_is_read_in_parts_and_by_object(store):
    for number in range(5):
        store.audit.note(AuditRow(done_at=NOW, who=f"p{number}", operation="read release", object=f"o{number % 2}"))
    first = store.audit.latest(size=2)
    assert [row.who for _, row in first] == ["p4", "p3"]
    assert [row.who for _, row in store.audit.latest(size=9, before=first[-1][0])] == ["p2", "p1", "p0"]
    assert [row.who for row in store.audit.about("o1")] == ["p1", "p3"]


def test_a_change_that_fails_is_not_in_the_audit(store):
    with pytest.raises(FileProblem):
        store.accounts.open_session(session(name="nobody"), ended_before=AGO)  # no such account
    assert audited(store) == []


def test_an_acceptance_waits_for_its_confirmation(store):
    store.accounts.add(account(), by="command line")
    for row in (enrolment(1, state="accepted"), enrolment(2), enrolment(3, council="E06000002")):
        store.membership.ask_enrolment(row, limit=5)
    asked = AcceptanceRow(public_key=bytes([2]) * 32, asked_by="ann", asked_at=NOW)
    store.acceptances.ask(asked)
    assert store.acceptances.all() == (asked,)
    assert {row.public_key[0]: row.state for row in store.membership.enrolments()}[2] == "pending"
    assert store.acceptances.confirm(asked, by="bob", now=LATER)
    states = {row.public_key[0]: row.state for row in store.membership.enrolments()}
    assert states == {1: "rejected", 2: "accepted", 3: "pending"}
    assert not store.acceptances.confirm(asked, by="bob", now=LATER)
    assert [who for who, _, _ in audited(store)[-2:]] == ["ann", "bob"]


def test_an_acceptance_that_moved_on_changes_nothing(store):
    store.accounts.add(account(), by="command line")
    store.membership.ask_enrolment(enrolment(2), limit=5)
    asked = AcceptanceRow(public_key=bytes([2]) * 32, asked_by="ann", asked_at=NOW)
    store.acceptances.ask(asked)
    stale = AcceptanceRow(public_key=bytes([2]) * 32, asked_by="ann", asked_at=AGO)
    assert not store.acceptances.confirm(stale, by="bob", now=LATER)
    store.membership.decide_enrolment(bytes([2]) * 32, state="rejected", now=NOW)
    assert not store.acceptances.confirm(asked, by="bob", now=LATER)
    assert store.acceptances.get(asked.public_key) is None
    assert [row.state for row in store.membership.enrolments()] == ["rejected"]


def test_a_request_that_is_forgotten_takes_the_acceptance_with_it(store):
    """It refers to the request: left behind, nothing could ever be forgotten again."""
    store.accounts.add(account(), by="command line")
    store.membership.ask_enrolment(enrolment(2), limit=5)
    asked = AcceptanceRow(public_key=bytes([2]) * 32, asked_by="ann", asked_at=NOW)
    store.acceptances.ask(asked)
    assert store.membership.forget_enrolments(before=NOW + timedelta(days=120)) == 1
    assert store.acceptances.all() == ()
    assert store.membership.enrolments() == ()


def test_an_error_of_the_database_quotes_no_row(store):
    secret = "7" * 40
    store.accounts.add(account(password_hash=secret), by="command line")
    with pytest.raises(FileProblem) as caught, store.accounts._begin() as connection:
        connection.execute(insert(accounts_table).values(row_values(account(password_hash=secret))))
    told = "".join(traceback.format_exception(caught.value))
    assert "INSERT INTO accounts" in told
    assert secret not in told


def test_a_rejection_takes_the_acceptance_with_it(store):
    store.accounts.add(account(), by="command line")
    store.membership.ask_enrolment(enrolment(2), limit=5)
    store.acceptances.ask(AcceptanceRow(public_key=bytes([2]) * 32, asked_by="ann", asked_at=NOW))
    assert store.acceptances.reject(bytes([2]) * 32, by="bob", now=LATER)
    assert store.acceptances.all() == ()
    assert not store.acceptances.reject(bytes([2]) * 32, by="bob", now=LATER)


def test_a_store_from_before_accounts_is_brought_up_to_date(tmp_path):
    url = f"sqlite:///{tmp_path / 'old.db'}"
    engine = create_engine(url)
    with migrating(engine) as config:
        command.upgrade(config, "0001")
    with engine.begin() as connection:
        assert "accounts" not in inspect(connection).get_table_names()
        connection.execute(insert(enrolments).values(row_values(enrolment())))
    engine.dispose()
    opened = open_store(url)
    assert opened.membership.enrolments() == (enrolment(),)
    assert opened.accounts.add(account(), by="command line")
    opened.close()


def test_no_table_has_a_place_for_a_token_or_password_in_clear():
    names = {column.name for table in METADATA.tables.values() for column in table.columns}
    assert {name for name in names if "token" in name or "password" in name or "code" in name} == {
        "token_hash",
        "password_hash",
        "code_hash",
        "code_until",
    }
