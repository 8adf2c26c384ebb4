"""Whether the console is well, and what it writes down when something that nobody foresaw fails."""

import asyncio
import json
from http import HTTPStatus

import pytest

from coordinator.store import DatabaseProblem
from coordinator.store.membership import MembershipBook
from coordinator.store.proposals import ProposalBook
from federated.errors import InternalError
from tests.integration.api_world import ORIGIN, Program, api_world
from tests.integration.test_api import is_problem
from tests.unit.council_node.test_page_site import broken_off

SECRETS = (
    "1234 households",
    "hst_secret",
    "session-secret",
    "203.0.113.9",
    "agent-secret",
    "q-secret",
    "pages.example",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with api_world(tmp_path_factory.mktemp("health")) as made:
        yield made


@pytest.fixture
def program(world):
    return Program(world)


def broken(*_args, **_named):
    raise ZeroDivisionError(SECRETS[0])


def gone(*_args, **_named):
    raise DatabaseProblem("The database postgresql://hub@db.internal/hub cannot be used.")


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_whoever_watches_over_it_is_told_that_it_is_well_and_nothing_else(program, path):
    reply = program.get(path, headers={"host": "10.0.0.7:7444"})  # by its own address, as a balancer asks
    assert (reply.status_code, reply.text, reply.headers["cache-control"]) == (200, "ok\n", "no-store")
    assert "set-cookie" not in reply.headers
    assert program.post(path).status_code in {HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_FOUND}
    assert program.get(f"{path}/more").status_code == 404


@pytest.mark.parametrize(("fault", "written"), [(gone, 0), (broken, 1)])
def test_a_database_that_cannot_be_read_is_not_ready_and_its_place_is_not_told(
    program, monkeypatch, capsys, fault, written
):
    monkeypatch.setattr(MembershipBook, "latest_roster", fault)
    reply = program.get("/readyz")
    assert (reply.status_code, reply.text) == (503, "not ready\n")
    assert program.get("/healthz").status_code == 200
    assert len(lines(capsys)) == written


@pytest.mark.parametrize("path", ["/questions", "/api/v1/questions"])
def test_an_error_that_nobody_foresaw_is_one_line_with_its_kind_and_place(program, monkeypatch, capsys, path):
    monkeypatch.setattr(ProposalBook, "page", broken)
    reply = program.get(
        f"{path}?size=7&standing=q-secret&q=q-secret" if "api" not in path else f"{path}?size=7&q=q-secret",
        headers={
            "cookie": "__Host-session=session-secret",
            "user-agent": "agent-secret",
            "x-forwarded-for": "203.0.113.9",
        },
    )
    assert reply.status_code == 500
    assert "ZeroDivisionError" in reply.text
    assert "Traceback" not in reply.text
    (line,) = found = lines(capsys)
    assert set(line) == {"time", "event", "error", "at", "reference"}
    assert f"reference {line['reference']}" in reply.text
    assert (line["event"], line["error"]) == ("request_failed", "ZeroDivisionError")
    module, _, number = line["at"].partition(":")
    assert (module, number.isdigit()) == (__name__, True)
    for secret in SECRETS:
        assert secret not in json.dumps(found) + reply.text.replace(ORIGIN, "")


def faulty(*_args, **_named):
    raise InternalError(SECRETS[0], remedy=SECRETS[0])


@pytest.mark.parametrize("path", ["/questions", "/api/v1/questions"])
def test_a_fault_of_this_software_is_such_a_line_too(program, monkeypatch, capsys, path):
    monkeypatch.setattr(ProposalBook, "page", faulty)
    reply = program.get(path)
    assert reply.status_code == 500
    (line,) = lines(capsys)
    assert (line["error"], line["at"].partition(":")[0]) == ("InternalError", __name__)
    assert f"reference {line['reference']}" in reply.text
    assert SECRETS[0] not in json.dumps(line) + reply.text


def test_what_fails_around_the_pages_is_told_too(world, monkeypatch, capsys):
    site = world.site()
    monkeypatch.setattr(site._guard.__class__, "check", broken)
    reply = Program(world, site=site).get("/questions/q-secret")
    assert (reply.status_code, "ZeroDivisionError" in reply.text) == (500, True)
    (line,) = lines(capsys)
    assert line["error"] == "ZeroDivisionError"


def test_signing_in_that_fails_is_a_line_too(program, monkeypatch, capsys):
    monkeypatch.setattr("coordinator.sign_in.pages.own_path", broken)
    reply = program.get("/sign-in?next=/q-secret")
    assert reply.status_code == 503
    (line,) = lines(capsys)
    assert (line["error"], line["at"].partition(":")[0]) == ("ZeroDivisionError", __name__)


def test_what_was_foreseen_is_no_line(program, monkeypatch, capsys):
    monkeypatch.setattr(ProposalBook, "page", gone)
    for path in ("/questions", "/api/v1/questions", "/nothing", "/questions/xyz", "/budgets"):
        program.get(path)
    assert lines(capsys) == []


@pytest.mark.parametrize("path", ["/sign-in", "/ask/new", "/api/v1/questions"])
def test_whoever_goes_away_in_the_middle_of_a_form_writes_no_alarm(world, monkeypatch, capsys, path):
    """Otherwise a stranger writes as many as there is room for, each with a reference, and hides a true one."""
    monkeypatch.setattr("coordinator.console.site.reaches", lambda *_: True)
    headers = {"host": ORIGIN.partition("//")[2], "origin": ORIGIN, "content-length": "64"}
    if path.startswith("/api/"):
        headers |= {"content-type": "application/json", **world.headers("analyst")}
    else:
        headers |= {"content-type": "application/x-www-form-urlencoded"}
    read = asyncio.run(broken_off(world.site(), path, headers))
    assert read == 2  # the half that came, and that no more comes
    assert lines(capsys) == []


@pytest.mark.parametrize("path", ["/questions", "/questions/xyz/progress", "/nothing"])
def test_a_program_gets_a_problem_document_also_where_who_it_is_cannot_be_found_out(world, monkeypatch, capsys, path):
    monkeypatch.setattr("coordinator.sign_in.desk.Desk.visitor_by_token", broken)
    reply = Program(world, "analyst").ask(path)
    problem = is_problem(reply)
    assert (reply.status_code, problem["code"]) == (500, "internal")
    (line,) = lines(capsys)
    assert line["error"] == "ZeroDivisionError"
    assert line["reference"] in problem["detail"]
    assert SECRETS[0] not in reply.text


def test_a_program_gets_one_also_where_what_answers_faults_fails(world, monkeypatch, capsys):
    site = world.site()
    monkeypatch.setattr("coordinator.api.site._given", broken)
    reply = Program(world, "analyst", site=site).ask("/questions")
    assert (reply.status_code, is_problem(reply)["code"]) == (500, "internal")
    assert len(lines(capsys)) == 1
