"""Every page of the coordinator's web console has a picture, and every picture stands in the documentation with its words."""

import re

import pytest

from tests.docs.console_pictures import FOLDER, TEMPLATES, picture_of, templates_of_pages
from tests.docs.pages import ROOT

PAGES = ("console.md", "console-sign-in.md", "governance.md")
SHOWN = re.compile(r"!\[([^\]]*)\]\(console/([a-z-]+)\.png\)")
PAGE = '{% extends "pages/base.html" %}{% block content %}{% endblock %}'


def without_picture(templates, pictures):
    """Templates of pages that have no picture."""
    return [name for name in templates if picture_of(name) not in pictures]


def taken():
    return {path.stem for path in FOLDER.glob("*.png")}


def shown(texts):
    """Picture → its text alternatives, wherever it stands."""
    found = {}
    for words, name in (one for text in texts for one in SHOWN.findall(text)):
        found.setdefault(name, []).append(words)
    return found


def test_every_page_has_a_picture():
    assert without_picture(templates_of_pages(), taken()) == []
    assert "method-note" in taken()


def test_every_picture_stands_in_the_documentation_once_with_its_words():
    found = shown((ROOT / "docs" / page).read_text(encoding="utf-8") for page in PAGES)
    assert set(found) == taken()
    assert [name for name, words in found.items() if len(words) != 1 or len(words[0]) < 10] == []


def test_the_pictures_are_small():
    assert [path.name for path in FOLDER.glob("*.png") if path.stat().st_size > 100_000] == []


def test_a_page_without_a_picture_is_found(tmp_path):
    (tmp_path / "new_page.html").write_text(PAGE)
    (tmp_path / "parts.html").write_text("{% macro part() %}{% endmacro %}")
    templates = templates_of_pages([*TEMPLATES, tmp_path])
    assert without_picture(templates, taken()) == ["new_page"]
    assert without_picture(templates, taken() | {"new-page"}) == []


@pytest.mark.parametrize("template", ["agreement", "tokens", "release"])
def test_a_picture_that_is_lost_is_missed(template):
    assert without_picture(templates_of_pages(), taken() - {picture_of(template)}) == [template]


def test_words_are_read_beside_their_picture():
    assert shown(["![A page](console/a-b.png) and ![](console/c.png)"]) == {"a-b": ["A page"], "c": [""]}
