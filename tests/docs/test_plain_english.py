"""Pages that councils read: short sentences, everyday words, acronyms explained, one word for one thing."""

import re

import pytest

from federated.plain_english import acronyms, expanded_acronyms, longest_sentence, placeholder, reading_score
from tests.docs.glossary import terms
from tests.docs.pages import ROOT, page, prose, rows

GUIDES = ("docs/guides/council-it.md", "docs/guides/analyst.md", "docs/guides/reviewer.md")
FOR_PROGRAMMERS = frozenset({"docs/guides/first-hour.md"})
COUNCIL_PAGES = tuple(
    sorted(
        {
            *(
                str(path.relative_to(ROOT))
                for folder in ("guides", "runbooks", "toolkit")
                for path in (ROOT / "docs" / folder).rglob("*.md")
            ),
            *(
                "docs/operations.md",
                "docs/flower.md",
                "docs/privacy-promise.md",
                "docs/known-limitations.md",
                "README.md",
            ),
        }
        - FOR_PROGRAMMERS
    )
)
LONGEST_SENTENCE = 35
HIGHEST_SCORE = 45  # LIX; 40 is a newspaper, 60 a legal text
EVERYDAY = frozenset({"IT", "OK", "UK", "GB", "MB", "HH"})
NAMES = frozenset({"AES", "SHA", "PASS"})
"""Names of published algorithms stand for themselves; the promise names them once, for those who look."""

OTHER_WORDS = {
    "query": "question",
    "queries": "questions",
    "anonymous": "say what leaves; the word has a meaning in law",
    "anonymised": "say what leaves; the word has a meaning in law",
    "end user": "analyst or council",
    "utilise": "use",
    "leverage": "use",
    "in order to": "to",
    "prior to": "before",
    "going forward": "from now on",
}


def words_of(text: str) -> str:
    """What a person reads: no code, no link targets, no marks; each table row and list item is a sentence of its own."""
    text = re.sub(r"<su[pb]>[^<]*</su[pb]>", "", text)
    text = re.sub(r"`[^`]*`", "X", prose(text))
    text = re.sub(r"\[([^\[\]]*)\]\([^()]*\)", r"\1", text)
    text = re.sub(r"[*>#|]+", " ", text)
    return "\n".join(_unwrapped(text))


def _unwrapped(text: str) -> list[str]:
    """Wrapped lines joined; a blank line or a list mark begins anew."""
    blocks: list[str] = []
    fresh = True
    for line in text.splitlines():
        start = not line.strip() or re.match(r"\s*(-|\d+\.|[A-Z][^.]*:$)\s", line)
        if fresh or start:
            blocks.append(line.strip())
        else:
            blocks[-1] += " " + line.strip()
        fresh = not line.strip()
    return blocks


def faults(text: str, explained: frozenset[str]) -> list[str]:
    """What is hard to read in a page, one line each."""
    readable = words_of(text)
    found = []
    longest = longest_sentence(readable)
    score = reading_score(readable)
    if longest > LONGEST_SENTENCE:
        found.append(f"a sentence of {longest} words")
    if score is not None and score > HIGHEST_SCORE:
        found.append(f"a reading score of {score}")
    known = EVERYDAY | NAMES | explained | expanded_acronyms(readable)
    found += [
        f"the acronym {word} is not explained" for word in acronyms(readable) if word.removesuffix("s") not in known
    ]
    if unfinished := placeholder(readable.replace("[your contact]", "")):
        found.append(f"'{unfinished}' is unfinished")
    lowered = f" {re.sub(r'[^a-z ]', ' ', readable.lower())} "
    found += [f"'{word}': {advice}" for word, advice in OTHER_WORDS.items() if f" {word} " in lowered]
    return found


def acronyms_in_the_glossary() -> frozenset[str]:
    return frozenset(word for term in terms(page("docs/glossary.md")) for word in re.findall(r"[A-Z]{2,}", term))


@pytest.mark.parametrize("name", COUNCIL_PAGES)
def test_a_page_for_councils_is_plain(name):
    text = page(name)
    explained = acronyms_in_the_glossary() if "glossary.md" in text else frozenset()
    assert faults(text, explained) == []


@pytest.mark.parametrize(
    ("added", "fault"),
    [
        ("word " * 40 + ".", "a sentence of 40 words"),
        ("Send the DPIA today.", "the acronym DPIA is not explained"),
        ("The query is short.", "'query': question"),
        ("Records are anonymous.", "'anonymous'"),
        ("The price is TBC.", "'TBC' is unfinished"),
        ("Organisational considerations necessitate comprehensive countermeasures. " * 300, "a reading score of"),
    ],
)
def test_a_page_that_is_not_plain_is_found(added, fault):
    text = page(GUIDES[0]) + f"\n\n{added}\n"
    assert any(found.startswith(fault) for found in faults(text, acronyms_in_the_glossary()))


def test_an_acronym_explained_on_the_page_is_fine():
    text = page(GUIDES[0]) + "\n\nThe data protection impact assessment (DPIA) comes first. Send the DPIA today.\n"
    assert faults(text, acronyms_in_the_glossary()) == []


def test_tables_for_councils_have_short_cells():
    long = [
        cell for name in GUIDES for cells in rows(page(name)) for cell in cells if len(cell.split()) > LONGEST_SENTENCE
    ]
    assert long == []
