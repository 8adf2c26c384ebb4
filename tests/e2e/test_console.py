"""The console as people use it: in a real browser, with the keyboard, without scripts, on a narrow screen."""

import os
import random
from datetime import date

import pytest

from coordinator.console.manifest_fields import SECTIONS
from tests.e2e import browser_checks
from tests.e2e.browser_checks import NARROW, SCRIPTS_ON, crawl, faults, sees_faults, walk_with_keyboard, width_at
from tests.integration.console_world import COOKIE, DRAFT, console_world
from tests.integration.governance_papers import comment, keep_series, meeting, outcome, standing_series

WHO = {"": 25, "reviewer and operator": 36}
"""Who looks, and how many pages there are at least for them.

Between the two every page that a link leads to is met; who may see which is `tests/integration`'s.
"""
WALKS = "reviewer and operator"
"""Who walks what the crawl meets with the keyboard: everything that the public sees is among it, once."""
WALKED = 4
"""Of so many pages that they meet one is walked with the keyboard, drawn anew at each run; the forms, below, always."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with console_world(tmp_path_factory.mktemp("console")) as made:
        comment(made, "Rents rose here.\nWe agree.", minutes=30)
        outcome(made, "Two desks moved.")
        meeting(made, held_on=date(2026, 2, 1), decision="May be put.")
        keep_series(made, standing_series(made))
        yield made


@pytest.fixture(scope="module")
def served(world):
    with world.served(publish=(world.agreement,), later_days=15) as found:
        yield found


@pytest.fixture(scope="module")
def chromium():
    with browser_checks.chromium() as found:
        yield found


@pytest.fixture
def browsing(chromium, served):
    """A browser of somebody."""
    opened = []

    def start(who, **options):
        context = chromium.new_context(**options)
        opened.append(context)
        if who:
            context.add_cookies([{"name": COOKIE, "value": who, "url": served.origin}])
        return context

    yield start
    for context in opened:
        context.close()


def drawn(address):
    """Whether a page is walked this time: one in `WALKED` is, others at the next run."""
    return random.Random(f"{os.environ['DRAWN_SEED']} {address}").randrange(WALKED) == 0


@pytest.mark.parametrize("who", WHO)
def test_every_page_passes_the_checker_fits_and_can_be_walked_without_asking_anybody(browsing, served, who):
    asked_for, wrong = set(), {}

    def look(tab, address, reply):
        found = faults(tab)
        if found:
            wrong[address] = found
        asked_for.update(tab.evaluate("performance.getEntriesByType('resource').map(item => item.name)"))
        # A page that somebody asked to load itself again may do so in the middle of a walk.
        if who == WALKS and "refresh" not in reply.headers and drawn(address):
            assert walk_with_keyboard(tab) > 6, address

    seen = crawl(browsing(who, **SCRIPTS_ON), served.origin + "/", look)
    assert wrong == {}
    assert len(seen) >= WHO[who], seen
    assert asked_for - {f"{served.origin}/favicon.ico"} == {f"{served.origin}/styles.css"}


@pytest.mark.parametrize("who", ["", "operator", "stranger"])
def test_what_is_refused_and_figures_that_are_closed_pass_too(browsing, world, who):
    with world.served() as closed:
        context = browsing("", **SCRIPTS_ON)
        context.add_cookies([{"name": COOKIE, "value": who, "url": closed.origin}])
        tab = context.new_page()
        for path, status in (("/nothing", 404), ("/budgets/nobody", 404 if who == "stranger" else 403)):
            assert tab.goto(closed.origin + path).status == status
            assert faults(tab) == []
            assert walk_with_keyboard(tab) > 6
        assert tab.goto(f"{closed.origin}/releases/{world.release}").status == 200
        assert faults(tab) == []
        assert walk_with_keyboard(tab) > 6


def test_the_checker_and_the_ruler_see_faults(browsing, served):
    tab = browsing("", **SCRIPTS_ON).new_page()
    tab.goto(served.origin + "/questions")
    sees_faults(tab)


def test_a_chart_keeps_its_size_on_a_narrow_screen_and_scrolls_within_its_page(browsing, served, world):
    tab = browsing("", **SCRIPTS_ON).new_page()
    tab.goto(f"{served.origin}/releases/{world.release}")
    assert faults(tab) == []
    name = world.answered[0].tables[0].name
    assert tab.get_by_role("img", name=f"{world.answered[0].title} – {name}").count() == 1
    assert width_at(tab, NARROW) <= NARROW
    frame = tab.locator(".page-chart .page-scroll").first
    assert frame.evaluate("frame => frame.clientWidth") < NARROW < frame.evaluate("frame => frame.scrollWidth")
    tab.evaluate("document.querySelector('.page-chart svg').removeAttribute('aria-labelledby')")
    tab.evaluate("document.querySelector('.page-chart svg title').remove()")
    assert "svg-img-alt" in " ".join(faults(tab))


NOT_REACHED = "document.querySelector('main a').tabIndex = -1"
NOT_SHOWN = "document.querySelector('main a').classList.add('unseen')"


@pytest.mark.parametrize("spoil", [NOT_REACHED, NOT_SHOWN])
def test_the_walk_sees_what_the_keyboard_does_not_reach_and_what_does_not_show_it(browsing, served, spoil):
    tab = browsing("", **SCRIPTS_ON).new_page()
    tab.goto(served.origin + "/questions")
    tab.add_style_tag(content=".unseen:focus { outline: none !important; box-shadow: none !important }")
    tab.evaluate(spoil)
    with pytest.raises(AssertionError):
        walk_with_keyboard(tab)


def test_what_a_check_found_passes_the_checker_fits_and_can_be_walked(browsing, served, world):
    tab = browsing("reviewer", **SCRIPTS_ON).new_page()
    tab.goto(f"{served.origin}/budgets/{world.federation.councils[0]}")
    tab.get_by_role("button", name="Verify").click()
    tab.get_by_text("Sum under").first.wait_for()
    assert faults(tab) == []
    tab.locator("body").focus()
    assert walk_with_keyboard(tab) > 6


ASKING = ("", "/scope", "/tables/0", "/filters", "/filters?column=main_age_band", "/text", "/sign")
ASKING += ("/filters?column=assessment_date", "/manifest", "/manifest/text")


def test_every_page_of_asking_passes_the_checker_fits_and_can_be_walked_with_the_keyboard(browsing, world):
    sections = tuple(f"/manifest/{section.name}" for section in SECTIONS)
    drafts = tuple(f"/ask/drafts/{DRAFT}{path}" for path in (*ASKING, *sections))
    watched = tuple(f"/asked/{world.plans[state]}" for state in ("released", "collecting"))
    watched += (f"/suggestions/{world.suggestion}",)
    wrong = {}
    with world.served(sign_in=True) as served:
        context = browsing("", **SCRIPTS_ON)
        context.add_cookies([{"name": COOKIE, "value": "analyst", "url": served.origin}])
        tab = context.new_page()
        for path in ("/ask", "/ask/new", "/ask/hand-in", *drafts, *watched):
            assert tab.goto(served.origin + path).status == 200, path
            if found := faults(tab):
                wrong[path] = found
            assert walk_with_keyboard(tab) > 6, path
        for path, button in (("", "Preview on made-up records"), (sections[0], "Save")):
            tab.goto(f"{served.origin}/ask/drafts/{DRAFT}{path}")
            if button == "Save":
                tab.get_by_label("Decision").fill("")
            tab.get_by_role("button", name=button).click()
            if found := faults(tab):
                wrong[button] = found
            tab.locator("body").focus()
            assert walk_with_keyboard(tab) > 6, button
    assert wrong == {}


def test_an_analyst_drafts_from_a_suggestion_without_a_script(browsing, world):
    with world.served(sign_in=True) as served:
        context = browsing("", java_script_enabled=False)
        context.add_cookies([{"name": COOKIE, "value": "analyst", "url": served.origin}])
        tab = context.new_page()
        tab.goto(f"{served.origin}/ask")
        tab.get_by_role("link", name="Questions that councils suggest").press("Enter")
        tab.get_by_role("link", name="Families by type").press("Enter")
        tab.get_by_role("button", name="Begin a draft from it").press("Enter")
        draft = tab.url
        margin = tab.locator("#margins-caption").locator("xpath=ancestor::table").locator("tbody td").nth(2)
        before = margin.inner_text()
        tab.get_by_role("link", name="Change title, councils or period").press("Enter")
        tab.get_by_label("Last day").fill("soon")
        tab.get_by_role("button", name="Continue").press("Enter")
        assert "year-month-day" in tab.locator("#to-error").inner_text()
        tab.get_by_label("Last day").fill("2025-02-28")
        tab.get_by_role("button", name="Continue").press("Enter")
        assert tab.url == draft
        tab.get_by_label("ε (epsilon)").fill("1/4")
        tab.get_by_role("button", name="Work out again").press("Enter")
        assert float(margin.inner_text()[2:]) > 2 * float(before[2:])
        tab.get_by_role("link", name="Change which rows count").press("Enter")
        tab.get_by_label("Which column?").select_option("household_type")
        tab.get_by_role("button", name="Choose").press("Enter")
        tab.get_by_role("checkbox").first.check()
        tab.get_by_role("button", name="Add").press("Enter")
        tab.get_by_text("household_type is one of").first.wait_for()
        tab.get_by_role("link", name="Write the manifest").press("Enter")
        tab.get_by_role("link", name="What is asked, and for which decision").press("Enter")
        assert tab.get_by_label("Who asked").input_value().endswith(", which suggested this question.")
        tab.get_by_role("button", name="Save").press("Enter")
        assert tab.locator("#decision-error").inner_text()
        tab.goto(draft)
        tab.get_by_role("link", name="Sign and hand in").press("Enter")
        tab.get_by_text("things to mend").wait_for()
        tab.goto(draft)
        tab.get_by_role("button", name="Delete this draft").press("Enter")
        assert tab.url == f"{served.origin}/ask"


def test_a_reviewer_goes_from_a_budget_to_its_question_and_verifies_without_a_script(browsing, served, world):
    tab = browsing("reviewer", java_script_enabled=False).new_page()
    tab.goto(served.origin + "/")
    tab.get_by_role("link", name="Budgets").press("Enter")
    tab.get_by_label("Year", exact=True).select_option("2026")
    tab.get_by_role("button", name="Show").press("Enter")
    assert "year=2026" in tab.url
    name = world.federation.roster.councils[world.federation.councils[0]].name
    tab.get_by_role("link", name=name, exact=True).press("Enter")
    tab.get_by_role("button", name="Verify").press("Enter")
    tab.get_by_text("Sum under").first.wait_for()
    assert "Does not hold" not in tab.content()
    tab.get_by_role("link", name="Families by age", exact=True).first.press("Enter")
    tab.get_by_text("Signatures, checked just now").wait_for()
    tab.get_by_role("link", name="Read the answer").press("Enter")
    tab.get_by_role("table").wait_for()
    with tab.expect_download() as download:
        tab.get_by_role("link", name="the exact answer (JSON)").click()
    assert download.value.suggested_filename.endswith(".json")
