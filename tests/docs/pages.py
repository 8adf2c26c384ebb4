"""Reading the project's own pages: tables, links, headings, fenced blocks."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^(```|~~~)(\S*)[^\n]*\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(([^()\s]+)\)")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows(text: str) -> Iterator[tuple[str, ...]]:
    """Every row of every table, headings and rulers included."""
    for line in prose(text, keep_tables=True).splitlines():
        if line.startswith("|"):
            yield tuple(cell.strip() for cell in line.strip().strip("|").split("|"))


def fenced(text: str, language: str) -> tuple[str, ...]:
    """The content of each fenced block in a language."""
    return tuple(found.group(3) for found in _FENCE.finditer(text) if found.group(2) == language)


def fences(text: str) -> Iterator[tuple[str, str]]:
    """Language and content of every fenced block, in order."""
    yield from ((found.group(2), found.group(3)) for found in _FENCE.finditer(text))


def prose(text: str, *, keep_tables: bool = False) -> str:
    """A page without its fenced blocks and, unless kept, its tables."""
    bare = _FENCE.sub("", text)
    return bare if keep_tables else "\n".join(line for line in bare.splitlines() if not line.startswith("|"))


def links(text: str) -> tuple[str, ...]:
    """Targets of the links of a page, in order."""
    return tuple(_LINK.findall(_FENCE.sub("", text)))


def anchors(text: str) -> frozenset[str]:
    """The anchors that the headings of a page get."""
    headings = re.findall(r"^#+ (.+?)\s*$", _FENCE.sub("", text), re.MULTILINE)
    return frozenset(anchor(heading) for heading in headings)


def anchor(heading: str) -> str:
    bare = re.sub(r"<[^>]+>|[`*]", "", heading).lower()
    return re.sub(r"[^\w\- ]", "", bare).replace(" ", "-")
