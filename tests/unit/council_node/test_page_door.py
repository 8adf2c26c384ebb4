"""The one way into the pages: every guard by itself keeps a request out that would otherwise be let in."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from council_node.page.door import COOKIE, TICKET_MINUTES, Closed, Door, Visit
from federated.pages import HEADERS

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
PORT = 45001
HOST = f"127.0.0.1:{PORT}"
OWN = f"http://{HOST}"


def new_door():
    return Door.make(os.urandom, port=PORT, now=NOW)


def ticket_of(door):
    return door.address().rpartition("/")[2]


@pytest.fixture
def opened():
    """A door that somebody went through, and the cookie they have."""
    door = new_door()
    return door, door.enter(ticket_of(door), NOW).partition(";")[0]


def visit(door, own_cookie, *, method="GET", path="", peer="127.0.0.1", **headers):
    """A request as a browser sends it; a header given as None is left out."""
    usual = {"host": HOST, "cookie": own_cookie, "sec-fetch-site": "same-origin", "sec-fetch-dest": "document"}
    usual |= {name.replace("_", "-"): value for name, value in headers.items()}
    found = tuple((name, value) for name, value in usual.items() if value is not None)
    return Visit(peer=peer, method=method, path=path or f"{door.base}/", headers=found)


@pytest.mark.parametrize(
    "usual",
    [
        {},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": None, "sec_fetch_dest": None},
        {"sec_fetch_dest": "style"},
        {"method": "POST", "origin": OWN},
        {"origin": OWN},
        {"method": "HEAD"},
    ],
)
def test_what_our_own_pages_and_their_reader_send_is_let_in(opened, usual):
    door, cookie = opened
    door.check(visit(door, cookie, **usual))


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"peer": "10.0.0.7"}, 403, "this computer"),
        ({"peer": "127.0.0.2"}, 403, "this computer"),
        ({"peer": ""}, 403, "this computer"),
        ({"x_forwarded_for": "10.0.0.7"}, 403, "proxy"),
        ({"forwarded": "for=10.0.0.7"}, 403, "proxy"),
        ({"via": "1.1 relay"}, 403, "proxy"),
        ({"host": "evil.example"}, 421, "at 127.0.0.1"),
        ({"host": f"localhost:{PORT}"}, 421, "at 127.0.0.1"),
        ({"host": "127.0.0.1"}, 421, "at 127.0.0.1"),
        ({"host": f"evil.example:{PORT}"}, 421, "at 127.0.0.1"),
        ({"host": None}, 421, "at 127.0.0.1"),
        ({"method": "PUT"}, 405, "read"),
        ({"method": "DELETE", "origin": OWN}, 405, "read"),
        ({"method": "OPTIONS", "origin": OWN}, 405, "read"),
        ({"origin": "https://evil.example"}, 403, "Another site"),
        ({"origin": "http://127.0.0.1:45002"}, 403, "Another site"),
        ({"origin": "null"}, 403, "Another site"),
        ({"method": "POST"}, 403, "Another site"),
        ({"method": "POST", "origin": "null"}, 403, "Another site"),
        ({"sec_fetch_site": "cross-site"}, 403, "led here"),
        ({"sec_fetch_site": "same-site"}, 403, "led here"),  # another port of this computer
        ({"sec_fetch_dest": "iframe"}, 403, "inside others"),
        ({"sec_fetch_dest": "script"}, 403, "inside others"),
        ({"sec_fetch_dest": "empty"}, 403, "inside others"),
        ({"sec_purpose": "prefetch;prerender"}, 403, "ahead"),
        ({"purpose": "prefetch"}, 403, "ahead"),
        ({"path": "/"}, 404, "no page"),
        ({"path": "/0123456789abcdef0123456789abcdef/"}, 404, "no page"),
        ({"cookie": None}, 403, "person who started"),
        ({"cookie": f"{COOKIE}="}, 403, "person who started"),
        ({"cookie": f"{COOKIE}={'0' * 64}"}, 403, "person who started"),
    ],
)
def test_each_guard_alone_keeps_a_request_out(opened, change, status, words):
    door, cookie = opened
    with pytest.raises(Closed, match=words) as closed:
        door.check(visit(door, cookie, **change))
    assert closed.value.status == status


def test_two_hosts_in_one_request_are_refused(opened):
    door, cookie = opened
    usual = visit(door, cookie)
    with pytest.raises(Closed, match=r"at 127\.0\.0\.1"):
        door.check(replace(usual, headers=(*usual.headers, ("host", "evil.example"))))


def test_a_cookie_of_the_same_name_from_another_port_neither_opens_nor_closes(opened):
    door, cookie = opened
    door.check(visit(door, f"{COOKIE}=planted; {cookie}"))
    door.check(visit(door, f"{cookie}; {COOKIE}=planted"))
    with pytest.raises(Closed):
        door.check(visit(door, f"{COOKIE}=planted"))


def test_the_ticket_is_good_once():
    door = new_door()
    door.enter(ticket_of(door), NOW)
    with pytest.raises(Closed, match="used before"):
        door.enter("0" * 64, NOW)
    other = new_door()
    ticket = ticket_of(other)
    other.enter(ticket, NOW)
    with pytest.raises(Closed, match="used before"):
        other.enter(ticket, NOW)


@pytest.mark.parametrize(("late", "wrong"), [(True, False), (False, True)])
def test_a_ticket_that_is_late_or_wrong_lets_nobody_in_and_stays_unused(late, wrong):
    door = new_door()
    ticket = ticket_of(door)
    with pytest.raises(Closed, match="wrong or more than"):
        door.enter("é" if wrong else ticket, NOW + timedelta(minutes=TICKET_MINUTES, seconds=late))
    door.enter(ticket, NOW + timedelta(minutes=TICKET_MINUTES))


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", "open/"),
        ("GET", "open/one/two"),
        ("GET", "open"),
        ("POST", "open/one"),
        ("HEAD", "open/one"),
        ("GET", "open/../questions"),
    ],
)
def test_without_the_cookie_nothing_but_a_ticket_gets_past_the_door(opened, method, rest):
    """Whoever saw the address after it was used would be shown a page with the council's name on it."""
    door, _ = opened
    with pytest.raises(Closed, match="for the person who started it"):
        door.check(visit(door, None, method=method, origin=OWN, path=f"{door.base}/{rest}"))
    door.check(visit(door, None, path=f"{door.base}/open/one"))


def test_before_the_ticket_was_taken_the_cookie_is_worth_nothing():
    door, twin = new_door(), new_door()
    cookie = f"{COOKIE}={door._session}"
    with pytest.raises(Closed, match="person who started"):
        door.check(visit(door, cookie))
    door.enter(ticket_of(door), NOW)
    door.check(visit(door, cookie))
    assert twin._session != door._session


def test_the_cookie_stays_in_the_secret_folder_and_out_of_scripts_and_other_sites():
    door = new_door()
    parts = door.enter(ticket_of(door), NOW).split("; ")
    assert parts[1:] == [f"Path={door.base}/", "HttpOnly", "SameSite=Strict"]


def test_a_form_needs_the_token_of_this_door(opened):
    door, _ = opened
    door.check_form(door.form_token)
    for token in ("", "0" * 64, new_door().form_token, "é"):
        with pytest.raises(Closed, match="did not come from these pages"):
            door.check_form(token)


def test_no_secret_shows_when_the_door_is_printed():
    door = new_door()
    shown = repr(door)
    assert not any(secret in shown for secret in (door.place, door.form_token, door._session, ticket_of(door)))


def test_the_headers_allow_no_script_no_frame_no_copy():
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert HEADERS["Cache-Control"] == "no-store"
    assert not any("access-control" in name.lower() for name in HEADERS)
