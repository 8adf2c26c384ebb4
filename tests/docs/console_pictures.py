"""Takes the pictures of docs/console: `python -m tests.docs.console_pictures`, with a browser and the styles at hand."""

import os
import re
import struct
import tempfile
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np

from coordinator.console.site import build_site
from federated.outputs.formats import files_of
from federated.pages import renderer, stylesheet
from federated.papers import Minutes, PaperKind, Ruling, sign_minutes
from tests.docs.pages import ROOT
from tests.e2e import browser_checks
from tests.integration.console_world import COOKIE, DRAFT, ConsoleWorld, Served, console_world, serving, suggest
from tests.integration.coordinator_federation import REVIEWER
from tests.integration.governance_papers import comment, keep, keep_series, outcome, standing_series
from tests.integration.sign_in_site import CODE, add_account, give_code, make_desk

FOLDER = ROOT / "docs" / "console"
TEMPLATES = tuple(ROOT / "coordinator" / part / "templates" for part in ("console", "sign_in"))
CALLED = {
    "practice": "preview",
    "release": "answer",
    "said": "sign-in-refused",
    "used": "was-my-data-used",
}
"""Template → its picture, where that is not called as the template is."""
WIDTH = 1000
TALLEST = 1600
COLOURS = 64


def templates_of_pages(folders: Iterable[Path] = TEMPLATES) -> list[str]:
    """Names of the templates that are a whole page; others are parts of those."""
    found = (path for folder in folders for path in folder.glob("*.html"))
    return sorted(path.stem for path in found if re.search(r"{%-? extends ", path.read_text(encoding="utf-8")))


def picture_of(template: str) -> str:
    """Name of the picture of a template's page."""
    return CALLED.get(template, template.replace("_", "-"))


def pictures(world: ConsoleWorld) -> dict[str, tuple[str, str]]:
    """Name of a picture → who looks at which page."""
    council = world.federation.councils[1]
    return {
        "start": ("", "/"),
        "questions": ("", "/questions"),
        "question": ("", f"/questions/{world.plans['released']}"),
        "answer": ("", f"/releases/{world.release}"),
        "was-my-data-used": ("", "/was-my-data-used"),
        "contact": ("", "/contact"),
        "privacy": ("", "/privacy"),
        "glossary": ("", "/glossary"),
        "accessibility": ("", "/accessibility"),
        "agreements": ("", "/agreements"),
        "agreement": ("", f"/agreements/{world.federation.agreement.digest.hex()}"),
        "calendar": ("", "/calendar"),
        "standing": ("", "/standing"),
        "measures": ("", "/measures"),
        "board": ("", "/board"),
        "budgets": ("reviewer", "/budgets"),
        "budget": ("reviewer", f"/budgets/{council}"),
        "operations": ("operator", "/operations"),
        "councils": ("operator", "/operations/councils"),
        "rounds": ("operator", "/operations/rounds"),
        "failed": ("", "/nothing"),
    }


def asking(world: ConsoleWorld) -> dict[str, tuple[str, str]]:
    """The same of the pages on which analysts ask."""
    draft = f"/ask/drafts/{DRAFT}"
    return {
        "ask": ("analyst", "/ask"),
        "ask-new": ("analyst", "/ask/new"),
        "draft": ("analyst", draft),
        "draft-scope": ("analyst", f"{draft}/scope"),
        "draft-table": ("analyst", f"{draft}/tables/0"),
        "draft-filters": ("analyst", f"{draft}/filters?column=household_type"),
        "draft-text": ("analyst", f"{draft}/text"),
        "manifest": ("analyst", f"{draft}/manifest"),
        "sign": ("analyst", f"{draft}/sign"),
        "manifest-section": ("analyst", f"{draft}/manifest/question"),
        "hand-in": ("analyst", "/ask/hand-in"),
        "suggestions": ("", "/suggestions"),
        "suggestion": ("analyst", f"/suggestions/{_suggested(world)}"),
        "watch": ("analyst", f"/asked/{world.answered[1].plan_digest}"),
    }


def _suggested(world: ConsoleWorld) -> str:
    """A council's suggestion to look at; its digest."""
    reason = "More families here lost a home when a private tenancy ended. We would like to know where else."
    return suggest(world, title="Families by age, after a private tenancy", reason=reason, council=1).hex()


def _papers(world: ConsoleWorld) -> None:
    """What was said of an answer, a standing question, and minutes of the board."""
    comment(world, "Two landlords here sold many flats in January.", minutes=30)
    outcome(world, "Two advice desks opened in February.")
    keep_series(world, standing_series(world))
    held_on = date(2026, 1, 26)
    reason = "The benefit is clear, and no smaller question would do."
    plan = bytes.fromhex(world.plans["released"])
    ruling = Ruling(plan=plan, about="Families by age", decision="May be put, once.", reason=reason)
    made = Minutes(
        agreement=world.agreement, held_on=held_on, present=("Rae Reviewer", "Dan Deputy"), rulings=(ruling,)
    )
    envelope = sign_minutes(made, REVIEWER)
    keep(world.federation, PaperKind.MINUTES, envelope, subject=held_on.isoformat(), author=REVIEWER.keyid)


PRESSED = {
    "budget": ("Verify", "verified"),
    "draft": ("Preview on made-up records", "preview"),
    "manifest-section": ("Save", "manifest-vague"),
}
"""A button of a page, and the name of the picture of what comes of it."""


def take(folder: Path = FOLDER) -> None:
    """Take every picture."""
    folder.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as made,
        console_world(Path(made)) as world,
        browser_checks.chromium() as browser,
    ):
        _papers(world)
        with world.served(publish=(world.agreement,), later_days=15) as served:
            _take(folder, pictures(world), served, browser)
        with world.served(sign_in=True) as served:
            _take(folder, asking(world), served, browser)
        with _with_accounts(world) as served:
            _take_signing_in(folder, served, browser)
        _take_note(folder, world, Path(made), browser)


@contextmanager
def _with_accounts(world: ConsoleWorld) -> Iterator[Served]:
    """The pages as people meet them who have an account: one was made just now, and its owner has the code."""
    store, clock = world.federation.store, world.federation.now
    templates = renderer({"console": "coordinator.console", "sign_in": "coordinator.sign_in"})

    def open_sign_in(origin: str, around):
        desk = make_desk(store, clock=clock, own=origin, site=around, templates=templates)
        add_account(desk, "rae.reviewer", password=None, roles="analyst reviewer", agreements=world.agreement)
        give_code(desk, "rae.reviewer")
        return desk

    def site(origin: str):
        return build_site(
            world.settings(),
            world.reading,
            origin=origin,
            note_read=world.note,
            styles=stylesheet(),
            clock=clock,
            rng=os.urandom,
            deciding=store,
            open_sign_in=lambda around: open_sign_in(origin, around),
        )

    with serving(site) as served:
        yield served


def _take_signing_in(folder: Path, served: Served, browser) -> None:
    """From the first password to the audit, and a form that did not come from a page of ours."""
    context = browser.new_context(viewport={"width": WIDTH, "height": 700})
    tab = context.new_page()

    def keep_picture(name: str) -> None:
        (folder / f"{name}.png").write_bytes(_shot(tab, browser))

    tab.goto(f"{served.origin}/sign-in")
    keep_picture("sign-in")
    context.clear_cookies()
    tab.get_by_role("button", name="Sign in", exact=True).click()
    keep_picture("sign-in-refused")
    tab.goto(f"{served.origin}/set-password")
    keep_picture("set-password")
    tab.get_by_label("Name of your account").fill("rae.reviewer")
    tab.get_by_label("Code").fill(CODE)
    for label in ("New password", "New password again"):
        tab.get_by_label(label, exact=True).fill("three random words here")
    tab.get_by_role("button", name="Set password and sign in").click()
    keep_picture("account")
    tab.goto(f"{served.origin}/account/tokens")
    tab.get_by_label("What is it for?").fill("Monthly report")
    tab.get_by_label("For how many days?").fill("30")
    tab.get_by_label("Read what you may see").check()
    tab.get_by_role("button", name="Make a token").click()
    keep_picture("tokens")
    tab.goto(f"{served.origin}/audit")
    keep_picture("audit")
    context.close()


def _take_note(folder: Path, world: ConsoleWorld, made: Path, browser) -> None:
    """The method note, opened from a file as its readers do."""
    (note,) = files_of(world.answered[0], ("html",))
    path = made / note.name
    path.write_bytes(note.content)
    tab = browser.new_page(viewport={"width": WIDTH, "height": 700})
    tab.goto(path.as_uri())
    (folder / "method-note.png").write_bytes(_shot(tab, browser))
    tab.close()


def _take(folder: Path, wanted: dict[str, tuple[str, str]], served: Served, browser) -> None:
    for name, (who, path) in wanted.items():
        context = browser.new_context(viewport={"width": WIDTH, "height": 700})
        context.add_cookies([{"name": COOKIE, "value": who, "url": served.origin}])
        tab = context.new_page()
        tab.goto(served.origin + path)
        (folder / f"{name}.png").write_bytes(_shot(tab, browser))
        if name in PRESSED:
            button, then = PRESSED[name]
            if then == "manifest-vague":
                tab.get_by_label("Decision").fill("To improve services.")
            tab.get_by_role("button", name=button).click()
            (folder / f"{then}.png").write_bytes(_shot(tab, browser))
        context.close()


def _shot(tab, browser) -> bytes:
    height = min(TALLEST, tab.evaluate("document.documentElement.scrollHeight"))
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": height}
    return _fewer_colours(_pixels(tab.screenshot(full_page=True, clip=clip), browser))


def _pixels(png: bytes, browser) -> np.ndarray:
    """The pixels of a picture, decoded by the browser that took it; (height, width, 3)."""
    tab = browser.new_page()
    tab.set_content("<canvas></canvas>")
    found = tab.evaluate(
        """async bytes => {
          const picture = await createImageBitmap(new Blob([Uint8Array.from(atob(bytes), c => c.charCodeAt(0))]));
          const canvas = document.querySelector('canvas');
          [canvas.width, canvas.height] = [picture.width, picture.height];
          const drawing = canvas.getContext('2d');
          drawing.drawImage(picture, 0, 0);
          const data = drawing.getImageData(0, 0, picture.width, picture.height).data;
          let text = '';
          for (let i = 0; i < data.length; i += 32768) text += String.fromCharCode(...data.subarray(i, i + 32768));
          return [picture.width, picture.height, btoa(text)];
        }""",
        b64encode(png).decode(),
    )
    tab.close()
    width, height, text = found
    raw = np.frombuffer(b64decode(text), dtype=np.uint8)
    return raw.reshape(height, width, 4)[:, :, :3]


def _fewer_colours(pixels: np.ndarray) -> bytes:
    """A picture of 8 bits a pixel, small enough to keep: the commonest colours, and for others the nearest of them."""
    height, width, _ = pixels.shape
    flat = pixels.reshape(-1, 3)
    found, where, counts = np.unique(flat, axis=0, return_inverse=True, return_counts=True)
    kept = found[np.argsort(counts)[::-1][:COLOURS]]
    apart = ((found[:, None, :].astype(int) - kept[None, :, :].astype(int)) ** 2).sum(axis=2)
    rows = apart.argmin(axis=1).astype(np.uint8)[where.reshape(-1)].reshape(height, width)
    lines = np.hstack([np.zeros((height, 1), np.uint8), rows]).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = [(b"IHDR", header), (b"PLTE", kept.tobytes()), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


if __name__ == "__main__":
    take()
