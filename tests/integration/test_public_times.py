"""Nobody who has not signed in learns a time of day: every public page and call is asked for, and every link followed."""

import re
from datetime import date, timedelta
from html import unescape
from urllib.parse import unquote

import pytest

from coordinator.api.site import CALLS, PREFIX
from coordinator.console import catalogue, suggestions
from coordinator.console.pages import PAGES
from coordinator.console.visitor import Visitor
from coordinator.sign_in.operations import RULES
from federated.papers import PaperKind
from federated.timestamps import parse_time, time_text
from tests.integration.api_world import Program, api_world
from tests.integration.console_world import suggest
from tests.integration.governance_papers import comment, keep_series, meeting, outcome, standing_series
from tests.integration.test_console_pages import filled

TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d|\d{8}T\d{4}|\b\d\d:\d\d\b|\d\d:\d\d(?::\d\d)? ?UTC")
"""ISO times, long and short, and times for people; what is in addresses is made plain first."""
OWN_FILE = re.compile(r"/releases/[0-9a-f]{64}/(?!remarks\.json)(files/)?[\w.-]+$")
"""A file of an answer is the same for everybody and follows from what the councils signed: it says when it was made."""
LINK = re.compile(r'(?:href|action)="(/[^"]*)"|"(?:href|next)": ?"(/[^"]*)"|<(/[^>]*)>; rel="next"')
MOST = 400
PAGE = 2


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Remarks, suggestions and minutes, of each one that is hidden, and an answer that was deleted."""
    with api_world(tmp_path_factory.mktemp("times")) as made:
        console, papers = made.console, made.console.federation.store.papers
        now = console.federation.now() + timedelta(minutes=7)
        comment(console, "Rents rose here.")
        outcome(console, "Two officers were moved.")
        gone = [comment(console, "Not this.", council=1), suggest(console, title="Nor this", council=1)]
        for digest in gone:
            assert papers.hide(digest, reason="It names somebody.", now=now, by="tests")
        for number in range(3):
            suggest(console, title=f"Number {number}", council=2)
        meeting(console, held_on=date(2026, 1, 20), decision="approved")
        keep_series(console, standing_series(console))
        console.federation.store.releases.delete_contents([console.answered[1].digest], now=now)
        yield made


SITES = {
    "nothing is public": {},
    "public in some days": {"later_days": 3, "publish": True},
    "public": {"later_days": 15, "publish": True},
}


def site_of(world, name):
    given = dict(SITES[name])
    if given.pop("publish", False):
        given["publish"] = (world.console.agreement,)
    return Program(world, **given)


def starts(world):
    """Every public page and call, from the code's own lists."""
    answers = [release.digest.hex() for release in world.console.answered]
    for page in PAGES:
        if page.method == "GET" and RULES[page.operation].public:
            yield filled(world.console, page.path)
    for call in CALLS:
        if call.method == "GET" and RULES[call.operation].public:
            for plan in world.console.plans.values():
                names = {"plan": plan, "digest": answers[0], "file": "release.json", "agreement": ""}
                yield PREFIX + call.path.format(**names) + ("" if "{" in call.path else "?size=1")
    yield from (f"{PREFIX}/papers?kind={kind}&size=1" for kind in PaperKind)
    yield f"{PREFIX}/openapi.json"
    yield from (f"/releases/{answers[1]}", f"{PREFIX}/releases/{answers[1]}")  # was deleted


def crawled(world, program):
    """Path → times of day in its reply, for every path that there is."""
    found, waiting = {}, list(dict.fromkeys(starts(world)))
    while waiting:
        path = waiting.pop()
        if path in found or OWN_FILE.search(path.partition("?")[0]):
            continue
        reply = program.get(path)
        assert reply.status_code < 500, (path, reply.text)
        text = "\n".join((path, *(f"{name}: {value}" for name, value in reply.headers.items()), reply.text))
        # A calendar file says when it was made, which is when it was asked for.
        text = re.sub(r"^DTSTAMP:.*$", "", text, flags=re.MULTILINE)
        found[path] = TIME.findall(unquote(unescape(text)))
        waiting += [unescape(next(filter(None, link))) for link in LINK.findall(text)]
        assert len(found) < MOST
    return found


@pytest.fixture(autouse=True)
def short_pages(monkeypatch):
    for module in (catalogue, suggestions):
        monkeypatch.setattr(module, "SIZE", PAGE)


@pytest.mark.parametrize("name", SITES)
def test_the_public_is_told_days_and_no_times(world, name):
    found = crawled(world, site_of(world, name))
    assert {path: times for path, times in found.items() if times} == {}
    # It went all the way: the later pages of every list, on the pages and for programs.
    for form in (r"^/questions\?older=", r"^/suggestions\?older=", r"^/suggestions\?newer="):
        assert any(re.search(form, path) for path in found), form
    for call in ("questions", "releases", "suggestions"):
        assert any(re.search(rf"^{PREFIX}/{call}\?size=1&cursor=[0-9a-f]{{64}}$", path) for path in found), call
    papers = rf"^{PREFIX}/papers\?kind=suggestion&size=1&cursor=[0-9a-f]{{64}}$"
    assert any(re.search(papers, path) for path in found)


def test_whoever_has_signed_in_is_told_the_time(world):
    program = Program(world, "analyst", later_days=15, publish=(world.console.agreement,))
    release = world.console.federation.store.releases.get(world.console.answered[0].digest)
    shown = program.ask(f"/releases/{world.console.release}").json()
    assert parse_time(shown["created_at"]) == release.created_at
    assert all(parse_time(remark["at"]) for remark in shown["remarks"])
    nobody = Program(world, later_days=15, publish=(world.console.agreement,))
    assert nobody.ask(f"/releases/{world.console.release}").json()["created_at"] == shown["created_at"][:10]


def test_a_file_of_a_published_answer_says_when_it_was_made(world):
    """Why the crawl leaves files out, and why the page on the console says so."""
    program = site_of(world, "public")
    exact = program.ask(f"/releases/{world.console.release}/files/release.json").json()
    assert parse_time(exact["created_at"])


# --- a time is found wherever one is told ---


def test_a_time_told_to_the_public_is_seen(world, monkeypatch):
    monkeypatch.setattr(Visitor, "told", lambda _visitor, time: time)
    told = {path.partition("?")[0] for path, times in crawled(world, site_of(world, "public")).items() if times}
    plan, answer = world.console.plans["collecting"], world.console.release
    for path in ("/questions", f"/questions/{plan}", "/releases", f"/releases/{answer}", "/suggestions"):
        assert f"{PREFIX}{path}" in told, path
    assert f"{PREFIX}/papers" in told
    assert f"/releases/{answer}/remarks.json" in told
    waiting = crawled(world, site_of(world, "public in some days"))
    assert waiting[f"{PREFIX}/releases/{answer}"]


def test_a_time_in_the_address_of_a_part_is_seen(world, monkeypatch):
    cut = catalogue.cut

    def with_time(*args, identity, **given):
        stamp = time_text(world.console.federation.now()).encode()
        shown, pages = cut(*args, identity=lambda row: identity(row) + stamp, **given)
        return shown, type(pages)(newer=pages.newer, older=pages.older and bytes_shown(pages.older))

    monkeypatch.setattr(catalogue, "cut", with_time)
    assert crawled(world, site_of(world, "public"))["/questions"]


def bytes_shown(address):
    """The address with the time in it to be read, as addresses hold it."""
    name, _, digits = address.rpartition("=")
    return f"{name}={digits[:64]}_{bytes.fromhex(digits[64:]).decode().replace(':', '%3A')}"


@pytest.mark.parametrize(
    "text", ["2026-02-01T12:00:00Z", "2026-02-01 12", "20260201T120000Z", "1 February 2026, 12:34 UTC", "at 09:15,"]
)
def test_each_form_of_a_time_is_known(text):
    assert TIME.search(text)
    assert not TIME.search("2026-02-01, 1 February 2026, 2026-01-01/2026-01-31")


# --- the place of an entry, and no time, is where a part begins ---


def test_a_suggestion_for_others_is_no_place_to_go_on_from(world):
    quiet = suggest(world.console, title="Between us", council=3, publish=False).hex()
    seen = suggest(world.console, title="For everybody", council=3).hex()
    of_another_kind = comment(world.console, "A comment is in the same table.", council=4).hex()
    nobody, party = Program(world), Program(world, "observer")
    for paper in (quiet, of_another_kind, "0" * 64):
        assert nobody.ask(f"/suggestions?cursor={paper}").status_code == 422
        # On the pages that is the beginning, word for word as for a digest that nobody has.
        here = nobody.get(f"/suggestions?older={paper}").text
        assert here == nobody.get(f"/suggestions?older={'1' * 64}").text == nobody.get("/suggestions").text
    assert nobody.ask(f"/suggestions?cursor={seen}").status_code == 200
    assert party.ask(f"/suggestions?cursor={quiet}").status_code == 200


def test_a_cursor_with_a_time_is_none_any_more(world):
    for call in ("questions", "releases", "suggestions"):
        for cursor in (f"2026-02-01T12:00:00Z_{'a' * 64}", "a" * 63, "A" * 64, "a" * 64):
            assert Program(world).ask(f"/{call}", params={"cursor": cursor}).status_code == 422
