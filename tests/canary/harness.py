"""Looks for planted texts ("canaries") wherever data could get out of a council: `README.md` says how to extend it.

A sweep holds channels: named places with everything that was seen there, as bytes. A canary is found in a channel in
any case, as UTF-16, in hexadecimal or base64 at any alignment, and inside what base64 and hexadecimal texts hold
(signed envelopes are base64 of JSON), layer under layer.
"""

import base64
import binascii
import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Finding", "Sweep", "forms_of", "layers"]

DEPTH = 4
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){12,}")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class Finding:
    """A canary seen where it should not be."""

    channel: str
    item: str
    form: str


def forms_of(canary: str) -> dict[str, bytes]:
    """Every needle to look for, by the name of its form; `folded` ones are looked for in lower-case content."""
    found = {
        "folded text": canary.lower().encode(),
        "folded hexadecimal": canary.encode().hex().encode(),
        "folded hexadecimal of capitals": canary.upper().encode().hex().encode(),
        "folded hexadecimal of small letters": canary.lower().encode().hex().encode(),
        "folded UTF-16": canary.lower().encode("utf-16-le"),
        "folded UTF-16 in JSON": "\\u0000".join(canary.lower()).encode(),
    }
    for spelling in dict.fromkeys((canary, canary.upper(), canary.lower())):
        for before in range(3):
            found[f"base64 of {spelling} after {before} bytes"] = _base64_inside(spelling.encode(), before)
    return found


def _base64_inside(text: bytes, before: int) -> bytes:
    """The characters of base64 that depend on nothing but `text`, when so many bytes (modulo 3) stand before it."""
    encoded = base64.b64encode(bytes(before) + text)
    first = -(-before * 8 // 6)
    last = (before + len(text)) * 8 // 6
    return encoded[first:last]


def layers(content: bytes, depth: int = DEPTH) -> Iterator[bytes]:
    """The content, and everything that base64 and hexadecimal texts in it decode to, layer under layer."""
    yield content
    if depth == 0:
        return
    for match in _HEX.finditer(content):
        yield from layers(bytes.fromhex(match.group().decode()), depth - 1)
    for match in _BASE64.finditer(content):
        run = match.group().translate(_URL_SAFE)
        run = run[:-1] if len(run) % 4 == 1 else run  # no base64 text is one longer than a multiple of four
        try:
            yield from layers(base64.b64decode(run + b"=" * (-len(run) % 4)), depth - 1)
        except binascii.Error:
            continue


@dataclass
class Sweep:
    """Everything that was seen, by channel. Add to it from any thread."""

    channels: dict[str, list[tuple[str, bytes]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, channel: str, item: str, content: bytes | str) -> None:
        """Take something seen in a channel; `item` says which, for the finding."""
        self.channels[channel].append((item, content.encode() if isinstance(content, str) else bytes(content)))

    # --- channels, ready to be handed to what is watched ---

    def record(self, way: str, council: str, content: bytes) -> None:
        """For a link's `record`: what passes between coordinator and councils, both ways."""
        self.add(f"link, {way}", council, content)

    def note(self, event: str, fields: Mapping[str, str | int]) -> None:
        """For the coordinator's events."""
        self.add("coordinator's log", event, json.dumps({"event": event, **fields}, ensure_ascii=False))

    def node_log(self, council: str) -> Callable[[str, Mapping[str, str | int]], None]:
        """For a council node's events."""

        def note(event: str, fields: Mapping[str, str | int]) -> None:
            self.add("node's log", f"{council} {event}", json.dumps({"event": event, **fields}, ensure_ascii=False))

        return note

    # --- places looked at afterwards ---

    def files(self, channel: str, folder: Path, *, leave_out: frozenset[str] = frozenset()) -> None:
        """Every file under a folder as it lies on the disk, its name too, and every table of every database."""
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name not in leave_out:
                name = str(path.relative_to(folder))
                content = path.read_bytes()
                self.add(channel, name, name.encode() + b"\n" + content)
                if content.startswith(b"SQLite format 3\0"):
                    self.database(f"{channel}, tables", path)

    def database(self, channel: str, path: Path) -> None:
        """Every value of every table of an SQLite file; values may span pages, so the raw file is not enough."""
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                for row in connection.execute(f'SELECT * FROM "{table}"'):
                    for value in row:
                        kept = value if isinstance(value, bytes) else str(value)
                        self.add(channel, f"{path.name}: {table}", kept)
        finally:
            connection.close()

    # --- the search ---

    def findings(self, canary: str) -> list[Finding]:
        """Where the canary was seen; empty when it was not."""
        needles = forms_of(canary)
        return [
            Finding(channel, item, form)
            for channel, items in self.channels.items()
            for item, content in items
            for form in _forms_in(content, needles)
        ]

    def found_in(self, canary: str) -> set[str]:
        """The channels where the canary was seen."""
        return {finding.channel for finding in self.findings(canary)}

    def assert_clean(self, canary: str, *, expected: set[str]) -> None:
        """Fail if the canary was seen anywhere, or if one of the channels expected saw nothing at all."""
        silent = {name for name in expected if not any(content for _, content in self.channels.get(name, []))}
        assert not silent, f"nothing was seen in: {sorted(silent)}"
        found = self.findings(canary)
        assert not found, f"the canary was seen {len(found)} times, first: {found[:5]}"


def _forms_in(content: bytes, needles: Mapping[str, bytes]) -> set[str]:
    found = set()
    for layer in layers(content):
        folded = layer.lower()
        found |= {
            form for form, needle in needles.items() if needle in (folded if form.startswith("folded") else layer)
        }
    return found
