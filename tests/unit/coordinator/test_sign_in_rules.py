"""The rules of signing in, without store or network: passwords, waits, sessions, forms and where one is sent."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher

from coordinator.settings import OpenIdSettings
from coordinator.sign_in import sessions
from coordinator.sign_in.limits import FREE_BY_ADDRESS, FREE_BY_NAME, LONGEST_WAIT, wait_until
from coordinator.sign_in.names import check_name, named_like_an_account, network_of, pigeonhole
from coordinator.sign_in.passwords import Passwords, check_password
from coordinator.sign_in.same_origin import NotFromHere, check_same_origin, own_path
from coordinator.store import SessionRow
from federated.errors import QueryError
from tests.integration.coordinator_federation import seeded

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
OWN = "https://pages.example"


# Names


@pytest.mark.parametrize("name", ["ann", "ann.smith", "a1", "x-y_z", "a" * 30])
def test_a_name_that_can_stand_in_a_log(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "a", "Ann", "ann smith", "ann\nroot", "ann\r\nSet-Cookie: x", "ann@host", "é", ".ann", "public", "a" * 31],
)
def test_a_name_that_could_be_read_as_something_else(name):
    assert not named_like_an_account(name)
    with pytest.raises(QueryError):
        check_name(name)


def test_of_a_name_that_was_tried_little_is_kept():
    assert len(pigeonhole("correct horse battery staple")) == 4
    assert pigeonhole("ann") != pigeonhole("bob")


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("2001:db8:1:3::9", "2001:db8:1:3::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("testclient", "unknown"),
        ("", "unknown"),
    ],
)
def test_where_tries_come_from(address, counted):
    assert network_of(address) == counted


# Passwords


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "three random words", "áéíóú ñandú llama", "7 ducks on a pond", "vK3#pLq9!mZx"],
)
def test_a_password_that_is_long_is_taken_whatever_its_characters(password):
    check_password(password, account="ann.smith")


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "Password2026!",
        "passwordpassword",
        "123456789012",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "qwertyuiop12",
        "Homelessness2026",
        "councilcouncil1",
        "ann.smith.2026",
        "annsmithann1",
        "Welcome123456",
        "121212121212",
    ],
)
def test_a_password_that_is_tried_first_is_not(password):
    with pytest.raises(QueryError, match="tried first"):
        check_password(password, account="ann.smith")


@pytest.mark.parametrize(("password", "sentence"), [("short words", "12 characters or more"), ("ab cd" * 101, "500")])
def test_a_password_of_the_wrong_length_is_not(password, sentence):
    with pytest.raises(QueryError, match=sentence) as problem:
        check_password(password, account="ann")
    assert password not in problem.value.diagnostics()


@pytest.fixture(scope="module")
def passwords():
    return Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1), seeded(1))


def test_a_password_is_known_again_by_its_hash_alone(passwords):
    kept = passwords.hash("correct horse battery")
    assert kept.startswith("$argon2id$")
    assert "horse" not in kept
    assert kept != passwords.hash("correct horse battery")
    assert passwords.matches(kept, "correct horse battery")
    assert not passwords.matches(kept, "correct horse batterie")
    assert not passwords.matches("nonsense", "correct horse battery")


def test_the_same_letters_typed_otherwise_are_the_same_password(passwords):
    assert passwords.matches(passwords.hash("caf\u00e9 au lait noir"), "cafe\u0301 au lait noir")


def test_without_a_hash_the_work_is_the_same_and_the_answer_no():
    done = []

    class Counting(PasswordHasher):
        def verify(self, kept, password):
            done.append(kept)
            return super().verify(kept, password)

    counting = Passwords(Counting(time_cost=1, memory_cost=64, parallelism=1), seeded(2))
    assert not counting.matches(None, "correct horse battery")
    assert not counting.matches(counting.hash("another horse battery"), "correct horse battery")
    assert len(done) == 2
    assert done[0].split("$")[:4] == done[1].split("$")[:4]  # the same algorithm and parameters
    assert not counting.matches(None, counting._nobodys)


def test_the_parameters_are_those_of_the_standard():
    made = PasswordHasher()
    assert (made.time_cost, made.memory_cost, made.parallelism) == (3, 65_536, 4)  # RFC 9106, 4, second choice


def test_a_hash_under_weaker_parameters_is_found(passwords):
    weak = Passwords(PasswordHasher(time_cost=1, memory_cost=32, parallelism=1), seeded(3))
    assert passwords.is_weaker(weak.hash("correct horse battery"))
    assert not passwords.is_weaker(passwords.hash("correct horse battery"))


# Waits


def wrong(count, last=NOW):
    return [(last - (count - 1 - number) * SECOND, False) for number in range(count)]


def test_a_few_wrong_passwords_are_free_and_then_the_wait_doubles_up_to_its_limit():
    waits = [wait_until(wrong(count), [], NOW) for count in range(FREE_BY_NAME + 10)]
    assert waits[:FREE_BY_NAME] == [None] * FREE_BY_NAME
    seconds = [(until - NOW).total_seconds() for until in waits[FREE_BY_NAME:]]
    assert seconds[:5] == [30, 60, 120, 240, 480]
    assert set(seconds[5:]) == {LONGEST_WAIT.total_seconds()}


def test_the_wait_ends():
    tries = wrong(FREE_BY_NAME)
    assert wait_until(tries, [], NOW + 29 * SECOND) is not None
    assert wait_until(tries, [], NOW + 30 * SECOND) is None


def test_a_right_password_forgives_its_name_and_not_its_address():
    tries = [*wrong(FREE_BY_NAME, NOW - SECOND), (NOW, True)]
    assert wait_until(tries, [], NOW) is None
    many = [*wrong(FREE_BY_ADDRESS, NOW - SECOND), (NOW, True)]
    assert wait_until([], many, NOW) is not None


def test_an_address_is_forgiven_after_an_hour():
    assert wait_until([], wrong(FREE_BY_ADDRESS), NOW) is not None
    assert wait_until([], wrong(FREE_BY_ADDRESS, NOW - timedelta(hours=2)), NOW) is None


def test_a_clock_set_back_forgives_nothing():
    ahead = NOW + timedelta(hours=3)
    assert wait_until(wrong(FREE_BY_NAME, ahead), [], NOW) == ahead + 30 * SECOND
    assert wait_until([], wrong(FREE_BY_ADDRESS, ahead), NOW) is not None


# Sessions


def session(**changes):
    row = SessionRow(token_hash=bytes(32), account="ann", address="192.0.2.1", started_at=NOW, seen_at=NOW)
    return replace(row, **changes)


@pytest.mark.parametrize(
    ("started", "seen", "now", "live"),
    [
        (0, 0, 0, True),
        (0, 0, 30 * 60 - 1, True),
        (0, 0, 30 * 60, False),
        (0, 12 * 3600 - 60, 12 * 3600 - 1, True),
        (0, 12 * 3600 - 60, 12 * 3600, False),
        (0, 0, -30, True),  # a clock a little behind
        (0, 0, -3600, False),  # set back: the session comes from the future
        (-3600, 0, -1800, False),  # and so does its last use
    ],
)
def test_how_long_a_session_lasts(started, seen, now, live):
    row = session(started_at=NOW + started * SECOND, seen_at=NOW + seen * SECOND)
    assert sessions.is_live(row, NOW + now * SECOND) is live


def test_a_token_is_256_random_bits_and_only_its_hash_is_kept():
    token = sessions.new_token(lambda size: bytes(range(size)))
    assert len(token) == 43
    assert sessions.token_hash(token) != sessions.token_hash(token[:-1] + "A")


def test_a_forms_token_is_bound_to_the_browser_and_the_purpose():
    made = sessions.bound("mine", "form")
    sessions.check_bound(made, "mine", "form")
    assert "mine" not in made
    for given, token, purpose in (
        (made, "theirs", "form"),
        (made, "mine", "other"),
        (made, None, "form"),
        ("", "mine", "form"),
        ("é", "mine", "form"),
    ):
        with pytest.raises(NotFromHere):
            sessions.check_bound(given, token, purpose)


def test_the_cookie_is_for_this_host_over_tls_and_no_script():
    made = sessions.set_cookie(sessions.COOKIE, "abc")
    assert made == "__Host-session=abc; Path=/; Secure; HttpOnly; SameSite=Lax"
    assert "Max-Age=0" in sessions.clear_cookie(sessions.COOKIE)


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ([(b"cookie", b"a=1; __Host-session=abc")], "abc"),
        ([(b"cookie", b"a=1"), (b"Cookie", b"__Host-session=abc")], "abc"),
        ([(b"cookie", b"session=neighbour")], None),
        ([(b"cookie", b"__Host-session=abc; __Host-session=neighbour")], None),
        ([(b"cookie", b"__host-session=neighbour")], None),
        ([(b"cookie", b"x=__Host-session=neighbour")], None),
        ([], None),
    ],
)
def test_a_cookie_that_a_neighbour_set_is_not_taken(headers, value):
    assert sessions.cookie_value(headers, sessions.COOKIE) == value


# Where a request comes from and goes to


@pytest.mark.parametrize(
    "headers",
    [
        [(b"origin", OWN.encode())],
        [(b"sec-fetch-site", b"same-origin")],
        [(b"Origin", OWN.encode()), (b"Sec-Fetch-Site", b"same-origin")],
    ],
)
def test_a_form_of_our_pages_is_taken(headers):
    check_same_origin("POST", headers, OWN)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"origin", b"https://evil.example")],
        [(b"origin", b"null")],
        [(b"origin", b"http://pages.example")],
        [(b"origin", b"https://pages.example:444")],
        [(b"origin", b"https://pages.example.evil.example")],
        [(b"origin", OWN.encode()), (b"origin", b"https://evil.example")],
        [(b"sec-fetch-site", b"same-site")],
        [(b"sec-fetch-site", b"cross-site")],
        [(b"sec-fetch-site", b"none")],
        [(b"origin", OWN.encode()), (b"sec-fetch-site", b"same-site")],
        [(b"referer", OWN.encode() + b"/account")],
    ],
)
def test_a_form_of_another_site_is_not(headers):
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        with pytest.raises(NotFromHere):
            check_same_origin(method, headers, OWN)
    check_same_origin("GET", headers, OWN)  # reading is for the pages to decide


@pytest.mark.parametrize("path", ["/", "/budgets", "/releases/ab12?page=2", "/?page=2", "/a/b-c/d_e.csv"])
def test_one_is_sent_to_paths_of_ours(path):
    assert own_path(path) == path


HOSTILE = [
    "",
    "budgets",
    "https://evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/%2fevil.example",
    "/%5cevil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/\tevil",
    "/\r\nSet-Cookie: __Host-session=x",
    "/a\nLocation: https://evil.example",
    "/a%0d%0aX: y",
    "/a#//evil",
    "/@evil.example",
    "/a?x=<script>",
    "javascript:alert(1)",
    " /budgets",
    "/budgets ",
    "/ｅvil",
    "/" + "a" * 600,
]


@pytest.mark.parametrize("path", HOSTILE)
def test_one_is_never_sent_elsewhere(path):
    assert own_path(path) == "/"


def test_no_short_text_leads_elsewhere():
    for letters in itertools.product("/\\.%@:a?\n\t", repeat=5):
        found = own_path("/" + "".join(letters))
        assert found == "/" or (found[:2] not in {"//", "/\\", "/.", "/%"} and not {"\\", "\n", "\t", "@"} & set(found))


# Settings


def test_the_settings_know_the_roles_of_the_pages():
    from typing import get_args

    from coordinator.console.visitor import Role
    from coordinator.settings import RoleName

    assert set(get_args(RoleName)) == set(Role)


@pytest.mark.parametrize("issuer", ["https://login.example", "https://login.example/realms/a", "http://127.0.0.1:3000"])
def test_an_issuer_is_named_over_tls_or_on_this_computer(issuer):
    assert OpenIdSettings(issuer=issuer, client_id="x", client_secret_file="s", roles={"a": "analyst"}).issuer == issuer


@pytest.mark.parametrize(
    "issuer", ["http://login.example", "https://u:p@login.example", "https://a/?x=1", "ftp://a", "https://a\n"]
)
def test_no_other_issuer(issuer):
    with pytest.raises(ValueError, match="pattern"):
        OpenIdSettings(issuer=issuer, client_id="x", client_secret_file="s", roles={"a": "analyst"})
