"""`coordinator console` beside a coordinator and nodes that run: the command people type, over TLS, in a browser."""

import json
import re
import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from fractions import Fraction

import pytest
import yaml

from federated.demo.papers import GROUP
from federated.demo.processes import command, wait_for
from federated.demo.questions import demo_questions
from federated.privacy import Mechanism
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
