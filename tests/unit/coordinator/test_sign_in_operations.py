"""Who may do what: every role on every operation, and two people for what decides who takes part."""

import ast
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import coordinator
from coordinator.api.site import CALLS
from coordinator.console.pages import PAGES
from coordinator.console.visitor import NOBODY, Role, Scope
from coordinator.sign_in.audit import Readings, allow, note_figures
from coordinator.sign_in.operations import RULES, Operation, check_allowed, visitor
from coordinator.sign_in.second_person import (
    GOOD_FOR,
    ask_acceptance,
    check_second,
    confirm_acceptance,
    reject_enrolment,
)
from coordinator.store import AcceptanceRow, DatabaseProblem, open_store
from federated.errors import PolicyRefusal
from tests.docs.authorisation_page import render
from tests.docs.pages import rows
from tests.unit.coordinator.test_coordinator_store import release, released
from tests.unit.coordinator.test_store_of_accounts import account, audited, enrolment

SOURCES = Path(coordinator.__file__).parent
NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
MIDNIGHT = NOW.replace(hour=0)
A, R, OP, B = Role.ANALYST, Role.REVIEWER, Role.OPERATOR, Role.OBSERVER
EXPECTED = {
    Operation.VIEW_REGISTER: {A, R, OP, B, None},
    Operation.VIEW_OWN_ACCOUNT: {A, R, OP, B},
    Operation.VIEW_FIGURES: {A, R, B},
    Operation.WATCH: {A, R},
    Operation.VIEW_AGREEMENT: {A, R, B},
    Operation.VIEW_READERS: {R},
    Operation.VIEW_SUGGESTIONS: {A, R, B},
    Operation.VIEW_BUDGETS: {A, R},
    Operation.PROPOSE: {A},
    Operation.WITHDRAW: {A},
    Operation.VIEW_PAPERS: {A, R},
    Operation.HAND_IN_PAPER: {A, R},
    Operation.VIEW_OPERATIONS: {OP},
    Operation.ASK_ACCEPTANCE: {OP},
    Operation.CONFIRM_ACCEPTANCE: {OP},
    Operation.REJECT_ENROLMENT: {OP},
    Operation.VIEW_AUDIT: {R, OP},
    Operation.MAKE_TOKENS: {A, R, B},
}
"""Written by hand, beside the table of the code: a cell that changes there must be changed here too."""
BY_TOKEN = {
    Operation.VIEW_REGISTER: Scope.READ,
    Operation.VIEW_FIGURES: Scope.READ,
    Operation.WATCH: Scope.READ,
    Operation.VIEW_AGREEMENT: Scope.READ,
    Operation.VIEW_READERS: Scope.READ,
    Operation.VIEW_SUGGESTIONS: Scope.READ,
    Operation.VIEW_BUDGETS: Scope.READ,
    Operation.PROPOSE: Scope.ASK,
    Operation.WITHDRAW: Scope.ASK,
    Operation.VIEW_PAPERS: Scope.READ,
    Operation.HAND_IN_PAPER: Scope.ASK,
}
"""What a token may do at all, by hand too."""
OF_AGREEMENT = {
    Operation.VIEW_FIGURES,
    Operation.WATCH,
    Operation.VIEW_AGREEMENT,
    Operation.VIEW_READERS,
    Operation.VIEW_SUGGESTIONS,
    Operation.VIEW_BUDGETS,
    Operation.PROPOSE,
    Operation.WITHDRAW,
    Operation.VIEW_PAPERS,
    Operation.HAND_IN_PAPER,
}


@pytest.fixture
def store(tmp_path):
    made = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    yield made
    made.close()


def person(*roles, name="ann", agreements=("north-east",)):
    return replace(NOBODY, name=name, roles=frozenset(roles), agreements=frozenset(agreements))


def may(who, operation, agreement="north-east"):
    try:
        check_allowed(who, operation, agreement=agreement if operation in OF_AGREEMENT else None)
    except PolicyRefusal:
        return False
    return True


@pytest.mark.parametrize(("operation", "role"), list(itertools.product(Operation, [*Role, None])))
def test_every_role_on_every_operation(operation, role):
    who = NOBODY if role is None else person(role)
    assert may(who, operation) is (role in EXPECTED[operation])


@pytest.mark.parametrize(("operation", "role", "scope"), list(itertools.product(Operation, Role, Scope)))
def test_a_token_may_what_its_account_may_and_its_scope_holds(operation, role, scope):
    by_hand = operation is Operation.VIEW_REGISTER or BY_TOKEN.get(operation) in {Scope.READ, scope}
    assert may(replace(person(role), scope=scope), operation) is (role in EXPECTED[operation] and by_hand)


def test_no_token_makes_tokens_or_decides_for_operators():
    everything = replace(person(*Role), scope=Scope.ASK)
    people_alone = set(Operation) - set(BY_TOKEN)
    assert {Operation.MAKE_TOKENS, Operation.ASK_ACCEPTANCE, Operation.CONFIRM_ACCEPTANCE} <= people_alone
    assert not any(may(everything, operation) for operation in people_alone)


@pytest.mark.parametrize(("operation", "roles"), list(itertools.product(Operation, itertools.combinations(Role, 2))))
def test_two_roles_may_what_either_may(operation, roles):
    assert may(person(*roles), operation) is bool(set(roles) & EXPECTED[operation])


@pytest.mark.parametrize(("operation", "role"), list(itertools.product(sorted(OF_AGREEMENT), Role)))
def test_no_role_reaches_another_agreement(operation, role):
    assert not may(person(role), operation, "south")
    assert not may(person(role, agreements=()), operation)


@pytest.mark.parametrize("operation", Operation)
def test_an_account_without_roles_is_the_public(operation):
    assert may(person(), operation) is may(NOBODY, operation)


def test_whether_an_operation_is_about_an_agreement_cannot_be_forgotten():
    with pytest.raises(TypeError):
        check_allowed(person(*Role), Operation.VIEW_FIGURES)
    with pytest.raises(TypeError):
        check_allowed(person(*Role), Operation.VIEW_AUDIT, agreement="north-east")


def test_the_page_says_what_is_expected():
    shown = {cells[0]: cells[1:] for cells in rows(render()) if cells[0] not in {"To …", "---"}}
    assert set(shown) == {operation.value for operation in Operation}
    for operation, roles in EXPECTED.items():
        word = "of its agreements" if operation in OF_AGREEMENT else "yes"
        by_token = {Scope.READ: "any", Scope.ASK: "one for asking", None: "–"}[BY_TOKEN.get(operation)]
        assert list(shown[operation.value]) == [
            *(word if role in roles else "–" for role in (*Role, None)),
            by_token,
        ]


def test_the_tables_are_whole():
    assert set(RULES) == set(Operation) == set(EXPECTED)
    assert {operation for operation, rule in RULES.items() if rule.of_agreement} == OF_AGREEMENT
    assert [operation for operation, rule in RULES.items() if rule.public] == [Operation.VIEW_REGISTER]


def named_in(*folders):
    """Operations that the code asks about; the table itself does not count."""
    files = [file for folder in folders for file in (SOURCES / folder).rglob("*.py") if file.name != "operations.py"]
    files += [SOURCES / "console" / "operations.py"] if "console" in folders else []
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in files)
    return {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Operation"
    }


def test_the_table_tells_of_nothing_that_cannot_be_done():
    by_table = {entry.operation.name for entry in (*PAGES, *CALLS)}
    named = by_table | named_in("console", "sign_in", "api")
    assert set(Operation.__members__) - named == set()
    # What no page, call or view asks about would be seen: a new one, and the one of a page that was taken away.
    assert {*Operation.__members__, "VIEW_NOTHING"} - named == {"VIEW_NOTHING"}
    pages = {page.operation.name for page in PAGES if page.path != "/budgets" and not page.path.startswith("/budgets/")}
    calls = {call.operation.name for call in CALLS if not call.path.endswith("/budgets")}
    assert "VIEW_BUDGETS" not in pages | calls


def test_an_operator_sees_no_agreement_by_being_one():
    assert visitor(account(roles="operator", agreements="north-east")).agreements == frozenset()
    assert visitor(account(roles="observer operator", agreements="north-east")).agreements == {"north-east"}


# Two people

KEY = enrolment().public_key
ANN, BOB = person(OP, name="ann"), person(OP, name="bob")


@pytest.fixture
def waiting(store):
    for name in ("ann", "bob", "cem"):
        store.accounts.add(account(name), by="command line")
    store.membership.ask_enrolment(enrolment(), limit=5)
    return store


def state(store):
    return store.membership.enrolments()[0].state


def clock(at=NOW):
    return lambda: at


def refused(call, *arguments, at=NOW, match=None):
    with pytest.raises(PolicyRefusal, match=match) as refusal:
        call(*arguments, clock=clock(at))
    return refusal.value.rule


def test_one_operator_asks_and_another_confirms(waiting):
    ask_acceptance(waiting, ANN, KEY, clock=clock())
    assert state(waiting) == "pending"
    confirm_acceptance(waiting, BOB, KEY, clock=clock())
    assert state(waiting) == "accepted"
    assert audited(waiting)[-2:] == [
        ("ann", "ask acceptance", KEY.hex()),
        ("bob", "confirm acceptance", KEY.hex()),
    ]


def test_nobody_is_their_own_second_person(waiting):
    ask_acceptance(waiting, ANN, KEY, clock=clock())
    ask_acceptance(waiting, ANN, KEY, clock=clock())
    assert refused(confirm_acceptance, waiting, ANN, KEY, match="yourself") == "second_person"
    assert state(waiting) == "pending"


def test_there_is_nothing_to_confirm_that_nobody_asked_for(waiting):
    assert refused(confirm_acceptance, waiting, BOB, KEY, match="Nobody has asked") == "second_person"
    assert refused(confirm_acceptance, waiting, BOB, bytes(32), match="no longer waits") == "second_person"
    assert refused(ask_acceptance, waiting, BOB, bytes(32), match="no longer waits") == "second_person"


@pytest.mark.parametrize("role", [A, R, B])
def test_both_must_be_operators(waiting, role):
    for call in (ask_acceptance, confirm_acceptance, reject_enrolment):
        assert refused(call, waiting, person(role, name="cem"), KEY) == "not_allowed"
    ask_acceptance(waiting, ANN, KEY, clock=clock())
    assert refused(confirm_acceptance, waiting, person(role, name="cem"), KEY) == "not_allowed"


@pytest.mark.parametrize(
    "change",
    [
        lambda accounts: accounts.set_rights("ann", roles="analyst", agreements="", by="x", now=NOW),
        lambda accounts: accounts.set_state("ann", "locked", by="x", now=NOW),
        lambda accounts: accounts.set_state("ann", "removed", by="x", now=NOW),
    ],
)
def test_the_first_must_still_be_an_operator_and_the_way_is_not_blocked(waiting, change):
    ask_acceptance(waiting, ANN, KEY, clock=clock())
    change(waiting.accounts)
    assert refused(confirm_acceptance, waiting, BOB, KEY, match="no longer an operator") == "second_person"
    ask_acceptance(waiting, BOB, KEY, clock=clock())
    confirm_acceptance(waiting, person(OP, name="cem"), KEY, clock=clock())
    assert state(waiting) == "accepted"


def test_two_who_ask_do_not_replace_each_other(waiting):
    ask_acceptance(waiting, ANN, KEY, clock=clock())
    assert refused(ask_acceptance, waiting, BOB, KEY, match="asked already") == "second_person"
    confirm_acceptance(waiting, BOB, KEY, clock=clock())


@pytest.mark.parametrize("at", [NOW + GOOD_FOR, NOW - timedelta(hours=1)])
def test_an_acceptance_does_not_wait_forever(waiting, at):
    ask_acceptance(waiting, ANN, KEY, clock=clock())
    assert refused(confirm_acceptance, waiting, BOB, KEY, at=at, match="days ago") == "second_person"


def test_one_operator_can_reject(waiting):
    ask_acceptance(waiting, ANN, KEY, clock=clock())
    reject_enrolment(waiting, BOB, KEY, clock=clock())
    assert state(waiting) == "rejected"
    for call in (confirm_acceptance, ask_acceptance, reject_enrolment):
        assert refused(call, waiting, BOB, KEY, match="no longer waits") == "second_person"


def test_the_rule_alone():
    asked = AcceptanceRow(public_key=KEY, asked_by="ann", asked_at=NOW)
    bob = account("bob")
    assert check_second(asked, account(), bob, enrolment(), NOW) == asked
    for broken in (
        (None, account(), bob, enrolment()),
        (asked, None, bob, enrolment()),
        (asked, account(roles="analyst"), bob, enrolment()),
        (asked, account(), account(), enrolment()),
        (asked, account(), None, enrolment()),
        (asked, account(), account("bob@login.example", kind="openid"), enrolment()),
        (asked, account(kind="openid"), bob, enrolment()),
        (asked, account(), bob, enrolment(state="accepted")),
        (asked, account(), bob, None),
    ):
        with pytest.raises(PolicyRefusal):
            check_second(*broken, NOW)


def test_an_account_kept_here_and_one_of_the_provider_may_be_one_person(waiting):
    theirs = account("ann@login.example", kind="openid", subject_hash=bytes(32))
    assert waiting.accounts.signed_in_by_provider(theirs)
    ask_acceptance(waiting, ANN, KEY, clock=clock())
    ann_again = person(OP, name=theirs.name)
    assert refused(confirm_acceptance, waiting, ann_again, KEY, match="one person can have both") == "second_person"
    assert state(waiting) == "pending"
    confirm_acceptance(waiting, ann_again, KEY, clock=clock(), separate_people=True)
    assert state(waiting) == "accepted"


# What is written down


def test_every_reading_of_figures_is_written_down(store):
    released(store)
    digest = release().digest
    for who, how in ((ANN, "page"), (ANN, "page"), (NOBODY, "page"), (NOBODY, "page"), (NOBODY, "csv")):
        note_figures(store, who.name, digest, how=how, now=NOW)
    note_figures(store, NOBODY.name, digest, how="page", now=NOW + timedelta(days=1))
    assert [(reader, how, at[8:10]) for reader, how, at in store.releases.reads(digest)] == [
        ("ann", "page", "01"),
        ("ann", "page", "01"),
        ("public", "page", "01"),
        ("public", "csv", "01"),
        ("public", "page", "02"),
    ]
    # Of the public once a day, in whatever form, and the day alone.
    readers = ["ann", "ann", "public", "public"]
    assert audited(store) == [(who, "read release", digest.hex()) for who in readers]
    public = [row.done_at for _, row in store.audit.latest(size=9) if row.who == "public"]
    assert public == [MIDNIGHT + timedelta(days=1), MIDNIGHT]


def test_of_many_readers_who_are_not_signed_in_one_a_day_asks_the_database(store, monkeypatch):
    released(store)
    times = iter([NOW] * 4 + [NOW + timedelta(days=1)] * 2)
    note = Readings(store, lambda: next(times))
    written = []
    kept = type(store.releases).note_read_of_the_day

    def counted(book, digest, **given):
        written.append(given["how"])
        if len(written) == 1:
            raise DatabaseProblem("The disk is full.")
        kept(book, digest, **given)

    monkeypatch.setattr(type(store.releases), "note_read_of_the_day", counted)
    with pytest.raises(DatabaseProblem):  # and so nothing is shown
        note(NOBODY, release().digest, "page")
    for how in ("page", "page", "csv", "page", "page"):
        note(NOBODY, release().digest, how)
    assert written == ["page", "page", "csv", "page"]


def test_what_is_refused_is_written_down_for_those_who_are_signed_in(store):
    for who in (ANN, NOBODY):
        with pytest.raises(PolicyRefusal):
            allow(store, who, Operation.VIEW_FIGURES, about="ab", agreement="north-east", now=NOW)
    allow(store, ANN, Operation.VIEW_AUDIT, now=NOW)
    (line,) = [row for _, row in store.audit.latest(size=9)]
    assert (line.who, line.operation, line.outcome, line.object) == ("ann", "view figures", "refused", "ab")


@pytest.mark.parametrize("about", ["ab\nann read release", "é", "x" * 121, "\x1b[2J"])
def test_what_was_typed_into_an_address_is_not_copied_into_the_audit(store, about):
    with pytest.raises(PolicyRefusal):
        allow(store, ANN, Operation.VIEW_FIGURES, about=about, agreement="north-east", now=NOW)
    assert [row.object for _, row in store.audit.latest(size=9)] == [""]


@pytest.mark.parametrize("operation", Operation)
def test_every_operation_has_a_word_that_fits_the_audit(operation):
    assert len(operation.name) <= 32
