"""Every text that a person meets is short, plain, finished, and explains its acronyms: not the pages alone."""

import ast
import re

import pytest

from federated.plain_english import acronyms, expanded_acronyms, longest_sentence
from tests.docs import user_texts
from tests.docs.test_plain_english import (
    EVERYDAY,
    LONGEST_SENTENCE,
    NAMES,
    OTHER_WORDS,
    acronyms_in_the_glossary,
    words_of,
)

TECHNICAL = frozenset(
    "AA DNS DSSE GOV GSS HTML HTTP ID IP MiB ODS PDF PEM RSA SIGTERM SQL SVG TCP URL UTC UTF XLS XLSX ZIP".split()  # noqa: SIM905 - two dozen quoted words would be harder to read
)
"""Names of file forms and of parts of a computer, in texts for those who handle them; the guides explain what matters."""
OF_SQL = frozenset(
    "AND AS BETWEEN BY CASE CLAMP COUNT DATE DAYS DISTINCT EDGES ELSE END FROM GROUP IN IS NAMED NOT NULL OR SELECT SET WHEN WHERE".split()  # noqa: SIM905 - as above
)
"""Words of a question in SQL, quoted to those who wrote one."""
KNOWN = EVERYDAY | NAMES | TECHNICAL | OF_SQL | acronyms_in_the_glossary()

_FILLED_IN = re.compile(r"(?<=--)[a-z-]+ [A-Z]+\b|\bYYYY-MM-DD\b|\b\w+_\w+\b")
"""What a person puts in: an option with the name of its value, the pattern of a date; and names of settings."""

SOURCES = {
    "help": user_texts.help_texts,
    "refusals": user_texts.refusal_texts,
    "errors": user_texts.error_texts,
    "templates": user_texts.template_texts,
}
FEWEST = {"help": 100, "refusals": 40, "errors": 300, "templates": 15}
"""Fewer than this, and the collector has gone blind."""


def faults(text: str) -> list[str]:
    """What is hard to read in a text, one line each."""
    readable = words_of(_FILLED_IN.sub(" ", text))
    longest = longest_sentence(readable)
    found = [f"a sentence of {longest} words"] if longest > LONGEST_SENTENCE else []
    explained = KNOWN | expanded_acronyms(readable)
    found += [f"the acronym {a} is not explained" for a in acronyms(readable) if a.removesuffix("s") not in explained]
    lowered = f" {re.sub(r'[^a-z ]', ' ', readable.lower())} "
    found += [f"'{word}': {advice}" for word, advice in OTHER_WORDS.items() if f" {word} " in lowered]
    return found


@pytest.mark.parametrize("source", SOURCES)
def test_every_text_is_plain(source):
    texts = list(SOURCES[source]())
    assert len(texts) >= FEWEST[source]
    assert [(place, fault) for place, text in texts for fault in faults(text)] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Send the DPIA.", "the acronym DPIA is not explained"),
        ("word " * 40 + ".", "a sentence of 40 words"),
        ("Mend the query.", "'query': question"),
        ("Read it prior to deciding.", "'prior to': before"),
    ],
)
def test_a_text_that_is_not_plain_is_found(text, fault):
    assert faults(text) == [fault]


def test_the_collectors_find_what_is_planted():
    planted = 'def f(name):\n    raise FileProblem(f"The DPIA {name} is gone.", remedy="Look for the ABC file.")\n'
    found = [text for _, text in user_texts.texts_of("planted.py", ast.parse(planted))]
    assert found == ["The DPIA Name is gone.", "Look for the ABC file."]
    template = "{% if x %}<p>The <b>DPIA</b> of {{ name | day }}</p>{% endif %}{# a DPO #}"
    assert user_texts.words_of_template(template).split() == ["The", "DPIA", "of", "Name"]
    assert faults(user_texts.words_of_template(template)) == ["the acronym DPIA is not explained"]


def test_what_is_put_in_is_no_acronym():
    assert faults("Give --before DATE, as YYYY-MM-DD.") == []
