"""Signing in as a person does, in a real browser: over TLS, with a provider and with a password, without scripts."""

import re
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import uvicorn
from playwright.sync_api import expect

from coordinator.sign_in import sessions
from coordinator.sign_in.provider import open_provider
from coordinator.store import open_store
from coordinator.tls import issue_certificate, make_authority, save_pair
from federated.demo.processes import wait_for
from federated.pages import HEADERS, stylesheet
from federated.shell import now_utc
from tests.e2e import browser_checks
from tests.e2e.browser_checks import faults, walk_with_keyboard
from tests.integration.openid_process import SECRET, provider_process, settings_for
from tests.integration.sign_in_site import CODE, PASSWORD, add_account, app_of, give_code, make_desk

DOMAIN = "council.example"
RESOLVED = f"--host-resolver-rules=MAP *.{DOMAIN} 127.0.0.1"
NEW = "seven ducks on a pond"


class Guarded:
    """Sends the headers that pages are served with, the content security policy among them."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def guarded(message):
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self.app(scope, receive, guarded if scope["type"] == "http" else send)


@contextmanager
def serving(app, listening, folder):
    authority = make_authority("Test", now=now_utc())
    made = issue_certificate(authority, [f"pages.{DOMAIN}"], now=now_utc())
    key, chain = folder / "key.pem", folder / "chain.pem"
    save_pair(made.key_pem, made.chain_pem, key_file=key, certificate_file=chain)
    config = uvicorn.Config(app, ssl_keyfile=key, ssl_certfile=chain, log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        wait_for("The pages", lambda: server.started, check=lambda: None, timeout_s=20)
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages and the provider, both on loopback."""
    folder = tmp_path_factory.mktemp("sign-in")
    listening = socket.create_server(("127.0.0.1", 0))
    own = f"https://pages.{DOMAIN}:{listening.getsockname()[1]}"
    store = open_store(f"sqlite:///{folder / 'store.db'}")
    secret = folder / "secret"
    secret.write_text(SECRET)
    with provider_process(folder, own, groups={"bob": ["dpos"]}) as issuer:
        settings = settings_for(issuer, client_secret_file=str(secret))
        provider = open_provider(settings, own=own, clock=now_utc)
        desk = make_desk(store, clock=now_utc, own=own, provider=provider)
        add_account(desk)
        add_account(desk, "cem", password=None)
        with serving(Guarded(app_of(desk, stylesheet())), listening, folder):
            yield desk
    store.close()


@pytest.fixture(scope="module")
def chromium():
    with browser_checks.chromium(RESOLVED) as found:
        yield found


@pytest.fixture
def context(chromium):
    made = chromium.new_context(ignore_https_errors=True, java_script_enabled=False)
    yield made
    made.close()


def who(tab, site):
    return tab.goto(f"{site.own}/").text().split("|")[0]


def sign_in(tab, site, *, password=PASSWORD, following="/account"):
    tab.goto(f"{site.own}/sign-in?next={following}")
    tab.get_by_label("Name of your account").fill("ann")
    tab.get_by_label("Password").fill(password)
    tab.get_by_role("button", name="Sign in", exact=True).click()


def test_with_a_password(site, context):
    tab = context.new_page()
    sign_in(tab, site, password="quite another")
    expect(tab).to_have_title(re.compile("^Error: "))
    tab.get_by_role("link", name="Your name or your password is wrong").click()
    assert tab.url.endswith("#name")
    sign_in(tab, site)
    assert tab.url == f"{site.own}/account"
    (cookie,) = [one for one in context.cookies() if one["name"] == sessions.COOKIE]
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, True, "Lax", "/")
    assert sessions.BEFORE not in {one["name"] for one in context.cookies()}
    tab.get_by_role("button", name="Sign out", exact=True).click()
    assert who(tab, site) == ""


def test_with_the_provider(site, context):
    tab = context.new_page()
    tab.goto(f"{site.own}/sign-in?next=/account")
    tab.get_by_role("button", name="Sign in with your organisation").click()
    assert tab.url.startswith(site.provider.settings.issuer)
    tab.get_by_label("Login").fill("bob")
    tab.get_by_role("button", name="Continue").click()
    assert tab.url == f"{site.own}/account"
    assert who(tab, site).startswith("bob@127.0.0.1:")


def test_with_a_code(site, context):
    give_code(site, "cem")
    tab = context.new_page()
    tab.goto(f"{site.own}/set-password")
    tab.get_by_label("Name of your account").fill("cem")
    tab.get_by_label("Code").fill(CODE)
    tab.get_by_label("New password", exact=True).fill(NEW)
    tab.get_by_label("New password again").fill(NEW)
    tab.get_by_role("button", name="Set password and sign in").click()
    assert tab.url == f"{site.own}/account"
    assert who(tab, site) == "cem"


class Neighbour(BaseHTTPRequestHandler):
    """Another server under the same domain: browsers let it set cookies for the whole domain."""

    def do_GET(self):
        self.send_response(200)
        for name in (sessions.COOKIE, "session"):
            for attributes in ("", "; Path=/; Secure"):
                self.send_header("Set-Cookie", f"{name}=planted; Domain={DOMAIN}{attributes}")
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        action = f"{self.server.target}/account/sign-out-everywhere"
        form = f'<form method="post" action="{action}"><input name="token" value="{self.server.token}"><button>Go</button></form>'
        self.wfile.write(f"<!doctype html><title>Neighbour</title>{form}".encode())

    def log_message(self, *arguments):
        pass


def test_a_neighbour_can_neither_plant_a_session_nor_send_a_form(site, context):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Neighbour)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        tab, neighbour = context.new_page(), f"http://neighbour.{DOMAIN}:{server.server_port}/"
        server.target, server.token = site.own, ""
        # Before anybody has signed in no cookie of ours is in the way: the name alone keeps another's out.
        tab.goto(neighbour)
        assert {one["name"] for one in context.cookies(site.own)} == {"session"}
        sign_in(tab, site)
        ours = [one["value"] for one in context.cookies() if one["name"] == sessions.COOKIE]
        # Even with a form token that it should never have.
        server.token = sessions.bound(ours[0], "form")
        tab.goto(neighbour)
        sent = {one["name"]: one["value"] for one in context.cookies(site.own)}
        assert sent == {"session": "planted", sessions.COOKIE: ours[0]}
        with tab.expect_response(f"{site.own}/**") as answered:
            tab.get_by_role("button", name="Go").click()
        assert answered.value.status == 403
        assert who(tab, site) == "ann"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def test_a_token_is_made_copied_once_and_taken_back(site, context):
    tab = context.new_page()
    sign_in(tab, site, following="/account/tokens")
    tab.get_by_role("button", name="Make a token").press("Enter")
    expect(tab).to_have_title(re.compile("^Error: "))
    tab.get_by_label("What is it for?").fill("Monthly report")
    tab.get_by_label("For how many days?").fill("30")
    tab.get_by_label("Read what you may see").check()
    tab.get_by_role("button", name="Make a token").press("Enter")
    made = tab.locator("#made").inner_text()
    assert tab.get_by_role("row").filter(has_text="Monthly report").count() == 1
    tab.goto(f"{site.own}/account/tokens")
    assert made not in tab.content()
    tab.get_by_role("button", name="Take back Monthly report").press("Enter")
    assert tab.get_by_role("button", name="Take back").count() == 0


def test_the_page_of_tokens_passes_the_checker_and_can_be_walked_with_the_keyboard(site, chromium):
    context = chromium.new_context(ignore_https_errors=True, bypass_csp=True)
    tab = context.new_page()
    sign_in(tab, site, following="/account/tokens")
    for fill in ("", "Monthly report"):  # what is wrong first, then a token with its place in the list
        tab.get_by_label("What is it for?").fill(fill)
        tab.get_by_label("For how many days?").fill("30")
        tab.get_by_label("Read what you may see").check()
        tab.get_by_role("button", name="Make a token").click()
        expect(tab).to_have_title(re.compile("^(?!Error: )" if fill else "^Error: "))
        assert faults(tab) == []
        tab.locator("body").focus()
        assert walk_with_keyboard(tab) > 6
    context.close()


@pytest.mark.drawn(2)
@pytest.mark.parametrize("path", ["/sign-in", "/set-password", "/account", "/sign-in/openid/back"])
def test_the_pages_pass_the_checker_fit_and_can_be_walked_with_the_keyboard(site, chromium, path):
    context = chromium.new_context(ignore_https_errors=True, bypass_csp=True)
    tab = context.new_page()
    if path == "/account":
        sign_in(tab, site)
    tab.goto(site.own + path)
    held(tab)
    if path == "/sign-in":
        sign_in(tab, site, password="quite another")
        expect(tab).to_have_title(re.compile("^Error: "))
        held(tab)
    context.close()


def held(tab):
    """Hold a page to what every page is held to."""
    assert faults(tab) == []
    tab.locator("body").focus()
    assert walk_with_keyboard(tab) > 3
