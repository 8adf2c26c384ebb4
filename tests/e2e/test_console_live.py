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
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from coordinator.settings import load_settings
from coordinator.store import EnrolmentRow, open_store
from federated.demo.papers import GROUP
from federated.demo.processes import command, wait_for
from federated.demo.questions import demo_questions
from federated.keys import fingerprint, make_key
from federated.privacy import Mechanism
from federated.query import parse_query
from federated.release import open_release
from federated.shell import now_utc
from federated.yaml_document import write_document
from protocols.encoding import canonical_json
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

        assert all(federation.client.budgets(federation.trusted).values())  # each node signs what it has spent
        rae.goto(f"{origin}/budgets")
        rae.get_by_role("link", name=federation.nodes[COUNCILS[0]].council.name, exact=True).click()
        rae.get_by_role("button", name="Verify").click()
        rae.get_by_text("Sum under").first.wait_for()
        assert "Does not hold" not in rae.content()
        rae.get_by_role("link", name=QUESTION.title, exact=True).first.click()
        rae.get_by_text("Signatures, checked just now").wait_for()

        assert rae.goto(f"{origin}/operations").status == 403
        assert rae.goto(f"{origin}/releases/{digest}").status == 200
        assert rae.get_by_role("table").count() > 0
        assert olu.goto(f"{origin}/budgets").status == 403
        assert olu.goto(f"{origin}/releases/{digest}/release.json").status == 403

        olu.goto(f"{origin}/operations/councils")
        olu.get_by_role("button", name="Ask for acceptance").click()
        olu.get_by_text("Another operator must confirm").wait_for()
        versions = olu.get_by_role("cell", name=version("council-federation"), exact=True)
        assert versions.count() == len(COUNCILS)  # as the nodes said, which are real ones
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


def hold(tab, wrong):
    """Hold the page that is shown to the checker and the ruler."""
    address = tab.url.partition("://")[2].partition("/")[2]
    wrong |= {f"/{address}": found} if (found := faults(tab)) else {}


def signed_at_home(federation, folder, file):
    """What the analyst types on a computer of their own, where the key is."""
    signed = folder / "signed-question.json"
    arguments = ["sign", str(file), "--workspace", str(federation.folder / "federated.yaml"), "--out", str(signed)]
    done = subprocess.run(
        [command("federated"), *arguments, "--yes"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Seven red lines" in done.stdout
    assert "Margin of a total" in done.stdout
    return signed


def test_an_analyst_asks_on_the_pages_signs_at_home_and_reads_the_answer(federation, tmp_path):
    """From the first page to a file of the answer; no script runs, and the councils' nodes are live."""
    settings = configure(federation, sign_in={})
    code = account(federation, settings, "ana", "--role", "analyst", "--agreement", federation.agreement.id)
    running, origin = start(federation, "asking", settings)
    wrong = {}
    with browser_checks.chromium() as browser:
        tab = browser.new_context(ignore_https_errors=True, accept_downloads=True, **SCRIPTS_ON).new_page()
        enter(tab, origin, "ana", code, wanted="/ask")
        tab.get_by_role("button", name="Begin a question").click()
        tab.get_by_label("What is asked, in a few words").fill("Households by duty owed")
        tab.get_by_label("Homelessness applications and assessments").check()
        tab.get_by_role("button", name="Continue").click()
        tab.get_by_label("First day").fill("2025-01-01")
        tab.get_by_label("Last day").fill("soon")
        tab.get_by_role("button", name="Continue").click()
        assert "year-month-day" in tab.locator("#to-error").inner_text()
        hold(tab, wrong)
        tab.get_by_label("Last day").fill("2025-03-31")
        tab.get_by_role("button", name="Continue").click()
        draft = tab.url.partition("#")[0]

        margin = tab.locator("#margins-caption").locator("xpath=ancestor::table").locator("tbody td").nth(2)
        before = margin.inner_text()
        tab.get_by_label("ε (epsilon)").fill("1/4")
        tab.get_by_role("button", name="Work out again").click()
        assert float(margin.inner_text()[2:]) > 2 * float(before[2:])
        tab.get_by_role("link", name="Change the table").click()
        tab.get_by_label("Broken down by").select_option("assessment_outcome")
        tab.get_by_role("button", name="Continue").click()
        tab.get_by_role("link", name="Change which rows count").click()
        tab.get_by_label("Which column?").select_option("household_type")
        tab.get_by_role("button", name="Choose").click()
        for box in tab.get_by_role("checkbox").all()[:-1]:
            box.check()
        tab.get_by_role("button", name="Add").click()
        tab.get_by_role("button", name="Preview on made-up records").click()
        tab.get_by_text("These figures are made up").wait_for()
        hold(tab, wrong)

        # Most of the manifest was written elsewhere; what is vague is mended here.
        tab.goto(f"{draft}/text")
        question = parse_query(tab.get_by_label("Question").input_value().encode())
        text = federation.manifest(question).decode()
        kept = yaml.safe_load(text)
        tab.goto(f"{draft}/manifest/text")
        tab.get_by_label("Manifest").fill(write_document(kept | {"decision": "To improve services."}))
        tab.get_by_role("button", name="Continue").click()
        tab.get_by_role("link", name="What is asked, and for which decision").click()
        assert "too general" in tab.locator("#decision-error").inner_text()
        hold(tab, wrong)
        tab.get_by_label("Decision").fill(kept["decision"])
        tab.get_by_role("button", name="Save").click()
        tab.get_by_role("button", name="Sign and hand in").click()
        with tab.expect_download() as download:
            tab.get_by_role("link", name="Download the question").click()
        taken = tmp_path / download.value.suggested_filename
        download.value.save_as(taken)

        signed = signed_at_home(federation, tmp_path, taken)
        tab.get_by_role("link", name="Hand in").click()
        tab.get_by_label("Signed question").set_input_files(taken)
        tab.get_by_role("button", name="Hand in").click()
        assert "not a signed question" in tab.locator("#file-error").inner_text()
        hold(tab, wrong)
        tab.get_by_label("Signed question").set_input_files(signed)
        tab.get_by_role("button", name="Hand in").click()
        tab.wait_for_url(f"{origin}/asked/*")
        if tab.get_by_role("link", name="Follow it").count():
            tab.get_by_role("link", name="Follow it").click()
        # The page loads itself: nobody types anything here.
        tab.get_by_role("button", name="Read the answer").wait_for(timeout=START_S * 1000)
        assert tab.get_by_role("row").filter(has_text="Answered").count() == len(COUNCILS)
        hold(tab, wrong)
        tab.get_by_role("button", name="Read the answer").click()
        assert tab.get_by_role("table").count() == 1
        with tab.expect_download() as download:
            tab.get_by_role("link", name="the exact answer (JSON)").click()
        release = open_release(Path(download.value.path()).read_bytes())
    assert release.contributed == len(COUNCILS)
    assert parse_query(canonical_json(release.plan["question"]), source="plan") == question
    assert wrong == {}
    assert stop(federation, "asking", running) == 0
    assert "Traceback" not in running.log.read_text(encoding="utf-8")


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
