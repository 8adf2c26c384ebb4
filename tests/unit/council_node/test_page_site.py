"""What nobody foresaw is told by kind and place alone, and long lists are cut into pages that add up."""

import asyncio
import json
import os
from contextlib import nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from council_node.overdue import Overdue
from council_node.page import papers, site
from council_node.page.desk import Desk
from council_node.page.door import Door
from council_node.page.papers import help_page
from council_node.status import NodeStatus
from federated.budget_statement import BudgetStatement
from federated.errors import BudgetExceeded, FileProblem, InternalError, PolicyRefusal
from federated.pages import part_of

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
SECRET = "Ann Example, 1 Example Street"
COUNCIL = SimpleNamespace(
    council=SimpleNamespace(id="E06000001", name="Hartlepool"), roles=SimpleNamespace(system_owner=None)
)


def get(view, monkeypatch, path="help"):
    """The reply to a request for a page that `view` makes, let in as the one browser is."""
    monkeypatch.setattr(site.papers, "help_page", view)
    door = Door.make(os.urandom, port=45001, now=NOW)
    made = site.build_site(COUNCIL, door, styles=b"", clock=lambda: NOW, rng=os.urandom)
    cookie = door.enter(door.address().rpartition("/")[2], NOW).partition(";")[0]
    scope = {
        "type": "http",
        "method": "GET",
        "path": f"{door.base}/{path}",
        "raw_path": b"",
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 5),
        "headers": [(b"host", door.authority.encode()), (b"cookie", cookie.encode())],
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(made(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent).decode()


async def broken_off(made, path, headers):
    """Send half a form and go away; how often the site looked for what was sent."""
    coming = [{"type": "http.request", "body": b"name=ann", "more_body": True}, {"type": "http.disconnect"}]
    read = 0

    async def receive():
        nonlocal read
        read += 1
        return coming.pop(0)

    async def send(_message):
        pass

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "https",
        "client": ("127.0.0.1", 5),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await made(scope, receive, send)
    return read


def raising(error):
    def view(_desk, _asked):
        raise error

    return view


def test_a_page_that_works_is_shown(monkeypatch):
    status, body = get(help_page, monkeypatch)
    assert status == 200
    assert "Who can see them" in body


@pytest.mark.parametrize(
    "error", [ValueError(SECRET), KeyError(SECRET), RuntimeError(SECRET), InternalError(SECRET, remedy=SECRET)]
)
def test_an_error_that_nobody_foresaw_is_told_without_its_message_and_is_one_line(monkeypatch, capsys, error):
    status, body = get(raising(error), monkeypatch)
    assert status == 500
    assert_told(error, body, capsys)


def assert_told(error, body, capsys):
    out, err = capsys.readouterr()
    (line,) = map(json.loads, err.splitlines())
    assert set(line) == {"time", "event", "error", "at", "reference"}
    assert (line["event"], line["error"]) == ("request_failed", type(error).__name__)
    assert line["at"].partition(":")[0] == __name__
    assert f"{type(error).__name__} at {line['at']}, reference {line['reference']}" in body
    assert SECRET not in body + out + err


def test_what_fails_around_the_pages_is_told_too_and_leaves_no_traceback(monkeypatch, capsys):
    """The server would write its traceback, message and all."""
    error = ValueError(SECRET)
    monkeypatch.setattr(site, "_visit", raising_anyhow(error))
    status, body = get(help_page, monkeypatch)
    assert status == 500
    assert_told(error, body, capsys)
    assert COUNCIL.council.name not in body


def test_a_browser_that_goes_away_in_the_middle_of_a_form_writes_no_alarm(capsys):
    door = Door.make(os.urandom, port=45001, now=NOW)
    made = site.build_site(COUNCIL, door, styles=b"", clock=lambda: NOW, rng=os.urandom)
    cookie = door.enter(door.address().rpartition("/")[2], NOW).partition(";")[0]
    headers = {"host": door.authority, "cookie": cookie, "origin": f"http://{door.authority}"}
    read = asyncio.run(broken_off(made, f"{door.base}/questions/{'0' * 64}/record", headers))
    assert read == 2  # the half that came, and that no more comes
    assert capsys.readouterr() == ("", "")


def test_each_failure_has_a_reference_of_its_own(monkeypatch, capsys):
    for _ in range(2):
        get(raising(ValueError(SECRET)), monkeypatch)
    first, second = (json.loads(line)["reference"] for line in capsys.readouterr().err.splitlines())
    assert first != second


def raising_anyhow(error):
    def anything(*_args):
        raise error

    return anything


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FileProblem("Not there.", remedy="Look."), 404),
        (PolicyRefusal("class_2", "Not there."), 409),
        (BudgetExceeded("Not there."), 409),
    ],
)
def test_a_failure_says_what_and_what_to_do_with_the_status_of_its_kind_and_is_no_line(
    monkeypatch, capsys, error, expected
):
    status, body = get(raising(error), monkeypatch)
    assert status == expected
    assert error.diagnostics() in body
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("path", ["nothing", "questions/00/check"])
def test_a_page_that_is_not_there_or_takes_only_forms_says_so(monkeypatch, path):
    status, body = get(help_page, monkeypatch, path=path)
    assert status == 404
    assert "There is no such page" in body


@pytest.mark.parametrize("total", [0, 1, 9, 10, 11, 35])
def test_the_pages_of_a_list_hold_every_entry_once(total):
    shown, wanted = [], "1"
    while wanted is not None:
        part, pages = part_of(total, 10, wanted, str)
        shown += range(total)[part]
        wanted = pages.after
    assert shown == list(range(total))


@pytest.mark.parametrize("wanted", ["", "0", "-1", "x", "٣", "1.5", "9" * 40])
def test_a_page_number_that_is_none_shows_the_first(wanted):
    part, pages = part_of(35, 10, wanted, str)
    assert (part, pages.number) == (slice(0, 10), 1)


def test_a_page_number_beyond_the_end_shows_the_last():
    part, pages = part_of(35, 10, "99", str)
    assert (part, pages.after) == (slice(30, 40), None)


def test_the_first_page_warns_of_an_answer_that_has_not_come(monkeypatch):
    late = Overdue(title="Reasons <by> month", plan_digest=bytes(32), promised_by=datetime(2026, 2, 27, 9, tzinfo=UTC))
    for overdue, said in (((late,), True), ((), False)):
        found = NodeStatus(council="Hartlepool", paused=False, decisions=(), budget=None, overdue=overdue)
        monkeypatch.setattr(papers, "node_status", lambda _settings, _now, found=found: found)
        monkeypatch.setattr(papers, "receipts", lambda _store: ())
        monkeypatch.setattr(Desk, "store", lambda _desk: nullcontext())
        status, body = get(papers.start, monkeypatch)
        assert status == 200
        assert ("Reasons &lt;by&gt; month’ was promised by 27 February 2026 and has not come" in body) is said


@pytest.mark.parametrize("changes", [{}, {"exhausted": True}, {"closed": True}])
def test_the_first_page_warns_of_a_ledger_that_takes_no_charge(monkeypatch, changes):
    said = {"exhausted": False, "closed": False, "periods": (), "counter": 3, "head": bytes(32), "time": ""}
    budget = BudgetStatement(council="E06000001", **(said | changes))
    found = NodeStatus(council="Hartlepool", paused=False, decisions=(), budget=budget, overdue=())
    monkeypatch.setattr(papers, "node_status", lambda _settings, _now: found)
    monkeypatch.setattr(papers, "receipts", lambda _store: ())
    monkeypatch.setattr(Desk, "store", lambda _desk: nullcontext())
    status, body = get(papers.start, monkeypatch)
    assert status == 200
    assert ("takes no charge until your privacy reviewer" in body) is ("exhausted" in changes)
    assert ("closed for good: another council took" in body) is ("closed" in changes)
