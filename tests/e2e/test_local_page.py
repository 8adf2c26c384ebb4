"""`council-node page`, as a person uses it: one browser is let in, every page is accessible, and nothing gets out."""

import re
import socket
from contextlib import ExitStack

import pytest
from playwright.sync_api import expect

from council_node.decision_records import read_decision
from council_node.decisions import Act, Verdict
from council_node.node_store import DocumentKind, NodeStore
from council_node.settings import read_settings
from federated.demo.processes import Processes
from federated.pages import HEADERS
from federated.query import Level
from tests.canary.federation import CANARY
from tests.canary.harness import Sweep
from tests.e2e import browser_checks
from tests.e2e.browser_checks import SCRIPTS_ON, faults, sees_faults, walk_with_keyboard
from tests.e2e.page_world import CHILDREN, DUTIES, contents, page_world, served


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    with page_world(tmp_path_factory.mktemp("pages")) as made:
        yield made


@pytest.fixture(scope="module")
def chromium(asked):  # asked first: its rounds need an event loop, and a browser's is running from then on
    with browser_checks.chromium() as found:
        yield found


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    with Processes(tmp_path_factory.mktemp("commands")) as started:
        yield started


@pytest.fixture(scope="module")
def pages(asked, processes):
    """The pages of the council with questions that wait."""
    with served(processes, "clean", asked.settings(asked.clean)) as started:
        yield started


@pytest.fixture(scope="module")
def entered(pages, chromium):
    """The one browser that was let in: what it keeps."""
    context = chromium.new_context()
    tab = context.new_page()
    assert tab.goto(pages.address).status == 200
    assert tab.url == pages.home
    kept = context.storage_state()
    context.close()
    return kept


@pytest.fixture
def cookie(entered):
    (found,) = entered["cookies"]
    return f"{found['name']}={found['value']}"


def crawl(chromium, entered, home, visit, **options):
    """Every page that links lead to, shown to `visit`; returns their addresses."""
    context = chromium.new_context(storage_state=entered, **options)
    seen = browser_checks.crawl(context, home, visit)
    context.close()
    return seen


# The door


def reachable(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.settimeout(5)
        try:
            return made.connect_ex((address, port)) == 0
        except OSError:
            return False


def own_addresses():
    """What this computer is called by others, and the rest of loopback."""
    found = {item[4][0] for item in socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)}
    return sorted(found - {"127.0.0.1"} | {"127.0.0.2", "::1"})


def test_only_one_address_of_loopback_listens(pages):
    assert reachable("127.0.0.1", pages.port)
    assert not [address for address in own_addresses() if reachable(address, pages.port)]
    with socket.create_server(("0.0.0.0", 0)) as everywhere:
        assert [address for address in own_addresses() if reachable(address, everywhere.getsockname()[1])]


def test_the_address_lets_one_browser_in_once(pages, entered, cookie):
    again = pages.ask(pages.address.partition(pages.base + "/")[2])
    assert again.status == 403
    assert b"used before" in again.body
    assert pages.ask(cookie=cookie).status == 200
    (kept,) = entered["cookies"]
    assert (kept["httpOnly"], kept["sameSite"], kept["path"]) == (True, "Strict", pages.base + "/")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"cookie": None}, 403),
        ({"host": "rebound.example"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_dest": "iframe"}, 403),
        ({"x_forwarded_for": "10.0.0.7"}, 403),
        ({"method": "DELETE"}, 405),
    ],
)
@pytest.mark.parametrize("path", ["", "styles.css", "budget"])
def test_whoever_else_asks_gets_a_refusal_that_names_nobody(pages, entered, cookie, asked, path, change, status):
    assert pages.ask(path, cookie=cookie).status == 200
    refused = pages.ask(path, **({"cookie": cookie} | change))
    assert refused.status == status
    name = read_settings(asked.settings(asked.clean)).council.name
    assert name.encode() not in refused.body
    assert pages.base.strip("/").encode() not in refused.body


@pytest.mark.parametrize("path", ["", "styles.css", "questions", "nothing", "receipts/none"])
@pytest.mark.parametrize("let_in", [True, False])
def test_every_reply_has_the_headers_that_keep_it_here(pages, cookie, path, let_in):
    reply = pages.ask(path, cookie=cookie if let_in else None)
    assert {name: reply.headers.get(name.lower()) for name in HEADERS} == HEADERS
    assert not [name for name in reply.headers if name.startswith("access-control") or name == "server"]


def test_a_form_from_elsewhere_or_too_long_records_nothing(pages, cookie, asked):
    before = contents(asked.settings(asked.clean).parent)
    digest = asked.waiting[0].digest.hex()
    origin = f"http://127.0.0.1:{pages.port}"
    form = {"act": "refuse", "by": "Mallory", "role": "nobody", "reason": "No"}
    path = f"questions/{digest}/record"
    for sent, headers, status in (
        (form, {"origin": origin}, 403),
        (form | {"token": "0" * 64}, {"origin": origin}, 403),
        (form, {"origin": "https://evil.example"}, 403),
        (form | {"reason": "x" * 40_000}, {"origin": origin}, 413),
    ):
        assert pages.ask(path, method="POST", form=sent, cookie=cookie, **headers).status == status
    assert contents(asked.settings(asked.clean).parent) == before


# Accessibility


def test_every_page_passes_the_checker_and_fits_a_narrow_screen_without_asking_anybody(chromium, entered, pages):
    asked_for, wrong = set(), {}

    def look(tab, address, _reply):
        found = faults(tab)
        asked_for.update(tab.evaluate("performance.getEntriesByType('resource').map(item => item.name)"))
        if found:
            wrong[address] = found

    seen = crawl(chromium, entered, pages.home, look, **SCRIPTS_ON)
    assert wrong == {}
    assert len(seen) >= 15
    # A browser looks for an icon by itself, on the same host, and gets none.
    assert asked_for - {f"http://127.0.0.1:{pages.port}/favicon.ico"} == {pages.home + "styles.css"}


def test_pages_that_no_link_leads_to_pass_too(chromium, entered, pages, asked):
    """The form with its faults, the confirmation, a page that failed, and the closed door."""
    context = chromium.new_context(storage_state=entered, **SCRIPTS_ON)
    tab = context.new_page()

    def check(title):
        expect(tab).to_have_title(re.compile(re.escape(title)))
        assert faults(tab) == []

    tab.goto(pages.home + f"questions/{asked.waiting[0].digest.hex()}")
    tab.locator("button", has_text="Continue").click()
    check("Error: ")
    tab.locator("input[name=act][value=refuse]").check()
    for name in ("by", "role", "reason"):
        tab.locator(f"#{name}").fill("Averylongwordwithoutanyblankinit" * 2)
    tab.locator("button", has_text="Continue").click()
    check("Check your decision")
    tab.goto(pages.home + "nothing")
    check("This did not work")
    context.clear_cookies()
    tab.goto(pages.home)
    check("Closed")
    context.close()


def test_the_checker_and_the_ruler_see_faults(chromium, entered, pages):
    context = chromium.new_context(storage_state=entered, **SCRIPTS_ON)
    tab = context.new_page()
    tab.goto(pages.home)
    sees_faults(tab)
    context.close()


@pytest.mark.parametrize("place", ["", "questions", "answers", "budget", "help", "question", "answer"])
def test_the_keyboard_reaches_everything_and_shows_where_it_is(chromium, entered, pages, asked, place):
    path = {"question": f"questions/{asked.waiting[0].digest.hex()}", "answer": f"answers/{asked.releases[0].sid}"}
    context = chromium.new_context(storage_state=entered, **SCRIPTS_ON)
    tab = context.new_page()
    tab.goto(pages.home + path.get(place, place))
    assert walk_with_keyboard(tab) > 6
    context.close()


# Deciding


def history(asked, plan):
    settings = read_settings(asked.settings(asked.clean))
    with NodeStore.open(settings.store_file) as store:
        return [read_decision(item.body) for item in store.history(DocumentKind.DECISION, plan.digest.hex())]


def test_a_question_is_decided_with_the_keyboard_alone_and_no_script(chromium, entered, pages, asked):
    plan = asked.waiting[0]
    context = chromium.new_context(storage_state=entered, java_script_enabled=False)
    tab = context.new_page()
    tab.goto(pages.home + f"questions/{plan.digest.hex()}")

    # Sent empty: every fault is named, linked to its field, and nothing is recorded.
    tab.locator("button", has_text="Continue").press("Enter")
    tab.get_by_text("There is a problem").wait_for()
    expect(tab).to_have_title(re.compile("^Error: "))
    for link in tab.locator(".govuk-error-summary a").all():
        assert tab.locator(link.get_attribute("href")).count() == 1
    assert history(asked, plan)[-1].verdict is Verdict.PENDING

    tab.locator("input[name=act][value=approve]").press("Space")
    for radio in tab.locator("input[type=radio][value=yes]").all():
        radio.press("Space")
    tab.locator("#by").press_sequentially("Ayesha <b>Person</b>")
    tab.locator("#role").press_sequentially("data protection officer")
    tab.locator("#reason").press_sequentially("Fits our strategy")
    tab.locator("#reason").press("Tab")
    tab.locator("button", has_text="Continue").press("Enter")
    expect(tab).to_have_title(re.compile("Check your decision"))
    assert "Approve, as Ayesha <b>Person</b>, data protection officer" in tab.locator("button").first.inner_text()
    assert history(asked, plan)[-1].verdict is Verdict.PENDING

    # Changing something keeps what was filled in.
    tab.locator("button", has_text="Change something").press("Enter")
    assert tab.locator("#by").input_value() == "Ayesha <b>Person</b>"
    tab.locator("button", has_text="Continue").press("Enter")
    tab.locator("button", has_text="Approve, as").press("Enter")
    tab.get_by_text("Your decision was signed and kept").wait_for()

    last = history(asked, plan)[-1]
    assert (last.verdict, last.act, last.by) == (Verdict.APPROVED, Act.APPROVE, "Ayesha <b>Person</b>")
    assert (last.role, last.note) == ("data protection officer", "Fits our strategy")
    assert last.envelope
    assert set(last.answers.values()) <= {"yes"}
    context.close()


def test_a_crossed_red_line_cannot_be_approved_and_a_refusal_needs_its_reason(chromium, entered, pages, asked):
    plan = asked.waiting[1]
    context = chromium.new_context(storage_state=entered, java_script_enabled=False)
    tab = context.new_page()
    tab.goto(pages.home + f"questions/{plan.digest.hex()}")
    tab.locator("input[name=act][value=approve]").check()
    tab.locator("input[type=radio][value=no]").first.check()
    tab.locator("#by").fill("A Person")
    tab.locator("#role").fill("data protection officer")
    tab.locator("button", has_text="Continue").click()
    tab.get_by_text("A question that crosses this is only refused").first.wait_for()

    tab.locator("input[name=act][value=refuse]").check()
    tab.locator("button", has_text="Continue").click()
    tab.get_by_text("Enter why, in a sentence").first.wait_for()
    tab.locator("#reason").fill("The purpose is unclear")
    tab.locator("button", has_text="Continue").click()
    tab.locator("button", has_text="Refuse, as A Person").click()
    last = history(asked, plan)[-1]
    assert (last.verdict, last.act, last.reason) == (Verdict.REFUSED, Act.REFUSE, "The purpose is unclear")
    context.close()


# The council's own figures


def own_column(tab, table):
    rows = tab.locator(f"#{table} tbody tr").all()
    return [row.locator("td.page-own").inner_text() for row in rows]


@pytest.mark.parametrize("number", [0, 1])
def test_own_figures_are_the_exact_ones_and_leave_no_trace(chromium, entered, pages, asked, number):
    """Counted by hand from the records; the table's own order; nothing on the disk or in the output changes."""
    question, release = (DUTIES, CHILDREN)[number], asked.releases[number]
    exact = asked.world.exact[question][asked.clean]
    before = contents(asked.world.folder / "councils" / asked.clean), pages.log.read_bytes()
    context = chromium.new_context(storage_state=entered, java_script_enabled=False)
    tab = context.new_page()
    tab.goto(pages.home + f"answers/{release.sid}")
    assert tab.locator("td.page-own").count() == 0
    tab.get_by_role("button", name="Show our own figures too").click()
    tab.get_by_text("exact and confidential").first.wait_for()
    offset = 0
    for asked_table, table in zip(question.tables, release.tables, strict=True):
        shown = own_column(tab, table.name)
        size = len(table.cells)
        if asked_table.statistic == "mean":
            above, below = exact[offset : offset + size], exact[offset + size : offset + 2 * size]
            expected = [f"{6 * a / (a + b):.2f}" if a + b else "nobody" for a, b in zip(above, below, strict=True)]
            offset += 2 * size
        else:
            expected = [f"{value:,}" for value in exact[offset : offset + size]]
            offset += size
        if asked_table.level is Level.REGION:
            region = asked.world.councils[asked.clean].region
            expected = [e if c.codes[0] == region else "–" for e, c in zip(expected, table.cells, strict=True)]
        assert shown == expected, table.name
        assert any(value not in {"0", "–", "nobody"} for value in shown), table.name
    assert (contents(asked.world.folder / "councils" / asked.clean), pages.log.read_bytes()) == before
    context.close()


# Case values


def test_no_page_shows_a_text_of_a_case(chromium, tmp_path, asked):
    sweep = Sweep()
    with ExitStack() as opened:
        processes = opened.enter_context(Processes(tmp_path))  # of its own: it ends before those of the other tests
        poisoned = opened.enter_context(served(processes, "poisoned", asked.settings(asked.poisoned)))
        context = chromium.new_context()
        context.new_page().goto(poisoned.address)
        kept = context.storage_state()
        context.close()
        cookie = "{name}={value}".format(**kept["cookies"][0])

        def take(tab, address, reply):
            sweep.add("pages", address, reply.body())
            sweep.add("headers", address, str(reply.headers))

        seen = crawl(chromium, kept, poisoned.home, take)
        assert any(address.endswith("/own") for address in seen)
        # An extract that cannot be counted any more is complained of without a word of it.
        extract = asked.world.folder / "councils" / asked.poisoned / "extract.csv"
        whole = extract.read_bytes()
        for broken in (CANARY.encode() * 1000, b"\xff\xfe" + whole, f'"{CANARY}'.encode() + whole):
            extract.write_bytes(broken)
            reply = poisoned.ask(f"answers/{asked.releases[0].sid}/own", cookie=cookie)
            sweep.add("failures", str(reply.status), reply.body)
        extract.write_bytes(whole)
    sweep.add("output", "log", poisoned.log.read_bytes())
    sweep.assert_clean(CANARY, expected={"pages", "headers", "failures", "output"})


def test_a_text_of_a_case_on_a_page_would_be_found(pages, cookie):
    page = pages.ask(cookie=cookie).body
    sweep = Sweep()
    sweep.add("pages", "planted", page.replace(b"</h1>", f" {CANARY}</h1>".encode(), 1))
    assert sweep.found_in(CANARY) == {"pages"}
