"""The method note as a person opens it: from a file, with nobody to ask, on a narrow screen, and on A4."""

import pytest

from federated.outputs.formats import files_of
from federated.pages import assets
from tests.e2e import browser_checks
from tests.e2e.browser_checks import NARROW, violations, width_at
from tests.unit.federated.outputs.answers import manifest, release

A4 = 680
"""180 mm between the margins, at 96 pixels an inch."""


@pytest.fixture(scope="module")
def chromium():
    with browser_checks.chromium() as found:
        yield found


@pytest.fixture(params=["shared styles", "own styles alone"])
def note(request, monkeypatch, tmp_path):
    if request.param == "own styles alone":
        monkeypatch.setattr(assets, "STYLESHEET", tmp_path / "none.css")
    (made,) = files_of(release(), ("html",), manifest=manifest())
    path = tmp_path / made.name
    path.write_bytes(made.content)
    return path


@pytest.fixture
def tab(chromium, note):
    context = chromium.new_context()
    opened = context.new_page()
    asked_for = []
    opened.on("request", lambda request: asked_for.append(request.url))
    opened.goto(note.as_uri())
    assert asked_for == [note.as_uri()]
    yield opened
    context.close()


def test_the_checker_finds_nothing_and_sees_what_is_broken(tab):
    assert violations(tab) == []
    tab.evaluate("document.querySelector('svg').removeAttribute('aria-labelledby')")
    tab.evaluate("document.querySelector('svg title').remove()")
    tab.evaluate("document.documentElement.removeAttribute('lang')")
    assert {item.partition(":")[0] for item in violations(tab)} >= {"svg-img-alt", "html-has-lang"}


def test_it_fits_a_narrow_screen_and_a_sheet_of_a4(tab):
    assert width_at(tab, NARROW) <= NARROW
    tab.emulate_media(media="print")
    assert width_at(tab, A4) <= A4
    cut = "found => found.filter(item => item.scrollWidth > item.clientWidth + 1).length"
    assert tab.eval_on_selector_all(".page-scroll", cut) == 0


def test_it_prints(tab):
    printed = tab.pdf(prefer_css_page_size=True)
    assert printed.startswith(b"%PDF")
    assert b"/MediaBox [0 0 594" in printed or b"/MediaBox [0 0 595" in printed
