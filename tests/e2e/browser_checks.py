"""What every page is held to in a real browser: the checker's rules, a narrow screen, the keyboard."""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from federated.outputs.formats import FORMATS
from tests.architecture.source_tree import ROOT

AXE = (ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
RULES = "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
NARROW = 320
"""400 % zoom of a window 1,280 wide."""
MOST_PAGES = 60
LATER_PAGES = re.compile(r"page=([3-9]|\d\d)")
SCRIPTS_ON = {"bypass_csp": True}
"""For the checker alone: the pages themselves run none."""

FOCUSABLE = """
[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')]
  .filter(found => found.type !== 'radio' || found === document.querySelector(`input[name="${found.name}"]`)).length
"""
FOCUSED = """(() => {
  const found = document.activeElement;
  if (found === document.body) return null;
  const style = getComputedStyle(found);
  const beside = found.nextElementSibling ? getComputedStyle(found.nextElementSibling, '::before') : style;
  const shown = [style, beside].some(s => s.outlineStyle !== 'none' || s.boxShadow !== 'none');
  found.dataset.reached = 'yes';
  return shown;
})()"""


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """The system's browser."""
    with sync_playwright() as started:
        found = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", *arguments])
        yield found
        found.close()


def crawl(context: BrowserContext, home: str, visit: Callable[[Page, str, Any], None]) -> Sequence[str]:
    """Every page of this site that links lead to, shown to `visit`; returns their addresses."""
    tab = context.new_page()
    seen: list[str] = []
    waiting = [home]
    while waiting:
        address = waiting.pop(0)
        seen.append(address)
        assert len(seen) < MOST_PAGES
        reply = tab.goto(address)
        assert reply is not None
        assert reply.status == 200, address
        links = tab.eval_on_selector_all(
            "a[href]", "found => found.filter(a => a.origin === location.origin).map(a => a.href.split('#')[0])"
        )
        files = (".ics", *(f".{kind}" for kind in FORMATS))
        waiting += [
            found
            for found in dict.fromkeys(links)
            if found not in [*seen, *waiting] and not LATER_PAGES.search(found) and not found.endswith(files)
        ]
        visit(tab, address, reply)
    tab.close()
    return seen


def violations(tab: Page) -> list[str]:
    """What the checker finds on a page."""
    tab.wait_for_load_state()  # a page that a click led to may not have its styles yet
    tab.evaluate(AXE)
    return [f"{item['id']}: {item['nodes'][0]['html'][:80]}" for item in tab.evaluate(RULES)["violations"]]


def width_at(tab: Page, width: int) -> int:
    """How wide a page comes out in a window of this width, in pixels."""
    tab.set_viewport_size({"width": width, "height": 900})
    found: int = tab.evaluate("document.documentElement.scrollWidth")
    return found


def faults(tab: Page) -> list[str]:
    """What the checker finds on a page, and whether it scrolls sideways on a narrow screen."""
    found = violations(tab)
    narrow = width_at(tab, NARROW)
    width_at(tab, 1280)
    found += [f"{narrow} wide"] if narrow > NARROW else []
    return found if tab.query_selector("h1") else [*found, "no heading"]


def sees_faults(tab: Page) -> None:
    """Break the page that is open in four ways, and hold the checker and the ruler to seeing each."""
    tab.evaluate(
        "document.querySelector('main').innerHTML += '<img src=x><p style=\"color:#ccc\">Pale</p><input>"
        '<div style="width:900px">Wide</div>\''
    )
    found = " ".join(faults(tab))
    for fault in ("image-alt: ", "color-contrast: ", "label: ", " wide"):
        assert fault in found


def walk_with_keyboard(tab: Page) -> int:
    """Tab through a page; every place must be reached and show where it is. Returns how many there are."""
    tab.wait_for_load_state()
    expected: int = tab.evaluate(FOCUSABLE)
    for number in range(expected):
        tab.keyboard.press("Tab")
        assert tab.evaluate(FOCUSED), f"step {number + 1} of {expected}: no visible focus"
    assert tab.evaluate("document.querySelectorAll('[data-reached]').length") == expected
    return expected
