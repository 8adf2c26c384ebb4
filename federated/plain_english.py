"""Is a text specific, finished and readable? Measures for what councils and residents are asked to read.

The measures are simple on purpose, so that whoever writes can see why a text was refused: lists of phrases, the
length of sentences, and the LIX reading score (Björnsson 1968: words to a sentence plus per cent of words longer
than six letters; 40 is a newspaper, 60 a legal text).
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

__all__ = [
    "acronyms",
    "as_sentence",
    "expanded_acronyms",
    "longest_sentence",
    "open_ended",
    "placeholder",
    "reading_score",
    "says_nothing",
    "specific_words",
    "without_end",
]

READING_WORDS: Final = 30
"""Shorter texts have no meaningful reading score."""

_NOTHING: Final = frozenset(
    (
        "none",
        "n/a",
        "na",
        "nil",
        "no",
        "yes",
        "not applicable",
        "unknown",
        "not known",
        "as above",
        "see above",
        "-",
        "?",
    )
)
_PLACEHOLDER: Final = re.compile(
    r"\b(?:tbc|tbd|tba|todo|fixme|x{3,}|lorem|ipsum|placeholder|fill in|to be (?:confirmed|decided|agreed|completed)|"
    r"insert \w+ here)\b|<[^<>]{1,80}>|\[[^\[\]]{1,80}\]|_{3,}|\?{2,}",
    re.IGNORECASE,
)
_OPEN_ENDED: Final = (
    "including but not limited to",
    "other purposes",
    "related purposes",
    "any purpose",
    "all purposes",
    "other uses",
    "future uses",
    "future use",
    "any other",
    "as required",
    "as needed",
    "as appropriate",
    "where appropriate",
    "ad hoc",
    "and so on",
    "etc",
    "and others",
    "relevant parties",
    "relevant stakeholders",
    "third parties as",
)
_WITHOUT_END: Final = (
    "indefinitely",
    "as long as necessary",
    "as long as needed",
    "as long as is needed",
    "as long as required",
    "as long as it is useful",
    "until further notice",
    "no end date",
    "ongoing basis",
    "permanently",
    "forever",
)
_EMPTY_WORDS: Final = frozenset(
    """
    a about all also among an and any are as at be been better best between both but by can could do does each
    enable enabling every for from further gain general generally get give given good greater has have how if in
    inform informed informing informs insight insights into is it its made make makes making may might more most much
    of on or other our over overall possible provide provides providing shall should so some such than that the their
    them there these they this those through to towards us use used useful uses using various was way ways we what
    when where whether which while who why will wider with within would you your
    across england evaluation evaluations experiencing experience needed based making
    aim aims analyse analysed analyses analysing analysis approach area areas based benefit benefits case cases
    council councils data decision decisions deliver delivery department develop developing development drive driven
    effective effectively efficiency efficient enhance enhancing ensure ensuring evidence figures future government
    help helped helping helps homeless homelessness household households impact improve improved improvement
    improvements improves improving information key knowledge learn learning level levels local manage management
    monitor monitoring national need needs new objectives operational outcome outcomes partner partners people
    performance plan planning plans policies policy programme programmes project public purpose purposes quality
    question questions relevant report reporting reports research resident residents resource resources result results
    review sector service services stakeholder stakeholders statistic statistical statistics strategic strategies
    strategy study support supported supporting supports system trend trends understand understanding value work
    working
    """.split()  # noqa: SIM905 - eighty quoted words would be harder to read
)
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z'’-]*")
_ACRONYM: Final = re.compile(r"\b(?:[A-Z]-)?[A-Z][A-Za-z]?[A-Z][A-Za-z]*\b")
_KNOWN_ACRONYMS: Final = frozenset({"UK", "NHS"})


def says_nothing(text: str) -> bool:
    """Whether a text stands where an answer should be and is none, such as ``n/a``."""
    return text.strip().rstrip(".").lower() in _NOTHING


def placeholder(text: str) -> str | None:
    """The first place in a text that is still to be written, such as ``TBC``."""
    found = _PLACEHOLDER.search(text)
    return found.group() if found else None


def open_ended(text: str) -> str | None:
    """The first phrase that leaves open what else is meant, such as ``including but not limited to``."""
    return _first_phrase(text, _OPEN_ENDED)


def without_end(text: str) -> str | None:
    """The first phrase that sets no end, such as ``for as long as necessary``."""
    return _first_phrase(text, _WITHOUT_END)


def _first_phrase(text: str, phrases: Sequence[str]) -> str | None:
    words = " " + " ".join(_WORD.findall(text.lower())) + " "
    return next((phrase for phrase in phrases if f" {phrase} " in words), None)


def specific_words(text: str) -> frozenset[str]:
    """The different words of a text that say something: "policy and service improvement" has none."""
    return frozenset(_WORD.findall(text.lower().replace("-", " "))) - _EMPTY_WORDS


def longest_sentence(text: str) -> int:
    """Words in the longest sentence."""
    return max((len(_words(sentence)) for sentence in _sentences(text)), default=0)


def reading_score(text: str) -> int | None:
    """LIX, rounded down; none for a text too short to judge."""
    words = _words(text)
    if len(words) < READING_WORDS:
        return None
    long_words = sum(1 for word in words if len(word) > 6)  # noqa: PLR2004 - the definition of LIX
    return len(words) // max(1, sum(1 for _ in _sentences(text))) + 100 * long_words // len(words)


def acronyms(text: str) -> tuple[str, ...]:
    """The acronyms of a text in order, each once; those everybody knows are left out."""
    found = dict.fromkeys(match.group() for match in _ACRONYM.finditer(text))
    return tuple(
        acronym
        for acronym in found
        if acronym.removesuffix("s") not in _KNOWN_ACRONYMS and not _PLACEHOLDER.fullmatch(acronym)
    )


def expanded_acronyms(text: str) -> frozenset[str]:
    """The acronyms a text explains: words before them in brackets, or words in brackets after them."""
    in_brackets = re.findall(r"[A-Za-z]{2,}[ -][A-Za-z]{2,} \(([A-Z][A-Za-z-]*[A-Z][A-Za-z]*)\)", text)
    before_brackets = re.findall(r"\b([A-Z][A-Za-z-]*[A-Z][A-Za-z]*) \([A-Za-z]+[ -][A-Za-z][^()]*\)", text)
    return frozenset(in_brackets) | frozenset(before_brackets)


def as_sentence(text: str) -> str:
    """A text with a full stop at its end, where it does not end as a sentence does."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _sentences(text: str) -> Iterator[str]:
    return (part for part in re.split(r"(?<=[.!?:;])\s+|\n+", text) if _WORD.search(part))
