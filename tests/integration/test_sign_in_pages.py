"""Signing in with a password, through the pages: what a person sees, and what an attacker does not get."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update
from starlette.requests import Request

from coordinator.console.visitor import NOBODY
from coordinator.sign_in import sessions
from coordinator.sign_in.limits import FREE_BY_ADDRESS, FREE_BY_NAME
from coordinator.sign_in.pages import WRONG, WRONG_CODE
from coordinator.sign_in.passwords import PLACES, Passwords
from coordinator.store import DatabaseProblem, open_store
from coordinator.store.accounts import AccountBook
from coordinator.store.tables import METADATA, accounts, sign_in_attempts
from tests.integration.coordinator_federation import seeded
from tests.integration.sign_in_site import (
    CODE,
    NOW,
    OWN,
    PASSWORD,
    Browser,
    Clock,
    add_account,
    audited,
    give_code,
    make_desk,
)
from tests.unit.coordinator.test_sign_in_rules import HOSTILE

NEW = "seven ducks on a pond"


def request_of(browser):
    """A request as this browser would send it now."""
    kept = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar)
    return Request({"type": "http", "headers": [(b"cookie", kept.encode())], "client": ("192.0.2.1", 1)})


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def desk(tmp_path, clock):
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    made = make_desk(store, clock=clock)
    add_account(made)
    yield made
    store.close()


@pytest.fixture
def browser(desk):
    return Browser(desk)


def test_signing_in_and_out(desk, browser):
    assert browser.who() == ""
    reply = browser.sign_in()
    assert (reply.status_code, reply.headers["location"]) == (303, "/budgets")
    name, roles, agreements, token = browser.read("/budgets").text.split("|")
    assert (name, roles, agreements) == ("ann", "analyst", "north-east")
    assert browser.read("/sign-in?next=/budgets").headers["location"] == "/budgets"
    assert browser.submit("/sign-out", token=token).status_code == 303
    assert browser.who() == ""
    assert audited(desk.store)[-2:] == [("ann", "sign in", "done", "ann"), ("ann", "sign out", "done", "ann")]


def test_the_token_is_dead_after_signing_out_and_not_only_forgotten_by_the_browser(desk, browser):
    browser.sign_in()
    stolen = browser.session
    browser.submit("/sign-out", token=browser.form_token("/account"))
    thief = Browser(desk)
    thief.cookies.set(sessions.COOKIE, stolen, domain="pages.example")
    assert thief.who() == ""


@pytest.mark.parametrize(
    ("name", "password"),
    [("ann", "quite another"), ("bob", PASSWORD), ("", ""), ("ann\r\nroot", "x"), ("'; DROP", "x")],
)
def test_whatever_is_wrong_the_words_are_the_same(desk, browser, name, password):
    reply = browser.sign_in(name, password)
    assert reply.status_code == 200
    assert WRONG in reply.text
    assert "There is a problem" in reply.text
    assert "Error: Sign in" in reply.text
    assert browser.session is None
    assert len(password) < 2 or password not in reply.text


@pytest.mark.parametrize("change", ["locked", "removed"])
def test_a_locked_account_is_refused_in_the_same_words(desk, browser, change):
    wrong = browser.sign_in("nobody").text
    desk.store.accounts.set_state("ann", change, by="command line", now=NOW)
    assert browser.sign_in().text == wrong


def test_an_account_of_the_provider_has_no_password(desk, browser):
    add_account(desk, "s@login.example", kind="openid", password=None)
    assert WRONG in browser.sign_in("s@login.example", "").text


def test_local_accounts_can_be_shut_out(desk):
    browser = Browser(replace(desk, local=False))
    page = browser.read("/sign-in").text
    assert 'type="password"' not in page
    before = browser.cookies.get(sessions.BEFORE)
    reply = browser.submit("/sign-in", token=sessions.bound(before, "form"), name="ann", password=PASSWORD)
    assert WRONG in reply.text


def test_where_local_accounts_are_shut_out_no_code_lets_anybody_in_and_no_session_goes_on(desk):
    """Otherwise a code would lead past the provider's second factor."""
    inside = Browser(desk)
    inside.sign_in()
    shut = replace(desk, local=False)
    assert shut.visitor_of(request_of(inside)) == NOBODY
    assert desk.visitor_of(request_of(inside)).name == "ann"
    give_code(desk)
    browser = Browser(shut)
    assert browser.read("/set-password").status_code == 403
    before = sessions.bound("x", "form")
    reply = browser.submit("/set-password", token=before, name="ann", code=CODE, password=NEW, again=NEW)
    assert reply.status_code == 403
    assert sessions.COOKIE not in browser.cookies


def test_a_store_that_fails_is_said_and_nothing_of_it(desk, browser, monkeypatch):
    browser.sign_in()

    def gone(*_args, **_changes):
        raise DatabaseProblem("The database sqlite:////srv/hub/coordinator.db cannot be used.")

    for name in ("session", "get"):
        monkeypatch.setattr(AccountBook, name, gone)
    for path in ("/sign-in", "/account"):
        reply = browser.read(path)
        assert reply.status_code == 503
        assert "srv" not in reply.text
        assert "Try again later" in reply.text


def test_an_unknown_name_costs_the_same_work_and_the_same_writes(desk, browser):
    """The threat: telling by time which names exist. Counted rather than timed: hashes compared and rows written."""
    work = []

    class Counting(Passwords):
        def matches(self, kept, password):
            work.append("compared")
            return super().matches(kept, password)

    counting = replace(desk, passwords=Counting(PasswordHasher(time_cost=1, memory_cost=64), seeded(1)))

    def cost(name):
        work.clear()
        before = rows(desk.store)
        Browser(counting).sign_in(name, "wrong")
        return list(work), {table: count - before[table] for table, count in rows(desk.store).items()}

    assert cost("ann") == cost("nobody") == cost("ann\nroot")
    assert cost("ann")[0] == ["compared"]


def rows(store):
    with store.engine.connect() as connection:
        return {name: len(connection.execute(select(table)).all()) for name, table in METADATA.tables.items()}


def test_nothing_that_was_typed_is_in_the_store(desk, browser, tmp_path):
    browser.sign_in("my secret typed in the wrong field", "and another secret here")
    browser.sign_in()
    token = browser.session
    desk.store.close()
    content = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    for secret in ("wrong field", "another secret", PASSWORD, token):
        # Bytes are kept as hexadecimal digits.
        for form in (secret.encode(), secret.encode().hex().encode()):
            assert form not in content
    assert b"argon2id" in content  # it is the store that was read


# Guessing


def test_guessing_at_one_name_from_many_addresses_is_held_up(desk, clock):
    taken = 0
    for number in range(FREE_BY_NAME + 20):
        reply = Browser(desk, address=f"198.51.100.{number}").sign_in(password=f"guess number {number}")
        taken += reply.status_code == 200
    assert taken == FREE_BY_NAME
    assert reply.status_code == 429
    assert int(reply.headers["retry-after"]) == 30
    owner = Browser(desk)
    assert owner.sign_in().status_code == 429  # the right password too, or it could be told from a wrong one
    clock.forward(seconds=31)
    assert owner.sign_in().status_code == 303


def test_an_unknown_name_is_held_up_alike(desk):
    replies = [Browser(desk, address=f"198.51.100.{n}").sign_in("nobody", "x") for n in range(FREE_BY_NAME + 1)]
    assert [reply.status_code for reply in replies] == [200] * FREE_BY_NAME + [429]


def test_guessing_at_many_names_from_one_address_is_held_up(desk):
    replies = [Browser(desk).sign_in(f"person{number}", "x") for number in range(FREE_BY_ADDRESS + 1)]
    assert [reply.status_code for reply in replies] == [200] * FREE_BY_ADDRESS + [429]
    assert Browser(desk, address="203.0.113.9").sign_in().status_code == 303


def test_signing_in_oneself_does_not_forgive_ones_address(desk):
    add_account(desk, "mallory")
    for number in range(FREE_BY_ADDRESS):
        Browser(desk).sign_in(f"person{number}", "x")
        assert number > 15 or Browser(desk).sign_in("mallory").status_code == 303
    assert Browser(desk).sign_in("person99", "x").status_code == 429


def test_many_tries_at_once_are_counted_one_by_one(desk):
    tokens = [(browser, browser.form_token()) for browser in (Browser(desk, address=f"10.0.0.{n}") for n in range(16))]

    def attempt(pair):
        browser, token = pair
        return browser.submit("/sign-in", token=token, name="ann", password="wrong").status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(attempt, tokens))
    assert statuses == [200] * FREE_BY_NAME + [429] * (16 - FREE_BY_NAME)


def test_a_try_that_must_wait_is_not_counted(desk, clock):
    for _ in range(FREE_BY_NAME + 10):
        Browser(desk).sign_in(password="wrong")
    with desk.store.engine.connect() as connection:
        assert len(connection.execute(select(sign_in_attempts)).all()) == FREE_BY_NAME


def test_guessing_at_the_password_of_an_open_browser_is_held_up(desk, browser):
    browser.sign_in()
    token = browser.form_token("/account")
    form = {"token": token, "password": NEW, "again": NEW}
    for _ in range(FREE_BY_NAME):
        assert "not your current password" in browser.submit("/account/password", current="wrong", **form).text
    assert "too many wrong tries" in browser.submit("/account/password", current=PASSWORD, **form).text


def test_a_full_house_is_said_and_not_held_against_anybody(desk, browser):
    with ExitStack() as stack:
        for _ in range(PLACES):
            stack.enter_context(desk.passwords.place())
        for _ in range(FREE_BY_NAME + 1):
            reply = browser.sign_in()
            assert reply.status_code == 503
            assert "Wait a little" in reply.text
        assert browser.send_code(CODE).status_code == 503
    assert browser.sign_in().status_code == 303


def test_places_are_given_back_also_after_a_wait(desk, browser):
    for _ in range(PLACES + FREE_BY_NAME + 1):
        reply = browser.sign_in(password="wrong")
    assert reply.status_code == 429


# Sessions


def test_a_session_that_was_planted_is_not_taken_over(desk):
    attacker, victim = Browser(desk), Browser(desk, address="192.0.2.2")
    add_account(desk, "mallory")
    attacker.sign_in("mallory")
    planted = attacker.session
    victim.cookies.set(sessions.COOKIE, planted, domain="pages.example")
    victim.submit("/sign-out", token=victim.form_token("/account"))
    victim.cookies.set(sessions.COOKIE, planted, domain="pages.example")
    assert victim.sign_in().status_code == 303
    assert victim.session != planted
    assert (victim.who(), attacker.who()) == ("ann", "")


def test_a_token_made_up_by_an_attacker_never_becomes_a_session(desk, browser):
    browser.cookies.set(sessions.COOKIE, "A" * 43, domain="pages.example")
    browser.sign_in()
    assert "A" * 43 not in browser.session
    assert Browser(desk).who() == ""


def test_signing_in_again_ends_the_session_before_it(desk, browser):
    browser.sign_in()
    first = browser.session
    token = sessions.new_token(desk.rng)
    browser.cookies.set(sessions.BEFORE, token, domain="pages.example")
    browser.submit("/sign-in", token=sessions.bound(token, "form"), name="ann", password=PASSWORD)
    assert browser.session != first
    assert desk.store.accounts.session(sessions.token_hash(first)) is None


@pytest.mark.parametrize("by", [{"minutes": 30}, {"minutes": -10}, {"days": -1}])
def test_a_session_ends_when_it_is_not_used_and_when_the_clock_is_set_back(desk, browser, clock, by):
    browser.sign_in()
    clock.forward(**by)
    assert browser.who() == ""


def test_a_session_ends_after_twelve_hours_in_any_case(browser, clock):
    browser.sign_in()
    for _ in range(29):
        clock.forward(minutes=24)
        assert browser.who() == "ann"
    clock.forward(minutes=24)
    assert browser.who() == ""


@pytest.mark.parametrize(
    "change",
    [
        lambda accounts: accounts.set_rights("ann", roles="observer", agreements="", by="x", now=NOW),
        lambda accounts: accounts.set_state("ann", "locked", by="x", now=NOW),
        lambda accounts: accounts.set_state("ann", "removed", by="x", now=NOW),
    ],
)
def test_a_right_taken_away_is_gone_at_the_next_page(desk, browser, change):
    browser.sign_in()
    assert browser.who() == "ann"
    change(desk.store.accounts)
    assert browser.who() == ""


def test_a_session_of_a_locked_account_is_worth_nothing_even_if_it_were_still_there(desk, browser):
    browser.sign_in()
    with desk.store.engine.begin() as connection:
        connection.execute(update(accounts).values(state="locked"))
    assert len(desk.store.accounts.sessions_of("ann")) == 1
    assert browser.who() == ""


def test_an_operator_sees_no_agreement_by_being_one(desk, browser):
    desk.store.accounts.set_rights("ann", roles="operator", agreements="north-east", by="x", now=NOW)
    browser.sign_in()
    assert browser.read("/").text.split("|")[1:3] == ["operator", ""]


def test_signing_out_everywhere(desk, browser):
    other = Browser(desk, address="192.0.2.2")
    browser.sign_in()
    other.sign_in()
    page = browser.read("/account").text
    assert "192.0.2.1 (this browser)" in page
    assert "192.0.2.2" in page
    browser.submit("/account/sign-out-everywhere", token=browser.form_token("/account"))
    assert (browser.who(), other.who()) == ("", "")


def test_changing_the_password_ends_the_other_sessions_and_renews_this_one(desk, browser):
    other = Browser(desk, address="192.0.2.2")
    browser.sign_in()
    other.sign_in()
    before = browser.session
    token = browser.form_token("/account")
    for form, said in (
        ({"current": PASSWORD, "password": "short", "again": "short"}, "12 characters or more"),
        ({"current": PASSWORD, "password": NEW, "again": NEW + "s"}, "not the same"),
        ({"current": "wrong", "password": NEW, "again": NEW}, "not your current password"),
    ):
        assert said in browser.submit("/account/password", token=token, **form).text
    reply = browser.submit("/account/password", token=token, current=PASSWORD, password=NEW, again=NEW)
    assert reply.status_code == 303
    assert (browser.who(), other.who()) == ("ann", "")
    assert browser.session != before
    assert WRONG in other.sign_in().text
    assert other.sign_in(password=NEW).status_code == 303


def test_the_account_page_is_for_whoever_is_signed_in(browser):
    assert browser.read("/account").headers["location"] == "/sign-in?next=/account"
    assert browser.submit("/sign-out", token="").status_code == 403


def test_a_password_that_is_reset_while_it_is_changed_stays_reset(desk, browser, monkeypatch):
    """The operator resets it because somebody else knows it: who changes it at that moment must not win."""
    browser.sign_in()
    form = {"token": browser.form_token("/account"), "current": PASSWORD, "password": NEW, "again": NEW}
    compared = type(desk.passwords).matches

    def reset_meanwhile(self, kept, password):
        right = compared(self, kept, password)
        give_code(desk)
        return right

    monkeypatch.setattr(type(desk.passwords), "matches", reset_meanwhile)
    reply = browser.submit("/account/password", **form)
    monkeypatch.undo()
    assert (reply.status_code, reply.headers["location"]) == (303, "/sign-in?next=/account")
    assert desk.store.accounts.get("ann").password_hash is None
    assert browser.who() == ""
    assert Browser(desk).sign_in(password=NEW).status_code == 200


def test_a_password_kept_under_weaker_parameters_is_kept_anew(desk, browser):
    strong = replace(desk, passwords=Passwords(PasswordHasher(time_cost=2, memory_cost=64, parallelism=1), seeded(4)))
    assert "t=1" in desk.store.accounts.get("ann").password_hash
    assert Browser(strong).sign_in().status_code == 303
    assert "t=2" in desk.store.accounts.get("ann").password_hash
    assert Browser(strong).sign_in().status_code == 303


# Forms of others


FORMS = ["/sign-in", "/set-password", "/sign-out", "/account/password", "/account/sign-out-everywhere"]


@pytest.mark.parametrize("path", FORMS)
def test_a_form_with_the_token_of_another_session_is_refused(desk, browser, path):
    other = Browser(desk, address="192.0.2.2")
    add_account(desk, "mallory")
    other.sign_in("mallory")
    browser.sign_in()
    for stolen in (other.form_token("/account"), Browser(desk).form_token(), "", "x"):
        form = {"token": stolen, "name": "mallory", "password": PASSWORD, "code": CODE}
        assert browser.submit(path, **form).status_code == 403
    assert browser.who() == "ann"


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "headers", [{}, {"origin": "https://evil.example"}, {"origin": OWN, "sec-fetch-site": "cross-site"}]
)
def test_a_form_from_another_site_is_refused_even_with_the_right_token(desk, browser, path, headers):
    browser.sign_in()
    token = browser.form_token("/account")
    assert browser.submit(path, headers=headers, token=token).status_code == 403
    assert browser.who() == "ann"


def test_a_neighbours_cookie_signs_nobody_in(desk, browser):
    browser.sign_in()
    neighbour = Browser(desk)
    for name in ("session", "__Secure-session", "__host-session"):
        neighbour.cookies.set(name, browser.session, domain="pages.example")
    assert neighbour.who() == ""


def test_a_form_that_is_too_long_is_refused(browser):
    token = browser.form_token()
    assert browser.submit("/sign-in", token=token, name="ann", password="x" * 20_000).status_code == 403
    fields = {f"f{number}": "x" for number in range(20)}
    assert browser.submit("/sign-in", token=token, **fields).status_code == 403


@pytest.mark.parametrize("path", [text for text in HOSTILE if text])
def test_signing_in_sends_nobody_elsewhere(browser, path):
    assert browser.sign_in(following=path).headers["location"] == "/"
    assert browser.get("/sign-in", params={"next": path}).headers["location"] == "/"


def test_no_header_is_made_of_what_was_typed(browser):
    reply = browser.sign_in(following="/a\r\nSet-Cookie: __Host-session=evil")
    assert [value for name, value in reply.headers.multi_items() if "evil" in value] == []


def test_what_was_typed_is_shown_as_text(browser):
    reply = browser.read('/sign-in?next=/"><script>alert(1)</script>')
    assert "<script" not in reply.text


# A first password


def test_a_code_gives_a_first_password_once(desk, browser):
    give_code(desk)
    assert WRONG in browser.sign_in().text  # the old password is gone
    form = {"name": "ann", "password": NEW, "again": NEW}

    def send(**changes):
        return browser.submit("/set-password", token=browser.form_token("/set-password"), **(form | changes))

    assert WRONG_CODE in send(code="wrong").text
    assert WRONG_CODE in send(code=CODE, name="nobody").text
    assert "12 characters" in send(code=CODE, password="short", again="short").text
    reply = send(code=CODE.lower().replace("-", " "))
    assert (reply.status_code, reply.headers["location"]) == (303, "/account")
    assert browser.who() == "ann"
    assert WRONG_CODE in Browser(desk, address="192.0.2.2").send_code(CODE).text


@pytest.mark.parametrize(
    ("by", "good"), [(timedelta(minutes=59), True), (timedelta(minutes=61), False), (-timedelta(hours=1), False)]
)
def test_a_code_is_good_for_an_hour_and_not_before_it_was_made(desk, clock, browser, by, good):
    give_code(desk)
    clock.now += by
    reply = browser.send_code(CODE)
    assert reply.status_code == (303 if good else 200)


def test_guessing_at_a_code_is_held_up(desk):
    give_code(desk)
    for number in range(FREE_BY_NAME):
        Browser(desk, address=f"198.51.100.{number}").send_code("wrong")
    assert Browser(desk).send_code(CODE).status_code == 429
