"""Every relative link and every anchor in a page leads somewhere."""

from pathlib import Path

import pytest

from tests.architecture.source_tree import tracked_files
from tests.docs.pages import ROOT, anchors, links

OWN = ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")


def all_pages() -> list[str]:
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")}
    return sorted(found | set(OWN) | {name for name in tracked_files() if name.endswith(".md")})


def broken(name: str, text: str) -> list[str]:
    """Links of a page that lead nowhere."""
    return [target for target in links(text) if not _leads_somewhere(ROOT / name, target, text)]


def _leads_somewhere(origin: Path, target: str, text: str) -> bool:
    if target.startswith(("https://", "mailto:")):
        return True
    name, _, heading = target.partition("#")
    file = (origin.parent / name).resolve() if name else origin
    if not file.exists() or ROOT not in (file, *file.parents):
        return False
    content = text if file == origin else file.read_text(encoding="utf-8") if file.suffix == ".md" else ""
    return not heading or heading in anchors(content)


@pytest.mark.parametrize("name", all_pages())
def test_every_link_leads_somewhere(name):
    assert broken(name, (ROOT / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "target", ["docs/nowhere.md", "docs/glossary.md#nothing", "#nothing", "http://plain.example", "../outside.md"]
)
def test_a_link_that_leads_nowhere_is_found(target):
    assert broken("README.md", f"# Title\n\nSee [there]({target}).\n") == [target]


def test_links_in_examples_do_not_count():
    assert broken("README.md", "```\n[x](nowhere.md)\n```\n") == []


def test_every_page_is_in_the_index_or_beside_one_that_is():
    index = {
        (ROOT / "docs" / target.partition("#")[0]).resolve()
        for target in links((ROOT / "docs/README.md").read_text("utf-8"))
    }
    listed = {
        ROOT / "docs" / "adr",
        ROOT / "docs" / "statistics",
        ROOT / "docs" / "analyses",
        ROOT / "docs" / "runbooks",
        ROOT / "docs" / "README.md",
    }
    missing = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "docs").rglob("*.md")
        if path not in index | listed and path.parent not in listed
    ]
    assert missing == []
