"""`coordinator console` beside a coordinator and nodes that run: the command people type, over TLS, in a browser."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from contextlib import closing
from fractions import Fraction

import pytest
import yaml

from coordinator.settings import load_settings
from coordinator.store import EnrolmentRow, open_store
from federated.demo.papers import GROUP
from federated.demo.processes import command, wait_for
from federated.demo.questions import demo_questions
from federated.keys import fingerprint, make_key
from federated.privacy import Mechanism
from federated.shell import now_utc
from tests.e2e import browser_checks
from tests.e2e.browser_checks import SCRIPTS_ON, crawl, faults
from tests.e2e.federation import NORTH_EAST, running_federation

COUNCILS = NORTH_EAST[:5]
READY = re.compile(r"console ready on (https?://\S+?)(?:,|$)", re.MULTILINE)
QUESTION = demo_questions(GROUP, Fraction(1), regions=False)[0].query
START_S = 60.0


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    with running_federation(tmp_path_factory.mktemp("live"), councils=COUNCILS) as found:
        yield found


@pytest.fixture(scope="module")
def answered(federation):
    run = federation.ask(federation.plan(QUESTION, Mechanism.DISCRETE_LAPLACE))
    assert run.released
    return run


def configure(federation, **console):
    """The coordinator's settings with these of the console."""
    path = federation.folder / "coordinator" / "coordinator.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["console"] = {"listen": {"host": "127.0.0.1", "port": 0}, **console}
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path


def start(federation, name, settings):
    running = federation.processes.start(name, [command("coordinator"), "console", "--settings", str(settings)])

    def ready():
        return READY.search(running.log.read_text(encoding="utf-8")) if running.log.exists() else None

    wait_for("The console", lambda: ready() is not None, check=federation.processes.check, timeout_s=START_S)
    return running, ready()[1]


def stop(federation, name, running):
    running.process.send_signal(signal.SIGTERM)
    status = running.process.wait(timeout=20)
    federation.processes.running.pop(name)
    return status


def trusting(federation):
    authority = federation.folder / "coordinator" / "tls" / "authority.pem"
    return ssl.create_default_context(cafile=str(authority))


def test_the_public_sees_the_register_of_a_live_federation_over_tls(federation, answered):
    """An answer that comes while the console runs appears; what is for roles is closed; SIGTERM ends it cleanly."""
    running, origin = start(federation, "console", configure(federation))
    with urllib.request.urlopen(f"{origin}/questions", context=trusting(federation), timeout=20) as reply:
        body = reply.read().decode()
        assert reply.headers["strict-transport-security"] == "max-age=31536000"
    assert f"/questions/{answered.plan.digest.hex()}" in body
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{origin}/budgets", context=trusting(federation), timeout=20)

    again = federation.ask(federation.plan(QUESTION, Mechanism.DISCRETE_LAPLACE))
    assert again.released
    wrong = {}
    with browser_checks.chromium() as browser:
        context = browser.new_context(ignore_https_errors=True, **SCRIPTS_ON)
        visit = lambda tab, address, _reply: wrong.update({address: found} if (found := faults(tab)) else {})  # noqa: E731
        seen = crawl(context, f"{origin}/", visit)
        context.close()
    assert wrong == {}
    assert f"{origin}/questions/{again.plan.digest.hex()}" in seen
    digest = again.last.release_digest.hex()
    assert f"{origin}/releases/{digest}" in seen
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{origin}/releases/{digest}/release.json", context=trusting(federation), timeout=20)
    assert stop(federation, "console", running) == 0
    assert "Traceback" not in running.log.read_text(encoding="utf-8")


def test_behind_a_proxy_published_figures_are_those_the_analyst_gets(federation, answered):
    settings = configure(
        federation,
        public_address="https://statistics.example",
        behind_proxy=True,
        publish=[federation.agreement.id],
        comment_days=0,
    )
    running, origin = start(federation, "proxied", settings)
    assert origin == "https://statistics.example"
    port = re.search(r"proxy on port (\d+)", running.log.read_text(encoding="utf-8"))[1]
    digest = answered.last.release_digest.hex()

    def ask(host):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/releases/{digest}/release.json")
        request.add_header("Host", host)
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.read()

    exact = federation.client.release(release_digest=answered.last.release_digest)
    assert json.loads(ask("statistics.example")) == json.loads(exact.encode())
    with pytest.raises(urllib.error.HTTPError, match="421"):
        ask("127.0.0.1")
    assert stop(federation, "proxied", running) == 0


PASSWORD = "a long sentence for tests"


def account(federation, settings, name, *options):
    """A new account, and the one-time code for its owner."""
    done = subprocess.run(
        [command("coordinator"), "account", "add", name, *options, "--settings", str(settings), "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)["code"]


def enter(tab, origin, name, code, *, wanted):
    """Go to a page, be sent to sign in, set a first password with the code, and go there again."""
    tab.goto(f"{origin}{wanted}")
    assert "/sign-in" in tab.url
    tab.goto(f"{origin}/set-password")
    tab.get_by_label("Name of your account").fill(name)
    tab.get_by_label("Code").fill(code)
    tab.get_by_label("New password", exact=True).fill(PASSWORD)
    tab.get_by_label("New password again").fill(PASSWORD)
    tab.get_by_role("button", name="Set password and sign in").click()
    tab.wait_for_url(f"{origin}/account")
    tab.goto(f"{origin}{wanted}")
    assert tab.url == f"{origin}{wanted}"


def test_people_sign_in_and_each_sees_what_is_theirs(federation, answered):
    """A reviewer checks a budget and reads a closed answer; two operators accept a council's key; all is in the audit."""
    settings = configure(federation, sign_in={})
    of_agreement = ("--agreement", federation.agreement.id)
    codes = {
        "rae": account(federation, settings, "rae", "--role", "reviewer", *of_agreement),
        "olu": account(federation, settings, "olu", "--role", "operator"),
        "pip": account(federation, settings, "pip", "--role", "operator"),
    }
    key = make_key(os.urandom).public
    ask_to_join(settings, key)
    running, origin = start(federation, "signed", settings)
    digest = answered.last.release_digest.hex()
    wrong, tabs = {}, {}
    with browser_checks.chromium() as browser:
        for name, wanted in {"rae": "/budgets", "olu": "/operations/councils", "pip": "/operations"}.items():
            tabs[name] = browser.new_context(ignore_https_errors=True, **SCRIPTS_ON).new_page()
            enter(tabs[name], origin, name, codes[name], wanted=wanted)
        rae, olu, pip = tabs.values()

        assert rae.goto(f"{origin}/operations").status == 403
        assert rae.goto(f"{origin}/releases/{digest}").status == 200
        assert rae.get_by_role("table").count() > 0
        assert olu.goto(f"{origin}/budgets").status == 403
        assert olu.goto(f"{origin}/releases/{digest}/release.json").status == 403

        olu.goto(f"{origin}/operations/councils")
        olu.get_by_role("button", name="Ask for acceptance").click()
        olu.get_by_text("Another operator must confirm").wait_for()
        assert olu.get_by_role("button", name="Confirm").count() == 0
        pip.goto(f"{origin}/operations/councils")
        wrong |= {"councils": found} if (found := faults(pip)) else {}
        pip.get_by_role("button", name="Confirm").click()
        pip.get_by_text("accepted for the next list").wait_for()
        assert state_of(settings, key) == "accepted"

        rae.goto(f"{origin}/audit")
        wrong |= {"audit": found} if (found := faults(rae)) else {}
        told = [row.inner_text() for row in rae.get_by_role("row").all()]
        for who, what, about in (
            ("rae", "Read release", digest),
            ("olu", "Ask acceptance", key.hex()),
            ("pip", "Confirm acceptance", key.hex()),
        ):
            assert any(who in line and what in line and about in line for line in told), what
        rae.goto(f"{origin}/account")
        rae.get_by_role("button", name="Sign out", exact=True).click()
        assert rae.goto(f"{origin}/budgets").url.startswith(f"{origin}/sign-in")
    assert wrong == {}
    assert stop(federation, "signed", running) == 0
    log = running.log.read_text(encoding="utf-8")
    assert "Traceback" not in log
    assert PASSWORD not in log


def ask_to_join(settings, key):
    with closing(open_store(load_settings(settings).database_url)) as store:
        row = EnrolmentRow(
            public_key=key, council="E06000047", fingerprint=fingerprint(key), state="pending", requested_at=now_utc()
        )
        store.membership.ask_enrolment(row, limit=5)


def state_of(settings, key):
    with closing(open_store(load_settings(settings).database_url)) as store:
        return next(row.state for row in store.membership.enrolments() if row.public_key == key)


def test_a_port_that_is_taken_is_said_in_one_sentence(federation):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = configure(federation, listen={"host": "127.0.0.1", "port": taken.getsockname()[1]})
        done = subprocess.run(
            [command("coordinator"), "console", "--settings", str(settings)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 3
    assert "cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
