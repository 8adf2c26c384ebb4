"""Signing in through a real OpenID Connect provider, and through one that lies."""

import json
from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from joserfc.jwk import RSAKey

from coordinator.sign_in import sessions
from coordinator.sign_in.limits import FREE_STARTS
from coordinator.sign_in.provider import ANSWER_LIMIT, Provider, open_provider
from coordinator.store import open_store
from federated.errors import FileProblem
from tests.integration.openid_keys import key_for, public, sign, signed_with_public_key, unsigned
from tests.integration.openid_process import BACK, SECRET, at_provider, provider_process, settings_for
from tests.integration.sign_in_site import OWN, Browser, Clock, audited, make_desk
from tests.unit.coordinator.test_sign_in_rules import HOSTILE

GROUPS = {"ann": ["analysts", "cleaners"], "bob": ["dpos"], "cem": ["cleaners"]}


@pytest.fixture
def clock():
    # The provider goes by the computer's clock.
    from federated.shell import now_utc

    return Clock(now_utc().replace(microsecond=0))


@pytest.fixture
def store(tmp_path):
    made = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    with provider_process(tmp_path_factory.mktemp("provider"), OWN, groups=GROUPS) as running:
        yield running


def desk_for(store, clock, settings, folder):
    (folder / "secret").write_text(SECRET + "\n", encoding="utf-8")
    placed = settings.model_copy(update={"client_secret_file": str(folder / "secret")})
    return make_desk(store, clock=clock, provider=open_provider(placed, own=OWN, clock=clock))


@pytest.fixture
def desk(store, clock, issuer, tmp_path):
    return desk_for(store, clock, settings_for(issuer), tmp_path)


@pytest.fixture
def browser(desk):
    return Browser(desk)


def go(browser, login="ann", following="/budgets"):
    """Everything up to the address that the provider sends the browser back to."""
    left = browser.read("/sign-in/openid", params={"next": following})
    assert left.status_code == 303, left.text
    return at_provider(left.headers["location"], login, OWN)


def come_back(browser, address):
    return browser.get(address, headers={"sec-fetch-site": "cross-site"})


# The real one


def test_signing_in_through_the_provider(store, browser):
    reply = come_back(browser, go(browser))
    assert (reply.status_code, reply.headers["location"]) == (303, "/budgets")
    name, roles, agreements, _ = browser.read("/").text.split("|")
    assert name.startswith("ann@127.0.0.1:")
    assert (roles, agreements) == ("analyst", "north-east")
    assert browser.cookies.get(sessions.BEFORE) in {None, ""}
    assert [operation for _, operation, _, _ in audited(store)] == ["add account", "sign in"]


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_the_other_algorithms(store, clock, tmp_path, algorithm):
    with provider_process(tmp_path, OWN, algorithm=algorithm, groups=GROUPS) as running:
        browser = Browser(desk_for(store, clock, settings_for(running), tmp_path))
        assert come_back(browser, go(browser, "bob")).status_code == 303
        assert browser.read("/").text.split("|")[1] == "reviewer"


def test_whoever_has_no_role_is_not_let_in_and_leaves_no_account(store, browser):
    for login in ("cem", "nobody"):
        reply = come_back(browser, go(browser, login))
        assert reply.status_code == 403
        assert "no role here" in reply.text
        assert browser.who() == ""
    assert store.accounts.all() == ()
    assert {outcome for _, _, outcome, _ in audited(store)} == {"refused"}


def test_a_role_taken_away_at_the_provider_ends_what_is_open(store, clock, issuer, tmp_path, browser):
    come_back(browser, go(browser, "bob"))
    assert browser.who() != ""
    # As if the group had been taken away there: the same person, and settings in which the group gives nothing.
    fewer = Browser(desk_for(store, clock, settings_for(issuer, roles={"analysts": "analyst"}), tmp_path))
    assert come_back(fewer, go(fewer, "bob")).status_code == 403
    assert (browser.who(), fewer.who()) == ("", "")


def test_a_locked_account_is_not_let_in_by_the_provider(store, clock, browser):
    come_back(browser, go(browser))
    name = browser.who()
    store.accounts.set_state(name, "locked", by="command line", now=clock())
    assert come_back(browser, go(browser)).status_code == 403
    assert browser.who() == ""


def test_a_session_that_was_planted_is_not_taken_over(desk, browser):
    planted = sessions.new_token(desk.rng)
    browser.cookies.set(sessions.COOKIE, planted, domain="pages.example")
    come_back(browser, go(browser))
    assert browser.session != planted
    assert browser.who().startswith("ann@")


def test_what_came_back_is_good_once(store, browser):
    address = go(browser)
    before = browser.cookies.get(sessions.BEFORE)
    assert come_back(browser, address).status_code == 303
    # The same address, in the same browser as it was before.
    browser.cookies.clear()
    browser.cookies.set(sessions.BEFORE, before, domain="pages.example")
    reply = come_back(browser, address)
    assert reply.status_code == 403
    assert "Start again" in reply.text
    assert browser.who() == ""


def test_a_code_is_good_once_also_under_a_new_state(browser):
    used = parse_qs(urlsplit(go(browser)).query)
    come_back(browser, f"{BACK}?{urlencode(used, doseq=True)}")
    browser.submit("/sign-out", token=browser.form_token("/account"))
    state = parse_qs(urlsplit(browser.read("/sign-in/openid").headers["location"]).query)["state"]
    reply = come_back(browser, f"{BACK}?{urlencode(used | {'state': state}, doseq=True)}")
    assert reply.status_code == 502
    assert browser.who() == ""


def test_sign_ins_that_never_come_back_are_held_up_by_address(desk, browser):
    """Each is kept for a while, and of too many the oldest are forgotten, which are other people's."""
    for _ in range(FREE_STARTS):
        assert browser.read("/sign-in/openid").status_code == 303
    held = browser.read("/sign-in/openid")
    assert held.status_code == 429
    assert int(held.headers["retry-after"]) > 0
    assert Browser(desk, address="198.51.100.7").read("/sign-in/openid").status_code == 303
    assert "wrong" in browser.sign_in("nobody").text  # passwords are counted apart
    desk.clock.forward(minutes=1)
    assert browser.read("/sign-in/openid").status_code == 303


def test_an_office_of_many_people_who_sign_in_is_not_held_up(desk, browser):
    for _ in range(FREE_STARTS - 1):
        browser.read("/sign-in/openid")
    for _ in range(3):
        assert come_back(browser, go(browser)).status_code == 303
    assert browser.read("/sign-in/openid").status_code == 303
    assert browser.read("/sign-in/openid").status_code == 429


def test_what_came_back_is_worth_nothing_in_another_browser(desk, browser):
    """The threat: an attacker signs in, stops before the end, and has the victim's browser end it."""
    address = go(browser)
    victim = Browser(desk, address="192.0.2.2")
    assert come_back(victim, address).status_code == 403
    victim.read("/sign-in/openid")
    assert come_back(victim, address).status_code == 403
    assert victim.who() == ""
    assert come_back(browser, address).status_code == 303  # and the attempt used nothing up


def test_a_code_of_another_browser_is_not_taken_with_ones_own_state(desk, browser):
    stolen = parse_qs(urlsplit(go(browser)).query)["code"]
    thief = Browser(desk, address="192.0.2.2")
    own = parse_qs(urlsplit(go(thief, "bob")).query)
    reply = come_back(thief, f"{BACK}?{urlencode(own | {'code': stolen}, doseq=True)}")
    assert reply.status_code == 502  # the provider refuses: the code is bound to the other browser (PKCE)
    assert thief.who() == ""


@pytest.mark.parametrize("by", [{"minutes": 11}, {"minutes": -5}])
def test_a_sign_in_that_took_too_long_is_over(browser, clock, by):
    address = go(browser)
    clock.forward(**by)
    assert come_back(browser, address).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"code": None},
        {"code": ""},
        {"error": "access_denied"},
        {"error": "<script>alert(1)</script>", "error_description": "<script>"},
        {"state": "x"},
        {"state": None},
    ],
    ids=str,
)
def test_an_answer_that_is_not_as_it_must_be(browser, changes):
    given = {name: values[0] for name, values in parse_qs(urlsplit(go(browser)).query).items()} | changes
    reply = come_back(browser, f"{BACK}?{urlencode({n: v for n, v in given.items() if v is not None})}")
    assert reply.status_code == 403
    assert "<script" not in reply.text
    assert browser.who() == ""


@pytest.mark.parametrize("path", [path for path in HOSTILE if path][:12])
def test_signing_in_sends_nobody_elsewhere(liar_and_browser, path):
    liar, browser = liar_and_browser
    assert come_back(browser, fake_go(browser, liar, following=path)).headers["location"] == "/"


def test_the_wrong_secret_is_refused_by_the_provider(store, clock, issuer, tmp_path):
    desk = desk_for(store, clock, settings_for(issuer), tmp_path)
    wrong = Provider(
        desk.provider.settings, client_secret="x", own=OWN, client=httpx.Client(trust_env=False), clock=clock
    )
    browser = Browser(replace(desk, provider=wrong))
    assert come_back(browser, go(browser)).status_code == 502


def test_nothing_secret_of_a_sign_in_under_way_is_in_the_store(store, browser, tmp_path):
    asked = parse_qs(urlsplit(browser.read("/sign-in/openid").headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["scope"] == ["openid"]
    token = browser.cookies.get(sessions.BEFORE)
    (state,) = asked["state"]
    store.close()
    content = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    for secret in (token, state, asked["nonce"][0], sessions.bound(token, f"code verifier {state}")):
        assert secret.encode() not in content
    assert sessions.token_hash(f"{state} {token}").hex().encode() in content


# One that lies


class Liar:
    """A provider whose every answer can be changed."""

    issuer = "https://login.example"

    def __init__(self, clock):
        self.clock = clock
        self.asked = []
        self.nonce = ""
        self.key = key_for("RS256")
        self.keys = public(self.key)
        self.metadata = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
        }
        self.claims = {}
        self.made = lambda claims: sign(claims, self.key)
        self.replies = {}

    def __call__(self, request):
        path = request.url.path
        self.asked.append(path)
        if path in self.replies:
            return self.replies[path]
        if path.endswith("openid-configuration"):
            return httpx.Response(200, json=self.metadata)
        if path == "/jwks":
            return httpx.Response(200, json={"keys": self.keys})
        at = int(self.clock().timestamp())
        claims = {"iss": self.issuer, "sub": "ann", "aud": "pages", "exp": at + 300, "iat": at, "nonce": self.nonce}
        token = self.made(claims | {"groups": ["analysts"]} | self.claims)
        return httpx.Response(200, json={"id_token": token, "access_token": "access", "token_type": "Bearer"})


def faking(store, clock):
    liar = Liar(clock)
    client = httpx.Client(transport=httpx.MockTransport(liar))
    provider = Provider(settings_for(liar.issuer), client_secret=SECRET, own=OWN, client=client, clock=clock)
    return make_desk(store, clock=clock, provider=provider), liar


def fake_go(browser, liar, following="/budgets"):
    left = browser.read("/sign-in/openid", params={"next": following})
    asked = parse_qs(urlsplit(left.headers["location"]).query)
    liar.nonce = asked["nonce"][0]
    return f"{BACK}?{urlencode({'code': 'c', 'state': asked['state'][0]})}"


@pytest.fixture
def liar_and_browser(store, clock):
    desk, liar = faking(store, clock)
    return liar, Browser(desk)


def test_a_liar_who_says_the_truth_is_believed(liar_and_browser):
    liar, browser = liar_and_browser
    assert come_back(browser, fake_go(browser, liar)).status_code == 303
    assert browser.who() == "ann@login.example"


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "of another sign-in"},
        {"aud": "another client"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"iat": 1},
        {"sub": ""},
    ],
    ids=str,
)
def test_a_lie_in_the_token_lets_nobody_in(liar_and_browser, lie):
    liar, browser = liar_and_browser
    liar.claims = lie
    reply = come_back(browser, fake_go(browser, liar))
    assert reply.status_code == 502
    assert (browser.who(), browser.session) == ("", None)


@pytest.mark.parametrize(
    "made",
    [
        lambda claims: unsigned(claims, kid="one"),
        lambda claims: signed_with_public_key(claims, key_for("RS256"), "pem"),
        lambda claims: sign(claims, RSAKey.generate_key(2048)),
        lambda _claims: "",
        lambda _claims: None,
    ],
)
def test_a_token_that_is_not_signed_by_the_provider_lets_nobody_in(liar_and_browser, made):
    liar, browser = liar_and_browser
    liar.made = made
    assert come_back(browser, fake_go(browser, liar)).status_code == 502
    assert browser.who() == ""


@pytest.mark.parametrize(
    ("path", "reply"),
    [
        ("/token", httpx.Response(400, json={"error": "invalid_grant"})),
        ("/token", httpx.Response(302, headers={"location": "https://evil.example/elsewhere"})),
        ("/token", httpx.Response(200, content=b"[" * 100_000)),
        ("/token", httpx.Response(200, json=["id_token"])),
        ("/token", httpx.Response(200, content=b" " * (ANSWER_LIMIT + 1))),
        ("/jwks", httpx.Response(200, json={"keys": "all"})),
        ("/jwks", httpx.Response(200, json={"keys": [{"kty": "RSA", "kid": "one", "n": "x", "e": "y"}]})),
        ("/jwks", httpx.Response(500)),
    ],
    ids=str,
)
def test_an_answer_of_another_form_lets_nobody_in(liar_and_browser, path, reply):
    liar, browser = liar_and_browser
    liar.replies[path] = reply
    assert come_back(browser, fake_go(browser, liar)).status_code == 502
    assert browser.who() == ""


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"issuer": "https://login.example/"},
        {"token_endpoint": "http://login.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": None},
        {"token_endpoint": "https://user:pass@login.example/token"},
        {"token_endpoint": "//login.example/token"},
    ],
    ids=str,
)
def test_metadata_that_leads_elsewhere_is_refused(liar_and_browser, metadata):
    liar, browser = liar_and_browser
    liar.metadata |= metadata
    reply = browser.read("/sign-in/openid")
    assert reply.status_code == 502
    assert "location" not in reply.headers


def test_an_answer_without_end_is_not_read_to_its_end(liar_and_browser, clock):
    liar, browser = liar_and_browser
    whole = json.dumps(liar.metadata).encode()
    for padding, status in ((ANSWER_LIMIT - len(whole), 303), (ANSWER_LIMIT, 502)):
        padded = httpx.Response(200, content=whole + b" " * padding)
        liar.replies["/.well-known/openid-configuration"] = padded
        clock.forward(hours=1)  # what was fetched is no longer fresh
        assert browser.read("/sign-in/openid").status_code == status


def test_a_provider_that_is_gone_is_one_sentence(store, clock):
    def gone(_request):
        raise httpx.ConnectError("no route to 10.1.2.3")

    client = httpx.Client(transport=httpx.MockTransport(gone))
    provider = Provider(settings_for("https://login.example"), client_secret="x", own=OWN, client=client, clock=clock)
    reply = Browser(make_desk(store, clock=clock, provider=provider)).read("/sign-in/openid")
    assert reply.status_code == 502
    assert "cannot be reached" in reply.text
    assert "10.1.2.3" not in reply.text


def test_a_new_key_is_fetched_when_a_token_names_it_and_not_more_often_than_each_minute(liar_and_browser, clock):
    liar, browser = liar_and_browser
    come_back(browser, fake_go(browser, liar))
    new = key_for("RS256", "two")
    liar.keys = public(new)
    liar.made = lambda claims: sign(claims, new, kid="two")
    assert come_back(browser, fake_go(browser, liar)).status_code == 502
    assert liar.asked.count("/jwks") == 1
    clock.forward(minutes=1)
    assert come_back(browser, fake_go(browser, liar)).status_code == 303
    assert liar.asked.count("/jwks") == 2
    assert liar.asked.count("/.well-known/openid-configuration") == 1


def test_the_pages_speak_to_the_provider_as_its_metadata_says(store, clock):
    desk, liar = faking(store, clock)
    liar.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    seen = []
    answer = liar.__call__
    desk.provider._client = httpx.Client(transport=httpx.MockTransport(lambda r: (seen.append(r), answer(r))[1]))
    browser = Browser(desk)
    come_back(browser, fake_go(browser, liar))
    (token,) = [request for request in seen if request.url.path == "/token"]
    form = parse_qs(token.content.decode())
    assert form["client_secret"] == [SECRET]
    assert "authorization" not in token.headers
    assert len(form["code_verifier"][0]) == 43


@pytest.mark.parametrize("content", [None, "", "  \n"])
def test_a_secret_that_is_not_there_is_named(tmp_path, clock, content):
    path = tmp_path / "secret"
    if content is not None:
        path.write_text(content)
    settings = settings_for("https://login.example", client_secret_file=str(path))
    with pytest.raises(FileProblem, match="secret"):
        open_provider(settings, own=OWN, clock=clock)
