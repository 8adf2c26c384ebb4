"""Every word that a guide marks is in the glossary, and the glossary is in order."""

import pytest

from coordinator.console.papers import TERMS
from tests.docs.glossary import marked, spellings, terms
from tests.docs.pages import page

GUIDES = ("docs/guides/council-it.md", "docs/guides/analyst.md", "docs/guides/reviewer.md")
GLOSSARY = page("docs/glossary.md")
FIRST_USE = {
    "docs/guides/council-it.md": {"council node", "extract", "roster", "ledger", "agreement", "fingerprint", "plan"},
    "docs/guides/analyst.md": {"agreement", "question", "group", "manifest", "plan", "round", "release"},
    "docs/guides/reviewer.md": {"plan", "manifest", "council node", "budget", "ledger", "receipt"},
}


def unknown(text: str, glossary: str) -> list[str]:
    known = {spelling for term in terms(glossary) for spelling in spellings(term)}
    return [word for word in marked(text) if not {word.lower(), word.lower().removesuffix("s")} & known]


@pytest.mark.parametrize("name", GUIDES)
def test_every_marked_word_is_in_the_glossary(name):
    assert unknown(page(name), GLOSSARY) == []


@pytest.mark.parametrize("name", GUIDES)
def test_the_words_that_matter_are_marked(name):
    assert sorted(FIRST_USE[name] - {word.lower() for word in marked(page(name))}) == []


def test_the_words_of_the_register_are_in_the_glossary():
    known = {spelling for term in terms(GLOSSARY) for spelling in spellings(term)}
    # Two words for readers who are no specialists: the glossary has them as "release" and as "noise share".
    assert {term.split(" (")[0] for term, _ in TERMS} - known == {"answer", "noise"}


def test_a_word_that_is_missing_is_found():
    assert unknown("The *widget* meets the *ledger* and two *Rounds*.", GLOSSARY) == ["widget"]
    assert unknown("The *ledger*.", GLOSSARY.replace("| ledger |", "| accounts |")) == ["ledger"]


def test_the_glossary_is_in_order_and_says_each_word_once():
    first = [term.lower() for term in terms(GLOSSARY)]
    assert len(first) == len(set(first))
    rows = [line.split("|")[1].strip().lower() for line in GLOSSARY.splitlines() if line.startswith("| ")][1:]
    assert rows == sorted(rows)
