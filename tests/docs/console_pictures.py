"""Takes the pictures of docs/console: `python -m tests.docs.console_pictures`, with a browser and the styles at hand."""

import struct
import tempfile
import zlib
from base64 import b64decode, b64encode
from pathlib import Path

import numpy as np

from tests.docs.pages import ROOT
from tests.e2e import browser_checks
from tests.integration.console_world import COOKIE, DRAFT, ConsoleWorld, Served, console_world, suggest

FOLDER = ROOT / "docs" / "console"
WIDTH = 1000
TALLEST = 1600
COLOURS = 64


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
        with world.served(publish=(world.agreement,), later_days=15) as served:
            _take(folder, pictures(world), served, browser)
        with world.served(sign_in=True) as served:
            _take(folder, asking(world), served, browser)


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
