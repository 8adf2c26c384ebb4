"""Tokens of programs: made once, kept as a hash, never more than their account is, and gone when they should be."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import text

from coordinator.console.visitor import Role, Scope
from coordinator.sign_in.codes import CODE_GOOD_FOR, code_hash
from coordinator.sign_in.limits import FREE_BY_ADDRESS
from coordinator.sign_in.tokens import MOST, TooManyWrong, WrongToken, make_token, visitor_by_token
from federated.errors import PolicyRefusal, QueryError
from tests.integration.coordinator_federation import seeded
from tests.integration.sign_in_site import Browser, Clock, add_account, audited, make_desk

RNG = seeded(21)


@pytest.fixture
def desk(empty_store):
    made = make_desk(empty_store, clock=Clock())
    add_account(made)
    return made


def make(desk, name="ann", *, by="ann", days=30, scope=Scope.READ, label="Monthly report"):
    account = desk.store.accounts.get(name)
    now = desk.clock()
    token, _ = make_token(desk.store, account, label=label, scope=scope, days=days, by=by, rng=RNG, now=now)
    return token


def use(desk, token, *, address="192.0.2.9", kinds=("local",)):
    return visitor_by_token(desk.store, token, address=address, lets_in=lambda kind: kind in kinds, now=desk.clock())


def lets_in(desk, token, **changes):
    try:
        use(desk, token, **changes)
    except WrongToken:
        return False
    return True


def test_a_token_is_its_account_narrowed_and_only_its_hash_is_kept(desk):
    token = make(desk)
    seen = use(desk, token)
    assert (seen.name, seen.roles, seen.agreements, seen.scope) == ("ann", {Role.ANALYST}, {"north-east"}, Scope.READ)
    assert seen.form_token == ""
    assert use(desk, make(desk, scope=Scope.ASK)).scope is Scope.ASK
    (row,) = [row for row in desk.store.tokens.of_account("ann") if row.scope == "read"]
    assert token.startswith(row.prefix)
    assert len(token) - len(row.prefix) >= 35
    with desk.store.engine.connect() as connection:
        kept = str([connection.execute(text(f"SELECT * FROM {table}")).all() for table in ("tokens", "audit")])
    assert row.prefix in kept
    assert token not in kept
    assert token.encode().hex() not in kept
    assert ("ann", "make token", "done", row.prefix) in audited(desk.store)


def test_a_token_is_what_its_account_is_at_that_moment(desk):
    token, store = make(desk), desk.store
    store.accounts.set_rights("ann", roles="observer", agreements="south", by="command line", now=desk.clock())
    assert (use(desk, token).roles, use(desk, token).agreements) == ({Role.OBSERVER}, {"south"})
    store.accounts.set_state("ann", "locked", by="command line", now=desk.clock())
    assert not lets_in(desk, token)
    store.accounts.set_state("ann", "active", by="command line", now=desk.clock())
    assert lets_in(desk, token)
    now = desk.clock()
    store.accounts.set_code("ann", code_hash=code_hash("A"), until=now + CODE_GOOD_FOR, by="command line", now=now)
    assert not lets_in(desk, token)  # whoever had the password may have made it


def test_a_token_ends_when_it_is_over_or_taken_back(desk):
    token, other = make(desk, days=1), make(desk, days=2)
    assert not desk.store.tokens.revoke(other[:12], account="bob", by="bob", now=desk.clock())
    assert lets_in(desk, other)
    assert desk.store.tokens.revoke(other[:12], account="ann", by="ann", now=desk.clock())
    assert (lets_in(desk, token), lets_in(desk, other)) == (True, False)
    desk.clock.forward(hours=23, minutes=59)
    assert lets_in(desk, token)
    desk.clock.forward(minutes=1)
    assert not lets_in(desk, token)
    assert {"make token", "revoke token"} <= {line[1] for line in audited(desk.store)}


@pytest.mark.parametrize(("kind", "days", "good"), [("local", 366, 1), ("local", 367, 0), ("local", 0, 0)])
def test_a_token_of_an_account_kept_here_is_good_for_a_year_at_most(desk, kind, days, good):
    if good:
        assert lets_in(desk, make(desk, days=days))
        return
    with pytest.raises(QueryError, match="1 to 366 days"):
        make(desk, days=days)


def test_a_token_does_not_outlive_a_right_taken_away_at_the_provider_by_more_than_a_month(desk):
    add_account(desk, "eve@provider", kind="openid", password=None)
    with pytest.raises(QueryError, match="1 to 30 days"):
        make(desk, "eve@provider", days=31)
    token = make(desk, "eve@provider", by="eve@provider", days=30)
    assert lets_in(desk, token, kinds=("openid",))
    assert not lets_in(desk, token, kinds=("local",))


def test_where_accounts_kept_here_may_not_sign_in_only_an_operators_tokens_work_for_them(desk):
    own, operators = make(desk), make(desk, by="command line")
    assert (lets_in(desk, own, kinds=("openid",)), lets_in(desk, operators, kinds=("openid",))) == (False, True)


def test_an_account_has_so_many_tokens_and_no_more(desk):
    made = [make(desk) for _ in range(MOST)]
    with pytest.raises(PolicyRefusal) as refused:
        make(desk)
    assert refused.value.rule == "tokens"
    assert desk.store.tokens.revoke(made[0][:12], account="ann", by="ann", now=desk.clock())
    make(desk)
    desk.clock.forward(days=90)
    make(desk)
    assert len(desk.store.tokens.of_account("ann")) == 1  # what has long been over is forgotten
    desk.store.accounts.set_state("ann", "locked", by="command line", now=desk.clock())
    with pytest.raises(PolicyRefusal):
        make(desk)


def test_wrong_tokens_are_held_up_by_address_and_keep_nobody_from_signing_in(desk):
    token = make(desk)
    for number in range(FREE_BY_ADDRESS):
        assert not lets_in(desk, f"hst_{number}")
    with pytest.raises(TooManyWrong) as wait:
        use(desk, "hst_another")
    assert 0 < wait.value.seconds <= 30
    assert not lets_in(desk, "hst_another", address="198.51.100.7")
    assert lets_in(desk, token)  # nobody guesses one
    assert Browser(desk, address="192.0.2.9").sign_in().status_code == 303
    lines = [line for line in audited(desk.store) if line[1] == "use token"]
    assert lines == [("", "use token", "refused", "unknown token")] * (FREE_BY_ADDRESS + 1)


# --- on the page ---


def test_a_token_is_made_on_the_page_shown_once_and_taken_back(desk):
    browser = Browser(desk)
    assert browser.read("/account/tokens").headers["location"].startswith("/sign-in")
    browser.sign_in()
    assert "/account/tokens" in browser.read("/account").text
    form = {"token": browser.form_token("/account/tokens"), "label": "Monthly report", "days": "30", "scope": "ask"}
    page = browser.submit("/account/tokens", **form).text
    token = page.split('id="made">')[1].split("<")[0]
    assert use(desk, token).scope is Scope.ASK
    listed = browser.read("/account/tokens").text
    assert token not in listed
    assert token[:12] in listed
    browser.submit("/account/tokens/take-back", token=form["token"], prefix=token[:12])
    assert not lets_in(desk, token)
    assert "taken back" in browser.read("/account/tokens").text


@pytest.mark.drawn(6)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"days": "367"}, "1 to 366 days"),
        ({"days": "-1"}, "whole number"),
        ({"days": "²"}, "whole number"),
        ({"label": " "}, "what the token is for"),
        ({"label": "a\x00b"}, "what the token is for"),
        ({"label": "x" * 61}, "what the token is for"),
        ({"scope": "decide"}, "Choose what it may do"),
        ({"scope": ""}, "Choose what it may do"),
    ],
)
def test_what_cannot_be_is_said_beside_the_form(desk, change, said):
    browser = Browser(desk)
    browser.sign_in()
    form = {"token": browser.form_token("/account/tokens"), "label": "Report", "days": "30", "scope": "read"}
    assert said in browser.submit("/account/tokens", **(form | change)).text
    assert desk.store.tokens.of_account("ann") == ()


def test_a_form_from_elsewhere_makes_and_takes_back_nothing(desk):
    kept = make(desk)
    browser = Browser(desk)
    browser.sign_in()
    form = {"label": "Report", "days": "30", "scope": "read", "prefix": kept[:12]}
    own = browser.form_token("/account/tokens")
    for path in ("/account/tokens", "/account/tokens/take-back"):
        assert browser.submit(path, token="0" * 43, **form).status_code == 403
        reply = browser.submit(path, headers={"origin": "https://elsewhere.example"}, token=own, **form)
        assert reply.status_code == 403
    assert len(desk.store.tokens.of_account("ann")) == 1
    assert lets_in(desk, kept)


def test_an_account_for_operating_alone_has_no_tokens(desk):
    add_account(desk, "olga", roles="operator", agreements="")
    browser = Browser(desk)
    browser.sign_in("olga")
    assert "/account/tokens" not in browser.read("/account").text
    assert browser.read("/account/tokens").status_code == 403
    assert ("olga", "make tokens", "refused", "") in audited(desk.store)


def test_a_used_token_says_when(desk):
    token = make(desk)
    desk.clock.forward(hours=1)
    use(desk, token)
    (row,) = desk.store.tokens.of_account("ann")
    assert row.used_at == desk.clock()
    desk.clock.forward(seconds=59)
    use(desk, token)
    (row,) = desk.store.tokens.of_account("ann")
    assert row.used_at == desk.clock() - timedelta(seconds=59)


def test_tokens_say_nothing_in_json(desk):
    assert make(desk) not in json.dumps([str(row) for row in desk.store.tokens.of_account("ann")])
