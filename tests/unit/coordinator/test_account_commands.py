"""`coordinator account`: accounts are made, changed and removed, and no password ever passes here."""

import json
from datetime import timedelta

import pytest
import yaml

from coordinator.cli import app
from coordinator.first_files import NewCoordinator, create
from coordinator.sign_in.codes import CODE_GOOD_FOR, code_hash, is_good, new_code
from coordinator.sign_in.sessions import token_hash
from coordinator.store import open_store
from federated.errors import FileProblem, QueryError
from federated.keys import public_line
from federated.shell import now_utc
from tests.integration.coordinator_federation import ANN, BOB, CEM, DEE, START, seeded
from tests.integration.sign_in_site import Browser, audited, make_desk

LINE = "command line"


@pytest.fixture
def file(tmp_path):
    keys = [public_line(ANN.public), public_line(BOB.public)]
    new = NewCoordinator(
        id="hub",
        name="Hub",
        hosts=["127.0.0.1"],
        listen_host="127.0.0.1",
        port=0,
        roster_keys=keys,
        agreement_keys=[public_line(CEM.public), public_line(DEE.public)],
    )
    create(tmp_path, new, now=START, rng=seeded(42))
    path = tmp_path / "coordinator.yaml"
    content = yaml.safe_load(path.read_text()) | {"console": {"public_address": "https://pages.example"}}
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def store(file, tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'state' / 'coordinator.db'}")
    yield opened
    opened.close()


@pytest.fixture
def run(file, capsys):
    def run(*arguments):
        app(["account", *arguments, "-s", str(file)], standalone_mode=False)
        return capsys.readouterr().out

    return run


def test_an_account_is_made_with_a_code_that_sets_its_password(run, store):
    made = json.loads(run("add", "ann.smith", "--role", "analyst", "--agreement", "north-east", "--json"))
    assert made["page"] == "https://pages.example/set-password"
    kept = store.accounts.get("ann.smith")
    assert (kept.roles, kept.agreements, kept.password_hash) == ("analyst", "north-east", None)
    assert kept.code_hash == code_hash(made["code"])
    browser = Browser(make_desk(store, clock=now_utc))
    assert browser.send_code(made["code"], name="ann.smith").status_code == 303
    assert browser.who() == "ann.smith"
    assert audited(store)[0] == (LINE, "add account", "done", "ann.smith")


def test_the_code_is_told_to_people_too(run):
    said = run("add", "ann", "--role", "operator")
    assert "https://pages.example/set-password" in said
    assert "good once" in said


def test_a_name_is_given_once_and_only_a_good_one(run):
    run("add", "ann", "--role", "operator")
    run("remove", "ann")
    with pytest.raises(FileProblem, match="given before"):
        run("add", "ann", "--role", "observer")
    with pytest.raises(QueryError, match="cannot be the name"):
        run("add", "Ann Smith", "--role", "operator")
    with pytest.raises(QueryError, match="cannot be the id"):
        run("add", "bob", "--role", "operator", "--agreement", "two words")


def test_the_list_says_who_waits_for_a_password(run, store):
    run("add", "bob", "--role", "reviewer", "--role", "observer", "--agreement", "south")
    run("add", "ann", "--role", "operator")
    shown = json.loads(run("list", "--json"))
    assert [(row["name"], row["state"]) for row in shown] == [
        ("ann", "waits for its password"),
        ("bob", "waits for its password"),
    ]
    assert shown[1]["roles"] == ["observer", "reviewer"]
    assert "bob" in run("list")
    assert "argon2" not in run("list", "--json")


def test_what_an_account_may_do_is_changed(run, store):
    run("add", "ann", "--role", "operator")
    run("roles", "ann", "--role", "analyst", "--agreement", "south")
    assert (store.accounts.get("ann").roles, store.accounts.get("ann").agreements) == ("analyst", "south")
    for command, state in (("lock", "locked"), ("unlock", "active"), ("remove", "removed")):
        run(command, "ann")
        assert store.accounts.get("ann").state == state
    assert [operation for _, operation, _, _ in audited(store)] == [
        "add account",
        "change roles",
        "lock account",
        "unlock account",
        "remove account",
    ]


@pytest.mark.parametrize("command", [["lock"], ["unlock"], ["remove"], ["reset"], ["roles", "--role", "analyst"]])
def test_an_account_that_is_not_there_is_named(run, command):
    with pytest.raises(FileProblem, match="no account 'ann'"):
        run(command[0], "ann", *command[1:])


def test_a_reset_takes_the_password_and_ends_the_wait(run, store):
    code = json.loads(run("add", "ann", "--role", "operator", "--json"))["code"]
    desk = make_desk(store, clock=now_utc)
    browser = Browser(desk)
    browser.send_code(code)
    for _ in range(6):
        last = Browser(desk).sign_in(password="wrong")
    assert last.status_code == 429
    code = json.loads(run("reset", "ann", "--json"))["code"]
    assert browser.who() == ""
    assert Browser(desk).send_code(code).status_code == 303


@pytest.mark.parametrize("command", [["reset"], ["roles", "--role", "operator"]])
def test_what_the_provider_decides_is_not_decided_here(run, store, command):
    from tests.unit.coordinator.test_store_of_accounts import account

    store.accounts.signed_in_by_provider(account("s@login.example", kind="openid", subject_hash=bytes(32)))
    with pytest.raises(QueryError, match=r"provider|no password"):
        run(command[0], "s@login.example", *command[1:])
    run("lock", "s@login.example")


def test_a_code_is_random_and_read_as_people_type_it():
    code = new_code(lambda size: bytes(range(size)))
    assert len(code.replace("-", "")) == 24
    assert code_hash(code) == code_hash(f" {code.lower().replace('-', ' ')} ")
    assert code_hash(code) != code_hash(code[:-1])


@pytest.mark.parametrize(("left", "good"), [(0, True), (3600, True), (-1, False), (3700, False)])
def test_how_long_a_code_is_good(left, good):
    assert is_good(START + timedelta(seconds=left), START) is good
    assert not is_good(None, START)
    assert timedelta(hours=1) == CODE_GOOD_FOR


def test_a_service_account_gets_a_token_that_is_listed_and_taken_back(run, store):
    run("add", "monthly.report", "--role", "observer", "--agreement", "north-east")
    made = json.loads(run("token", "monthly.report", "--for", "Monthly report", "--days", "90", "--json"))
    found = store.tokens.find(token_hash(made["token"]))
    assert found is not None
    assert (found[0].name, found[1].scope, found[1].made_by) == ("monthly.report", "read", LINE)
    (listed,) = json.loads(run("tokens", "monthly.report", "--json"))
    assert made["token"].startswith(listed["begins"])
    assert made["token"] not in run("tokens", "monthly.report")
    run("revoke", "monthly.report", listed["begins"])
    assert json.loads(run("tokens", "monthly.report", "--json"))[0]["taken_back"] is not None
    with pytest.raises(FileProblem, match="no token that begins"):
        run("revoke", "monthly.report", listed["begins"])
    with pytest.raises(QueryError, match="1 to 366 days"):
        run("token", "monthly.report", "--for", "Monthly report", "--days", "900")
    assert "hst_" in run("token", "monthly.report", "--for", "Asking", "--days", "9", "--may", "ask")
